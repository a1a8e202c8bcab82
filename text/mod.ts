/**
 * How numbers, shares, times and foreign names are written, once for every room.
 *
 * @module
 */
export * from "./command.ts";
export * from "./fitted.ts";
export * from "./numbers.ts";
export * from "./paths.ts";
export * from "./printable.ts";
export * from "./quote.ts";
export * from "./waiting.ts";
