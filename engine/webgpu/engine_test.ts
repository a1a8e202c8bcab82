import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { architecture, buildGraph } from "../../resnet/mod.ts";
import { assertTensorClose } from "../../testing/mod.ts";
import {
  optionsFor,
  planFor,
  randomData,
  randomState,
  SMALL_CASES,
  withEngine,
} from "../../testing/engines/mod.ts";
import { type Engine, EngineError, type EngineFactory, type TrainingState } from "../engine.ts";
import { wasmEngine } from "../wasm/mod.ts";
import { type Gpu, openGpu } from "./_device.ts";
import { WebGpuEngine } from "./_engine.ts";
import { normalisationSize, normalisationValues, storeSet, wordsOf } from "./_images.ts";
import { writeProgram } from "./_program.ts";
import { whole } from "./_storage.ts";
import { GUARANTEED, testKernel } from "./_testing.ts";
import { profileStep, webgpuEngine } from "./mod.ts";

const graph = architecture("resnet8", { inputShape: [8, 8, 3] });
const options = optionsFor(graph, { batchSize: 8, cropPadding: 1 });
const limits = { ...GUARANTEED, largestBuffer: 2 ** 27 };
const RATE = 0.001;

Deno.test("webgpu: a step of ResNet-32 is 183 launches, one to read its images, 11 a block", () => {
  const launches = (name: string) => {
    const program = writeProgram(optionsFor(architecture(name), { batchSize: 128 }), limits);
    const { training, loss, backward, update } = program;
    return 1 + [training, loss, backward, update].flat().length;
  };
  assertEquals(launches("resnet32"), 183);
  assertEquals(launches("resnet32") - launches("resnet26"), 3 * 11);
});

Deno.test("webgpu: no launch writes a buffer that it also reads", () => {
  const nets = (["resnet20", "plain20", "resnet34"] as const).map((name) => architecture(name));
  for (const graph of [...nets, ...SMALL_CASES.map(({ graph }) => graph)]) {
    const { name } = graph;
    const program = writeProgram(optionsFor(graph, { batchSize: 4 }), limits);
    const { training, inference, runningStatistics, loss, backwardToInput, update } = program;
    const all = [training, inference, runningStatistics, loss, backwardToInput, update].flat();
    for (const { kernel, slices } of all) {
      const written = slices.filter((_, i) => writes(kernel.code, i + 1));
      for (const { storage } of written) {
        const uses = slices.filter((slice, i) =>
          slice.storage === storage && !writes(kernel.code, i + 1)
        );
        assertEquals(uses.length, 0, `${name}, ${kernel.label}: ${storage.label}`);
      }
    }
  }
});

function writes(code: string, binding: number): boolean {
  const declared = new RegExp(`@binding\\(${binding}\\) var<storage, (\\w+)>`).exec(code);
  assert(declared, `binding ${binding} is declared`);
  return declared[1] === "read_write";
}

Deno.test("webgpu: gradients that one binding can't hold are divided between buffers", () => {
  const resnet20 = optionsFor(architecture("resnet20"), { batchSize: 128 });
  const updates = (largestBuffer: number) =>
    writeProgram(resnet20, { ...limits, largestBuffer }).update;
  assertEquals(updates(2 ** 27).length, 1);
  const divided = updates(2 ** 24);
  assert(divided.length > 1);
  for (const { slices } of divided) {
    for (const { size } of slices) assert(size <= 2 ** 24);
  }
});

Deno.test("webgpu: a set larger than a binding is divided between its images", () => {
  const { train } = randomData(architecture("resnet8", { inputShape: [1, 1, 3] }), 7);
  const slice = whole({ label: "", bytes: 0 });
  const { parts } = storeSet("training", train, 12, {
    cropPadding: 0,
    beforePadding: true,
    ...{ normalisation: slice, batchPlan: slice, input: slice },
  });
  assertEquals(parts.map(({ first, count }) => [first, count]), [[0, 3], [3, 3], [6, 1]]);
  const bytes = parts.flatMap((part) => [
    ...new Uint8Array(wordsOf(train, part).buffer).subarray(0, 3 * part.count),
  ]);
  assertEquals(bytes, [...train.pixels]);
});

