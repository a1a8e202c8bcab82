/**
 * Logs of runs and recordings as they grow: found under a folder, read from
 * where the last look ended, and never written to.
 */
import type { Point } from "../page/plot.tsx";

/** How far a run is, as far as its log tells. */
export type State = "running" | "finished" | "stopped" | "failed" | "broken off";

/** A run or a recording, as one look at its folder tells it. */
export interface Watched {
  /** Path from the watched folder, with `/`; "." where it is the run itself. */
  readonly id: string;
  /** What left the log. */
  readonly kind: "run" | "recording";
  /** How far it is. */
  readonly state: State;
  /** By the recipe's name; of a recording the class of its network, once it is known. */
  readonly network: string;
  /** The data set's name; empty where the log does not say. */
  readonly dataset: string;
  /** The recipe's name; empty of a recording. */
  readonly recipe: string;
  /** Steps taken. */
  readonly iteration: number;
  /** Steps that the schedule has; 0 where the log does not say. */
  readonly iterations: number;
  /** The last errors, shares from 0 to 1, as far as they are known. */
  readonly training?: number;
  readonly validation?: number;
  readonly test?: number;
  /** Seconds until the last step at the pace of the last ones; while it runs. */
  readonly secondsLeft?: number;
  /** When the log last grew: milliseconds since 1970. */
  readonly changed: number;
  /** Bytes of the log. */
  readonly size: number;
  /** Files of the folder that a page may link to. */
  readonly files: readonly string[];
}

/** Curves of one log. Errors in percent. */
export interface Curves {
  readonly training: readonly Point[];
  readonly validation: readonly Point[];
  readonly test: readonly Point[];
  readonly loss: readonly Point[];
}

/** Fields of a recipe with their values, as text. */
export type Fields = ReadonlyMap<string, string>;

const LOGS = { "events.jsonl": "run", "recording.jsonl": "recording" } as const;
/** Files that may be linked to; all else in a folder stays in it. */
export const LINKED = [
  "report.html",
  "result.json",
  "steps.csv",
  "events.jsonl",
  "recording.jsonl",
] as const;
/** A folder deeper than this is no run that somebody keeps. */
const DEEPEST = 5;
/** More folders than this are not a folder of runs. */
const MOST_FOLDERS = 20_000;
/** A first line is longer only if it is no log of ours. */
const HEAD_BYTES = 256 << 10;
/** Enough for the last steps and what follows them. */
const TAIL_BYTES = 16 << 10;
/** So far back the last errors of a log are looked for when it is first seen. */
const MOST_TAIL_BYTES = 8 << 20;
/** A longer log is drawn by its last part alone. */
const LARGEST_LOG = 64 << 20;
/**
 * A log that did not grow for so long, and has no end, broke off: milliseconds; where its lines
 * stand further apart, so many times as long as the last of them took.
 */
const SILENCE = 90_000, SILENCE_LINES = 2;

type Event = Readonly<Record<string, unknown>>;

/** What is kept of a log between two looks. */
interface Known {
  readonly folder: string;
  readonly watched: Watched;
  /** Its first line, by which it is told from a log that took its place. */
  readonly first: string | undefined;
  readonly head: Event | undefined;
  readonly last: Last;
  parsed?: {
    offset: number;
    readonly events: Event[];
    rest: string;
    /** Two pages may ask at once: each goes on where the one before it ended. */
    reading?: Promise<unknown>;
  };
}

/** The last lines of a kind, however far back they stand. */
interface Last {
  readonly iteration: number;
  readonly step?: Event;
  readonly validation?: Event;
  readonly test?: Event;
}

/** The runs and recordings under a folder. */
export class Logs {
  readonly #roots: readonly string[];
  readonly #names: readonly string[];
  readonly #known = new Map<string, Known>();

