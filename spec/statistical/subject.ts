/** What the statistical rules look at: a plan, its runs and what is claimed of them. */
import {
  canonicalJson,
  claimInWords,
  type ClaimName,
  claimsOf,
  type JudgedRun,
  plannedClaim,
  type ReproductionClaim,
  type ReproductionPlan,
  type Verdict,
  verdict,
} from "../../verdicts/mod.ts";
import { finalTestOf, type LoggedRun, loggedRun, type LogSubject } from "../../log/mod.ts";
import type { Finding } from "../rule.ts";
import { unknown } from "../subject.ts";

/** A reproduction. What it lacks makes the rules that need it "not observable". */
export interface ReproductionSubject {
  /** The plan, as it stands now. */
  readonly plan?: ReproductionPlan;
  /** The plan's hash, as it was recorded before the first step. */
  readonly planSha256?: string;
  /** Every run that was begun, each from its log; failed ones too. */
  readonly runs?: readonly LogSubject[];
  /** What is said of the runs. */
  readonly claim?: ReproductionClaim;
}

/** Fewest runs with seeds of their own of which a spread says anything. */
export const FEWEST_RUNS = 3;

/** A share in points. */
export const points = (share: number): string => `${(100 * share).toFixed(3)} points`;
/** Whether two values are the same JSON. */
export const same = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b);

/** The logs, sorted by what their lines say; a run without a log is none. */
export const logged = (runs: readonly LogSubject[]): LoggedRun[] =>
  runs.flatMap(({ events }) => {
    const run = events && loggedRun(events);
    return run?.start ? [run] : [];
  });

/** The name of the net that was trained. */
export const netOf = ({ start }: LoggedRun): string => start.recipe.architecture.name;
/** The claim that a run is of, by what it says of itself. */
export const claimOfRun = (run: LoggedRun): ClaimName => ({
  architecture: netOf(run),
  recipe: run.start.recipe.name,
});
/** The runs of a claim. */
export const runsOf = (
  { architecture, recipe }: ClaimName,
  runs: readonly LoggedRun[],
): LoggedRun[] =>
  runs.filter((run) => {
    const its = claimOfRun(run);
    return its.architecture === architecture && its.recipe === recipe;
  });
/** A run for people. */
export const nameOf = (run: LoggedRun, plan?: ReproductionPlan): string =>
  `${plan ? claimInWords(plan, claimOfRun(run)) : netOf(run)}, seed ${run.start.seed}`;

/** What a log tells of its run, for a verdict. */
export function judged(run: LoggedRun): JudgedRun {
  const { start: { seed }, end } = run;
  const failure = run.events.findLast((event) => event.type === "failure");
  if (!end) return { seed, outcome: failure?.diverged ? "diverged" : "failed" };
  const testImages = finalTestOf(run)?.images;
  return { seed, outcome: "finished", testError: end.testError, testImages };
}

/** Each claimed verdict with the runs of its network and recipe. */
export function claimed(
  { verdicts }: ReproductionClaim,
  runs: readonly LogSubject[],
): { readonly claim: Verdict; readonly ofClaim: readonly JudgedRun[] }[] {
  const all = logged(runs);
  return verdicts.map((claim) => ({ claim, ofClaim: runsOf(claim.planned, all).map(judged) }));
}

/** A check that runs where all the parts that it needs are there. */
export function needing<Part extends keyof ReproductionSubject>(
  parts: readonly Part[],
  check: (subject: Required<Pick<ReproductionSubject, Part>>) => Finding,
): (subject: ReproductionSubject) => Finding {
  return (subject) =>
    unknown(subject, parts) ?? check(subject as Required<Pick<ReproductionSubject, Part>>);
}

/**
 * What a plan's runs say, claim by claim.
 *
 * @param plan The plan.
 * @param planSha256 Its hash, as it was recorded before the first step.
 * @param runs Every run that was begun.
 * @throws {VerdictError} If a run is given twice, or was not planned.
 */
export function claimOf(
  plan: ReproductionPlan,
  planSha256: string,
  runs: readonly LogSubject[],
): ReproductionClaim {
  const all = logged(runs);
  return {
    planSha256,
    verdicts: claimsOf(plan).map((claim) =>
      verdict(runsOf(claim, all).map(judged), plannedClaim(plan, claim))
    ),
  };
}
