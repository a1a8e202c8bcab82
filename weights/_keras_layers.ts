/**
 * Networks as layers that Keras and TensorFlow.js bring with them, so that whoever loads one needs
 * no class of ours.
 *
 * Option A's shortcut has no layer of its own there. It is four: a pooling of one pixel at the
 * shortcut's stride, a permutation that makes rows of the channels, rows of zeros, and the
 * permutation back. None of them has weights or calculates with more than one number, so that
 * values pass as they are.
 */
import {
  fitWeights,
  type Graph,
  INPUT,
  inputsOf,
  type Node,
  nodeOf,
  type Shape,
  shapeOf,
  type Tensor,
  unhandledKind,
  WeightFileError,
  type Weights,
} from "../resnet/mod.ts";
import { permuteAxes } from "./permute.ts";

/** One layer, called once. */
export interface WrittenLayer {
  readonly name: string;
  readonly className: string;
  /** Without the name; by Keras's names, which are TensorFlow.js's in its files. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Names of the layers whose values it takes. */
  readonly inputs: readonly string[];
  /** Of what it gives, without the axis of images. */
  readonly shape: Shape;
  /** Its arrays by Keras's names for them, in Keras's order and layouts. */
  readonly arrays: Weights;
}

/** What decides a file beside graph and weights. */
export interface KerasExportOptions {
  /** Batch norm's constant; 1e-5 when undefined, PyTorch's. */
  readonly epsilon?: number;
}

/** Of Keras's kind: the share of the old value; this project's recipes have 0.1 of the new. */
const MOMENTUM = 0.9;
/** From [O, I, H, W] to [H, W, I, O]. */
const KERNEL = [2, 3, 1, 0] as const;
const NONE: Weights = new Map();

/**
 * The layers of a network, its input first.
 *
 * @throws {WeightFileError} If the weights do not fit the graph, or it has a layer that Keras's own
 *   can't be put together to.
 */
export function writtenLayers(
  graph: Graph,
  weights: Weights,
  { epsilon = 1e-5 }: KerasExportOptions = {},
): readonly WrittenLayer[] {
  const fitted = fitWeights(graph, weights, graph.name);
  const input: WrittenLayer = {
    ...{ name: INPUT, className: "InputLayer", inputs: [], shape: graph.inputShape, arrays: NONE },
    config: { batch_shape: [null, ...graph.inputShape], dtype: "float32" },
  };
  return [input, ...graph.nodes.flatMap((node) => layersOf(graph, node, fitted, epsilon))];
}

function layersOf(
  graph: Graph,
  node: Node,
  weights: Weights,
  epsilon: number,
): readonly WrittenLayer[] {
  const { name, shape } = node;
  const given = inputsOf(node);
  const array = (suffix: string): Tensor => weights.get(`${name}.${suffix}`)!;
  const own = (
    className: string,
    config: WrittenLayer["config"],
    arrays: Weights = NONE,
    inputs: readonly string[] = given,
  ): WrittenLayer => ({ name, className, config, inputs, shape, arrays });
  switch (node.kind) {
    case "convolution": {
      const { filters, kernel, stride, bias, padding } = node;
      // Keras's "same" puts what is uneven below and on the right, PyTorch above and on the left.
      const isSame = stride === 1 && 2 * padding === kernel - 1;
      const before = isSame ? [] : zeros(graph, node.input, padding, `${name}.padding`);
      const arrays = new Map([["kernel", permuteAxes(array("weight"), KERNEL)]]);
      if (bias) arrays.set("bias", array("bias"));
      const config = {
        ...{ filters, kernel_size: twice(kernel), strides: twice(stride) },
        ...{ padding: isSame ? "same" : "valid", use_bias: bias },
      };
      return [...before, own("Conv2D", config, arrays, namesOf(before, given))];
    }
    case "batch-norm":
      return [own(
        "BatchNormalization",
        { axis: -1, momentum: MOMENTUM, epsilon },
        new Map([
          ["gamma", array("weight")],
          ["beta", array("bias")],
          ["moving_mean", array("running_mean")],
          ["moving_variance", array("running_var")],
        ]),
      )];
    case "relu":
      return [own("Activation", { activation: "relu" })];
    case "add":
      return [own("Add", {})];
    case "shortcut-a":
      return shortcut(graph, node);
    case "max-pool": {
      const { kernel, stride, padding } = node;
      const source = nodeOf(graph, node.input);
      // Around values that are never negative zeros do what PyTorch's missing pixels do.
      if (padding > 0 && source?.kind !== "relu") {
        throw new WeightFileError(
          `${graph.name}: the padded max pooling "${name}" takes what may be negative, and no layer of Keras pads as it does; write the network as ONNX`,
        );
      }
      const before = zeros(graph, node.input, padding, `${name}.padding`);
      const config = { pool_size: twice(kernel), strides: twice(stride), padding: "valid" };
      return [...before, own("MaxPooling2D", config, NONE, namesOf(before, given))];
    }
    case "global-average-pool":
      return [own("GlobalAveragePooling2D", {})];
    case "dense":
      return [own(
        "Dense",
        { units: node.units },
        new Map([
          ["kernel", permuteAxes(array("weight"), [1, 0])],
          ["bias", array("bias")],
        ]),
      )];
    default:
      return unhandledKind(node);
  }
}

type ShortcutA = Extract<Node, { kind: "shortcut-a" }>;

function shortcut(
  graph: Graph,
  { name, input, stride, filters, zeroChannels, shape }: ShortcutA,
): readonly WrittenLayer[] {
  const [height, width] = shape;
  const channels = shapeOf(graph, input)[2];
  const added = filters - channels;
  const before = zeroChannels === "split" ? Math.floor(added / 2) : 0;
  const layer = (
    part: string,
    className: string,
    config: WrittenLayer["config"],
    inputs: readonly string[],
    shape: Shape,
  ): WrittenLayer => ({ name: `${name}.${part}`, className, config, inputs, shape, arrays: NONE });
  return [
    layer(
      "picked",
      "AveragePooling2D",
      { pool_size: [1, 1], strides: twice(stride), padding: "valid" },
      [input],
      [height, width, channels],
    ),
    layer("turned", "Permute", { dims: [3, 1, 2] }, [`${name}.picked`], [channels, height, width]),
    layer("zeros", "ZeroPadding2D", { padding: [[before, added - before], [0, 0]] }, [
      `${name}.turned`,
    ], [filters, height, width]),
    {
      ...{ name, className: "Permute", config: { dims: [2, 3, 1] }, inputs: [`${name}.zeros`] },
      ...{ shape, arrays: NONE },
    },
  ];
}

/** The layer that puts zeros around an image; none for no zeros. */
function zeros(graph: Graph, input: string, count: number, name: string): readonly WrittenLayer[] {
  if (count === 0) return [];
  const [height, width, channels] = shapeOf(graph, input);
  return [{
    ...{ name, className: "ZeroPadding2D", inputs: [input], arrays: NONE },
    config: { padding: [twice(count), twice(count)] },
    shape: [height + 2 * count, width + 2 * count, channels],
  }];
}

/** The layers that stand before another, or what it takes where none does. */
function namesOf(before: readonly WrittenLayer[], given: readonly string[]): readonly string[] {
  return before.length > 0 ? before.map(({ name }) => name) : given;
}

const twice = (number: number): readonly number[] => [number, number];
