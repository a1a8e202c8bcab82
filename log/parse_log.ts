/** The event log's text, parsed strictly. */
import type { z } from "zod";
import { publishable } from "./_publishable.ts";
import { runEvent } from "./_schema.ts";
import type { RunEvent, StartEvent } from "./events.ts";
import { Sha256 } from "../files/mod.ts";
import { explain } from "../recipes/schema/mod.ts";

/** The event log's name in a run's folder. */
export const EVENTS_FILE = "events.jsonl";

/** Something that a reader of the result should know. */
export interface RunWarning {
  /** Steps taken when it was given, if it was given by the run. */
  readonly iteration?: number;
  /** For people. */
  readonly message: string;
}

/** The lines of a log, checked but not yet freed of what a resume took back. */
export interface RunLog {
  /** The first line. */
  readonly start: StartEvent;
  /** All events in the order of the log, the start included. */
  readonly events: readonly RunEvent[];
  /** What was met while reading. */
  readonly warnings: readonly RunWarning[];
}

/** A run's folder that breaks the rules of the log: where, the rule, and what was found. */
export class RunLogError extends Error {
  /** The class's name, for messages. */
  override name = "RunLogError";
}

/** The paper's 64,000 steps, each logged, take 13 MB. */
const MOST_CHARACTERS = 64 * 2 ** 20;
/** Lines of a log that is read; a run that would write more is not begun. */
export const MOST_LINES = 200_000;

/**
 * Parses an event log, every line of it, strictly.
 *
 * A last line without its line end is what a killed process leaves behind: it
 * is dropped, with a warning. All else is an error with its line number.
 *
 * @param text Content of `events.jsonl`.
 * @throws {RunLogError} On a line that is not a JSON object of a known type with
 *   exactly its fields; on a log that does not begin with its only `start`, goes
 *   on after its `end`, or goes back in iterations without a `resume`; on a line
 *   with the hash of other lines than stand before it.
 *
 * @example
 * ```ts
 * import { parseRunLog, RunLogError } from "./parse_log.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => parseRunLog('{"type":"begin"}\n'), RunLogError, "line 1");
 * ```
 */
export function parseRunLog(text: string): RunLog {
  refuseLarge(text.length, (from) => text.indexOf("\n", from));
  const lines = text.split("\n");
  const unfinished = lines.pop();
  const warnings = unfinished
    ? [{
      message: `The last line of the log (line ${
        lines.length + 1
      }) was cut off, as when a process is killed while it writes; it does not count.`,
    }]
    : [];
  const events = lines.map((line, index) =>
    parseJson(`events.jsonl, line ${index + 1}`, line, runEvent)
  );
  const [start] = events;
  if (start?.type !== "start") {
    throw new RunLogError(
      `events.jsonl, line 1: a log begins with its start event, found ${
        start ? `"${start.type}"` : "no complete line"
      }`,
    );
  }
  checkOrder(events);
  checkSeals(events, lines);
  // Logs of earlier versions have paths of the computer that wrote them.
  const shown = events.map((event) => publishable(event));
  return { start: shown[0] as StartEvent, events: shown, warnings };
}

/**
 * Refuses a log by its length and its lines, before one is looked at: empty ones take memory too.
 *
 * @param length Characters, or bytes.
 * @param next Place of the next line's end from a place on, or -1; lines aren't counted without.
 * @throws {RunLogError} If it has more than any run writes.
 */
export function refuseLarge(length: number, next: (from: number) => number = () => -1): void {
  let lines = 0;
  for (let at = next(0); at >= 0 && lines <= MOST_LINES; at = next(at + 1)) lines++;
  if (length > MOST_CHARACTERS || lines > MOST_LINES) {
    throw new RunLogError(
      `events.jsonl: a log of at most ${MOST_LINES} lines and ${MOST_CHARACTERS} characters is read, this one has more; log fewer steps (--log-every)`,
    );
  }
}

function checkOrder(events: readonly RunEvent[]): void {
  let iteration = 0;
  events.forEach((event, index) => {
    const before = events[index - 1];
    const refuse = (rule: string, found: string) => {
      throw new RunLogError(`events.jsonl, line ${index + 1}: ${rule}, found ${found}`);
    };
    if (index > 0 && event.type === "start") refuse("a log has one start", "a second");
    if (before?.type === "end") refuse("nothing follows a run's end", `"${event.type}"`);
    if (event.type === "resume") iteration = event.iteration;
    if (event.type !== "step") return;
    if (event.iteration <= iteration) {
      refuse(`a step after iteration ${iteration} needs a higher one`, `${event.iteration}`);
    }
    iteration = event.iteration;
  });
}

/** The lines before a checkpoint, a failure or the end must be those that it was written after. */
function checkSeals(events: readonly RunEvent[], lines: readonly string[]): void {
  const log = new Sha256();
  events.forEach((event, index) => {
    if ("logSha256" in event) {
      const found = log.hex();
      if (event.logSha256 !== found) {
        throw new RunLogError(
          `events.jsonl, line ${
            index + 1
          }: the lines before it must have the SHA-256 ${event.logSha256}, found ${found}; the log was altered after it was written: restore it or repeat the run`,
        );
      }
    }
    log.update(lines[index] + "\n");
  });
}

/** Parses JSON by a schema. */
export function parseJson<T>(name: string, text: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RunLogError(`${name}: expected JSON (${(error as Error).message})`);
  }
  const result = schema.safeParse(value);
  if (!result.success) throw new RunLogError(`${name}: ${explain(result.error, value)}`);
  return result.data;
}
