/**
 * Reproduces Table 6: several networks with several seeds each, by a plan that
 * is fixed first, and what the runs say together.
 *
 * `deno task reproduce --archs resnet20,resnet32 --seeds 5`
 */
import { ARGUMENTS, cacheOption, taskNamed } from "./_arguments.ts";
import { type Dataset, type DatasetName, loadDataset } from "../data/mod.ts";
import { readWholeText, removeUnfinished } from "../files/mod.ts";
import { chooseEngine, type EngineChoice, engineFactories, selfTest } from "../engine/mod.ts";
import { claimInWords, parsePlan, recipesOf, type ReproductionPlan } from "../verdicts/mod.ts";
import { writeRunReport, writeSetReport } from "../reports/mod.ts";
import {
  checkRun,
  conclude,
  type Conclusion,
  PLAN_FILE,
  plannedRuns,
  type PlanRequest,
  type QueuedRun,
  type QueueResult,
  runQueue,
  settlePlan,
  withJobLock,
} from "../reproduce/mod.ts";
import { RECIPES } from "../recipes/mod.ts";
import { CHECKLIST, checklistInWords } from "../spec/mod.ts";
import {
  choices,
  COMMON,
  type FlagValues,
  integer,
  list,
  positive,
  text,
  toggle,
  UsageError,
} from "./_flags.ts";
import { JobProgress } from "./_job_progress.ts";
import { CommandError, main, type Outcome } from "./_main.ts";
import { commandLine, percent } from "../text/mod.ts";
import { revision, versions } from "./_provenance.ts";
import { listen, repositoryRoot, SIGNALS } from "./_run.ts";
import { DATA_FLAGS, ENGINE_FLAGS, RUN_FLAGS } from "./_training_flags.ts";

const FLAGS = {
  archs: list("A,B,...", "the networks; resnet20 by default"),
  seeds: integer("runs of each network, with the seeds 0, 1, ...; 5 by default", 1, 1000),
  recipe: choices(
    Object.keys(RECIPES),
    `the recipes, each a claim of its own on each network: ${
      Object.keys(RECIPES).join(", ")
    }; paper by default`,
  ),
  ...DATA_FLAGS,
  iterations: RUN_FLAGS.iterations,
  margin: positive("points that a mean error may lie from Table 6's; 0.5 by default"),
  engine: ENGINE_FLAGS.engine,
  verbose: ENGINE_FLAGS.verbose,
  threads: ENGINE_FLAGS.threads,
  out: text("FOLDER", "the job's folder; runs/reproduction by default"),
  plan: text(
    "FILE",
    "go by this plan, as another job's folder holds it: all that is planned stands there",
  ),
  "plan-only": toggle("write the plan, or keep the one that is there, and list its runs"),
  index: integer("do this run of the plan alone, from 0: for array jobs of a cluster", 0),
  ...COMMON,
} as const;

const command = {
  usage: "deno task reproduce",
  summary:
    "Trains networks with several seeds each and judges them by Table 6. The plan is written first,\n" +
    "and never changed; the same command goes on where the job was stopped, and several processes\n" +
    "can work on one folder. Exit status: 0 the asked runs are over, or under way in other\n" +
    "processes; 1 an error, or a rule on the set of runs is broken.",
  flags: FLAGS,
} as const;

async function reproduce(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { out: folder = "runs/reproduction", index } = flags;
  let loaded: Promise<Dataset> | undefined;
  const progress = new JobProgress();
  const load = (set: DatasetName) =>
    loaded ??= loadDataset(set, {
      ...(flags.data === undefined ? cacheOption() : { path: flags.data }),
      onProgress: (received) => progress.download(received),
    });

  const { plan, sha256, isNew } = await settlePlan(
    folder,
    await requestOf(flags),
    async (set) => (await load(set)).hashes,
  );
  const seeds = plan.seeds.length === 1 ? "1 seed" : `${plan.seeds.length} seeds`;
  const written = isNew ? "written now" : "as it was written";
  progress.line(`plan ${sha256} in ${folder}/${PLAN_FILE}, ${written}:`);
  const recipes = recipesOf(plan);
  const by = recipes.length > 1 ? ` by ${recipes.join(" and by ")}` : "";
  progress.line(`  ${plan.architectures.join(", ")}${by}, ${seeds} each`);
  if (flags["plan-only"]) {
    const runs = plannedRuns(plan).map(({ index, name }) => ({ index, name }));
    const list = runs.map(({ index, name }) => `  run ${index}: ${name}`);
    return { text: list.join("\n"), json: { folder, plan: sha256, runs } };
  }
  let chosen: Promise<EngineChoice> | undefined;
  using signals = listen((name) =>
    progress.line(`${name}: finishing the step and saving; once more ends at once, without saving`)
  );
  const { runs, stopped } = await runQueue({
    ...{ folder, plan, index },
    dataset: () => load(plan.dataset),
    engine: () => chosen ??= choose(flags.engine),
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...{ versions: versions(), revision: await revision(repositoryRoot()) },
    command: [...taskNamed(command.usage).split(" "), ...ARGUMENTS],
    signal: signals.signal,
    onQueue: (runs) => progress.queue(runs),
    onStart: (run, start, reason) => progress.started(run, start, flags.verbose ? reason : ""),
    onProgress: (run, step) => progress.progress(run, step),
    onWarning: (message) => progress.line(`warning: ${message}`),
  });
  progress.clear();
  if (signals.signal.aborted) return stoppedOutcome(stopped, signals.signal, sha256, runs);
  if (index !== undefined) return await oneRun(folder, runs[index], plan, sha256);
  const left = runs.filter(({ state }) => state === "elsewhere").length;
  if (left > 0) {
    return {
      text: `${left} of ${runs.length} runs are under way in other processes; ` +
        `the same command concludes the job when they are over`,
      json: { folder, plan: sha256, runs },
    };
  }
  return await withJobLock(folder, async () => {
    // Every run is over, and no other process of the job writes now: what is unfinished, a kill left.
    for (const path of [folder, ...runs.map(({ folder }) => folder)]) await removeUnfinished(path);
    const conclusion = await conclude(folder, plan);
    for (const { state, folder } of runs) if (state === "finished") await writeRunReport(folder);
    const report = await writeSetReport([folder], folder);
    return concluded(conclusion, plan, { folder, plan: sha256, report });
  });
}

