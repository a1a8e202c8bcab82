/** What the log rules look at: the event log of one run, and the files that it names. */
import type { SplitManifest } from "../data/mod.ts";
import { layerStatistics } from "./_schema.ts";
import { parseJson, RunLogError } from "./parse_log.ts";
import { parsePredictions, type Predictions } from "./read_run.ts";
import { type FolderReading, readBounded, readFolder } from "./reading.ts";
import {
  type BestEvent,
  type CheckpointEvent,
  effectiveEvents,
  type EndEvent,
  type EvaluationEvent,
  type FileEvent,
  type FileReference,
  type LayerStatistics,
  type RateEvent,
  type RunEvent,
  type StartEvent,
  type StepEvent,
  type WarmUpEndEvent,
} from "./events.ts";

/** One run. What a run lacks makes the rules that need it "not observable". */
export interface LogSubject {
  /** Every line of the event log, in its order; the first is the start. */
  readonly events?: readonly RunEvent[];
  /** The split's lists, as the run's file has them. */
  readonly split?: SplitManifest;
  /** Labels and predictions of the final test. */
  readonly predictions?: Predictions;
  /** Responses of the layers, Figure 7's measure. */
  readonly layerStatistics?: LayerStatistics;
  /** The files that the log names, but for the checkpoints. */
  readonly files?: readonly NamedFile[];
}

/** What a file's problem is where there is no such file. */
export const MISSING = "it is missing";

/** A file that a log names, and what was found. */
export interface NamedFile {
  /** Relative to the run's folder. */
  readonly path: string;
  /** What is wrong with the file; undefined where it is the one that the log names. */
  readonly problem?: string;
}

/** A log sorted by what its lines say; of lines that were written again the later counts. */
export interface LoggedRun {
  /** Every line. */
  readonly events: readonly RunEvent[];
  /** What was trained, on what. */
  readonly start: StartEvent;
  /** By iteration. */
  readonly steps: readonly StepEvent[];
  /** The rate's changes, by iteration; a log of version 1 has none. */
  readonly rates: readonly RateEvent[];
  /** On validation and test images, by iteration. */
  readonly evaluations: readonly EvaluationEvent[];
  /** By iteration. */
  readonly checkpoints: readonly CheckpointEvent[];
  /** In the order in which they were written. */
  readonly files: readonly FileEvent[];
  /** The end of ResNet-110's warm-up. */
  readonly warmUpEnd?: WarmUpEndEvent;
  /** The best weights, where the recipe keeps them. */
  readonly best?: BestEvent;
  /** Of a finished run. */
  readonly end?: EndEvent;
}

/**
 * The subject that a run's folder makes.
 *
 * @param folder Path of the run's folder, the one with `events.jsonl`.
 * @param readFile Reads a file, given `folder`, a slash and the path in the log.
 * @returns The log and what its files hold. A file that is missing, or is another
 *   than the log names, is no error: a rule judges it.
 * @throws {RunLogError} If the log is missing or is refused by `parseRunLog`.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import { logSubjectOf, RunLogError } from "./mod.ts";
 *
 * const readFile = () => Promise.resolve(new TextEncoder().encode('{"type":"begin"}\n'));
 * await assertRejects(() => logSubjectOf("runs/a", readFile), RunLogError, "line 1");
 * ```
 */
export async function logSubjectOf(
  folder: string,
  readFile: (path: string) => Promise<Uint8Array> = readBounded,
): Promise<LogSubject> {
  return subjectOfReading(await readFolder(folder, readFile));
}

/**
 * The subject that a reading of a run's folder makes.
 *
 * @param reading As {@linkcode readFolder} gives it.
 * @returns The log and what its files hold; what is wrong with one is for a rule to judge.
 */
export function subjectOfReading({ log: { events }, fileOf }: FolderReading): LogSubject {
  const run = loggedRun(events);
  const files: NamedFile[] = [];
  /** The file's bytes, where it is the one that the log names. */
  const readNamed = (file: FileReference): Uint8Array | undefined => {
    const found = fileOf(file);
    const problem = found.sha256 === undefined
      ? MISSING
      : found.sha256 !== file.sha256
      ? `its SHA-256 is ${found.sha256}, the log says ${file.sha256}`
      : undefined;
    files.push({ path: file.path, problem });
    return problem ? undefined : found.bytes;
  };
  /** What a file holds; a file that does not parse is as good as none. */
  const parseNamed = <T>(
    file: FileReference | undefined,
    parse: (text: string) => T,
  ): T | undefined => {
    const bytes = file && readNamed(file);
    try {
      return bytes && parse(new TextDecoder().decode(bytes));
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof RunLogError)) throw error;
      const { path } = files.pop()!;
      files.push({ path, problem: error.message });
    }
  };

  const named = (kind: FileEvent["kind"]) => run.files.findLast((file) => file.kind === kind)?.file;
  const split = parseNamed(named("split"), parseManifest);
  const tested = finalTestOf(run)?.predictions;
  const predictions = parseNamed(
    tested,
    (text) => parsePredictions(tested!.path, text, run.start.classes.length),
  );
  const responses = named("layer-statistics");
  const statistics = parseNamed(
    responses,
    (text) => parseJson(responses!.path, text, layerStatistics),
  );
  for (const { kind, file } of run.files) {
    if (kind !== "split" && kind !== "layer-statistics") readNamed(file);
  }
  if (run.best) readNamed(run.best.file);
  return {
    ...{ events, split, predictions, files },
    ...(statistics ? { layerStatistics: statistics } : {}),
  };
}

/** @throws {SyntaxError} If the text is no split's manifest. */
function parseManifest(text: string): SplitManifest {
  const manifest = JSON.parse(text);
  for (const name of ["training", "validation"]) {
    const { count, sha256, indices } = manifest?.[name] ?? {};
    if (
      typeof count !== "number" || typeof sha256 !== "string" || typeof indices !== "string"
    ) {
      throw new SyntaxError(`its ${name} list must have a count, a sha256 and indices`);
    }
  }
  return manifest;
}

/** Every rule asks for the same. */
const sorted = new WeakMap<readonly RunEvent[], LoggedRun>();

/** A log sorted by what its lines say. */
export function loggedRun(events: readonly RunEvent[]): LoggedRun {
  const known = sorted.get(events);
  if (known) return known;
  const run = sortedRun(events);
  sorted.set(events, run);
  return run;
}

function sortedRun(events: readonly RunEvent[]): LoggedRun {
  const counted = effectiveEvents(events);
  const ofType = <T extends RunEvent["type"]>(type: T) =>
    counted.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type);
  return {
    events,
    start: ofType("start")[0],
    steps: ofType("step"),
    rates: ofType("rate"),
    evaluations: ofType("evaluation"),
    checkpoints: ofType("checkpoint"),
    files: ofType("file"),
    warmUpEnd: ofType("warm-up-end").at(-1),
    best: ofType("best").at(-1),
    end: ofType("end").at(-1),
  };
}

/** The step with which a run's training is over: the recipe's last, or that of its early stopping. */
export function lastStepOf({ start: { recipe }, end }: Pick<LoggedRun, "start" | "end">): number {
  return end?.stoppedEarly && recipe.best?.stopAfter !== undefined
    ? end.iteration
    : recipe.schedule.iterations;
}

/** The last evaluation on the test set. */
export function finalTestOf({ evaluations }: LoggedRun): EvaluationEvent | undefined {
  return evaluations.findLast(({ set }) => set === "test");
}
