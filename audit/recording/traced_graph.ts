/**
 * From the operations that a recorder saw in one pass to our graph, so that
 * every rule on architectures decides.
 *
 * Frameworks write one node of ours as several operations: option A's shortcut
 * as slices and a pad or a concatenation with zeros, global pooling as a mean.
 * What no node of ours expresses stays in the graph under its own kind, as long
 * as it has one input and keeps the shape: the rules name it.
 */
import type { GraphLine, NetworkLine, RecordedNode } from "../../log/mod.ts";
import {
  buildGraph,
  type Graph,
  GraphError,
  type Inferred,
  INPUT,
  type Node,
  type NodeSpec,
  type Shape,
  type Tensor,
  type Weights,
} from "../../resnet/mod.ts";
import { nameByPlace } from "../../weights/mod.ts";

/** What came of a trace. */
export interface TracedGraph {
  /** The network; its nodes have the names of its owner's modules. Undefined where it has no form of ours. */
  readonly graph?: Graph;
  /** The recorded name of each of the graph's arrays. */
  readonly arrays: ReadonlyMap<string, string>;
  /** Operations that no graph of ours can hold. */
  readonly problems: readonly string[];
  /** What is done to the images before the first convolution: kinds of operations, each once. */
  readonly onImages: readonly string[];
  /** What a reader should know. */
  readonly notes: readonly string[];
}

/** What is known of a value: the node that gives it, and what is still to be done to it. */
interface Value {
  readonly kind: "activation";
  /** Its node's name, or {@linkcode INPUT}. */
  readonly node: string;
  /** [H, W, C] or [C], as the operation gave it. */
  readonly shape: Shape;
  /** Every so many pixels are taken, and zero channels stand around them: option A, not yet a node. */
  readonly pick?: { readonly rows: number; readonly columns: number };
  readonly zeros?: { readonly before: number; readonly after: number };
  /** Pixels of zeros on each side: the padding of the convolution that takes it. */
  readonly margin?: number;
}

/** Whether what is drawn is for each number or channel of a map, not one for a whole branch. */
const isDropped = (map: Shape, drawn: Shape): boolean =>
  size(drawn) === size(map) || (size(drawn) === map.at(-1) && drawn.at(-1) === map.at(-1));

/** A tensor of zeros, or of another constant. */
interface Constant {
  readonly kind: "constant";
  readonly shape: Shape;
  /** Drawn at random, as dropout does: for each number of a map, or for each channel. */
  readonly drawn?: true;
}

type Known = Value | Constant;

/** An operation that can't be expressed. */
class Inexpressible extends Error {}

const FOREIGN_KEEPS_SHAPE = new Set([
  "layer-norm",
  "group-norm",
  "activation",
  "dropout",
  "softmax",
]);
const PASSES_ON = new Set(["cast", "copy", "permute", "reshape"]);
/** Before the first convolution: what changes images, and is no layer. */
const ON_IMAGES = new Set([
  ...["add", "subtract", "multiply", "divide", "mean", "slice", "pad", "concatenate", "other"],
]);

/**
 * The graph of a trace.
 *
 * @param line The operations, in order.
 * @param network The network that they are of.
 */
export function tracedGraph(line: GraphLine, network: NetworkLine): TracedGraph {
  return new Tracer(line, network).graph();
}

/**
 * A graph's arrays from a file under the recorded names.
 *
 * @returns Undefined where one is missing or has another shape.
 */
export function weightsUnder(
  { graph, arrays }: TracedGraph,
  floats: (name: string) => Tensor | undefined,
): Weights | undefined {
  const weights = new Map<string, Tensor>();
  for (const { name, shape } of graph?.nodes.flatMap(({ parameters }) => parameters) ?? []) {
    const recorded = arrays.get(name);
    const tensor = recorded === undefined ? undefined : floats(recorded);
    if (tensor === undefined || tensor.shape.join() !== shape.join()) return undefined;
    weights.set(name, tensor);
  }
  return weights;
}

