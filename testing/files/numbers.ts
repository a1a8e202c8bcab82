/** Numbers for arrays whose values do not matter but for being those of weights. */

/**
 * Numbers above 0 and below 1, of which no two in a row are equal: as kernels and as
 * variances they are alike harmless.
 *
 * @param count How many.
 */
export function someNumbers(count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 251 + 1) / 256);
}
