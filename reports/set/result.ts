/** What a set of runs comes to, as data: what the set's `report.json` holds. */
import { DATASET_NAMES, PHOTOGRAPHS, type SetName } from "../../data/mod.ts";
import {
  CHECKLIST,
  type ChecklistVersion,
  judge,
  type Judgement,
  STATISTICAL_RULES,
} from "../../spec/mod.ts";
import type { DataRecord, LayerStatistics, LogSubject, Run } from "../../log/mod.ts";
import { type Departure, departuresInWords, departuresOf, type Recipe } from "../../recipes/mod.ts";
import { paperError } from "../_paper.ts";
import {
  canonicalJson,
  type ClaimName,
  type Interval,
  isPlanned,
  type JudgedRun,
  planHash,
  plannedClaim,
  recipesOf,
  type ReproductionPlan,
  type Sample,
  sampleOf,
  tInterval,
  type Verdict,
  verdict,
  VerdictError,
} from "../../verdicts/mod.ts";
import { PAPER_DATASET, type PublicResult, publicResults } from "../../paper/mod.ts";
import type { RunChecklist } from "../run/judged.ts";
import { type RunResult, runResult } from "../run/result.ts";

/** A run of a set, as its folder was read. */
export interface RunOfSet {
  /** The run's folder, relative to the report, with `/`. */
  readonly folder: string;
  /** The run. */
  readonly run: Run;
  /** The same for the checklist. */
  readonly log: LogSubject;
  /** SHA-256 of the event log's bytes. */
  readonly logSha256: string;
  /** The run's own report, relative to the set's; null where there is none. */
  readonly report: string | null;
}

/** A folder that was given as a run and is none. */
export interface BrokenRun {
  /** Relative to the report, with `/`. */
  readonly folder: string;
  /** What is wrong with it. */
  readonly problem: string;
}

/** What a set's report is made of. */
export interface SetContent {
  /** The plan by which the runs were done; none for runs that were put together by hand. */
  readonly plan?: ReproductionPlan;
  /** Every run. */
  readonly runs: readonly RunOfSet[];
  /** Folders that could not be read as runs. */
  readonly broken: readonly BrokenRun[];
}

/** What a set of runs comes to. Errors are shares, 0 to 1. */
export interface SetResult {
  /** Version of this form. */
  readonly version: 1;
  /** What was fixed beforehand; null where there was no plan. */
  readonly plan: {
    /** Of the plan as it stands now, see `planHash`. */
    readonly sha256: string;
    /** The hash that the runs recorded when they began; null where none did. */
    readonly recordedSha256: string | null;
    /** The plan. */
    readonly content: ReproductionPlan;
  } | null;
  /** Runs under equal conditions; runs of two groups are never compared. */
  readonly groups: readonly SetGroup[];
  /** Folders that were given and are no runs. */
  readonly broken: readonly BrokenRun[];
  /** Which rules judged the runs and the set. */
  readonly checklist: ChecklistVersion;
  /** The rules on a plan, its runs and what is claimed of them; none without a plan. */
  readonly judgements: readonly Judgement[];
}

/** Runs that differ in their network and seed alone. */
export interface SetGroup {
  /** What was trained and tested on. */
  readonly data: DataRecord;
  /** Steps of each run. */
  readonly iterations: number;
  /** The recipe's name. */
  readonly recipe: string;
  /** Where the recipe leaves the paper's, but for the network itself. */
  readonly departures: readonly Departure[];
  /** The same as phrases, several fields in one where they belong together. */
  readonly departuresInWords: readonly string[];
  /** The file of the weights that the runs began from; null where they began from none. */
  readonly startWeights: string | null;
  /** Whether these are Table 6's data set and number of steps, from weights of no other training. */
  readonly comparable: boolean;
  /** By name, a plain net before the residual one of its depth. */
  readonly nets: readonly SetNet[];
}

