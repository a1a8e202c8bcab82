/**
 * What the runs of one network say of a published test error: the verdict, as
 * data and as a sentence.
 */
import { percent } from "../text/mod.ts";
import { chiSquareCdf } from "./_distributions.ts";
import type { PlannedClaim, Reference } from "./plan.ts";
import {
  differenceInterval,
  type Equivalence,
  type Interval,
  meansTest,
  predictionInterval,
  type Sample,
  sampleOf,
  type SpreadSample,
  tInterval,
  tost,
  tostPower,
  tTest,
  wilsonInterval,
} from "./statistics.ts";

/** A run, as far as a verdict needs it. */
export interface JudgedRun {
  /** Of the run. */
  readonly seed: number;
  /** Whether it came to its end; `diverged` where its loss or weights were no longer finite. */
  readonly outcome: "finished" | "failed" | "diverged";
  /** Error of the last step on the test set, a share; of finished runs. */
  readonly testError?: number;
  /** Images that were tested; of finished runs. */
  readonly testImages?: number;
}

/**
 * The verdict on three or more runs is `equivalent`, `different` or
 * `inconclusive`; on a single run `not inconsistent` or `inconsistent`. `none`:
 * nothing can be said.
 */
export type VerdictKind =
  | "equivalent"
  | "different"
  | "inconclusive"
  | "not inconsistent"
  | "inconsistent"
  | "none";

/** What the runs of one claim say. Errors, differences and margins are shares. */
export interface Verdict {
  /** The verdict. */
  readonly kind: VerdictKind;
  /** The same in words, with the figures on which it rests. */
  readonly sentence: string;
  /** What was planned, the reference included. */
  readonly planned: PlannedClaim;
  /** Every run that was given. */
  readonly runs: readonly JudgedRun[];
  /** How many of the runs finished. */
  readonly finished: number;
  /** Of the finished runs' test errors; undefined where no run finished. */
  readonly summary?: Sample;
  /** The t interval of the mean; of two or more finished runs. */
  readonly meanInterval?: Interval;
  /**
   * The verdict's other meaning. `kind` compares with the printed number as if it
   * were exact; this compares with the mean of the net behind it, of which the
   * printed number is one noisy measurement, or several.
   */
  readonly asPaperNet?: {
    readonly kind: "equivalent" | "different" | "inconclusive";
    readonly equivalence: Equivalence;
    readonly differenceP: number;
    /** As {@linkcode Verdict.power}, for this meaning. */
    readonly power?: number;
  };
  /** Mean minus reference, where the reference is itself of noisy runs. */
  readonly differenceInterval?: Interval;
  /** Of several runs: the two one-sided tests. */
  readonly equivalence?: Equivalence;
  /** Of several runs: p value of the two-sided test of "the mean is the reference". */
  readonly differenceP?: number;
  /**
   * Of several runs: the probability that as many as were planned show
   * equivalence where there is no difference, at the spread that they had; undefined where they
   * are more alike than chance lets them be.
   */
  readonly power?: number;
  /**
   * Where several runs are inconclusive: as many as would show equivalence with a probability of
   * 90%, were spread and difference those that these had; undefined where no number would.
   */
  readonly runsNeeded?: number;
  /** Of a single run: where it may lie by the published spread. */
  readonly predictionInterval?: Interval;
  /** Of a single run: what the number of test images leaves open. */
  readonly wilsonInterval?: Interval;
}

/** What a reproduction says of its runs. */
export interface ReproductionClaim {
  /** Of the plan by which it was done, as `planHash` gives it. */
  readonly planSha256: string;
  /** One a network and recipe. */
  readonly verdicts: readonly Verdict[];
}

/** Runs of which no verdict can be given: what was asked, the rule, and what was found. */
export class VerdictError extends Error {
  /** The class's name, for messages. */
  override name = "VerdictError";
}

