/** A graph as TensorFlow.js operations: what its autodiff differentiates. */
import type * as tfjs from "@tensorflow/tfjs";
import { type Graph, INPUT, type Node, type ShortcutASpec } from "../../resnet/mod.ts";
import type { Probe } from "../engine.ts";

/** The package, loaded only when the engine is used. */
export type TensorFlow = typeof tfjs;

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
  tf: TensorFlow,
  graph: Graph,
  parameters: ReadonlyMap<string, tfjs.Tensor>,
  input: tfjs.Tensor,
  options: ForwardOptions,
): tfjs.Tensor {
  const values = new Map<string, tfjs.Tensor>([[INPUT, input]]);
  for (const node of graph.nodes) {
    values.set(node.name, apply(tf, node, values, parameters, options));
  }
  return values.get(graph.output)!;
}

function apply(
  tf: TensorFlow,
  node: Node,
  values: ReadonlyMap<string, tfjs.Tensor>,
  parameters: ReadonlyMap<string, tfjs.Tensor>,
  options: ForwardOptions,
): tfjs.Tensor {
  const value = (name: string) => values.get(name)!;
  const parameter = (suffix: string) => parameters.get(`${node.name}.${suffix}`)!;

  switch (node.kind) {
    case "convolution": {
      const kernel = parameter("weight").transpose<tfjs.Tensor4D>([2, 3, 1, 0]); // [kh, kw, I, O]
      const image = value(node.input) as tfjs.Tensor4D;
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
      return shortcutA(tf, node, value(node.input) as tfjs.Tensor4D);
    case "max-pool":
      return tf.maxPool(value(node.input) as tfjs.Tensor4D, node.kernel, node.stride, node.padding);
    case "global-average-pool":
      return value(node.input).mean([1, 2]);
    case "dense":
      return value(node.input).matMul(parameter("weight").transpose()).add(parameter("bias"));
  }
}

/** Mean and biased variance over all axes but the last, as tensors and reported as numbers. */
function batchStatistics(
  name: string,
  x: tfjs.Tensor,
  options: ForwardOptions,
): { mean: tfjs.Tensor; variance: tfjs.Tensor } {
  const axes = x.shape.slice(0, -1).map((_, axis) => axis);
  const mean = x.mean(axes);
  const variance = x.sub(mean).square().mean(axes);
  options.onStatistics?.(name, {
    mean: mean.dataSync<"float32">(),
    variance: variance.dataSync<"float32">(),
    count: x.size / x.shape[x.rank - 1],
  });
  return { mean, variance };
}

function shortcutA(tf: TensorFlow, node: ShortcutASpec, x: tfjs.Tensor4D): tfjs.Tensor {
  // A pooling window of one pixel picks every stride-th pixel, and can be differentiated.
  const picked = tf.avgPool(x, 1, node.stride, "valid");
  const zeros = node.filters - x.shape[3];
  const before = node.zeroChannels === "append" ? 0 : Math.floor(zeros / 2);
  return picked.pad([[0, 0], [0, 0], [0, 0], [before, zeros - before]]);
}
