import { assertEquals, assertThrows } from "@std/assert";
import {
  buildGraph,
  countMultiplyAdds,
  countParameters,
  GraphError,
  INPUT,
  inputsOf,
  type NodeSpec,
  parametersOf,
  shapeOf,
  sizeOf,
  truncate,
} from "./graph.ts";

const convolution = (
  name: string,
  input: string,
  options: { filters?: number; kernel?: number; stride?: number; padding?: number; bias?: boolean },
): NodeSpec => ({
  kind: "convolution",
  name,
  input,
  filters: 4,
  kernel: 3,
  stride: 1,
  padding: 1,
  bias: false,
  ...options,
});

/** Output shape of one node on an image. */
const shapeAfter = (spec: NodeSpec, inputShape: number[]) =>
  buildGraph("test", inputShape, [spec]).nodes[0].shape;

Deno.test("a convolution's output has floor((extent + 2 padding - kernel) / stride) + 1 pixels", () => {
  // Written out: (7 + 2 - 3) / 2 + 1 = 4; floor((8 + 2 - 3) / 2) + 1 = 4; 224 with
  // the 7x7 stem of stride 2: floor((224 + 6 - 7) / 2) + 1 = 112.
  assertEquals(shapeAfter(convolution("c", INPUT, { stride: 2 }), [7, 8, 3]), [4, 4, 4]);
  assertEquals(
    shapeAfter(convolution("c", INPUT, { kernel: 7, stride: 2, padding: 3 }), [224, 224, 3]),
    [112, 112, 4],
  );
  assertEquals(
    shapeAfter(convolution("c", INPUT, { kernel: 1, padding: 0, stride: 2 }), [5, 5, 3]),
    [3, 3, 4],
  );
});

Deno.test("a convolution counts its kernel, its bias and a multiply-add per output and weight", () => {
  const graph = buildGraph("test", [6, 5, 3], [
    convolution("c", INPUT, { filters: 7, bias: true }),
  ]);
  assertEquals(parametersOf(graph), [
    { name: "c.weight", shape: [7, 3, 3, 3], role: "kernel", trainable: true },
    { name: "c.bias", shape: [7], role: "bias", trainable: true },
  ]);
  assertEquals(countParameters(graph), 7 * 3 * 3 * 3 + 7);
  assertEquals(countMultiplyAdds(graph), 6 * 5 * 7 * 3 * 3 * 3);
});

Deno.test("batch norm has two trainable arrays and two that never count", () => {
  const graph = buildGraph("test", [4, 4, 5], [{ kind: "batch-norm", name: "bn", input: INPUT }]);
  assertEquals(
    parametersOf(graph).map(({ name, shape, role, trainable }) => [name, shape, role, trainable]),
    [
      ["bn.weight", [5], "bn-scale", true],
      ["bn.bias", [5], "bn-shift", true],
      ["bn.running_mean", [5], "bn-mean", false],
      ["bn.running_var", [5], "bn-variance", false],
    ],
  );
  assertEquals(countParameters(graph), 10);
  assertEquals(graph.nodes[0].shape, [4, 4, 5]);
});

Deno.test("option A's shortcut keeps every second pixel, also of odd extents", () => {
  const shortcut = (filters: number): NodeSpec => ({
    kind: "shortcut-a",
    name: "s",
    input: INPUT,
    filters,
    stride: 2,
    zeroChannels: "append",
  });
  assertEquals(shapeAfter(shortcut(32), [32, 32, 16]), [16, 16, 32]);
  assertEquals(shapeAfter(shortcut(16), [7, 5, 16]), [4, 3, 16]);
  assertThrows(
    () => shapeAfter(shortcut(8), [8, 8, 16]),
    GraphError,
    '"s" can only add channels: from 16 to 8',
  );
});

Deno.test("pooling and the dense layer", () => {
  const pool: NodeSpec = {
    kind: "max-pool",
    name: "p",
    input: INPUT,
    kernel: 3,
    stride: 2,
    padding: 1,
  };
  assertEquals(shapeAfter(pool, [112, 112, 64]), [56, 56, 64]);
  const graph = buildGraph("test", [8, 8, 64], [
    { kind: "global-average-pool", name: "pool", input: INPUT },
    { kind: "dense", name: "linear", input: "pool", units: 10 },
  ]);
  assertEquals(graph.nodes.map(({ shape }) => shape), [[64], [10]]);
  assertEquals(countParameters(graph), 650);
  assertEquals(countMultiplyAdds(graph), 640);
});

