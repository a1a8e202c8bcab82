import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { chiSquareCdf } from "./_distributions.ts";
import { RandomStream } from "../random/mod.ts";
import {
  differenceInterval,
  meansTest,
  predictionInterval,
  sampleOf,
  type SpreadSample,
  tInterval,
  tost,
  tostPower,
  tTest,
  wilsonInterval,
} from "./statistics.ts";

// statsmodels 0.15.0: proportion_confint(errors, images, alpha=1 - confidence, method="wilson").
const REFERENCE = [
  [751, 10_000, 0.95, 0.07009603941996534, 0.08043028239543562],
  [0, 10_000, 0.95, 0, 0.00038399837067659573],
  [10_000, 10_000, 0.95, 0.9996160016293234, 1],
  [1, 10, 0.99, 0.011851503411032943, 0.5072317712328935],
  [643, 10_000, 0.9, 0.060382067979096475, 0.06845362930856799],
  [5, 20, 0.95, 0.11186170140766569, 0.468700877618744],
] as const;

Deno.test("Wilson intervals are those of statsmodels", () => {
  for (const [errors, images, confidence, lower, upper] of REFERENCE) {
    const interval = wilsonInterval(errors, images, confidence);
    assertAlmostEquals(interval.lower, lower, 1e-12);
    assertAlmostEquals(interval.upper, upper, 1e-12);
    assertEquals(interval.confidence, confidence);
  }
});

Deno.test("a Wilson interval of no or all errors ends exactly there", () => {
  for (const images of [1, 3, 7, 999, 10_000]) {
    assertEquals(wilsonInterval(0, images).lower, 0);
    assertEquals(wilsonInterval(images, images).upper, 1);
    assert(wilsonInterval(0, images).upper < 1);
  }
});

Deno.test("a Wilson interval refuses counts and confidences that are none", () => {
  for (
    const [errors, images] of [[-1, 10], [11, 10], [1.5, 10], [0, 0], [NaN, 10], [0, Infinity]]
  ) {
    assertThrows(() => wilsonInterval(errors, images), RangeError);
  }
  for (const confidence of [0, 1, -0.5, NaN]) {
    assertThrows(() => wilsonInterval(1, 10, confidence), RangeError, `${confidence}`);
  }
});

// SciPy 1.16.2 with NumPy 2.4.6: what bench/peers/scipy_statistics.py prints. Errors in percent, made up.
const REFERENCE_ERROR = 8.75;
const SAMPLES = [
  {
    values: [8.69, 9.02, 8.55],
    summary: [3, 8.753333333333334, 0.2413158373031764],
    interval95: [8.153871561453336, 9.352795105213332],
    interval90: [8.346509952542483, 9.160156714124184],
    tTest: 0.9830848283217628,
    tost50: [0.034402795543325364, 0.03523655549293879],
    tost20: [0.14092789173652168, 0.14677623934734346],
    minusOne: [-1.1955902104266636, 1.2022568770933313],
    minusFive: [-0.2442701406487084, 0.22293680731537377],
  },
  {
    values: [8.81, 8.64, 8.92, 8.7, 8.75],
    summary: [5, 8.764000000000001, 0.10737783756436892],
    interval95: [8.630672804891352, 8.89732719510865],
    interval90: [8.661626950415767, 8.866373049584235],
    tTest: 0.7851322394141391,
    tost50: [0.00021583880608563015, 0.00026825238602532614],
    tost20: [0.0055956604829684, 0.008971395530629792],
    minusOne: [-0.31258359685268583, 0.3405835968526881],
    minusFive: [-0.12628508219334347, 0.12628508219334342],
  },
  {
    values: [7.3, 7.62, 7.55, 7.41, 7.8, 7.49, 7.66, 7.58, 7.37, 7.52],
    summary: [10, 7.529999999999999, 0.14734690736866896],
    interval95: [7.424594372237798, 7.635405627762201],
    interval90: [7.444585766807825, 7.6154142331921735],
    tTest: 8.346932790879537e-10,
    tost50: [0.9999999564323317, 1.9474099646648547e-11],
    tost20: [0.9999999979561651, 1.0793937666078594e-10],
    minusOne: [-1.5695909180790917, -0.8704090819209096],
    minusFive: [-1.3662110423120084, -1.1017889576879951],
  },
] as const;

/** A summary with its standard deviation. */
function summaryOf(values: readonly number[]): SpreadSample {
  const { count, mean, standardDeviation } = sampleOf(values);
  assert(standardDeviation !== undefined, "two values or more have a spread");
  return { count, mean, standardDeviation };
}

/** SciPy's own t quantile is exact to about 1e-10: for 2 degrees the closed form tells. */
const assertInterval = (
  { lower, upper }: { lower: number; upper: number },
  [expectedLower, expectedUpper]: readonly number[],
) => {
  assertAlmostEquals(lower, expectedLower, 1e-9);
  assertAlmostEquals(upper, expectedUpper, 1e-9);
};