async function choose(name = "auto"): Promise<EngineChoice> {
  const choice = await chooseEngine(name, engineFactories);
  await selfTest(choice.factory);
  return choice;
}

/** What the flags say of the plan; what they leave out is as it was planned, or a default. */
async function requestOf(flags: FlagValues<typeof FLAGS>): Promise<PlanRequest> {
  const { archs, seeds, recipe, dataset, iterations, margin } = flags;
  if (flags.plan !== undefined) {
    const planned = { archs, seeds, recipe, dataset, iterations, margin };
    // The time at which it was written, the figures and the hashes in it are of what it has.
    const [stray] = Object.entries(planned).find(([_, value]) => value !== undefined) ?? [];
    if (stray) {
      throw new UsageError(
        `--plan states all that is planned, found --${stray} beside it: leave that out, or --plan for a new plan`,
      );
    }
    return parsePlan(await readFile(flags.plan));
  }
  return {
    ...(archs === undefined ? {} : { architectures: archs }),
    ...(seeds === undefined ? {} : { seeds: Array.from({ length: seeds }, (_, i) => i) }),
    ...(recipe === undefined ? {} : { recipe }),
    ...(dataset === undefined ? {} : { dataset }),
    ...(iterations === undefined ? {} : { iterations }),
    // Points to a share without the noise of the division: 0.7 points are 0.007.
    ...(margin === undefined ? {} : { margin: Number((margin / 100).toPrecision(12)) }),
  };
}

async function readFile(path: string): Promise<string> {
  try {
    return await readWholeText(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new CommandError(
      `--plan must be a plan's file, as ${PLAN_FILE} in a job's folder; there is none at "${path}"`,
    );
  }
}

function stoppedOutcome(
  stopped: QueueResult["stopped"],
  signal: AbortSignal,
  plan: string,
  runs: readonly QueuedRun[],
): Outcome {
  const again = commandLine([...taskNamed(command.usage).split(" "), ...ARGUMENTS]);
  const where = stopped ? `; the state is in ${stopped.folder}` : "";
  return {
    text: `stopped (${signal.reason})${where}. To go on:\n  ${again}`,
    json: { outcome: "stopped", plan, runs },
    status: SIGNALS[signal.reason as keyof typeof SIGNALS],
  };
}

/** What a process of an array job says of its run. */
async function oneRun(
  job: string,
  { index, name, folder, state }: QueuedRun,
  plan: ReproductionPlan,
  sha256: string,
): Promise<Outcome> {
  const json = { plan: sha256, index, name, folder, state };
  if (state === "elsewhere") {
    return { text: `run ${index}, ${name}: another process works on it`, json };
  }
  const { judged } = await checkRun(folder, plan);
  if (state === "finished") await withJobLock(job, () => writeRunReport(folder));
  const error = judged?.testError;
  return {
    text: `run ${index}, ${name}: ${state}${
      error === undefined ? "" : `, test error ${percent(error)}`
    }`,
    json: { ...json, testError: error },
  };
}

function concluded(
  { runs, claim, judgements }: Conclusion,
  planned: ReproductionPlan,
  { folder, plan, report }: {
    readonly folder: string;
    readonly plan: string;
    readonly report: { readonly html: string };
  },
): Outcome {
  const failed = judgements.filter(({ outcome }) => outcome === "fail" || outcome === "defect");
  return {
    text: [
      ...claim.verdicts.flatMap(({ planned: { architecture, recipe }, sentence }) => [
        `${claimInWords(planned, { architecture, recipe })}: ${
          runs.filter((run) => run.architecture === architecture && run.recipe === recipe)
            .map(({ seed, judged }) =>
              judged?.testError === undefined
                ? `seed ${seed} ${judged?.outcome}`
                : percent(judged.testError)
            ).join(", ")
        }`,
        `  ${sentence}`,
      ]),
      `rules on the set of runs, by the checklist's ${checklistInWords(CHECKLIST)}:`,
      ...judgements.map(({ id, outcome, evidence }) => `  ${outcome}: ${id} (${evidence})`),
      ...(failed.length > 0
        ? [`${failed.length} of ${judgements.length} rules are broken: the claim does not hold`]
        : []),
      `report: ${report.html}`,
    ].join("\n"),
    json: {
      ...{ folder, plan },
      runs: runs.map(({ log: _, ...run }) => run),
      ...{ verdicts: claim.verdicts, checklist: CHECKLIST, judgements, report },
    },
    status: failed.length > 0 ? 1 : 0,
  };
}

/** Does what the command line says, and ends the process. */
export const start = (): Promise<never> => main(command, reproduce);

if (import.meta.main) await start();
