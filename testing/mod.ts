/**
 * Doubles that need no other room's tests: an engine without arithmetic, what a
 * network that was read computes, and the comparison of tensors.
 *
 * @module
 */
export * from "./compare.ts";
export * from "./cost.ts";
export * from "./inference.ts";
export * from "./null_engine.ts";
