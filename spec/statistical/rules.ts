/** What makes several runs a result. */
import { CLAIM_RULES } from "./claim_rules.ts";
import { PLAN_RULES } from "./plan_rules.ts";
import { RUNS_RULES } from "./runs_rules.ts";
import type { ReproductionSubject } from "./subject.ts";
import { defineRules, type Rule } from "../rule.ts";

/**
 * What makes several runs a result that can be believed, decided by the plan,
 * the runs' logs and what is claimed of them.
 *
 * @example Without a plan and runs nothing can be told.
 * ```ts
 * import { assert } from "@std/assert";
 * import { judge } from "../rule.ts";
 * import { STATISTICAL_RULES } from "./rules.ts";
 *
 * assert(judge(STATISTICAL_RULES, {}).every(({ outcome }) => outcome === "not-observable"));
 * ```
 */
export const STATISTICAL_RULES: readonly Rule<ReproductionSubject>[] = defineRules([
  ...PLAN_RULES,
  ...RUNS_RULES,
  ...CLAIM_RULES,
]);
