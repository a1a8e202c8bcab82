/** The rules that probe an engine. */
import { BATCH_NORM_RULES } from "./batch_norm_rules.ts";
import { NUMERIC_IMAGE_RULES } from "./image_rules.ts";
import { NUMERIC_NETWORK_RULES } from "./network_rules.ts";
import type { NumericRule, NumericSubject } from "./subject.ts";
import { NUMERIC_UPDATE_RULES } from "./update_rules.ts";
import { defect, defineRules, type Finding, type Judgement } from "../rule.ts";

/**
 * What an engine shows when it is probed with a network, its state and images:
 * the statements of the paper that no recipe and no graph can prove.
 *
 * Source: sections 3.2 to 3.4 and 4.2.
 */
export const NUMERIC_RULES: readonly NumericRule[] = defineRules([
  ...NUMERIC_IMAGE_RULES,
  ...NUMERIC_NETWORK_RULES,
  ...BATCH_NORM_RULES,
  ...NUMERIC_UPDATE_RULES,
]);

/**
 * Checks an engine against every rule, one after the other, for they share it.
 *
 * @param subject An engine and what is known of it; its state is overwritten.
 * @returns One judgement a rule, in order; a rule that fails or breaks does not stop the others.
 *
 * @example Of an engine alone, without images or a state, nothing can be told.
 * ```ts
 * import { assert } from "@std/assert";
 * import { probeEngine } from "./rules.ts";
 *
 * const judgements = await probeEngine({});
 * assert(judgements.every(({ outcome }) => outcome === "not-observable"));
 * ```
 */
export async function probeEngine(subject: NumericSubject): Promise<Judgement[]> {
  const judgements: Judgement[] = [];
  for (const { id, section, requirement, tier, check } of NUMERIC_RULES) {
    let found: Finding;
    try {
      found = await check(subject);
    } catch (error) {
      found = defect(error);
    }
    judgements.push({ id, section, requirement, tier, ...found });
  }
  return judgements;
}
