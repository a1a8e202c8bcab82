/**
 * The accuracy job: a plan, its runs in a queue that survives any kill, and what
 * they say together. The only door of this room.
 *
 * A job's folder holds `plan.json` and the runs, `runs/<architecture>-seed<seed>/`, with the
 * recipe's name behind the architecture's where the plan has several recipes.
 *
 * @module
 */
export { type CheckedRun, checkRun, checkRuns, type RunState } from "./check_run.ts";
export { claimOf, conclude, type Conclusion, reproductionSubject } from "./conclude.ts";
export { ReproductionError } from "./errors.ts";
export {
  PLAN_FILE,
  type PlannedRun,
  plannedRun,
  plannedRuns,
  type PlanRequest,
  readPlan,
  RUNS_FOLDER,
  type SettledPlan,
  settlePlan,
  withJobLock,
} from "./planned.ts";
export { type QueuedRun, type QueueOptions, type QueueResult, runQueue } from "./queue.ts";
