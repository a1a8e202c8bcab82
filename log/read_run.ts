/** A run's folder, read strictly: its event log and the files that the log names. */
import { parse } from "@std/csv";
import { createHash } from "node:crypto";
import { z } from "zod";
import {
  type CheckpointEvent,
  effectiveEvents,
  type EndEvent,
  type EvaluationEvent,
  type FailureEvent,
  type FileEvent,
  type FileReference,
  type ImageSample,
  type LayerStatistics,
  type ResumeEvent,
  type RunEvent,
  type StartEvent,
  type StepEvent,
  type StopEvent,
} from "./events.ts";
import { publishable } from "./_publishable.ts";
import { explain, recipe, seed } from "../recipes/schema/mod.ts";
import { imageSample, layerStatistics, runEvent } from "./_schema.ts";

/** A run as its folder tells it; a resumed run stands as if it had never been stopped. */
export interface Run {
  /** What was run, on what, from what. */
  readonly start: StartEvent;
  /** Each time that the run went on from a checkpoint. */
  readonly resumes: readonly ResumeEvent[];
  /** Training, by iteration. */
  readonly steps: readonly StepEvent[];
  /** On validation and test images, by iteration. */
  readonly evaluations: readonly EvaluationEvent[];
  /** Checkpoints written; their files are not read. */
  readonly checkpoints: readonly CheckpointEvent[];
  /** Files that the log names; the samples and the layer statistics among them are read. */
  readonly files: readonly FileEvent[];
  /** The log's warnings, then what was met while reading. */
  readonly warnings: readonly RunWarning[];
  /** How the run ended; undefined where the log breaks off (killed, or still running). */
  readonly outcome?: EndEvent | StopEvent | FailureEvent;
  /** The evaluation on the test set after the last step; of finished runs alone. */
  readonly finalTest?: EvaluationEvent;
  /** Of the final test, in the order of the test set. */
  readonly predictions?: Predictions;
  /** Training images as the network saw them. */
  readonly augmentedSample?: ImageSample;
  /** Test images misclassified with the highest confidence. */
  readonly worstMistakes?: ImageSample;
  /** Responses of the layers, Figure 7. */
  readonly layerStatistics?: LayerStatistics;
}

/** Something that a reader of the result should know. */
export interface RunWarning {
  /** Steps taken when it was given, if it was given by the run. */
  readonly iteration?: number;
  /** For people. */
  readonly message: string;
}

