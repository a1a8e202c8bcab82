// The graph of a real recording, and of operations that a residual net does not have.
import { assert, assertEquals } from "@std/assert";
import { type GraphLine, linesOf, parseRecording, type RecordedNode } from "../../log/mod.ts";
import { architecture, countParameters } from "../../resnet/mod.ts";
import { recordedLog } from "../../testing/files/mod.ts";
import { tracedGraph } from "./traced_graph.ts";

const { lines } = parseRecording(recordedLog());
const [line] = linesOf(lines, "graph");
const [network] = linesOf(lines, "network");

Deno.test("the operations of a recorded ResNet-8 are its graph", () => {
  const { graph, arrays, problems } = tracedGraph(line, network);
  assertEquals(problems, []);
  assertEquals(countParameters(graph!), countParameters(architecture("resnet8")));
  assertEquals(arrays.get("layer1.0.conv1.weight"), "layer1.0.conv1.weight");
});

Deno.test("an addition of one map and something else is none of two branches", () => {
  const at = line.nodes.findIndex(({ kind }) => kind === "add");
  const add = line.nodes[at];
  const [first, ...others] = Object.keys(add.arguments);
  const alone = { ...add, arguments: { [first]: add.arguments[first], [others[0]]: 1 } };
  const changed: GraphLine = { ...line, nodes: line.nodes.with(at, alone) };
  const { graph, problems } = tracedGraph(changed, network);
  // What reads a graph takes every "add" to have two inputs.
  assert(problems.length > 0 || graph!.nodes.some(({ kind }) => `${kind}` === "addition"));
});

for (
  const [what, op, kind, others] of [
    ["zeros_like", "aten.zeros_like.default", "other", {}],
    ["new_zeros", "aten.new_zeros.default", "other", { size: [1, 8, 16, 16] }],
    ["a product with 0", "aten.mul.Tensor", "multiply", { other: 0 }],
  ] as const
) {
  Deno.test(`zero channels may be made of the map's own shape: ${what}`, () => {
    const { changed, zeros } = withConcatenation(op, kind, others);
    const { graph, problems } = tracedGraph(changed, network);
    assertEquals(problems, []);
    const [shortcut] = graph!.nodes.filter(({ kind }) => kind === "shortcut-a");
    assert(shortcut.kind === "shortcut-a" && shortcut.zeroChannels === "append");
    // Ones, or what depends on the image, are no zero channels.
    const ones = { ...zeros, op: "aten.ones_like.default", kind: "other" };
    const at = changed.nodes.indexOf(zeros);
    const bad = tracedGraph({ ...changed, nodes: changed.nodes.with(at, ones) }, network);
    assert(bad.problems[0].includes("ones_like"), `${bad.problems}`);
  });
}

Deno.test("maps that lie channels last in memory end with other strides: no layer", () => {
  const at = line.nodes.findIndex(({ kind }) => kind === "mean" || kind === "average-pool");
  const pool = line.nodes[at], [output] = pool.outputs;
  const strided = (shape: readonly number[]): GraphLine => {
    const self = { value: 10_000 };
    const node: RecordedNode = {
      ...{ op: "aten.as_strided_.default", kind: "other", outputs: [output] },
      arguments: { self, size: [...shape] } as RecordedNode["arguments"],
    };
    const before = { ...pool, outputs: [{ ...output, value: 10_000, shape }] };
    return { ...line, nodes: line.nodes.toSpliced(at, 1, before, node) };
  };
  const { graph, problems } = tracedGraph(strided(output.shape), network);
  assertEquals(problems, []);
  assertEquals(graph!.nodes.length, tracedGraph(line, network).graph!.nodes.length);
  // Other strides of maps of several pixels are other pixels.
  const bad = tracedGraph(
    {
      ...line,
      nodes: line.nodes.map((node) =>
        node.kind === "relu" ? { ...node, kind: "other", op: "aten.as_strided.default" } : node
      ),
    },
    network,
  );
  assert(bad.problems[0].includes("as_strided"), `${bad.problems}`);
});

for (const [op, kind] of [["avg_pool2d", "average-pool"], ["max_pool2d", "max-pool"]] as const) {
  Deno.test(`a pool over single pixels with stride 2 takes every second one, as option A: ${op}`, () => {
    const at = line.nodes.findIndex((node) => node.kind === "slice");
    const [rows, columns] = line.nodes.slice(at, at + 2);
    const pooled = (side: number) => {
      const sizes = { kernel_size: [side, side], stride: [2, 2] };
      const pool: RecordedNode = {
        ...{ op: `aten.${op}.default`, kind, outputs: columns.outputs },
        arguments: { ...rows.arguments, ...sizes, dim: 0 } as RecordedNode["arguments"],
      };
      return tracedGraph({ ...line, nodes: line.nodes.toSpliced(at, 2, pool) }, network);
    };
    const { graph, problems } = pooled(1);
    assertEquals(problems, []);
    assertEquals(graph, tracedGraph(line, network).graph);
    // Over four pixels it is a layer of another kind.
    assert(pooled(2).graph!.nodes.some((node) => `${node.kind}` === kind));
  });
}

