/**
 * Pages in real browsers, and what is wrong with them for whoever can't see or point.
 *
 * @module
 */
export * from "./accessibility.ts";
export * from "./chromium.ts";
export * from "./firefox.ts";
export type { BrowserPage } from "./page.ts";
