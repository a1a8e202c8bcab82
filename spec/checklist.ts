/** The paper's checklist, tier by tier. */
import { DATA_RULES } from "./static/data_rules.ts";
import { LAYER_RULES } from "./static/layer_rules.ts";
import { NETWORK_RULES } from "./static/network_rules.ts";
import { OPTIMISER_RULES } from "./static/optimiser_rules.ts";
import { RECIPE_RULES } from "./static/recipe_rules.ts";
import { SCHEDULE_RULES } from "./static/schedule_rules.ts";
import { SHORTCUT_RULES } from "./static/shortcut_rules.ts";
import { defineRules, type Rule } from "./rule.ts";
import type { StaticSubject } from "./subject.ts";

/** The rules that a graph alone decides. */
export const ARCHITECTURE_RULES: readonly Rule<StaticSubject>[] = defineRules([
  ...NETWORK_RULES,
  ...SHORTCUT_RULES,
  ...LAYER_RULES,
]);

/** The rules that the recipe, the schedule and the batches decide. */
export const TRAINING_RULES: readonly Rule<StaticSubject>[] = defineRules([
  ...DATA_RULES,
  ...OPTIMISER_RULES,
  ...SCHEDULE_RULES,
  ...RECIPE_RULES,
]);

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
