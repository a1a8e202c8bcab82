/** What the engine tests for all engines do not ask: native memory, TensorFlow.js itself, refusals. */
import { PLAIN_SGD } from "../optimiser.ts";
import { assert, assertEquals, assertRejects } from "@std/assert";
import * as util from "node:util";
import { architecture } from "../../resnet/mod.ts";
import { assertTensorClose } from "../../testing/mod.ts";
import {
  optionsFor,
  planFor,
  randomData,
  randomState,
  testEveryEngine,
  uniform,
  withEngine,
} from "../../testing/engines/mod.ts";
import { EngineError } from "../engine.ts";
import { type Library, loadPackage, type Tensor } from "../tfjs/packages/mod.ts";
import { checkComputation, loadBackend, obstacleTo, registerTensorFlowJs } from "./_backend.ts";
import { TensorFlowEngine } from "./_engine.ts";
import { COMPOSED, FUSED } from "./_training_kernels.ts";
import { tensorflowEngine } from "./mod.ts";

const ENGINES = [tensorflowEngine];
const GRAPH = architecture("resnet8", { inputShape: [8, 8, 3], shortcut: "A" });
const PADDING = 2;

await testEveryEngine("every call leaves as many native tensors as it found", async (factory) => {
  const options = optionsFor(GRAPH, { cropPadding: PADDING });
  const { binding } = await loadBackend("cpu");
  const outside = binding.getNumOfTensors();
  await withEngine(factory, options, async (engine) => {
    await engine.load(randomData(GRAPH));
    await engine.importState(randomState(GRAPH));
    const probe = {
      input: uniform(4 * 8 * 8 * 3, 2000),
      images: 4,
      mode: "training",
      labels: Uint8Array.of(4, 2, 0, 1),
    } as const;
    const calls: Record<string, () => unknown> = {
      step: async () => {
        engine.step(planFor([0, 1, 2, 3], PADDING), 0.1);
        engine.step(planFor([4, 5, 6, 7], PADDING), 0.1);
        await engine.metrics();
      },
      evaluate: () => engine.evaluate("test"),
      probe: () => engine.probe(probe),
      augmented: () => engine.augmented(planFor([0, 1], PADDING)),
      importState: () => engine.importState(randomState(GRAPH)),
      exportState: () => engine.exportState(),
    };
    for (const [name, call] of Object.entries(calls)) {
      await call(); // makes the constants that stay
      const before = binding.getNumOfTensors();
      for (let i = 0; i < 3; i++) await call();
      assertEquals(binding.getNumOfTensors(), before, name);
    }
    const before = binding.getNumOfTensors();
    engine.step(planFor([0, 1, 2, 3], PADDING), 0.1);
    assertEquals(binding.getNumOfTensors(), before + 1, "a step waits with its logits alone");
  });
  assertEquals(binding.getNumOfTensors(), outside, "an engine that was disposed of");
}, ENGINES);

await testEveryEngine("the fused operations do what their composition does", async () => {
  const cases = [
    { momentum: 0.1, nesterov: false },
    { momentum: 0.1, nesterov: true },
    { momentum: 1, nesterov: false }, // nothing of the running statistics is left
  ];
  for (const { momentum, nesterov } of cases) {
    const options = optionsFor(GRAPH, {
      cropPadding: PADDING,
      batchNorm: { epsilon: 1e-5, momentum },
      optimiser: { ...PLAIN_SGD, momentum: 0.9, nesterov, weightDecay: 1e-4, decayed: "kernels" },
    });
    const [fused, composed] = await Promise.all([FUSED, COMPOSED].map(async (kernels) => {
      const engine = new TensorFlowEngine("", await loadBackend("cpu"), options, kernels);
      try {
        await engine.load(randomData(GRAPH));
        await engine.importState(randomState(GRAPH));
        engine.step(planFor([0, 1, 2, 3], PADDING), 0.01);
        engine.step(planFor([4, 5, 6], PADDING), 0.01);
        const { weights, slots } = await engine.exportState();
        return { weights, velocity: slots.get("velocity")! };
      } finally {
        engine.dispose();
      }
    }));
    for (const part of ["weights", "velocity"] as const) {
      for (const [name, { data }] of fused[part]) {
        // Rounding of sums in another order, through two steps of a network.
        assertTensorClose(
          data,
          composed[part].get(name)!.data,
          { relativeNorm: 1e-4 },
          `${part} of ${name}`,
        );
      }
    }
  }
}, ENGINES);

await testEveryEngine("computes on the device", async () => {
  checkComputation(await loadBackend("cpu"));
}, ENGINES);

await testEveryEngine("TensorFlow.js itself runs on the library, with its gradients", async () => {
  await registerTensorFlowJs(await loadBackend("cpu"));
  const tf = await loadPackage<Library>("@tensorflow/tfjs");
  const differentiated = () =>
    tf.tidy(() => {
      const image = tf.tensor(uniform(2 * 5 * 5 * 3, 1), [2, 5, 5, 3]);
      const kernel = tf.tensor(uniform(3 * 3 * 3 * 4, 2), [3, 3, 3, 4]);
      const loss = (x: Tensor, w: Tensor) => tf.conv2d(x, w, 1, "same").relu().square().sum();
      return tf.grads(loss)([image, kernel]).map((gradient) => gradient.dataSync().slice());
    });
  await tf.setBackend("cpu");
  const expected = differentiated();
  await tf.setBackend("tensorflow");
  try {
    const found = differentiated();
    found.forEach((gradient, i) => {
      assertTensorClose(gradient, expected[i], { relativeNorm: 1e-6 }, `gradient ${i}`);
    });
  } finally {
    await tf.setBackend("cpu");
  }
}, ENGINES);

await testEveryEngine(
  "one process holds one library, with one number of threads",
  async (factory) => {
    const { threads } = await loadBackend("cpu");
    const others = optionsFor(GRAPH, { threads: threads + 1 });
    await assertRejects(
      () => factory.create(others),
      EngineError,
      `asked for ${threads + 1}, it has ${threads}; start with TF_NUM_INTRAOP_THREADS`,
    );
    const obstacle = await obstacleTo("gpu");
    assert(obstacle?.includes("has that for the CPU"), obstacle);
  },
  ENGINES,
);

Deno.test("the workaround for util is still needed", () => {
  assert(
    !("isNullOrUndefined" in { ...util }),
    "the runtime has util.isNullOrUndefined again: take restoreUtil out of _workarounds.ts",
  );
});
