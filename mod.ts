/**
 * "Deep Residual Learning for Image Recognition" (He, Zhang, Ren, Sun, 2015) on
 * CIFAR-10: the networks as data, engines that train them, recipes, runs with a
 * log, and the paper as a checklist.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { architecture, countParameters, judge, paper, STATIC_RULES, subjectOf } from "./mod.ts";
 *
 * console.log(countParameters(architecture("resnet32"))); // 464154, 0.46M in Table 6
 *
 * const judgements = judge(STATIC_RULES, subjectOf(paper("resnet32")));
 * assert(judgements.every(({ outcome }) => outcome === "pass"));
 * ```
 *
 * @module
 */
export * from "./audit/mod.ts";
export * from "./data/mod.ts";
export * from "./engine/mod.ts";
export * from "./log/mod.ts";
export * from "./paper/mod.ts";
export * from "./recipes/mod.ts";
export * from "./recorders/mod.ts";
export * from "./reports/mod.ts";
export * from "./reproduce/mod.ts";
export * from "./resnet/mod.ts";
export * from "./spec/mod.ts";
export * from "./train/mod.ts";
export * from "./verdicts/mod.ts";
export * from "./weights/mod.ts";
export { auditPage, formatAudit } from "./reports/audit/mod.ts";
