/** What one training step does, derived by hand. */
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { architecture, buildGraph, parametersOf, type Tensor } from "../../resnet/mod.ts";
import { assertTensorClose } from "../../testing/mod.ts";
import {
  optionsFor,
  planFor,
  randomData,
  randomState,
  testEveryEngine,
  withEngine,
} from "../../testing/engines/mod.ts";
import { type ByteImages, type EngineData, PLAIN_SGD, type SgdSettings } from "../../engine/mod.ts";

/** Single precision on numbers of about 1. */
const ROUNDING = { absolute: 2e-7, relative: 2e-7 };

const ONE_PIXEL = buildGraph("one pixel, two classes", [1, 1, 1], [
  { kind: "global-average-pool", name: "pool", input: "input" },
  { kind: "dense", name: "linear", input: "pool", units: 2 },
]);

/** Images of given bytes that reach the network as they are, with label 0. */
function rawData(shape: readonly [number, number, number], bytes: readonly number[]): EngineData {
  const [height, width, channels] = shape;
  const count = bytes.length / (height * width * channels);
  const images: ByteImages = {
    count,
    height,
    width,
    channels,
    classes: 2,
    pixels: Uint8Array.from(bytes),
    labels: new Uint8Array(count),
  };
  const normalisation = {
    scale: 1,
    mean: new Float32Array(height * width * channels),
    std: new Float32Array(channels).fill(1),
    beforePadding: true,
  };
  return { train: images, test: images, normalisation };
}

/**
 * Two steps at rate 0.5 with momentum 0.9 on x = 2 with label 0, from weights
 * (0.5, 0.5) and biases (0.2, 0.2). By hand, for class 0; class 1 mirrors it:
 *
 * - Step 1: both logits are 1.2, p = 1/2, so dL/dw = (p0 - 1) x = -1 and
 *   dL/db = -0.5; decay adds 0.1 * 0.5 = 0.05 and 0.1 * 0.2 = 0.02.
 *   Plain: v = -1, w = 0.5 + 0.5 * 1 = 1; v_b = -0.5, b = 0.45.
 *   Nesterov: w = 0.5 + 0.5 * (1 + 0.9) = 1.45, b = 0.2 + 0.5 * 0.95 = 0.675.
 * - Step 2, plain: z0 - z1 = 2 * 1 + 0.5 = 2.5, p1 = 1 / (1 + e^2.5) =
 *   0.07585818, dL/dw = -0.15171636, v = -0.9 - 0.15171636, w = 1 - 0.5 v.
 *   Nesterov: z0 - z1 = 2 * 1.9 + 0.95 = 4.75, p1 = 0.00857748,
 *   g = -0.01715497, v = -0.9 + g, w = 1.45 - 0.5 (g + 0.9 v).
 * - Decay moves both classes alike in step 1, so step 2's logits keep their
 *   distance; then e.g. w0 = 0.975 after step 1 and
 *   v = 0.9 * -0.95 - 0.15171636 + 0.0975 = -0.90921636.
 */
const SGD_CASES: readonly {
  readonly name: string;
  readonly sgd: Partial<SgdSettings>;
  readonly weight: readonly [number, number];
  readonly bias: readonly [number, number];
  readonly weightMomentum: readonly [number, number];
  readonly biasMomentum: readonly [number, number];
  readonly secondLoss: number;
}[] = [
  {
    name: "momentum",
    sgd: { weightDecay: 0 },
    weight: [1.52585818, -0.52585818],
    bias: [0.71292909, -0.31292909],
    weightMomentum: [-1.05171636, 1.05171636],
    biasMomentum: [-0.52585818, 0.52585818],
    secondLoss: 0.07888973, // ln(1 + e^-2.5)
  },
  {
    name: "Nesterov momentum",
    sgd: { weightDecay: 0, nesterov: true },
    weight: [1.87129722, -0.87129722],
    bias: [0.88564861, -0.48564861],
    weightMomentum: [-0.91715497, 0.91715497],
    biasMomentum: [-0.45857749, 0.45857749],
    secondLoss: 0.00861448, // ln(1 + e^-4.75)
  },
  {
    name: "weight decay on all",
    sgd: { weightDecay: 0.1 },
    weight: [1.42960818, -0.57210818],
    bias: [0.67192909, -0.32892909],
    weightMomentum: [-0.90921636, 1.09421636],
    biasMomentum: [-0.46385818, 0.53785818],
    secondLoss: 0.07888973,
  },
  {
    name: "weight decay on kernels alone",
    sgd: { weightDecay: 0.1, decayed: "kernels" },
    weight: [1.42960818, -0.57210818],
    bias: [0.71292909, -0.31292909],
    weightMomentum: [-0.90921636, 1.09421636],
    biasMomentum: [-0.52585818, 0.52585818],
    secondLoss: 0.07888973,
  },
];

