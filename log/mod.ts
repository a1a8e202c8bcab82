/**
 * What a run leaves in its folder: the event log, the files that it names with
 * their hashes, the folder's lock, and reading all of it strictly.
 *
 * @module
 */
export * from "./events.ts";
export {
  EVENTS_FILE,
  RunError,
  RunFolder,
  RunInUseError,
  type RunStore,
  type UntimedEvent,
} from "./folder.ts";
export {
  finalTestOf,
  type LoggedRun,
  loggedRun,
  type LogSubject,
  logSubjectOf,
  type NamedFile,
} from "./logged_run.ts";
export { MemoryRun } from "./memory_run.ts";
export * from "./recording/mod.ts";
export {
  identityProblem,
  parsePredictions,
  parseRunLog,
  type Predictions,
  readRun,
  type Run,
  type RunLog,
  RunLogError,
  type RunWarning,
} from "./read_run.ts";
