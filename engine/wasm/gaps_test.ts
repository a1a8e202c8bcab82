/**
 * Addresses are literals of the layout, and nothing checks them when a kernel runs. So the gaps
 * between its arrays are filled with NaN here: whoever writes into one changes it, and whoever reads
 * from one gets other results.
 */
import { assert, assertEquals } from "@std/assert";
import { architecture, type Graph } from "../../resnet/mod.ts";
import {
  EXHAUSTIVE_CASES,
  optionsFor,
  planFor,
  randomData,
  randomState,
  sizeFor,
  uniform,
} from "../../testing/engines/mod.ts";
import type { EngineOptions } from "../engine.ts";
import type { Optimiser } from "../optimiser.ts";
import { freshState } from "../state.ts";
import { hasRelaxedSimd } from "./assembler.ts";
import { type Machine, WasmEngine } from "./_engine.ts";
import { layOut } from "./_layout.ts";
import { Threads } from "./_threads.ts";

const POISON = 0xff;

/** First byte and the one after the last of everything that no array of a layout has. */
function gapsOf(options: EngineOptions, threads: number): [from: number, to: number][] {
  const layout = layOut(options, threads);
  const { arrays, end, storage, storageStride, training, weights, parameters } = layout;
  const inUse = arrays.filter(([start]) => start !== storage);
  for (let image = 0; image < options.batchSize; image++) {
    inUse.push([storage + image * storageStride, 4 * training.storage]);
  }
  // The optimiser goes over all parameters in one pass, with what lies between them.
  const last = Math.max(
    ...[...parameters.values()].map(({ address, size }) => address + 4 * size).filter((address) =>
      address <= weights.end
    ),
  );
  inUse.push([weights.start, last - weights.start]);
  inUse.sort(([a], [b]) => a - b);
  const gaps: [number, number][] = [];
  let at = 0;
  for (const [start, bytes] of inUse) {
    if (start > at) gaps.push([at, start]);
    at = Math.max(at, start + bytes);
  }
  if (end > at) gaps.push([at, end]);
  return gaps;
}

/** Everything that an engine computes of a graph, with its gaps poisoned or not. */
async function computed(
  options: EngineOptions,
  joinedVectors: Machine["joinedVectors"],
  poisoned: boolean,
): Promise<unknown> {
  const threads = options.threads!;
  const gaps = gapsOf(options, threads);
  assert(gaps.length > 5, "gaps are expected between arrays");
  let bytes: Uint8Array = new Uint8Array();
  const startThreads: Machine["startThreads"] = (module, memory, ...rest) => {
    bytes = new Uint8Array(memory.buffer);
    return Threads.start(module, memory, ...rest);
  };
  const machine = { relaxedSimd: hasRelaxedSimd(), joinedVectors, cores: 2, startThreads };
  const engine = await WasmEngine.create("wasm", options, machine);
  try {
    if (poisoned) { for (const [from, to] of gaps) bytes.fill(POISON, from, to); }
    const results = await use(engine, options);
    if (poisoned) {
      for (const [from, to] of gaps) {
        const touched = bytes.subarray(from, to).findIndex((byte) => byte !== POISON);
        assertEquals(touched, -1, `byte ${touched} of the gap from ${from} to ${to}`);
      }
    }
    return results;
  } finally {
    engine.dispose();
  }
}

async function use(
  engine: WasmEngine,
  { graph, batchSize, optimiser }: EngineOptions,
): Promise<unknown> {
  await engine.importState(freshState(graph, optimiser, randomState(graph).weights));
  const results: unknown[] = [];
  for (const images of new Set([batchSize, 1])) {
    const input = uniform(sizeFor(graph, "input", images), 1);
    const upstream = uniform(sizeFor(graph, "output", images), 2);
    for (const mode of ["training", "inference"] as const) {
      results.push(await engine.probe({ input, images, mode }));
    }
    results.push(await engine.probe({ input, images, mode: "training", upstream }));
  }
  if (graph.nodes.at(-1)!.kind !== "dense") return results;
  await engine.load(randomData(graph));
  for (const images of [batchSize, 1]) {
    engine.step(planFor(Array.from({ length: images }, (_, i) => i % 8), 0), 0.05);
  }
  results.push(await engine.metrics(), await engine.evaluate("test"), await engine.exportState());
  return results;
}

async function compare(graph: Graph, departures: Partial<EngineOptions>): Promise<void> {
  const options = optionsFor(graph, { threads: 2, ...departures });
  for (const joined of [1, 2] as const) {
    assertEquals(await computed(options, joined, true), await computed(options, joined, false));
  }
}

Deno.test("no kernel of any shape touches what lies between arrays", async (t) => {
  for (const { graph, images } of EXHAUSTIVE_CASES) {
    await t.step(`${graph.name}, ${images} images`, async () => {
      for (const convolution of ["winograd", "direct"] as const) {
        await compare(graph, { batchSize: images, convolution });
      }
    });
  }
});

Deno.test("no step or evaluation of a whole net touches what lies between arrays", async (t) => {
  const optimisers: readonly Optimiser[] = [
    optionsFor(architecture("resnet8")).optimiser,
    {
      ...{ kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4 },
      amsgrad: true,
    },
  ];
  for (const shortcut of ["A", "B"] as const) {
    for (const [size, batchSize] of [[8, 5], [7, 3]]) {
      const graph = architecture("resnet8", { inputShape: [size, size, 3], shortcut });
      for (const optimiser of optimisers) {
        const name = `option ${shortcut}, ${size}x${size}, batch ${batchSize}, ${optimiser.kind}`;
        await t.step(name, () => compare(graph, { batchSize, optimiser }));
      }
    }
  }
});
