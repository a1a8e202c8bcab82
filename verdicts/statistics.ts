/**
 * Statistics of test errors: of one network over test images, and of equal
 * trainings over seeds. All functions are pure; errors, differences and margins
 * are shares (0.005 is half a point), and any other unit does as well where all
 * arguments have it.
 */
import { gammaln, normalCdf, normalQuantile, tCdf } from "./_distributions.ts";

/** An interval that covers what it is of with a given probability. */
export interface Interval {
  /** Lower end. */
  readonly lower: number;
  /** Upper end. */
  readonly upper: number;
  /** Probability with which such an interval covers the true value, 0 to 1. */
  readonly confidence: number;
}

/** What the statistics of normally distributed values need of a sample. */
export interface Sample {
  /** How many values. */
  readonly count: number;
  /** Their mean. */
  readonly mean: number;
  /** Their sample standard deviation (divided by count - 1); undefined of a single value. */
  readonly standardDeviation?: number;
}

/** A sample of two or more values. */
export type SpreadSample = Required<Sample>;

/** Answer of the two one-sided t tests. */
export interface Equivalence {
  /** p value of "the mean lies a margin or more below the reference". */
  readonly pBelow: number;
  /** p value of "the mean lies a margin or more above the reference". */
  readonly pAbove: number;
  /** The larger of both: equivalence is shown where it is below alpha. */
  readonly p: number;
}

/**
 * Wilson's score interval for the error of one network on a test set: what the
 * number of test images alone leaves open. It says nothing of how results
 * spread over seeds.
 *
 * @param errors Misclassified images.
 * @param images All test images.
 * @param confidence Between 0 and 1.
 * @returns The interval, as shares.
 * @throws {RangeError} If the counts are not whole numbers with 0 <= errors <=
 *   images and images > 0, or the confidence is not between 0 and 1.
 *
 * Source: E. B. Wilson, "Probable inference, the law of succession, and
 * statistical inference", JASA 22, 1927; without continuity correction.
 *
 * @example
 * ```ts
 * import { wilsonInterval } from "./statistics.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const { lower, upper } = wilsonInterval(751, 10_000);
 * assertAlmostEquals(lower, 0.0701, 1e-4);
 * assertAlmostEquals(upper, 0.0804, 1e-4);
 * ```
 */
export function wilsonInterval(errors: number, images: number, confidence = 0.95): Interval {
  if (!(Number.isInteger(images) && images > 0)) {
    throw new RangeError(
      `Wilson interval: the number of images must be a whole number above 0, found ${images}`,
    );
  }
  if (!(Number.isInteger(errors) && errors >= 0 && errors <= images)) {
    throw new RangeError(
      `Wilson interval: the errors must be a whole number from 0 to ${images}, found ${errors}`,
    );
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(
      `Wilson interval: the confidence must lie between 0 and 1, found ${confidence}`,
    );
  }
  const z = normalQuantile((1 + confidence) / 2);
  const share = errors / images;
  const shrink = 1 + z * z / images;
  const centre = (share + z * z / (2 * images)) / shrink;
  const half = z / shrink * Math.sqrt(share * (1 - share) / images + (z / (2 * images)) ** 2);
  // At 0 and at all errors one end is the share itself; rounding must not leave [0, 1].
  return {
    lower: errors === 0 ? 0 : centre - half,
    upper: errors === images ? 1 : centre + half,
    confidence,
  };
}

/**
 * Count, mean and sample standard deviation.
 *
 * @param values One or more finite numbers.
 * @throws {RangeError} On no values, or one that is not finite.
 *
 * @example
 * ```ts
 * import { sampleOf } from "./statistics.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(sampleOf([2, 4, 6]), { count: 3, mean: 4, standardDeviation: 2 });
 * ```
 */
