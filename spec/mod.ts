/**
 * The paper as a checklist: each statement a typed rule with its evidence, and
 * what the paper leaves open as choices. The only door of this room.
 *
 * @module
 */
export * from "./checklist.ts";
export { LOG_RULES } from "./log/rules.ts";
export { DATASET } from "./log/_loop_mutants.ts";
export * from "./mutants.ts";
export * from "./numeric/rules.ts";
export {
  type Claims,
  type Loaded,
  loadSubject,
  type NumericRule,
  type NumericSubject,
  numericSubjectOf,
} from "./numeric/subject.ts";
export { IMAGE_RULES, preparationInWords } from "./recording/image_rules.ts";
export { RECORDING_RULES } from "./recording/rules.ts";
export type * from "./recording/subject.ts";
export { classInWords } from "./recording/subject.ts";
export { mainNetwork, mainOptimizer } from "./recording/training_rules.ts";
export { concerning, isOfSection3 } from "./photographs.ts";
export * from "./rule.ts";
export { badKernels } from "./static/optimiser_rules.ts";
export { table6Reference } from "./statistical/reference.ts";
export { REFERENCE_RULES } from "./statistical/reference_rules.ts";
export * from "./statistical/rules.ts";
export type { ReproductionSubject } from "./statistical/subject.ts";
export { CHECKLIST, checklistInWords, type ChecklistVersion } from "./version.ts";
export { type StaticSubject, subjectOf } from "./subject.ts";
export * from "./statistical/table_6.ts";
