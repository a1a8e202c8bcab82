import { assertAlmostEquals } from "@std/assert";
import { leastSquares, relativeLine } from "./_line.ts";

Deno.test("points on a line give that line", () => {
  const { intercept, slope } = relativeLine([1, 2, 5].map((x) => ({ x, y: 3 + 2 * x })));
  assertAlmostEquals(intercept, 3, 1e-12);
  assertAlmostEquals(slope, 2, 1e-12);
});

Deno.test("least squares of three points, by hand", () => {
  // Means 1 and 4/3; slope (-1 * -1/3 + 1 * 5/3) / 2 = 1, intercept 1/3.
  const { intercept, slope } = leastSquares([[0, 1], [1, 0], [2, 3]].map(([x, y]) => ({ x, y })));
  assertAlmostEquals(slope, 1, 1e-12);
  assertAlmostEquals(intercept, 1 / 3, 1e-12);
});

Deno.test("relative deviations count, not absolute ones", () => {
  // numpy.polyfit([1, 2, 4], [1, 2, 8], 1, w=[1, 1/2, 1/8])
  const { intercept, slope } = relativeLine([[1, 1], [2, 2], [4, 8]].map(([x, y]) => ({ x, y })));
  assertAlmostEquals(slope, 20 / 13, 1e-9);
  assertAlmostEquals(intercept, -8 / 13, 1e-9);
});