export function sampleOf(values: readonly number[]): Sample {
  const count = values.length;
  if (count === 0 || !values.every(Number.isFinite)) {
    throw new RangeError(`a sample has one or more finite values, found [${values}]`);
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  if (count === 1) return { count, mean };
  // Without the rounding of the mean, which would leave a spread of 1e-17.
  if (values.every((value) => value === values[0])) {
    return { count, mean: values[0], standardDeviation: 0 };
  }
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { count, mean, standardDeviation: Math.sqrt(squares / (count - 1)) };
}

/**
 * The t interval of a mean.
 *
 * @param sample Of two or more values.
 * @param confidence Between 0 and 1.
 * @throws {RangeError} On fewer values, or another confidence.
 *
 * Source: Student, "The probable error of a mean", Biometrika 6, 1908.
 *
 * @example
 * ```ts
 * import { tInterval } from "./statistics.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * // t(0.975, 3 degrees of freedom) = 3.1824, times 0.2 / sqrt(4)
 * const { upper } = tInterval({ count: 4, mean: 8.5, standardDeviation: 0.2 });
 * assertAlmostEquals(upper, 8.5 + 0.31824, 1e-5);
 * ```
 */
export function tInterval(sample: SpreadSample, confidence = 0.95): Interval {
  checkSample("t interval", sample);
  const { count, mean, standardDeviation } = sample;
  return around(mean, standardDeviation / Math.sqrt(count), count - 1, confidence);
}

/**
 * The two-sided t test of a mean against a fixed value.
 *
 * @param sample Of two or more values.
 * @param reference The value.
 * @returns The p value of "the mean is the reference"; 1 where all values are equal: a spread that
 *   was not met is no evidence that there is none.
 * @throws {RangeError} On fewer values.
 *
 * Source: Student, 1908, as for {@link tInterval}.
 *
 * @example
 * ```ts
 * import { tTest } from "./statistics.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * // t = (8.5 - 8.4) / 0.1 = 1 with 1 degree of freedom: the quartile of the Cauchy distribution.
 * const sample = { count: 2, mean: 8.5, standardDeviation: 0.1 * Math.SQRT2 };
 * assertAlmostEquals(tTest(sample, 8.4), 0.5, 1e-9);
 * ```
 */
export function tTest(sample: SpreadSample, reference: number): number {
  checkSample("t test", sample);
  return Math.min(1, 2 * lowerTail(-Math.abs(sample.mean - reference), ofMean(sample)));
}

/**
 * Equivalence of a mean to a fixed value by two one-sided t tests (TOST): the
 * mean is shown to lie within the margin where both hypotheses, that it lies
 * that far below and that far above, are rejected.
 *
 * @param sample Of two or more values.
 * @param reference The value.
 * @param margin Above 0, fixed before the values were seen.
 * @returns Both p values. Each test has its level alone: no correction is due,
 *   since both must reject. 1 where all values are equal: they tell nothing of a spread.
 * @throws {RangeError} On fewer values, or a margin that is not above 0.
 *
 * Source: D. J. Schuirmann, "A comparison of the two one-sided tests procedure
 * and the power approach", J. Pharmacokinetics and Biopharmaceutics 15, 1987.
 *
 * @example
 * ```ts
 * import { tost } from "./statistics.ts";
 * import { assert } from "@std/assert";
 *
 * const sample = { count: 5, mean: 8.7, standardDeviation: 0.16 };
 * assert(tost(sample, 8.75, 0.5).p < 0.05);
 * assert(tost(sample, 8.3, 0.5).p > 0.05);
 * ```
 */
export function tost(sample: SpreadSample, reference: number, margin: number): Equivalence {
  checkSample("TOST", sample);
  checkMargin("TOST", margin);
  return equivalenceOf(sample.mean - reference, ofMean(sample), margin);
}

/**
 * Both questions of {@link tost} and {@link tTest}, asked of the mean behind a
 * reference that is itself of noisy runs: of one value, which adds its noise and
 * knows nothing of the spread, or of several with theirs.
 *
 * @param sample Of two or more values.
 * @param reference Of one value, or of several with their standard deviation.
 * @param margin Above 0, fixed before the values were seen.
 * @returns The two one-sided tests, the p value of "the means are the same", and
 *   the standard error and degrees of freedom that they rest on.
 * @throws {RangeError} On fewer values, or a margin that is not above 0.
 *
 * Source: the pooled two-sample t test, as in {@link differenceInterval}.
 *
 * @example The interval that contains the difference lies within the margin where p is below its tail.
 * ```ts
 * import { assert } from "@std/assert";
 * import { differenceInterval, meansTest } from "./statistics.ts";
 *
 * const sample = { count: 5, mean: 8.7, standardDeviation: 0.16 };
 * const { lower, upper } = differenceInterval(sample, { count: 1, mean: 8.75 }, 0.9);
 * assert(lower > -0.5 && upper < 0.5);
 * assert(meansTest(sample, { count: 1, mean: 8.75 }, 0.5).equivalence.p < 0.05);
 * ```
 */
export function meansTest(
  sample: SpreadSample,
  reference: Sample,
  margin: number,
): {
  readonly equivalence: Equivalence;
  readonly differenceP: number;
  readonly standardError: number;
  readonly degreesOfFreedom: number;
} {
  checkMargin("TOST of two means", margin);
  const spread = pooled("TOST of two means", sample, reference);
  const difference = sample.mean - reference.mean;
  return {
    equivalence: equivalenceOf(difference, spread, margin),
    differenceP: Math.min(1, 2 * lowerTail(-Math.abs(difference), spread)),
    standardError: spread.error,
    degreesOfFreedom: spread.degrees,
  };
}

/** How far chance moves what is tested. */
interface ErrorOf {
  /** Standard error. */
  readonly error: number;
  /** Degrees of freedom behind it. */
  readonly degrees: number;
}

const ofMean = ({ count, standardDeviation }: SpreadSample): ErrorOf => ({
  error: standardDeviation / Math.sqrt(count),
  degrees: count - 1,
});

/** Of the difference of two means with one true spread. */
function pooled(attempted: string, sample: SpreadSample, reference: Sample): ErrorOf {
  checkSample(attempted, sample);
  const { count, standardDeviation = 0 } = reference;
  if (count > 1) checkSample(attempted, reference);
  const degrees = sample.count + count - 2;
  const variance = ((sample.count - 1) * sample.standardDeviation ** 2 +
    (count - 1) * standardDeviation ** 2) / degrees;
  return { error: Math.sqrt(variance * (1 / sample.count + 1 / count)), degrees };
}

function equivalenceOf(difference: number, spread: ErrorOf, margin: number): Equivalence {
  const pBelow = lowerTail(-(difference + margin), spread);
  const pAbove = lowerTail(difference - margin, spread);
  return { pBelow, pAbove, p: Math.max(pBelow, pAbove) };
}

/**
 * The probability that {@link tost} shows equivalence.
 *
 * With Z the standardised mean and U = s / sigma, which are independent, it is
 * the mean over U of P(-m + tU < Z < m' - tU), t = t(1 - alpha) and m, m' the
 * distances to the margins in standard errors: the difference of two values of
 * Owen's Q function. No library for JavaScript has Owen's Q or the bivariate
 * noncentral t; over U's chi density the integrand is smooth and vanishes where
 * the interval is empty, so Simpson's rule gives it to 1e-9.
 *
 * @param options.standardError True standard deviation of the mean: sigma / sqrt(runs).
 * @param options.degreesOfFreedom Of the estimated spread: runs - 1.
 * @param options.margin Above 0.
 * @param options.difference True mean minus the reference.
 * @param options.alpha Level of each of both tests, between 0 and 0.5.
 * @returns From 0 to 1.
 * @throws {RangeError} On an argument outside its range.
 *
 * Source: D. B. Owen, "A special case of a bivariate non-central
 * t-distribution", Biometrika 52, 1965; K. F. Phillips, "Power of the two
 * one-sided tests procedure in bioequivalence", J. Pharmacokinetics and
 * Biopharmaceutics 18, 1990.
 *
 * @example Five runs with a spread of 0.3 points and a margin of half a point.
 * ```ts
 * import { tostPower } from "./statistics.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const power = tostPower({ standardError: 0.3 / Math.sqrt(5), degreesOfFreedom: 4, margin: 0.5 });
 * assertAlmostEquals(power, 0.836, 1e-3);
 * ```
 */
export function tostPower(options: {
  readonly standardError: number;
  readonly degreesOfFreedom: number;
  readonly margin: number;
  readonly difference?: number;
  readonly alpha?: number;
}): number {
  const { standardError, degreesOfFreedom, margin, difference = 0, alpha = 0.05 } = options;
  checkMargin("power of TOST", margin);
  if (!(standardError >= 0 && Number.isFinite(standardError))) {
    throw new RangeError(
      `power of TOST: the standard error must be 0 or more, found ${standardError}`,
    );
  }
  if (!(Number.isInteger(degreesOfFreedom) && degreesOfFreedom > 0)) {
    throw new RangeError(
      `power of TOST: the degrees of freedom must be a whole number above 0, found ${degreesOfFreedom}`,
    );
  }
  if (!(alpha > 0 && alpha < 0.5)) {
    throw new RangeError(`power of TOST: alpha must lie between 0 and 0.5, found ${alpha}`);
  }
  if (standardError === 0) return Math.abs(difference) < margin ? 1 : 0;
  const t = tQuantile(1 - alpha, degreesOfFreedom);
  const below = (margin + difference) / standardError;
  const above = (margin - difference) / standardError;
  // ln of U's density but for its powers of u: U squared is chi-squared by its degrees. In
  // logarithms, since the powers overflow from some hundred degrees on.
  const half = degreesOfFreedom / 2;
  const constant = Math.LN2 + half * Math.log(half) - gammaln(half);
  const density = (u: number) =>
    Math.exp(
      constant + (degreesOfFreedom - 1) * Math.log(Math.max(u, Number.MIN_VALUE)) - half * u * u,
    );
  const integrand = (u: number) =>
    density(u) * Math.max(0, normalCdf(above - t * u) - normalCdf(t * u - below));
  // Past ten standard deviations of U nothing is left; past `empty` no interval is.
  const reach = 10 / Math.sqrt(2 * degreesOfFreedom);
  const empty = margin / (t * standardError);
  return simpson(integrand, Math.max(0, 1 - reach), Math.min(1 + reach, empty));
}

/**
 * The interval of the difference of two means, where both samples have one true
 * spread: what a published figure, itself of one noisy run or of several, leaves
 * open. A reference of one value adds its noise and knows nothing of the spread.
 *
 * @param sample Of two or more values.
 * @param reference Of one value, or of several with their standard deviation.
 * @param confidence Between 0 and 1.
 * @returns Of the true mean behind `sample` minus that behind `reference`.
 * @throws {RangeError} On fewer values, several without a standard deviation, or
 *   another confidence.
 *
 * Source: the two-sample t interval with pooled variance; R. A. Fisher,
 * "Statistical Methods for Research Workers", 1925.
 *
 * @example
 * ```ts
 * import { differenceInterval } from "./statistics.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * // t(0.975, 3) = 3.1824, times 0.2 sqrt(1/4 + 1)
 * const sample = { count: 4, mean: 8.5, standardDeviation: 0.2 };
 * const { lower } = differenceInterval(sample, { count: 1, mean: 8.75 });
 * assertAlmostEquals(lower, -0.25 - 0.71161, 1e-5);
 * ```
 */
export function differenceInterval(
  sample: SpreadSample,
  reference: Sample,
  confidence = 0.95,
): Interval {
  const { error, degrees } = pooled("interval of a difference", sample, reference);
  return around(sample.mean - reference.mean, error, degrees, confidence);
}

/**
 * Where one further value will lie, given a mean of earlier ones and their
 * spread: what a single run can be held against.
 *
 * @param reference The mean, and how many values it is of; one is allowed.
 * @param spread Standard deviation and how many values it was estimated from;
 *   these need not be the ones behind the mean.
 * @param confidence Between 0 and 1.
 * @throws {RangeError} On a spread of fewer than two values, a mean of none, or
 *   another confidence.
 *
 * Source: G. J. Hahn, "Factors for calculating two-sided prediction intervals
 * for samples from a normal distribution", JASA 64, 1969.
 *
 * @example
 * ```ts
 * import { predictionInterval } from "./statistics.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * // t(0.975, 4) = 2.7764, times 0.16 sqrt(1 + 1/5)
 * const { upper } = predictionInterval({ count: 5, mean: 6.61 }, { count: 5, standardDeviation: 0.16 });
 * assertAlmostEquals(upper, 6.61 + 0.48663, 1e-5);
 * ```
 */
export function predictionInterval(
  reference: Pick<Sample, "count" | "mean">,
  spread: Pick<SpreadSample, "count" | "standardDeviation">,
  confidence = 0.95,
): Interval {
  checkSample("prediction interval", spread);
  if (!(Number.isInteger(reference.count) && reference.count > 0)) {
    throw new RangeError(
      `prediction interval: the mean must be of one value or more, found ${reference.count}`,
    );
  }
  const error = spread.standardDeviation * Math.sqrt(1 + 1 / reference.count);
  return around(reference.mean, error, spread.count - 1, confidence);
}

/** centre -+ t(degrees) * error. */
function around(centre: number, error: number, degrees: number, confidence: number): Interval {
  if (!(confidence > 0 && confidence < 1)) {
    throw new RangeError(
      `the confidence of an interval must lie between 0 and 1, found ${confidence}`,
    );
  }
  const half = tQuantile((1 + confidence) / 2, degrees) * error;
  return { lower: centre - half, upper: centre + half, confidence };
}

/**
 * Upper quantile of the t distribution, `p` from 0.5 to 1: its distribution function inverted by
 * bisection, from the small tail, to the last bit. Cephes has it for whole degrees alone.
 */
function tQuantile(p: number, degrees: number): number {
  const beyond = (t: number) => tCdf(-t, degrees) > 1 - p;
  let [lower, upper] = [0, 1];
  while (beyond(upper)) [lower, upper] = [upper, 2 * upper];
  for (;;) {
    const middle = (lower + upper) / 2;
    if (middle <= lower || middle >= upper) return middle;
    if (beyond(middle)) lower = middle;
    else upper = middle;
  }
}

/** P(T < difference / standard error); 1 where there is none, since equal values reject nothing. */
function lowerTail(difference: number, { error, degrees }: ErrorOf): number {
  return error === 0 ? 1 : tCdf(difference / error, degrees);
}

/** Simpson's rule. */
function simpson(f: (x: number) => number, from: number, to: number, intervals = 2_000): number {
  if (to <= from) return 0;
  const width = (to - from) / intervals;
  let sum = f(from) + f(to);
  for (let i = 1; i < intervals; i++) sum += (i % 2 === 1 ? 4 : 2) * f(from + i * width);
  return sum * width / 3;
}

function checkSample(
  attempted: string,
  { count, standardDeviation }: Pick<Sample, "count" | "standardDeviation">,
): void {
  if (!(Number.isInteger(count) && count >= 2)) {
    throw new RangeError(
      `${attempted}: a spread needs two values or more, found ${count}; one value has an interval only by a spread from elsewhere`,
    );
  }
  if (!(standardDeviation !== undefined && standardDeviation >= 0)) {
    throw new RangeError(
      `${attempted}: the standard deviation of ${count} values must be 0 or more, found ${standardDeviation}`,
    );
  }
}

function checkMargin(attempted: string, margin: number): void {
  if (!(margin > 0)) {
    throw new RangeError(`${attempted}: the margin must be above 0, found ${margin}`);
  }
}
