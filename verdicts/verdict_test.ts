import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { RandomStream } from "../random/mod.ts";
import type { PlannedClaim, Reference } from "./plan.ts";
import { differenceInterval } from "./statistics.ts";
import { type JudgedRun, verdict, VerdictError } from "./verdict.ts";

const SPREAD = { standardDeviation: 0.0016, runs: 5, source: "Table 6, ResNet-110" };
const CONDITIONS = { dataset: "cifar10", iterations: 64_000 } as const;
const RESNET20: Reference = {
  ...CONDITIONS,
  source: "Table 6",
  architecture: "resnet20",
  testImages: 10_000,
  error: 0.0875,
  runs: 1,
  spread: SPREAD,
};
const RESNET110: Reference = { ...RESNET20, architecture: "resnet110", error: 0.0661, runs: 5 };

type End = number | "failed" | "diverged";

/** Finished runs with these errors in percent; the text says how another run ended. */
const runsOf = (...ends: readonly End[]): JudgedRun[] =>
  ends.map((end, seed) =>
    typeof end === "number"
      ? { seed, outcome: "finished", testError: end / 100, testImages: 10_000 }
      : { seed, outcome: end }
  );

const planOf = (runs: number, reference: Reference | undefined = RESNET20): PlannedClaim => ({
  ...CONDITIONS,
  ...{ architecture: reference?.architecture ?? "resnet20", recipe: "paper" },
  seeds: Array.from({ length: runs }, (_, seed) => seed),
  margin: 0.005,
  alpha: 0.05,
  reference,
});

const judge = (...ends: readonly End[]) => verdict(runsOf(...ends), planOf(ends.length));

Deno.test("three runs or more are equivalent, different or inconclusive", () => {
  // SciPy (bench/peers/scipy_statistics.py): TOST p = 0.0352, 0.000268.
  const three = judge(8.69, 9.02, 8.55);
  assertEquals(three.kind, "equivalent");
  assertAlmostEquals(three.equivalence!.p, 0.03523655549293879, 1e-10);
  assertEquals(judge(8.81, 8.64, 8.92, 8.7, 8.75).kind, "equivalent");
  // SciPy's TOST p of these two is 0.0590 and 0.9843, that of the two-sided test 0.3278 and 0.0069.
  assertEquals(judge(8.66, 9.02, 9.06).kind, "inconclusive");
  assertEquals(judge(9.56, 9.82, 9.64).kind, "different");
});

Deno.test("a mean that is too good is different, and the sentence says so", () => {
  const { kind, sentence } = judge(7.56, 7.82, 7.64);
  assertEquals(kind, "different");
  assertStringIncludes(sentence, "1.08 points below Table 6's 8.75%");
  assertStringIncludes(sentence, "better error than the paper's is no reproduction either");
});

Deno.test("a small difference that is shown is equivalent where it is shown to be small", () => {
  const { kind, differenceP, sentence } = judge(8.84, 8.85, 8.86);
  assertEquals(kind, "equivalent");
  assert(differenceP! < 0.05);
  assertStringIncludes(sentence, "was shown (two one-sided t tests");
  assertStringIncludes(sentence, "a difference was shown (two-sided t test");
});

Deno.test("runs that failed or diverged count: equivalent is impossible", () => {
  const finished = [8.81, 8.64, 8.92, 8.7] as const;
  assertEquals(judge(...finished).kind, "equivalent");
  const diverged = judge(...finished, "diverged");
  assertEquals([diverged.kind, diverged.finished], ["inconclusive", 4]);
  assertStringIncludes(diverged.sentence, "1 of 5 runs did not finish (1 diverged)");
  const both = judge(...finished, "diverged", "failed");
  assertStringIncludes(both.sentence, "2 of 6 runs did not finish (1 failed, 1 diverged)");
  assertEquals(judge(9.56, 9.82, 9.64, "diverged").kind, "different");
  assertEquals(judge(8.7, "diverged", "diverged").kind, "inconclusive");
  assertEquals(judge("diverged", "diverged", "failed").kind, "inconclusive");
});

