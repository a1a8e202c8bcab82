/**
 * A local page of runs and recordings as they grow.
 *
 * @module
 */
export { Logs, type State, type Watched } from "./logs.ts";
export { watchHandler } from "./server.ts";
