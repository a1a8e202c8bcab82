/** What the parts of a run share, and the lines of its log that surround the loop. */
import { quote } from "../text/mod.ts";
import { type Engine, EngineError, type StepMetrics } from "../engine/mod.ts";
import type { StreamedFault } from "../data/mod.ts";
import { countMultiplyAdds, countParameters } from "../resnet/mod.ts";
import { firstBatch, type Shown } from "./_images.ts";
import { TrainingError } from "./_checks.ts";
import type { Watching } from "./_watching.ts";
import type { FoundCheckpoint, Progress } from "./checkpoint.ts";
import type { FileEvent, FileReference, RunStore, StartEvent } from "../log/mod.ts";
import type { TrainOptions } from "./options.ts";

/** What the parts of a run share. */
export interface Session extends Shown {
  readonly options: TrainOptions;
  readonly run: RunStore;
  /** Steps taken or queued. */
  iteration: number;
  /** Whether the folder has a checkpoint. */
  saved: boolean;
  trainingSeconds: number;
  /** Of images that are read beside the training. */
  waitingSeconds?: number;
  /** Files that could not be read, each told of once. */
  readonly leftOut: Set<string>;
  bestValidation: Progress["bestValidation"];
  readonly watching: Watching;
  /** Files of best weights that the checkpoint before the last one needs. */
  bestBefore?: string;
}

/** The first lines of the log, of a new run or of one that is gone on with. */
export async function logStart(
  session: Session,
  begun: StartEvent | undefined,
  found: FoundCheckpoint,
): Promise<void> {
  const { options, run, prepared, engine, iteration } = session;
  const { recipe, dataset, engineOptions: { graph } } = prepared;
  const { seed, stopAfter, startWeights, logEvery, versions, revision, command, plan } = options;
  const origin = {
    engine: { name: engine.name, reason: options.engineReason, device: engine.device },
    versions,
    revision,
    command,
    ...(stopAfter === undefined ? {} : { stopAfter }),
  };
  if (begun) {
    run.append({ type: "resume", iteration, ...origin });
  } else {
    run.append({
      type: "start",
      version: 2,
      run: run.name,
      recipe,
      seed,
      ...origin,
      parameters: countParameters(graph),
      multiplyAdds: countMultiplyAdds(graph),
      data: prepared.data,
      ...(startWeights
        ? { startWeights: { path: startWeights.path, sha256: startWeights.sha256 } }
        : {}),
      classes: dataset.classNames,
      logEvery,
      ...(plan === undefined ? {} : { plan }),
    });
    for (const message of dataset.warnings ?? []) warn(session, message);
  }
  if (run.tornBytes > 0) {
    warn(
      session,
      `${run.tornBytes} bytes of an unfinished or damaged line were cut off the end of the log`,
    );
  }
  for (const message of found.passedOver) warn(session, message);
  const before = (run.earlier.findLast((event) => event.type === "resume") ?? begun)?.engine;
  if (before && iteration > 0) {
    for (const [what, was, is] of changesOf(before, engine)) {
      warn(
        session,
        `the ${what} was ${was}, from iteration ${
          iteration + 1
        } on it is ${is}: the weights differ in rounding from those of either alone`,
      );
    }
  }
  if (iteration === 0) {
    // The start before any file: what has files and an empty log can't be told from somebody's.
    run.sync();
    const sample = await firstBatch(prepared);
    await record(run, "split", "split.json", prepared.splitFile);
    await record(run, "augmented-sample", "augmented-sample.json", JSON.stringify(sample));
  }
  run.sync();
  options.onStart?.({
    ...{ iteration, iterations: recipe.schedule.iterations, graph, engine, dataset },
    split: { training: prepared.training.length, validation: prepared.validation.length },
  });
}

/** What of an engine was another before, where that is a choice and not the machine's. */
function changesOf(
  before: Pick<Engine, "name" | "device">,
  now: Pick<Engine, "name" | "device">,
): [what: string, was: unknown, is: unknown][] {
  const changes: [string, unknown, unknown][] = [["engine", before.name, now.name]];
  const [had, has] = [before.device.details, now.device.details];
  // Another engine's way to convolve is its own; one that says nothing of precision has one alone.
  if (before.name === now.name) changes.push(["convolution", had.convolution, has.convolution]);
  changes.push(["precision", had.precision ?? "single", has.precision ?? "single"]);
  return changes.filter(([_, was, is]) => was !== is && was !== undefined && is !== undefined);
}

/** Writes a file that a report shows, and logs it. */
export async function record(
  run: RunStore,
  kind: FileEvent["kind"],
  name: string,
  content: Uint8Array | string,
): Promise<FileReference> {
  const file = await run.write(name, content);
  run.append({ type: "file", kind, file });
  return file;
}

/** Logs and shows something that a reader of the result should know. */
export function warn({ run, options, iteration }: Session, message: string): void {
  run.append({ type: "warning", iteration, message });
  options.onWarning?.(message);
}

/** Logs a step of mixed precision whose gradients were not finite. */
export function warnOfSkipped(session: Session, { iteration, lossScale = NaN }: StepMetrics): void {
  warn(
    { ...session, iteration },
    `a gradient left half precision's range: the step was skipped and the loss's scale halved, from ${lossScale} to ${
      lossScale / 2
    }`,
  );
}

/** Says once of each file that could not be read that it was left out. */
export function leaveOut(session: Session, faults: readonly StreamedFault[]): void {
  const { leftOut } = session;
  for (const { path, reason } of faults) {
    if (leftOut.has(path)) continue;
    leftOut.add(path);
    warn(session, `${quote(path)} was left out, file ${leftOut.size} so far: ${reason}`);
  }
}

/** Logs why a run broke off; returns the error to throw, with what can be done next. */
export function logFailure(
  { options, run, iteration, saved }: Session,
  error: unknown,
): unknown {
  const reason = error instanceof Error ? error.message : String(error);
  try {
    const diverged = error instanceof TrainingError ? { diverged: true as const } : {};
    run.append({ type: "failure", iteration, reason, ...diverged });
    run.sync();
  } catch (unlogged) {
    // Most likely a full disk; the first error is the one that matters.
    options.onWarning?.(`the failure could not be logged: ${unlogged}`);
  }
  if (!(error instanceof EngineError)) return error;
  return new EngineError(
    saved
      ? `${reason}. What was saved is whole: the same command goes on with the run in "${options.out}" from its last checkpoint`
      : `${reason}. No checkpoint was written yet: the same command begins the run in "${options.out}" anew`,
    { cause: error },
  );
}
