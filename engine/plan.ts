/**
 * From a graph to what a kernel engine executes: a list of forward and backward
 * operations with batch norm, addition and ReLU fused, and a static memory plan.
 * What is fused, what is made anew where it is read, and what reads it, is
 * decided here alone; engines carry it out.
 *
 * Fusion. `normalise` computes y = relu(a * z + b + addend), each part optional.
 * Its gradient needs y (for ReLU's mask), z, and the gradient dy, which it masks
 * in place; the masked dy then is the addend's gradient too, without a copy.
 * Batch norm's sums are taken of what an operation has just written (`feeds`),
 * and a convolution's input gradient may mask what it writes (`masks`).
 *
 * Tensors without storage. The gradient dz that `normalise` passes to a
 * convolution is made inside the convolution's backward operation. An engine
 * that asks for `recompute` also makes y itself where a convolution reads it,
 * from z and the coefficients a and b, where that takes no other tensor.
 */
import {
  type BatchNormSpec,
  consumersOf,
  type ConvolutionSpec,
  type DenseSpec,
  type GlobalAveragePoolSpec,
  type Graph,
  type Inferred,
  INPUT,
  type MaxPoolSpec,
  type Node,
  nodeOf,
  type Shape,
  type ShortcutASpec,
  type SingleInput,
  sizeOf,
  unhandledKind,
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
  /**
   * Makes the tensor anew wherever it is read, since it has no storage: an activation by batch
   * norm (and ReLU) of this operation's input, a gradient as the input gradient of this one.
   */
  maker?: NormaliseOp | NormaliseBackward;
  /**
   * The first and the last operation that needs its storage: forward ones from 0, the loss,
   * backward ones, the reader of results. Undefined where it has none.
   */
  life?: { first: number; last: number };
}

/** What every forward operation has. */
interface Forward {
  readonly input: PlanTensor;
  readonly output: PlanTensor;
  /** Batch norms whose statistics are those of the output. */
  readonly feeds: readonly NormaliseOp[];
}

/** A convolution, or a dense layer as the 1x1 convolution that it is. */
export interface ConvolveOp extends Forward {
  readonly kind: "convolve";
  readonly node: (ConvolutionSpec | DenseSpec) & Inferred;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly bias: boolean;
}

/** y = relu(batchNorm(input) + addend). */
export interface NormaliseOp extends Forward {
  readonly kind: "normalise";
  readonly name: string;
  readonly batchNorm?: BatchNormSpec & Inferred;
  readonly addend?: PlanTensor;
  /** What tells where ReLU lets a gradient pass: nothing masks, the stored output, or one made anew. */
  readonly relu: "none" | "stored" | "recomputed";
}

/** Option A's shortcut, maximum and average pooling. */
export interface PoolOp extends Forward {
  readonly kind: "pool";
  readonly node: (ShortcutASpec | MaxPoolSpec | GlobalAveragePoolSpec) & Inferred;
}

export type ForwardOp = ConvolveOp | NormaliseOp | PoolOp;

/** Where a gradient goes: written, or added to what is there. */
export interface GradientTarget {
  readonly tensor: PlanTensor;
  readonly accumulate: boolean;
}

/** What the gradient of every operation has. */
interface Backward {
  readonly outputGradient: PlanTensor;
  /** The input is the network's: only probes ask for this gradient. */
  readonly onlyForProbes: boolean;
}

/** The gradients of a convolution or dense layer. */
export interface ConvolveBackward extends Backward {
  readonly kind: "convolve-gradient";
  readonly forward: ConvolveOp;
  readonly inputGradient: GradientTarget;
  /** The next operation's output gradient is what this one writes: it masks it and takes its sums. */
  readonly masks?: NormaliseBackward;
}

/** The gradient of batch norm, addition and ReLU; the addend's part of it is written first. */
export interface NormaliseBackward extends Backward {
  readonly kind: "normalise-gradient";
  readonly forward: NormaliseOp;
  /** Undefined where the masked output gradient itself is the input's. */
  readonly inputGradient?: GradientTarget;
  /** Undefined where the masked output gradient itself is the addend's. */
  readonly addendGradient?: GradientTarget;
  /** Its output gradient comes masked, and its sums are taken: see `masks`. */
  readonly masked: boolean;
}

/** The gradient of a shortcut or pooling. */
export interface PoolBackward extends Backward {
  readonly kind: "pool-gradient";
  readonly forward: PoolOp;
  readonly inputGradient: GradientTarget;
  /** What the gradient follows from beside the output's. */
  readonly reads: readonly PlanTensor[];
}

