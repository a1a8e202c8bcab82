/** The training loop: one run from its first step, or its last checkpoint, to its result. */
import { DataError } from "../data/mod.ts";
import { type BatchPlan, strictAverages } from "../engine/mod.ts";
import { number } from "../text/mod.ts";
import { encodeSafetensors } from "../weights/mod.ts";
import { layerStatistics, predictionsCsv } from "./_artefacts.ts";
import {
  evaluated,
  fedBatch,
  loadedFirst,
  mistakesOf,
  photographFacts,
  responseImages,
  scoresOf,
} from "./_images.ts";
import {
  checkOptions,
  inOrder,
  requireFiniteLoss,
  requireFiniteState,
  requireUsefulScale,
} from "./_checks.ts";
import { finishedBefore, refuseOtherData, startOf } from "./_identity.ts";
import { firstState, prepare, type Prepared, type TrainableRecipe } from "./_prepare.ts";
import {
  leaveOut,
  logFailure,
  logStart,
  record,
  type Session,
  warn,
  warnOfSkipped,
} from "./_session.ts";
import { Watching } from "./_watching.ts";
import { forgetBest, keepBest, readKept, scoreBest } from "./_best.ts";
import { Window } from "./_window.ts";
import { newestCheckpoint, type Progress, saveCheckpoint, weightMetadata } from "./checkpoint.ts";
import { effectiveEvents, type RateEvent, RunError, type RunEvent, RunFolder } from "../log/mod.ts";
import type { FinishedResult, StoppedResult, TrainOptions, TrainResult } from "./options.ts";
import { changesAtTimes, Epochs, learningRate, WARM_UP_WINDOW, WarmUp } from "../recipes/mod.ts";

/** The final weights' name in a run's folder. */
export const WEIGHTS_FILE = "weights.safetensors";

/** Steps are queued for about this long before the loop looks at signals again. */
const QUEUE_SECONDS = 0.2;
const QUEUE_STEPS = 1000;
/** In the place of a step's images. */
const UNREADABLE: unique symbol = Symbol("unreadable");

/**
 * Trains a network by a recipe, or goes on with a run that was stopped or
 * killed: to the same weights, bit for bit, as one that was never stopped on
 * the same engine and machine.
 *
 * The folder gets the event log, checkpoints, the split, samples of images,
 * the test predictions and the final weights. The result is the test error of
 * the last step; the test set is not looked at before. Where the recipe keeps
 * the best weights too, they are scored after it, beside the result.
 *
 * @param options What to train, on what, and where to.
 * @returns How the run ended; at once, where it had finished before.
 * @throws {RecipeError} If the recipe can't be trained.
 * @throws {RunError} If the folder can't be used, or holds another run.
 * @throws {TrainingError} If the loss or the state is no longer finite. The last
 *   good checkpoint is kept.
 *
 * @example
 * ```ts ignore
 * const result = await train({
 *   recipe: paper("resnet20"),
 *   seed: 0,
 *   dataset: () => loadDataset("cifar10", {}),
 *   engine: tfjsEngine,
 *   engineReason: "asked for",
 *   out: "runs/resnet20-cifar10-seed0",
 *   logEvery: 100,
 *   evalEvery: 1000,
 *   checkpointEvery: 1000,
 *   versions: { deno: Deno.version.deno },
 *   revision: null,
 *   command: [],
 * });
 * ```
 */
