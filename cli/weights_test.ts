import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { loadDataset } from "../data/mod.ts";
import { type Architecture, architecture, zeros } from "../resnet/mod.ts";
import { CommandError } from "./_main.ts";
import { normalisationFor } from "./_preprocess.ts";
import { inferArchitecture, readWeights } from "./_weights.ts";

Deno.test("inferArchitecture: from names and shapes, with and without a wrapper's prefix", () => {
  const table: [string, Partial<Architecture>, "A" | "B"][] = [
    ["resnet20", {}, "A"],
    ["resnet56", { shortcut: "B" }, "B"],
    ["resnet110", { classes: 100 }, "A"],
    ["resnet18-cifar", {}, "B"],
    ["resnet34-cifar", {}, "B"],
    ["resnet34", { inputShape: [224, 224, 3], classes: 1000 }, "B"],
  ];
  for (const [name, options, shortcut] of table) {
    const tensors = zeros(architecture(name, options));
    const expected = { name, shortcut, classes: options.classes ?? 10 };
    assertEquals(inferArchitecture(tensors, "file"), expected);
    const wrapped = new Map([...tensors].map(([key, tensor]) => [`module.${key}`, tensor]));
    assertEquals(inferArchitecture(wrapped, "file"), expected);
  }
});

Deno.test("inferArchitecture: a net of no known form is refused", () => {
  const tensors = new Map([...zeros(architecture("resnet20"))]);
  for (const name of tensors.keys()) if (name.startsWith("layer3.2.")) tensors.delete(name);
  assertThrows(() => inferArchitecture(tensors, "file"), CommandError, "3, 3, 2, 0 blocks");
  assertThrows(() => inferArchitecture(new Map(), "file"), CommandError, "0, 0, 0, 0 blocks");
});

Deno.test("readWeights: a missing file is named with what to do", async () => {
  await assertRejects(
    () => readWeights("no/such.th"),
    CommandError,
    `"no/such.th" could not be read`,
  );
});

Deno.test("normalisationFor: published constants and none", async () => {
  const dataset = await loadDataset("shapes10");
  const of = (name: "cifar10" | "imagenet" | "none") => {
    const { mean, std, scale } = normalisationFor(dataset, undefined, name).normalisation;
    return [[...mean.slice(3, 6)], [...std], scale];
  };
  const floats = (...values: number[]) => [...Float32Array.from(values)];
  assertEquals(of("cifar10"), [
    ...[floats(0.4914, 0.4822, 0.4465), floats(0.2470, 0.2435, 0.2616), 1 / 255],
  ]);
  assertEquals(of("imagenet"), [floats(0.485, 0.456, 0.406), floats(0.229, 0.224, 0.225), 1 / 255]);
  assertEquals(of("none"), [[0, 0, 0], [1, 1, 1], 1 / 255]);
});
