import { assert, assertEquals } from "@std/assert";
import { architecture, buildGraph, type Graph } from "../resnet/mod.ts";
import { type BackwardOp, type Plan, planGraph, type PlanTensor } from "./plan.ts";

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
  const { forward } = planGraph(block, true, 4);
  assertEquals(forward.map((op) => op.output.name), ["c1", "r1", "c2", "r2"]);
  const last = forward[3];
  assert(last.kind === "normalise" && last.relu);
  assertEquals([last.input.name, last.batchNorm?.name, last.addend?.name], ["c2", "b2", "r1"]);
});

Deno.test("the masked gradient of a sum is the shortcut's gradient, without a copy", () => {
  const { backward } = planGraph(block, true, 4);
  const [sum, c2] = backward;
  assertEquals(sum.addendGradient, undefined);
  assert(sum.inputGradient!.tensor.transient);
  // c2's input gradient is added to what came over the shortcut.
  assertEquals(c2.inputGradient, { tensor: sum.outputGradient, accumulate: true });
});

Deno.test("a batch norm that two nodes read is not fused away", () => {
  const graph = buildGraph("two readers", [4, 4, 8], [
    { kind: "batch-norm", name: "b", input: "input" },
    { kind: "relu", name: "r", input: "b" },
    { kind: "add", name: "sum", inputs: ["b", "r"] },
  ]);
  assertEquals(planGraph(graph, false, 4).forward.map((op) => op.output.name), ["b", "r", "sum"]);
});

for (const [name, shortcut] of [["resnet20", "A"], ["resnet20", "B"], ["plain20", "A"]] as const) {
  Deno.test(`no two tensors of ${name} ${shortcut} that are needed at once share storage`, () => {
    const graph = architecture(name, { shortcut });
    assertNoOverlap(planGraph(graph, true, 4));
    assertNoOverlap(planGraph(graph, false, 4));
    assertNoOverlap(planGraph(graph, true, 4, true));
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
  const gradientOfC = (recompute: boolean) => {
    const [sum, c] = planGraph(one, true, 4, recompute).backward;
    assertEquals(c.inputGradient!.tensor, sum.outputGradient);
    return c.outputGradient;
  };
  assert(gradientOfC(false).transient);
  assert(!gradientOfC(true).transient);
});

Deno.test("recomputed activations take no storage: those that convolutions alone read", () => {
  const transient = (graph: Graph) =>
    planGraph(graph, true, 4, true).forward.filter(({ output }) => output.transient)
      .map(({ output }) => output.name);
  // r1 is a shortcut too, r2 the output.
  assertEquals(transient(block), []);
  assertEquals(
    transient(architecture("resnet8")),
    ["layer1.0.relu1", "layer2.0.relu1", "layer3.0.relu1"],
  );
  const storage = (recompute: boolean) =>
    planGraph(architecture("resnet20"), true, 4, recompute).storage;
  assert(storage(true) < 0.8 * storage(false));
});

Deno.test("inference keeps few activations: its storage does not grow with depth", () => {
  const storage = (graph: Graph) => planGraph(graph, false, 4).storage;
  assertEquals(storage(architecture("resnet110")), storage(architecture("resnet20")));
  // Three images of 32 x 32 x 16: what is read, what is written and the shortcut.
  assertEquals(storage(architecture("resnet20")), 3 * 32 * 32 * 16);
});

Deno.test("every trainable layer of resnet20 gets a gradient, from the last to the first", () => {
  const graph = architecture("resnet20");
  const layers = planGraph(graph, true, 4).backward.map(({ forward }) => forward)
    .flatMap((op) => op.kind === "convolve" ? [op.node.name] : []);
  const expected = graph.nodes.filter(({ kind }) => kind === "convolution" || kind === "dense");
  assertEquals(layers, expected.map(({ name }) => name).reverse());
});

/** Replays a plan over storage in which each float remembers which tensor wrote it. */
function assertNoOverlap({ input, forward, backward, outputGradient, storage }: Plan): void {
  const owner = new Array<string>(storage);
  const write = (tensor: PlanTensor) => owner.fill(tensor.name, tensor.offset, end(tensor));
  const end = (tensor: PlanTensor) => tensor.offset + tensor.size;
  const maker = (tensor: PlanTensor) => forward.find(({ output }) => output === tensor)!;
  const read = (tensor: PlanTensor, by: string): void => {
    if (tensor.transient) return read(maker(tensor).input, by);
    const found = new Set(owner.slice(tensor.offset, end(tensor)));
    assertEquals([...found], [tensor.name], `${by} reads ${tensor.name}`);
  };
  write(input);
  for (const op of forward) {
    read(op.input, op.output.name);
    if (op.kind === "normalise" && op.addend) read(op.addend, op.output.name);
    if (!op.output.transient) write(op.output);
    // No operation works in place: what it reads is still there after it has written.
    read(op.input, op.output.name);
    if (op.kind === "normalise" && op.addend) read(op.addend, op.output.name);
  }
  if (outputGradient) write(outputGradient);
  const readGradient = (op: BackwardOp): void => {
    const { forward, outputGradient } = op;
    const by = `the gradient of ${forward.output.name}`;
    const producer = backward.find((other) => other.inputGradient?.tensor === outputGradient);
    if (outputGradient.transient) readGradient(producer!);
    else read(outputGradient, by);
    if (forward.kind === "convolve") read(forward.input, by);
    if (forward.kind === "normalise" && forward.batchNorm) read(forward.input, by);
  };
  for (const op of backward) {
    const { forward, inputGradient, addendGradient } = op;
    if (forward.kind === "normalise" && forward.relu) read(forward.output, forward.output.name);
    readGradient(op);
    for (const target of [inputGradient, addendGradient]) {
      if (!target || target.tensor.transient) continue;
      if (target.accumulate) read(target.tensor, `adding to it from ${forward.output.name}`);
      write(target.tensor);
    }
    readGradient(op);
  }
}