export async function train(options: TrainOptions): Promise<TrainResult> {
  checkOptions(options);
  await using run = await (options.open ?? RunFolder.open)(options.out);
  const begun = startOf(run, options);
  const before = finishedBefore(run);
  if (before) return before;
  // As it was begun: the recipe asked for may differ in the wording of its reasons.
  const recipe = (begun?.recipe ?? inOrder(options.recipe)) as TrainableRecipe;
  const dataset = await options.dataset();
  using _stream = dataset.stream;
  let prepared: Prepared;
  try {
    prepared = await prepare(recipe, dataset, options);
  } catch (error) {
    if (!isStop(options, error)) throw error;
    // While the images were measured; what was kept before is as it was.
    const { iteration = 0 } = run.earlier.findLast((event) => event.type === "checkpoint") ?? {};
    return { outcome: "stopped", folder: options.out, iteration, reason: String(error) };
  }
  if (begun) refuseOtherData(run, begun.data, prepared.data);

  const { engineOptions, identity, normalisation } = prepared;
  const found = await newestCheckpoint(run, engineOptions.graph, identity);
  const first = found.checkpoint
    ? undefined
    : firstState(prepared, options.seed, options.startWeights);
  const state = found.checkpoint?.state ?? first!.state;
  const progress = found.checkpoint?.progress;
  const watching = new Watching(recipe, new Epochs(recipe), progress?.watching);
  // Then the test alone is left, and the same command has to come to its end.
  const isTrained = state.iteration === recipe.schedule.iterations || watching.hasEnded;
  if (options.stopAfter === state.iteration && !isTrained) {
    // It had stopped there, and was killed before it said so, or the command is given again.
    const reason = `--stop-after ${options.stopAfter}`;
    return { outcome: "stopped", folder: options.out, iteration: state.iteration, reason };
  }
  if (options.stopAfter !== undefined && options.stopAfter < state.iteration) {
    throw new RunError(
      `the run in "${options.out}" was to stop after iteration ${options.stopAfter}; it stands at ${state.iteration} already. Give a later --stop-after, or none`,
    );
  }
  const engine = await options.engine.create(engineOptions);
  try {
    await engine.load({ ...loadedFirst(prepared), normalisation });
    await engine.importState(state);
    const { trainingSeconds = 0, waitingSeconds, bestValidation } = progress ?? {};
    const { iteration } = state;
    const session: Session = {
      ...{ options, run, prepared, engine },
      ...{ iteration, trainingSeconds, bestValidation, saved: found.checkpoint !== undefined },
      ...{ waitingSeconds, leftOut: new Set<string>(), signal: options.signal },
      leaveOut: (faults) => leaveOut(session, faults),
      watching,
      bestBefore: watching.kept?.file.path,
    };
    try {
      await logStart(session, begun, found);
      if (first?.replaced) warn(session, first.replaced);
      await readKept(session);
      return await loop(session, progress) ?? await finish(session);
    } catch (error) {
      if (isStop(options, error)) return stopped(session, String(error));
      throw logFailure(session, error);
    }
  } finally {
    engine.dispose();
  }
}

/** Whether an error is the reason for which the run was asked to stop. */
function isStop({ signal }: TrainOptions, error: unknown): boolean {
  return signal?.aborted === true && error === signal.reason;
}

/** The end of a run that was asked to stop, once its state is saved. */
function stopped({ options, run, iteration }: Session, reason: string): StoppedResult {
  run.append({ type: "stop", iteration, reason });
  run.sync();
  return { outcome: "stopped", folder: options.out, iteration, reason };
}

