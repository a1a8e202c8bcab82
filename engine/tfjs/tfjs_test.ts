import { assert, assertEquals } from "@std/assert";
import { assertTensorClose } from "../../testing/mod.ts";
import { architecture, shapeOf } from "../../resnet/mod.ts";
import {
  optionsFor,
  oracle,
  prepare,
  probeOnce,
  randomState,
  SMALL_CASES,
  uniform,
  withEngine,
} from "../../testing/engines/mod.ts";
import type { Labels } from "../labels.ts";
import { type Library, loadPackage } from "./packages/mod.ts";
import { defined, type Doubles, type DoubleWeights } from "./_definition.ts";

const EPSILON = 1e-5;

Deno.test("tfjs-cpu agrees with each node's definition, and its gradients with differences", async (t) => {
  for (const testCase of SMALL_CASES) {
    await t.step(testCase.graph.name, async () => {
      const { graph, images, mode } = testCase;
      const { state, probe } = await prepare(testCase);
      const found = await probeOnce(oracle, graph, state, probe);

      const input: Doubles = {
        shape: [images, ...graph.inputShape],
        data: Float64Array.from(probe.input),
      };
      const weights: DoubleWeights = new Map(
        [...state.weights].map((
          [name, { shape, data }],
        ) => [name, { shape, data: Float64Array.from(data) }]),
      );
      const output = defined(graph, weights, input, mode, EPSILON);
      assertEquals(output.shape, [images, ...shapeOf(graph, graph.output)]);
      assertTensorClose(
        found.output,
        Float32Array.from(output.data),
        { relativeNorm: 1e-6 }, // single precision: 24 bits, and sums of at most 500 terms
        "output",
      );

      const objective = (weights: DoubleWeights, input: Doubles): number => {
        const { data } = defined(graph, weights, input, mode, EPSILON);
        return probe.labels
          ? crossEntropy(data, probe.labels)
          : data.reduce((sum, y, i) => sum + y * probe.upstream![i], 0);
      };
      if (probe.labels) {
        assertTensorClose(
          Float32Array.of(found.loss!),
          Float32Array.of(objective(weights, input)),
          { absolute: 0, relative: 1e-6 },
          "loss",
        );
      }

      // Each gradient along a random direction against a central difference.
      const check = (
        name: string,
        gradient: Float32Array | undefined,
        at: (offset: Float64Array) => number,
      ) => {
        assert(gradient, `the gradient of ${name} is missing`);
        const direction = Float64Array.from(uniform(gradient.length, 3000));
        const step = 1e-5; // below the distance to any ReLU's corner or tie of a maximum
        const difference = (at(direction.map((d) => step * d)) -
          at(direction.map((d) => -step * d))) / (2 * step);
        const product = gradient.reduce((sum, g, i) => sum + g * direction[i], 0);
        const scale = Math.hypot(...gradient) * Math.hypot(...direction);
        assert(
          Math.abs(product - difference) <= 1e-6 * scale + 1e-9,
          `gradient of ${name} along a direction: expected ${difference}, found ${product}`,
        );
      };
      const plus = (values: Doubles, offset: Float64Array): Doubles => ({
        shape: values.shape,
        data: values.data.map((value, i) => value + offset[i]),
      });
      check("the input", found.inputGradient, (d) => objective(weights, plus(input, d)));
      for (const [name, gradient] of found.gradients!) {
        check(name, gradient.data, (d) => {
          return objective(new Map([...weights, [name, plus(weights.get(name)!, d)]]), input);
        });
      }
    });
  }
});

function crossEntropy(logits: Float64Array, labels: Labels): number {
  const classes = logits.length / labels.length;
  return Array.from(labels).reduce((sum, label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    return sum + Math.log(row.reduce((total, z) => total + Math.exp(z), 0)) - row[label];
  }, 0) / labels.length;
}

Deno.test("tfjs-cpu keeps no tensor after a call", async () => {
  const graph = architecture("resnet8", { inputShape: [4, 4, 3] });
  const pixels = new Uint8Array(2 * 4 * 4 * 3).map((_, i) => i);
  const images = {
    count: 2,
    height: 4,
    width: 4,
    channels: 3,
    classes: 10,
    pixels,
    labels: Uint8Array.of(3, 7),
  };
  const normalisation = {
    scale: 1 / 255,
    mean: new Float32Array(48),
    std: Float32Array.of(1, 1, 1),
    beforePadding: true,
  };
  const plan = {
    indices: Uint32Array.of(0, 1),
    cropY: new Uint8Array(2),
    cropX: new Uint8Array(2),
    flip: new Uint8Array(2),
  };
  await withEngine(oracle, optionsFor(graph), async (engine) => {
    await engine.load({ train: images, test: images, normalisation });
    await engine.importState(randomState(graph));
    const tf = await loadPackage<Library>("@tensorflow/tfjs");
    const before = tf.memory().numTensors;
    engine.step(plan, 0.1);
    assertEquals(tf.memory().numTensors, before);
    await engine.evaluate("test");
    assertEquals(tf.memory().numTensors, before);
    await engine.probe({
      input: new Float32Array(48),
      images: 1,
      mode: "training",
      labels: Uint8Array.of(1),
    });
    assertEquals(tf.memory().numTensors, before);
  });
});