/** Fewest runs with seeds of their own on which the tests are a verdict. */
const FEWEST_RUNS = 3;

/**
 * Judges the runs of one network against the published error that the plan names.
 *
 * - Three or more runs: `equivalent` where the two one-sided t tests show that the
 *   mean lies within the margin; `different` where they do not and the two-sided
 *   t test shows a difference, better or worse; `inconclusive` where neither does.
 *   A run that failed or diverged counts: `equivalent` is then impossible. So is it
 *   where the runs are more alike than chance lets them be: equal errors tell
 *   nothing of a spread. `asPaperNet` has the same for the mean of the paper's net.
 * - One run: `not inconsistent` where it lies within the prediction interval from
 *   the published spread, else `inconsistent`.
 * - `none`: no reference; another data set, schedule or number of test images than
 *   the reference's; planned runs that are not over yet; two runs; no run finished.
 *
 * @param runs Every run that was begun and is over, failed ones too.
 * @param planned What was fixed before the first of them began.
 * @returns The verdict with the intervals and tests that stand beside it.
 * @throws {VerdictError} If seeds repeat, a seed was not planned, a finished run has
 *   no test error from 0 to 1 or an unfinished one has one, or the reference is
 *   another network's.
 *
 * @example
 * ```ts
 * import { verdict } from "./verdict.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const conditions = { architecture: "resnet20", dataset: "cifar10", iterations: 64_000 } as const;
 * const planned = {
 *   ...conditions, recipe: "paper", seeds: [1, 2, 3], margin: 0.005, alpha: 0.05,
 *   reference: {
 *     ...conditions, source: "Table 6", testImages: 10_000, error: 0.0875, runs: 1,
 *     spread: { standardDeviation: 0.0016, runs: 5, source: "Table 6, ResNet-110" },
 *   },
 * };
 * const runs = [0.0869, 0.0885, 0.0871].map((testError, i) => (
 *   { seed: i + 1, outcome: "finished", testError, testImages: 10_000 } as const
 * ));
 * assertEquals(verdict(runs, planned).kind, "equivalent");
 * const [, ...others] = runs;
 * const diverged = { seed: 1, outcome: "diverged" } as const;
 * assertEquals(verdict([diverged, ...others], planned).kind, "inconclusive");
 * ```
 */
export function verdict(runs: readonly JudgedRun[], planned: PlannedClaim): Verdict {
  checkRuns(runs, planned);
  const finished = runs.filter(({ outcome }) => outcome === "finished");
  const errors = finished.map(({ testError }) => testError!);
  const summary = errors.length > 0 ? sampleOf(errors) : undefined;
  const spread = hasSpread(summary) ? summary : undefined;
  const base = {
    ...{ planned, runs, finished: finished.length, summary },
    ...(spread ? { meanInterval: tInterval(spread) } : {}),
  };
  const none = (why: string): Verdict => ({
    ...base,
    kind: "none",
    sentence: `No verdict: ${why}.`,
  });

  const { reference, seeds } = planned;
  if (!reference) {
    return none(`there is no published error of ${planned.architecture} to compare with`);
  }
  const differences = differentConditions(finished, planned, reference);
  if (differences.length > 0) {
    return none(`${named(reference)} is of ${differences.join(" and of ")}`);
  }
  if (runs.length < seeds.length) {
    return none(
      `${runs.length} of ${seeds.length} planned runs are over, and a verdict before the last would depend on when one looks`,
    );
  }
  if (runs.length === 1) {
    const [run] = runs;
    return run.outcome === "finished"
      ? { ...base, ...singleRun(run.testError!, run.testImages!, reference) }
      : none(`the only run ${run.outcome}`);
  }
  if (runs.length < FEWEST_RUNS) {
    return none(`two runs tell too little of their spread; it takes ${FEWEST_RUNS} or more`);
  }
  if (!spread) return { ...base, kind: "inconclusive", sentence: tooFewFinished(runs) };
  return { ...base, ...severalRuns(spread, runs, planned, reference) };
}

