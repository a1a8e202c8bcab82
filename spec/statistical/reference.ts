/** What the figures of Table 6 were measured under, for plans. */
import { ITERATIONS, PAPER_DATASET, PAPER_SPREAD, TABLE_6, TEST_IMAGES } from "../../paper/mod.ts";
import type { Reference } from "../../verdicts/mod.ts";

/** How a plan names the paper's figures. */
export const PAPER_SOURCE = "Table 6";

/**
 * What Table 6 says of a network, and under which conditions it was measured.
 *
 * @param net For example `resnet20`.
 * @returns The reference for a plan; ResNet-110's is the mean of its five runs,
 *   6.61 +- 0.16%, and not the best of them. Undefined for nets that are not there.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { table6Reference } from "./reference.ts";
 *
 * const { error, runs } = table6Reference("resnet110")!;
 * assertEquals([error, runs], [0.0661, 5]);
 * assertEquals(table6Reference("plain20"), undefined);
 * ```
 */
export function table6Reference(net: string): Reference | undefined {
  if (!Object.hasOwn(TABLE_6, net)) return undefined;
  return {
    source: PAPER_SOURCE,
    architecture: net,
    dataset: PAPER_DATASET,
    iterations: ITERATIONS,
    testImages: TEST_IMAGES,
    error: TABLE_6[net].error,
    runs: TABLE_6[net].runs,
    spread: PAPER_SPREAD,
  };
}
