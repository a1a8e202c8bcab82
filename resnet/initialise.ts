/**
 * The state before the first step. Source: He, Zhang, Ren, Sun, "Delving Deep
 * into Rectifiers", 2015 (reference [13] of the paper), equations 10 and 14.
 */
import { RandomStream } from "../random/mod.ts";
import { type Graph, parametersOf, type ParameterSpec, sizeOf } from "./graph.ts";
import type { Weights } from "./weights.ts";

/**
 * He initialisation: every kernel is drawn from a normal distribution with mean
 * 0 and standard deviation sqrt(2 / fan). Batch normalisation starts as the
 * identity (scale 1, shift 0; running mean 0, running variance 1), biases as 0.
 *
 * @param graph The network.
 * @param seed A whole number from 0 to 2^32 - 1. Each kernel has a random
 *   sequence of its own, given by the seed and its position among the parameters.
 * @param fan `in`: kernel height x kernel width x input channels, which keeps the
 *   variance of activations. `out`: the same with output channels, which keeps
 *   that of gradients.
 * @param lastLayer How kernels of dense layers start: as the others, or as libraries start them,
 *   uniformly within 1 / sqrt(inputs) of 0, as fb.resnet.torch has it.
 * @returns Every array of the graph, in graph order.
 * @throws {RangeError} If the seed is out of range.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { initialise } from "./initialise.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 *
 * const weights = initialise(architecture("resnet20"), 1, "in");
 * const { shape, data } = weights.get("layer3.0.conv2.weight")!;
 * assertEquals(shape, [64, 64, 3, 3]);
 * const variance = data.reduce((sum, w) => sum + w * w, 0) / data.length;
 * assertAlmostEquals(variance, 2 / (3 * 3 * 64), 1e-4);
 * ```
 */
export function initialise(
  graph: Graph,
  seed: number,
  fan: "in" | "out",
  lastLayer: "he-normal" | "library" = "he-normal",
): Weights {
  return new Map(
    parametersOf(graph).map((parameter, index) => {
      const random = new RandomStream(seed, "initialisation", index);
      const { name, shape } = parameter;
      return [name, { shape, data: initialValues(parameter, random, fan, lastLayer) }];
    }),
  );
}

/**
 * Zeros for every trainable parameter: what an optimiser keeps before the first step.
 *
 * @returns The trainable arrays of the graph, in graph order.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { zeros } from "./initialise.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const momentum = zeros(architecture("resnet20"));
 * assertEquals(momentum.has("bn1.weight"), true);
 * assertEquals(momentum.has("bn1.running_mean"), false);
 * ```
 */
export function zeros(graph: Graph): Weights {
  return new Map(
    parametersOf(graph)
      .filter(({ trainable }) => trainable)
      .map(({ name, shape }) => [name, { shape, data: new Float32Array(sizeOf(shape)) }]),
  );
}

function initialValues(
  { role, shape }: ParameterSpec,
  random: RandomStream,
  fan: "in" | "out",
  lastLayer: "he-normal" | "library",
): Float32Array {
  const data = new Float32Array(sizeOf(shape));
  switch (role) {
    case "kernel": {
      const [outputs, inputs, ...window] = shape; // [O, I, H, W] or [O, I]
      if (window.length === 0 && lastLayer === "library") {
        return data.map(() => (2 * random.uniform() - 1) / Math.sqrt(inputs));
      }
      const std = Math.sqrt(2 / (sizeOf(window) * (fan === "in" ? inputs : outputs)));
      return data.map(() => std * random.normal());
    }
    case "bn-scale":
    case "bn-variance":
      return data.fill(1);
    case "bias":
    case "bn-shift":
    case "bn-mean":
      return data;
  }
}
