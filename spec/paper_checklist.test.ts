// The paper's checklist: one test a rule, and one for what the rule must reject.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { paper } from "../recipes/mod.ts";
import { judge, STATIC_RULES, subjectOf } from "./mod.ts";

/** Places of the schedule are drawn from one seed here, so that each run of the tests is the same. */
const good = { ...subjectOf(paper("resnet20")), samplingSeed: 1 };
/** Made once: every mutant of the batches asks for them. */
const plans = new Map<number, ReturnType<typeof good.batchPlan>>();
const { batchPlan } = good;
good.batchPlan = (iteration) => {
  const plan = plans.get(iteration) ?? batchPlan(iteration);
  plans.set(iteration, plan);
  return plan;
};
const NETS = [20, 32, 44, 56, 110].flatMap((depth) => [`resnet${depth}`, `plain${depth}`]);
/** Nets of which everything is looked at: the shallowest, and the one with another schedule. */
const WHOLE = ["resnet20", "resnet110"];
/** What the recipe decides without the net: the split, the batches, the distribution of the weights. */
const NETLESS = { split: undefined, batchPlan: undefined, initialWeights: undefined };

const subjects = NETS.map((name) => {
  const whole = WHOLE.includes(name);
  const subject = { ...good, ...subjectOf(paper(name)), batchPlan: good.batchPlan };
  return { name, whole, subject: whole ? subject : { ...subject, ...NETLESS } };
});
/** Not the paper's recipe for ResNet-1202, which it does not give in full, but for its graph. */
const deepest = { ...subjectOf(paper("resnet1202")), ...NETLESS };

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

for (const { id, requirement, check, rejects, accepts = [] } of STATIC_RULES) {
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

  Deno.test(`[${id}] accepts what is unusual and right`, async (t) => {
    for (const { name, why, make } of accepts) {
      await t.step(`${name} (${why})`, async () => {
        const { outcome, evidence } = check(await make(good));
        assertEquals(outcome, "pass", evidence);
      });
    }
  });
}

Deno.test("a rule that breaks is reported as a defect of its own, and the others go on", () => {
  const [rule] = STATIC_RULES;
  const broken = {
    ...rule,
    id: "broken",
    check: () => {
      throw new TypeError("undefined is not a function");
    },
  };
  const judgements = judge([broken, rule], good);
  assertEquals(judgements.map(({ outcome }) => outcome), ["defect", "pass"]);
  assertStringIncludes(judgements[0].evidence, "TypeError: undefined is not a function");
});

Deno.test("a batch, a rate or weights that can't be made break no rule", () => {
  const thrower = () => {
    throw new RangeError("beyond the end");
  };
  const broken = { ...good, learningRate: thrower, batchPlan: thrower };
  for (const { id, outcome, evidence } of judge(STATIC_RULES, broken)) {
    assert(outcome !== "defect", `${id}: ${evidence}`);
  }
});

Deno.test("schedules and splits of any size break no rule", () => {
  const { recipe } = good;
  const ofLength = (iterations: number) =>
    ({ ...recipe, schedule: { ...recipe.schedule, iterations } }) as typeof recipe;
  const none = { training: new Uint32Array(), validation: new Uint32Array() };
  const few = { training: Uint32Array.of(1, 2, 3), validation: new Uint32Array() };
  const subjects = [
    { ...good, recipe: ofLength(1e9), split: few },
    { ...good, recipe: ofLength(0) },
    { ...good, split: none },
    { ...good, split: few },
  ];
  for (const subject of subjects) {
    for (const { id, outcome, evidence } of judge(STATIC_RULES, subject)) {
      assert(outcome !== "defect", `${id}: ${evidence}`);
    }
  }
});

Deno.test("places that are drawn anew find the same as those of the tests' seed", () => {
  const batches = STATIC_RULES.filter(({ id }) =>
    ["batches-from-training-images", "shuffled", "augmentation", "batch-size"].includes(id)
  );
  for (const { id, outcome, evidence } of judge(batches, subjectOf(paper("resnet20")))) {
    assertEquals(outcome, "pass", `${id}: ${evidence}`);
  }
});
