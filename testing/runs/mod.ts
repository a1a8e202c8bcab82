/**
 * Small runs and made-up run folders that the tests of several rooms need.
 *
 * @module
 */
export * from "./run_folder.ts";
export * from "./small_run.ts";
export * from "./stalling.ts";
