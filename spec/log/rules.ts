/** The rules that the event log of a run decides. */
import type { LogSubject } from "../../log/mod.ts";
import { LOG_DATA_RULES } from "./data_rules.ts";
import { LOG_RUN_RULES } from "./run_rules.ts";
import { LOG_SCHEDULE_RULES } from "./schedule_rules.ts";
import { LOG_TEST_RULES } from "./test_rules.ts";
import { defineRules, type Rule } from "../rule.ts";

/**
 * Every statement of the paper on what was done, and all that makes a result
 * one that can be believed: decided by a run's event log and the files that it
 * names, by nothing else.
 *
 * Source: section 4.2.
 *
 * @example Without a run nothing can be told; of a folder, `logSubjectOf` makes the subject.
 * ```ts
 * import { assert } from "@std/assert";
 * import { LOG_RULES } from "./rules.ts";
 * import { judge } from "../rule.ts";
 *
 * assert(judge(LOG_RULES, {}).every(({ outcome }) => outcome === "not-observable"));
 * ```
 */
export const LOG_RULES: readonly Rule<LogSubject>[] = defineRules([
  ...LOG_SCHEDULE_RULES,
  ...LOG_DATA_RULES,
  ...LOG_TEST_RULES,
  ...LOG_RUN_RULES,
]);
