/**
 * `parseArgs` of `@std/cli` 1.0 over minimist: the options that this project
 * uses, with the package's names and documented behaviour.
 *
 * @module
 */
// @ts-types="npm:@types/minimist@1.2.5"
import minimist from "minimist";

/** What {@link parseArgs} is told about the flags. */
export interface ParseOptions<
  B extends string = string,
  S extends string = string,
  C extends string = string,
  N extends string = string,
  D extends Record<string, unknown> = Record<string, unknown>,
  DD extends boolean = boolean,
> {
  /** Flags without a value. */
  readonly boolean?: B | readonly B[];
  /** Flags whose value is kept as text. */
  readonly string?: S | readonly S[];
  /** Flags that may be repeated: an array of all their values. */
  readonly collect?: C | readonly C[];
  /** Boolean flags that can be written `--no-x`. */
  readonly negatable?: N | readonly N[];
  /** Values of flags that are not given. */
  readonly default?: D;
  /** Other names of a flag. */
  readonly alias?: Readonly<Record<string, string | readonly string[]>>;
  /** Everything after the first positional argument is positional. */
  readonly stopEarly?: boolean;
  /** Keeps what follows `--` apart, in the property `--`. */
  readonly "--"?: DD;
  /** Called for an argument that no option names; `false` leaves it out of the result. */
  readonly unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Default<D, K extends string> = K extends keyof D ? NonNullable<D[K]> : never;
type Absent<D, K extends string> = K extends keyof D ? never : undefined;

/** The parsed flags by name, and the positional arguments in `_`. */
export type Args<
  B extends string,
  S extends string,
  C extends string,
  D,
  DD extends boolean,
> =
  & { [K in B]: K extends C ? boolean[] : boolean }
  & { [K in S]: K extends C ? string[] : string | Default<D, K> | Absent<D, K> }
  & { [K in Exclude<C, B | S>]: unknown[] }
  & { [K in Exclude<keyof D, B | S | C>]: unknown }
  & { _: (string | number)[] }
  & (DD extends true ? { "--": string[] } : unknown);

/** Stands before a name that minimist may not see; no argument of a process has it. */
const MARK = "\0";

const list = (names: string | readonly string[] | undefined): string[] =>
  names === undefined ? [] : typeof names === "string" ? [names] : [...names];

/**
 * Parses command-line arguments.
 *
 * @param args The arguments, for example `Deno.args`.
 * @returns The flags' values: of a repeated flag the last, unless it collects.
 */
export function parseArgs<
  const B extends string = never,
  const S extends string = never,
  const C extends string = never,
  const N extends string = never,
  D extends Record<string, unknown> = Record<never, unknown>,
  const DD extends boolean = false,
>(args: readonly string[], options: ParseOptions<B, S, C, N, D, DD> = {}): Args<B, S, C, D, DD> {
  const collect = new Set<string>(list(options.collect));
  const negatable = new Set<string>(list(options.negatable));
  // minimist negates every flag: a name of its own keeps `--no-x` as it was written.
  const end = args.indexOf("--");
  const literal = new Map<string, string>();
  const isBoolean = (name: string) => list(options.boolean).includes(name);
  const isText = (name: string) => list(options.string).includes(name);
  const prepared = args.map((arg, i) => {
    if (end >= 0 && i > end) return arg;
    const [, flag, value] = /^--([^=]+)(=.*)?$/s.exec(arg) ?? [];
    if (flag === undefined) return arg;
    // minimist looks names up in plain objects: of what those have by themselves it makes an error.
    if (flag in Object.prototype) return `--${MARK}${arg.slice(2)}`;
    if (value !== undefined) return arg;
    const negated = /^no-(.+)$/s.exec(flag)?.[1];
    if (negated !== undefined && !negatable.has(negated)) {
      literal.set(`${arg}=true`, arg);
      return `${arg}=true`;
    }
    // It takes "-" and "---" for values.
    const isNone = /^-(-|$)/.test(args[i + 1] ?? "") && i + 1 !== end;
    return isNone && isText(flag) && !isBoolean(flag) ? `${arg}=` : arg;
  });
  const { unknown } = options;
  const parsed: Record<string, unknown> = minimist(prepared, {
    boolean: list(options.boolean),
    string: list(options.string),
    default: options.default,
    alias: options.alias as Record<string, string | string[]> | undefined,
    stopEarly: options.stopEarly,
    "--": options["--"],
    unknown: unknown && ((arg) => {
      const negation = literal.get(arg);
      const written = negation ?? arg.replace(MARK, "");
      const [, key, value] = /^--?([^=]+)(?:=(.*))?$/s.exec(written) ?? [];
      return unknown(written, key, negation ? true : value) !== false;
    }),
  });
  for (const name of literal.values()) {
    if (parsed[name.slice(2)] === "true") parsed[name.slice(2)] = true;
  }
  for (const name of Object.keys(parsed).filter((name) => name.startsWith(MARK))) {
    const own = name.slice(1);
    if (own !== "constructor" && own !== "__proto__") parsed[own] = parsed[name];
    delete parsed[name];
  }
  for (const [name, value] of Object.entries(parsed)) {
    if (name === "_" || name === "--") continue;
    if (!collect.has(name)) parsed[name] = Array.isArray(value) ? value.at(-1) : value;
    else if (!Array.isArray(value)) {
      parsed[name] = value === false || value === undefined ? [] : [value];
    }
  }
  for (const name of collect) parsed[name] ??= [];
  return parsed as Args<B, S, C, D, DD>;
}
