/**
 * What a network is: a pure value of typed nodes, each of which knows its
 * output shape, its parameters and its multiply-adds. Architecture tests, the
 * summary, the audit, every engine and every importer work on this one type.
 *
 * Shapes are those of one image, [H, W, C]; after global pooling [C].
 */

/** Shape of one image's activation: [H, W, C], or [C] after global pooling. */
export type Shape = readonly number[];

/** What all nodes with one input have. */
export interface SingleInput {
  /** The node's own name, which begins the names of its parameters. */
  readonly name: string;
  /** The node whose output it takes, or {@link INPUT}. */
  readonly input: string;
}

/** The 3x3, 7x7, 1x1 ... convolution without activation. */
export interface ConvolutionSpec extends SingleInput {
  /** Tells the kinds of node apart. */
  readonly kind: "convolution";
  /** Output channels. */
  readonly filters: number;
  /** Height and width of the window in pixels. */
  readonly kernel: number;
  /** Pixels from one window to the next, down and across. */
  readonly stride: number;
  /** Zeros on each of the four sides. */
  readonly padding: number;
  /** Whether a trainable number is added to each output channel. */
  readonly bias: boolean;
}

/** Batch normalisation over N, H and W with a scale and a shift a channel. */
export interface BatchNormSpec extends SingleInput {
  /** Tells the kinds of node apart. */
  readonly kind: "batch-norm";
}

/** max(x, 0). */
export interface ReluSpec extends SingleInput {
  /** Tells the kinds of node apart. */
  readonly kind: "relu";
}

/** Elementwise sum of two activations of one shape. */
export interface AddSpec {
  /** Tells the kinds of node apart. */
  readonly kind: "add";
  /** The node's own name. */
  readonly name: string;
  /** [the residual branch, the shortcut]. */
  readonly inputs: readonly [string, string];
}

/**
 * The parameter-free shortcut of option A: every `stride`-th pixel, and zero
 * channels up to `filters`: all after the others, or half on each side.
 */
export interface ShortcutASpec extends SingleInput {
  /** Tells the kinds of node apart. */
  readonly kind: "shortcut-a";
  /** Output channels, no fewer than the input has. */
  readonly filters: number;
  /** Pixels from one window to the next, down and across. */
  readonly stride: number;
  /** Where the zero channels stand. */
  readonly zeroChannels: ZeroChannels;
}

/** Maximum over a square window; padding counts as minus infinity. */
export interface MaxPoolSpec extends SingleInput {
  /** Tells the kinds of node apart. */
  readonly kind: "max-pool";
  /** Height and width of the window in pixels. */
  readonly kernel: number;
  /** Pixels from one window to the next, down and across. */
  readonly stride: number;
  /** Pixels on each of the four sides. */
  readonly padding: number;
}

/** Mean over H and W: [H, W, C] to [C]. */
export interface GlobalAveragePoolSpec extends SingleInput {
  /** Tells the kinds of node apart. */
  readonly kind: "global-average-pool";
}

/** Fully connected layer with bias: [C] to [units]. */
export interface DenseSpec extends SingleInput {
  /** Tells the kinds of node apart. */
  readonly kind: "dense";
  /** Outputs. */
  readonly units: number;
}

/** What a node is, before its shape is inferred. */
export type NodeSpec =
  | ConvolutionSpec
  | BatchNormSpec
  | ReluSpec
  | AddSpec
  | ShortcutASpec
  | MaxPoolSpec
  | GlobalAveragePoolSpec
  | DenseSpec;

/** Where option A puts its zero channels (open in the paper, see the recipe). */
export type ZeroChannels = "append" | "split";

/** A named array of the state: a trainable parameter or a running statistic. */
export interface ParameterSpec {
  /** As in PyTorch, for example `layer1.0.conv1.weight`. */
  readonly name: string;
  /** PyTorch's layout: [O, I, H, W] for kernels, [O, I] for dense, [C]. */
  readonly shape: readonly number[];
  /** What the array is for, which decides how it starts. */
  readonly role: "kernel" | "bias" | "bn-scale" | "bn-shift" | "bn-mean" | "bn-variance";
  /** Running statistics are state, but are not trained and never counted. */
  readonly trainable: boolean;
}

/** What shape inference adds to a {@link NodeSpec}. */
export interface Inferred {
  /** Output shape of one image. */
  readonly shape: Shape;
  /** The arrays of the state that the node owns. */
  readonly parameters: readonly ParameterSpec[];
  /** Multiply-adds for one image: convolutions and dense layers alone. */
  readonly multiplyAdds: number;
}

/** A node of a {@link Graph}. */
export type Node = NodeSpec & Inferred;

