/**
 * Recordings of trainings that others made, judged.
 *
 * @module
 */
export * from "./advice.ts";
export * from "./audit.ts";
export type { Observed } from "./observe.ts";
export type { ObservedSample } from "./_samples.ts";