Deno.test("webgpu: the mean of an image of 224 x 224 is written whole", () => {
  const [mean, std] = [new Float32Array(224 * 224 * 3).fill(0.5), Float32Array.of(2, 3, 4)];
  mean[mean.length - 1] = 0.25;
  const values = normalisationValues({ scale: 1, mean, std, beforePadding: true });
  assertEquals(values.length, normalisationSize([224, 224, 3]));
  assertEquals([values[0], values[1], ...values.slice(-4)], [1, 0.5, 0.25, 2, 3, 4]);
});

testKernel(
  "a set in several buffers trains to the same bits as one in a single buffer",
  async () => {
    const run = async (maxStorageBufferBindingSize?: number) => {
      const open = async (): Promise<Gpu> => {
        const gpu = await openGpu();
        if (maxStorageBufferBindingSize === undefined) return gpu;
        return { ...gpu, limits: limitsOf(gpu, { maxStorageBufferBindingSize }) };
      };
      const data = randomData(graph, 14_000);
      return await withEngine(factoryOf(open), options, async (engine) => {
        await engine.load(data);
        await engine.importState(randomState(graph));
        engine.step(planFor([0, 13_999, 2, 13_020, 13_021, 5, 13_019, 7], 1), RATE);
        const { logits } = await engine.evaluate("train", Uint32Array.of(13_999, 0, 13_020));
        return { state: await engine.exportState(), logits };
      });
    };
    // 14,000 images take 2,688,000 bytes: 13,020 fit. No gradient takes as much.
    assertEquals(await run(2_500_000), await run());
  },
);

testKernel("follows the wasm engine, and each goes on where the other stopped", async () => {
  const plans = [[0, 1, 2, 3, 4, 5, 6, 7], [7, 5, 3, 1, 0, 2, 4, 6], [1, 1, 2, 2]]
    .map((indices) => planFor(indices, 1));
  const go = (factory: EngineFactory, from: TrainingState) =>
    withEngine(factory, options, async (engine) => {
      await engine.load(randomData(graph));
      await engine.importState(from);
      for (const plan of plans) engine.step(plan, RATE);
      const losses = (await engine.metrics()).map(({ loss }) => loss);
      return { state: await engine.exportState(), losses };
    });
  const start = randomState(graph);
  const ours = await go(webgpuEngine, start);
  const theirs = await go(wasmEngine, start);
  assertClose(ours, theirs);
  assertClose(await go(wasmEngine, ours.state), await go(webgpuEngine, theirs.state));

  function assertClose(found: typeof ours, expected: typeof ours): void {
    const tolerance = { relativeNorm: 1e-4 }; // rounding of three steps
    assertEquals(found.state.iteration, expected.state.iteration);
    assertTensorClose(
      Float32Array.from(found.losses),
      Float32Array.from(expected.losses),
      tolerance,
      "losses",
    );
    for (const [name, tensor] of expected.state.weights) {
      assertTensorClose(found.state.weights.get(name), tensor, tolerance, name);
    }
    const [ours, theirs] = [found, expected].map(({ state }) => state.slots.get("velocity")!);
    for (const [name, tensor] of theirs) {
      assertTensorClose(ours.get(name), tensor, tolerance, `velocity of ${name}`);
    }
  }
});

testKernel("metrics of more steps than the device holds come all, in order", async () => {
  const steps = 1030;
  const linear = buildGraph("linear", [1, 1, 3], [
    { kind: "global-average-pool", name: "pool", input: "input" },
    { kind: "dense", name: "linear", input: "pool", units: 10 },
  ]);
  await withEngine(webgpuEngine, optionsFor(linear), async (engine) => {
    await engine.load(randomData(linear));
    await engine.importState(randomState(linear));
    const { logits } = await engine.evaluate("train");
    // The images in turn, at rates that change nothing.
    for (let i = 1; i <= steps; i++) engine.step(planFor([i % 8], 0), 1e-12 * i);
    const metrics = await engine.metrics();
    assertEquals(metrics.length, steps);
    metrics.forEach(({ iteration, learningRate, loss }, i) => {
      assertEquals([iteration, learningRate], [i + 1, 1e-12 * (i + 1)]);
      const image = (i + 1) % 8, label = (3 * image + 1) % 10;
      const row = logits.subarray(10 * image, 10 * image + 10);
      const expected = Math.log(row.reduce((sum, z) => sum + Math.exp(z - row[label]), 0));
      assertAlmostEquals(loss, expected, 1e-5);
    });
  });
});