/** A network: nodes in an order in which every input comes before its use. */
export interface Graph {
  /** For tables and reports. */
  readonly name: string;
  /** [H, W, C] of an input image; its node name is {@link INPUT}. */
  readonly inputShape: Shape;
  /** In an order in which every input comes before its use. */
  readonly nodes: readonly Node[];
  /** Name of the node whose output is the network's. */
  readonly output: string;
}

/** The name by which nodes refer to the network's input. */
export const INPUT = "input";

/** A graph that contradicts itself: what was tried, the rule and the value. */
export class GraphError extends Error {
  /** The class's name, for messages. */
  override name = "GraphError";
}

/**
 * Builds a graph: checks names and infers shapes, parameters and multiply-adds.
 *
 * @param name Name of the network, for tables and reports.
 * @param inputShape [H, W, C] of an image.
 * @param specs Nodes in topological order; the last is the output.
 * @throws {GraphError} On an unknown input, a repeated name or shapes that do not fit.
 *
 * @example
 * ```ts
 * import { buildGraph } from "./graph.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = buildGraph("one layer", [32, 32, 3], [
 *   { kind: "convolution", name: "conv1", input: "input", filters: 16, kernel: 3, stride: 2, padding: 1, bias: false },
 * ]);
 * assertEquals(graph.nodes[0].shape, [16, 16, 16]);
 * assertEquals(graph.nodes[0].parameters[0].shape, [16, 3, 3, 3]);
 * ```
 */
export function buildGraph(name: string, inputShape: Shape, specs: readonly NodeSpec[]): Graph {
  if (specs.length === 0) throw new GraphError(`${name}: a graph needs at least one node`);
  checkPositive(name, "input", inputShape);
  const shapes = new Map<string, Shape>([[INPUT, inputShape]]);
  const nodes: Node[] = [];
  for (const spec of specs) {
    if (shapes.has(spec.name)) {
      throw new GraphError(`${name}: two nodes are named "${spec.name}"`);
    }
    const inputs = inputsOf(spec).map((input) => {
      const shape = shapes.get(input);
      if (!shape) {
        throw new GraphError(
          `${name}: node "${spec.name}" takes "${input}", which no earlier node is named`,
        );
      }
      return shape;
    });
    const node = { ...spec, ...infer(name, spec, inputs) };
    checkPositive(name, spec.name, node.shape);
    shapes.set(spec.name, node.shape);
    nodes.push(node);
  }
  return { name, inputShape, nodes, output: nodes[nodes.length - 1].name };
}

/**
 * The same network on images of another size: convolutions and pooling go further, and a global
 * average ends them, so that the parameters are the same ("fully convolutional").
 *
 * @param graph The network.
 * @param inputShape [H, W, C] of an image; C is the network's own.
 * @throws {GraphError} If the network is not one for any size, or the image is too small for it.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { countParameters, resized, shapeOf } from "./graph.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet34", { inputShape: [224, 224, 3], classes: 1000 });
 * const wide = resized(graph, [256, 341, 3]);
 * assertEquals(shapeOf(wide, "layer4.2.relu2"), [8, 11, 512]);
 * assertEquals(countParameters(wide), countParameters(graph));
 * ```
 */
export function resized(graph: Graph, inputShape: Shape): Graph {
  const other = buildGraph(graph.name, inputShape, graph.nodes);
  const before = parametersOf(graph), after = parametersOf(other);
  const changed = before.findIndex(({ shape }, i) => shape.join() !== after[i].shape.join());
  if (changed >= 0) {
    const { name, shape } = before[changed];
    throw new GraphError(
      `${graph.name}: "${name}" has [${shape.join(", ")}] on images [${
        graph.inputShape.join(", ")
      }], and would need [${after[changed].shape.join(", ")}] on [${
        inputShape.join(", ")
      }]: the network is for images of its own size alone`,
    );
  }
  return other;
}

/** Names of a node's inputs, in order. */
export function inputsOf(spec: NodeSpec): readonly string[] {
  switch (spec.kind) {
    case "add":
      return spec.inputs;
    case "convolution":
    case "batch-norm":
    case "relu":
    case "shortcut-a":
    case "max-pool":
    case "global-average-pool":
    case "dense":
      return [spec.input];
    default:
      // Rules judge graphs with nodes of foreign kinds too, and must be able to walk them.
      return [(spec satisfies never as SingleInput).input];
  }
}

/**
 * A node that takes other inputs.
 *
 * @param spec The node, inferred or not.
 * @param rename The new name for each input's.
 * @returns A copy; what was inferred of it holds as long as the inputs' shapes are the same.
 */
export function withInputs<T extends NodeSpec>(spec: T, rename: (input: string) => string): T {
  if (spec.kind !== "add") return { ...spec, input: rename(inputsOf(spec)[0]) };
  const [branch, shortcut] = spec.inputs;
  return { ...spec, inputs: [rename(branch), rename(shortcut)] };
}

/** A graph's nodes by their names, and by the names whose output they take. */
interface Index {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
}