/** The runs of one network under equal conditions. */
export interface SetNet {
  /** By the recipe's name for it. */
  readonly architecture: string;
  /** Trainable parameters. */
  readonly parameters: number;
  /** By seed. */
  readonly runs: readonly SetRun[];
  /** Of the finished runs' test errors; null where none finished. */
  readonly summary: Sample | null;
  /**
   * The t interval of the mean, of what a share can be; null of fewer than two finished runs, and
   * of runs of which two have one seed.
   */
  readonly meanInterval: Interval | null;
  /** Of the finished runs' top-5 errors; null where not all of them have one. */
  readonly topFive: Sample | null;
  /** Seeds that more than one of the finished runs has: such runs say nothing of a spread. */
  readonly repeatedSeeds: readonly number[];
  /** What the runs say of the published error, by the plan; null where it says nothing of them. */
  readonly verdict: Verdict | null;
  /** Why there is no verdict; null where there is one. */
  readonly withoutVerdict: string | null;
  /** The paper's test error in its own notation; null where it has none to compare with. */
  readonly paper: string | null;
  /** What public implementations state; none where the conditions are not Table 6's. */
  readonly publicResults: readonly PublicResult[];
  /** Errors by iteration. */
  readonly curves: SetCurves;
  /** Standard deviation of each layer's response, the mean over the runs; null where unknown. */
  readonly layers: LayerStatistics["layers"] | null;
}

/** A run of the set. */
export interface SetRun extends Omit<RunOfSet, "run" | "log"> {
  /** How it ended, as far as verdicts go; null where it is not over. */
  readonly outcome: JudgedRun["outcome"] | null;
  /** Its result, without what is of single classes. */
  readonly result: Omit<RunResult, "perClass" | "confusion" | "checklist">;
  /** What the checklist says of it. */
  readonly checklist: RunChecklist;
}

/** Errors by iteration, over the runs of a network. */
export interface SetCurves {
  /** On batches as they are trained on, before each update; each point is a mean over the steps before it. */
  readonly training: readonly CurvePoint[];
  /** On the images that were held out. */
  readonly validation: readonly CurvePoint[];
  /** Where it was logged: after the last step, unless the log has more. */
  readonly test: readonly CurvePoint[];
}

/** What the runs of a network had at an iteration. */
export interface CurvePoint {
  /** Steps taken. */
  readonly iteration: number;
  /** Runs that got so far and logged it. */
  readonly runs: number;
  /** Their mean error. */
  readonly mean: number;
  /** The lowest of their errors. */
  readonly lowest: number;
  /** The highest of their errors. */
  readonly highest: number;
}

/** Steps of the paper's schedule. */
const PAPER_ITERATIONS = 64_000;
/** Most points of a training curve; more would be finer than a screen's pixels. */
const CURVE_POINTS = 150;

/**
 * What a set of runs comes to.
 *
 * A run takes part in a verdict where the plan has its network, recipe, data set
 * and number of steps; the rules on the set tell what else is there.
 *
 * @param content The plan, the runs and the folders that are none.
 * @returns The content of `report.json`; the same for the same content.
 *
 * @example
 * ```ts
 * import { setResult } from "./result.ts";
 * import { CHECKLIST } from "../../spec/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const broken = [{ folder: "runs/a", problem: "there is no events.jsonl" }];
 * assertEquals(setResult({ runs: [], broken }), {
 *   version: 1, plan: null, groups: [], broken, checklist: CHECKLIST, judgements: [],
 * });
 * ```
 */
export function setResult({ plan, runs, broken }: SetContent): SetResult {
  const grouped = [...Map.groupBy(runs, conditionsOf).values()]
    .map((ofGroup) => groupResult(ofGroup, plan))
    .sort(byImportance);
  return {
    version: 1,
    plan: plan
      ? { sha256: planHash(plan), recordedSha256: recordedPlan(runs, plan), content: plan }
      : null,
    groups: grouped,
    broken,
    checklist: CHECKLIST,
    judgements: plan ? judgeSet(plan, runs, grouped) : [],
  };
}