  /**
   * @param roots The folders that are watched; nothing outside of them is read. Where there are
   *   several, the name of each stands before those of its runs.
   */
  constructor(...roots: readonly string[]) {
    this.#roots = roots;
    // By what the user typed: the last parts of two folders may be alike.
    const names = roots.map((root) =>
      root.split("/").filter((part) => part !== "" && !/^\.+$/.test(part)).join("/")
    );
    this.#names = names.map((name, i) => {
      const before = names.slice(0, i).filter((other) => other === name).length;
      return before === 0 ? name : `${name} (${before + 1})`.trim();
    });
  }

  /**
   * Looks at every log again that has grown.
   *
   * @returns All of them, the one that changed last first.
   */
  async look(): Promise<readonly Watched[]> {
    const found = new Set<string>();
    for await (const { id, folder, name, files } of this.#found()) {
      found.add(id);
      const info = await Deno.stat(`${folder}/${name}`).catch(() => undefined);
      if (!info?.isFile) continue;
      const known = this.#known.get(id);
      const changed = info.mtime?.getTime() ?? 0;
      const over = known && known.watched.state !== "running";
      if (
        known && known.watched.size === info.size && known.watched.changed === changed &&
        (over || !isSilent(changed, known.last.step))
      ) continue;
      const path = `${folder}/${name}`;
      const first = await firstLine(path);
      // Another log may have taken the place of the one that was known.
      const same = known && known.first === first && known.watched.size <= info.size
        ? known
        : undefined;
      const head = same?.head ?? eventOf(first ?? "")[0];
      const isWhole = (events: readonly Event[]) => same !== undefined || hasErrors(head, events);
      const tail = withoutTakenBack(await lastEvents(path, info.size, isWhole));
      const last = lastOf(tail, same?.last);
      const size = info.size;
      this.#known.set(id, {
        ...{ folder, first, head, last },
        watched: watchedOf({ id, kind: LOGS[name], head, tail, last, changed, size, files }),
        ...(same?.parsed ? { parsed: same.parsed } : {}),
      });
    }
    for (const id of this.#known.keys()) if (!found.has(id)) this.#known.delete(id);
    return [...this.#known.values()].map(({ watched }) => watched)
      .sort((a, b) => b.changed - a.changed || (a.id < b.id ? -1 : 1));
  }

  /** The last look at a log; undefined where there is none of that name. */
  get(id: string): Watched | undefined {
    return this.#known.get(id)?.watched;
  }

  /** The folder of a log that was found; undefined for any other name, so that no path gets out. */
  folderOf(id: string): string | undefined {
    return this.#known.get(id)?.folder;
  }

  async *#found(): AsyncGenerator<Found & { readonly folder: string }> {
    for (const [i, root] of this.#roots.entries()) {
      for await (const found of logsUnder(root)) {
        const folder = `${root}/${found.id}`;
        const name = this.#names[i];
        const id = this.#roots.length === 1
          ? found.id
          : [name, found.id].filter((part) => part !== "" && part !== ".").join("/") || ".";
        yield { ...found, id, folder };
      }
    }
  }

  /** The recipe of a run, field by field; empty of a recording. */
  fieldsOf(id: string): Fields {
    const recipe = this.#known.get(id)?.head?.recipe;
    return new Map(typeof recipe === "object" && recipe ? leaves(recipe) : []);
  }

  /** The curves of a log; only what it grew by since the last call is read. */
  async curvesOf(id: string): Promise<Curves> {
    const known = this.#known.get(id);
    if (!known) return { training: [], validation: [], test: [], loss: [] };
    const parsed = known.parsed ??= {
      offset: Math.max(0, known.watched.size - LARGEST_LOG),
      ...{ events: [], rest: "" },
    };
    const before = parsed.reading?.catch(() => {});
    const reading = parsed.reading = Promise.resolve(before).then(() => readOn(known, parsed));
    await reading;
    const events = withoutTakenBack(parsed.events);
    const points = (events: readonly Event[], field: string, scale: number): Point[] =>
      withoutRepeated(events).flatMap((event) =>
        number(event.iteration) !== undefined && number(event[field]) !== undefined
          ? [[number(event.iteration)!, scale * number(event[field])!] as const]
          : []
      );
    const steps = events.filter(({ type }) => type === "step");
    const evaluated = (set: string) =>
      points(
        events.filter((event) => event.type === "evaluation" && event.set === set),
        "error",
        100,
      );
    return {
      training: points(steps, "error", 100),
      loss: points(steps, "loss", 1),
      validation: evaluated("validation"),
      test: evaluated("test"),
    };
  }
}

