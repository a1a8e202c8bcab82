// The paper's checklist: one test a rule, and one for what the rule must reject.
import { assert, assertEquals } from "@std/assert";
import { architecture } from "../../resnet/mod.ts";
import { paper } from "../../recipes/mod.ts";
import { STATIC_RULES, subjectOf } from "../mod.ts";

const NETS = [20, 32, 44, 56, 110].flatMap((depth) => [`resnet${depth}`, `plain${depth}`]);
/** Nets of which everything is looked at: the shallowest, and the one with another schedule. */
const WHOLE = ["resnet20", "resnet110"];
/** What the recipe decides without the net: the split, the batches, the distribution of the weights. */
const NETLESS = { split: undefined, batchPlan: undefined, initialWeights: undefined };

const subjects = NETS.map((name) => {
  const whole = WHOLE.includes(name);
  const subject = subjectOf(paper(name));
  return { name, whole, subject: whole ? subject : { ...subject, ...NETLESS } };
});
const good = subjectOf(paper("resnet20"));
/** Not the paper's recipe for ResNet-1202, which it does not give in full, but for its graph. */
const deepest = { ...good, ...NETLESS, graph: architecture("resnet1202") };

Deno.test("split, batches and initialisation are those of ResNet-20 in every net's recipe", () => {
  for (const name of NETS) {
    const { data, batchSize, initialisation } = paper(name);
    assertEquals({ data, batchSize, initialisation }, {
      data: good.recipe.data,
      batchSize: good.recipe.batchSize,
      initialisation: good.recipe.initialisation,
    }, name);
  }
});

for (const { id, requirement, check, rejects } of STATIC_RULES) {
  Deno.test(`[${id}] ${requirement}`, () => {
    for (const { name, whole, subject } of subjects) {
      const { outcome, evidence } = check(subject);
      const netless = !whole && evidence.startsWith("not known: ");
      assertEquals(outcome, netless ? "not-observable" : "pass", `${name}: ${evidence}`);
      assert(evidence !== "", `${name}: a pass without evidence`);
    }
    const { outcome, evidence } = check(deepest);
    assert(outcome !== "fail", `resnet1202: ${evidence}`);
  });

  Deno.test(`[${id}] rejects what is known to go wrong`, async (t) => {
    for (const { name, why, spoil } of rejects) {
      await t.step(`${name} (${why})`, async () => {
        const { outcome, evidence } = check(await spoil(good));
        assertEquals(outcome, "fail", evidence);
        assert(evidence !== "", "a failure without evidence");
      });
    }
  });
}
