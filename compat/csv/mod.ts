/**
 * `parse` and `stringify` of `@std/csv` 1.0: the options that this project
 * uses, with the package's names and what it makes of the same text.
 *
 * @module
 */
export * from "./parse.ts";
export * from "./stringify.ts";