/**
 * A run as a verdict takes it.
 *
 * @param run A run, as `readRun` gives it.
 * @returns Its seed, outcome and final test error; undefined where it is not over: it was stopped,
 *   engine or disk gave out, or its log breaks off.
 *
 * @example
 * ```ts
 * import { judgedRun } from "../mod.ts";
 * import { type Run } from "../../log/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const run = { start: { seed: 3 }, outcome: { type: "failure", reason: "made up" } };
 * // Without the mark of a divergence it can go on.
 * assertEquals(judgedRun(run as Run), undefined);
 * const diverged = { ...run, outcome: { ...run.outcome, diverged: true } };
 * assertEquals(judgedRun(diverged as Run), { seed: 3, outcome: "diverged" });
 * ```
 */
export function judgedRun({ start: { seed }, outcome, finalTest }: Run): JudgedRun | undefined {
  if (outcome?.type === "failure" && outcome.diverged) return { seed, outcome: "diverged" };
  if (outcome?.type !== "end" || !finalTest) return undefined;
  const { errors, images } = finalTest;
  return { seed, outcome: "finished", testError: errors / images, testImages: images };
}

/** All that must be equal for two runs to stand in one table. */
function conditionsOf({ run: { start } }: RunOfSet): string {
  const { name, departures: _, architecture, schedule, ...recipe } = start.recipe;
  // The warm-up belongs to the network: the paper's ResNet-110 has one, the others none.
  const warmUp = departsInWarmUp(start.recipe) ? start.recipe.schedule.warmUp ?? "none" : undefined;
  return canonicalJson({
    ...{ ...recipe, name, schedule: { ...schedule, warmUp } },
    // So do the shortcuts: the plain controls have none.
    architecture: architecture.shortcut === "none"
      ? { shortcut: "A", zeroChannels: "append" }
      : { ...architecture, name: undefined },
    ...{ hashes: start.data.hashes, weights: start.startWeights?.sha256 },
  });
}

/** Whether a warm-up is there, or lacks, against the paper; schedules of other kinds have none. */
function departsInWarmUp(
  recipe: Recipe,
): recipe is Recipe & { readonly schedule: Extract<Recipe["schedule"], { kind: "steps" }> } {
  return recipe.schedule.kind === "steps" &&
    departuresOf(recipe).some(({ field }) => field.startsWith("schedule.warmUp"));
}

function groupResult(runs: readonly RunOfSet[], plan?: ReproductionPlan): SetGroup {
  const { recipe, data, startWeights } = runs[0].run.start;
  const { iterations } = recipe.schedule;
  const comparable = recipe.data.set === PAPER_DATASET && iterations === PAPER_ITERATIONS &&
    startWeights === undefined;
  const nets = [...Map.groupBy(runs, ({ run }) => netOf(run))]
    .sort(([a], [b]) => depthOf(a) - depthOf(b) || (a < b ? -1 : 1));
  const departures = departuresOf(recipe).filter(({ field }) =>
    field !== "architecture.name" &&
    (!field.startsWith("schedule.warmUp") || departsInWarmUp(recipe))
  );
  return {
    ...{ data, iterations, recipe: recipe.name, departures },
    startWeights: startWeights?.path ?? null,
    departuresInWords: departuresInWords(recipe, departures).map(({ text }) => text),
    comparable,
    nets: nets.map(([_, ofNet]) => netResult(ofNet, comparable, plan)),
  };
}

/** Of few runs that differ much the t interval reaches beyond what an error can be. */
function ofShares(interval: Interval): Interval {
  const { lower, upper } = interval;
  return { ...interval, lower: Math.max(0, lower), upper: Math.min(1, upper) };
}

