/** What a job says when its runs are over: the claim, and the rules that it must keep. */
import {
  claimsOf,
  planHash,
  plannedClaim,
  type ReproductionClaim,
  type ReproductionPlan,
  verdict,
} from "../verdicts/mod.ts";
import { judge, type Judgement, type ReproductionSubject, STATISTICAL_RULES } from "../spec/mod.ts";
import type { StartEvent } from "../log/mod.ts";
import { type CheckedRun, checkRuns, isOver } from "./check_run.ts";

/** What a job comes to. */
export interface Conclusion {
  /** Every run of the plan, in its order. */
  readonly runs: readonly CheckedRun[];
  /** One verdict a network and recipe; each says so where runs are missing. */
  readonly claim: ReproductionClaim;
  /** The statistical rules' outcomes; none before the last run is over. */
  readonly judgements: readonly Judgement[];
}

/**
 * Concludes a job from its folder. No process may work on its runs.
 *
 * @param folder The job's folder.
 * @param plan Its plan.
 * @returns Runs, verdicts and what the rules say of them.
 * @throws {ReproductionError} If a run is not what the plan and its log say, see `checkRun`.
 */
export async function conclude(folder: string, plan: ReproductionPlan): Promise<Conclusion> {
  const runs = await checkRuns(folder, plan);
  const claim = claimOf(runs, plan);
  const over = runs.every(({ state }) => isOver(state));
  const judgements = over ? judge(STATISTICAL_RULES, reproductionSubject(runs, plan, claim)) : [];
  return { runs, claim, judgements };
}

/**
 * What the runs of a plan say, claim by claim. Runs that are not over count
 * in no verdict, and without them there is none.
 *
 * @param runs Runs of the plan.
 * @param plan The plan.
 * @throws {VerdictError} If a run is given twice.
 */
export function claimOf(runs: readonly CheckedRun[], plan: ReproductionPlan): ReproductionClaim {
  return {
    planSha256: planHash(plan),
    verdicts: claimsOf(plan).map((claim) =>
      verdict(
        runs.flatMap(({ architecture, recipe, judged }) =>
          architecture === claim.architecture && recipe === claim.recipe ? judged ?? [] : []
        ),
        plannedClaim(plan, claim),
      )
    ),
  };
}

/**
 * What the statistical rules look at.
 *
 * @param runs Every run of the plan that was begun.
 * @param plan The plan, as it stands now.
 * @param claim What is said of the runs.
 * @returns The subject; the plan's hash in it is the one that the runs recorded at their start.
 */
export function reproductionSubject(
  runs: readonly CheckedRun[],
  plan: ReproductionPlan,
  claim: ReproductionClaim,
): ReproductionSubject {
  const logs = runs.flatMap(({ log }) => log ?? []);
  const start = logs[0]?.events?.[0] as StartEvent | undefined;
  return { plan, planSha256: start?.plan, runs: logs, claim };
}
