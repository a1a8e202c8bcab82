import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { loadDataset } from "../data/mod.ts";
import {
  type Architecture,
  architecture,
  initialise,
  WeightFileError,
  type Weights,
} from "../resnet/mod.ts";
import { finetune, withImageSize } from "../recipes/mod.ts";
import { weightMetadata } from "../train/mod.ts";
import { encodeSafetensors } from "../weights/mod.ts";
import {
  atOwnSize,
  classesOf,
  type Model,
  networkOf,
  paddingOf,
  preparationFor,
  readModel,
} from "../audit/mod.ts";
import { arrayModel, type ArrayModelName } from "../testing/files/mod.ts";
import { shortcutOf, startingWeights, weightsFor } from "./_weights.ts";

/** Reads arrays through a file, as every command does. */
async function modelOf(tensors: Weights, metadata?: Record<string, string>): Promise<Model> {
  const path = await Deno.makeTempFile({ suffix: ".safetensors" });
  try {
    await Deno.writeFile(path, encodeSafetensors(tensors, metadata));
    return await readModel(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("networkOf: from names and shapes, with and without a wrapper's prefix", async () => {
  const table: [string, Partial<Architecture>, "A" | "B"][] = [
    ["resnet20", {}, "A"],
    ["resnet56", { shortcut: "B" }, "B"],
    ["resnet110", { classes: 100 }, "A"],
    ["resnet18-cifar", {}, "B"],
    ["resnet34-cifar", {}, "B"],
    ["resnet34", { classes: 1000 }, "B"],
  ];
  for (const [name, options, shortcut] of table) {
    const graph = architecture(name, options);
    const tensors = initialise(graph, 1, "in");
    const wrapped = new Map([...tensors].map(([key, tensor]) => [`module.${key}`, tensor]));
    for (const arrays of [tensors, wrapped]) {
      const found = networkOf(await modelOf(arrays), "append").graph;
      assertEquals([found.name, shortcutOf(found)], [name, shortcut]);
      assertEquals(classesOf(found), options.classes ?? 10);
    }
  }
});

Deno.test("networkOf: split zero channels are taken where they are asked for", async () => {
  const model = await modelOf(initialise(architecture("resnet20"), 1, "in"));
  assertEquals(paddingOf(networkOf(model, "append").graph), "append");
  assertEquals(paddingOf(networkOf(model, "split").graph), "split");
});

Deno.test("networkOf: arrays of no net are refused, with what was found", async () => {
  const model = await modelOf(new Map([["x", { shape: [2, 2], data: new Float32Array(4) }]]));
  assertThrows(
    () => networkOf(model, "append"),
    WeightFileError,
    "no network that can be run here",
  );
});

Deno.test("startingWeights: a file under names of its own fits by its place", async () => {
  const graph = architecture("resnet20");
  const weights = initialise(graph, 1, "in");
  const renamed = new Map(
    [...weights].map(([name, tensor]) => [name.replace("layer", "s"), tensor]),
  );
  const options = { name: "resnet20", shortcut: "A", zeroChannels: "append" } as const;
  assertEquals(startingWeights(options, await modelOf(renamed)), weights);
  assertThrows(
    () =>
      startingWeights({ ...options, name: "resnet32" }, {
        ...EMPTY,
        file: { ...EMPTY.file, tensors: weights },
      }),
    WeightFileError,
    "does not fit resnet32",
  );
});

const EMPTY: Model = {
  file: { tensors: new Map(), ordered: true, format: "", title: "", metadata: {}, notes: [] },
  subject: { target: "file", form: "", candidates: [] },
  sha256: "",
};

Deno.test("readModel: a missing file is named with what to do", async () => {
  await assertRejects(
    () => readModel("no/such.th"),
    WeightFileError,
    `"no/such.th" could not be read`,
  );
});

Deno.test("preparationFor: published constants and none", async () => {
  const dataset = await loadDataset("shapes10");
  const of = (name: "cifar10" | "imagenet" | "none") => {
    const { mean, std, scale } = preparationFor(dataset, undefined, name).normalisation;
    return [[...mean.slice(3, 6)], [...std], scale];
  };
  const floats = (...values: number[]) => [...Float32Array.from(values)];
  assertEquals(of("cifar10"), [
    ...[floats(0.4914, 0.4822, 0.4465), floats(0.2470, 0.2435, 0.2616), 1 / 255],
  ]);
  assertEquals(of("imagenet"), [floats(0.485, 0.456, 0.406), floats(0.229, 0.224, 0.225), 1 / 255]);
  assertEquals(of("none"), [[0, 0, 0], [1, 1, 1], 1 / 255]);
});

Deno.test("what audit names, evaluate runs and train starts from, in every format", async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  try {
    const table: readonly (readonly [ArrayModelName, string])[] = [
      ["kerasOptionA", "a.keras"],
      ["kerasOptionALegacy", "a.h5"],
      ["kerasOptionAWeights", "a.weights.h5"],
      ["kerasNested", "b.keras"],
      ["flaxVariables", "c.msgpack"],
      ["flaxNpz", "c.npz"],
    ];
    const weightsOf = new Map<string, Weights>();
    for (const [name, file] of table) {
      await Deno.writeFile(`${folder}/${file}`, await arrayModel(name));
      const model = await readModel(`${folder}/${file}`);
      const { graph, network } = networkOf(model, "split");
      assertEquals([file, model.subject.candidates[0].graph.nodes.length], [
        file,
        graph.nodes.length,
      ]);
      // What a training starts from has the names and shapes of the graph that is named.
      const started = weightsFor(graph, model);
      assertEquals([...started.keys()].length, network.weights.size);
      weightsOf.set(file, started);
    }
    assertEquals(weightsOf.get("a.h5"), weightsOf.get("a.keras"));
    assertEquals(weightsOf.get("a.weights.h5"), weightsOf.get("a.keras"));
    assertEquals(weightsOf.get("c.npz"), weightsOf.get("c.msgpack"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("atOwnSize: ImageNet's layouts look at 224 x 224, where a file says nothing else", async () => {
  const sizeOf = async (name: string, options: Partial<Architecture>) => {
    const model = await modelOf(initialise(architecture(name, options), 1, "in"));
    return atOwnSize(model, networkOf(model, "append").network).graph.inputShape;
  };
  assertEquals(await sizeOf("resnet18", { classes: 1000 }), [224, 224, 3]);
  assertEquals(await sizeOf("resnet18-cifar", {}), [32, 32, 3]);
  assertEquals(await sizeOf("resnet20", {}), [32, 32, 3]);
  // A run of ours on photographs says how large they were.
  const recipe = withImageSize(finetune("resnet18"), 64, "small");
  const identity = { recipe, seed: 0, classes: 2, dataHashes: {}, meanSha256: "" };
  const model = await modelOf(
    initialise(architecture("resnet18", { classes: 2 }), 1, "in"),
    weightMetadata("weights", identity, 9),
  );
  const { graph } = atOwnSize(model, networkOf(model, "append").network);
  assertEquals(graph.inputShape, [64, 64, 3]);
});
