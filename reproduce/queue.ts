/**
 * The queue of a job: the runs of its plan, one after the other. Its state is
 * that of the runs' folders and nothing else, so that it survives any kill and
 * any number of processes can work on it.
 */
import { join } from "node:path";
import type { Dataset } from "../data/mod.ts";
import type { EngineChoice } from "../engine/mod.ts";
import { canonicalJson, planHash, plannedRecipe, type ReproductionPlan } from "../verdicts/mod.ts";
import { RunError, RunFolder, RunInUseError } from "../log/mod.ts";
import {
  type Started,
  type StoppedResult,
  train,
  TrainingError,
  type TrainOptions,
  type TrainProgress,
} from "../train/mod.ts";
import { checkRun, isOver, type RunState, runState } from "./check_run.ts";
import { ReproductionError } from "./errors.ts";
import { type PlannedRun, plannedRun, plannedRuns, RUNS_FOLDER } from "./planned.ts";

/** What a job needs; the training's options but those that the plan decides. */
export interface QueueOptions extends
  Pick<
    TrainOptions,
    | "dataset"
    | "threads"
    | "convolution"
    | "versions"
    | "revision"
    | "command"
    | "signal"
    | "onWarning"
  > {
  /** The job's folder; the runs go into its `runs/`. */
  readonly folder: string;
  /** What is done. */
  readonly plan: ReproductionPlan;
  /** Chooses what computes; called before each run that has steps to take, and never without. */
  readonly engine: () => Promise<EngineChoice>;
  /** Only the run at this place of the plan, from 0; all when undefined. */
  readonly index?: number;
  /** Called whenever a run's place in the queue is learnt, and with each change of it. */
  readonly onQueue?: (runs: readonly QueuedRun[]) => void;
  /** Called before a run's first step of this process, with why its engine was chosen. */
  readonly onStart?: (run: PlannedRun, start: Started, engineReason: string) => void;
  /** Called several times a second at most. */
  readonly onProgress?: (run: PlannedRun, progress: TrainProgress) => void;
}

/** A run in the queue. */
export interface QueuedRun extends PlannedRun {
  /** Path of its folder. */
  readonly folder: string;
  /** `running`: in this process; `elsewhere`: in another one. */
  readonly state: RunState | "running" | "elsewhere";
}

/** What the queue came to. */
export interface QueueResult {
  /** Every run of the plan, in its order. */
  readonly runs: readonly QueuedRun[];
  /** The run that was stopped, where the queue was asked to stop. */
  readonly stopped?: StoppedResult;
}

/** Lines of the log in the shortest of trainings; long ones have one every 100 steps. */
const FEWEST_LINES = 30;
const LOG_EVERY = 100;
/** Milliseconds by which clocks that are set may differ. */
const MOST_EARLY = 60_000;

/**
 * Does the runs of a plan that are not over, in its order; or one of them.
 *
 * Each run goes on by itself where it was stopped or killed. A run that another
 * process works on is left to it, and looked at once more at the end: nothing is
 * waited for. A run whose loss or weights are no longer finite is over, and
 * counts as diverged. Any other failure ends the queue; the same call goes on.
 *
 * Processes exclude each other by a lock on a file of the run's folder, which
 * the operating system frees when a process ends, however it ends. Several
 * machines can share a folder on a file system that carries `flock` between
 * them (NFS and CephFS do, Lustre where it is mounted so). On one that does not,
 * such as a bucket mounted as a folder, give each run to one machine alone.
 *
 * @param options The plan, the folder, and what computes.
 * @returns Where every run stands now.
 * @throws {ReproductionError} If a run is not what the plan and its log say, see
 *   `checkRun`, the images are not those of the plan, there is no such index, or
 *   the clock stands before the time of the plan.
 * @throws {EngineError | RunError} If the engine or the disk gives out.
 */