/** Takes the steps that are left; a result only where the run was asked to stop. */
async function loop(
  session: Session,
  progress: Progress | undefined,
): Promise<StoppedResult | undefined> {
  const { options, run, prepared, engine, watching } = session;
  const { recipe, batches, validation, identity } = prepared;
  const { schedule } = recipe;
  const epochs = new Epochs(recipe);
  const { logEvery, evalEvery, checkpointEvery, stopAfter = Infinity, signal } = options;
  const window = new Window(progress?.window);
  const warmUp = new WarmUp(schedule, progress?.warmUp);
  let rate = rateBefore(run.earlier, session.iteration);
  const rateOf = (step: number) =>
    watching.rate ?? learningRate(schedule, step, warmUp.ended, epochs);
  let queueLength = 1; // One step first, to measure how long it takes.
  let yielded = performance.now();
  let savedAt = session.iteration;

  const save = async (unvalidated?: true) => {
    const state = await engine.exportState();
    requireFiniteState(state, session.saved);
    const { trainingSeconds, waitingSeconds, bestValidation } = session;
    const progress = {
      window: window.state,
      warmUp: warmUp.state,
      trainingSeconds,
      ...(waitingSeconds === undefined ? {} : { waitingSeconds }),
      bestValidation,
      watching: watching.state,
      ...(unvalidated ? { unvalidated } : {}),
    };
    await saveCheckpoint(run, { state, progress }, identity);
    session.saved = true;
    savedAt = session.iteration;
    await forgetBest(session);
  };
  /** Images that can't be read end a training, and cost none of its steps. */
  const keptBefore = async ({ message }: DataError, unvalidated?: true) => {
    if (savedAt < session.iteration) await save(unvalidated);
    if (session.iteration === 0) return new DataError(message);
    const { iteration } = session;
    return new DataError(
      `${message}. The state is kept: the same command goes on from iteration ${number(iteration)}`,
    );
  };

  /** Evaluates what is held out where that is due, and decides what hangs on it. */
  const validate = async (iteration: number, isDue: boolean) => {
    let validated: { readonly loss: number; readonly error: number } | undefined;
    if (validation.length > 0 && (isDue || watching.needsValidation(iteration))) {
      const found = await evaluated(session, "validation").catch(async (error) => {
        if (isStop(options, error) && savedAt < session.iteration) await save(true);
        throw error instanceof DataError ? await keptBefore(error, true) : error;
      });
      const scores = scoresOf(session, found);
      const { error, loss } = scores;
      run.append({ type: "evaluation", iteration, set: "validation", ...scores });
      const best = session.bestValidation?.error ?? Infinity;
      if (error < best) session.bestValidation = { iteration, error };
      validated = { loss, error };
    }
    if (iteration === watching.next(iteration - 1)) {
      const { better } = watching.look(iteration, validated);
      if (better) await keepBest(session, better.value);
    }
    return validated?.error;
  };
  const log = () => {
    if (window.state.steps === 0) return;
    run.append({ type: "step", iteration: session.iteration, ...window.means() });
    window.reset();
  };
  if (progress?.unvalidated) {
    await validate(session.iteration, true);
    if (watching.hasEnded) log();
    await save();
  }

  while (session.iteration < schedule.iterations && !watching.hasEnded) {
    // Queue steps up to the next iteration at which something else is due.
    const due = [logEvery, evalEvery, checkpointEvery, warmUp.ended ? Infinity : WARM_UP_WINDOW]
      .map((every) => session.iteration - session.iteration % every + every);
    const queued = session.iteration + queueLength;
    const look = watching.next(session.iteration);
    const until = Math.min(...due, look, schedule.iterations, stopAfter, queued);
    const from = session.iteration;
    const began = performance.now();
    let waited: number | undefined;
    let batch: BatchPlan;
    do {
      const next = session.iteration + 1;
      batch = batches.plan(next);
      const fed = await fedBatch(session, next, Math.min(schedule.iterations, stopAfter))
        .catch(async (error): Promise<typeof UNREADABLE> => {
          if (!(error instanceof DataError)) throw error;
          if (session.iteration > from) return UNREADABLE;
          throw await keptBefore(error);
        });
      // The steps before it are measured first; then it is asked for again.
      if (fed === UNREADABLE) break;
      if (fed) waited = (waited ?? 0) + fed.waited;
      session.iteration = next;
      engine.step(fed?.plan ?? batch, rateOf(next));
    } while (session.iteration < until);
    const { iteration } = session;
    const steps = iteration - from;
    const metrics = await engine.metrics();
    const seconds = (performance.now() - began) / 1000;
    session.trainingSeconds += seconds;
    if (waited !== undefined) session.waitingSeconds = (session.waitingSeconds ?? 0) + waited;
    queueLength = Math.floor(steps * QUEUE_SECONDS / seconds);
    queueLength = Math.max(1, Math.min(queueLength, QUEUE_STEPS));

    // What they measured.
    window.add(metrics, seconds, waited);
    for (const step of metrics) {
      requireUsefulScale(step, session.saved);
      if (step.skipped) warnOfSkipped(session, step);
      requireFiniteLoss(step, session.saved);
      // What the engine says that it used, not what it was asked for.
      if (step.learningRate !== rate && (rate === undefined || changesAtTimes(schedule))) {
        rate = step.learningRate;
        const epoch = epochs.of(step.iteration - 1);
        run.append({ type: "rate", iteration: step.iteration, epoch, learningRate: rate });
      }
      const trainingError = warmUp.observe(step);
      if (trainingError !== undefined) {
        run.append({ type: "warm-up-end", iteration: step.iteration, trainingError });
      }
      watching.add(step);
    }
    let isLast = iteration === schedule.iterations;
    let logged = isLast || iteration % logEvery === 0;
    const means = window.means();
    if (logged) log();

    const validationError = await validate(iteration, isLast || iteration % evalEvery === 0);
    if (watching.hasEnded && !isLast) {
      isLast = logged = true;
      log();
    }
    const images = metrics.reduce((sum, step) => sum + step.images, 0);
    const { iterations } = schedule;
    const { loss, error } = means;
    await options.onProgress?.({
      ...{ iteration, iterations, learningRate: means.learningRate, loss, error, logged },
      ...{ steps, images, seconds, validationError },
    }, batch);

    // Signals are delivered between tasks, and awaiting a settled promise is no task.
    if (performance.now() - yielded > QUEUE_SECONDS * 1000 / 2) {
      await new Promise((resolve) => setTimeout(resolve));
      yielded = performance.now();
    }
    const stopping = signal?.aborted || iteration === stopAfter;
    if (isLast || stopping || iteration % checkpointEvery === 0) await save();
    if (stopping && !isLast) {
      return stopped(
        session,
        signal?.aborted ? String(signal.reason) : `--stop-after ${stopAfter}`,
      );
    }
  }
}

