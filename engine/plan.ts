/**
 * From a graph to what a kernel engine executes: a list of forward and backward
 * operations with batch norm, addition and ReLU fused, and a static memory plan.
 *
 * Fusion. `normalise` computes y = relu(a * z + b + addend), each part optional.
 * Its gradient needs y (for ReLU's mask), z, and the gradient dy, which it masks
 * in place; the masked dy then is the addend's gradient too, without a copy.
 * The gradient dz that it passes to a convolution is `transient`: an engine may
 * produce it inside the convolution's backward operation, image by image. An
 * engine that asks for `recompute` also makes y itself where a convolution reads
 * it, from z and the coefficients a and b, where that takes no other tensor.
 */
import {
  type BatchNormSpec,
  type ConvolutionSpec,
  type DenseSpec,
  type GlobalAveragePoolSpec,
  type Graph,
  type Inferred,
  INPUT,
  inputsOf,
  type MaxPoolSpec,
  type Node,
  type Shape,
  shapeOf,
  type ShortcutASpec,
  sizeOf,
} from "../resnet/mod.ts";

/** An activation or gradient of one image, and where it lives. */
export interface PlanTensor {
  readonly name: string;
  readonly shape: Shape;
  /**
   * Position in floats within the storage of one image. An engine that runs image by image
   * keeps each image's storage apart; one that runs operation by operation may multiply
   * positions and sizes by the batch.
   */
  offset: number;
  /** Floats of storage for one image, channels rounded up. */
  readonly size: number;
  /** Has no storage: made anew by each operation that reads it. */
  transient: boolean;
  /**
   * The first and the last operation that needs its storage: forward ones from 0, the loss,
   * backward ones, the reader of results. Undefined where it has none.
   */
  life?: { first: number; last: number };
}

/** A convolution, or a dense layer as the 1x1 convolution that it is. */
export interface ConvolveOp {
  readonly kind: "convolve";
  readonly node: (ConvolutionSpec | DenseSpec) & Inferred;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly bias: boolean;
  readonly input: PlanTensor;
  readonly output: PlanTensor;
}

/** y = relu(batchNorm(input) + addend). */
export interface NormaliseOp {
  readonly kind: "normalise";
  readonly name: string;
  readonly batchNorm?: BatchNormSpec & Inferred;
  readonly addend?: PlanTensor;
  readonly relu: boolean;
  readonly input: PlanTensor;
  readonly output: PlanTensor;
}

/** Option A's shortcut, maximum and average pooling. */
export interface PoolOp {
  readonly kind: "pool";
  readonly node: (ShortcutASpec | MaxPoolSpec | GlobalAveragePoolSpec) & Inferred;
  readonly input: PlanTensor;
  readonly output: PlanTensor;
}

export type ForwardOp = ConvolveOp | NormaliseOp | PoolOp;

/** Where a gradient goes: written, or added to what is there. */
export interface GradientTarget {
  readonly tensor: PlanTensor;
  readonly accumulate: boolean;
}

/** The gradient of one forward operation. */
export interface BackwardOp {
  readonly forward: ForwardOp;
  readonly outputGradient: PlanTensor;
  /** Undefined where the masked output gradient itself is the input's. */
  readonly inputGradient?: GradientTarget;
  /** The input is the network's: only probes ask for this gradient. */
  readonly onlyForProbes: boolean;
  /** Undefined where the masked output gradient itself is the addend's. */
  readonly addendGradient?: GradientTarget;
}

/** What an engine executes, in order. */
export interface Plan {
  readonly input: PlanTensor;
  readonly output: PlanTensor;
  readonly forward: readonly ForwardOp[];
  /** Empty for a plan without training. */
  readonly backward: readonly BackwardOp[];
  /** The output's gradient: where the loss or a probe writes. */
  readonly outputGradient?: PlanTensor;
  readonly inputGradient?: PlanTensor;
  /** Floats of storage for one image. */
  readonly storage: number;
}

/**
 * Plans a graph.
 *
 * @param graph The network.
 * @param training With backward operations; without, storage is reused at once.
 * @param channelMultiple Channels are rounded up to this many in storage.
 * @param recompute For an engine that makes transient tensors wherever they are read, over the
 *   whole batch: outputs of batch norm and ReLU that only convolutions read are transient too.
 */