export async function runQueue(options: QueueOptions): Promise<QueueResult> {
  const { folder, plan, index, signal, onQueue } = options;
  const asked = index === undefined ? plannedRuns(plan) : [plannedRun(plan, index)];
  const queue = new Map<string, QueuedRun>();
  for (const run of plannedRuns(plan)) {
    const path = join(folder, RUNS_FOLDER, run.name);
    queue.set(run.name, { ...run, folder: path, state: await runState(path) });
  }
  for (const { name } of asked) {
    const run = queue.get(name)!;
    // Rather now than after days of training the others.
    if (isFinal(run)) await checkRun(run.folder, plan);
  }
  const note = ({ name }: PlannedRun, state: QueuedRun["state"]) => {
    queue.set(name, { ...queue.get(name)!, state });
    onQueue?.([...queue.values()]);
  };
  onQueue?.([...queue.values()]);

  let again: boolean;
  do {
    again = false;
    for (const { name } of asked) {
      const run = queue.get(name)!;
      if (isFinal(run)) continue;
      if (signal?.aborted) return { runs: [...queue.values()] };
      const done = await doRun(run, options, (state) => note(run, state));
      if (typeof done === "object") return { runs: [...queue.values()], stopped: done };
      note(run, done);
      // While it was done, others may have ended, or been killed.
      again ||= done !== "elsewhere" && asked.length > 1;
    }
  } while (again);
  return { runs: [...queue.values()] };
}

function isFinal({ state }: QueuedRun): boolean {
  return state !== "running" && state !== "elsewhere" && isOver(state);
}

/** One run, from its first step or its last checkpoint. */
async function doRun(
  run: QueuedRun,
  options: QueueOptions,
  note: (state: "running") => void,
): Promise<RunState | "elsewhere" | StoppedResult> {
  const { plan, folder: _, index: __, onQueue: ___, onStart, onProgress, ...training } = options;
  const { seed, folder } = run;
  let store: RunFolder;
  try {
    store = await RunFolder.open(folder);
  } catch (error) {
    if (error instanceof RunInUseError) return "elsewhere";
    // Where its log is at fault, that says so by the run's name.
    if (error instanceof RunError) await checkRun(folder, plan);
    throw error;
  }
  try {
    // Under the lock: another process may have ended the run meanwhile.
    const { state } = await checkRun(folder, plan);
    if (isOver(state)) return state;
    if (store.earlier.length === 0) await waitForPlan(plan);
    note("running");
    const logEvery = Math.max(1, Math.min(LOG_EVERY, Math.floor(plan.iterations / FEWEST_LINES)));
    const { factory, reason } = await options.engine();
    const result = await train({
      ...training,
      ...{ engine: factory, engineReason: reason },
      ...{ recipe: plannedRecipe(plan, run), seed, out: folder, plan: planHash(plan) },
      dataset: async () => requirePlanned(await training.dataset(), plan),
      open: () => Promise.resolve(store),
      ...{ logEvery, evalEvery: 10 * logEvery, checkpointEvery: 10 * logEvery },
      onStart: (start) => onStart?.(run, start, reason),
      onProgress: (progress) => onProgress?.(run, progress),
    });
    return result.outcome === "stopped" ? result : "finished";
  } catch (error) {
    if (error instanceof TrainingError) return "diverged";
    throw error;
  } finally {
    await store.close();
  }
}

/**
 * A run must begin after its plan was written. Two machines' clocks may differ by seconds; one that
 * was set back must be set right now, rather than the claim be found void after days of training.
 *
 * @throws {ReproductionError} If the plan is of more than a minute from now.
 */
async function waitForPlan({ written }: ReproductionPlan): Promise<void> {
  const early = Date.parse(written) - Date.now();
  if (early > MOST_EARLY) {
    throw new ReproductionError(
      `beginning a run: its plan was written at ${written}, and the clock stands at ${
        new Date().toISOString()
      }; set the clock, or write another plan with another --out`,
    );
  }
  if (early > 0) await new Promise((resolve) => setTimeout(resolve, early + 1));
}

/** @throws {ReproductionError} If the images are not those of the plan. */
function requirePlanned(dataset: Dataset, { dataHashes }: ReproductionPlan): Dataset {
  if (canonicalJson(dataset.hashes) === canonicalJson(dataHashes)) return dataset;
  const names = new Set([...Object.keys(dataHashes), ...Object.keys(dataset.hashes)]);
  const other = [...names].find((name) => dataHashes[name] !== dataset.hashes[name])!;
  throw new ReproductionError(
    `training on ${dataset.name}: the SHA-256 of "${other}" must be ${
      dataHashes[other] ?? "none"
    }, as planned, found ${dataset.hashes[other] ?? "none"}; give the planned data with --data`,
  );
}
