import { assertAlmostEquals } from "@std/assert";
import { compare } from "./convolutions.ts";

Deno.test("a difference has one interval from its pairs and one from both spreads", () => {
  const pairs = [
    { seed: 0, direct: 0.30, winograd: 0.31 },
    { seed: 1, direct: 0.34, winograd: 0.33 },
    { seed: 2, direct: 0.38, winograd: 0.41 },
  ];
  const { difference, paired, unpaired } = compare(pairs);
  assertAlmostEquals(difference, 0.01, 1e-12);
  // Differences 0.01, -0.01, 0.03: standard deviation 0.02; t(0.975, 2) = 4.302653.
  assertAlmostEquals(paired.upper, 0.01 + 4.302653 * 0.02 / Math.sqrt(3), 1e-7);
  // Variances 0.0016 and 0.0028, pooled 0.0022; t(0.975, 4) = 2.776445.
  assertAlmostEquals(unpaired.lower, 0.01 - 2.776445 * Math.sqrt(0.0022 * 2 / 3), 1e-7);
});
