/**
 * The paper as a checklist: each statement a typed rule with its evidence, and
 * what the paper leaves open as choices. The only door of this room.
 *
 * @module
 */
export { ARCHITECTURE_RULES } from "./architecture_rules.ts";
export * from "./checklist.ts";
export { depthOf, find, ofKind } from "./_graphs.ts";
export { LOG_RULES } from "./log_rules.ts";
export { DATASET } from "./_loop_mutants.ts";
export * from "./mutants.ts";
export * from "./numeric_rules.ts";
export {
  type Claims,
  type Loaded,
  loadSubject,
  type NumericRule,
  type NumericSubject,
  numericSubjectOf,
} from "./numeric_subject.ts";
export * from "./rule.ts";
export * from "./statistical_rules.ts";
export { type StaticSubject, subjectOf } from "./subject.ts";
export * from "./table_6.ts";
export { TRAINING_RULES } from "./training_rules.ts";
