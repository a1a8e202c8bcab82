/**
 * What is said of runs that are over: a run's folder read strictly, its result
 * as data, and its report as a page; the same of a set of runs, with what they
 * say of the paper's figures. Nothing is read but the event log and the files
 * that it names with their hashes, and the plan of a set.
 *
 * @module
 */
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
} from "../log/read_run.ts";
export {
  renderRunReport,
  type RunReport,
  type RunReportPaths,
  writeRunReport,
} from "./run_report.ts";
export {
  type ClassError,
  type Completeness,
  confusionMatrix,
  type EngineShare,
  type RunResult,
  runResult,
  type TestError,
} from "./run_result.ts";
export {
  parsePlan,
  PlanError,
  planHash,
  type PlannedNet,
  plannedNet,
  type Reference,
  type ReproductionPlan,
  type Spread,
} from "../verdicts/plan.ts";
export { type PublicResult, publicResults } from "../paper/public_results.ts";
export {
  holdsRuns,
  renderSetReport,
  type SetReport,
  type SetReportPaths,
  writeSetReport,
} from "./set_report.ts";
export {
  type BrokenRun,
  type CurvePoint,
  judgedRun,
  type RunChecklist,
  type RunOfSet,
  type SetContent,
  type SetCurves,
  type SetGroup,
  type SetNet,
  type SetResult,
  setResult,
  type SetRun,
} from "./set_result.ts";
export {
  differenceInterval,
  type Equivalence,
  type Interval,
  predictionInterval,
  type Sample,
  sampleOf,
  type SpreadSample,
  tInterval,
  tost,
  tostPower,
  tTest,
  wilsonInterval,
} from "../verdicts/statistics.ts";
export {
  decide,
  type JudgedRun,
  type ReproductionClaim,
  singleRunInterval,
  type Verdict,
  verdict,
  VerdictError,
  type VerdictKind,
} from "../verdicts/verdict.ts";