Deno.test("a graph that contradicts itself is refused by name", () => {
  const build = (specs: NodeSpec[]) => () => buildGraph("net", [8, 8, 3], specs);
  const relu: NodeSpec = { kind: "relu", name: "r", input: INPUT };
  const cases: [NodeSpec[], string][] = [
    [[], "net: a graph needs at least one node"],
    [[relu, relu], 'net: two nodes are named "r"'],
    [[{ ...relu, name: INPUT }], 'net: two nodes are named "input"'],
    [[{ ...relu, input: "x" }], 'node "r" takes "x", which no earlier node is named'],
    [
      [
        convolution("c", INPUT, { filters: 4 }),
        { kind: "add", name: "a", inputs: ["c", INPUT] },
      ],
      '"a" adds shapes that differ: "c" is [8, 8, 4], "input" is [8, 8, 3]',
    ],
    [
      [{ kind: "dense", name: "d", input: INPUT, units: 10 }],
      'dense node "d" needs an input [C], found [8, 8, 3]',
    ],
    [
      [
        { kind: "global-average-pool", name: "p", input: INPUT },
        convolution("c", "p", {}),
      ],
      'node "c" needs an input [H, W, C], found [3]',
    ],
    [[convolution("c", INPUT, { kernel: 9, padding: 0 })], 'the shape of "c" must be'],
    [[convolution("c", INPUT, { filters: 0 })], "found [8, 8, 0]"],
    [
      [convolution("c", INPUT, { kernel: 0 })],
      'the kernel of "c" must be a whole number, 1 or more, found 0',
    ],
    [[convolution("c", INPUT, { stride: 1.5 })], "1 or more, found 1.5"],
    [[convolution("c", INPUT, { padding: -1 })], "0 or more, found -1"],
    [
      [{
        kind: "shortcut-a",
        name: "s",
        input: INPUT,
        filters: 4,
        stride: 0,
        zeroChannels: "append",
      }],
      'the stride of "s" must be a whole number, 1 or more, found 0',
    ],
  ];
  for (const [specs, message] of cases) assertThrows(build(specs), GraphError, message);
});

Deno.test("an input shape must be whole numbers above 0", () => {
  assertThrows(
    () => buildGraph("net", [32, 0.5, 3], [{ kind: "relu", name: "r", input: INPUT }]),
    GraphError,
    "found [32, 0.5, 3]",
  );
});

const block = buildGraph("block", [8, 8, 4], [
  convolution("a", INPUT, {}),
  convolution("b", INPUT, { filters: 6 }),
  { kind: "relu", name: "a.relu", input: "a" },
  { kind: "add", name: "sum", inputs: ["a.relu", INPUT] },
]);

Deno.test("the output is the last node, and inputs keep their order", () => {
  assertEquals(block.output, "sum");
  assertEquals(inputsOf(block.nodes[3]), ["a.relu", "input"]);
});

Deno.test("truncate keeps what the output needs", () => {
  const { nodes, output } = truncate(block, "a.relu");
  assertEquals(nodes.map(({ name }) => name), ["a", "a.relu"]);
  assertEquals(output, "a.relu");
  assertEquals(truncate(block, "sum").nodes.map(({ name }) => name), ["a", "a.relu", "sum"]);
  assertThrows(() => truncate(block, "c"), GraphError, 'no node is named "c"');
});

Deno.test("shapeOf knows nodes and the input", () => {
  assertEquals(shapeOf(block, "b"), [8, 8, 6]);
  assertEquals(shapeOf(block, INPUT), [8, 8, 4]);
  assertThrows(() => shapeOf(block, "c"), GraphError, 'block: no node is named "c"');
});

Deno.test("a scalar has one element", () => {
  assertEquals(sizeOf([]), 1);
  assertEquals(sizeOf([3, 0]), 0);
});