/** The rate that the log has for the last of the steps taken; undefined where it has none. */
function rateBefore(earlier: readonly RunEvent[], iteration: number): number | undefined {
  return effectiveEvents(earlier).findLast((event): event is RateEvent =>
    event.type === "rate" && event.iteration <= iteration
  )?.learningRate;
}

/** The state with strict averages over the batches of another epoch, with the same weights. */
async function averaged({ options, run, prepared, engine, iteration }: Session) {
  const { recipe, dataset, engineOptions, normalisation, batches } = prepared;
  const { train, test } = dataset;
  const steps = new Epochs(recipe).end(1);
  const { state, parts } = await strictAverages({
    ...{ factory: options.engine, options: engineOptions, data: { train, test, normalisation } },
    state: await engine.exportState(),
    plans: Array.from({ length: steps }, (_, i) => batches.plan(iteration + 1 + i)),
  });
  run.append({ type: "statistics", iteration, batches: parts });
  return state;
}

/** The result: the last step's error on the test set, and the files that show it. */
async function finish(session: Session): Promise<FinishedResult> {
  const { options, run, prepared, engine, iteration } = session;
  const { engineOptions, identity, normalisation } = prepared;
  const { averages } = prepared.recipe.batchNorm;
  if (averages === "strict") await engine.importState(await averaged(session));
  const test = await evaluated(session, "test");
  const scores = scoresOf(session, test);
  const { images, errors, errors5, error: testError } = scores;
  const csv = predictionsCsv(test.labels, test.predictions);
  const predictions = await run.write("predictions.csv", csv);
  run.append({
    ...{ type: "evaluation" as const, iteration, set: "test" as const },
    ...{ ...scores, predictions },
  });
  const mistakes = await mistakesOf(session, test);
  await record(run, "worst-mistakes", "worst-mistakes.json", JSON.stringify(mistakes));
  const state = await engine.exportState();
  const metadata = weightMetadata(
    "weights",
    identity,
    iteration,
    photographFacts(prepared),
  );
  const bytes = encodeSafetensors(state.weights, metadata);
  const weights = await record(run, "weights", WEIGHTS_FILE, bytes);
  const responses = await layerStatistics({
    factory: options.engine,
    options: engineOptions,
    state,
    ...await responseImages(session),
    normalisation,
  });
  if ("skipped" in responses) warn(session, responses.skipped);
  else await record(run, "layer-statistics", "layer-statistics.json", JSON.stringify(responses));

  const best = await scoreBest(session, state);
  const { trainingSeconds, waitingSeconds, bestValidation } = session;
  run.append({
    ...{ type: "end" as const, iteration, testError, bestValidation, trainingSeconds },
    ...(waitingSeconds === undefined
      ? {}
      : { waitingSeconds: Number(waitingSeconds.toPrecision(5)) }),
    ...(iteration < prepared.recipe.schedule.iterations ? { stoppedEarly: true as const } : {}),
    weightsSha256: weights.sha256,
  });
  run.sync();
  return {
    outcome: "finished",
    folder: options.out,
    iteration,
    testError,
    testErrors: errors,
    ...(errors5 === undefined ? {} : { testErrors5: errors5 }),
    testImages: images,
    bestValidation,
    ...(best ? { best } : {}),
    trainingSeconds,
    ...(waitingSeconds === undefined ? {} : { waitingSeconds }),
    weights,
  };
}
