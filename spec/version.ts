/** The checklist's version, by which two verdicts can be compared. */
import { sha256 } from "../files/mod.ts";
import { ALL_RULES } from "./statements.ts";

/** Which rules a verdict is by. */
export interface ChecklistVersion {
  /** Rises whenever a rule is added, taken away or changed. */
  readonly version: number;
  /** How many rules there are, in all tiers. */
  readonly rules: number;
  /** The first twelve digits of {@linkcode checklistSha256}. */
  readonly sha256: string;
}

/**
 * The version, and the hash of the rules that it stands for; a test compares them. Where a rule
 * changes, `deno task readme` raises the number and writes the hash.
 */
const VERSION = { number: 26, sha256: "879385d4ee24" } as const;

/** SHA-256 of every rule's id, tier, section, requirement and the names of its cases. */
export function checklistSha256(): string {
  const lines = ALL_RULES.map(({ id, tier, section, requirement, rejects, accepts = [] }) =>
    JSON.stringify([
      ...[id, tier, section, requirement],
      rejects.map(({ name }) => name),
      accepts.map(({ name }) => name),
    ])
  );
  return sha256(lines.toSorted().join("\n"));
}

/**
 * The checklist as it stands.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { CHECKLIST } from "./version.ts";
 *
 * assert(CHECKLIST.version >= 2 && CHECKLIST.rules > 90);
 * ```
 */
export const CHECKLIST: ChecklistVersion = {
  version: VERSION.number,
  rules: ALL_RULES.length,
  sha256: VERSION.sha256,
};

/** The version for people: `version 2, 110 rules, 0123456789ab`. */
export const checklistInWords = ({ version, rules, sha256 }: ChecklistVersion): string =>
  `version ${version}, ${rules} rules, ${sha256}`;
