/**
 * The training loop, its checkpoints and what it resumes from.
 *
 * @module
 */
export {
  type Checkpoint,
  classesIn,
  decodeCheckpoint,
  encodeCheckpoint,
  type FoundCheckpoint,
  identityOf,
  newestCheckpoint,
  type PhotographFacts,
  preparationIn,
  type Progress,
  type RunIdentity,
  saveCheckpoint,
  weightMetadata,
  weightsOf,
} from "./checkpoint.ts";
export * from "./options.ts";
export { TrainingError } from "./_checks.ts";
export { train, WEIGHTS_FILE } from "./train.ts";
export type { WindowState } from "./_window.ts";
export type { KeptWeights, WatchedSums, WatchingState } from "./_watching.ts";