Deno.test("summaries, t intervals, t tests and TOST are those of SciPy", () => {
  for (const expected of SAMPLES) {
    const sample = summaryOf(expected.values);
    assertEquals(sample.count, expected.summary[0]);
    assertAlmostEquals(sample.mean, expected.summary[1], 1e-12);
    assertAlmostEquals(sample.standardDeviation, expected.summary[2], 1e-12);
    assertInterval(tInterval(sample), expected.interval95);
    assertInterval(tInterval(sample, 0.9), expected.interval90);
    assertAlmostEquals(tTest(sample, REFERENCE_ERROR), expected.tTest, 1e-10);
    for (const [margin, p] of [[0.5, expected.tost50], [0.2, expected.tost20]] as const) {
      const { pBelow, pAbove, p: both } = tost(sample, REFERENCE_ERROR, margin);
      assertAlmostEquals(pBelow, p[0], 1e-10);
      assertAlmostEquals(pAbove, p[1], 1e-10);
      assertEquals(both, Math.max(pBelow, pAbove));
    }
  }
});

Deno.test("t quantiles of 1 and 2 degrees are those of the closed forms", () => {
  for (const confidence of [0.5, 0.9, 0.95, 0.999]) {
    const upper = (count: number) =>
      tInterval({ count, mean: 0, standardDeviation: Math.sqrt(count) }, confidence).upper;
    const p = (1 + confidence) / 2;
    const cauchy = Math.tan(Math.PI * (p - 0.5));
    assertAlmostEquals(upper(2) / cauchy, 1, 1e-12);
    assertAlmostEquals(upper(3) / (confidence * Math.sqrt(2 / (4 * p * (1 - p)))), 1, 1e-12);
  }
});

Deno.test("the difference from one noisy run, and from several, is SciPy's", () => {
  const five = summaryOf(SAMPLES[1].values);
  for (const { values, minusOne, minusFive } of SAMPLES) {
    const sample = summaryOf(values);
    assertInterval(differenceInterval(sample, { count: 1, mean: REFERENCE_ERROR }), minusOne);
    assertInterval(differenceInterval(sample, five, 0.9), minusFive);
  }
});

Deno.test("MLPerf's bound on reference convergence is the lower end of such a difference", () => {
  // mlcommons/logging, rcps_resnet.json of training 2.0.0, batch 4096: epochs to converge.
  const epochs = [39, 42, 40, 41, 39, 40, 41, 39, 40, 39];
  const submittedRuns = 5;
  // The best and the worst are dropped, and its spread is NumPy's: divided by the count.
  const kept = epochs.toSorted((a, b) => a - b).slice(1, -1);
  const { count, mean, standardDeviation } = summaryOf(kept);
  const spread = standardDeviation * Math.sqrt((count - 1) / count);
  const reference = { count, mean, standardDeviation: spread };
  const submitted = { ...reference, count: submittedRuns - 2 };
  const { lower } = differenceInterval(submitted, reference, 0.9);
  assertEquals([count, mean], [8, 39.875]);
  // SciPy, by rcp_checker's own bisection over the p value.
  assertAlmostEquals(mean + lower, 38.906226479714405, 1e-8);
});

Deno.test("prediction intervals are SciPy's", () => {
  for (
    const [mean, count, standardDeviation, runs, confidence, ...expected] of [
      [6.61, 5, 0.16, 5, 0.95, 6.1233690835866765, 7.096630916413324],
      [8.75, 1, 0.16, 5, 0.95, 8.12176218832718, 9.37823781167282],
      [7.51, 1, 0.54, 10, 0.99, 5.028180790863083, 9.991819209136917],
    ]
  ) {
    const spread = { count: runs, standardDeviation };
    assertInterval(predictionInterval({ count, mean }, spread, confidence), expected);
  }
});

Deno.test("the power of TOST is that of SciPy's quadrature over the variance", () => {
  // Runs, spread, true difference; the margin is 0.5.
  for (
    const [runs, spread, difference, expected] of [
      [2, 0.16, 0, 0.4320672542735369],
      [2, 0.54, 0.5, 0.03917660605067846],
      [3, 0.16, 0, 0.9027785166656631],
      [3, 0.3, 0.25, 0.2423728624054009],
      [3, 0.54, 0.5, 0.03803835145544518],
      [5, 0.16, 0.5, 0.05],
      [5, 0.3, 0, 0.8363247771839927],
      [5, 0.54, 0.25, 0.15207246180721135],
      [10, 0.16, 0, 0.9999999999997699],
      [10, 0.3, 0.25, 0.7838040463989554],
      [10, 0.54, 0, 0.7085748840975314],
    ]
  ) {
    const power = tostPower({
      standardError: spread / Math.sqrt(runs),
      degreesOfFreedom: runs - 1,
      margin: 0.5,
      difference,
    });
    assertAlmostEquals(power, expected, 1e-9);
  }
});