function netResult(
  runs: readonly RunOfSet[],
  comparable: boolean,
  plan?: ReproductionPlan,
): SetNet {
  const [{ run: { start } }] = runs;
  const architecture = netOf(runs[0].run);
  const sorted = runs.toSorted((a, b) =>
    a.run.start.seed - b.run.start.seed || (a.folder < b.folder ? -1 : 1)
  );
  const all = sorted.map(({ run }) => run);
  const finished = all.flatMap((run) => {
    const testError = judgedRun(run)?.testError;
    return testError === undefined ? [] : [{ testError, seed: run.start.seed, run }];
  });
  const errors = finished.map(({ testError }) => testError);
  const five = finished.flatMap(({ run: { finalTest } }) =>
    finalTest?.errors5 === undefined ? [] : finalTest.errors5 / finalTest.images
  );
  const seeds = finished.map(({ seed }) => seed);
  const repeatedSeeds = [...new Set(seeds.filter((seed, i) => seeds.indexOf(seed) !== i))];
  const summary = errors.length > 0 ? sampleOf(errors) : null;
  const { standardDeviation } = summary ?? {};
  return {
    architecture,
    parameters: start.parameters,
    runs: sorted.map(setRun),
    summary,
    meanInterval: summary && standardDeviation !== undefined && repeatedSeeds.length === 0
      ? ofShares(tInterval({ ...summary, standardDeviation }))
      : null,
    topFive: five.length > 0 && five.length === errors.length ? sampleOf(five) : null,
    repeatedSeeds,
    ...verdictOf(all, plan),
    paper: comparable ? paperError(start) ?? null : null,
    publicResults: comparable ? publicResults(architecture) : [],
    curves: curvesOf(all),
    layers: layersOf(all),
  };
}

function setRun({ folder, report, logSha256, run, log }: RunOfSet): SetRun {
  const { perClass: _, confusion: __, checklist, ...result } = runResult(run, log);
  return {
    ...{ folder, report, logSha256, result, checklist },
    outcome: judgedRun(run)?.outcome ?? null,
  };
}

/** What the plan makes of a network's runs, or why it makes nothing of them. */
function verdictOf(
  runs: readonly Run[],
  plan?: ReproductionPlan,
): Pick<SetNet, "verdict" | "withoutVerdict"> {
  const without = (withoutVerdict: string) => ({ verdict: null, withoutVerdict });
  if (!plan) return without("No verdict: no plan was fixed before these runs.");
  const unplanned = departureFromPlan(runs[0], plan);
  if (unplanned) return without(`No verdict: ${unplanned}.`);
  try {
    const judged = runs.flatMap((run) => judgedRun(run) ?? []);
    return {
      verdict: verdict(judged, plannedClaim(plan, claimOf(runs[0]))),
      withoutVerdict: null,
    };
  } catch (error) {
    if (!(error instanceof VerdictError)) throw error;
    return without(`No verdict: ${error.message}.`);
  }
}

/** What keeps runs of a group from being those of a plan. */
function departureFromPlan({ start }: Run, plan: ReproductionPlan): string | undefined {
  const { recipe, startWeights } = start;
  const fields = [
    ["data set", recipe.data.set, plan.dataset],
    ["number of steps", recipe.schedule.iterations, plan.iterations],
  ] as const;
  if (!plan.architectures.includes(recipe.architecture.name)) return "the plan has no such network";
  if (!isPlanned(plan, claimOf({ start }))) {
    const planned = recipesOf(plan).join(" and ");
    return `the plan has the recipe ${planned}, these runs have ${recipe.name}`;
  }
  if (startWeights) return "these runs began from given weights";
  const other = fields.find(([, here, planned]) => here !== planned);
  return other && `the plan has the ${other[0]} ${other[2]}, these runs have ${other[1]}`;
}

/** The statistical rules on the whole set, once all of its runs are over. */
function judgeSet(
  plan: ReproductionPlan,
  runs: readonly RunOfSet[],
  groups: readonly SetGroup[],
): Judgement[] {
  const open = runs.filter(({ run }) => !judgedRun(run)).length;
  if (open > 0) {
    const evidence = `${open} of the ${runs.length} runs are not over`;
    return judge(STATISTICAL_RULES, {}).map((judgement) => ({ ...judgement, evidence }));
  }
  const planSha256 = recordedPlan(runs, plan) ?? undefined;
  const verdicts = groups.flatMap(({ nets }) => nets.flatMap((net) => net.verdict ?? []));
  return judge(STATISTICAL_RULES, {
    ...{ plan, planSha256, runs: runs.map(({ log }) => log) },
    claim: { planSha256: planHash(plan), verdicts },
  });
}

