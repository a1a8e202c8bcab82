/** A run's folder as a report shows it, strictly: its event log and the files that the log names. */
import { parse } from "@std/csv";
import { z } from "zod";
import {
  type BestEvent,
  type CheckpointEvent,
  effectiveEvents,
  type EndEvent,
  type EvaluationEvent,
  type FailureEvent,
  type FileEvent,
  type FileReference,
  type ImageSample,
  type LayerStatistics,
  type RateEvent,
  type ResumeEvent,
  type RunEvent,
  type StartEvent,
  type StepEvent,
  type StopEvent,
  type WarningEvent,
} from "./events.ts";
import { imageSample, layerStatistics } from "./_schema.ts";
import { parseJson, RunLogError, type RunWarning } from "./parse_log.ts";
import { type FolderReading, readBounded, readFolder } from "./reading.ts";
import { explain, recipe, seed } from "../recipes/schema/mod.ts";

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
  /** Changes of the rate at places of their own. */
  readonly rates: readonly RateEvent[];
  /** The best weights, scored beside the last; where the recipe keeps them. */
  readonly best?: BestEvent;
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

/** Class of each test image and the class that the network took it for. */
export interface Predictions {
  /** [N], positions in the run's class names. */
  readonly labels: readonly number[];
  /** [N], positions in the run's class names. */
  readonly predictions: readonly number[];
}

/**
 * Reads a run's folder: the log, and the files in it that a report shows.
 *
 * @param folder Path of the run's folder, the one with `events.jsonl`.
 * @param readFile Reads a file, given `folder`, a slash and the path in the log.
 * @returns The run; {@link effectiveEvents} decides which events count.
 * @throws {RunLogError} If the log is missing or refused by `parseRunLog`;
 *   if a named file is missing (but for pictures), malformed or has another SHA-256 than
 *   the log says; or if the log's result and the predictions contradict each other.
 *
 * @example
 * ```ts
 * import { readRun, RunLogError } from "./mod.ts";
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
  readFile: (path: string) => Promise<Uint8Array> = readBounded,
): Promise<Run> {
  return runOf(await readFolder(folder, readFile));
}

/**
 * The run that a reading of its folder makes.
 *
 * @param reading As {@linkcode readFolder} gives it.
 * @returns The run; {@link effectiveEvents} decides which events count.
 * @throws {RunLogError} As {@linkcode readRun}, but for the log itself.
 */
export function runOf({ folder, log, fileOf }: FolderReading): Run {
  const verified = (file: FileReference): string => {
    const { sha256, bytes } = fileOf(file);
    if (sha256 === undefined || !bytes) {
      throw new RunLogError(
        `Reading the run in ${folder}: there is no ${file.path}, which its event log names; give the folder of a run as it was written`,
      );
    }
    if (sha256 !== file.sha256) {
      throw new RunLogError(
        `${file.path} is not the file that the event log names: its SHA-256 must be ${file.sha256}, found ${sha256}; restore the file or repeat the run`,
      );
    }
    return new TextDecoder().decode(bytes);
  };
  const { start, events, warnings } = log;
  const counted = effectiveEvents(events);
  const ofType = <T extends RunEvent["type"]>(type: T) =>
    counted.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
  const evaluations = ofType("evaluation");
  const files = ofType("file");
  const outcome = outcomeOf(events);
  const finalTest = outcome?.type === "end" ? finalTestOf(outcome, evaluations) : undefined;

  const named = <T>(kind: FileEvent["kind"], schema: z.ZodType<T>) => {
    const file = files.findLast((event) => event.kind === kind)?.file;
    return file && parseJson(file.path, verified(file), schema);
  };
  const classes = start.classes.length;
  const missing: RunWarning[] = [];
  /** Pictures of a data set may not be passed on; without them a run is read all the same. */
  const pictures = (kind: "augmented-sample" | "worst-mistakes"): ImageSample | undefined => {
    const file = files.findLast((event) => event.kind === kind)?.file;
    if (file && fileOf(file).sha256 === undefined) {
      missing.push({ message: `the pictures in ${file.path}, which the log names, are not there` });
      return undefined;
    }
    return checkSample(named(kind, imageSample), classes);
  };
  const augmentedSample = pictures("augmented-sample");
  const worstMistakes = pictures("worst-mistakes");
  const file = finalTest?.predictions;
  const predictions = file && parsePredictions(file.path, verified(file), classes);
  if (predictions) checkPredictions(file.path, predictions, finalTest);
  return {
    start,
    resumes: ofType("resume"),
    steps: ofType("step"),
    evaluations,
    checkpoints: ofType("checkpoint"),
    files,
    warnings: [...shownOf(ofType("warning")), ...warnings, ...missing],
    outcome,
    rates: ofType("rate"),
    best: ofType("best").at(-1),
    finalTest,
    predictions,
    augmentedSample,
    worstMistakes,
    layerStatistics: named("layer-statistics", layerStatistics),
  };
}

/** Warnings that a reader is shown; a log may have any number. */
const MOST_WARNINGS = 200;

function shownOf(warnings: readonly WarningEvent[]): RunWarning[] {
  const shown = warnings.slice(0, MOST_WARNINGS)
    .map(({ iteration, message }): RunWarning => ({ iteration, message }));
  const more = warnings.length - shown.length;
  return more > 0 ? [...shown, { message: `${more} more warnings stand in the log` }] : shown;
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