class Tracer {
  readonly #line: GraphLine;
  readonly #network: NetworkLine;
  readonly #values = new Map<number, Known>();
  readonly #nodes: Node[] = [];
  readonly #shapes = new Map<string, Shape>();
  readonly #depths = new Map<string, number>([[INPUT, 0]]);
  readonly #arrays = new Map<string, string>();
  readonly #onImages = new Map<string, string>();
  #started = false;

  constructor(line: GraphLine, network: NetworkLine) {
    this.#line = line;
    this.#network = network;
  }

  graph(): TracedGraph {
    const none = { arrays: this.#arrays, onImages: [], notes: [] };
    if (this.#line.cut) {
      return { ...none, problems: ["it has more operations than were recorded"] };
    }
    const [, channels, height, width] = this.#network.input.shape;
    const inputShape = [height, width, channels];
    if (this.#network.input.shape.length !== 4) {
      return { ...none, problems: ["it takes no batch of images"] };
    }
    this.#shapes.set(INPUT, inputShape);
    for (const value of this.#line.inputs) {
      this.#values.set(value, { kind: "activation", node: INPUT, shape: inputShape });
    }
    try {
      for (const node of this.#line.nodes) this.#take(node);
      const outputs = this.#line.outputs.map((value) => this.#values.get(value))
        .filter((value) => value?.kind === "activation");
      // Beside features, which may come first, the scores are those of a layer.
      const layers = this.#nodes.filter(({ kind }) => kind === "dense").map(({ name }) => name);
      const last = outputs.find(({ node }) => layers.includes(node)) ?? outputs[0];
      if (last === undefined) throw new Inexpressible("its output is not known");
      const output = this.#settled(last).node;
      const needed = this.#upTo(output);
      const graph = { name: "", inputShape, nodes: needed, output };
      const problems = this.#shared(needed);
      return { ...this.#seen(), graph: { ...graph, name: nameOf(graph) }, problems };
    } catch (error) {
      if (!(error instanceof Inexpressible || error instanceof GraphError)) throw error;
      return { ...this.#seen(), problems: [error.message] };
    }
  }

  /** Layers that have the kernel of another: a block that was made once and is used again. */
  #shared(nodes: readonly Node[]): string[] {
    const uses = Map.groupBy(
      nodes.filter(({ kind }) => kind === "convolution"),
      ({ name }) => this.#arrays.get(`${name}.weight`),
    );
    const shared = [...uses].filter(([, of]) => of.length > 1).map(([name]) => name);
    return shared.length === 0 ? [] : [
      `${shared.slice(0, 3).join(", ")}${shared.length > 3 ? `, … (${shared.length})` : ""} ${
        shared.length > 1 ? "are kernels" : "is the kernel"
      } of several layers each: a block that is repeated ([block] * n) is one and the same`,
    ];
  }

  /** What is known without a graph too. */
  #seen(): Pick<TracedGraph, "arrays" | "onImages" | "notes"> {
    const where = [...this.#onImages].map(([kind, where]) => `${kind}${where}`);
    return {
      arrays: this.#arrays,
      onImages: [...this.#onImages.keys()],
      notes: where.length === 0 ? [] : [
        `The network changes its images itself before its first convolution (${
          where.join(", ")
        }): what entered it is not what that gets.`,
      ],
    };
  }

  /** An operation on images before the first convolution. */
  #onImage({ kind, op, module }: RecordedNode): void {
    const name = kind === "other" || kind === "permute" ? op.split(".")[1] ?? op : kind;
    if (!this.#onImages.has(name)) this.#onImages.set(name, module ? ` in ${module}` : "");
  }

  /** The nodes that the output needs. */
  #upTo(output: string): Node[] {
    const needed = new Set([output]);
    for (const node of this.#nodes.toReversed()) {
      if (!needed.has(node.name)) continue;
      for (const input of node.kind === "add" ? node.inputs : [node.input]) needed.add(input);
    }
    return this.#nodes.filter(({ name }) => needed.has(name));
  }

  #take(node: RecordedNode): void {
    const inputs = valuesIn(node.arguments).map((value) => this.#values.get(value));
    const known = inputs.filter((value) => value !== undefined);
    const [output] = node.outputs;
    if (output === undefined) return;
    const shape = shapeOf(output.shape);
    // What does not depend on the image: zeros of a map's shape neither.
    if (known.every(({ kind }) => kind === "constant") || isZeros(node)) {
      const drawn = /\bbernoulli_?\b/.test(node.op) ||
        known.some((value) => value.kind === "constant" && value.drawn);
      this.#values.set(output.value, { kind: "constant", shape, ...(drawn ? { drawn } : {}) });
      return;
    }
    const result = this.#value(node, known, shape);
    for (const { value } of node.outputs.slice(1)) this.#values.delete(value);
    this.#values.set(output.value, result);
  }

  #value(node: RecordedNode, inputs: readonly Known[], shape: Shape): Value {
    const activations = inputs.filter((value): value is Value => value.kind === "activation");
    const [input] = activations;
    const where = node.module ? ` in ${node.module}` : "";
    if (!this.#started && activations.length > 0 && ON_IMAGES.has(node.kind)) {
      // Of an image and what was drawn or measured of it, the image.
      const { margin, ...image } = activations.toSorted((a, b) => size(b.shape) - size(a.shape))[0];
      const padded = node.kind === "pad" && margin === undefined
        ? withMargin(node, image, shape)
        : undefined;
      if (padded !== undefined) return padded;
      if (margin !== undefined) this.#onImages.set("pad", where);
      this.#onImage(node);
      return { ...image, shape };
    }
    // Only a convolution takes what is padded on its sides.
    if (input?.margin !== undefined && ["slice", "pad", "concatenate"].includes(node.kind)) {
      this.#settled(input);
    }
    switch (node.kind) {
      case "convolution":
        return this.#convolution(node, input);
      case "batch-norm":
        return this.#batchNorm(node, this.#settled(input));
      case "relu":
        return this.#add(node, "relu", { kind: "relu", input: this.#settled(input).node });
      case "add":
        if (activations.length === 2) return this.#sum(node, activations, shape);
        break;
      case "max-pool": {
        const [kernel, stride, padding] = windowOf(node.arguments);
        if (kernel === 1 && padding === 0) return everyPixel(input, stride, shape);
        const spec = { kind: "max-pool", input: this.#settled(input).node } as const;
        return this.#checked(
          this.#add(node, "maxpool", { ...spec, kernel, stride, padding }),
          shape,
          node,
        );
      }
      case "average-pool":
      case "mean":
        if (/\bavg_pool2d\b/.test(node.op)) {
          const [kernel, stride, padding] = windowOf(node.arguments);
          if (kernel === 1 && padding === 0) return everyPixel(input, stride, shape);
        }
        return this.#pool(node, this.#settled(input), shape);
      case "dense":
        return this.#dense(node, this.#settled(input), shape);
      case "slice":
        return sliced(node, input, shape);
      case "pad":
        return withMargin(node, input, shape) ?? padded(node, input, shape);
      case "concatenate":
        return concatenated(node, inputs, shape);
      case "log-softmax":
        // A loss on log-probabilities is the cross entropy of what is below.
        return { ...input, shape };
    }
    if (PASSES_ON.has(node.kind) || isLayoutOfOnePixel(node, input, shape)) {
      return this.#passedOn(node, input, shape);
    }
    if (activations.length === 1 && FOREIGN_KEEPS_SHAPE.has(node.kind)) {
      return this.#foreign(node, node.kind, this.#settled(input));
    }
    const drawn = inputs.find((value) => value.kind === "constant" && value.drawn);
    if (node.kind === "multiply" && drawn && isDropped(shape, drawn.shape)) {
      return this.#foreign(node, "dropout", this.#settled(input));
    }
    // A product with something that depends on the image, as in squeeze and excitation.
    if (activations.length >= 1 && node.kind !== "other") {
      const widest = activations.toSorted((a, b) => size(b.shape) - size(a.shape))[0];
      if (size(widest.shape) === size(shape)) {
        // An addition of something else than two maps is none of the graph's own kind.
        const kind = node.kind === "add" ? "addition" : node.kind;
        return this.#foreign(node, kind, this.#settled(widest));
      }
    }
    throw new Inexpressible(`${node.op}${where} is no operation of a residual net`);
  }

  #convolution(node: RecordedNode, taken: Value): Value {
    const { margin = 0, ...whole } = taken ?? {};
    const input = this.#settled(
      margin === 0 ? taken : { ...whole as Value, shape: within(taken.shape, margin) },
    );
    const entering = this.#shapes.get(INPUT)!.join(", ");
    if (!this.#started && input.node === INPUT && input.shape.join(", ") !== entering) {
      throw new Inexpressible(
        `the network makes images of [${input.shape.join(", ")}] of those of [${entering}]`,
      );
    }
    this.#started = true;
    const { weight, bias, groups = 1, transposed = false } = node.arguments;
    const name = parameterIn(weight);
    const shape = this.#network.parameters.find((parameter) => parameter.name === name)?.shape;
    if (name === undefined || shape?.length !== 4) {
      throw new Inexpressible(
        unregistered(weight, "convolution") ?? `${node.op} has a kernel that is no parameter`,
      );
    }
    const [, stride, padding, dilation] = windowOf(node.arguments);
    const [, , height, width] = shape;
    if (height !== width || groups !== 1 || transposed === true || dilation !== 1) {
      throw new Inexpressible(
        `${name} is a convolution of ${height}x${width}, ${groups} groups, dilation ${dilation}`,
      );
    }
    const added = this.#add(node, "conv", {
      kind: "convolution",
      input: input.node,
      filters: shape[0],
      kernel: height,
      ...{ stride, padding: padding + margin, bias: parameterIn(bias) !== undefined },
    });
    this.#arrays.set(`${added.node}.weight`, name);
    const shift = parameterIn(bias);
    if (shift !== undefined) this.#arrays.set(`${added.node}.bias`, shift);
    return this.#checked(added, shapeOf(node.outputs[0].shape), node);
  }

  #batchNorm(node: RecordedNode, input: Value): Value {
    const added = this.#add(node, "bn", { kind: "batch-norm", input: input.node });
    for (const array of ["weight", "bias", "running_mean", "running_var"] as const) {
      const name = parameterIn(node.arguments[array]);
      if (name !== undefined) this.#arrays.set(`${added.node}.${array}`, name);
    }
    return added;
  }

  #sum(node: RecordedNode, [a, b]: readonly Value[], shape: Shape): Value {
    const [first, second] = [this.#settled(a), this.#settled(b)];
    if (first.shape.join() !== second.shape.join()) {
      throw new Inexpressible(
        `${node.op} adds [${first.shape.join(", ")}] and [${second.shape.join(", ")}]`,
      );
    }
    // The branch is the way with more layers, on whichever side it is written.
    const depth = (value: Value) => this.#depths.get(value.node) ?? 0;
    const [branch, shortcut] = depth(second) > depth(first) ? [second, first] : [first, second];
    const name = this.#name(node, "add");
    this.#keep({
      kind: "add",
      name,
      inputs: [branch.node, shortcut.node],
      ...{ shape, parameters: [], multiplyAdds: 0 },
    }, depth(branch));
    return { kind: "activation", node: name, shape };
  }

  #pool(node: RecordedNode, input: Value, shape: Shape): Value {
    const channels = input.shape.at(-1);
    if (input.shape.length === 3 && size(shape) === channels) {
      return this.#add(node, "pool", { kind: "global-average-pool", input: input.node });
    }
    const [kernel, stride, padding] = windowOf(node.arguments);
    if (input.shape.length === 3 && shape.length === 3) {
      // Of the shape of a max pooling, under its own kind.
      const stand = { kind: "max-pool", input: input.node, kernel, stride, padding } as const;
      const value = this.#add(node, "avgpool", stand, "average-pool");
      return this.#checked(value, shape, node);
    }
    throw new Inexpressible(`${node.op} takes a mean over other axes than rows and columns`);
  }

  #dense(node: RecordedNode, input: Value, shape: Shape): Value {
    const names = parametersIn(node.arguments);
    const shapes = new Map(this.#network.parameters.map((one) => [one.name, one.shape]));
    const weight = names.find((name) => shapes.get(name)?.length === 2);
    const bias = names.find((name) => shapes.get(name)?.length === 1);
    if (weight === undefined) {
      for (const argument of Object.values(node.arguments)) {
        const why = unregistered(argument, "fully connected layer");
        if (why !== undefined) throw new Inexpressible(why);
      }
    }
    if (weight === undefined || shape.length !== 1) {
      throw new Inexpressible(`${node.op} is no fully connected layer on one vector an image`);
    }
    if (input.shape.length !== 1) {
      throw new Inexpressible(
        `${weight} takes all ${size(input.shape)} values of maps of [${
          input.shape.join(", ")
        }], which are not pooled`,
      );
    }
    const added = this.#add(node, "linear", {
      kind: "dense",
      input: input.node,
      units: shape[0],
    });
    this.#arrays.set(`${added.node}.weight`, weight);
    if (bias !== undefined) this.#arrays.set(`${added.node}.bias`, bias);
    return added;
  }

  #passedOn(node: RecordedNode, input: Value, shape: Shape): Value {
    if (!this.#started && /\bflip\b/.test(node.op)) this.#onImage(node);
    if (input.margin !== undefined && ["cast", "copy"].includes(node.kind)) {
      return { ...input, shape };
    }
    if (size(shape) !== size(input.shape)) {
      throw new Inexpressible(`${node.op} changes the number of values`);
    }
    const value = this.#settled(input);
    // [1, 1, C] to [C] is nothing; maps of several pixels stay maps, so that a layer on them is named.
    return size(value.shape) === value.shape.at(-1) && shape.length === 1
      ? { ...value, shape }
      : value;
  }

  #foreign(node: RecordedNode, kind: string, input: Value): Value {
    return this.#add(node, kind, { kind: "relu", input: input.node }, kind);
  }

  /** Turns what is still to be done to a value into a node: option A's shortcut. */
  #settled(value: Value): Value {
    if (value === undefined) throw new Inexpressible("an operation takes what is not known");
    const { pick, zeros, node, shape, margin } = value;
    if (margin !== undefined) {
      throw new Inexpressible(`${node}: maps are padded by ${margin} before no convolution`);
    }
    if (pick === undefined && zeros === undefined) return value;
    const { rows, columns } = pick ?? { rows: 1, columns: 1 };
    const { before, after } = zeros ?? { before: 0, after: 0 };
    if (rows !== columns) {
      throw new Inexpressible(
        `${node}: every ${rows}th row and every ${columns}th column is taken`,
      );
    }
    if (before !== 0 && before !== after) {
      throw new Inexpressible(`${node}: ${before} zero channels stand before, ${after} behind`);
    }
    return this.#add({ module: node, op: "", kind: "", arguments: {}, outputs: [] }, "shortcut", {
      kind: "shortcut-a",
      input: node,
      filters: shape[2],
      stride: rows,
      zeroChannels: before > 0 ? "split" : "append",
    });
  }

  #add(
    node: RecordedNode,
    short: string,
    spec: WithoutName<NodeSpec>,
    kind: string = spec.kind,
  ): Value {
    const name = this.#name(node, short);
    const input = spec.kind === "add" ? INPUT : spec.input;
    const from = this.#shapes.get(input);
    if (from === undefined) throw new Inexpressible(`${name} takes what is not known`);
    const inferred = infer({ ...spec, name } as NodeSpec, from);
    const weighted = spec.kind === "convolution" || spec.kind === "dense" ? 1 : 0;
    this.#keep(
      { ...spec, name, kind, ...inferred } as Node,
      (this.#depths.get(input) ?? 0) + weighted,
    );
    return { kind: "activation", node: name, shape: inferred.shape };
  }

  #keep(node: Node, depth: number): void {
    this.#nodes.push(node);
    this.#shapes.set(node.name, node.shape);
    this.#depths.set(node.name, depth);
  }

  /** The module's own name where the operation is the module, else its path and what it is. */
  #name({ module = "", moduleClass = "", op }: RecordedNode, short: string): string {
    const own = op !== "" && module !== "" && SHORT[short]?.test(moduleClass);
    const wanted = own ? module : module === "" ? short : `${module}.${short}`;
    let name = wanted;
    for (let i = 2; this.#shapes.has(name); i++) name = `${wanted}_${i}`;
    return name;
  }

  #checked(value: Value, shape: Shape, node: RecordedNode): Value {
    if (value.shape.join() !== shape.join()) {
      throw new Inexpressible(
        `${value.node} (${node.op}) gives [${shape.join(", ")}] where [${
          value.shape.join(", ")
        }] was expected`,
      );
    }
    return value;
  }
}