/**
 * The decision on the runs that finished, where all did.
 *
 * @param sample Their test errors.
 * @param reference The published error.
 * @param planned Margin and level, fixed beforehand.
 * @returns `equivalent`, `different` or `inconclusive`, with the tests' p values.
 *
 * @example
 * ```ts
 * import { decide } from "./verdict.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const sample = { count: 5, mean: 0.0975, standardDeviation: 0.0016 };
 * assertEquals(decide(sample, 0.0875, { margin: 0.005, alpha: 0.05 }).kind, "different");
 * ```
 */
export function decide(
  sample: SpreadSample,
  reference: number,
  { margin, alpha }: Pick<PlannedClaim, "margin" | "alpha">,
): Required<Pick<Verdict, "equivalence" | "differenceP">> & {
  readonly kind: "equivalent" | "different" | "inconclusive";
} {
  const equivalence = tost(sample, reference, margin);
  const differenceP = tTest(sample, reference);
  return { kind: kindOf(equivalence.p, differenceP, alpha), equivalence, differenceP };
}

/**
 * The verdict that p values give.
 *
 * @param equivalenceP Of the two one-sided tests, the larger.
 * @param differenceP Of the two-sided test.
 * @param alpha Level of each.
 */
export function kindOf(
  equivalenceP: number,
  differenceP: number,
  alpha: number,
): "equivalent" | "different" | "inconclusive" {
  return equivalenceP < alpha ? "equivalent" : differenceP < alpha ? "different" : "inconclusive";
}

/** A spread that chance makes as small as this once in a thousand times is no chance. */
export const TOO_REGULAR = 0.001;

/**
 * How often chance makes runs as alike as these, were their true spread the published one.
 *
 * @param sample Of two or more runs.
 * @param spread As published.
 * @returns A probability; below {@linkcode TOO_REGULAR} the runs tell nothing of their spread.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { regularity } from "./verdict.ts";
 *
 * const spread = { standardDeviation: 0.0016, runs: 5, source: "Table 6, ResNet-110" };
 * assertEquals(regularity({ count: 3, mean: 0.0875, standardDeviation: 0 }, spread), 0);
 * ```
 */
export function regularity(
  { count, standardDeviation }: SpreadSample,
  spread: Reference["spread"],
): number {
  const squares = (count - 1) * (standardDeviation / spread.standardDeviation) ** 2;
  return chiSquareCdf(squares, count - 1);
}

/**
 * Where a single run may lie if it is of the same kind as a reference's.
 *
 * @param reference The published error with its spread.
 * @returns With 95% confidence; the noise of the reference itself is in it.
 *
 * @example
 * ```ts
 * import { singleRunInterval } from "./verdict.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * // t(0.975, 4) = 2.7764, times 0.16 points sqrt(1 + 1)
 * const spread = { standardDeviation: 0.0016, runs: 5, source: "Table 6, ResNet-110" };
 * assertAlmostEquals(singleRunInterval({ error: 0.0875, runs: 1, spread }).upper, 0.09378, 1e-5);
 * ```
 */
export function singleRunInterval(
  { error, runs, spread }: Pick<Reference, "error" | "runs" | "spread">,
): Interval {
  const { standardDeviation, runs: count } = spread;
  return predictionInterval({ count: runs, mean: error }, { count, standardDeviation });
}

