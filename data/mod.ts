/**
 * Where images come from and what happens before the network: CIFAR-10 and
 * CIFAR-100, the built-in set, splits, means, and the plan of every batch.
 *
 * @module
 */
export * from "./augment.ts";
export * from "./batches.ts";
export * from "./cifar.ts";
export * from "./dataset.ts";
export * from "./errors.ts";
export { type DownloadProgress, FileError } from "../files/mod.ts";
export * from "./normalisation.ts";
export * from "./shapes10.ts";
export * from "./split.ts";
