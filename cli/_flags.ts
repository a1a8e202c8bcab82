/** Flags as typed data: one table a command gives its parsing, its messages and its help. */
import { parseArgs } from "@std/cli/parse-args";
import { closest, distance } from "fastest-levenshtein";

/** A command line that can't be understood: exit status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** One flag: how its text becomes a value, and what the help says. */
export interface Flag<T> {
  /** What stands for the value in the help; none for a switch. */
  readonly placeholder?: string;
  readonly help: string;
  /** @throws {Error} With the rule, as in "a whole number from 0". */
  parse(text: string): T;
}

/** Flags by name, without the dashes. */
export type FlagTable = Readonly<Record<string, Flag<unknown>>>;

/** The values of a table's flags; none where a flag was not given. */
export type FlagValues<F extends FlagTable> = {
  readonly [K in keyof F]?: F[K] extends Flag<infer T> ? T : never;
};

/** A command as its help describes it. */
export interface Command<F extends FlagTable> {
  /** As it is typed, for example `deno task train`. */
  readonly usage: string;
  readonly summary: string;
  readonly flags: F;
  /** Name of the argument without dashes, for commands that take one; of several with "..." at its end. */
  readonly positional?: string;
}

/** A flag whose value is kept as text. */
export function text(placeholder: string, help: string): Flag<string> {
  return {
    placeholder,
    help,
    parse: (value) => {
      if (value === "") throw new Error("not empty");
      return value;
    },
  };
}

/** A flag whose value is a list of words with commas between them. */
export function list(placeholder: string, help: string): Flag<readonly string[]> {
  return {
    placeholder,
    help,
    parse: (value) => {
      const words = value.split(",").map((word) => word.trim());
      if (words.includes("")) throw new Error("words with a comma between each two");
      return words;
    },
  };
}

/** A flag with a few legal values. */
export function choice<const T extends string>(values: readonly T[], help: string): Flag<T> {
  return {
    placeholder: values.join("|"),
    help,
    parse: (value) => {
      const found = values.find((legal) => legal === value);
      if (found === undefined) throw new Error(`one of ${values.join(", ")}`);
      return found;
    },
  };
}

/** A flag whose value is a list of some of a few legal words, each once. */
export function choices<const T extends string>(
  values: readonly T[],
  help: string,
): Flag<readonly T[]> {
  const words = list("A,B,...", help);
  return {
    ...words,
    parse: (value) => {
      const chosen = words.parse(value).map((word) => {
        const found = values.find((legal) => legal === word);
        if (found === undefined) throw new Error(`of ${values.join(", ")}, with commas between`);
        return found;
      });
      if (new Set(chosen).size < chosen.length) throw new Error("words of which each comes once");
      return chosen;
    },
  };
}

/** A flag that takes a whole number from `low` to `high`. */
export function integer(help: string, low: number, high = Number.MAX_SAFE_INTEGER): Flag<number> {
  const rule = high === Number.MAX_SAFE_INTEGER
    ? `a whole number from ${low}`
    : `a whole number from ${low} to ${high}`;
  return {
    placeholder: "N",
    help,
    parse: (value) => {
      const number = /^\d[\d_]*$/.test(value) ? Number(value.replaceAll("_", "")) : NaN;
      if (!(number >= low && number <= high)) throw new Error(rule);
      return number;
    },
  };
}

/** A flag that takes a number above 0. */
export function positive(help: string): Flag<number> {
  return numeric(help, "a number above 0", (number) => number > 0);
}

/** A flag that takes a number from 0. */
export function nonNegative(help: string): Flag<number> {
  return numeric(help, "a number from 0", (number) => number >= 0);
}

function numeric(help: string, rule: string, holds: (number: number) => boolean): Flag<number> {
  return {
    placeholder: "X",
    help,
    parse: (value) => {
      const number = /^[\d.]+(e[+-]?\d+)?$/i.test(value) ? Number(value) : NaN;
      if (!(Number.isFinite(number) && holds(number))) throw new Error(rule);
      return number;
    },
  };
}

/** A flag without a value. */
export function toggle(help: string): Flag<boolean> {
  return { help, parse: () => true };
}

/** The flags that every command has. */
export const COMMON = {
  json: toggle("print one JSON object to standard output and nothing else there"),
  help: toggle("print this help"),
} as const;

