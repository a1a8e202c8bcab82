/**
 * Doubles that need no other room's tests: an engine without arithmetic, what a
 * network that was read computes, the comparison of tensors, and Python as a
 * subprocess.
 *
 * @module
 */
export * from "./compare.ts";
export * from "./cost.ts";
export * from "./inference.ts";
export * from "./null_engine.ts";
export * from "./python.ts";
