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
