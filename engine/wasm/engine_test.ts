import { freshState } from "../state.ts";
import { PLAIN_SGD } from "../optimiser.ts";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { RandomStream } from "../../random/mod.ts";
import { architecture, buildGraph, initialise } from "../../resnet/mod.ts";
import { EngineError, type Probe } from "../engine.ts";
import { bits, options, train } from "./_bits_fixture.ts";
import { type Machine, WasmEngine } from "./_engine.ts";
import { hasRelaxedSimd } from "./assembler.ts";
import { Threads } from "./_threads.ts";

const machine: Machine = {
  relaxedSimd: hasRelaxedSimd(),
  joinedVectors: 1,
  cores: 2,
  startThreads: Threads.start,
};

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

Deno.test("kernels for joined vectors compute the same bits", async () => {
  for (const convolution of ["winograd", "direct"] as const) {
    const create = (joinedVectors: Machine["joinedVectors"]) =>
      WasmEngine.create("wasm", { ...options, convolution }, { ...machine, joinedVectors });
    const [one, two] = [await create(1), await create(2)];
    assertEquals([one, two].map(({ device }) => device.details.vectorBits), [128, 256]);
    assertEquals(await train(two), await train(one), convolution);
  }
});

Deno.test("kernels for joined vectors end where channels and pixels do", async () => {
  // Vectors of channels and pixels of a row that are not multiples of what a tile takes.
  for (const [size, channels, filters] of [[8, 20, 28], [12, 16, 36], [5, 12, 20]]) {
    const graph = buildGraph("odd channels", [size, size, channels], [
      {
        kind: "convolution",
        name: "conv",
        input: "input",
        filters,
        kernel: 3,
        stride: 1,
        padding: 1,
        bias: false,
      },
      { kind: "batch-norm", name: "bn", input: "conv" },
      {
        kind: "relu",
        name: "relu",
        input: "bn",
      },
    ]);
    const random = new RandomStream(5, "probe", 0);
    const normal = (length: number) => new Float32Array(length).map(() => random.normal());
    const images = 3;
    const probe = {
      mode: "training",
      images,
      input: normal(images * size * size * channels),
      upstream: normal(images * size * size * filters),
    } as const;
    const state = freshState(graph, PLAIN_SGD, initialise(graph, 0, "in"));
    const [one, two] = await Promise.all(([1, 2] as const).map(async (joinedVectors) => {
      const engine = await WasmEngine.create(
        "wasm",
        { ...options, graph, batchSize: images },
        { ...machine, joinedVectors },
      );
      await engine.importState(state);
      const result = await engine.probe(probe);
      engine.dispose();
      return result;
    }));
    assertEquals(two, one, `${channels} to ${filters} channels`);
  }
});

Deno.test("a step that overflowed leaves nothing behind for fewer images after it", async () => {
  // Four images share a product; what is left of the three others must not count.
  const [images, size, channels] = [4, 8, 16];
  const values = size * size * channels;
  const graph = buildGraph("group", [size, size, channels], [{
    kind: "convolution",
    name: "conv",
    input: "input",
    filters: channels,
    kernel: 3,
    stride: 1,
    padding: 1,
    bias: false,
  }]);
  const random = new RandomStream(6, "probe", 0);
  const normal = (length: number) => new Float32Array(length).map(() => random.normal());
  const state = freshState(graph, PLAIN_SGD, initialise(graph, 0, "in"));
  const one: Probe = {
    ...{ mode: "training", images: 1 },
    ...{ input: normal(values), upstream: normal(values) },
  };
  const create = async () => {
    const settings = { ...options, graph, batchSize: images, threads: 1 };
    const engine = await WasmEngine.create("wasm", settings, machine);
    await engine.importState(state);
    return engine;
  };
  const [fresh, used] = [await create(), await create()];
  const overflowed = new Float32Array(images * values).fill(NaN);
  await used.probe({ mode: "training", images, input: overflowed, upstream: overflowed });
  await used.importState(state);
  assertEquals(await used.probe(one), await fresh.probe(one));
  fresh.dispose();
  used.dispose();
});

Deno.test("V8 joins vectors of the kernels, and the bits stay the same", async () => {
  const run = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), { args }).output();
    assertEquals(code, 0, new TextDecoder().decode(stderr));
    return new TextDecoder().decode(stdout).trim();
  };
  const flags = [await run("task", "-q", "v8-flags")];
  const joins = flags[0].includes("revectorize");
  // Without its first compiler, V8 optimises code that runs as briefly as here.
  if (joins) flags.push("--no-liftoff", "--trace-wasm-revectorize");
  const script = new URL("_bits_fixture.ts", import.meta.url).href;
  const said = await run("run", "-q", "--no-prompt", `--v8-flags=${flags.join()}`, script);
  assertEquals(JSON.parse(said.slice(said.lastIndexOf("\n") + 1)), await bits());
  // Where the processor has no 256-bit registers V8 does not begin.
  if (said.includes("Begin revec function")) assertStringIncludes(said, "PackNode");
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
  await engine.importState(freshState(graph, PLAIN_SGD, new Map([["conv.weight", parameter]])));
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