type WithoutName<T> = T extends unknown ? Omit<T, "name"> : never;

/** Classes of modules that are one operation. */
const SHORT: Readonly<Record<string, RegExp>> = {
  conv: /Conv/,
  bn: /Norm/,
  linear: /Linear/,
  relu: /ReLU/,
  pool: /Pool/,
  maxpool: /Pool/,
  dropout: /Dropout/,
};

/** Shape, parameters and multiply-adds of a node with one input. */
function infer(spec: NodeSpec, from: Shape): Inferred {
  const alone = { ...spec, input: INPUT } as NodeSpec;
  const { shape, parameters, multiplyAdds } = buildGraph("traced", from, [alone]).nodes[0];
  return { shape, parameters, multiplyAdds };
}

/** [N, C, H, W] to [H, W, C]; [N, C, 1, 1] and [N, C] to [C]. */
function shapeOf(shape: readonly number[]): Shape {
  const [, channels, height, width] = shape;
  if (shape.length === 4) return [height, width, channels];
  return shape.slice(1);
}

function size(shape: Shape): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Global pooling of maps that lie channels last in memory ends so: other strides, the same values. */
function isLayoutOfOnePixel({ op }: RecordedNode, input: Value, shape: Shape): boolean {
  return /\bas_strided_?\b/.test(op) && size(shape) === size(input.shape) &&
    size(shape) === shape.at(-1);
}