/** One run against the published spread. */
function singleRun(
  testError: number,
  testImages: number,
  reference: Reference,
): Pick<Verdict, "kind" | "sentence" | "predictionInterval" | "wilsonInterval"> {
  const interval = singleRunInterval(reference);
  const inside = testError >= interval.lower && testError <= interval.upper;
  const { standardDeviation, runs, source } = reference.spread;
  const wilson = wilsonInterval(Math.round(testError * testImages), testImages);
  const sentence = `${
    inside ? "Not inconsistent" : "Inconsistent"
  }: the one run has a test error of ${percent(testError)}, ${inside ? "inside" : "outside"} the ${
    percent(interval.confidence, 0)
  } prediction interval of ${percent(interval.lower)} to ${percent(interval.upper)} around ${
    named(reference)
  }, by the published spread of ${
    points(standardDeviation)
  } (${runs} runs; ${source}). The number of test images alone leaves ${percent(wilson.lower)} to ${
    percent(wilson.upper)
  } open. One run is one number: it shows neither equivalence nor a spread.`;
  return {
    kind: inside ? "not inconsistent" : "inconsistent",
    sentence,
    predictionInterval: interval,
    wilsonInterval: wilson,
  };
}

/** Three or more runs, of which two or more finished. */
function severalRuns(
  sample: SpreadSample,
  runs: readonly JudgedRun[],
  planned: PlannedClaim,
  reference: Reference,
): Pick<
  Verdict,
  | "kind"
  | "sentence"
  | "equivalence"
  | "differenceP"
  | "power"
  | "runsNeeded"
  | "differenceInterval"
  | "asPaperNet"
> {
  const { margin, alpha } = planned;
  const { kind: decided, equivalence, differenceP } = decide(sample, reference.error, planned);
  const unfinished = runs.length - sample.count;
  const alike = regularity(sample, reference.spread) < TOO_REGULAR;
  /** What the tests say, where runs that did not finish, or are too alike, let them speak. */
  const allowed = (kind: ReturnType<typeof kindOf>): ReturnType<typeof kindOf> =>
    alike || (kind === "equivalent" && unfinished > 0) ? "inconclusive" : kind;
  const kind = allowed(decided);
  const published = {
    ...{ count: reference.runs, mean: reference.error },
    standardDeviation: reference.spread.standardDeviation,
  };
  const ofNet = meansTest(sample, published, margin);
  // Of as many runs as were planned, whether they finished or not.
  const spreadOfNet = ofNet.standardError / Math.sqrt(1 / sample.count + 1 / reference.runs);
  const powers = alike ? undefined : {
    mean: tostPower({
      standardError: sample.standardDeviation / Math.sqrt(runs.length),
      degreesOfFreedom: runs.length - 1,
      ...{ margin, alpha },
    }),
    ofNet: tostPower({
      standardError: spreadOfNet * Math.sqrt(1 / runs.length + 1 / reference.runs),
      degreesOfFreedom: ofNet.degreesOfFreedom + unfinished,
      ...{ margin, alpha },
    }),
  };
  const asPaperNet = {
    kind: allowed(kindOf(ofNet.equivalence.p, ofNet.differenceP, alpha)),
    ...{ equivalence: ofNet.equivalence, differenceP: ofNet.differenceP },
    ...(powers ? { power: powers.ofNet } : {}),
  };

  const away = sample.mean - reference.error;
  const side = away < 0 ? "below" : "above";
  const mean = `the mean test error of the ${
    unfinished > 0 ? `${sample.count} that finished` : `${sample.count} runs`
  } is ${percent(sample.mean)} with a standard deviation of ${points(sample.standardDeviation)}, ${
    points(Math.abs(away))
  } ${side} ${named(reference)}`;
  const shown = equivalence.p < alpha;
  const within = `a mean within ${points(margin)} of it was ${
    shown ? "" : "not "
  }shown (two one-sided t tests, ${p(equivalence.p)})`;
  const apart = `a difference was ${differenceP < alpha ? "" : "not "}shown (two-sided t test, ${
    p(differenceP)
  })`;
  const failed = [
    ...unfinished > 0 ? [`${unfinishedOf(runs)}, which makes equivalence impossible; `] : [],
    ...alike
      ? [
        `the runs are more alike than trainings with a spread of ${
          points(reference.spread.standardDeviation)
        } (${reference.spread.source}) are, so they tell nothing of their own spread; `,
      ]
      : [],
  ].join("");
  const better = kind === "different" && away < 0
    ? " A better error than the paper's is no reproduction either."
    : "";
  const sentence = `${
    capital(kind)
  }: ${failed}${mean}; ${within}, and ${apart}, each at alpha ${alpha}.${better}${
    powers
      ? ` With this spread ${runs.length} runs show equivalence with a probability of ${
        chance(powers.mean)
      } where there is no difference.`
      : ""
  } That is of the printed number; the mean of the paper's net, of which it is ${
    reference.runs === 1 ? "one noisy run" : `the mean of ${reference.runs} runs`
  }, is ${SAID[asPaperNet.kind]} (${p(ofNet.equivalence.p)} and ${p(ofNet.differenceP)}${
    powers ? `; ${chance(powers.ofNet)} where there is no difference` : ""
  }).`;
  const runsNeeded = kind === "inconclusive" && unfinished === 0 && !alike
    ? runsFor(sample.standardDeviation, away, planned)
    : undefined;
  const next = kind === "equivalent"
    ? ""
    : kind === "different"
    ? " Next: not more runs, but what differs; what is found is tried by a new plan."
    : alike
    ? " Next: what makes these runs so alike."
    : unfinished > 0
    ? WHY_UNFINISHED
    : runsNeeded === undefined
    ? ` Next: a new plan of more than ${runs.length} runs. With this mean no number of them is likely to show equivalence, and more may show a difference.`
    : ` Next: a new plan of ${runsNeeded} runs or more, none of these counted again: were spread and difference as here, so many would show equivalence with a probability of ${
      percent(WANTED_POWER, 0)
    }.`;
  return {
    ...{ kind, sentence: sentence + next, equivalence, differenceP, asPaperNet },
    ...(powers ? { power: powers.mean } : {}),
    ...(runsNeeded === undefined ? {} : { runsNeeded }),
    differenceInterval: differenceInterval(sample, published),
  };
}