/** The gradient of one forward operation. */
export type BackwardOp = ConvolveBackward | NormaliseBackward | PoolBackward;

/** What an engine executes, in order. */
export interface Plan {
  readonly input: PlanTensor;
  /** Batch norms whose statistics are those of the input. */
  readonly feeds: readonly NormaliseOp[];
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

/** What an engine can do, by which its plan is made. */
export interface PlanOptions {
  /** With backward operations; without, storage is reused at once. */
  readonly training: boolean;
  /** Channels are rounded up to this many in storage. */
  readonly channelMultiple: number;
  /**
   * For an engine that makes tensors without storage wherever they are read, over the whole
   * batch: outputs of batch norm and ReLU that only convolutions read have none.
   */
  readonly recompute?: boolean;
  /** Whether a convolution's input gradient can mask what it writes; false by default. */
  readonly masks?: (op: ConvolveOp) => boolean;
}

/**
 * Plans a graph.
 *
 * @param graph The network.
 * @param options What the engine can do.
 */
export function planGraph(graph: Graph, options: PlanOptions): Plan {
  const { training, channelMultiple, recompute = false, masks = () => false } = options;
  const tensor = (name: string, shape: Shape): PlanTensor => {
    const channels = Math.ceil(shape[shape.length - 1] / channelMultiple) * channelMultiple;
    return { name, shape, offset: -1, size: sizeOf(shape.slice(0, -1)) * channels };
  };
  const activations = new Map([[INPUT, tensor(INPUT, graph.inputShape)]]);
  const forward: Building<ForwardOp>[] = [];
  for (const node of graph.nodes) {
    const op = forwardOp(graph, node, (name) => {
      const known = activations.get(name) ??
        tensor(name, nodeOf(graph, name)!.shape);
      activations.set(name, known);
      return known;
    });
    if (op) forward.push(op);
  }
  const input = activations.get(INPUT)!;
  const output = activations.get(graph.output)!;
  const fed = batchNormsByInput(forward);
  for (const op of forward) op.feeds = fed.get(op.output) ?? [];
  if (recompute) markRecomputed(forward, output);
  const gradients = new Map<PlanTensor, PlanTensor>();
  const backward: Building<BackwardOp>[] = [];
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
    markMadeGradients(backward, recompute);
    markMasks(backward, masks);
  }
  const storage = allocate(forward, backward, input, output, outputGradient);
  const inputGradient = gradients.get(input);
  const feeds = fed.get(input) ?? [];
  return { input, feeds, output, forward, backward, outputGradient, inputGradient, storage };
}

/** An operation while the plan is made. */
type Building<T> = T extends unknown ? { -readonly [K in keyof T]: T[K] } : never;

type TensorOf = (name: string) => PlanTensor;

/** The operation that computes a node; undefined where the node after it does. */
function forwardOp(graph: Graph, node: Node, tensorOf: TensorOf): Building<ForwardOp> | undefined {
  switch (node.kind) {
    case "convolution": {
      const { kernel, stride, padding, bias } = node;
      return { kind: "convolve", node, kernel, stride, padding, bias, ...around(node) };
    }
    case "dense": {
      const window = { kernel: 1, stride: 1, padding: 0, bias: true };
      return { kind: "convolve", node, ...window, ...around(node) };
    }
    case "shortcut-a":
    case "max-pool":
    case "global-average-pool":
      return { kind: "pool", node, ...around(node) };
    case "batch-norm":
    case "relu":
    case "add":
      return isFusedIntoNext(graph, node) ? undefined : normaliseOp(graph, node, tensorOf);
    default:
      return unhandledKind(node);
  }

  function around({ input, name }: SingleInput) {
    return { input: tensorOf(input), output: tensorOf(name), feeds: [] };
  }
}

/** The kinds of node that `normalise` computes, together or alone. */
type Normalised = Extract<Node, { kind: "batch-norm" | "relu" | "add" }>;

