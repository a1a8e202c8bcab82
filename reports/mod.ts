/**
 * What is said of runs that are over: a run's folder read strictly, its result
 * as data, and its report as a page; the same of a set of runs, with what they
 * say of the paper's figures. Nothing is read but the event log and the files
 * that it names with their hashes, and the plan of a set.
 *
 * @module
 */
export {
  renderRunReport,
  type RunReport,
  type RunReportPaths,
  writeRunReport,
} from "./run/report.ts";
export {
  type ClassError,
  type Completeness,
  confusionMatrix,
  type EngineShare,
  type RunResult,
  runResult,
  type TestError,
} from "./run/result.ts";
export { runsIn } from "./set/find_runs.ts";
export {
  renderSetReport,
  type SetReport,
  type SetReportPaths,
  writeSetReport,
} from "./set/report.ts";
export {
  type BrokenRun,
  type CurvePoint,
  judgedRun,
  type RunOfSet,
  type SetContent,
  type SetCurves,
  type SetGroup,
  type SetNet,
  type SetResult,
  setResult,
  type SetRun,
} from "./set/result.ts";
export { type Prediction, predictionPage, type ShownImage } from "./predict/page.ts";
export { tensorboardEvents } from "./tensorboard.ts";
export type { RunChecklist } from "./run/judged.ts";
