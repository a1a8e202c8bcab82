/** The error to expect of one run by the paper. */
import { PAPER_SPREAD, TABLE_6 } from "../paper/mod.ts";
import { binomialCdf } from "../verdicts/mod.ts";

/** The 0.975 quantile of Student's t with 4 degrees of freedom (SciPy 1.17.1, t.ppf). */
const T_QUANTILE = 2.776445105197793;

/** A published error and what one more run may be. */
export interface ExpectedError {
  /** Table 6's figure, a share. */
  readonly error: number;
  /** Half the prediction interval of one run at 95%, a share. */
  readonly margin: number;
}

/** The depths of Table 6's nets. */
export const PAPER_DEPTHS: readonly number[] = Object.keys(TABLE_6)
  .map((name) => Number(name.replace("resnet", "")));

/** The depth of Table 6 that is nearest to another. */
export function nearestDepth(depth: number): number {
  const [near] = PAPER_DEPTHS.toSorted((a, b) => Math.abs(a - depth) - Math.abs(b - depth));
  return near;
}

/**
 * What one run of a residual net may err, if results spread at every depth as
 * the paper's five runs of ResNet-110 do.
 *
 * @param depth Weighted layers.
 * @returns The figure of Table 6 and its margin; nothing for depths that it does not have.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * import { expectedError } from "./expected.ts";
 *
 * assertEquals(expectedError(32)?.error, 0.0751);
 * assertAlmostEquals(expectedError(32)!.margin, 0.0063, 1e-4);
 * assertEquals(expectedError(34), undefined);
 * ```
 */
export function expectedError(depth: number): ExpectedError | undefined {
  const net = TABLE_6[`resnet${depth}`];
  if (net === undefined) return undefined;
  const margin = T_QUANTILE * PAPER_SPREAD.standardDeviation * Math.sqrt(1 + 1 / net.runs);
  return { error: net.error, margin };
}

/** Points that weights may lie above Table 6 before no candidate can be the right one. */
const FAR = 0.05;
/** Chance that a net of the paper's errs so often on the same images. */
const SURELY = 0.01;

/**
 * Whether a net errs so much more than the paper's of about its depth that
 * something else was computed than it was trained for, or it was hardly trained.
 *
 * @param errors Images that it gets wrong.
 * @param images Of so many.
 * @param depth Weighted layers.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { isFarFromPaper } from "./expected.ts";
 *
 * // 8.75% in Table 6.
 * assertEquals(isFarFromPaper(13, 96, 20), false);
 * assertEquals(isFarFromPaper(1055, 10_000, 20), false);
 * assertEquals(isFarFromPaper(1935, 10_000, 20), true);
 * ```
 */
export function isFarFromPaper(errors: number, images: number, depth: number): boolean {
  const { error } = expectedError(nearestDepth(depth))!;
  return 1 - binomialCdf(errors - 1, images, error + FAR) < SURELY;
}
