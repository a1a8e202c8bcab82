import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import {
  architecture,
  buildGraph,
  type Graph,
  initialise,
  WeightFileError,
} from "../resnet/mod.ts";
import { encodeKeras } from "./keras_export.ts";
import { decodeModel } from "./formats.ts";
import { encodeTensorflowJs } from "./tensorflowjs_export.ts";
import { decodePyTorch } from "./pytorch.ts";
import { torchFile } from "./torch_file.ts";
import { withoutPreparation } from "./_keras_arrays.ts";
import { lookup3 } from "./_hdf5_writer.ts";
import { zipOf } from "./_zip.ts";

/** What a node computes, without its name and those of its inputs. */
function operations({ nodes }: Graph) {
  return nodes.map(({ kind, shape, multiplyAdds, ...node }) => ({
    ...{ kind, shape, multiplyAdds },
    ...("kernel" in node ? { kernel: node.kernel } : {}),
    ...("stride" in node ? { stride: node.stride } : {}),
    ...("padding" in node ? { padding: node.padding } : {}),
    ...("zeroChannels" in node ? { zeroChannels: node.zeroChannels } : {}),
  }));
}

/** Windows whose zeros Keras's "same" would put elsewhere. */
const STEM = buildGraph("stem", [32, 32, 3], [
  {
    ...{ kind: "convolution", name: "conv1", input: "input", filters: 4, kernel: 7 },
    ...{ stride: 2, padding: 3, bias: true },
  },
  { kind: "batch-norm", name: "bn1", input: "conv1" },
  { kind: "relu", name: "relu1", input: "bn1" },
  { kind: "max-pool", name: "pool", input: "relu1", kernel: 3, stride: 2, padding: 1 },
  { kind: "global-average-pool", name: "mean", input: "pool" },
  { kind: "dense", name: "linear", input: "mean", units: 7 },
]);

for (
  const [name, options] of [
    ["resnet8", {}],
    ["resnet8", { zeroChannels: "split" }],
    ["resnet8", { shortcut: "B" }],
    ["plain20", {}],
    ["an ImageNet stem", {}],
  ] as const
) {
  Deno.test(`${name} ${JSON.stringify(options)} is read again from TensorFlow.js's layers as it was written`, async () => {
    const graph = name === "an ImageNet stem" ? STEM : architecture(name, options);
    const weights = initialise(graph, 3, "in");
    const files = encodeTensorflowJs(graph, weights, { epsilon: 2e-5 });
    const { network } = await decodeModel({
      name: "model.json",
      bytes: files.get("model.json")!,
      beside: (name) => Promise.resolve(files.get(name)!),
    });
    // Projections stand elsewhere in the list, in an order that is right as well.
    const sorted = (list: Iterable<unknown>) =>
      [...list].map((item) => JSON.stringify(item)).toSorted();
    assertEquals(sorted(operations(network!.graph)), sorted(operations(graph)));
    assertEquals(sorted(network!.weights.values()), sorted(weights.values()));
    assertEquals(network!.epsilon, 2e-5);
  });
}

/** resnet8 in TensorFlow.js's layers with others before it, and arrays of theirs. */
async function behind(
  layers: readonly (readonly [className: string, config: Record<string, unknown>])[],
  arrays: Readonly<Record<string, readonly [shape: number[], data: number[]]>> = {},
) {
  const graph = architecture("resnet8");
  const files = new Map(encodeTensorflowJs(graph, initialise(graph, 3, "in")));
  const model = JSON.parse(new TextDecoder().decode(files.get("model.json")));
  const { config } = model.modelTopology;
  const [input, ...rest] = config.layers;
  const names = layers.map(([className]) => className.toLowerCase());
  const made = layers.map(([className, config], i) => ({
    ...{ name: names[i], class_name: className, config: { name: names[i], ...config } },
    inbound_nodes: [[[i === 0 ? input.name : names[i - 1], 0, 0, {}]]],
  }));
  const moved = JSON.parse(
    JSON.stringify(rest).replaceAll(`["${input.name}",0,0,{}]`, `["${names.at(-1)}",0,0,{}]`),
  );
  config.layers = [input, ...made, ...moved];
  const entries = Object.entries(arrays);
  model.weightsManifest.push({
    paths: ["more.bin"],
    weights: entries.map(([name, [shape]]) => ({ name, shape, dtype: "float32" })),
  });
  const data = Float32Array.from(entries.flatMap(([, [, data]]) => data));
  files.set("more.bin", new Uint8Array(data.buffer));
  return await decodeModel({
    name: "model.json",
    bytes: new TextEncoder().encode(JSON.stringify(model)),
    beside: (name) => Promise.resolve(files.get(name)!),
  });
}

