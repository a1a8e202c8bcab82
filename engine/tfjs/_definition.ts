/**
 * Each node of a graph by its definition, in double precision: what the oracle
 * itself is checked against. For tests alone.
 */
import {
  type ConvolutionSpec,
  type Graph,
  INPUT,
  type MaxPoolSpec,
  type Node,
  type ShortcutASpec,
} from "../../resnet/mod.ts";
import type { Probe } from "../engine.ts";

/** An array of doubles, [N, ...shape of one image]. */
export interface Doubles {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** Arrays by name: PyTorch's names and layouts. */
export type DoubleWeights = ReadonlyMap<string, Doubles>;

/** The output of `graph`, by the definitions alone. */
export function defined(
  graph: Graph,
  weights: DoubleWeights,
  input: Doubles,
  mode: Probe["mode"],
  epsilon: number,
): Doubles {
  const values = new Map<string, Doubles>([[INPUT, input]]);
  for (const node of graph.nodes) {
    const output = applied(node, values, weights, mode, epsilon);
    values.set(node.name, { shape: [input.shape[0], ...node.shape], data: output });
  }
  return values.get(graph.output)!;
}

function applied(
  node: Node,
  values: ReadonlyMap<string, Doubles>,
  weights: DoubleWeights,
  mode: Probe["mode"],
  epsilon: number,
): Float64Array {
  const parameter = (suffix: string) => weights.get(`${node.name}.${suffix}`)!.data;
  switch (node.kind) {
    case "convolution":
      return convolved(node, values.get(node.input)!, parameter);
    case "batch-norm":
      return normalised(values.get(node.input)!, parameter, mode, epsilon);
    case "relu":
      return values.get(node.input)!.data.map((x) => Math.max(x, 0));
    case "add": {
      const [a, b] = node.inputs.map((name) => values.get(name)!.data);
      return a.map((x, i) => x + b[i]);
    }
    case "shortcut-a":
      return shortcut(node, values.get(node.input)!);
    case "max-pool":
      return pooled(node, values.get(node.input)!);
    case "global-average-pool": {
      const { shape: [n, h, w, c], data } = values.get(node.input)!;
      const output = new Float64Array(n * c);
      data.forEach((x, i) => output[Math.floor(i / (h * w * c)) * c + i % c] += x / (h * w));
      return output;
    }
    case "dense": {
      const { shape: [n, inputs], data } = values.get(node.input)!;
      const weight = parameter("weight"), bias = parameter("bias");
      return filled([n, node.units], ([image, unit]) => {
        let sum = bias[unit];
        for (let i = 0; i < inputs; i++) {
          sum += data[image * inputs + i] * weight[unit * inputs + i];
        }
        return sum;
      });
    }
  }
}

/** y[n,h,w,o] = sum over i,j,c of x[n, h s + i - p, w s + j - p, c] * W[o,c,i,j]. */
function convolved(
  { kernel, stride, padding, filters, bias }: ConvolutionSpec,
  x: Doubles,
  parameter: (suffix: string) => Float64Array,
): Float64Array {
  const [n, height, width, channels] = x.shape;
  const weight = parameter("weight");
  const size = (extent: number) => Math.floor((extent + 2 * padding - kernel) / stride) + 1;
  return filled([n, size(height), size(width), filters], ([image, h, w, o]) => {
    let sum = bias ? parameter("bias")[o] : 0;
    for (let i = 0; i < kernel; i++) {
      for (let j = 0; j < kernel; j++) {
        for (let c = 0; c < channels; c++) {
          sum += (pixel(x, image, h * stride + i - padding, w * stride + j - padding, c) ?? 0) *
            weight[((o * channels + c) * kernel + i) * kernel + j];
        }
      }
    }
    return sum;
  });
}

function normalised(
  { shape, data }: Doubles,
  parameter: (suffix: string) => Float64Array,
  mode: Probe["mode"],
  epsilon: number,
): Float64Array {
  const channels = shape[shape.length - 1], count = data.length / channels;
  let mean = parameter("running_mean"), variance = parameter("running_var");
  if (mode === "training") {
    const average = (f: (x: number, c: number) => number) => {
      const sums = new Float64Array(channels);
      data.forEach((x, i) => sums[i % channels] += f(x, i % channels));
      return sums.map((sum) => sum / count);
    };
    const batchMean = average((x) => x);
    [mean, variance] = [batchMean, average((x, c) => (x - batchMean[c]) ** 2)];
  }
  const scale = parameter("weight"), shift = parameter("bias");
  return data.map((x, i) => {
    const c = i % channels;
    return (x - mean[c]) / Math.sqrt(variance[c] + epsilon) * scale[c] + shift[c];
  });
}

function shortcut({ filters, stride, zeroChannels }: ShortcutASpec, x: Doubles): Float64Array {
  const [n, height, width, channels] = x.shape;
  const before = zeroChannels === "split" ? (filters - channels) / 2 : 0;
  const shape = [n, Math.ceil(height / stride), Math.ceil(width / stride), filters];
  return filled(shape, ([image, h, w, o]) => {
    const c = o - before;
    return c >= 0 && c < channels ? pixel(x, image, h * stride, w * stride, c)! : 0;
  });
}

function pooled({ kernel, stride, padding }: MaxPoolSpec, x: Doubles): Float64Array {
  const [n, height, width, channels] = x.shape;
  const size = (extent: number) => Math.floor((extent + 2 * padding - kernel) / stride) + 1;
  return filled([n, size(height), size(width), channels], ([image, h, w, c]) => {
    let largest = -Infinity;
    for (let i = 0; i < kernel; i++) {
      for (let j = 0; j < kernel; j++) {
        const value = pixel(x, image, h * stride + i - padding, w * stride + j - padding, c);
        largest = Math.max(largest, value ?? -Infinity);
      }
    }
    return largest;
  });
}

/** A value, or undefined outside of the image. */
function pixel(x: Doubles, n: number, h: number, w: number, c: number): number | undefined {
  const [, height, width, channels] = x.shape;
  if (h < 0 || h >= height || w < 0 || w >= width) return undefined;
  return x.data[((n * height + h) * width + w) * channels + c];
}

function filled(
  shape: readonly number[],
  valueAt: (index: readonly number[]) => number,
): Float64Array {
  const size = shape.reduce((product, extent) => product * extent, 1);
  return Float64Array.from({ length: size }, (_, i) => {
    const index: number[] = [];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index.unshift(i % shape[axis]);
      i = Math.floor(i / shape[axis]);
    }
    return valueAt(index);
  });
}
