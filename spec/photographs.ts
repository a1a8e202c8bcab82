/** Which rules say anything of a training on photographs, the matter of section 3.4. */
import { isOfPhotographs, type Recipe } from "../recipes/mod.ts";
import type { Judgement } from "./rule.ts";

/**
 * The judgements that concern a training: all of them, or, on photographs, those of rules that
 * section 3 states and those that hold of any run. Section 4.2 is of CIFAR-10.
 *
 * @param judgements Of any rules.
 * @param recipe Of the training, where it is known.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { finetune, paper } from "../recipes/mod.ts";
 * import { STATIC_RULES } from "./checklist.ts";
 * import { concerning } from "./photographs.ts";
 * import { judge } from "./rule.ts";
 *
 * const judgements = judge(STATIC_RULES, {});
 * const ids = concerning(judgements, finetune()).map(({ id }) => id);
 * assertEquals([ids.includes("momentum"), ids.includes("batch-size")], [true, false]);
 * assertEquals(concerning(judgements, paper("resnet20")), judgements);
 * ```
 */
export function concerning(
  judgements: readonly Judgement[],
  recipe: Pick<Recipe, "data"> | undefined,
): readonly Judgement[] {
  if (!recipe || !isOfPhotographs(recipe)) return judgements;
  return judgements.filter(({ section }) => section === "all" || /\b3\.[1-4]\b/.test(section));
}
