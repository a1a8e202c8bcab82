/**
 * Recordings of trainings that others made: their lines, and reading them.
 *
 * @module
 */
export type * from "./lines.ts";
export * from "./read.ts";