/** The first pad of zero channels as a concatenation with a tensor that `op` makes. */
function withConcatenation(op: string, kind: string, others: Readonly<Record<string, unknown>>) {
  const at = line.nodes.findIndex((node) => node.kind === "pad");
  const pad = line.nodes[at], [output] = pad.outputs;
  const of = pad.arguments.self;
  const channels = line.nodes.flatMap(({ outputs }) => outputs)
    .find(({ value }) => value === (of as { value: number }).value)!.shape;
  const zeros: RecordedNode = {
    ...{ op, kind, arguments: { self: of, ...others } as RecordedNode["arguments"] },
    outputs: [{ value: 10_000, shape: channels }],
  };
  const concatenation: RecordedNode = {
    ...{ op: "aten.cat.default", kind: "concatenate" },
    arguments: { tensors: [of, { value: 10_000 }], dim: 1 } as RecordedNode["arguments"],
    outputs: [output],
  };
  const changed: GraphLine = { ...line, nodes: line.nodes.toSpliced(at, 1, zeros, concatenation) };
  return { changed, zeros };
}

/** The recorded pass with operations on the images before its first one. */
function withOnImages(...made: readonly (readonly [op: string, kind: string, side: number])[]) {
  let value = line.inputs[0];
  const nodes = made.map(([op, kind, side], i): RecordedNode => {
    const from = value;
    value = 20_000 + i;
    return {
      ...{ op, kind, arguments: { self: { value: from } } },
      outputs: [{ value, shape: [line.images, 3, side, side] }],
    };
  });
  const [first, ...others] = line.nodes;
  const given = { ...first, arguments: { ...first.arguments, input: { value } } };
  return tracedGraph({ ...line, nodes: [...nodes, given, ...others] }, network);
}

Deno.test("what a network does to its images before its first convolution is no layer of it", () => {
  const right = tracedGraph(line, network);
  assertEquals([right.onImages, right.notes], [[], []]);
  const normalised = withOnImages(
    ...[["aten.sub.Tensor", "subtract", 32], ["aten.div.Tensor", "divide", 32]] as const,
  );
  assertEquals([normalised.graph, normalised.problems], [right.graph, []]);
  assertEquals(normalised.onImages, ["subtract", "divide"]);
  assert(normalised.notes[0].includes("before its first convolution (subtract, divide)"));
  const cropped = withOnImages(
    ["aten.constant_pad_nd.default", "pad", 40],
    ["aten.slice.Tensor", "slice", 32],
    ["aten.flip.default", "permute", 32],
    ["aten.where.self", "other", 32],
  );
  assertEquals([cropped.graph, cropped.problems], [right.graph, []]);
  assertEquals(cropped.onImages, ["pad", "slice", "flip", "where"]);
  const enlarged = withOnImages(["aten.upsample_bilinear2d.vec", "other", 64]);
  assertEquals(enlarged.problems, [
    "the network makes images of [64, 64, 3] of those of [32, 32, 3]",
  ]);
});

Deno.test("a kernel that the network does not know, or that several layers have, is said in words", () => {
  const places = line.nodes.flatMap(({ kind }, at) => kind === "convolution" ? [at] : []);
  const withKernel = (at: number, weight: unknown) => {
    const node = line.nodes[at];
    const changed = { ...node, arguments: { ...node.arguments, weight } };
    return tracedGraph({ ...line, nodes: line.nodes.with(at, changed) }, network);
  };
  const [unknown] = withKernel(places[1], { constant: [16, 16, 3, 3] }).problems;
  assert(unknown.includes("a convolution has weights of [16, 16, 3, 3]"), unknown);
  assert(unknown.includes("(ModuleList)"), unknown);
  // The block's two kernels are of one shape.
  const first = line.nodes[places[1]].arguments.weight;
  const shared = withKernel(places[2], first);
  assertEquals(shared.problems.length, 1);
  assert(shared.problems[0].startsWith("layer1.0.conv1.weight is the kernel of several layers"));
  assert(shared.graph !== undefined);
});