/** Reads what a log grew by. */
async function readOn(
  { folder, watched }: Known,
  parsed: NonNullable<Known["parsed"]>,
): Promise<void> {
  const name = watched.kind === "run" ? "events.jsonl" : "recording.jsonl";
  using file = await Deno.open(`${folder}/${name}`, { read: true });
  await file.seek(parsed.offset, Deno.SeekMode.Start);
  const bytes = new Uint8Array(Math.max(0, watched.size - parsed.offset));
  let read = 0;
  while (read < bytes.length) {
    const count = await file.read(bytes.subarray(read));
    if (count === null) break;
    read += count;
  }
  parsed.offset += read;
  const lines = (parsed.rest + new TextDecoder().decode(bytes.subarray(0, read))).split("\n");
  parsed.rest = lines.pop() ?? "";
  for (const line of lines) {
    if (/"type":"(step|evaluation|resume)"/.test(line)) parsed.events.push(...eventOf(line));
  }
}

/** A folder with a log. */
interface Found {
  readonly id: string;
  readonly name: keyof typeof LOGS;
  /** Those of its files that a page may link to. */
  readonly files: readonly string[];
}

async function* logsUnder(
  root: string,
  id = ".",
  depth = 0,
  seen = { count: 0 },
): AsyncGenerator<Found> {
  const folders: string[] = [];
  const linked = new Set<string>();
  let log: keyof typeof LOGS | undefined;
  try {
    for await (const { name, isDirectory, isFile } of Deno.readDir(`${root}/${id}`)) {
      // A link may lead anywhere: it is neither a folder nor a file here.
      if (isFile && Object.hasOwn(LOGS, name)) log = name as keyof typeof LOGS;
      if (isFile) linked.add(name);
      if (isDirectory && !/^(\.|node_modules$)/.test(name)) folders.push(name);
    }
  } catch (error) {
    if (depth === 0) throw error;
    return;
  }
  if (log) yield { id, name: log, files: LINKED.filter((name) => linked.has(name)) };
  if (depth >= DEEPEST) return;
  for (const name of folders.sort()) {
    if (++seen.count > MOST_FOLDERS) return;
    yield* logsUnder(root, id === "." ? name : `${id}/${name}`, depth + 1, seen);
  }
}

async function part(path: string, from: number, length: number): Promise<string> {
  using file = await Deno.open(path, { read: true });
  await file.seek(from, Deno.SeekMode.Start);
  const bytes = new Uint8Array(length);
  let read = 0;
  while (read < length) {
    const count = await file.read(bytes.subarray(read));
    if (count === null) break;
    read += count;
  }
  return new TextDecoder().decode(bytes.subarray(0, read));
}

async function firstLine(path: string): Promise<string | undefined> {
  // Most first lines are short, and there may be hundreds of logs.
  for (let length = HEAD_BYTES / 16; length <= HEAD_BYTES; length *= 4) {
    const text = await part(path, 0, length).catch(() => "");
    const end = text.indexOf("\n");
    if (end >= 0) return text.slice(0, end);
  }
}

/** A log's last events, of as much of it as is enough. */
async function lastEvents(
  path: string,
  size: number,
  isEnough: (events: readonly Event[]) => boolean,
): Promise<readonly Event[]> {
  for (let length = TAIL_BYTES;; length *= 8) {
    const from = Math.max(0, size - length);
    const lines = (await part(path, from, size - from).catch(() => "")).split("\n");
    // The first may be the end of a line, the last the beginning of one.
    const events = lines.slice(from === 0 ? 0 : 1, -1).flatMap(eventOf);
    if (from === 0 || length >= MOST_TAIL_BYTES || isEnough(events)) return events;
  }
}

/** Whether the errors that a log has, by its first line, are among its events. */
function hasErrors(head: Event | undefined, events: readonly Event[]): boolean {
  const { step, validation } = lastOf(events);
  const validates = (number(record(head?.data)?.validationImages) ?? 0) > 0;
  return step !== undefined && (validation !== undefined || !validates);
}

/** The last lines of each kind, of a log's end or from before it. */
function lastOf(tail: readonly Event[], before: Partial<Last> = {}): Last {
  const resumed = tail.findLast(({ type }) => type === "resume");
  const from = (resumed && number(resumed.iteration)) ?? Infinity;
  const find = (known: Event | undefined, type: string, set?: string) =>
    tail.findLast((event) => event.type === type && (set === undefined || event.set === set)) ??
      (known && (number(known.iteration) ?? 0) <= from ? known : undefined);
  // A line of the rate is of the step to come, one of the best weights of one long past.
  const iterations = tail.flatMap(({ type, iteration }) =>
    type === "rate" || type === "best" ? [] : number(iteration) ?? []
  );
  return {
    iteration: Math.max(Math.min(before.iteration ?? 0, from), ...iterations),
    ...optional("step", find(before.step, "step")),
    ...optional("validation", find(before.validation, "evaluation", "validation")),
    ...optional("test", find(before.test, "evaluation", "test")),
  };
}