Deno.test("the power of TOST is the published one", () => {
  // R package PowerTOST, help of exppower.TOST: power.TOST(CV = 0.3, n = 40) is 0.8158453. A 2x2
  // crossover on the logarithms of ratios: n - 2 degrees, limits 0.8 to 1.25, true ratio 0.95.
  const sigma = Math.sqrt(Math.log(0.3 ** 2 + 1));
  const power = tostPower({
    standardError: sigma * Math.sqrt(2 / 40),
    degreesOfFreedom: 38,
    margin: Math.log(1.25),
    difference: Math.log(0.95),
  });
  assertAlmostEquals(power, 0.8158453, 5e-8);
});

Deno.test("the power of TOST is its rate among simulated experiments", () => {
  const [runs, spread, margin, difference, experiments] = [5, 0.3, 0.5, 0.25, 20_000];
  const random = new RandomStream(7, "probe", 0);
  let shown = 0;
  for (let i = 0; i < experiments; i++) {
    const values = Array.from({ length: runs }, () => difference + spread * random.normal());
    if (tost(summaryOf(values), 0, margin).p < 0.05) shown++;
  }
  const standardError = spread / Math.sqrt(runs);
  const power = tostPower({ standardError, degreesOfFreedom: runs - 1, margin, difference });
  // Four standard errors of a simulated share.
  const tolerance = 4 * Math.sqrt(power * (1 - power) / experiments);
  assertAlmostEquals(shown / experiments, power, tolerance);
});

Deno.test("the power of TOST with a known spread is that of the normal distribution", () => {
  // Towards infinitely many degrees: Phi(1.5 - z) - Phi(-3.5 + z), z = 1.6448536 for alpha 0.05.
  const known = { standardError: 0.02, margin: 0.05, difference: 0.02 };
  // SciPy: norm.cdf(1.5 - norm.ppf(0.95)) - norm.cdf(norm.ppf(0.95) - 3.5)
  assertAlmostEquals(
    tostPower({ ...known, degreesOfFreedom: 1_000_000 }),
    0.4106255566450627,
    1e-5,
  );
  assertEquals(tostPower({ ...known, standardError: 0, degreesOfFreedom: 4 }), 1);
  assertEquals(tostPower({ ...known, standardError: 0, difference: 0.05, degreesOfFreedom: 4 }), 0);
});

Deno.test("equal values show nothing, near or far", () => {
  const sample = { count: 3, mean: 8.75, standardDeviation: 0 };
  assertEquals(tTest(sample, 8.75), 1);
  assertEquals(tTest(sample, 8.74), 1);
  assertEquals(tost(sample, 8.5, 0.5).p, 1);
  assertEquals(tost(sample, 8, 0.5).p, 1);
  assertEquals(meansTest(sample, { count: 1, mean: 8.5 }, 0.5).equivalence.p, 1);
  assertEquals(tInterval(sample), { lower: 8.75, upper: 8.75, confidence: 0.95 });
});

Deno.test("a spread of one value, a margin of nothing and other nonsense are refused", () => {
  const sample = { count: 3, mean: 8.75, standardDeviation: 0.1 };
  const refused = (call: () => unknown, text: string) => assertThrows(call, RangeError, text);
  refused(() => sampleOf([]), "one or more finite");
  refused(() => sampleOf([1, NaN]), "NaN");
  refused(() => tInterval({ ...sample, count: 1 }), "two values or more, found 1");
  refused(() => tTest({ ...sample, count: 2.5 }, 8), "found 2.5");
  refused(() => tost({ ...sample, standardDeviation: -1 }, 8, 0.5), "found -1");
  refused(() => tost(sample, 8, 0), "margin must be above 0, found 0");
  refused(() => tInterval(sample, 1), "between 0 and 1, found 1");
  refused(() => differenceInterval(sample, { count: 2, mean: 8 }), "found undefined");
  const none = { count: 0, mean: 8 };
  refused(() => predictionInterval(none, sample), "one value or more, found 0");
  const power = { standardError: 0.1, degreesOfFreedom: 4, margin: 0.5 };
  refused(() => tostPower({ ...power, standardError: -1 }), "standard error");
  refused(() => tostPower({ ...power, degreesOfFreedom: 0 }), "degrees of freedom");
  refused(() => tostPower({ ...power, margin: NaN }), "margin");
  refused(() => tostPower({ ...power, alpha: 0.5 }), "alpha");
});

Deno.test("tails that are too small for a number are 0 and 1, and break nothing", () => {
  assertEquals([chiSquareCdf(5_000, 4), chiSquareCdf(1e-200, 4)], [1, 0]);
});