/**
 * Parses a command line.
 *
 * @returns The values, and the arguments without dashes.
 * @throws {UsageError} Names the flag, the rule, the value, and the nearest legal flag.
 */
export function parseFlags<F extends FlagTable>(
  command: Command<F>,
  args: readonly string[],
): {
  readonly flags: FlagValues<F>;
  readonly positionals: readonly string[];
} {
  const names = Object.keys(command.flags);
  const takesValue = (name: string) => command.flags[name].placeholder !== undefined;
  const unknown: string[] = [];
  const parsed = parseArgs(prepared(args, names.filter(takesValue)), {
    // "_": a folder called 007 is not 7.
    string: ["_", ...names.filter(takesValue)],
    boolean: names.filter((name) => !takesValue(name)),
    unknown: (arg: string) => {
      if (!arg.startsWith("-")) return true;
      unknown.push(arg);
      return false;
    },
  }) as Record<string, unknown> & { readonly _: readonly (string | number)[] };
  if (unknown.length > 0) throw new UsageError(unknownFlag(command, unknown[0].split("=")[0]));
  const positionals = parsed._.map(String);
  const several = command.positional?.endsWith("...");
  const allowed = command.positional === undefined ? 0 : several ? Infinity : 1;
  if (positionals.length > allowed) {
    throw new UsageError(
      `${command.usage} takes ${
        allowed === 0 ? "flags alone" : `one ${command.positional}`
      }, found "${positionals[allowed]}"${
        hint(command, positionals[allowed])
      }. See ${command.usage} --help`,
    );
  }
  const values: Record<string, unknown> = {};
  for (const name of names) {
    const given = parsed[name];
    if (given === undefined || given === false) continue;
    try {
      values[name] = command.flags[name].parse(String(given));
    } catch (error) {
      throw new UsageError(
        `--${name} must be ${error instanceof Error ? error.message : error}, found "${given}"`,
      );
    }
  }
  return { flags: values as FlagValues<F>, positionals };
}

/** `-h` is `--help`, and a value may begin with a minus: `--seed -1` is refused for its value. */
function prepared(args: readonly string[], valued: readonly string[]): string[] {
  const words: string[] = [];
  for (const arg of args) {
    const before = words.at(-1);
    const isValue = /^-[\d.]/.test(arg) && before?.startsWith("--") &&
      valued.includes(before.slice(2));
    if (isValue) words[words.length - 1] = `${before}=${arg}`;
    else words.push(arg === "-h" ? "--help" : arg);
  }
  return words;
}

function unknownFlag<F extends FlagTable>(command: Command<F>, flag: string): string {
  const legal = Object.keys(command.flags).map((name) => `--${name}`);
  const initials = (name: string) =>
    `--${name.slice(2).split("-").map(([first]) => first).join("")}`;
  const nearest = closest(flag, legal);
  // What is further off than half of a short word is another word.
  const near = distance(flag, nearest) <= Math.min(3, (flag.length - 2) / 2) ? nearest : undefined;
  const meant = legal.find((name) => name.includes("-", 2) && initials(name) === flag) ??
    legal.find((name) => name.split("-").includes(flag.slice(2))) ?? near;
  const hint = meant === undefined ? "." : `; did you mean ${meant}?`;
  return `${command.usage} has no flag ${flag}${hint} Its flags are ${legal.join(", ")}`;
}

/** What somebody meant who wrote a value without its flag. */
function hint<F extends FlagTable>({ flags }: Command<F>, word: string): string {
  return "arch" in flags && /^(resnet|plain)\d/.test(word) ? `; did you mean --arch ${word}?` : "";
}

/** The help that belongs to a table. */
export function helpOf<F extends FlagTable>(command: Command<F>): string {
  const rows = Object.entries(command.flags).map(([name, { placeholder, help }]) =>
    [`--${name}${placeholder === undefined ? "" : ` ${placeholder}`}`, help] as const
  );
  const width = 24;
  const lines = rows.map(([left, help]) =>
    left.length > width
      ? `  ${left}\n  ${" ".repeat(width)}  ${help}`
      : `  ${left.padEnd(width)}  ${help}`
  );
  const positional = command.positional === undefined ? "" : ` ${command.positional}`;
  return [`${command.summary}`, "", `${command.usage}${positional} [flags]`, "", ...lines, ""]
    .join("\n");
}
