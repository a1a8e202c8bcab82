import { assertEquals, assertThrows } from "@std/assert";
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
