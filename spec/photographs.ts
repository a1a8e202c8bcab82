/** Which rules say anything of a training on photographs, the matter of section 3.4. */
import type { Judgement } from "./rule.ts";

/**
 * The judgements that concern a training: all of them, or, on photographs, those of rules that
 * section 3 states and those that hold of any run. Section 4.2 is of CIFAR-10.
 *
 * @param judgements Of any rules.
 * @param photographs Whether the training is on photographs.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { STATIC_RULES } from "./checklist.ts";
 * import { concerning } from "./photographs.ts";
 * import { judge } from "./rule.ts";
 *
 * const judgements = judge(STATIC_RULES, {});
 * const ids = concerning(judgements, true).map(({ id }) => id);
 * assertEquals([ids.includes("momentum"), ids.includes("batch-size")], [true, false]);
 * assertEquals(concerning(judgements, false), judgements);
 * ```
 */
export function concerning(
  judgements: readonly Judgement[],
  photographs: boolean,
): readonly Judgement[] {
  return photographs
    ? judgements.filter((judgement) => judgement.section === "all" || isOfSection3(judgement))
    : judgements;
}

/** Whether a rule is a statement of section 3: what breaks it may be chosen so, and is no mistake. */
export function isOfSection3({ section }: Pick<Judgement, "section">): boolean {
  return /\b3\.[1-4]\b/.test(section);
}