function normaliseOp(
  graph: Graph,
  last: Normalised,
  tensorOf: TensorOf,
): Building<NormaliseOp> {
  if (last.kind !== "relu") return computing(last, "none");
  const previous = nodeOf(graph, last.input);
  return previous && isFusedIntoNext(graph, previous)
    ? computing(previous, "stored")
    : op(last.input, "stored");

  function computing(
    node: Exclude<Normalised, { kind: "relu" }>,
    relu: NormaliseOp["relu"],
  ): Building<NormaliseOp> {
    if (node.kind === "batch-norm") return op(node.input, relu, node);
    const branch = fusedBranch(graph, node);
    if (!branch) return op(node.inputs[1], relu, undefined, node.inputs[0]);
    const other = node.inputs[branch.name === node.inputs[0] ? 1 : 0];
    return op(branch.input, relu, branch, other);
  }

  function op(
    input: string,
    relu: NormaliseOp["relu"],
    batchNorm?: BatchNormSpec & Inferred,
    addend?: string,
  ): Building<NormaliseOp> {
    return {
      ...{ kind: "normalise", name: last.name, relu, batchNorm },
      addend: addend === undefined ? undefined : tensorOf(addend),
      ...{ input: tensorOf(input), output: tensorOf(last.name), feeds: [] },
    };
  }
}

/** Whether a batch norm or an addition is computed by the node that follows it. */
function isFusedIntoNext(
  graph: Graph,
  node: Node,
): node is Extract<Node, { kind: "batch-norm" | "add" }> {
  if (node.kind !== "batch-norm" && node.kind !== "add") return false;
  const next = onlyConsumer(graph, node.name);
  return next?.kind === "relu" ||
    (node.kind === "batch-norm" && next?.kind === "add" && fusedBranch(graph, next) === node);
}

/** The input of an addition that is a batch norm of no other use: the first such. */
function fusedBranch(
  graph: Graph,
  sum: Extract<Node, { kind: "add" }>,
): Extract<Node, { kind: "batch-norm" }> | undefined {
  if (sum.inputs[0] === sum.inputs[1]) return undefined;
  for (const input of sum.inputs) {
    const node = nodeOf(graph, input);
    if (node?.kind === "batch-norm" && onlyConsumer(graph, input) === sum) return node;
  }
}

function onlyConsumer(graph: Graph, name: string): Node | undefined {
  if (graph.output === name) return undefined;
  const consumers = consumersOf(graph, name);
  return consumers.length === 1 ? consumers[0] : undefined;
}

function backwardOp(
  forward: ForwardOp,
  outputGradient: PlanTensor,
  gradients: Map<PlanTensor, PlanTensor>,
  create: (of: PlanTensor) => PlanTensor,
): Building<BackwardOp> {
  const target = (of: PlanTensor): GradientTarget => {
    const known = gradients.get(of);
    const tensor = known ?? create(of);
    gradients.set(of, tensor);
    return { tensor, accumulate: known !== undefined };
  };
  const onlyForProbes = forward.input.name === INPUT;
  switch (forward.kind) {
    case "convolve":
      return {
        ...{ kind: "convolve-gradient", forward, outputGradient, onlyForProbes },
        inputGradient: target(forward.input),
      };
    case "pool":
      return {
        ...{ kind: "pool-gradient", forward, outputGradient, onlyForProbes },
        inputGradient: target(forward.input),
        reads: readByGradient(forward),
      };
    case "normalise": {
      const { addend, batchNorm, input } = forward;
      // The masked output gradient may stand for one tensor's gradient only.
      let aliased = false;
      const aliasOrAdd = (of: PlanTensor): GradientTarget | undefined => {
        if (gradients.has(of) || aliased) return target(of);
        gradients.set(of, outputGradient);
        aliased = true;
      };
      // Where both are one tensor its gradient is neither made later nor the masked one, which both
      // parts of it are made of.
      const ofBoth = addend === input;
      const addendGradient = addend && (ofBoth ? target(addend) : aliasOrAdd(addend));
      return {
        ...{ kind: "normalise-gradient", forward, outputGradient, onlyForProbes, masked: false },
        inputGradient: batchNorm || ofBoth ? target(input) : aliasOrAdd(input),
        addendGradient,
      };
    }
  }
}

function readByGradient({ node, input, output }: PoolOp): readonly PlanTensor[] {
  switch (node.kind) {
    case "max-pool":
      return [input, output];
    case "shortcut-a":
    case "global-average-pool":
      return [];
    default:
      return unhandledKind(node);
  }
}

/** The batch norms that read each tensor. */
function batchNormsByInput(
  forward: readonly ForwardOp[],
): ReadonlyMap<PlanTensor, readonly NormaliseOp[]> {
  return Map.groupBy(
    forward.filter((op): op is NormaliseOp =>
      op.kind === "normalise" && op.batchNorm !== undefined
    ),
    ({ input }) => input,
  );
}

