/** A graph as TensorFlow.js operations: what its autodiff differentiates. */
import { type Graph, INPUT, type Node, type ShortcutASpec } from "../../resnet/mod.ts";
import type { Probe } from "../engine.ts";
import type { Library, Tensor } from "./packages/mod.ts";

/** Mean and biased variance of one batch-norm layer's input, and over how many values. */
export interface BatchStatistics {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
  readonly count: number;
}

/** What a forward pass needs beside the graph. */
export interface ForwardOptions {
  readonly mode: Probe["mode"];
  readonly epsilon: number;
  /** Called in training mode for each batch-norm layer, with its name. */
  readonly onStatistics?: (name: string, statistics: BatchStatistics) => void;
}

/**
 * The output of `graph` for `input`.
 *
 * @param parameters By name, in PyTorch's layouts; transposed here, inside of
 *   what is differentiated, so that gradients come out in those layouts too.
 * @param input [N, H, W, C].
 */
export function forward(
  tf: Library,
  graph: Graph,
  parameters: ReadonlyMap<string, Tensor>,
  input: Tensor,
  options: ForwardOptions,
): Tensor {
  const values = new Map<string, Tensor>([[INPUT, input]]);
  for (const node of graph.nodes) {
    values.set(node.name, apply(tf, node, values, parameters, options));
  }
  return values.get(graph.output)!;
}

function apply(
  tf: Library,
  node: Node,
  values: ReadonlyMap<string, Tensor>,
  parameters: ReadonlyMap<string, Tensor>,
  options: ForwardOptions,
): Tensor {
  const value = (name: string) => values.get(name)!;
  const parameter = (suffix: string) => parameters.get(`${node.name}.${suffix}`)!;

  switch (node.kind) {
    case "convolution": {
      const kernel = parameter("weight").transpose([2, 3, 1, 0]); // [kh, kw, I, O]
      const image = value(node.input);
      // A number pads all four sides alike, as PyTorch does; "same" would not at stride 2.
      const output = tf.conv2d(image, kernel, node.stride, node.padding);
      return node.bias ? output.add(parameter("bias")) : output;
    }
    case "batch-norm": {
      const x = value(node.input);
      const { mean, variance } = options.mode === "training"
        ? batchStatistics(node.name, x, options)
        : { mean: parameter("running_mean"), variance: parameter("running_var") };
      const normalised = x.sub(mean).mul(variance.add(options.epsilon).rsqrt());
      return normalised.mul(parameter("weight")).add(parameter("bias"));
    }
    case "relu":
      return value(node.input).relu();
    case "add":
      return value(node.inputs[0]).add(value(node.inputs[1]));
    case "shortcut-a":
      return shortcutA(tf, node, value(node.input));
    case "max-pool":
      return tf.maxPool(value(node.input), node.kernel, node.stride, node.padding);
    case "global-average-pool":
      return value(node.input).mean([1, 2]);
    case "dense":
      return value(node.input).matMul(parameter("weight").transpose()).add(parameter("bias"));
  }
}

/** Mean and biased variance over all axes but the last, as tensors and reported as numbers. */
function batchStatistics(
  name: string,
  x: Tensor,
  options: ForwardOptions,
): { mean: Tensor; variance: Tensor } {
  const axes = x.shape.slice(0, -1).map((_, axis) => axis);
  const mean = x.mean(axes);
  const variance = x.sub(mean).square().mean(axes);
  options.onStatistics?.(name, {
    mean: mean.dataSync(),
    variance: variance.dataSync(),
    count: x.size / x.shape[x.rank - 1],
  });
  return { mean, variance };
}

function shortcutA(tf: Library, node: ShortcutASpec, x: Tensor): Tensor {
  // A pooling window of one pixel picks every stride-th pixel, and can be differentiated.
  const picked = tf.avgPool(x, 1, node.stride, "valid");
  const zeros = node.filters - x.shape[3];
  const before = node.zeroChannels === "append" ? 0 : Math.floor(zeros / 2);
  return picked.pad([[0, 0], [0, 0], [0, 0], [before, zeros - before]]);
}
