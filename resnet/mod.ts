/**
 * What a network is: the graph, the architectures by name, their initial
 * weights and their summary.
 *
 * @example
 * ```ts
 * import { architecture, formatSummary, initialise, summarise } from "./mod.ts";
 * import { assertEquals, assertStringIncludes } from "@std/assert";
 *
 * const graph = architecture("resnet20");
 * assertStringIncludes(formatSummary(summarise(graph)), "269,722");
 * assertEquals(initialise(graph, 0, "in").get("linear.weight")?.shape, [10, 64]);
 * ```
 *
 * @module
 */
export * from "./architectures.ts";
export * from "./graph.ts";
export * from "./initialise.ts";
export * from "./module_table.ts";
export * from "./summary.ts";
export * from "./weights.ts";