/** Class of each test image and the class that the network took it for. */
export interface Predictions {
  /** [N], positions in the run's class names. */
  readonly labels: readonly number[];
  /** [N], positions in the run's class names. */
  readonly predictions: readonly number[];
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

/**
 * Reads a run's folder: the log, and the files in it that a report shows.
 *
 * @param folder Path of the run's folder, the one with `events.jsonl`.
 * @param readFile Reads a file, given `folder`, a slash and the path in the log.
 * @returns The run; {@link effectiveEvents} decides which events count.
 * @throws {RunLogError} If the log is missing or refused by {@link parseRunLog};
 *   if a named file is missing, malformed or has another SHA-256 than the log
 *   says; or if the log's result and the predictions contradict each other.
 *
 * @example
 * ```ts
 * import { readRun, RunLogError } from "./read_run.ts";
 * import { assertRejects } from "@std/assert";
 *
 * const files = { "runs/a/events.jsonl": "not a log\n" };
 * const readFile = (path: string) =>
 *   Promise.resolve(new TextEncoder().encode(files[path as keyof typeof files]));
 * await assertRejects(() => readRun("runs/a", readFile), RunLogError, "line 1");
 * ```
 */
export async function readRun(
  folder: string,
  readFile: (path: string) => Promise<Uint8Array> = Deno.readFile,
): Promise<Run> {
  const read = async (path: string, namedBy: string): Promise<Uint8Array> => {
    try {
      return await readFile(`${folder}/${path}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      throw new RunLogError(
        `Reading the run in ${folder}: there is no ${path}, which ${namedBy}; give the folder of a run as it was written`,
      );
    }
  };
  const readVerified = async (file: FileReference): Promise<string> => {
    const bytes = await read(file.path, "its event log names");
    const digest = await crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>);
    const sha256 = new Uint8Array(digest).toHex();
    if (sha256 !== file.sha256) {
      throw new RunLogError(
        `${file.path} is not the file that the event log names: its SHA-256 must be ${file.sha256}, found ${sha256}; restore the file or repeat the run`,
      );
    }
    return decode(bytes);
  };

  const { start, events, warnings } = parseRunLog(
    decode(await read("events.jsonl", "every run has")),
  );
  const counted = effectiveEvents(events);
  const ofType = <T extends RunEvent["type"]>(type: T) =>
    counted.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
  const evaluations = ofType("evaluation");
  const files = ofType("file");
  const outcome = outcomeOf(events);
  const finalTest = outcome?.type === "end" ? finalTestOf(outcome, evaluations) : undefined;

  const readNamed = async <T>(kind: FileEvent["kind"], schema: z.ZodType<T>) => {
    const file = files.findLast((event) => event.kind === kind)?.file;
    return file && parseJson(file.path, await readVerified(file), schema);
  };
  const classes = start.classes.length;
  const file = finalTest?.predictions;
  const predictions = file && parsePredictions(file.path, await readVerified(file), classes);
  if (predictions) checkPredictions(file.path, predictions, finalTest);
  return {
    start,
    resumes: ofType("resume"),
    steps: ofType("step"),
    evaluations,
    checkpoints: ofType("checkpoint"),
    files,
    warnings: [
      ...ofType("warning").map(({ iteration, message }) => ({ iteration, message })),
      ...warnings,
    ],
    outcome,
    finalTest,
    predictions,
    augmentedSample: checkSample(await readNamed("augmented-sample", imageSample), classes),
    worstMistakes: checkSample(await readNamed("worst-mistakes", imageSample), classes),
    layerStatistics: await readNamed("layer-statistics", layerStatistics),
  };
}

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
 * import { parseRunLog, RunLogError } from "./read_run.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => parseRunLog('{"type":"begin"}\n'), RunLogError, "line 1");
 * ```
 */
export function parseRunLog(text: string): RunLog {
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

/** What a file of weights says of its run, as far as it is read again. */
const identity = z.object({ recipe, seed, classes: z.int().positive().max(10_000) });

/**
 * What keeps the recipe, seed and classes that a file of weights names from
 * being those of a run: a file can say anything.
 *
 * @param value The identity, as its JSON says it.
 * @returns Where, what was expected and what was found; undefined if nothing is wrong.
 *
 * @example
 * ```ts
 * import { paper } from "../recipes/mod.ts";
 * import { identityProblem } from "./read_run.ts";
 * import { assertEquals, assertMatch } from "@std/assert";
 *
 * const identity = { recipe: paper("resnet20"), seed: 0, classes: 10 };
 * assertEquals(identityProblem(identity), undefined);
 * assertMatch(identityProblem({ ...identity, seed: -1 })!, /^seed: .*found -1$/);
 * ```
 */
export function identityProblem(value: unknown): string | undefined {
  const { error } = identity.safeParse(value);
  return error && explain(error, value);
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
  const log = createHash("sha256");
  events.forEach((event, index) => {
    if ("logSha256" in event) {
      const found = log.copy().digest("hex");
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

function outcomeOf(events: readonly RunEvent[]): Run["outcome"] {
  const last = events[events.length - 1];
  return last.type === "end" || last.type === "stop" || last.type === "failure" ? last : undefined;
}

function finalTestOf(end: EndEvent, evaluations: readonly EvaluationEvent[]): EvaluationEvent {
  const test = evaluations.findLast(({ set, iteration }) =>
    set === "test" && iteration === end.iteration
  );
  if (!test) {
    throw new RunLogError(
      `A finished run is scored on the test set after its last step: found no test evaluation at iteration ${end.iteration}`,
    );
  }
  const error = test.errors / test.images;
  // Errors of two runs differ by at least 1/images; this only absorbs decimal printing.
  for (const logged of [test.error, end.testError]) {
    if (Math.abs(logged - error) > 1e-9) {
      throw new RunLogError(
        `The test error must be ${test.errors}/${test.images} = ${error}, found ${logged}`,
      );
    }
  }
  return test;
}

function parseJson<T>(name: string, text: string, schema: z.ZodType<T>): T {
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

/**
 * Parses the predictions of a test.
 *
 * @param path The file's, for messages.
 * @param text Its content: CSV with the header `label,prediction`.
 * @param classes Number of classes.
 * @returns Labels and predictions, both [N].
 * @throws {RunLogError} On another header, or a row that is not two classes.
 *
 * @example
 * ```ts
 * import { parsePredictions } from "./read_run.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { labels } = parsePredictions("predictions.csv", "label,prediction\n3,5\n8,8\n", 10);
 * assertEquals(labels, [3, 8]);
 * ```
 */
export function parsePredictions(path: string, text: string, classes: number): Predictions {
  const [header, ...rows] = parse(text);
  if (header?.join() !== "label,prediction") {
    throw new RunLogError(`${path}: expected the header "label,prediction", found "${header}"`);
  }
  const labels: number[] = [];
  const predictions: number[] = [];
  rows.forEach((row, index) => {
    if (row.length !== 2 || !row.every((cell) => /^\d+$/.test(cell) && Number(cell) < classes)) {
      throw new RunLogError(
        `${path}, line ${
          index + 2
        }: expected a label and a prediction below ${classes}, found "${row}"`,
      );
    }
    labels.push(Number(row[0]));
    predictions.push(Number(row[1]));
  });
  return { labels, predictions };
}

function checkPredictions(
  path: string,
  { labels, predictions }: Predictions,
  test: EvaluationEvent,
): void {
  const errors = labels.filter((label, i) => label !== predictions[i]).length;
  if (labels.length !== test.images || errors !== test.errors) {
    throw new RunLogError(
      `${path}: the log says ${test.errors} errors in ${test.images} images, found ${errors} in ${labels.length}`,
    );
  }
}

function checkSample(sample: ImageSample | undefined, classes: number): ImageSample | undefined {
  for (const { index, label, prediction = 0, pixels } of sample?.images ?? []) {
    if (Math.max(label, prediction) >= classes) {
      throw new RunLogError(
        `Sample image ${index}: classes must be below ${classes}, found ${label} and ${prediction}`,
      );
    }
    const bytes = sample!.height * sample!.width * 3;
    const found = Uint8Array.fromBase64(pixels).length;
    if (found !== bytes) {
      throw new RunLogError(`Sample image ${index}: expected ${bytes} bytes, found ${found}`);
    }
  }
  return sample;
}

function decode(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
