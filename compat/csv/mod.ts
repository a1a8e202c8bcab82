/**
 * `parse` and `stringify` of `@std/csv` 1.0 over Papa Parse: the options that
 * this project uses, with the package's names and documented behaviour.
 *
 * @module
 */
export * from "./parse.ts";
export * from "./stringify.ts";