Deno.test("layers of Keras that prepare images are what the network does to its input", async () => {
  const given = await behind([
    ["Rescaling", { scale: 0.5 }],
    ["Normalization", { axis: -1, mean: [1, 2, 3], variance: [4, 16, 64] }],
    ["RandomCrop", { height: 32, width: 32 }],
    ["CenterCrop", { height: 32, width: 32 }],
    ["Resizing", { height: 32, width: 32 }],
  ]);
  const { scale, shift } = given.network!.inputTransform!;
  // (x / 2 - mean) / sqrt(variance)
  assertEquals([...scale.slice(0, 4)], [0.25, 0.125, 0.0625, 0.25]);
  assertEquals([...shift.slice(0, 4)], [-0.5, -0.5, -0.375, -0.5]);

  // Adapted to images, a mean for each of their numbers: [H, W, C], as the input is.
  const all = Array.from({ length: 3072 }, (_, i) => i % 7);
  const pixels = await behind([["Normalization", { axis: [1, 2, 3], mean: null }]], {
    "normalization/mean": [[32, 32, 3], all],
    "normalization/variance": [[32, 32, 3], all.map(() => 4)],
    "normalization/count": [[], [50]],
  });
  assertEquals([...pixels.network!.inputTransform!.shift], all.map((mean) => -mean / 2));

  // What would make other images of them is no network that is read.
  for (
    const [className, config, what] of [
      ["RandomCrop", { height: 28, width: 28 }, "28x28 pixels of 32x32"],
      ["Normalization", { mean: [1], variance: [1], invert: true }, "Normalization"],
    ] as const
  ) {
    const { network, unmapped } = await behind([[className, config]]);
    assertEquals(network, undefined);
    assertStringIncludes(unmapped!.join(), what);
  }
});

Deno.test("of weights alone, those of a layer that prepares images are left out", () => {
  const number = { shape: [], data: Float32Array.of(1) };
  const three = { shape: [3], data: new Float32Array(3) };
  const left = withoutPreparation(
    new Map([
      ...["mean", "variance"].map((role) => [`normalization/${role}:0`, three] as const),
      ["normalization/count:0", number],
      // Batch norm without scale and shift.
      ...["moving_mean", "moving_variance"].map((role) => [`norm/${role}:0`, three] as const),
    ]),
  );
  assertEquals([...left.keys()], ["norm/moving_mean:0", "norm/moving_variance:0"]);
});

Deno.test("shards of TensorFlow.js are of at most 4 MB", () => {
  const graph = architecture("resnet110");
  const files = encodeTensorflowJs(graph, initialise(graph, 0, "in"));
  const [, ...shards] = files.values();
  assertEquals([...files.keys()].slice(1), ["group1-shard1of2.bin", "group1-shard2of2.bin"]);
  assertEquals(shards.map(({ length }) => length <= 4 * 1024 * 1024), [true, true]);
});

Deno.test("a file of Keras is an archive whose HDF5 file says where its root and its end are", () => {
  const graph = architecture("resnet8");
  const archive = zipOf(encodeKeras(graph, initialise(graph, 0, "in")))!;
  assertEquals([...archive.members.keys()], ["metadata.json", "config.json", "model.weights.h5"]);
  const bytes = archive.read("model.weights.h5");
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  assertEquals(view.getBigUint64(28, true), BigInt(bytes.length));
  const root = Number(view.getBigUint64(36, true));
  assertEquals(new TextDecoder().decode(bytes.subarray(root, root + 4)), "OHDR");
  assertEquals(view.getUint32(44, true), lookup3(bytes.subarray(0, 44)));
});

Deno.test("a file of Keras is read again as it was written", async () => {
  const graph = architecture("resnet8", { zeroChannels: "split" });
  const weights = initialise(graph, 3, "in");
  const bytes = encodeKeras(graph, weights, { epsilon: 2e-5 });
  const { network } = await decodeModel({
    ...{ name: "resnet8.keras", bytes },
    beside: () => Promise.reject(),
  });
  assertEquals(operations(network!.graph), operations(graph));
  assertEquals([...network!.weights.values()], [...weights.values()]);
  assertEquals(network!.epsilon, 2e-5);
});

Deno.test("lookup3 gives the values that its author's own program prints", () => {
  assertEquals(lookup3(new Uint8Array()), 0xdeadbeef);
  assertEquals(
    lookup3(new TextEncoder().encode("Four score and seven years ago")),
    0x17770551,
  );
});

Deno.test("a padded max pooling of values below zero can't be written in Keras's layers", () => {
  const graph = buildGraph("pooled", [8, 8, 3], [
    { kind: "max-pool", name: "pool", input: "input", kernel: 3, stride: 2, padding: 1 },
    { kind: "global-average-pool", name: "mean", input: "pool" },
    { kind: "dense", name: "linear", input: "mean", units: 2 },
  ]);
  const weights = initialise(graph, 0, "in");
  assertThrows(() => encodeKeras(graph, weights), WeightFileError, "write the network as ONNX");
});

Deno.test("a state dict that is written is read again by name", () => {
  const weights = initialise(architecture("resnet8"), 3, "in");
  assertEquals([...decodePyTorch(torchFile(weights)).tensors], [...weights]);
});
