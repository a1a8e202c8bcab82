import { assertEquals } from "@std/assert";
import { finetune, imagenet } from "../recipes/mod.ts";
import { STATIC_RULES } from "./checklist.ts";
import { LOG_RULES } from "./log/rules.ts";
import { concerning } from "./photographs.ts";
import { judge } from "./rule.ts";
import { subjectOf } from "./subject.ts";

Deno.test("a training on photographs is judged by what section 3 states and what holds of any run", () => {
  const all = [...judge(STATIC_RULES, {}), ...judge(LOG_RULES, {})];
  // Section 3.4: "We adopt batch normalization right after each convolution and before activation",
  // "initialize the weights as in [13] and train all plain/residual nets from scratch", "a weight
  // decay of 0.0001 and a momentum of 0.9", "do not use dropout".
  assertEquals(concerning(all, true).map(({ id }) => id), [
    ...["batch-norm", "activation", "no-dropout", "initialisation", "momentum", "weight-decay"],
    ...["declared", "batch-norm-constants", "graph-stated", "seed-used", "error-recomputed"],
    ...["final-step", "files-named", "departures-logged", "recipe-of-paper", "from-scratch"],
    ...["run-finished", "resumes"],
  ]);
  assertEquals(concerning(all, false), all);
});

for (const recipe of [imagenet("resnet34"), finetune("resnet18")]) {
  Deno.test(`${recipe.name}'s recipe breaks none of the static rules that concern it`, () => {
    const judgements = concerning(judge(STATIC_RULES, subjectOf(recipe, 0, 1000)), true);
    assertEquals(judgements.filter(({ outcome }) => outcome !== "pass"), []);
  });
}
