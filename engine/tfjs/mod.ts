/**
 * The oracle engine: TensorFlow.js in plain JavaScript with its own automatic
 * differentiation. Slow, independent of the other engines' kernels, and the
 * reference for every gradient.
 */
import { checkOptions } from "../_arguments.ts";
import type { EngineFactory } from "../engine.ts";
import { type Library, loadPackage } from "./packages/mod.ts";

const NAME = "tfjs-cpu";

/**
 * Makes oracle engines, named `tfjs-cpu`. Steps run within the call of `step`.
 *
 * Source: the package `@tensorflow/tfjs`, CPU backend.
 *
 * @example The gradient of a dense layer's weight is upstream times input.
 * ```ts
 * import { PLAIN_SGD } from "../optimiser.ts";
 * import { tfjsEngine } from "./mod.ts";
 * import { buildGraph } from "../../resnet/mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = buildGraph("one weight", [1, 1, 1], [
 *   { kind: "global-average-pool", name: "pool", input: "input" },
 *   { kind: "dense", name: "linear", input: "pool", units: 1 },
 * ]);
 * const engine = await tfjsEngine.create({
 *   graph,
 *   batchSize: 1,
 *   optimiser: PLAIN_SGD,
 *   batchNorm: { epsilon: 1e-5, momentum: 0.1 },
 *   cropPadding: 0,
 * });
 * const { gradients } = await engine.probe({
 *   input: Float32Array.of(3),
 *   images: 1,
 *   mode: "training",
 *   upstream: Float32Array.of(2),
 * });
 * assertEquals(gradients?.get("linear.weight")?.data, Float32Array.of(6));
 * engine.dispose();
 * ```
 */
export const tfjsEngine: EngineFactory = {
  name: NAME,
  description: "TensorFlow.js in plain JavaScript: slow, the reference for checks",
  async unavailable() {
    try {
      await loadTensorFlow();
    } catch (error) {
      return `@tensorflow/tfjs could not be loaded: ${(error as Error).message}`;
    }
  },
  discouraged: () => Promise.resolve("far slower than the other engines, for checks"),
  async create(options) {
    checkOptions(options);
    const { TfjsEngine } = await import("./_engine.ts");
    return new TfjsEngine(NAME, await loadTensorFlow(), options);
  },
};

async function loadTensorFlow(): Promise<Library> {
  const tf = await loadPackage<Library>("@tensorflow/tfjs");
  tf.enableProdMode(); // its only effect here: no banner on the console
  await tf.setBackend("cpu");
  return tf;
}