/** Made once for each graph: searching all nodes for each name grows with the square of the depth. */
const indexes = new WeakMap<Graph, Index>();

function indexOf(graph: Graph): Index {
  const made = indexes.get(graph);
  if (made) return made;
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(inputsOf(node))) {
      const others = consumers.get(input);
      if (others) others.push(node);
      else consumers.set(input, [node]);
    }
  }
  const index = { nodes, consumers };
  indexes.set(graph, index);
  return index;
}

/** The node called `name`; undefined for the network's input and for names that are no node's. */
export function nodeOf(graph: Graph, name: string): Node | undefined {
  return indexOf(graph).nodes.get(name);
}

/** The nodes that take the output of `name`, each once, in the graph's order. */
export function consumersOf(graph: Graph, name: string): readonly Node[] {
  return indexOf(graph).consumers.get(name) ?? [];
}

/** The nodes of one kind, in the graph's order. */
export function ofKind<Kind extends Node["kind"]>(
  graph: Graph,
  kind: Kind,
): readonly Extract<Node, { kind: Kind }>[] {
  return graph.nodes.filter((node): node is Extract<Node, { kind: Kind }> => node.kind === kind);
}

/** The kinds of layer that the paper counts as depth. */
const WEIGHTED: Readonly<Record<NodeSpec["kind"], boolean>> = {
  "convolution": true,
  "batch-norm": false,
  "relu": false,
  "add": false,
  "shortcut-a": false,
  "max-pool": false,
  "global-average-pool": false,
  "dense": true,
};

/** Whether a node is a weighted layer, which the paper counts as depth. */
export function isWeighted({ kind }: Pick<NodeSpec, "kind">): boolean {
  return WEIGHTED[kind];
}

/**
 * Weighted layers on the longest way from the input to each node.
 *
 * @param graph The network.
 * @returns By the node's name; the output's is the paper's depth.
 *
 * Source: section 4.2.
 */
export function depthsOf(graph: Graph): ReadonlyMap<string, number> {
  const depths = new Map([[INPUT, 0]]);
  for (const node of graph.nodes) {
    const before = Math.max(...inputsOf(node).map((input) => depths.get(input) ?? 0));
    depths.set(node.name, before + (isWeighted(node) ? 1 : 0));
  }
  return depths;
}

/**
 * Weighted layers on the longest way from the input to the output: the paper's depth.
 *
 * Source: section 4.2.
 */
export function depthOf(graph: Graph): number {
  return depthsOf(graph).get(graph.output) ?? 0;
}

/**
 * The `default` of a switch over kinds of node: a kind that no case handles is a type error there.
 *
 * @param node What no case is left for.
 * @throws {GraphError} Always: the node came from where types are not checked.
 *
 * @example
 * ```ts
 * import { type Node, unhandledKind } from "./graph.ts";
 *
 * function change(node: Extract<Node, { kind: "relu" | "add" }>): string {
 *   switch (node.kind) {
 *     case "relu":
 *       return "max(x, 0)";
 *     case "add":
 *       return "x + y";
 *     default:
 *       return unhandledKind(node);
 *   }
 * }
 * console.log(change);
 * ```
 */
export function unhandledKind(node: never): never {
  const { kind, name } = node as Node;
  throw new GraphError(`node "${name}" is of the kind "${kind}", which is not handled here`);
}

/** The part of a graph that computes `output`, for looking at one layer's response. */
export function truncate(graph: Graph, output: string): Graph {
  const last = graph.nodes.findIndex((node) => node.name === output);
  if (last < 0) throw new GraphError(`${graph.name}: no node is named "${output}"`);
  const needed = new Set([output]);
  for (let i = last; i >= 0; i--) {
    const node = graph.nodes[i];
    if (needed.has(node.name)) inputsOf(node).forEach((input) => needed.add(input));
  }
  return {
    name: `${graph.name} up to ${output}`,
    inputShape: graph.inputShape,
    nodes: graph.nodes.slice(0, last + 1).filter((node) => needed.has(node.name)),
    output,
  };
}

/** Shape of the output of the node called `name`, or of the network's input. */
export function shapeOf(graph: Graph, name: string): Shape {
  if (name === INPUT) return graph.inputShape;
  const node = nodeOf(graph, name);
  if (!node) throw new GraphError(`${graph.name}: no node is named "${name}"`);
  return node.shape;
}

/** Every array of the state, in graph order. */
export function parametersOf(graph: Graph): readonly ParameterSpec[] {
  return graph.nodes.flatMap((node) => node.parameters);
}

/** Number of trainable parameters (running statistics never count). */
export function countParameters(graph: Graph): number {
  return parametersOf(graph)
    .filter((parameter) => parameter.trainable)
    .reduce((sum, parameter) => sum + sizeOf(parameter.shape), 0);
}

