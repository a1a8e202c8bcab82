/** Statistics of test errors. */
import normalQuantile from "@stdlib/stats-base-dists-normal-quantile";

/** A confidence interval of a share, both ends within 0 to 1. */
export interface Interval {
  /** Lower end, a share. */
  readonly lower: number;
  /** Upper end, a share. */
  readonly upper: number;
  /** Probability with which such an interval covers the true value, 0 to 1. */
  readonly confidence: number;
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
  const z = normalQuantile((1 + confidence) / 2, 0, 1);
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
