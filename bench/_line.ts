/** The line that times are held against. */

/** A straight line. */
export interface Line {
  readonly intercept: number;
  readonly slope: number;
}

/**
 * The line with the least squares of relative deviations, so that a small
 * network's deviation counts as much as a large one's.
 *
 * With r = 1/y, minimises the sum of ((a + bx - y) r)^2 over a and b: a
 * weighted least-squares fit with the weights w = 1/y^2.
 *
 * @param points Two or more with different x, all y above 0.
 */
export function relativeLine(points: readonly { readonly x: number; readonly y: number }[]): Line {
  return leastSquares(points.map(({ x, y }) => ({ x, y, weight: 1 / (y * y) })));
}

/**
 * The line with the least weighted squares of deviations in y.
 *
 * @param points Two or more with different x; a weight is 1 when undefined.
 */
export function leastSquares(
  points: readonly { readonly x: number; readonly y: number; readonly weight?: number }[],
): Line {
  const sum = (of: (x: number, y: number) => number) =>
    points.reduce((total, { x, y, weight = 1 }) => total + weight * of(x, y), 0);
  const total = sum(() => 1);
  const [meanX, meanY] = [sum((x) => x) / total, sum((_, y) => y) / total];
  const slope = sum((x, y) => (x - meanX) * (y - meanY)) / sum((x) => (x - meanX) ** 2);
  return { intercept: meanY - slope * meanX, slope };
}
