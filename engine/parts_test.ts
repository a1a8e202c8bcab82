/** Batch norm over parts of a batch in every engine, against PyTorch. */
import { assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { testEveryEngine, withEngine } from "../testing/engines/mod.ts";
import { AVERAGES, PARTS_VALUES } from "./_parts_values.ts";
import {
  BATCH,
  data,
  draws,
  firstState,
  LEARNING_RATE,
  OPTIONS,
  plan,
  SUBSTREAM,
} from "./_self_test_case.ts";
import type { Fingerprint } from "./_self_test_values.ts";
import { type Engine, EngineError } from "./engine.ts";
import { strictAverages } from "./strict_averages.ts";
import { wasmEngine } from "./wasm/mod.ts";

const PATTERN = draws(SUBSTREAM.pattern, 64 * 64 * 9, 0, 1);

/** Largest difference from an expected norm and projection, relative to the norm. */
function difference(found: Float32Array, [norm, projection]: Fingerprint): number {
  let squares = 0, product = 0;
  found.forEach((value, i) => {
    squares += value * value;
    product += value * PATTERN[i];
  });
  return Math.max(Math.abs(Math.sqrt(squares) - norm), Math.abs(product - projection)) / norm;
}

async function twoSteps(engine: Engine) {
  await engine.load(data());
  await engine.importState(firstState());
  engine.step(plan(0), LEARNING_RATE);
  engine.step(plan(BATCH), LEARNING_RATE);
  return { metrics: await engine.metrics(), state: await engine.exportState() };
}

for (const { images, losses, weights, momentum } of PARTS_VALUES) {
  await testEveryEngine(
    `two steps with batch norm over parts of ${images} of ${BATCH} images as PyTorch takes them`,
    (factory) =>
      withEngine(
        factory,
        { ...OPTIONS, batchNormImages: images, convolution: "direct" },
        async (engine) => {
          const { metrics, state } = await twoSteps(engine);
          assertEquals(metrics.map(({ images }) => images), [BATCH, BATCH]);
          losses.forEach((loss, i) => assertAlmostEquals(metrics[i].loss, loss, 1e-5 * loss));
          const velocity = state.slots.get("velocity")!;
          for (const [arrays, expected] of [[state.weights, weights], [velocity, momentum]]) {
            for (const [name, fingerprint] of Object.entries(expected)) {
              const found = difference(
                (arrays as typeof velocity).get(name)!.data,
                fingerprint as Fingerprint,
              );
              if (!(found < 1e-5)) throw new Error(`${name} differs by ${found} of its norm`);
            }
          }
        },
      ),
  );
}

await testEveryEngine(
  "batch norm over a whole batch in one part changes no bit",
  async (factory) => {
    const end = (options: object) =>
      withEngine(factory, { ...OPTIONS, ...options }, async (engine) => await twoSteps(engine));
    const whole = await end({});
    assertEquals(await end({ batchNormImages: BATCH }), whole);
  },
);

await testEveryEngine(
  "statistics as strict averages over batches are those of PyTorch's update_bn, the weights as they were",
  async (factory) => {
    const { state, parts } = await strictAverages({
      ...{ factory, options: { ...OPTIONS, convolution: "direct" }, data: data() },
      ...{ state: firstState(), plans: [plan(0), plan(BATCH)] },
    });
    assertEquals(parts, 2);
    const before = firstState().weights;
    for (const [name, { data }] of state.weights) {
      if (!(name in AVERAGES)) {
        assertEquals(data, before.get(name)!.data, name);
        continue;
      }
      const found = difference(data, AVERAGES[name]);
      if (!(found < 1e-5)) throw new Error(`${name} differs by ${found} of its norm`);
    }
  },
);

Deno.test("parts of no images are refused", async () => {
  await assertRejects(
    () => wasmEngine.create({ ...OPTIONS, batchNormImages: 0 }),
    EngineError,
    "batchNormImages must be a whole number from 1, found 0",
  );
});
