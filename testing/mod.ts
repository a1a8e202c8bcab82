/**
 * Doubles that need no other room's tests: an engine without arithmetic, and
 * the comparison of tensors.
 *
 * @module
 */
export * from "./compare.ts";
export * from "./null_engine.ts";
