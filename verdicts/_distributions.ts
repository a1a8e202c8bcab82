/**
 * Distribution functions, by Cephes (S. L. Moshier), which SciPy's rest on too: compiled to
 * WebAssembly, half a megabyte, and ready when this module is.
 */
import "./_buffer.ts";
import cephes from "cephes";

await cephes.compiled;

/** P(Z <= z) of a standard normal Z. */
export const normalCdf = (z: number): number => cephes.ndtr(z);

/** The z with P(Z <= z) = p of a standard normal Z. */
export const normalQuantile = (p: number): number => cephes.ndtri(p);

/** ln of the gamma function, of a positive number. */
export const gammaln = (x: number): number => cephes.lgam(x);

/** P(X <= x) of chi-squared by its degrees of freedom. */
export function chiSquareCdf(x: number, degrees: number): number {
  if (x <= 0) return 0;
  try {
    return cephes.chdtr(degrees, x);
  } catch (error) {
    // Where one of the tails is below the smallest number Cephes refuses to answer.
    if (!(error instanceof Error && error.message.includes("underflow"))) throw error;
    return x > degrees ? 1 : 0;
  }
}

/**
 * P(T <= t) of Student's t. Degrees need not be whole (Welch's are not), as Cephes's own function
 * asks; so by the incomplete beta function, and from the small tail.
 */
export function tCdf(t: number, degrees: number): number {
  if (!Number.isFinite(t)) return t > 0 ? 1 : t < 0 ? 0 : NaN;
  const tail = cephes.incbet(degrees / 2, 0.5, degrees / (degrees + t * t)) / 2;
  return t > 0 ? 1 - tail : tail;
}

/**
 * P(X <= k) of the number of successes in n trials.
 *
 * @param k Whole.
 * @param n Whole, above 0.
 * @param p Chance of a success in one trial, 0 to 1.
 * @returns A probability.
 *
 * @example
 * ```ts
 * import { assertAlmostEquals } from "@std/assert";
 * import { binomialCdf } from "./mod.ts";
 *
 * assertAlmostEquals(binomialCdf(3, 10, 0.5), 176 / 1024);
 * ```
 */
export const binomialCdf = (k: number, n: number, p: number): number =>
  k >= n ? 1 : k < 0 ? 0 : cephes.bdtr(k, n, p);
