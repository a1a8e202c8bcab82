/**
 * What a rule of the checklist is: one statement of the paper with a check that
 * gives its evidence, and the known-bad subjects that the check must reject.
 */

/**
 * What a check found; `not-observable` where the subject holds too little to
 * tell, `defect` where the rule itself broke: that says nothing of the subject.
 */
export type Outcome = "pass" | "fail" | "not-observable" | "defect";

/**
 * What a rule looks at: `static` the graph and the recipe, `numeric` an engine
 * that is probed, `log` the events of one run, `recording` what a recorder saw
 * of somebody's training, `statistical` several runs.
 */
export type Tier = "static" | "numeric" | "log" | "recording" | "statistical";

/** The answer of a check. */
export interface Finding {
  /** The answer. */
  readonly outcome: Outcome;
  /** The values on which the outcome rests, as one sentence for people. */
  readonly evidence: string;
}

/**
 * What a known-bad subject has wrong: the `graph`, the `recipe`, the batch
 * `plan`, the `data`, the initial `weights`, an `engine`'s behaviour, the
 * training `loop`, the `log` that was written, or the `claim` made of several runs.
 */
export type KnownBadKind =
  | "graph"
  | "recipe"
  | "plan"
  | "data"
  | "weights"
  | "engine"
  | "loop"
  | "log"
  | "recording"
  | "claim";

/** A way in which reproductions go wrong: a subject that a rule must reject. */
export interface KnownBad<Subject> {
  /** What is wrong with the subject, in a few words. */
  readonly name: string;
  /** What goes wrong in practice. */
  readonly why: string;
  /** What was changed. */
  readonly kind: KnownBadKind;
  /** Makes the bad subject out of a good one; changes nothing in the good one. */
  readonly spoil: (good: Required<Subject>) => Subject | Promise<Subject>;
}

/** A subject that looks unusual and is right: a rule that rejects it would be wrong. */
export interface KnownGood<Subject> {
  /** What is unusual, in a few words. */
  readonly name: string;
  /** Where it is met, or why it is right. */
  readonly why: string;
  /** Makes the unusual subject out of a usual one; changes nothing in the usual one. */
  readonly make: (good: Required<Subject>) => Subject | Promise<Subject>;
}

/**
 * One statement of the paper that can be checked. `Answer` is a promise where
 * the check has to wait, as a probe of an engine does.
 */
export interface Rule<Subject, Answer extends Finding | Promise<Finding> = Finding> {
  /** Short and stable, for example `learning-rate`. */
  readonly id: string;
  /** Where the paper says it, for example `4.2`. */
  readonly section: string;
  /** What the paper says, in our words. */
  readonly requirement: string;
  /** What the rule looks at. */
  readonly tier: Tier;
  /** Judges a subject. */
  readonly check: (subject: Subject) => Answer;
  /** At least two, different in kind. */
  readonly rejects: readonly [KnownBad<Subject>, KnownBad<Subject>, ...KnownBad<Subject>[]];
  /** At least one that passes. */
  readonly accepts?: readonly [KnownGood<Subject>, ...KnownGood<Subject>[]];
}

/** A rule's answer for one subject. */
export type Judgement = Finding & Pick<Rule<unknown>, "id" | "section" | "requirement" | "tier">;

/** Rules that contradict what a rule is. */
export class RuleError extends Error {
  /** The class's name, for messages. */
  override name = "RuleError";
}

const RULE_FIELDS = ["id", "section", "requirement", "tier", "check", "rejects"];
const KNOWN_BAD_FIELDS = ["name", "why", "kind", "spoil"];
const KNOWN_GOOD_FIELDS = ["name", "why", "make"];

/**
 * Checks a list of rules for what the types cannot say.
 *
 * @param rules The rules of one tier.
 * @returns The same rules.
 * @throws {RuleError} On an id that comes twice, a field that no rule has, an
 *   empty text, fewer than two known-bad subjects, or no unusual good one.
 *
 * @example
 * ```ts
 * import { assertThrows } from "@std/assert";
 * import { defineRules, type Rule, RuleError } from "./rule.ts";
 *
 * const misspelt = { id: "input", severity: "high" } as unknown as Rule<unknown>;
 * assertThrows(() => defineRules([misspelt]), RuleError, "severity");
 * ```
 */
export function defineRules<Subject, Answer extends Finding | Promise<Finding>>(
  rules: readonly Rule<Subject, Answer>[],
): readonly Rule<Subject, Answer>[] {
  const ids = new Set<string>();
  for (const rule of rules) {
    checkFields(`rule "${rule.id}"`, rule, RULE_FIELDS, ["accepts"]);
    if (ids.has(rule.id)) throw new RuleError(`two rules have the id "${rule.id}"; ids are unique`);
    ids.add(rule.id);
    if (rule.rejects.length < 2) {
      throw new RuleError(
        `rule "${rule.id}" must reject at least 2 known-bad subjects, found ${rule.rejects.length}`,
      );
    }
    for (const bad of rule.rejects) {
      checkFields(`known-bad subject "${bad.name}" of rule "${rule.id}"`, bad, KNOWN_BAD_FIELDS);
    }
    for (const good of rule.accepts ?? []) {
      checkFields(`unusual subject "${good.name}" of rule "${rule.id}"`, good, KNOWN_GOOD_FIELDS);
    }
  }
  return rules;
}

function checkFields(
  what: string,
  record: object,
  fields: readonly string[],
  optional: readonly string[] = [],
): void {
  for (const field of Object.keys(record)) {
    if (!fields.includes(field) && !optional.includes(field)) {
      throw new RuleError(
        `${what} has the unknown field "${field}"; legal are ${fields.join(", ")}`,
      );
    }
  }
  for (const field of fields) {
    const value: unknown = Reflect.get(record, field);
    if (value === undefined || value === "") throw new RuleError(`${what} lacks its ${field}`);
  }
}

/**
 * What is said of a rule whose check threw: the rule is at fault, and the
 * others go on.
 *
 * @param error What it threw.
 * @returns The outcome `defect`, with the error's words.
 */
export function defect(error: unknown): Finding {
  const what = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    outcome: "defect",
    evidence: `the rule itself broke (${what}), which says nothing of what it looked at; ` +
      `please report it as a defect of the checklist`,
  };
}

/**
 * Checks a subject against every rule. No rule stops the others: not one that
 * fails, and not one that breaks, which is reported as a `defect` of that rule.
 *
 * @param rules The rules.
 * @param subject What is judged.
 * @returns One judgement a rule, in order.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { judge, STATIC_RULES, subjectOf } from "./mod.ts";
 * import { paper } from "../recipes/mod.ts";
 *
 * const judgements = judge(STATIC_RULES, subjectOf(paper("resnet20")));
 * assert(judgements.every((judgement) => judgement.outcome === "pass"));
 * ```
 */
export function judge<Subject>(rules: readonly Rule<Subject>[], subject: Subject): Judgement[] {
  return rules.map(({ id, section, requirement, tier, check }) => {
    let found: Finding;
    try {
      found = check(subject);
    } catch (error) {
      found = defect(error);
    }
    return { id, section, requirement, tier, ...found };
  });
}
