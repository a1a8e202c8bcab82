/**
 * Pages in a real browser, and what is wrong with them for whoever can't see or point.
 *
 * @module
 */
export * from "./accessibility.ts";
export * from "./chromium.ts";