Deno.test("zeros on each side before a convolution are its padding, and before nothing else", () => {
  const right = tracedGraph(line, network);
  const places = line.nodes.flatMap(({ kind }, at) => kind === "convolution" ? [at] : []);
  const padded = (at: number, pad: readonly number[], kind = "convolution") => {
    const node = line.nodes[at];
    const of = node.arguments.input as { value: number };
    const [, channels, height, width] = line.nodes.flatMap(({ outputs }) => outputs)
      .find(({ value }) => value === of.value)?.shape ?? [0, 3, 32, 32];
    const value = 30_000;
    const before: RecordedNode = {
      ...{ op: "aten.constant_pad_nd.default", kind: "pad" },
      arguments: { self: of, pad: [...pad] } as RecordedNode["arguments"],
      outputs: [{
        value,
        shape: [line.images, channels, height + pad[2] + pad[3], width + pad[0] + pad[1]],
      }],
    };
    const taking = {
      ...node,
      kind,
      arguments: { ...node.arguments, input: { value }, padding: [0, 0] },
    };
    return tracedGraph({ ...line, nodes: line.nodes.toSpliced(at, 1, before, taking) }, network);
  };
  for (const at of [places[0], places[1]]) {
    const { graph, problems, onImages } = padded(at, [1, 1, 1, 1]);
    assertEquals([graph, problems, onImages], [right.graph, [], []]);
  }
  assert(padded(places[1], [0, 1, 0, 1]).problems[0].includes("pads maps by [0, 1, 0, 1]"));
  assert(padded(places[1], [1, 1, 1, 1], "relu").problems[0].includes("before no convolution"));
});

Deno.test("dropout as a function, of what is drawn and multiplied, is dropout", () => {
  const at = line.nodes.findIndex(({ kind }) => kind === "dense");
  const dense = line.nodes[at];
  const [key, of] = Object.entries(dense.arguments).find(([, item]) =>
    typeof (item as { value?: number })?.value === "number"
  )!;
  const shape = [line.images, 64];
  const node = (op: string, kind: string, value: number, given: object): RecordedNode => ({
    ...{ op, kind, outputs: [{ value, shape }] },
    arguments: given as RecordedNode["arguments"],
  });
  const nodes = line.nodes.toSpliced(
    at,
    1,
    node("aten.empty_like.default", "other", 40_001, { self: of }),
    node("aten.bernoulli_.float", "dropout", 40_002, { self: { value: 40_001 }, p: 0.8 }),
    node("aten.div_.Scalar", "divide", 40_003, { self: { value: 40_002 }, other: 0.8 }),
    node("aten.mul.Tensor", "multiply", 40_004, { self: of, other: { value: 40_003 } }),
    { ...dense, arguments: { ...dense.arguments, [key]: { value: 40_004 } } },
  );
  const { graph, problems } = tracedGraph({ ...line, nodes }, network);
  assertEquals(problems, []);
  assertEquals(graph!.nodes.filter(({ kind }) => `${kind}` === "dropout").length, 1);
});

Deno.test("of features and scores the scores are the network's end, in whatever order", () => {
  const right = tracedGraph(line, network).graph;
  const pooled = line.nodes.findLast(({ kind }) => kind === "mean" || kind === "average-pool")!;
  const both = [pooled.outputs[0].value, ...line.outputs];
  for (const outputs of [both, both.toReversed()]) {
    assertEquals(tracedGraph({ ...line, outputs }, network).graph, right);
  }
});

Deno.test("dropout of whole channels is dropout, that of whole branches is not", () => {
  const at = line.nodes.findIndex(({ kind }, i) => kind === "relu" && i > 0);
  const relu = line.nodes[at];
  const [{ value, shape }] = relu.outputs;
  const node = (op: string, kind: string, to: number, of: readonly number[], given: object) => ({
    ...{ op, kind, outputs: [{ value: to, shape: of }] },
    arguments: given as RecordedNode["arguments"],
  });
  const dropped = (drawn: readonly number[]) => {
    const nodes: RecordedNode[] = [
      ...line.nodes.slice(0, at),
      { ...relu, outputs: [{ value: 40_001, shape }] },
      node("aten.new_empty.default", "other", 40_002, drawn, { self: { value: 40_001 } }),
      node("aten.bernoulli_.float", "dropout", 40_003, drawn, { self: { value: 40_002 }, p: 0.8 }),
      node("aten.mul.Tensor", "multiply", value, shape, {
        ...{ self: { value: 40_001 }, other: { value: 40_003 } },
      }),
      ...line.nodes.slice(at + 1),
    ];
    const { graph, problems } = tracedGraph({ ...line, nodes }, network);
    assertEquals(problems, []);
    return graph!.nodes.filter(({ kind }) => `${kind}` === "dropout").length;
  };
  const [images, channels] = shape;
  assertEquals(dropped(shape), 1);
  assertEquals(dropped([images, channels, 1, 1]), 1);
  assertEquals(dropped([images, 1, 1, 1]), 0);
});
