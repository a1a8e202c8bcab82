/** The paper's checklist, tier by tier. */
import { ARCHITECTURE_RULES } from "./architecture_rules.ts";
import { defineRules, type Rule } from "./rule.ts";
import type { StaticSubject } from "./subject.ts";
import { TRAINING_RULES } from "./training_rules.ts";

/**
 * Every statement of the paper on architecture and training that the graph, the
 * recipe, the schedule and the batches decide before the first step.
 *
 * Source: section 4.2.
 *
 * @example A net with projection shortcuts fails two of the rules.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { architecture } from "../resnet/mod.ts";
 * import { STATIC_RULES } from "./checklist.ts";
 * import { judge } from "./rule.ts";
 *
 * const graph = architecture("resnet20", { shortcut: "B" });
 * const failed = judge(STATIC_RULES, { graph }).filter(({ outcome }) => outcome === "fail");
 * assertEquals(failed.map(({ id }) => id), ["identity", "parameters"]);
 * ```
 */
export const STATIC_RULES: readonly Rule<StaticSubject>[] = defineRules([
  ...ARCHITECTURE_RULES,
  ...TRAINING_RULES,
]);
