import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { RandomStream } from "../../random/philox.ts";
import { architecture } from "../../resnet/architectures.ts";
import { buildGraph, parametersOf, sizeOf } from "../../resnet/graph.ts";
import { type Engine, EngineError, type EngineOptions, type TrainingState } from "../engine.ts";
import { type Machine, WasmEngine } from "./_engine.ts";
import { hasRelaxedSimd } from "./assembler.ts";
import { Threads } from "./_threads.ts";

const graph = architecture("resnet8", { inputShape: [8, 8, 3] });
const options: EngineOptions = {
  graph,
  batchSize: 5,
  sgd: { momentum: 0.9, nesterov: false, weightDecay: 1e-4, decayed: "all" },
  batchNorm: { epsilon: 1e-5, momentum: 0.1 },
  cropPadding: 4,
};
const machine: Machine = {
  relaxedSimd: hasRelaxedSimd(),
  cores: 2,
  startThreads: Threads.start,
};

function randomState(): TrainingState {
  const random = new RandomStream(1, "probe", 0);
  const tensor = (shape: readonly number[], value: () => number) => ({
    shape,
    data: new Float32Array(sizeOf(shape)).map(value),
  });
  const all = parametersOf(graph);
  return {
    iteration: 0,
    weights: new Map(all.map(({ name, shape, role }) => [
      name,
      tensor(
        shape,
        () => role === "bn-scale" || role === "bn-variance" ? 1 : 0.2 * random.normal(),
      ),
    ])),
    momentum: new Map(
      all.filter(({ trainable }) => trainable)
        .map(({ name, shape }) => [name, tensor(shape, () => 0)]),
    ),
  };
}

/** Three steps on five random images; the weights afterwards. */
async function train(engine: Engine): Promise<Float32Array> {
  const random = new RandomStream(2, "probe", 0);
  const images = {
    count: 5,
    height: 8,
    width: 8,
    channels: 3,
    classes: 10,
    pixels: new Uint8Array(5 * 192).map(() => random.below(256)),
    labels: new Uint8Array(5).map(() => random.below(10)),
  };
  const normalisation = {
    scale: 1 / 255,
    mean: new Float32Array(192).fill(0.5),
    std: new Float32Array(3).fill(1),
    beforePadding: true,
  };
  await engine.load({ train: images, test: images, normalisation });
  await engine.importState(randomState());
  const crop = new Uint8Array([4, 3, 5, 0, 8]);
  const flip = new Uint8Array([0, 1, 0, 1, 0]);
  for (let step = 0; step < 3; step++) {
    engine.step(
      { indices: new Uint32Array([0, 1, 2, 3, 4]), cropY: crop, cropX: crop, flip },
      0.01,
    );
  }
  const { weights } = await engine.exportState();
  engine.dispose();
  return Float32Array.from([...weights.values()].flatMap(({ data }) => [...data]));
}

function relativeDifference(a: Float32Array, b: Float32Array): number {
  const square = (values: Float32Array) => values.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(square(a.map((x, i) => x - b[i])) / square(b));
}

Deno.test("any number of threads computes the same up to rounding, each repeatably", async () => {
  const one = await train(await WasmEngine.create("wasm", { ...options, threads: 1 }, machine));
  for (const threads of [2, 3, 7]) {
    const create = () => WasmEngine.create("wasm", { ...options, threads }, machine);
    const many = await train(await create());
    assertEquals(await train(await create()), many, `${threads} threads, twice`);
    const difference = relativeDifference(many, one);
    assert(difference < 1e-4, `${threads} threads against one: ${difference}`);
  }
});

Deno.test("without relaxed SIMD the engine runs, agrees, and says what it lost", async () => {
  const full = await WasmEngine.create("wasm", options, { ...machine, relaxedSimd: true });
  const plain = await WasmEngine.create("wasm", options, { ...machine, relaxedSimd: false });
  assertStringIncludes(plain.device.summary, "no relaxed SIMD");
  assertEquals(full.device.summary.includes("no relaxed SIMD"), false);
  assert(relativeDifference(await train(plain), await train(full)) < 1e-4);
});