/** What a next plan's runs are to show equivalence with. */
const WANTED_POWER = 0.9;
const WHY_UNFINISHED = " Next: why runs did not finish, and then a new plan.";
/** Nobody trains more. */
const MOST_RUNS = 1000;

/** The fewest runs that show equivalence with the wanted power, if any number that is trained does. */
function runsFor(
  standardDeviation: number,
  difference: number,
  { margin, alpha }: Pick<PlannedClaim, "margin" | "alpha">,
): number | undefined {
  const enough = (runs: number) =>
    tostPower({
      standardError: standardDeviation / Math.sqrt(runs),
      ...{ degreesOfFreedom: runs - 1, margin, alpha, difference },
    }) >= WANTED_POWER;
  let [few, many] = [FEWEST_RUNS - 1, MOST_RUNS];
  if (!enough(many)) return undefined;
  while (many - few > 1) {
    const middle = Math.floor((few + many) / 2);
    if (enough(middle)) many = middle;
    else few = middle;
  }
  return many;
}

const points = (share: number): string => `${(100 * share).toFixed(2)} points`;
/** A few runs can't carry a finer figure than this. */
const p = (value: number): string => value < 0.001 ? "p < 0.001" : `p = ${value.toFixed(3)}`;
const chance = (power: number): string => power > 0.99 ? "over 99%" : percent(power, 0);
const SAID = {
  equivalent: "shown to lie within the margin",
  different: "shown to be another",
  inconclusive: "neither shown to lie within the margin nor to be another",
} as const;
const capital = (word: string): string => word[0].toUpperCase() + word.slice(1);
const hasSpread = (summary?: Sample): summary is SpreadSample =>
  summary?.standardDeviation !== undefined;

/** "Table 6's 8.75%", "Table 6's mean of 6.61% (5 runs)". */
function named({ source, error, runs }: Reference): string {
  return runs === 1
    ? `${source}'s ${percent(error)}`
    : `${source}'s mean of ${percent(error)} (${runs} runs)`;
}

