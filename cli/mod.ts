/**
 * What every command line here does around its work, for the benchmarks and the
 * deployment scripts as for the commands of this folder.
 *
 * @module
 */
export * from "./_flags.ts";
export * from "./_main.ts";
export * from "./_training_flags.ts";
