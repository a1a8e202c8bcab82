/** A run's result as data: what `result.json` holds. */
import type { DeviceDescription } from "../../engine/mod.ts";
import type { BestEvent, DataRecord, LogSubject, Predictions, Run } from "../../log/mod.ts";
import { type Departure, departuresOf } from "../../recipes/mod.ts";
import { differencesFromPaper } from "../_paper.ts";
import { type RunChecklist, runChecklist } from "./judged.ts";
import { type Interval, wilsonInterval } from "../../verdicts/mod.ts";

/** What came out of a run, and what one must know to judge it. Errors are shares, 0 to 1. */
export interface RunResult {
  /** Version of this form. */
  readonly version: 1;
  /** The run's name. */
  readonly run: string;
  /** How far the run came. */
  readonly completeness: Completeness;
  /** Why a stopped or failed run ended. */
  readonly reason?: string;
  /** The result: the test error after the last step; null where the run did not finish. */
  readonly testError: TestError | null;
  /** The same, of labels that are not among the five likeliest classes; null with few classes. */
  readonly topFiveError: TestError | null;
  /** The paper's own run in every field that the paper decides, or why not. */
  readonly paperRun: { readonly is: boolean; readonly differences: readonly string[] };
  /** The network, by the recipe's name for it. */
  readonly architecture: {
    readonly name: string;
    readonly parameters: number;
    /** Of one image. */
    readonly multiplyAdds: number;
  };
  /** With the notice, the error floor and the linear model's error of built-in data. */
  readonly data: DataRecord;
  /** Decides initialisation, split and batches. */
  readonly seed: number;
  /** The recipe's name, and every field in which it differs from the paper's. */
  readonly recipe: { readonly name: string; readonly departures: readonly Departure[] };
  /** Lowest validation error; for information, never the result. */
  readonly bestValidation: { readonly iteration: number; readonly error: number } | null;
  /** The best weights by the value that the recipe names, on the test set; never the result. */
  readonly best:
    | Pick<
      BestEvent,
      "iteration" | "watched" | "value" | "error" | "errors" | "error5" | "errors5"
    >
    | null;
  /** Whether early stopping ended the training before the schedule's most steps. */
  readonly stoppedEarly: boolean;
  /** By label, in label order; null without predictions. */
  readonly perClass: readonly ClassError[] | null;
  /** [label][prediction], images; null without predictions. */
  readonly confusion: readonly (readonly number[])[] | null;
  /** Training steps taken. */
  readonly iterations: number;
  /** Seconds over all resumes; null where the run did not finish. */
  readonly trainingSeconds: number | null;
  /** Of images that are read beside the training: how its steps' seconds were spent; else null. */
  readonly waiting: { readonly waitingSeconds: number; readonly computingSeconds: number } | null;
  /** Training images a second: the median over the log's step events. */
  readonly imagesPerSecond: number | null;
  /** Every engine that the weights come from, in order; checkpoints fit all of them. */
  readonly engines: readonly EngineShare[];
  /** Name of the engine; like device, versions and revision that of the last process. */
  readonly engine: string;
  /** What the engine ran on. */
  readonly device: DeviceDescription;
  /** Of the runtime and the libraries. */
  readonly versions: Readonly<Record<string, string>>;
  /** Of the working copy; null where there was none. */
  readonly revision: string | null;
  /** How often the run went on from a checkpoint. */
  readonly resumes: number;
  /** What a reader of the result should know. */
  readonly warnings: readonly string[];
  /** What the checklist says of the run, and which version of it. */
  readonly checklist: RunChecklist;
  /** Of the final weights' file; null where the run did not finish. */
  readonly weightsSha256: string | null;
}

/** How far a run came; `unfinished`: its log breaks off (killed, or still running). */
export type Completeness = "finished" | "stopped" | "failed" | "unfinished";

/** The iterations that one engine did, both included; several processes on it are one. */
export interface EngineShare {
  /** The engine's name. */
  readonly name: string;
  /** The first iteration. */
  readonly from: number;
  /** The last iteration. */
  readonly to: number;
}

/** A test error with the Wilson interval that the number of images leaves. */
export interface TestError {
  /** errors / images. */
  readonly error: number;
  /** Misclassified test images. */
  readonly errors: number;
  /** All test images. */
  readonly images: number;
  /** Wilson interval at 95%. */
  readonly interval: Interval;
}

/** How often the images of one class were misclassified. */
export interface ClassError {
  /** The class's name. */
  readonly name: string;
  /** Test images with this label. */
  readonly images: number;
  /** Those of them that were taken for another class. */
  readonly errors: number;
  /** Null for a class without test images. */
  readonly error: number | null;
}

/**
 * The result of a run.
 *
 * @param run A run, as `readRun` gives it.
 * @param log The same for the checklist.
 * @returns The content of `result.json`.
 */
