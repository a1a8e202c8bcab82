/**
 * What a run leaves in its folder: the event log, the files that it names with
 * their hashes, the folder's lock, and reading all of it strictly.
 *
 * @module
 */
export * from "./events.ts";
export { RunFolder } from "./folder.ts";
export {
  finalTestOf,
  lastStepOf,
  type LoggedRun,
  loggedRun,
  type LogSubject,
  logSubjectOf,
  MISSING,
  type NamedFile,
  subjectOfReading,
} from "./logged_run.ts";
export { MemoryRun } from "./memory_run.ts";
export * from "./recording/mod.ts";
export {
  EVENTS_FILE,
  MOST_LINES,
  parseRunLog,
  type RunLog,
  RunLogError,
  type RunWarning,
} from "./parse_log.ts";
export { type FolderReading, type FoundFile, readFolder } from "./reading.ts";
export {
  identityProblem,
  parsePredictions,
  type Predictions,
  readRun,
  type Run,
  runOf,
} from "./read_run.ts";
export { RunError, RunInUseError, type RunStore, type UntimedEvent } from "./store.ts";