/** Zeros that take no more than their shape of what they are made from. */
function isZeros({ op, kind, arguments: { other, fill_value: fill } }: RecordedNode): boolean {
  // What is empty is written next: with zeros, or with what is drawn.
  return /\b(zeros_like|new_zeros|empty_like|new_empty)\b/.test(op) ||
    /\bnew_full|full_like\b/.test(op) && fill === 0 ||
    kind === "multiply" && other === 0;
}

/** Numbers of the values among arguments, in order; lists of lists end soon. */
function valuesIn(argumentsOf: Readonly<Record<string, unknown>>): number[] {
  return Object.values(argumentsOf).flatMap((argument) =>
    (Array.isArray(argument) ? argument.slice(0, 1_000) : [argument]).flatMap((item) =>
      isRecord(item) && typeof item.value === "number" ? [item.value] : []
    )
  );
}

function parameterIn(argument: unknown): string | undefined {
  if (!isRecord(argument)) return undefined;
  const name = argument.parameter ?? argument.buffer;
  return typeof name === "string" ? name : undefined;
}

/** Of an array that the network does not know, as of layers in a plain list. */
function unregistered(argument: unknown, of: string): string | undefined {
  if (!isRecord(argument) || !Array.isArray(argument.constant)) return undefined;
  return argument.constant.length < 2
    ? undefined
    : `a ${of} has weights of [${
      argument.constant.join(", ")
    }] that are no parameter of the network: layers in a plain list are not registered with it (ModuleList), and no optimiser gets them`;
}

