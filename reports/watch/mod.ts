/**
 * A local page of runs and recordings as they grow.
 *
 * @module
 */
export { watchHandler } from "./server.ts";
