/** Whether one way to test a network is better than another on the same images. */
import { binomialCdf } from "../verdicts/mod.ts";

/** Two trials on the same images, counted where they disagree. */
export interface PairedComparison {
  /** Images that the first alone gets wrong. */
  readonly onlyFirst: number;
  /** Images that the second alone gets wrong. */
  readonly onlySecond: number;
  /** Two-sided p-value of the hypothesis that both err equally often, 0 to 1. */
  readonly p: number;
}

/**
 * Compares two trials by McNemar's exact test: of the images on which they
 * disagree, either is wrong with probability 1/2 if both are equally good. The
 * images on which they agree say nothing.
 *
 * @param first [N], 1 where the first trial is wrong.
 * @param second [N], 1 where the second trial is wrong, the images in the same order.
 * @returns The disagreements and the p-value; 1 where there are none.
 * @throws {RangeError} If the trials are of another number of images.
 *
 * Source: Q. McNemar, "Note on the sampling error of the difference between
 * correlated proportions or percentages", Psychometrika 12, 1947; exact form.
 *
 * @example Three errors against seven, on ten images, are no difference.
 * ```ts
 * import { comparePaired } from "./compare.ts";
 * import { assertAlmostEquals } from "@std/assert";
 *
 * const first = Uint8Array.of(1, 1, 1, 0, 0, 0, 0, 0, 0, 0);
 * const { p } = comparePaired(first, first.map((wrong) => 1 - wrong));
 * assertAlmostEquals(p, 0.34375);
 * ```
 */
export function comparePaired(first: Uint8Array, second: Uint8Array): PairedComparison {
  if (first.length !== second.length) {
    throw new RangeError(
      `a paired comparison needs the same images twice, found ${first.length} and ${second.length}`,
    );
  }
  let onlyFirst = 0, onlySecond = 0;
  for (let i = 0; i < first.length; i++) {
    if (first[i] > second[i]) onlyFirst++;
    if (second[i] > first[i]) onlySecond++;
  }
  const fewer = Math.min(onlyFirst, onlySecond);
  const tail = binomialCdf(fewer, onlyFirst + onlySecond, 0.5);
  return { onlyFirst, onlySecond, p: Math.min(1, 2 * tail) };
}