testKernel("a batch that no buffer can hold is refused with the largest that fits", async () => {
  const open = async (): Promise<Gpu> => {
    const gpu = await openGpu();
    return { ...gpu, limits: limitsOf(gpu, { maxBufferSize: 2_500_000 }) };
  };
  const create = (batchSize: number) =>
    WebGpuEngine.create("webgpu", { ...options, batchSize }, open);
  const { message } = await assertRejects(() => create(1000), EngineError);
  assertStringIncludes(message, "at batch 1000 does not fit on");
  // An activation of 8 x 8 x 16 floats takes 4,096 bytes an image.
  assertStringIncludes(message, "the largest batch that fits is 610");
  (await create(610)).dispose();
  await assertRejects(() => create(611), EngineError, "is 610");
});

testKernel("memory that the device refuses is an error that names the largest batch", async () => {
  const open = async (): Promise<Gpu> => {
    const gpu = await openGpu();
    const { device } = gpu;
    const create = device.createBuffer.bind(device);
    let left = 8_000_000;
    device.createBuffer = (descriptor) => {
      const { size } = descriptor;
      // What no device gives, so that it refuses as it does when it is full.
      if (size > left) return create({ ...descriptor, size: 2 ** 50 });
      const buffer = create(descriptor);
      left -= size;
      const destroy = buffer.destroy.bind(buffer);
      buffer.destroy = () => {
        left += size;
        return destroy();
      };
      return buffer;
    };
    return gpu;
  };
  const create = (batchSize: number) =>
    WebGpuEngine.create("webgpu", { ...options, batchSize }, open);
  const { message } = await assertRejects(() => create(1000), EngineError);
  assertStringIncludes(message, "more than the device has free");
  const largest = Number(/the largest batch that fits is (\d+)/.exec(message)?.[1]);
  (await create(largest)).dispose();
  await assertRejects(() => create(largest + 1), EngineError, `is ${largest}:`);
});

testKernel("a lost device ends the engine with the driver's words", async () => {
  let lose: (info: { reason: string; message: string }) => void = () => {};
  const open = async (): Promise<Gpu> => {
    const gpu = await openGpu();
    const lost = new Promise((resolve) => lose = resolve);
    Object.defineProperty(gpu.device, "lost", { value: lost });
    return gpu;
  };
  await withEngine(factoryOf(open), options, async (engine) => {
    await engine.load(randomData(graph));
    engine.step(planFor([0, 1], 1), RATE);
    lose({ reason: "unknown", message: "it hung" });
    await assertRejects(() => engine.metrics(), EngineError, "the GPU was lost: it hung");
    await assertRejects(() => engine.exportState(), EngineError, "the GPU was lost: it hung");
  });
});

testKernel("a profile has an entry for every launch, and takes its steps", async () => {
  await withEngine(webgpuEngine, options, async (engine) => {
    await engine.load(randomData(graph));
    await engine.importState(randomState(graph));
    const plans = [planFor([0, 1, 2], 1), planFor([3, 4, 5], 1)];
    const { dispatches, kernels, encodeMilliseconds } = await profileStep(engine, plans, RATE);
    const { training, loss, backward, update } = writeProgram(options, limits);
    assertEquals(dispatches, 1 + [training, loss, backward, update].flat().length);
    assertEquals(kernels.length, dispatches);
    assert(encodeMilliseconds > 0);
    assert(kernels.every(({ bytes }) => bytes > 0));
    assert(kernels.every(({ nanoseconds }) => nanoseconds === undefined || nanoseconds > 0));
    const { iteration } = await engine.exportState();
    assertEquals(iteration % plans.length, 0);
    assert(iteration >= plans.length);
  });
});

Deno.test("profiling another engine is refused by name", async () => {
  await withEngine(wasmEngine, options, async (engine: Engine) => {
    await assertRejects(() => profileStep(engine, [], RATE), EngineError, 'found "wasm"');
  });
});

function factoryOf(open: () => Promise<Gpu>): EngineFactory {
  return { ...webgpuEngine, create: (options) => WebGpuEngine.create("webgpu", options, open) };
}

/** The limits of a device with some of them lowered. */
function limitsOf({ limits }: Gpu, lowered: Partial<GPUSupportedLimits>): GPUSupportedLimits {
  const {
    maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupStorageSize,
    maxStorageBufferBindingSize,
    maxBufferSize,
  } = limits;
  return {
    maxComputeInvocationsPerWorkgroup,
    maxComputeWorkgroupStorageSize,
    maxStorageBufferBindingSize,
    maxBufferSize,
    ...lowered,
  } as GPUSupportedLimits;
}
