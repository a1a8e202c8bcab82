/**
 * Recipes as data, the schedule, the training loop, checkpoints and the event
 * log. The only door of this room.
 */
export * from "./recipe.ts";
export * from "./recipes.ts";
export * from "./schedule.ts";
export * from "./events.ts";
export {
  EVENTS_FILE,
  RunError,
  RunFolder,
  RunInUseError,
  type RunStore,
  type UntimedEvent,
} from "./log.ts";
export { writeWhole } from "./_files.ts";
export {
  type Checkpoint,
  decodeCheckpoint,
  encodeCheckpoint,
  type FoundCheckpoint,
  identityOf,
  MOMENTUM_PREFIX,
  newestCheckpoint,
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
export { MemoryRun } from "./memory_run.ts";
export { nullEngineFactory } from "./_null_engine.ts";
