import { assertEquals, assertThrows } from "@std/assert";
import {
  checkRecipe,
  demo,
  departuresOf,
  forDataset,
  paper,
  type RecipeChanges,
  vary,
  withIterations,
} from "./recipes.ts";
import { choicesOf } from "./choices.ts";
import { completed } from "./completed.ts";
import type { Recipe } from "./recipe.ts";
import { RecipeError } from "./schedule.ts";
import { recipe as recipeSchema } from "./schema/mod.ts";

Deno.test("paper: section 4.2 and the default of each open point", () => {
  assertEquals(paper("resnet32"), {
    name: "paper",
    architecture: { name: "resnet32", shortcut: "A", zeroChannels: "append" },
    data: {
      set: "cifar10",
      split: { training: 45_000, validation: 5_000 },
      pixelScale: "0..1",
      mean: "per-pixel",
      std: "none",
      meanSubtracted: "before-padding",
      augmentation: "pad-crop-flip",
      cropPadding: 4,
      order: "shuffled",
      epochEnd: "run-on",
    },
    batchSize: 128,
    batchNormImages: 128,
    batchNorm: { epsilon: 1e-5, momentum: 0.1, runningVariance: "unbiased" },
    initialisation: { kind: "he-normal", fan: "in" },
    optimiser: { kind: "sgd", momentum: 0.9, nesterov: false, weightDecay: 1e-4, decayed: "all" },
    schedule: {
      kind: "steps",
      rate: 0.1,
      boundaries: [32_000, 48_000],
      factor: 0.1,
      iterations: 64_000,
    },
    departures: [],
  });
});

Deno.test("paper: ResNet-110 alone has the warm-up", () => {
  const warmUpOf = (name: string) => {
    const { schedule } = paper(name);
    return schedule.kind === "steps" ? schedule.warmUp : undefined;
  };
  assertEquals(warmUpOf("resnet110"), { rate: 0.01, untilTrainingErrorBelow: 0.8 });
  assertEquals(["resnet20", "resnet56", "plain110", "resnet1202"].map(warmUpOf), [
    ...[undefined, undefined, undefined, undefined],
  ]);
  assertEquals(departuresOf(paper("resnet110")), []);
});

Deno.test("departuresOf: every field at any depth, with the stated reasons", () => {
  const recipe = paper("resnet20", {
    optimiser: { nesterov: true },
    data: { split: { training: 50_000, validation: 0 } },
    schedule: { boundaries: [1, 2] },
  }, { "optimiser.nesterov": { reason: "faster", source: "a paper" } });
  const reason = "no reason was stated";
  assertEquals(recipe.departures, [
    { field: "data.split.training", paper: "45000", here: "50000", reason },
    { field: "data.split.validation", paper: "5000", here: "0", reason },
    {
      ...{ field: "optimiser.nesterov", paper: "false", here: "true", reason: "faster" },
      source: "a paper",
    },
    { field: "schedule.boundaries", paper: "[32000,48000]", here: "[1,2]", reason },
  ]);
});

Deno.test("departuresOf: a recipe can neither hide a departure nor invent one", () => {
  const hidden = { ...paper("resnet20", { batchSize: 64 }), departures: [] };
  assertEquals(departuresOf(hidden).map(({ field }) => field), ["batchSize"]);
  const invented = {
    ...paper("resnet20"),
    departures: [{ field: "batchSize", paper: "128", here: "1", reason: "none" }],
  };
  assertEquals(departuresOf(invented), []);
});

Deno.test("departuresOf: a missing warm-up, another optimiser and a net that the paper lacks count", () => {
  const { warmUp: _, ...schedule } = { warmUp: 0, ...paper("resnet110").schedule };
  const withoutWarmUp = { ...paper("resnet110"), schedule } as ReturnType<typeof paper>;
  assertEquals(departuresOf(withoutWarmUp).map(({ field, here }) => [field, here]), [
    ["schedule.warmUp.rate", "none"],
    ["schedule.warmUp.untilTrainingErrorBelow", "none"],
  ]);
  const adam = {
    ...paper("resnet20"),
    optimiser: {
      kind: "adam",
      beta1: 0.9,
      beta2: 0.999,
      epsilon: 1e-8,
      weightDecay: 1e-4,
    } as const,
  };
  assertEquals(departuresOf(adam).map(({ field }) => field), [
    "optimiser.kind",
    "optimiser.momentum",
    "optimiser.nesterov",
    "optimiser.decayed",
    "optimiser.beta1",
    "optimiser.beta2",
    "optimiser.epsilon",
  ]);
  assertEquals(departuresOf(paper("resnet34-cifar")).map(({ field }) => field), [
    "architecture.name",
    "architecture.shortcut",
  ]);
});

Deno.test("a recipe states the shortcuts that its net has, whatever was asked for", () => {
  const stated = (net: string, architecture = {}) => {
    const { name: _, ...has } = paper(net, { architecture }).architecture;
    return Object.values(has).join("/");
  };
  assertEquals(stated("resnet20"), "A/append");
  assertEquals(stated("resnet20", { zeroChannels: "split" }), "A/split");
  assertEquals(stated("resnet20", { shortcut: "B" }), "B/none");
  assertEquals(stated("plain20", { shortcut: "A" }), "none/none");
  assertEquals(stated("resnet18-cifar"), "B/none");
  // Another net in place of the first.
  assertEquals(vary(paper("plain20"), { architecture: { name: "resnet20" } }).architecture, {
    ...{ name: "resnet20", shortcut: "A", zeroChannels: "append" },
  });
  const [, projections] = paper("resnet34").departures;
  assertEquals([projections.paper, projections.here], ["A", "B"]);
  assertEquals(projections.reason, "the layout that the name stands for has projections");
  const zeroChannels = (net: string) =>
    choicesOf(paper(net)).find(({ id }) => id === "zero-channels")?.choice;
  assertEquals(zeroChannels("resnet34"), "nowhere: its shortcuts are projections");
  assertEquals(zeroChannels("plain20"), "nowhere: it has no shortcuts");
});