export function runResult(run: Run, log: LogSubject): RunResult {
  const { start, outcome, finalTest, steps } = run;
  const { classes } = start;
  const confusion = run.predictions ? confusionMatrix(run.predictions, classes.length) : null;
  const end = outcome?.type === "end" ? outcome : undefined;
  const { engine, versions, revision } = run.resumes.at(-1) ?? start;
  const differences = differencesFromPaper(run);
  const iterations = outcome?.iteration ?? steps.at(-1)?.iteration ?? 0;
  return {
    version: 1,
    run: start.run,
    completeness: completenessOf(outcome),
    ...(outcome && "reason" in outcome ? { reason: outcome.reason } : {}),
    testError: testErrorOf(finalTest?.errors, finalTest?.images),
    topFiveError: testErrorOf(finalTest?.errors5, finalTest?.images),
    paperRun: { is: differences.length === 0, differences },
    architecture: {
      name: start.recipe.architecture.name,
      parameters: start.parameters,
      multiplyAdds: start.multiplyAdds,
    },
    data: start.data,
    seed: start.seed,
    recipe: { name: start.recipe.name, departures: departuresOf(start.recipe) },
    bestValidation: bestValidation(run),
    best: bestOf(run),
    stoppedEarly: end?.stoppedEarly ?? false,
    perClass: confusion?.map((row, label) => classError(classes[label], row, label)) ?? null,
    confusion,
    iterations,
    trainingSeconds: end?.trainingSeconds ?? null,
    waiting: waitingOf(run),
    imagesPerSecond: median(steps.map((step) => step.imagesPerSecond)),
    engines: enginesOf(run, iterations),
    engine: engine.name,
    device: engine.device,
    versions,
    revision,
    resumes: run.resumes.length,
    warnings: run.warnings.map(({ message }) => message),
    checklist: runChecklist(run, log),
    weightsSha256: end?.weightsSha256 ?? null,
  };
}

/** A test error of so many images; null where it is not known. */
export function testErrorOf(errors: number | undefined, images = 0): TestError | null {
  if (errors === undefined) return null;
  return { error: errors / images, errors, images, interval: wilsonInterval(errors, images) };
}

/**
 * How often each class was taken for each.
 *
 * @param predictions Labels and predictions, both [N].
 * @param classes Number of classes.
 * @returns [label][prediction], images.
 *
 * @example
 * ```ts
 * import { confusionMatrix } from "./result.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const matrix = confusionMatrix({ labels: [0, 0, 1], predictions: [0, 1, 1] }, 2);
 * assertEquals(matrix, [[1, 1], [0, 1]]);
 * ```
 */
export function confusionMatrix(
  { labels, predictions }: Predictions,
  classes: number,
): number[][] {
  const matrix = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  labels.forEach((label, i) => matrix[label][predictions[i]]++);
  return matrix;
}

function classError(name: string, row: readonly number[], label: number): ClassError {
  const images = row.reduce((sum, count) => sum + count, 0);
  const errors = images - row[label];
  return { name, images, errors, error: images > 0 ? errors / images : null };
}

function completenessOf(outcome: Run["outcome"]): Completeness {
  switch (outcome?.type) {
    case "end":
      return "finished";
    case "stop":
      return "stopped";
    case "failure":
      return "failed";
    case undefined:
      return "unfinished";
  }
}

/** A resume takes back what was done after its checkpoint, whichever engine did it. */
function enginesOf({ start, resumes }: Run, iterations: number): EngineShare[] {
  const shares: EngineShare[] = [];
  let to = iterations;
  // Backwards: a process keeps what the ones after it did not take back.
  for (const { engine, iteration } of [{ ...start, iteration: 0 }, ...resumes].toReversed()) {
    if (iteration >= to) continue;
    const later = shares[0]?.name === engine.name ? shares.shift() : undefined;
    shares.unshift({ name: engine.name, from: iteration + 1, to: later?.to ?? to });
    to = iteration;
  }
  return shares;
}

function waitingOf({ steps }: Run): RunResult["waiting"] {
  const timed = steps.filter((step) => step.waitingSeconds !== undefined);
  if (timed.length === 0) return null;
  const sum = (of: "waitingSeconds" | "computingSeconds") =>
    timed.reduce((sum, step) => sum + (step[of] ?? 0), 0);
  return { waitingSeconds: sum("waitingSeconds"), computingSeconds: sum("computingSeconds") };
}

/** The first of the lowest validation errors, taken from the evaluations themselves. */
function bestValidation({ evaluations }: Run): RunResult["bestValidation"] {
  let best: RunResult["bestValidation"] = null;
  for (const { set, iteration, error } of evaluations) {
    if (set === "validation" && (!best || error < best.error)) best = { iteration, error };
  }
  return best;
}

function bestOf({ best }: Run): RunResult["best"] {
  if (!best) return null;
  const { iteration, watched, value, error, errors, error5, errors5 } = best;
  return {
    ...{ iteration, watched, value, error, errors },
    ...(errors5 === undefined ? {} : { error5, errors5 }),
  };
}

function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