/** An activation that follows from one stored tensor alone, read by convolutions alone. */
function markRecomputed(forward: readonly Building<ForwardOp>[], output: PlanTensor): void {
  for (const op of forward) {
    if (op.kind !== "normalise" || !op.batchNorm || op.addend || op.output === output) continue;
    const isRecomputed = forward.every((reader) =>
      reader.kind === "convolve" && reader.node.kind === "convolution"
        ? true
        : reader.input !== op.output &&
          (reader.kind !== "normalise" || reader.addend !== op.output)
    );
    if (!isRecomputed) continue;
    op.output.maker = op;
    if (op.relu === "stored") op.relu = "recomputed";
  }
}

/**
 * A gradient from `normalise` to a convolution needs no storage if nothing
 * writes to the masked gradient that it is computed from in between; nor the
 * convolution itself, where it makes the gradient anew for each thing it reads.
 */
function markMadeGradients(backward: readonly BackwardOp[], recompute: boolean): void {
  backward.forEach((op, i) => {
    if (op.kind !== "normalise-gradient" || !op.forward.batchNorm) return;
    const { inputGradient, outputGradient } = op;
    if (!inputGradient || inputGradient.accumulate) return;
    const { tensor } = inputGradient;
    const uses = backward.flatMap((other, j) =>
      j !== i && (other.outputGradient === tensor || other.inputGradient?.tensor === tensor)
        ? [j]
        : []
    );
    const reader = backward[uses[0]];
    if (uses.length !== 1 || reader.kind !== "convolve-gradient") return;
    if (reader.outputGradient !== tensor) return; // it adds to the gradient of the network's input
    if (recompute && reader.inputGradient.tensor === outputGradient) return;
    const between = backward.slice(i + 1, uses[0]);
    const isOverwritten = between.some((other) =>
      other.inputGradient?.tensor === outputGradient ||
      (other.kind === "normalise-gradient" &&
        (other.addendGradient?.tensor === outputGradient ||
          // As the addend's gradient it is masked again.
          (other.outputGradient === outputGradient && other.forward.relu !== "none")))
    );
    if (!isOverwritten) tensor.maker = op;
  });
}

/** Lets convolutions mask what they write as the output gradient of the batch norm before them. */
function markMasks(
  backward: readonly Building<BackwardOp>[],
  canMask: (op: ConvolveOp) => boolean,
): void {
  backward.forEach((op, i) => {
    const next = backward[i + 1];
    if (op.kind !== "convolve-gradient" || next?.kind !== "normalise-gradient") return;
    if (!next.forward.batchNorm) return;
    if (op.onlyForProbes || op.inputGradient.tensor !== next.outputGradient) return;
    if (!canMask(op.forward)) return;
    op.masks = next;
    next.masked = true;
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
  const use = (tensor: PlanTensor | undefined, time: number): void => {
    if (!tensor) return;
    const { maker } = tensor;
    if (!maker) {
      stored.add(tensor);
      tensor.life = { first: tensor.life?.first ?? time, last: time };
    } else if (maker.kind === "normalise-gradient") {
      // What a gradient is made from must last until it is used.
      use(maker.outputGradient, time);
      use(maker.forward.input, time);
    } else use(maker.input, time);
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
    use(op.outputGradient, time);
    use(op.inputGradient?.tensor, time);
    switch (op.kind) {
      case "convolve-gradient":
        use(op.forward.input, time);
        break;
      case "normalise-gradient":
        use(op.addendGradient?.tensor, time);
        if (op.forward.batchNorm) use(op.forward.input, time);
        if (op.forward.relu !== "none") use(op.forward.output, time);
        break;
      case "pool-gradient":
        for (const tensor of op.reads) use(tensor, time);
        break;
    }
  });
  // A probe reads the output and the input's gradient after everything has run.
  const end = loss + 1 + backward.length;
  use(output, end);
  const last = backward.find((op) => op.onlyForProbes)?.inputGradient?.tensor;
  use(last, end);

  /** By their offsets. */
  const placed: PlanTensor[] = [];
  let storage = 0;
  const order = [...stored].sort((a, b) => b.size - a.size);
  for (const tensor of order) {
    const life = tensor.life!;
    const neighbours = placed
      .filter((other) => other.life!.first <= life.last && life.first <= other.life!.last);
    let offset = 0;
    for (const other of neighbours) {
      if (offset + tensor.size <= other.offset) break;
      offset = Math.max(offset, other.offset + other.size);
    }
    tensor.offset = offset;
    storage = Math.max(storage, offset + tensor.size);
    const next = placed.findIndex((other) => other.offset > offset);
    placed.splice(next < 0 ? placed.length : next, 0, tensor);
  }
  return storage;
}