/** Multiply-adds for one image: convolutions and dense layers. */
export function countMultiplyAdds(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + node.multiplyAdds, 0);
}

/** Number of elements of an array of the given shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

function checkPositive(graph: string, node: string, shape: Shape): void {
  if (!shape.every((extent) => Number.isInteger(extent) && extent > 0)) {
    throw new GraphError(
      `${graph}: the shape of "${node}" must be whole numbers above 0, found [${shape.join(", ")}]`,
    );
  }
}

/** Engines make addresses of a window's numbers: what is no window must not get there. */
function checkWindow(graph: string, spec: NodeSpec): void {
  const fields = { kernel: 1, stride: 1, padding: 0, ...spec };
  for (const [field, least] of [["kernel", 1], ["stride", 1], ["padding", 0]] as const) {
    const value = fields[field];
    if (Number.isInteger(value) && value >= least) continue;
    throw new GraphError(
      `${graph}: the ${field} of "${spec.name}" must be a whole number, ${least} or more, found ${value}`,
    );
  }
}

function infer(graph: string, spec: NodeSpec, inputs: readonly Shape[]): Inferred {
  checkWindow(graph, spec);
  const [input] = inputs;
  const image = (): readonly [number, number, number] => {
    if (input.length !== 3) {
      throw new GraphError(
        `${graph}: node "${spec.name}" needs an input [H, W, C], found [${input.join(", ")}]`,
      );
    }
    return [input[0], input[1], input[2]];
  };
  const window = (extent: number, kernel: number, stride: number, padding: number) =>
    Math.floor((extent + 2 * padding - kernel) / stride) + 1;

  switch (spec.kind) {
    case "convolution": {
      const [height, width, channels] = image();
      const { filters, kernel, stride, padding } = spec;
      const shape = [
        window(height, kernel, stride, padding),
        window(width, kernel, stride, padding),
        filters,
      ];
      const weight = [filters, channels, kernel, kernel];
      return {
        shape,
        parameters: [
          { name: `${spec.name}.weight`, shape: weight, role: "kernel", trainable: true },
          ...(spec.bias
            ? [
              {
                name: `${spec.name}.bias`,
                shape: [filters],
                role: "bias",
                trainable: true,
              } as const,
            ]
            : []),
        ],
        multiplyAdds: sizeOf(weight) * shape[0] * shape[1],
      };
    }
    case "batch-norm": {
      const shape = [input[input.length - 1]];
      const array = (suffix: string, role: ParameterSpec["role"], trainable: boolean) => ({
        name: `${spec.name}.${suffix}`,
        shape,
        role,
        trainable,
      });
      return {
        shape: input,
        parameters: [
          array("weight", "bn-scale", true),
          array("bias", "bn-shift", true),
          array("running_mean", "bn-mean", false),
          array("running_var", "bn-variance", false),
        ],
        multiplyAdds: 0,
      };
    }
    case "relu":
      return { shape: input, parameters: [], multiplyAdds: 0 };
    case "add": {
      const [a, b] = inputs;
      if (a.join() !== b.join()) {
        throw new GraphError(
          `${graph}: "${spec.name}" adds shapes that differ: "${spec.inputs[0]}" is [${
            a.join(", ")
          }], "${spec.inputs[1]}" is [${b.join(", ")}]`,
        );
      }
      return { shape: a, parameters: [], multiplyAdds: 0 };
    }
    case "shortcut-a": {
      const [height, width, channels] = image();
      if (spec.filters < channels) {
        throw new GraphError(
          `${graph}: "${spec.name}" can only add channels: from ${channels} to ${spec.filters}`,
        );
      }
      const shape = [
        Math.ceil(height / spec.stride),
        Math.ceil(width / spec.stride),
        spec.filters,
      ];
      return { shape, parameters: [], multiplyAdds: 0 };
    }
    case "max-pool": {
      const [height, width, channels] = image();
      const { kernel, stride, padding } = spec;
      const shape = [
        window(height, kernel, stride, padding),
        window(width, kernel, stride, padding),
        channels,
      ];
      return { shape, parameters: [], multiplyAdds: 0 };
    }
    case "global-average-pool": {
      const [, , channels] = image();
      return { shape: [channels], parameters: [], multiplyAdds: 0 };
    }
    case "dense": {
      if (input.length !== 1) {
        throw new GraphError(
          `${graph}: dense node "${spec.name}" needs an input [C], found [${input.join(", ")}]`,
        );
      }
      const weight = [spec.units, input[0]];
      return {
        shape: [spec.units],
        parameters: [
          { name: `${spec.name}.weight`, shape: weight, role: "kernel", trainable: true },
          { name: `${spec.name}.bias`, shape: [spec.units], role: "bias", trainable: true },
        ],
        multiplyAdds: sizeOf(weight),
      };
    }
  }
}