export function planGraph(
  graph: Graph,
  training: boolean,
  channelMultiple: number,
  recompute = false,
): Plan {
  const tensor = (name: string, shape: Shape): PlanTensor => {
    const channels = Math.ceil(shape[shape.length - 1] / channelMultiple) * channelMultiple;
    const size = sizeOf(shape.slice(0, -1)) * channels;
    return { name, shape, offset: -1, size, transient: false };
  };
  const activations = new Map([[INPUT, tensor(INPUT, graph.inputShape)]]);
  const forward: ForwardOp[] = [];
  for (const node of graph.nodes) {
    const op = forwardOp(graph, node, (name) => {
      const known = activations.get(name) ?? tensor(name, shapeOf(graph, name));
      activations.set(name, known);
      return known;
    });
    if (op) forward.push(op);
  }
  const input = activations.get(INPUT)!;
  const output = activations.get(graph.output)!;
  if (recompute) markRecomputed(forward, output);
  const gradients = new Map<PlanTensor, PlanTensor>();
  const backward: BackwardOp[] = [];
  let outputGradient: PlanTensor | undefined;
  if (training) {
    outputGradient = tensor(`d ${output.name}`, output.shape);
    gradients.set(output, outputGradient);
    for (const op of forward.toReversed()) {
      const gradient = gradients.get(op.output);
      // A node that the output does not depend on has no gradient.
      if (gradient) {
        backward.push(
          backwardOp(op, gradient, gradients, (of) => tensor(`d ${of.name}`, of.shape)),
        );
      }
    }
    markTransients(backward, recompute);
  }
  const storage = allocate(forward, backward, input, output, outputGradient);
  const inputGradient = gradients.get(input);
  return { input, output, forward, backward, outputGradient, inputGradient, storage };
}

type TensorOf = (name: string) => PlanTensor;

function forwardOp(graph: Graph, node: Node, tensorOf: TensorOf): ForwardOp | undefined {
  switch (node.kind) {
    case "convolution":
    case "dense": {
      const [kernel, stride, padding, bias] = node.kind === "dense"
        ? [1, 1, 0, true]
        : [node.kernel, node.stride, node.padding, node.bias];
      const input = tensorOf(node.input);
      const output = tensorOf(node.name);
      return { kind: "convolve", node, kernel, stride, padding, bias, input, output };
    }
    case "shortcut-a":
    case "max-pool":
    case "global-average-pool":
      return { kind: "pool", node, input: tensorOf(node.input), output: tensorOf(node.name) };
    default:
      return isFusedIntoNext(graph, node) ? undefined : normaliseOp(graph, node, tensorOf);
  }
}

function normaliseOp(graph: Graph, last: Node, tensorOf: TensorOf): NormaliseOp {
  const nodeOf = (name: string) => graph.nodes.find((node) => node.name === name);
  let node = last;
  const relu = last.kind === "relu";
  if (relu) {
    const previous = nodeOf(last.input);
    if (!previous || !isFusedIntoNext(graph, previous)) {
      return op(tensorOf(last.input));
    }
    node = previous;
  }
  if (node.kind === "batch-norm") return op(tensorOf(node.input), node);
  const sum = node as Extract<Node, { kind: "add" }>;
  const branch = fusedBranch(graph, sum);
  const addend = tensorOf(sum.inputs[branch === sum.inputs[0] ? 1 : 0]);
  const batchNorm = branch === undefined ? undefined : nodeOf(branch);
  if (batchNorm?.kind !== "batch-norm") return op(tensorOf(sum.inputs[1]), undefined, addend);
  return op(tensorOf(batchNorm.input), batchNorm, addend);

  function op(
    input: PlanTensor,
    batchNorm?: BatchNormSpec & Inferred,
    addend?: PlanTensor,
  ): NormaliseOp {
    const output = tensorOf(last.name);
    return { kind: "normalise", name: last.name, batchNorm, addend, relu, input, output };
  }
}

/** Whether a batch norm or an addition is computed by the node that follows it. */
function isFusedIntoNext(graph: Graph, node: Node): boolean {
  if (node.kind !== "batch-norm" && node.kind !== "add") return false;
  const next = onlyConsumer(graph, node.name);
  return next?.kind === "relu" ||
    (node.kind === "batch-norm" && next?.kind === "add" && fusedBranch(graph, next) === node.name);
}

/** The input of an addition that is a batch norm of no other use: the first such. */
function fusedBranch(graph: Graph, sum: Extract<Node, { kind: "add" }>): string | undefined {
  if (sum.inputs[0] === sum.inputs[1]) return undefined;
  return sum.inputs.find((input) =>
    graph.nodes.find((node) => node.name === input)?.kind === "batch-norm" &&
    onlyConsumer(graph, input) === sum
  );
}

function onlyConsumer(graph: Graph, name: string): Node | undefined {
  if (graph.output === name) return undefined;
  const consumers = graph.nodes.filter((node) => inputsOf(node).includes(name));
  return consumers.length === 1 ? consumers[0] : undefined;
}

function backwardOp(
  forward: ForwardOp,
  outputGradient: PlanTensor,
  gradients: Map<PlanTensor, PlanTensor>,
  create: (of: PlanTensor) => PlanTensor,
): BackwardOp {
  const target = (of: PlanTensor): GradientTarget => {
    const known = gradients.get(of);
    const tensor = known ?? create(of);
    gradients.set(of, tensor);
    return { tensor, accumulate: known !== undefined };
  };
  const onlyForProbes = forward.input.name === INPUT;
  if (forward.kind !== "normalise") {
    return { forward, outputGradient, inputGradient: target(forward.input), onlyForProbes };
  }
  const { addend, batchNorm, input } = forward;
  // The masked output gradient may stand for one tensor's gradient only.
  let aliased = false;
  const aliasOrAdd = (of: PlanTensor): GradientTarget | undefined => {
    if (gradients.has(of) || aliased) return target(of);
    gradients.set(of, outputGradient);
    aliased = true;
  };
  const inputGradient = batchNorm ? target(input) : aliasOrAdd(input);
  const addendGradient = addend && aliasOrAdd(addend);
  return { forward, outputGradient, inputGradient, onlyForProbes, addendGradient };
}