/** "2 of 5 runs did not finish (1 failed, 1 diverged)". */
function unfinishedOf(runs: readonly JudgedRun[]): string {
  const counts = (["failed", "diverged"] as const)
    .map((kind) => [runs.filter(({ outcome }) => outcome === kind).length, kind] as const)
    .filter(([count]) => count > 0);
  const total = counts.reduce((sum, [count]) => sum + count, 0);
  const each = counts.map(([count, kind]) => `${count} ${kind}`).join(", ");
  return `${total} of ${runs.length} runs did not finish (${each})`;
}

function tooFewFinished(runs: readonly JudgedRun[]): string {
  return `Inconclusive: ${
    unfinishedOf(runs)
  }, and the rest tell nothing of a spread.${WHY_UNFINISHED}`;
}

/** What the reference is of and the runs are not. */
function differentConditions(
  finished: readonly JudgedRun[],
  planned: PlannedClaim,
  reference: Reference,
): string[] {
  const count = (value: number) => value.toLocaleString("en-US");
  const differences: string[] = [];
  if (planned.dataset !== reference.dataset) {
    differences.push(`the data set ${reference.dataset}, and the runs are on ${planned.dataset}`);
  }
  if (planned.iterations !== reference.iterations) {
    differences.push(
      `${count(reference.iterations)} iterations, and the runs take ${count(planned.iterations)}`,
    );
  }
  const tested = finished.find(({ testImages }) => testImages !== reference.testImages)?.testImages;
  if (tested !== undefined) {
    differences.push(
      `${count(reference.testImages)} test images, and a run was tested on ${count(tested)}`,
    );
  }
  return differences;
}

function checkRuns(runs: readonly JudgedRun[], planned: PlannedClaim): void {
  const { architecture, seeds, reference } = planned;
  const refuse = (rule: string, found: string, next: string) => {
    throw new VerdictError(`Judging the runs of ${architecture}: ${rule}, found ${found}; ${next}`);
  };
  const repeated = (
    values: readonly number[],
  ) => [...new Set(values.filter((seed, i) => values.indexOf(seed) !== i))];
  for (const [what, values] of [["plan", seeds], ["runs", runs.map(({ seed }) => seed)]] as const) {
    const twice = repeated(values);
    if (twice.length > 0) {
      refuse(
        `the ${what} must have each seed once`,
        `${twice.join(", ")} more than once`,
        "a run counts once: give each run another seed, or leave the copy out",
      );
    }
  }
  const unplanned = runs.filter(({ seed }) => !seeds.includes(seed)).map(({ seed }) => seed);
  if (unplanned.length > 0) {
    refuse(
      `the seeds must be those of the plan (${seeds.join(", ")})`,
      unplanned.join(", "),
      "runs that were added later are a plan of their own",
    );
  }
  if (reference && reference.architecture !== architecture) {
    refuse("the reference must be the same network's", reference.architecture, "correct the plan");
  }
  for (const { seed, outcome, testError, testImages } of runs) {
    const whole = testImages !== undefined && Number.isInteger(testImages) && testImages > 0;
    if (outcome === "finished" && !(testError !== undefined && testError >= 0 && testError <= 1)) {
      refuse(
        `the finished run of seed ${seed} must have a test error from 0 to 1`,
        `${testError}`,
        "read it from the run's log",
      );
    }
    if (outcome === "finished" && !whole) {
      refuse(
        `the finished run of seed ${seed} must say how many images were tested`,
        `${testImages}`,
        "read it from the run's log",
      );
    }
    if (outcome !== "finished" && testError !== undefined) {
      refuse(
        `the run of seed ${seed}, which ${outcome}, must have no test error`,
        `${testError}`,
        "only the error of the last step counts",
      );
    }
  }
}
