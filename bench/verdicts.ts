/**
 * How often each verdict is given: experiments are simulated whose true
 * difference from the reference and whose spread are known, and each is judged
 * as real runs are.
 *
 * `deno run bench/verdicts.ts --experiments 10000 --seed 1`
 */
import { COMMON, type FlagValues, integer, main, type Outcome } from "../cli/mod.ts";
import { RandomStream } from "../random/mod.ts";
import {
  decide,
  kindOf,
  meansTest,
  sampleOf,
  singleRunInterval,
  type Spread,
  type VerdictKind,
} from "../verdicts/mod.ts";

/** The paper's figure, taken as the truth: ResNet-20's. */
const REFERENCE = 0.0875;
/** The paper's only published spread: that of ResNet-110's five runs. */
const PUBLISHED: Spread = { standardDeviation: 0.0016, runs: 5, source: "Table 6, ResNet-110" };
/** What every verdict is given with. */
const TESTS = { margin: 0.005, alpha: 0.05 };

/** True mean minus reference, shares: nothing, half of the margin, the margin, twice the margin. */
export const DIFFERENCES: readonly number[] = [0, 0.0025, 0.005, 0.01];
/** True standard deviations between seeds: what public repeats of the paper's nets had. */
export const SPREADS: readonly number[] = [0.0016, 0.003, 0.0054];
/** Runs of an experiment. */
export const RUNS: readonly number[] = [1, 3, 5, 10];

/** An experiment that is repeated. */
export interface Experiment {
  /** True mean minus reference, a share. */
  readonly difference: number;
  /** True standard deviation between seeds, a share. */
  readonly spread: number;
  /** Runs: one, or three and more. */
  readonly runs: number;
}

/** What equivalence is to: the printed number, or the mean of the net that it was measured of. */
export type Meaning = "printed number" | "paper's net";

/** How many of the experiments had each verdict. */
export interface Rates extends Experiment {
  /** Experiments. */
  readonly experiments: number;
  /** Shares by verdict; those that never were are absent. */
  readonly rates: Readonly<Partial<Record<VerdictKind, number>>>;
  /** The same where equivalence is to the mean of the paper's net; of one run the same rates. */
  readonly ratesAsNet: Readonly<Partial<Record<VerdictKind, number>>>;
}

/**
 * Repeats an experiment with normally distributed test errors.
 *
 * @param experiment The truth, and the number of runs.
 * @param experiments How many times.
 * @param random Where the errors come from: equal streams give equal rates.
 * @returns The share of each verdict.
 */
export function simulate(
  experiment: Experiment,
  experiments: number,
  random: RandomStream,
): Rates {
  const { difference, spread, runs } = experiment;
  const single = singleRunInterval({ error: REFERENCE, runs: 1, spread: PUBLISHED });
  const judge = (errors: readonly number[], printed: number): [VerdictKind, VerdictKind] => {
    const { count, mean, standardDeviation } = sampleOf(errors);
    if (standardDeviation === undefined) {
      const inside = mean >= single.lower && mean <= single.upper;
      const kind = inside ? "not inconsistent" : "inconsistent";
      return [kind, kind];
    }
    const sample = { count, mean, standardDeviation };
    const reference = { count: 1, mean: printed };
    const { equivalence, differenceP } = meansTest(sample, reference, TESTS.margin);
    return [
      decide(sample, REFERENCE, TESTS).kind,
      kindOf(equivalence.p, differenceP, TESTS.alpha),
    ];
  };
  const counts = [{}, {}] as Partial<Record<VerdictKind, number>>[];
  // Streams of their own, so that one meaning's experiments don't move the other's.
  const ofNet = new RandomStream(random.word(), "probe", 1);
  for (let i = 0; i < experiments; i++) {
    const errors = Array.from(
      { length: runs },
      () => REFERENCE + difference + spread * random.normal(),
    );
    // The printed number is itself one run of the paper's net.
    const kinds = judge(errors, REFERENCE + spread * ofNet.normal());
    kinds.forEach((kind, meaning) => counts[meaning][kind] = (counts[meaning][kind] ?? 0) + 1);
  }
  const [rates, ratesAsNet] = counts.map((ofMeaning) =>
    Object.fromEntries(
      Object.entries(ofMeaning).map(([kind, count]) => [kind, count / experiments]),
    )
  );
  return { ...experiment, experiments, rates, ratesAsNet };
}

/**
 * Every combination of difference, spread and number of runs.
 *
 * @param experiments How many of each.
 * @param seed Equal seeds give equal rates.
 * @returns One entry a combination, in the order of the table.
 */
export function simulateAll(experiments: number, seed: number): Rates[] {
  const combinations = RUNS.flatMap((runs) =>
    SPREADS.flatMap((spread) =>
      DIFFERENCES.map((difference): Experiment => ({ difference, spread, runs }))
    )
  );
  return combinations.map((experiment, index) =>
    simulate(experiment, experiments, new RandomStream(seed, "probe", index))
  );
}

function table(
  all: readonly Rates[],
  kinds: readonly VerdictKind[],
  meaning: Meaning = "printed number",
): string {
  const points = (share: number) => (100 * share).toFixed(2);
  const cells = [
    ["runs", "spread", "difference", ...kinds],
    ...all.map(({ runs, spread, difference, rates, ratesAsNet }) => {
      const shown = meaning === "printed number" ? rates : ratesAsNet;
      return [
        ...[String(runs), points(spread), points(difference)],
        ...kinds.map((kind) => `${(100 * (shown[kind] ?? 0)).toFixed(2)}%`),
      ];
    }),
  ];
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)));
  return cells.map((row) => row.map((cell, i) => cell.padStart(widths[i])).join("  ")).join("\n");
}

const SEVERAL = ["equivalent", "different", "inconclusive"] as const;

const FLAGS = {
  experiments: integer("simulated experiments of each kind; 10,000 by default", 1),
  seed: integer("of the simulation; 1 by default", 0, 0xffffffff),
  ...COMMON,
} as const;

const command = {
  usage: "deno run bench/verdicts.ts",
  summary: "Tells how often each verdict is given where the truth is known.",
  flags: FLAGS,
} as const;

function run({ experiments = 10_000, seed = 1 }: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const all = simulateAll(experiments, seed);
  const { margin, alpha } = TESTS;
  const text = [
    `${
      experiments.toLocaleString("en-US")
    } experiments each, seed ${seed}; spread and difference in points, margin ${
      100 * margin
    } points, alpha ${alpha}.`,
    "Against the printed number:",
    table(all.filter(({ runs }) => runs > 1), SEVERAL),
    "Against the mean of the paper's net, of which the printed number is one run:",
    table(all.filter(({ runs }) => runs > 1), SEVERAL, "paper's net"),
    `One run, against the spread of ${
      100 * PUBLISHED.standardDeviation
    } points (${PUBLISHED.runs} runs; ${PUBLISHED.source}):`,
    table(all.filter(({ runs }) => runs === 1), ["not inconsistent", "inconsistent"]),
  ].join("\n\n");
  return Promise.resolve({ text, json: { experiments, seed, ...TESTS, all } });
}

if (import.meta.main) await main(command, run);