/** An activation that follows from one stored tensor alone, read by convolutions alone. */
function markRecomputed(forward: readonly ForwardOp[], output: PlanTensor): void {
  for (const op of forward) {
    if (op.kind !== "normalise" || !op.batchNorm || op.addend || op.output === output) continue;
    op.output.transient = forward.every((reader) =>
      reader.kind === "convolve" && reader.node.kind === "convolution"
        ? true
        : reader.input !== op.output &&
          (reader.kind !== "normalise" || reader.addend !== op.output)
    );
  }
}

/**
 * A gradient from `normalise` to a convolution needs no storage if nothing
 * writes to the masked gradient that it is computed from in between; nor the
 * convolution itself, where it makes the gradient anew for each thing it reads.
 */
function markTransients(backward: readonly BackwardOp[], recompute: boolean): void {
  backward.forEach((op, i) => {
    const { inputGradient, forward, outputGradient } = op;
    if (forward.kind !== "normalise" || !forward.batchNorm || !inputGradient) return;
    if (inputGradient.accumulate) return;
    const { tensor } = inputGradient;
    const uses = backward.flatMap((other, j) =>
      j !== i && (other.outputGradient === tensor || other.inputGradient?.tensor === tensor)
        ? [j]
        : []
    );
    const reader = backward[uses[0]];
    if (uses.length !== 1 || reader.forward.kind !== "convolve") return;
    if (recompute && reader.inputGradient?.tensor === outputGradient) return;
    const between = backward.slice(i + 1, uses[0]);
    tensor.transient = !between.some((other) =>
      other.inputGradient?.tensor === outputGradient ||
      other.addendGradient?.tensor === outputGradient
    );
  });
}

/** First fit by falling size over the operations during which each tensor is needed. */
function allocate(
  forward: readonly ForwardOp[],
  backward: readonly BackwardOp[],
  input: PlanTensor,
  output: PlanTensor,
  outputGradient: PlanTensor | undefined,
): number {
  const stored = new Set<PlanTensor>();
  const madeFrom = new Map(
    forward.map((op) => [op.output, op.output.transient ? op.input : undefined]),
  );
  const use = (tensor: PlanTensor | undefined, time: number): void => {
    if (!tensor) return;
    if (tensor.transient) return use(madeFrom.get(tensor), time);
    stored.add(tensor);
    tensor.life = { first: tensor.life?.first ?? time, last: time };
  };
  use(input, 0);
  forward.forEach((op, i) => {
    use(op.input, i);
    use(op.kind === "normalise" ? op.addend : undefined, i);
    use(op.output, i);
  });
  const loss = forward.length;
  use(output, loss);
  use(outputGradient, loss);
  backward.forEach((op, i) => {
    const time = loss + 1 + i;
    const { forward } = op;
    const producer = backward.find((other) =>
      other.inputGradient?.tensor === op.outputGradient && op.outputGradient.transient
    );
    // What a transient gradient is computed from must last until it is used.
    if (producer) {
      use(producer.outputGradient, time);
      use(producer.forward.input, time);
    }
    use(op.outputGradient, time);
    use(op.inputGradient?.tensor, time);
    use(op.addendGradient?.tensor, time);
    if (forward.kind === "convolve") use(forward.input, time);
    if (forward.kind === "normalise" && forward.batchNorm) use(forward.input, time);
    if (forward.kind === "normalise" && forward.relu) use(forward.output, time);
    if (forward.kind === "pool" && forward.node.kind === "max-pool") {
      use(forward.input, time);
      use(forward.output, time);
    }
  });
  // A probe reads the output and the input's gradient after everything has run.
  const end = loss + 1 + backward.length;
  use(output, end);
  const last = backward.find((op) => op.onlyForProbes)?.inputGradient?.tensor;
  use(last, end);

  const placed: PlanTensor[] = [];
  let storage = 0;
  const order = [...stored].sort((a, b) => b.size - a.size);
  for (const tensor of order) {
    const life = tensor.life!;
    const neighbours = placed
      .filter((other) => other.life!.first <= life.last && life.first <= other.life!.last)
      .sort((a, b) => a.offset - b.offset);
    let offset = 0;
    for (const other of neighbours) {
      if (offset + tensor.size <= other.offset) break;
      offset = Math.max(offset, other.offset + other.size);
    }
    tensor.offset = offset;
    storage = Math.max(storage, offset + tensor.size);
    placed.push(tensor);
  }
  return storage;
}
