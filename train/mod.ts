/**
 * Recipes as data, the schedule, the training loop, checkpoints and the event
 * log. The only door of this room.
 */
export * from "../recipes/recipe.ts";
export * from "../recipes/recipes.ts";
export * from "../recipes/schedule.ts";
export * from "../log/events.ts";
export {
  EVENTS_FILE,
  RunError,
  RunFolder,
  RunInUseError,
  type RunStore,
  type UntimedEvent,
} from "../log/folder.ts";
export { writeWhole } from "../files/write_whole.ts";
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
export { MemoryRun } from "../log/memory_run.ts";
export { nullEngineFactory } from "../testing/null_engine.ts";
