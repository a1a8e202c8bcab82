import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { architecture, type Graph, type Node } from "../resnet/mod.ts";
import {
  choicesOf,
  departuresOf,
  paper,
  type Recipe,
  type RecipeChanges,
  vary,
} from "../recipes/mod.ts";
import { defineRules, judge, type Rule, RuleError, STATIC_RULES, subjectOf } from "./mod.ts";
import { ARCHITECTURE_RULES } from "./checklist.ts";
import { insertAfter } from "./_graphs.ts";
import { sameBatches } from "./static/_bad.ts";
import { OPEN_POINTS } from "../paper/mod.ts";

/** Each reading but the usual one, as a change of the recipe. */
const OTHER_READINGS: Readonly<Record<string, readonly RecipeChanges[]>> = {
  "training-images": [{ data: { split: { training: 50_000, validation: 0 } } }],
  "batch-norm-images": [{ batchNormImages: 64 }],
  "weight-decay-on": [{ optimiser: { decayed: "kernels" } }],
  "zero-channels": [{ architecture: { zeroChannels: "split" } }],
  "mean-subtracted": [{ data: { meanSubtracted: "after-crop" } }],
  "pixel-scale": [{ data: { pixelScale: "0..255" } }],
  "he-fan": [{ initialisation: { fan: "out" } }],
  "last-layer-start": [{ initialisation: { lastLayer: "library" } }],
  "momentum-form": [{ optimiser: { nesterov: true } }, { optimiser: { velocityOf: "steps" } }],
  "epoch-end": [{ data: { epochEnd: "keep-partial" } }, { data: { epochEnd: "drop-partial" } }],
  "running-statistics": [{ batchNorm: { averages: "strict" } }],
};

/** The recipe with a change that states its reason. */
function declaredChange(changes: RecipeChanges): Recipe {
  const changed = vary(paper("resnet20"), changes);
  const reason = "the paper can be read so";
  return {
    ...changed,
    departures: departuresOf(changed).map((departure) => ({ ...departure, reason })),
  };
}

Deno.test("the paper's recipe takes the usual reading of every open point", () => {
  for (const { id, choice, usual } of choicesOf(paper("resnet20"))) {
    assert(usual, `${id}: ${choice}`);
  }
});

Deno.test("no rule judges an open point", async (t) => {
  assertEquals(Object.keys(OTHER_READINGS), OPEN_POINTS.map(({ id }) => id));
  const usual = subjectOf(paper("resnet20"));
  for (const { id, readings } of OPEN_POINTS) {
    await t.step(id, () => {
      const recipes = OTHER_READINGS[id].map(declaredChange);
      const found = recipes.map((recipe) => choicesOf(recipe).find((choice) => choice.id === id));
      assertEquals(found.map((choice) => choice?.choice), readings.slice(1).map((r) => r.reading));
      for (const recipe of recipes) {
        const others = choicesOf(recipe).filter((choice) => choice.id !== id);
        assert(others.every(({ usual }) => usual), "the change touches another open point");
        const subject = subjectOf(recipe);
        // The same batches are not looked at again.
        const { batchPlan } = sameBatches(recipe, usual.recipe) ? usual : subject;
        for (const { outcome, id, evidence } of judge(STATIC_RULES, { ...subject, batchPlan })) {
          assertEquals(outcome, "pass", `${id}: ${evidence}`);
        }
      }
    });
  }
});

Deno.test("a decision that no reading names is shown as it is", () => {
  const choices = choicesOf(paper("resnet20", { batchNormImages: 32 }));
  const choice = choices.find(({ id }) => id === "batch-norm-images");
  assertEquals([choice?.choice, choice?.usual], ["32", false]);
});

Deno.test("the rule on parameters has the counts of Table 6's nets", () => {
  // Summed by hand from the layers' shapes; the paper prints them in millions.
  const counts: Readonly<Record<string, string>> = {
    resnet20: "269,722",
    resnet32: "464,154",
    resnet44: "658,586",
    resnet56: "853,018",
    resnet110: "1,727,962",
    resnet1202: "19,421,274",
    plain20: "269,722",
    plain110: "1,727,962",
  };
  const rule = STATIC_RULES.filter(({ id }) => id === "parameters");
  for (const [name, count] of Object.entries(counts)) {
    const [parameters] = judge(rule, { graph: architecture(name) });
    assertEquals(
      [parameters.outcome, parameters.evidence],
      ["pass", `${count} trainable parameters`],
      name,
    );
  }
});

Deno.test("a rule is not observable where the subject holds too little, and says what it needs", () => {
  for (const { id, outcome, evidence } of judge(STATIC_RULES, {})) {
    assertEquals(outcome, "not-observable", id);
    assertStringIncludes(evidence, "not known: ");
  }
  const graphOnly = judge(STATIC_RULES, { graph: architecture("resnet20") });
  const decided = graphOnly.filter(({ outcome }) => outcome !== "not-observable");
  assertEquals(decided.map(({ id }) => id), [
    "input",
    "stem",
    "stages",
    "depth",
    "subsampling",
    "head",
    "shortcuts",
    "identity",
    "parameters",
    "batch-norm",
    "activation",
    "no-bias",
    "no-dropout",
  ]);
});

Deno.test("every static rule has an id of its own, and its own tier", () => {
  assertEquals(new Set(STATIC_RULES.map(({ id }) => id)).size, STATIC_RULES.length);
  assert(STATIC_RULES.every(({ tier }) => tier === "static"));
});

Deno.test("defineRules refuses what is no rule", () => {
  const [rule] = STATIC_RULES;
  const refused = (rules: readonly object[]) =>
    assertThrows(() => defineRules(rules as readonly Rule<unknown>[]), RuleError).message;
  assertEquals(refused([rule, rule]), 'two rules have the id "input"; ids are unique');
  assertStringIncludes(refused([{ ...rule, severity: 1 }]), 'the unknown field "severity"');
  assertStringIncludes(refused([{ ...rule, requirement: "" }]), "lacks its requirement");
  assertStringIncludes(refused([{ ...rule, check: undefined }]), "lacks its check");
  assertStringIncludes(refused([{ ...rule, rejects: [rule.rejects[0]] }]), "at least 2");
  const misspelt = { ...rule.rejects[0], reason: "x" };
  assertStringIncludes(refused([{ ...rule, rejects: [misspelt, misspelt] }]), '"reason"');
});

Deno.test("dropout is one mistake, wherever it stands", () => {
  const good = architecture("resnet20");
  const rules = [...ARCHITECTURE_RULES, ...STATIC_RULES.filter(({ id }) => id === "graph-stated")];
  for (const { name: place } of good.nodes) {
    const name = "dropped";
    const stand = insertAfter(good, place, { kind: "relu", name, input: place });
    const graph: Graph = {
      ...stand,
      nodes: stand.nodes.map((node) =>
        node.name === name ? { ...node, kind: "dropout" } as unknown as Node : node
      ),
    };
    const failed = judge(rules, { ...subjectOf(paper("resnet20")), graph })
      .filter(({ outcome }) => outcome === "fail").map(({ id }) => id);
    assertEquals([place, failed], [place, ["no-dropout"]]);
  }
});
