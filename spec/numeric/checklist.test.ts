// The numeric part of the paper's checklist, on the default engine: one test a
// rule, and one for what the rule must reject.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { initialise, ofKind } from "../../resnet/mod.ts";
import { type Engine, freshState, PLAIN_SGD } from "../../engine/mod.ts";
import {
  averaging,
  badNetwork,
  badShortcut,
  bordered,
  corrupting,
  differentiating,
  evaluating,
  type Good,
  measuringLoss,
  normalising,
  plainUpdate,
  planning,
  reporting,
  unaugmented,
  updating,
} from "./_engine_mutants.ts";
import { remove } from "../_graphs.ts";
import { crossEntropy } from "../_numbers.ts";
import { oneThread, smallSubject } from "./_fixture.ts";
import { NUMERIC_RULES, probeEngine } from "./rules.ts";
import { loadSubject } from "./subject.ts";

const good = await smallSubject();

for (const { id, requirement, check, rejects, accepts = [] } of NUMERIC_RULES) {
  Deno.test(`[${id}] ${requirement}`, async () => {
    const { outcome, evidence } = await check(good);
    assertEquals(outcome, "pass", evidence);
    assert(evidence !== "", "a pass without evidence");
  });

  Deno.test(`[${id}] accepts what is unusual and right`, async (t) => {
    for (const { name, why, make } of accepts) {
      await t.step(`${name} (${why})`, async () => {
        const subject = await make(good) as Good & Disposable;
        try {
          const { outcome, evidence } = await check(subject);
          assertEquals(outcome, "pass", evidence);
        } finally {
          subject[Symbol.dispose]();
        }
      });
    }
  });

  Deno.test(`[${id}] rejects what is known to go wrong`, async (t) => {
    for (const { name, why, spoil } of rejects) {
      await t.step(`${name} (${why})`, async () => {
        const { outcome, evidence } = await check(await spoil(good));
        assertEquals(outcome, "fail", evidence);
        assert(evidence !== "", "a failure without evidence");
      });
    }
  });
}

/** Each wrapper doing the right thing, and the rules that its mutants fail. */
const HARMLESS: Readonly<Record<string, readonly [(good: Good) => Engine, ...string[]]>> = {
  "the paper's update": [
    (good) => updating(good, plainUpdate),
    "update",
    "zero-gradient-step",
  ],
  "the average of statistics": [
    (good) => averaging(good, (old, batch) => 0.9 * old + 0.1 * batch),
    "running-statistics",
  ],
  "evaluation by probing": [
    (good) => evaluating(good, unaugmented(good)),
    "test-images",
    "batch-invariance",
    "batch-statistics",
  ],
  "the same normalisation": [
    (good) => normalising(good, good.data.normalisation),
    "preprocessed-mean",
    "test-images",
  ],
  "the same plans": [(good) => planning(good, (plan) => plan), "crops-and-flips", "step-batch"],
  "a border of zeros": [
    (good) => bordered(good, (place, extent) => place >= 0 && place < extent ? place : undefined),
    "crops-and-flips",
  ],
  "stored images left alone": [(good) => corrupting(good, () => {}), "stored-images"],
  "the loss of the logits": [
    (good) => measuringLoss(good, "training", crossEntropy),
    "loss",
    "step-batch",
    "batch-statistics",
  ],
  "the engine's own metrics": [(good) => reporting(good, (metrics) => metrics), "loss"],
  "the engine's own gradients": [
    (good) => differentiating(good, (gradients) => gradients),
    "gradient",
  ],
};

Deno.test("a wrapped engine that does the right thing passes", async (t) => {
  const passes = async (id: string, subject: Good) => {
    const rule = NUMERIC_RULES.find((rule) => rule.id === id);
    assert(rule, `no rule has the id "${id}"`);
    const { outcome, evidence } = await rule.check(subject);
    assertEquals(outcome, "pass", `${id}: ${evidence}`);
  };
  for (const [name, [wrapped, ...ids]] of Object.entries(HARMLESS)) {
    await t.step(name, async () => {
      for (const id of ids) await passes(id, { ...good, engine: wrapped(good) });
    });
  }
  await t.step("the network itself, and every second pixel", async () => {
    const same = badNetwork("the same", "", (graph) => graph);
    await passes("block-values", await same.spoil(good) as Good);
    const picked = badShortcut("every second pixel", "", (at) => at(0, 0));
    await passes("shortcut-values", await picked.spoil(good) as Good);
  });
});

Deno.test("no numeric rule judges an open point, nor the kind of net", async (t) => {
  const otherReadings = {
    architecture: { zeroChannels: "split" },
    data: {
      split: { training: 60, validation: 0 },
      pixelScale: "0..255",
      meanSubtracted: "after-crop",
      epochEnd: "drop-partial",
    },
    initialisation: { fan: "out" },
    optimiser: { nesterov: true, decayed: "kernels" },
    batchNorm: { momentum: 0.05 },
  } as const;
  for (const net of ["resnet8", "plain8"]) {
    await t.step(net, async () => {
      using subject = await smallSubject(net, 8, otherReadings);
      for (const { id, outcome, evidence } of await probeEngine(subject)) {
        assertEquals(outcome, "pass", `${id}: ${evidence}`);
      }
    });
  }
});

Deno.test("of a trained network the rules on its start are not observable, and the others pass", async () => {
  using fresh = await smallSubject("resnet8", 8);
  for (let iteration = 1; iteration <= 20; iteration++) {
    fresh.engine.step(fresh.batchPlan(iteration), 0.05);
  }
  using trained = await loadSubject(oneThread, {
    ...fresh,
    state: await fresh.engine.exportState(),
  });
  const judgements = await probeEngine(trained);
  for (const { id, outcome, evidence } of judgements) {
    assert(outcome !== "fail", `${id}: ${evidence}`);
  }
  const unobserved = judgements.filter(({ outcome }) => outcome === "not-observable");
  assertEquals(unobserved.map(({ id }) => id), ["initial-state", "gradient"]);
  for (const { evidence } of unobserved) assertStringIncludes(evidence, "after 20 steps");
});

Deno.test("of a network without batch normalisation its statistics are not observable", async () => {
  const bare = ofKind(good.graph, "batch-norm").reduce(
    (graph, { name }) => remove(graph, name),
    good.graph,
  );
  using subject = await loadSubject(oneThread, {
    ...good,
    graph: bare,
    state: freshState(bare, PLAIN_SGD, initialise(bare, 0, "in")),
  });
  const judgements = await probeEngine(subject);
  for (const { id, outcome, evidence } of judgements) {
    assert(outcome !== "fail", `${id}: ${evidence}`);
  }
  const unobserved = judgements.filter(({ outcome }) => outcome === "not-observable");
  assertEquals(unobserved.map(({ id }) => id), [
    "block-values",
    "batch-statistics",
    "running-statistics",
    "batch-norm-epsilon",
  ]);
});

Deno.test("a numeric rule says what it needs", async () => {
  for (const { id, outcome, evidence } of await probeEngine({})) {
    assertEquals(outcome, "not-observable", id);
    assertStringIncludes(evidence, "not known: ");
  }
});

Deno.test("what was probed can be freed", () => good[Symbol.dispose]());
