/**
 * One test body for every engine, and the small graphs on which they are
 * compared kernel by kernel.
 *
 * @module
 */
export * from "./engines.ts";
export * from "./kernel_cases.ts";
