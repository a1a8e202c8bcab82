/**
 * Where images come from and what happens before the network: the registry of
 * data sets (a file each in `sets/`), splits, means, and the plan of every batch.
 *
 * @module
 */
export * from "./augment.ts";
export * from "./batches.ts";
export * from "./cifar.ts";
export * from "./dataset.ts";
export * from "./definition.ts";
export * from "./errors.ts";
export { type DownloadProgress, FileError } from "../files/mod.ts";
export * from "./normalisation.ts";
export * from "./split.ts";
export * from "./stream.ts";
export * from "./top_five.ts";
