// The paper's checklist: one test a rule, and one for what the rule must reject.
import { assert, assertEquals } from "@std/assert";
import { architecture } from "../resnet/mod.ts";
import { paper } from "../train/mod.ts";
import { STATIC_RULES, subjectOf } from "./mod.ts";

const NETS = [20, 32, 44, 56, 110].flatMap((depth) => [`resnet${depth}`, `plain${depth}`]);
const subjects = NETS.map((name) => ({ name, subject: subjectOf(paper(name)) }));
const good = subjectOf(paper("resnet20"));

for (const { id, requirement, check, rejects } of STATIC_RULES) {
  Deno.test(`[${id}] ${requirement}`, () => {
    for (const { name, subject } of subjects) {
      const { outcome, evidence } = check(subject);
      assertEquals(outcome, "pass", `${name}: ${evidence}`);
      assert(evidence !== "", `${name}: a pass without evidence`);
    }
    // The 19 million weights of ResNet-1202 are left out: its graph and recipe alone.
    const graph = architecture("resnet1202");
    const { outcome, evidence } = check({ ...good, graph, initialWeights: undefined });
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