Deno.test("a recipe of an earlier version is read as today's, and is not trained as it is", () => {
  const then = (net: string): Recipe => ({
    ...paper(net),
    architecture: { name: net, shortcut: "A", zeroChannels: "append" },
    departures: paper(net).departures.filter(({ field }) => field !== "architecture.shortcut"),
  });
  for (const net of ["plain20", "resnet34", "resnet20"]) {
    assertEquals(completed(then(net)), paper(net));
    assertEquals(recipeSchema.parse(then(net)), paper(net));
  }
  assertThrows(() => checkRecipe(then("plain20")), RecipeError, "none with zero channels");
  assertThrows(() => checkRecipe(then("resnet34")), RecipeError, "must state the shortcuts");
});

Deno.test("withIterations: half and three quarters, where they fit", () => {
  const boundaries = (iterations: number) => {
    const { schedule } = withIterations(paper("resnet20"), iterations);
    checkRecipe(withIterations(paper("resnet20"), iterations));
    return schedule.kind === "steps" ? schedule.boundaries : undefined;
  };
  assertEquals(boundaries(64_000), [32_000, 48_000]);
  assertEquals(boundaries(2_000), [1_000, 1_500]);
  assertEquals(boundaries(4), [2, 3]);
  assertEquals(boundaries(2), [1]);
  assertEquals(boundaries(1), []);
  assertThrows(() => withIterations(paper("resnet20"), 0), RecipeError, "found 0");
});

Deno.test("forDataset: a split that the set allows", () => {
  const shapes = forDataset(paper("resnet20"), "shapes10", "to try");
  assertEquals(shapes.data.split, { training: 9_000, validation: 1_000 });
  assertEquals(new Set(shapes.departures.map(({ reason }) => reason)), new Set(["to try"]));
  assertEquals(forDataset(shapes, "cifar100").data.split, { training: 45_000, validation: 5_000 });
});

Deno.test("demo: every departure has a reason", () => {
  assertEquals(demo().departures.map(({ field }) => field), [
    "architecture.name",
    "data.set",
    "data.split.training",
    "data.split.validation",
    "schedule.boundaries",
    "schedule.iterations",
  ]);
  assertEquals(demo().departures.filter(({ reason }) => reason === "no reason was stated"), []);
});

Deno.test("vary: one reason goes to new departures alone", () => {
  const once = vary(paper("resnet20"), { batchSize: 64 }, "memory");
  const twice = vary(once, { optimiser: { weightDecay: 0 } }, "ablation");
  assertEquals(twice.departures.map(({ field, reason }) => [field, reason]), [
    ["batchSize", "memory"],
    ["optimiser.weightDecay", "ablation"],
  ]);
});

Deno.test("checkRecipe: names the field, the rule and the value", () => {
  const bad: [RecipeChanges, string][] = [
    [{ batchSize: 0, batchNormImages: 0 }, "batchSize must be a whole number from 1, found 0"],
    [
      { batchNormImages: 129 },
      "batchNormImages must be a whole number from 1 to the batch size, 128",
    ],
    [{ optimiser: { momentum: 1 } }, "optimiser.momentum must be from 0 to below 1, found 1"],
    [{ optimiser: { weightDecay: -1 } }, "optimiser.weightDecay must be 0 or more, found -1"],
    [{ data: { cropPadding: 128 } }, "data.cropPadding must be a whole number from 0 to 127"],
    [
      { data: { epochEnd: "drop-partial", split: { training: 127, validation: 0 } } },
      "batchSize must be at most the images trained on, 127, as partial batches are dropped",
    ],
    [
      { data: { set: "shapes10", std: "published" } },
      "data.std must be one that its set has, and shapes10 has no published constants",
    ],
    [{ batchNorm: { epsilon: 0 } }, "batchNorm.epsilon must be a number above 0, found 0"],
    [{ batchNorm: { momentum: NaN } }, "batchNorm.momentum must be from 0 to 1, found NaN"],
    [{ schedule: { rate: 0 } }, "rate is a number above 0, found 0"],
  ];
  for (const [changes, message] of bad) {
    assertThrows(() => checkRecipe(paper("resnet20", changes)), RecipeError, message);
  }
  const adam = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 } as const;
  checkRecipe(paper("resnet20", { optimiser: adam }));
  assertThrows(
    () => checkRecipe(paper("resnet20", { optimiser: { ...adam, beta2: 1 } })),
    RecipeError,
    "optimiser.beta2 must be from 0 to below 1, found 1",
  );
});

Deno.test("an optimiser of another kind replaces the old one whole", () => {
  const nadam = {
    kind: "nadam",
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    weightDecay: 0,
    momentumDecay: 0.004,
  } as const;
  assertEquals(paper("resnet20", { optimiser: nadam }).optimiser, nadam);
});
