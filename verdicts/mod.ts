/**
 * What several runs say together: statistics, the plan that was fixed before
 * them, and the verdict on a published figure.
 *
 * @module
 */
export {
  canonicalJson,
  claimInWords,
  type ClaimName,
  claimsOf,
  isPlanned,
  parsePlan,
  PlanError,
  planHash,
  type PlannedClaim,
  plannedClaim,
  plannedRecipe,
  recipesOf,
  type Reference,
  type ReproductionPlan,
  sameRecipe,
  type Spread,
} from "./plan.ts";
export { binomialCdf } from "./_distributions.ts";
export {
  differenceInterval,
  type Equivalence,
  type Interval,
  meansTest,
  predictionInterval,
  type Sample,
  sampleOf,
  type SpreadSample,
  tInterval,
  tost,
  tostPower,
  tTest,
  wilsonInterval,
} from "./statistics.ts";
export {
  decide,
  type JudgedRun,
  kindOf,
  regularity,
  type ReproductionClaim,
  singleRunInterval,
  TOO_REGULAR,
  type Verdict,
  verdict,
  VerdictError,
  type VerdictKind,
} from "./verdict.ts";
