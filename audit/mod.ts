/**
 * Models that somebody else made: what network a file holds, what of it is not
 * the paper's, and what to change.
 *
 * @module
 */
export * from "./advice.ts";
export * from "./audit.ts";
export { type Cause, type CauseId, type CauseKind, causeKind, type Severity } from "./causes.ts";
export * from "./report.ts";
export * from "./compare.ts";
export { byCost, type Cost, costliestFirst, costOf, COSTS } from "./costs.ts";
export type { Border, Fit } from "./_first_norm.ts";
export { blueFirst } from "./_runs.ts";
export { isFarFromPaper } from "./expected.ts";
export * from "./identify.ts";
export { type Model, readModel } from "./model.ts";
export * from "./preparation.ts";
export * from "./preprocessings.ts";
export * from "./runnable.ts";
export { searchOn, type SearchOptions, type Told } from "./search.ts";
export {
  type RankedTrial,
  type Sweep,
  sweep,
  type SweepOptions,
  type Trial,
  type Trialled,
} from "./sweep.ts";
export * from "./targets.ts";
