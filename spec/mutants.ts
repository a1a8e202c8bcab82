/** The catalogue of mutants: every known-bad subject, with the rule that catches it. */
import { STATIC_RULES } from "./checklist.ts";
import { LOG_RULES } from "./log/rules.ts";
import { NUMERIC_RULES } from "./numeric/rules.ts";
import { RECORDING_RULES } from "./recording/rules.ts";
import type { Finding, KnownBad, Rule } from "./rule.ts";
import { STATISTICAL_RULES } from "./statistical/rules.ts";
import { REFERENCE_RULES } from "./statistical/reference_rules.ts";

/** A way in which reproductions go wrong, and the rule that must reject it. */
export interface Mutant
  extends Pick<KnownBad<unknown>, "name" | "why" | "kind">, Pick<Rule<unknown>, "tier"> {
  /** The tier, the rule's id and the mutant's name, with slashes: unique. */
  readonly id: string;
  /** Id of the rule that must reject it. */
  readonly caughtBy: string;
}

/** What the catalogue needs of a rule, whatever the rule looks at. */
type Rejecting = Pick<Rule<never, Finding | Promise<Finding>>, "id" | "tier"> & {
  readonly rejects: readonly Pick<KnownBad<never>, "name" | "why" | "kind">[];
};

function mutantsOf(rules: readonly Rejecting[]): Mutant[] {
  return rules.flatMap(({ id, tier, rejects }) =>
    rejects.map(({ name, why, kind }) => ({
      ...{ id: `${tier}/${id}/${name}`, name, why, kind, tier, caughtBy: id },
    }))
  );
}

/**
 * Every mutant of every tier.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { MUTANTS } from "./mutants.ts";
 *
 * assert(MUTANTS.some(({ kind, caughtBy }) => kind === "loop" && caughtBy === "final-step"));
 * ```
 */
export const MUTANTS: readonly Mutant[] = [
  ...mutantsOf(STATIC_RULES),
  ...mutantsOf(NUMERIC_RULES),
  ...mutantsOf(LOG_RULES),
  ...mutantsOf(RECORDING_RULES),
  ...mutantsOf(REFERENCE_RULES),
  ...mutantsOf(STATISTICAL_RULES),
];