Deno.test("beside the verdict stand the intervals, and the power that the plan had", () => {
  const { summary, meanInterval, differenceInterval, power, sentence } = judge(
    ...[8.81, 8.64, 8.92, 8.7, 8.75],
  );
  // SciPy, as for verdicts/statistics_test.ts; the power by its quadrature.
  assertAlmostEquals(summary!.standardDeviation!, 0.0010737783756436892, 1e-14);
  assertAlmostEquals(meanInterval!.lower, 0.08630672804891352, 1e-11);
  assertAlmostEquals(meanInterval!.upper, 0.0889732719510865, 1e-11);
  assertAlmostEquals(differenceInterval!.lower, -0.0031258359685268583, 1e-11);
  assertAlmostEquals(differenceInterval!.upper, 0.003405835968526881, 1e-11);
  assertAlmostEquals(power!, 0.9999999997949656, 1e-9);
  assertStringIncludes(sentence, "the mean test error of the 5 runs is 8.76%");
  assertStringIncludes(sentence, "standard deviation of 0.11 points");
  assertStringIncludes(sentence, "each at alpha 0.05");
  assertStringIncludes(sentence, "5 runs show equivalence with a probability of over 99%");
});

Deno.test("the power is that of the planned runs, also where fewer finished", () => {
  const { power, sentence } = judge(8.5, 8.8, 9.1, "failed");
  // SciPy's quadrature: 4 runs, the three runs' spread of 0.3, margin 0.5, no difference.
  assertAlmostEquals(power!, 0.6538633471942294, 1e-9);
  assertStringIncludes(sentence, "4 runs show equivalence with a probability of 65%");
  // The same in NumPy for 4 runs and one noisy figure, with a spread of 0.1: trapezia over the
  // density of the estimated spread; of 4,000,000 drawn experiments 0.905948 show it.
  const ofNet = judge(8.7, 8.8, 8.9, "failed").asPaperNet;
  assertAlmostEquals(ofNet!.power!, 0.9058988653382306, 1e-8);
});

Deno.test("what is not equivalent comes with the next step that would decide it", () => {
  // NumPy, 400,000 drawn experiments of as many runs with this mean and spread: 30 show equivalence
  // in 89.8% of them, 31 in 90.8%.
  const near = judge(8.5, 9.1, 9.4);
  assertEquals([near.kind, near.runsNeeded], ["inconclusive", 31]);
  assertStringIncludes(near.sentence, "Next: a new plan of 31 runs or more, none of these counted");
  const cases: readonly (readonly [readonly End[], string, string])[] = [
    [[8.5, 9.4, 10.1], "inconclusive", "no number of them is likely to show equivalence"],
    [[8.5, 8.8, 9.1, "failed"], "inconclusive", "Next: why runs did not finish"],
    [[8.75, 8.75, 8.75], "inconclusive", "Next: what makes these runs so alike"],
    [["diverged", "diverged", 8.7], "inconclusive", "Next: why runs did not finish"],
    [[9.56, 9.82, 9.64], "different", "Next: not more runs, but what differs"],
  ];
  for (const [ends, kind, text] of cases) {
    const { sentence, ...judged } = judge(...ends);
    assertEquals([judged.kind, judged.runsNeeded], [kind, undefined]);
    assertStringIncludes(sentence, text);
  }
  assert(!judge(8.81, 8.64, 8.92, 8.7, 8.75).sentence.includes("Next:"));
});

Deno.test("ResNet-110 is compared with the mean of its five runs", () => {
  const planned = planOf(5, RESNET110);
  const { kind, sentence, differenceInterval } = verdict(
    runsOf(6.58, 6.7, 6.49, 6.75, 6.61),
    planned,
  );
  assertEquals(kind, "equivalent");
  assertStringIncludes(sentence, "Table 6's mean of 6.61% (5 runs)");
  // SciPy: ttest_ind_from_stats' pooled interval of five runs and 6.61 +- 0.16 of five, 95%.
  assertAlmostEquals(differenceInterval!.lower, -0.0017975245195347154, 1e-11);
  assertAlmostEquals(differenceInterval!.upper, 0.0021175245195347156, 1e-11);
});

