import { assert, assertEquals } from "@std/assert";
import { architecture, buildGraph, type Graph } from "../resnet/mod.ts";
import {
  type BackwardOp,
  type Plan,
  planGraph,
  type PlanOptions,
  type PlanTensor,
} from "./plan.ts";

const TRAINING: PlanOptions = { training: true, channelMultiple: 4 };
const RECOMPUTING: PlanOptions = { ...TRAINING, recompute: true };
const INFERENCE: PlanOptions = { training: false, channelMultiple: 4 };

const block = buildGraph("block", [4, 4, 8], [
  {
    kind: "convolution",
    name: "c1",
    input: "input",
    filters: 8,
    kernel: 3,
    stride: 1,
    padding: 1,
    bias: false,
  },
  { kind: "batch-norm", name: "b1", input: "c1" },
  { kind: "relu", name: "r1", input: "b1" },
  {
    kind: "convolution",
    name: "c2",
    input: "r1",
    filters: 8,
    kernel: 3,
    stride: 1,
    padding: 1,
    bias: false,
  },
  { kind: "batch-norm", name: "b2", input: "c2" },
  { kind: "add", name: "sum", inputs: ["b2", "r1"] },
  { kind: "relu", name: "r2", input: "sum" },
]);

Deno.test("a plan fuses batch norm, addition and ReLU", () => {
  const { forward } = planGraph(block, TRAINING);
  assertEquals(forward.map((op) => op.output.name), ["c1", "r1", "c2", "r2"]);
  const last = forward[3];
  assert(last.kind === "normalise" && last.relu === "stored");
  assertEquals([last.input.name, last.batchNorm?.name, last.addend?.name], ["c2", "b2", "r1"]);
});

Deno.test("the masked gradient of a sum is the shortcut's gradient, without a copy", () => {
  const { backward } = planGraph(block, TRAINING);
  const [sum, c2] = backward;
  assert(sum.kind === "normalise-gradient");
  assertEquals(sum.addendGradient, undefined);
  assertEquals(sum.inputGradient!.tensor.maker, sum);
  // c2's input gradient is added to what came over the shortcut.
  assertEquals(c2.inputGradient, { tensor: sum.outputGradient, accumulate: true });
});

Deno.test("a batch norm that two nodes read is not fused away", () => {
  const graph = buildGraph("two readers", [4, 4, 8], [
    { kind: "batch-norm", name: "b", input: "input" },
    { kind: "relu", name: "r", input: "b" },
    { kind: "add", name: "sum", inputs: ["b", "r"] },
  ]);
  assertEquals(planGraph(graph, INFERENCE).forward.map((op) => op.output.name), ["b", "r", "sum"]);
});

for (const [name, shortcut] of [["resnet20", "A"], ["resnet20", "B"], ["plain20", "A"]] as const) {
  Deno.test(`no two tensors of ${name} ${shortcut} that are needed at once share storage`, () => {
    const graph = architecture(name, { shortcut });
    assertNoOverlap(planGraph(graph, TRAINING));
    assertNoOverlap(planGraph(graph, INFERENCE));
    assertNoOverlap(planGraph(graph, RECOMPUTING));
  });
}

Deno.test("where gradients are recomputed no convolution writes over what its own is made of", () => {
  const one = buildGraph("one convolution", [4, 4, 8], [
    {
      kind: "convolution",
      name: "c",
      input: "input",
      filters: 8,
      kernel: 3,
      stride: 1,
      padding: 1,
      bias: false,
    },
    { kind: "batch-norm", name: "b", input: "c" },
    { kind: "add", name: "sum", inputs: ["b", "input"] },
  ]);
  const makerOfC = (options: PlanOptions) => {
    const [sum, c] = planGraph(one, options).backward;
    assertEquals(c.inputGradient!.tensor, sum.outputGradient);
    return c.outputGradient.maker;
  };
  assert(makerOfC(TRAINING));
  assert(!makerOfC(RECOMPUTING));
});

Deno.test("recomputed activations take no storage: those that convolutions alone read", () => {
  const recomputed = (graph: Graph) =>
    planGraph(graph, RECOMPUTING).forward.filter(({ output }) => output.maker)
      .map(({ output }) => output.name);
  // r1 is a shortcut too, r2 the output.
  assertEquals(recomputed(block), []);
  assertEquals(
    recomputed(architecture("resnet8")),
    ["layer1.0.relu1", "layer2.0.relu1", "layer3.0.relu1"],
  );
  const storage = (options: PlanOptions) => planGraph(architecture("resnet20"), options).storage;
  assert(storage(RECOMPUTING) < 0.8 * storage(TRAINING));
});