function eventOf(line: string): Event[] {
  try {
    const event = JSON.parse(line);
    return typeof event === "object" && event !== null && !Array.isArray(event) ? [event] : [];
  } catch {
    return [];
  }
}

/** Whether nobody writes: a change that is to come was made before the clock was set back. */
function isSilent(changed: number, step: Event | undefined): boolean {
  // A recording says the seconds themselves.
  const seconds = number(step?.seconds) ??
    (number(step?.images) ?? 0) / (number(step?.imagesPerSecond) || Infinity);
  return Math.abs(Date.now() - changed) >= Math.max(SILENCE, SILENCE_LINES * 1000 * seconds);
}

function watchedOf(
  { id, kind, head, tail, last: { iteration, step, validation, test }, changed, size, files }: {
    readonly id: string;
    readonly kind: Watched["kind"];
    readonly head: Event | undefined;
    readonly tail: readonly Event[];
    readonly last: Last;
    readonly changed: number;
    readonly size: number;
    readonly files: readonly string[];
  },
): Watched {
  const last = tail.at(-1);
  const recipe = record(head?.recipe);
  const schedule = record(recipe?.schedule);
  const iterations = number(schedule?.iterations) ?? number(head?.stopAfter) ?? 0;
  const ended = { end: "finished", stop: "stopped", failure: "failed" } as const;
  const type = String(last?.type);
  const state: State = Object.hasOwn(ended, type)
    ? ended[type as keyof typeof ended]
    : isSilent(changed, step)
    ? "broken off"
    : "running";
  const images = number(recipe?.batchSize);
  const pace = number(step?.imagesPerSecond);
  const secondsLeft = state === "running" && images && pace && iterations > iteration
    ? (iterations - iteration) * images / pace
    : undefined;
  return {
    ...{ id, kind, state, iteration, iterations, changed, size, files },
    network: text(record(recipe?.architecture)?.name) ??
      (kind === "recording" ? text(record(head?.script)?.name) ?? "recording" : "?"),
    dataset: text(record(recipe?.data)?.set) ?? "",
    recipe: text(recipe?.name) ?? "",
    ...optional("training", number(step?.error)),
    ...optional("validation", number(validation?.error)),
    ...optional("test", number(last?.testError) ?? number(test?.error)),
    ...optional("secondsLeft", secondsLeft),
  };
}

/** A run that went on from a checkpoint takes back what came after it. */
function withoutTakenBack(events: readonly Event[]): Event[] {
  let resumedFrom = Infinity;
  return events.toReversed().filter(({ type, iteration }) => {
    const at = number(iteration) ?? 0;
    if (type === "resume") resumedFrom = Math.min(resumedFrom, at);
    return at <= resumedFrom;
  }).reverse();
}

/** Of lines that go back in iterations, the later ones count. */
function withoutRepeated(events: readonly Event[]): Event[] {
  let least = Infinity;
  return events.toReversed().filter((event) => {
    const iteration = number(event.iteration) ?? Infinity;
    if (iteration >= least) return false;
    least = iteration;
    return true;
  }).reverse();
}

const record = (value: unknown): Event | undefined =>
  typeof value === "object" && value !== null ? value as Event : undefined;
const number = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isFinite(value) ? value : undefined;
const text = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value.slice(0, 200) : undefined;
const optional = <K extends string, V>(key: K, value: V | undefined) =>
  (value === undefined ? {} : { [key]: value }) as { readonly [key in K]?: V };

function* leaves(value: object, prefix = ""): Generator<[string, string]> {
  for (const [key, child] of Object.entries(value)) {
    if (prefix === "" && key === "departures") continue;
    if (typeof child === "object" && child !== null && !Array.isArray(child)) {
      yield* leaves(child, `${prefix}${key}.`);
    } else yield [prefix + key, Array.isArray(child) ? JSON.stringify(child) : String(child)];
  }
}