Deno.test("one run is no more than not inconsistent, by a spread that is named", () => {
  // t(0.975, 4) = 2.776445 times 0.16 points times sqrt 2 is 0.628238 points.
  const inside = judge(9.37);
  assertEquals(inside.kind, "not inconsistent");
  assertAlmostEquals(inside.predictionInterval!.lower, 0.0875 - 0.00628238, 1e-8);
  assertAlmostEquals(inside.predictionInterval!.upper, 0.0875 + 0.00628238, 1e-8);
  assertStringIncludes(inside.sentence, "0.16 points (5 runs; Table 6, ResNet-110)");
  assertEquals(judge(8.13).kind, "not inconsistent");
  assertEquals(judge(9.38).kind, "inconsistent");
  assertEquals(judge(8.12).kind, "inconsistent");
  // statsmodels: proportion_confint(937, 10000, method="wilson").
  assertAlmostEquals(inside.wilsonInterval!.lower, 0.0881434357192143, 1e-12);
  assertAlmostEquals(inside.wilsonInterval!.upper, 0.0995686013567975, 1e-12);
  // Five runs behind the figure: the factor is sqrt(1 + 1/5).
  const five = verdict(runsOf(6.61), planOf(1, RESNET110)).predictionInterval;
  assertAlmostEquals(five!.upper, 0.0661 + 0.0048663, 1e-7);
});

Deno.test("runs that are more alike than chance lets them be show nothing", () => {
  const equal = judge(8.75, 8.75, 8.75);
  assertEquals([equal.kind, equal.asPaperNet?.kind], ["inconclusive", "inconclusive"]);
  assertEquals([equal.equivalence?.p, equal.differenceP], [1, 1]);
  assertStringIncludes(equal.sentence, "they tell nothing of their own spread");
  // Nor of how probable it was to show anything.
  assertEquals([equal.power, equal.asPaperNet?.power], [undefined, undefined]);
  assert(!equal.sentence.includes("probability") && !equal.sentence.includes("over 99%"));
  // By chance once in 1,800 times: 1 - exp(-s^2 / sigma^2) of three runs, s 0.0038 points.
  assertEquals(judge(8.75, 8.7566, 8.7566).kind, "inconclusive");
  assertEquals(judge(8.7, 8.75, 8.8).kind, "equivalent");
});

Deno.test("both meanings of equivalent stand beside each other", () => {
  // The mean is shown to lie within 0.5 points of 8.75, and not of what lies behind it.
  const both = judge(8.66, 8.99, 9.1, 8.8, 8.95);
  assertEquals([both.kind, both.asPaperNet?.kind], ["equivalent", "inconclusive"]);
  assertStringIncludes(both.sentence, "one noisy run");
  // Equivalence at 0.05 is the 90% interval within the margin: differenceInterval, by SciPy.
  for (const errors of [[8.81, 8.64, 8.92, 8.7, 8.75], [8.66, 8.99, 9.1, 8.8, 8.95]]) {
    const { summary, asPaperNet } = judge(...errors);
    const sample = { standardDeviation: 0, ...summary! };
    const reference = { count: 1, mean: 0.0875 };
    const { lower, upper } = differenceInterval(sample, reference, 0.9);
    assertEquals(asPaperNet!.equivalence.p < 0.05, lower > -0.005 && upper < 0.005);
    const wide = differenceInterval(sample, reference, 1 - asPaperNet!.differenceP);
    const nearer = Math.min(Math.abs(wide.lower), Math.abs(wide.upper));
    assertAlmostEquals(nearer, 0, 1e-8);
  }
});