Deno.test("where workers are refused the engine runs on one thread and says so", async () => {
  const startThreads: Machine["startThreads"] = (bytes, memory, threads) =>
    threads === 1
      ? Threads.start(bytes, memory, 1)
      : Promise.reject(new Error("workers are refused"));
  const engine = await WasmEngine.create("wasm", options, { ...machine, startThreads });
  assertStringIncludes(engine.device.summary, "1 thread of the CPU");
  assertStringIncludes(engine.device.summary, "workers are refused");
  const one = await WasmEngine.create("wasm", { ...options, threads: 1 }, machine);
  assertEquals(await train(engine), await train(one));
});

Deno.test("a network past 4 GiB is refused with its need and the largest batch that fits", async () => {
  const large = { ...options, graph: architecture("resnet110"), batchSize: 1024 };
  const error = await assertRejects(() => WasmEngine.create("wasm", large, machine), EngineError);
  const [, batch] = error.message.match(/the largest batch that fits is (\d+)/)!;
  assertStringIncludes(error.message, '"resnet110" at batch 1024 needs');
  // About 6.4 MB of activations an image.
  assert(Number(batch) > 550 && Number(batch) < 650, error.message);
  const engine = await WasmEngine.create("wasm", { ...large, batchSize: Number(batch) }, machine);
  engine.dispose();
});

Deno.test("weight gradients summed over groups of small images are those of all images", async () => {
  // Weights beyond a cache and 2x2 outputs: groups of 8 images, of which 11 leave a part.
  const [images, size, channels] = [11, 4, 128];
  const graph = buildGraph("small images", [size, size, channels], [{
    kind: "convolution",
    name: "conv",
    input: "input",
    filters: channels,
    kernel: 3,
    stride: 2,
    padding: 1,
    bias: false,
  }]);
  const random = new RandomStream(4, "probe", 0);
  const uniform = (length: number) => new Float32Array(length).map(() => random.normal());
  const weights = uniform(channels * channels * 9);
  const input = uniform(images * size * size * channels);
  const upstream = uniform(images * 4 * channels);
  const engine = await WasmEngine.create(
    "wasm",
    { ...options, graph, batchSize: images, threads: 1 },
    machine,
  );
  const parameter = { shape: [channels, channels, 3, 3], data: weights };
  await engine.importState({
    iteration: 0,
    weights: new Map([["conv.weight", parameter]]),
    momentum: new Map([["conv.weight", { ...parameter, data: new Float32Array(weights.length) }]]),
  });
  const probed = await engine.probe({ mode: "training", images, input, upstream });
  engine.dispose();

  const dw = new Float64Array(weights.length);
  const dx = new Float64Array(input.length);
  for (let image = 0; image < images; image++) {
    for (let output = 0; output < 4; output++) {
      for (let tap = 0; tap < 9; tap++) {
        const y = 2 * (output >> 1) + Math.floor(tap / 3) - 1;
        const x = 2 * (output & 1) + tap % 3 - 1;
        if (y < 0 || y >= size || x < 0 || x >= size) continue;
        for (let k = 0; k < channels; k++) {
          const dz = upstream[(image * 4 + output) * channels + k];
          for (let c = 0; c < channels; c++) {
            const [from, weight] = [
              ((image * size + y) * size + x) * channels + c,
              (k * channels + c) * 9 + tap,
            ];
            dw[weight] += input[from] * dz;
            dx[from] += weights[weight] * dz;
          }
        }
      }
    }
  }
  const gradient = probed.gradients!.get("conv.weight")!.data;
  assert(relativeDifference(gradient, Float32Array.from(dw)) < 1e-6);
  assert(relativeDifference(probed.inputGradient!, Float32Array.from(dx)) < 1e-6);
});