Deno.test("inference keeps few activations: its storage does not grow with depth", () => {
  const storage = (graph: Graph) => planGraph(graph, INFERENCE).storage;
  assertEquals(storage(architecture("resnet110")), storage(architecture("resnet20")));
  // Three images of 32 x 32 x 16: what is read, what is written and the shortcut.
  assertEquals(storage(architecture("resnet20")), 3 * 32 * 32 * 16);
});

Deno.test("every trainable layer of resnet20 gets a gradient, from the last to the first", () => {
  const graph = architecture("resnet20");
  const layers = planGraph(graph, TRAINING).backward.map(({ forward }) => forward)
    .flatMap((op) => op.kind === "convolve" ? [op.node.name] : []);
  const expected = graph.nodes.filter(({ kind }) => kind === "convolution" || kind === "dense");
  assertEquals(layers, expected.map(({ name }) => name).reverse());
});

Deno.test("a plan says whose statistics an operation's output has", () => {
  const graph = buildGraph("three readers", [4, 4, 8], [
    { kind: "batch-norm", name: "b0", input: "input" },
    { kind: "relu", name: "r", input: "b0" },
    { kind: "batch-norm", name: "b1", input: "r" },
    { kind: "batch-norm", name: "b2", input: "r" },
    { kind: "add", name: "sum", inputs: ["b1", "b2"] },
  ]);
  const { feeds, forward } = planGraph(graph, TRAINING);
  const names = (layers: typeof feeds) => layers.map(({ batchNorm }) => batchNorm?.name);
  assertEquals(names(feeds), ["b0"]);
  assertEquals(
    forward.map((op) => [op.output.name, names(op.feeds)]),
    // The sum is computed with the first of its batch norms, the other one apart.
    [["r", ["b2", "b1"]], ["b2", []], ["sum", []]],
  );
});

Deno.test("a convolution masks the gradient of the batch norm before it, where an engine can", () => {
  const masked = (options: PlanOptions) =>
    planGraph(block, options).backward.flatMap((op) =>
      op.kind === "convolve-gradient" && op.masks
        ? [[op.forward.node.name, op.masks.forward.name]]
        : []
    );
  assertEquals(masked(TRAINING), []);
  const all = { ...TRAINING, masks: () => true };
  // c1 passes its gradient to the network's input, which nothing masks.
  assertEquals(masked(all), [["c2", "r1"]]);
  assertEquals(masked({ ...all, masks: ({ node }) => node.name !== "c2" }), []);
  const flags = planGraph(block, all).backward.flatMap((op) =>
    op.kind === "normalise-gradient" ? [[op.forward.name, op.masked]] : []
  );
  assertEquals(flags, [["r2", false], ["r1", true]]);
});

/** Replays a plan over storage in which each float remembers which tensor wrote it. */
function assertNoOverlap({ input, forward, backward, outputGradient, storage }: Plan): void {
  const owner = new Array<string>(storage);
  const write = (tensor: PlanTensor) => owner.fill(tensor.name, tensor.offset, end(tensor));
  const end = (tensor: PlanTensor) => tensor.offset + tensor.size;
  const read = (tensor: PlanTensor, by: string): void => {
    if (tensor.maker?.kind === "normalise") return read(tensor.maker.input, by);
    const found = new Set(owner.slice(tensor.offset, end(tensor)));
    assertEquals([...found], [tensor.name], `${by} reads ${tensor.name}`);
  };
  write(input);
  for (const op of forward) {
    read(op.input, op.output.name);
    if (op.kind === "normalise" && op.addend) read(op.addend, op.output.name);
    if (!op.output.maker) write(op.output);
    // No operation works in place: what it reads is still there after it has written.
    read(op.input, op.output.name);
    if (op.kind === "normalise" && op.addend) read(op.addend, op.output.name);
  }
  if (outputGradient) write(outputGradient);
  const readGradient = (op: BackwardOp): void => {
    const { forward, outputGradient } = op;
    const by = `the gradient of ${forward.output.name}`;
    if (outputGradient.maker?.kind === "normalise-gradient") readGradient(outputGradient.maker);
    else read(outputGradient, by);
    if (forward.kind === "convolve") read(forward.input, by);
    if (forward.kind === "normalise" && forward.batchNorm) read(forward.input, by);
  };
  for (const op of backward) {
    const { forward, inputGradient } = op;
    const addendGradient = op.kind === "normalise-gradient" ? op.addendGradient : undefined;
    if (forward.kind === "normalise" && forward.relu !== "none") {
      read(forward.output, forward.output.name);
    }
    readGradient(op);
    for (const target of [inputGradient, addendGradient]) {
      if (!target || target.tensor.maker) continue;
      if (target.accumulate) read(target.tensor, `adding to it from ${forward.output.name}`);
      write(target.tensor);
    }
    readGradient(op);
  }
}