Deno.test("nothing is said where nothing can be", () => {
  const sentenceOf = (runs: readonly JudgedRun[], planned: PlannedClaim): string => {
    const { kind, sentence } = verdict(runs, planned);
    assertEquals(kind, "none");
    return sentence;
  };
  const good = runsOf(8.69, 9.02, 8.55);
  const planned = planOf(3);
  const cases: readonly (readonly [readonly JudgedRun[], PlannedClaim, string])[] = [
    [good, { ...planned, reference: undefined }, "no published error of resnet20"],
    [good, { ...planned, iterations: 4_000 }, "64,000 iterations, and the runs take 4,000"],
    [
      good,
      { ...planned, dataset: "shapes10" },
      "the data set cifar10, and the runs are on shapes10",
    ],
    [good.map((run) => ({ ...run, testImages: 9_000 })), planned, "a run was tested on 9,000"],
    [good.slice(1), planned, "2 of 3 planned runs are over"],
    [good.slice(1), { ...planned, seeds: [1, 2] }, "two runs tell too little"],
    [runsOf("diverged"), planOf(1), "the only run diverged"],
  ];
  for (const [runs, plan, text] of cases) {
    const sentence = sentenceOf(runs, plan);
    assert(sentence.startsWith("No verdict: "), sentence);
    assertStringIncludes(sentence, text);
  }
  // The figures of a shortened schedule stand without a verdict.
  const short = verdict(good, { ...planned, iterations: 4_000 });
  assertAlmostEquals(short.meanInterval!.lower, 0.08153871561453336, 1e-11);
  assertEquals(short.equivalence, undefined);
});

Deno.test("repeated and unplanned seeds, and runs that contradict themselves, are refused", () => {
  const [first, second, third] = runsOf(8.69, 9.02, 8.55);
  const refused = (runs: readonly JudgedRun[], text: string, planned = planOf(3)) =>
    assertThrows(() => verdict(runs, planned), VerdictError, text);
  refused([first, second, first, second], "each seed once, found 0, 1 more than once");
  refused([first], "the plan must have each seed once, found 4", {
    ...planOf(3),
    seeds: [0, 4, 4],
  });
  refused([first, second, { ...third, seed: 7 }], "those of the plan (0, 1, 2), found 7");
  refused([{ ...first, testError: undefined }], "test error from 0 to 1, found undefined");
  refused([{ ...first, testError: 8.69 }], "from 0 to 1, found 8.69");
  refused([{ ...first, testImages: undefined }], "how many images");
  refused([{ ...first, outcome: "failed" }], "must have no test error, found 0.086");
  refused([first], "same network's, found resnet110", {
    ...planOf(3),
    reference: RESNET110,
  });
});

Deno.test("simulated reproductions: each meaning of equivalent is wrong as rarely as it says", () => {
  const random = new RandomStream(11, "probe", 0);
  const experiments = 4_000, runs = 5, sigma = 0.0016, { margin, alpha } = planOf(runs);
  /** How often each is said where our nets are `away` from the paper's, which has one noisy run. */
  const rates = (away: number) => {
    let printed = 0, net = 0, printedRight = 0;
    for (let i = 0; i < experiments; i++) {
      const error = 0.0875 + sigma * random.normal();
      const errors = Array.from({ length: runs }, () => 0.0875 + away + sigma * random.normal());
      const found = verdict(
        runsOf(...errors.map((one) => 100 * one)),
        planOf(runs, { ...RESNET20, error }),
      );
      if (found.kind === "equivalent") {
        printed++;
        // What it claims: our mean lies within the margin of the number that is printed.
        if (Math.abs(0.0875 + away - error) <= margin) printedRight++;
      }
      if (found.asPaperNet?.kind === "equivalent") net++;
    }
    return {
      printed: printed / experiments,
      wrong: (printed - printedRight) / experiments,
      net: net / experiments,
    };
  };
  // Four standard errors of a simulated share.
  const most = alpha + 4 * Math.sqrt(alpha * (1 - alpha) / experiments);
  const [same, apart] = [rates(0), rates(margin)];
  // Nets that are the margin apart are seldom said to be equivalent as nets; the printed number,
  // a noisy one, may well lie nearer to ours, and is then rightly said to.
  assert(apart.net <= most, `as nets: ${apart.net}`);
  assert(apart.printed > 0.2, `to the number: ${apart.printed}`);
  assert(apart.wrong <= most && same.wrong <= most, `${apart.wrong}, ${same.wrong}`);
  // Equal nets: the number is easier to meet than the net behind it.
  assert(same.printed > same.net && same.net > 0.3, `${same.printed}, ${same.net}`);
});