await testEveryEngine("two steps of SGD come out as derived by hand", async (factory, t) => {
  for (const expected of SGD_CASES) {
    await t.step(expected.name, async () => {
      const optimiser: SgdSettings = { ...PLAIN_SGD, momentum: 0.9, ...expected.sgd };
      const state = await withEngine(
        factory,
        optionsFor(ONE_PIXEL, { optimiser }),
        async (engine) => {
          await engine.load(rawData([1, 1, 1], [2]));
          const arrays = (weight: number, bias: number): [string, Tensor][] => [
            ["linear.weight", { shape: [2, 1], data: Float32Array.of(weight, weight) }],
            ["linear.bias", { shape: [2], data: Float32Array.of(bias, bias) }],
          ];
          await engine.importState({
            iteration: 0,
            weights: new Map(arrays(0.5, 0.2)),
            slots: new Map([["velocity", new Map(arrays(0, 0))]]),
          });
          engine.step(planFor([0], 0), 0.5);
          engine.step(planFor([0], 0), 0.5);
          const metrics = await engine.metrics();
          assertEquals(
            metrics.map(({ iteration, learningRate, images, errors }) => {
              return { iteration, learningRate, images, errors };
            }),
            [
              { iteration: 1, learningRate: 0.5, images: 1, errors: 0 }, // a tie: the first class wins
              { iteration: 2, learningRate: 0.5, images: 1, errors: 0 },
            ],
          );
          assertAlmostEquals(metrics[0].loss, Math.LN2, 1e-6); // without the decay's term
          assertAlmostEquals(metrics[1].loss, expected.secondLoss, 1e-6);
          assertEquals(await engine.metrics(), []);
          return await engine.exportState();
        },
      );
      assertEquals(state.iteration, 2);
      const { weights } = state, velocity = state.slots.get("velocity")!;
      const close = (found: Tensor | undefined, values: readonly number[], what: string) =>
        assertTensorClose(found?.data, Float32Array.from(values), ROUNDING, what);
      close(weights.get("linear.weight"), expected.weight, "weight");
      close(weights.get("linear.bias"), expected.bias, "bias");
      close(velocity.get("linear.weight"), expected.weightMomentum, "velocity of the weight");
      close(velocity.get("linear.bias"), expected.biasMomentum, "velocity of the bias");
    });
  }
});

await testEveryEngine(
  "a step with a zero gradient leaves w (1 - rate * decay) of what decays, and the rest alone",
  async (factory, t) => {
    const graph = architecture("resnet8", { inputShape: [4, 4, 3] });
    const rate = 0.1, weightDecay = 0.01;
    for (const decayed of ["all", "kernels"] as const) {
      await t.step(`decay on ${decayed}`, async () => {
        const optimiser: SgdSettings = { ...PLAIN_SGD, momentum: 0.9, weightDecay, decayed };
        const before = randomState(graph);
        // With linear.weight = 0 nothing flows back to the layers before it.
        before.weights.get("linear.weight")!.data.fill(0);
        for (const { data } of before.slots.get("velocity")!.values()) data.fill(0);
        const after = await withEngine(
          factory,
          optionsFor(graph, { optimiser }),
          async (engine) => {
            await engine.load(randomData(graph));
            await engine.importState(before);
            engine.step(planFor([0, 1, 2, 3], 0), rate);
            return await engine.exportState();
          },
        );
        for (const { name, role, trainable } of parametersOf(graph)) {
          if (!trainable || name.startsWith("linear.")) continue;
          const decays = decayed === "all" || role === "kernel";
          const expected = before.weights.get(name)!.data.map((w) =>
            decays ? w * (1 - rate * weightDecay) : w
          );
          const tolerance = { absolute: 0, relative: decays ? 2 ** -22 : 0 };
          assertTensorClose(after.weights.get(name)?.data, expected, tolerance, name);
        }
      });
    }
  },
);

await testEveryEngine(
  "running statistics move by the momentum towards the batch's mean and unbiased variance",
  async (factory) => {
    const graph = buildGraph("batch norm", [2, 1, 1], [
      { kind: "batch-norm", name: "bn", input: "input" },
      { kind: "global-average-pool", name: "pool", input: "bn" },
      { kind: "dense", name: "linear", input: "pool", units: 2 },
    ]);
    const batchNorm = { epsilon: 1e-5, momentum: 0.25 };
    const start = randomState(graph);
    start.weights.get("bn.running_mean")!.data[0] = 10;
    start.weights.get("bn.running_var")!.data[0] = 2;
    const { weights } = await withEngine(
      factory,
      optionsFor(graph, { batchNorm }),
      async (engine) => {
        await engine.load(rawData([2, 1, 1], [1, 2, 3, 6]));
        await engine.importState(start);
        engine.step(planFor([0, 1], 0), 0.1);
        return await engine.exportState();
      },
    );
    // 1, 2, 3, 6: mean 3, squared deviations 4 + 1 + 0 + 9 = 14, so 14 / 3 unbiased.
    const statistics = {
      "bn.running_mean": 0.75 * 10 + 0.25 * 3,
      "bn.running_var": 0.75 * 2 + 0.25 * 14 / 3,
    };
    for (const [name, expected] of Object.entries(statistics)) {
      assertTensorClose(
        weights.get(name)?.data,
        Float32Array.of(expected),
        { absolute: 0, relative: 1e-6 },
        name,
      );
    }
  },
);