/** The plan's hash as the runs recorded it; of several that of another plan, null of none. */
function recordedPlan(runs: readonly RunOfSet[], plan: ReproductionPlan): string | null {
  const recorded = runs.flatMap(({ run: { start } }) => start.plan ?? []);
  const hash = planHash(plan);
  return recorded.find((other) => other !== hash) ?? recorded[0] ?? null;
}

/** Errors by iteration, each over the runs that logged it. */
function curvesOf(runs: readonly Run[]): SetCurves {
  const evaluated = (set: "validation" | "test") =>
    curve(runs.map(({ evaluations }) =>
      evaluations.filter((event) => event.set === set)
        .map(({ iteration, error }) => [iteration, error] as const)
    ));
  const { iterations } = runs[0].start.recipe.schedule;
  // As coarse as the coarsest log, so that every run has a value in each span.
  const logged = runs.map(({ start, steps }) =>
    Math.floor(
      iterations / steps.reduce((most, { steps }) => Math.max(most, steps), start.logEvery),
    )
  );
  const spans = Math.max(1, Math.min(CURVE_POINTS, ...logged));
  // No line goes further than its runs did: a run may have ended within a span.
  const last = runs.flatMap(({ steps }) => steps.at(-1)?.iteration ?? [])
    .reduce((a, b) => Math.max(a, b), 0);
  const training = runs.map(({ steps }) => {
    const bySpan = Map.groupBy(steps, ({ iteration }) => Math.ceil(iteration * spans / iterations));
    return [...bySpan].map(([span, events]) =>
      [
        Math.min(last, Math.round(span * iterations / spans)),
        events.reduce((sum, { error, steps }) => sum + error * steps, 0) /
        events.reduce((sum, { steps }) => sum + steps, 0),
      ] as const
    );
  });
  return {
    training: curve(training),
    validation: evaluated("validation"),
    test: evaluated("test"),
  };
}

function curve(runs: readonly (readonly (readonly [number, number])[])[]): CurvePoint[] {
  const byIteration = Map.groupBy(runs.flat(), ([iteration]) => iteration);
  return [...byIteration].sort(([a], [b]) => a - b).map(([iteration, points]) => {
    const errors = points.map(([, error]) => error);
    return {
      ...{ iteration, runs: errors.length, mean: sampleOf(errors).mean },
      ...{ lowest: Math.min(...errors), highest: Math.max(...errors) },
    };
  });
}

/** Layer by layer, the mean over the runs in which it was measured. */
function layersOf(runs: readonly Run[]): SetNet["layers"] {
  const measured = runs.flatMap(({ layerStatistics }) => layerStatistics?.layers ?? []);
  if (measured.length === 0) return null;
  return [...Map.groupBy(measured, ({ name }) => name)].map(([name, layers]) => ({
    name,
    std: sampleOf(layers.map(({ std }) => std)).mean,
  }));
}

const netOf = ({ start }: Run): string => start.recipe.architecture.name;
const claimOf = ({ start: { recipe } }: Pick<Run, "start">): ClaimName => ({
  architecture: recipe.architecture.name,
  recipe: recipe.name,
});
const depthOf = (net: string): number => Number(/\d+/.exec(net)?.[0] ?? 0);

/** CIFAR before built-in data, long schedules before short ones. */
function byImportance(a: SetGroup, b: SetGroup): number {
  const places: readonly SetName[] = [...DATASET_NAMES, PHOTOGRAPHS];
  const placeOf = ({ data }: SetGroup) => places.indexOf(data.set);
  return placeOf(a) - placeOf(b) || b.iterations - a.iterations ||
    (a.recipe < b.recipe ? -1 : a.recipe > b.recipe ? 1 : 0);
}