function parametersIn(argumentsOf: Readonly<Record<string, unknown>>): string[] {
  return Object.values(argumentsOf).flatMap((argument) => parameterIn(argument) ?? []);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Kernel, stride, padding and dilation, where they are the same along both axes. */
function windowOf(argumentsOf: Readonly<Record<string, unknown>>): number[] {
  const both = (name: string, otherwise: number): number => {
    const value = argumentsOf[name];
    const list = Array.isArray(value) ? value : value === undefined ? [] : [value];
    if (list.length === 0) return otherwise;
    if (!list.every((item) => typeof item === "number" && item === list[0])) {
      throw new Inexpressible(`its ${name} is [${list.slice(0, 4).map(String).join(", ")}]`);
    }
    return list[0];
  };
  const kernel = both("kernel_size", 1);
  return [kernel, both("stride", kernel), both("padding", 0), both("dilation", 1)];
}

/** A pool over single pixels takes every so many of them, as option A does. */
function everyPixel(input: Value, stride: number, shape: Shape): Value {
  const { rows, columns } = input.pick ?? { rows: 1, columns: 1 };
  return { ...input, shape, pick: { rows: rows * stride, columns: columns * stride } };
}

/** Every second row, or every second column. */
function sliced(node: RecordedNode, input: Value, shape: Shape): Value {
  const { dim = 0, start = 0, step = 1 } = node.arguments;
  if (shape.join() === input.shape.join()) return { ...input, shape };
  const axis = dim === 2 || dim === -2 ? "rows" : dim === 3 || dim === -1 ? "columns" : undefined;
  if (
    axis === undefined || start !== 0 || typeof step !== "number" || input.shape.length !== 3 ||
    input.zeros !== undefined
  ) {
    throw new Inexpressible(`${node.op} takes a part of axis ${String(dim)}`);
  }
  const before = input.pick ?? { rows: 1, columns: 1 };
  const [height, width, channels] = input.shape;
  const expected = axis === "rows"
    ? [Math.ceil(height / step), width, channels]
    : [height, Math.ceil(width / step), channels];
  if (expected.join() !== shape.join()) {
    throw new Inexpressible(`${node.op} takes a part of axis ${String(dim)}`);
  }
  return { ...input, shape, pick: { ...before, [axis]: before[axis] * step } };
}

/** The same number of zeros on each of the four sides; undefined where a pad is another. */
function withMargin(node: RecordedNode, input: Value, shape: Shape): Value | undefined {
  const { pad = [], value = 0 } = node.arguments;
  const [side = 0, ...others] = Array.isArray(pad) ? pad.map(Number) : [];
  const alike = others.slice(0, 3).every((other) => other === side) && others.length >= 3 &&
    others.slice(3).every((channels) => channels === 0);
  return value === 0 && alike && side > 0 && input.shape.length === 3 &&
      /\bconstant_pad_nd\b/.test(node.op) && input.margin === undefined
    ? { ...input, shape, margin: side }
    : undefined;
}

/** The shape of maps without the pixels around them. */
function within([height, width, channels]: Shape, margin: number): Shape {
  return [height - 2 * margin, width - 2 * margin, channels];
}

/** Zero channels; other pads only before a convolution, which is said. */
function padded(node: RecordedNode, input: Value, shape: Shape): Value {
  const { pad = [], value = 0 } = node.arguments;
  const sides = Array.isArray(pad) ? pad.map(Number) : [];
  const [left = 0, right = 0, top = 0, bottom = 0, before = 0, after = 0] = sides;
  if (
    value !== 0 || input.shape.length !== 3 || [left, right, top, bottom].some((side) => side !== 0)
  ) {
    throw new Inexpressible(`${node.op} pads maps by [${sides.join(", ")}]`);
  }
  return withZeros(input, before, after, shape);
}

function withZeros(input: Value, before: number, after: number, shape: Shape): Value {
  const zeros = input.zeros ?? { before: 0, after: 0 };
  return {
    ...input,
    shape,
    zeros: { before: zeros.before + before, after: zeros.after + after },
  };
}

/** A map and constants, along the channels: zero channels. */
function concatenated(node: RecordedNode, inputs: readonly Known[], shape: Shape): Value {
  const activations = inputs.filter((value): value is Value => value.kind === "activation");
  const { dim = 0 } = node.arguments;
  const [input] = activations;
  if (activations.length !== 1 || (dim !== 1 && dim !== -3) || input.shape.length !== 3) {
    throw new Inexpressible(`${node.op} joins maps`);
  }
  const at = inputs.indexOf(input);
  const channels = (of: readonly Known[]) =>
    of.reduce((sum, { shape }) => sum + (shape.at(-1) ?? 0), 0);
  return withZeros(input, channels(inputs.slice(0, at)), channels(inputs.slice(at + 1)), shape);
}

/** The architecture's name where it is one; else what it is, with its depth. */
function nameOf(graph: Graph): string {
  try {
    return nameByPlace(graph, new Map()).graph.name;
  } catch (error) {
    // Kinds of nodes that are not ours.
    if (!(error instanceof GraphError || error instanceof TypeError)) throw error;
    return graph.nodes.some(({ kind }) => kind === "add") ? "a residual net" : "a net";
  }
}
