/**
 * Everything that decides a result, as data: recipes by name, what each departs
 * in from the paper, and the learning rate of each step.
 *
 * @module
 */
export { type Choice, choicesOf, isOpen } from "./choices.ts";
export * from "./completed.ts";
export * from "./departures_in_words.ts";
export * from "./epochs.ts";
export { differingFields, type FieldDifference } from "./_fields.ts";
export * from "./named.ts";
export * from "./optimisers.ts";
export * from "./photographs.ts";
export * from "./recipe.ts";
export type {
  ArchitectureName,
  Base64,
  BatchSize,
  ClassNames,
  Count,
  CropPadding,
  InnerPath,
  NonNegative,
  Positive,
  PositiveCount,
  Seed,
  Sha256Text,
  Share,
  Time,
  WatchedValue,
} from "./schema/leaves.ts";
export * from "./recipes.ts";
export * from "./schedule.ts";
export * from "./watch.ts";
export * from "./words.ts";
