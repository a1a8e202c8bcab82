/** What a recording of somebody's training decides, beside the rules on its network. */
import { defineRules, type Rule } from "../rule.ts";
import { DATA_RULES } from "./data_rules.ts";
import { IMAGE_RULES } from "./image_rules.ts";
import type { RecordingSubject } from "./subject.ts";
import { GOOD_RECORDINGS } from "./_good.ts";
import { TRAINING_STEP_RULES } from "./training_rules.ts";

/**
 * Every statement of the paper that a recorder can see kept or broken. Where a
 * recipe or a log of our own decides the same statement, the id is the same.
 *
 * Source: section 4.2.
 *
 * @example Without a recording nothing can be told.
 * ```ts
 * import { assert } from "@std/assert";
 * import { judge } from "../rule.ts";
 * import { RECORDING_RULES } from "./rules.ts";
 *
 * assert(judge(RECORDING_RULES, {}).every(({ outcome }) => outcome === "not-observable"));
 * ```
 */
export const RECORDING_RULES: readonly Rule<RecordingSubject>[] = defineRules([
  ...[...IMAGE_RULES, ...DATA_RULES, ...TRAINING_STEP_RULES].map((rule) => {
    const good = GOOD_RECORDINGS[rule.id];
    return good === undefined
      ? rule
      : { ...rule, accepts: "name" in good ? [good] as const : good };
  }),
]);
