/**
 * Everything that decides a result, as data: recipes by name, what each departs
 * in from the paper, and the learning rate of each step.
 *
 * @module
 */
export { type Choice, choicesOf, isOpen } from "./choices.ts";
export { differingFields, type FieldDifference } from "./_fields.ts";
export * from "./recipe.ts";
export * from "./recipes.ts";
export * from "./schedule.ts";
