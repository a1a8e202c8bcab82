/** One training from the command line: signals, progress, result and report. */
import { type Dataset, loadDataset } from "../data/mod.ts";
import { chooseEngine, engineFactories, selfTest } from "../engine/mod.ts";
import { writeRunReport } from "../reports/mod.ts";
import {
  type FinishedResult,
  type Started,
  type StoppedResult,
  train,
  type TrainOptions,
} from "../train/mod.ts";
import type { Recipe } from "../recipes/mod.ts";
import { ARGUMENTS, cacheOption, taskNamed } from "./_arguments.ts";
import type { FlagValues } from "./_flags.ts";
import type { Outcome } from "./_main.ts";
import {
  duration,
  goingOn,
  number as count,
  percent,
  READ_AHEAD,
  waitingInWords,
} from "../text/mod.ts";
import { ProgressPrinter } from "./_progress.ts";
import { revision, versions } from "./_provenance.ts";
import {
  type DATA_FLAGS,
  type ENGINE_FLAGS,
  intervalsFor,
  type RUN_FLAGS,
} from "./_training_flags.ts";

/** Exit status of a process that a signal ended: 128 and the signal's number. */
export const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

type RunFlags = FlagValues<typeof DATA_FLAGS & typeof ENGINE_FLAGS & typeof RUN_FLAGS>;

/** Trains `recipe` as the flags say, and writes the report of a run that finishes. */
export async function runTraining(
  command: string,
  recipe: Recipe,
  flags: RunFlags,
  startWeights?: TrainOptions["startWeights"],
  photographs?: (seed: number, printer: ProgressPrinter) => Dataset,
): Promise<Outcome> {
  const { seed = 0 } = flags;
  const printer = new ProgressPrinter();
  const out = flags.out ?? `runs/${recipe.architecture.name}-${recipe.data.set}-seed${seed}`;
  const { factory, reason } = await chooseEngine(flags.engine ?? "auto", engineFactories);
  await selfTest(factory);
  using signals = listen((name) =>
    printer.line(`${name}: finishing the step and saving; once more ends at once, without saving`)
  );
  const intervals = intervalsFor(recipe.schedule.iterations);
  let started: Started | undefined;
  const result = await train({
    recipe,
    seed,
    dataset: async () =>
      photographs?.(seed, printer) ?? await loadDataset(recipe.data.set, {
        ...(flags.data === undefined ? cacheOption() : { path: flags.data }),
        onProgress: (progress) => printer.download(progress),
      }),
    engine: factory,
    engineReason: reason,
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.convolution === undefined ? {} : { convolution: flags.convolution }),
    ...(flags.precision === undefined ? {} : { precision: flags.precision }),
    out,
    logEvery: flags["log-every"] ?? intervals.log,
    evalEvery: flags["eval-every"] ?? intervals.eval,
    checkpointEvery: flags["checkpoint-every"] ?? 1000,
    ...(flags["stop-after"] === undefined ? {} : { stopAfter: flags["stop-after"] }),
    ...(startWeights ? { startWeights } : {}),
    signal: signals.signal,
    versions: versions(),
    revision: await revision(repositoryRoot()),
    command: [...taskNamed(command).split(" "), ...ARGUMENTS],
    onStart: (start) => {
      started = start;
      printer.started(start, flags.verbose ? reason : "");
    },
    onProgress: (progress) => printer.progress(progress),
    onWarning: (message) => printer.line(`warning: ${message}`),
  });
  printer.clear();
  return result.outcome === "stopped"
    ? stoppedOutcome(command, result, signals.signal)
    : await finishedOutcome(result, started);
}

function stoppedOutcome(command: string, result: StoppedResult, signal: AbortSignal): Outcome {
  const again = goingOn([...taskNamed(command).split(" "), ...ARGUMENTS]);
  return {
    text: `stopped at iteration ${count(result.iteration)} (${result.reason}); ` +
      `the state is in ${result.folder}. To go on:\n  ${again}`,
    json: result,
    status: signal.aborted ? SIGNALS[signal.reason as keyof typeof SIGNALS] : 0,
  };
}

async function finishedOutcome(
  result: FinishedResult,
  started: Started | undefined,
): Promise<Outcome> {
  const report = await writeRunReport(result.folder);
  const { notice, errorFloor, linearModelError } = started?.dataset ?? {};
  const { bestValidation } = result;
  return {
    text: [
      ...(result.before
        ? ["this run had finished before; to train anew, choose another --out or --seed"]
        : []),
      ...(notice ? [notice] : []),
      `test error ${percent(result.testError)} (${count(result.testErrors)} of ${
        count(result.testImages)
      } wrong) after ${count(result.iteration)} iterations and ${
        duration(result.trainingSeconds)
      } of training`,
      ...(result.testErrors5 === undefined ? [] : [
        `  top-5 error ${percent(result.testErrors5 / result.testImages)} (${
          count(result.testErrors5)
        } without their class among the five likeliest)`,
      ]),
      ...(result.waitingSeconds === undefined ? [] : [
        `  waiting for images: ${
          waitingInWords(result.waitingSeconds, result.trainingSeconds, READ_AHEAD)
        }`,
      ]),
      ...(errorFloor === undefined
        ? []
        : [`  the floor is ${percent(errorFloor)}: that share of the test labels is wrong`]),
      ...(linearModelError === undefined
        ? []
        : [`  a linear model on the pixels has ${percent(linearModelError)}`]),
      ...(result.best
        ? [
          `the best weights by ${result.best.watched.replace("-", " ")}, of iteration ${
            count(result.best.iteration)
          }: test error ${percent(result.best.error)}; ${result.folder}/${result.best.file.path}`,
        ]
        : []),
      ...(bestValidation
        ? [
          `  lowest validation error ${percent(bestValidation.error)} at iteration ${
            count(bestValidation.iteration)
          }, for information: the result is the last step's`,
        ]
        : []),
      `weights: ${result.folder}/${result.weights.path}`,
      `report: ${report.html}`,
    ].join("\n"),
    json: { ...result, notice, errorFloor, linearModelError, report },
  };
}

/** Aborts at the first signal; a second one ends the process. */
export function listen(
  onSignal: (name: string) => void,
): Disposable & { readonly signal: AbortSignal } {
  const abort = new AbortController();
  // Windows knows SIGINT alone.
  const names = (Object.keys(SIGNALS) as (keyof typeof SIGNALS)[])
    .filter((name) => Deno.build.os !== "windows" || name === "SIGINT");
  const handlers = names.map((name) => {
    const handler = () => {
      if (abort.signal.aborted) Deno.exit(SIGNALS[name]);
      abort.abort(name);
      onSignal(name);
    };
    Deno.addSignalListener(name, handler);
    return [name, handler] as const;
  });
  return {
    signal: abort.signal,
    [Symbol.dispose]: () =>
      handlers.forEach(([name, handler]) => Deno.removeSignalListener(name, handler)),
  };
}

/** The working copy that this file is part of; undefined where it was loaded from elsewhere. */
export function repositoryRoot(): string | undefined {
  return import.meta.dirname === undefined ? undefined : `${import.meta.dirname}/..`;
}
