/** The rules on all sets of reference runs together. */
import { defineRules, type Rule } from "../rule.ts";
import { PAPER_CLAIM_RULES } from "./paper_claims.ts";
import { type ReferenceRuns, TABLE_6_RULES } from "./table_6.ts";

/**
 * What the paper's experiments show beside each other, decided by whole runs of its recipe; not
 * run, by name, where there are none.
 *
 * @example Without runs nothing can be told.
 * ```ts
 * import { assert } from "@std/assert";
 * import { judge } from "../rule.ts";
 * import { REFERENCE_RULES } from "./reference_rules.ts";
 *
 * assert(judge(REFERENCE_RULES, {}).every(({ outcome }) => outcome === "not-observable"));
 * ```
 */
export const REFERENCE_RULES: readonly Rule<ReferenceRuns>[] = defineRules([
  ...TABLE_6_RULES,
  ...PAPER_CLAIM_RULES,
]);
