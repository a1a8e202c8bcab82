/** A small run over the null engine, for tests. */
import type { Dataset } from "../../data/mod.ts";
import { type ByteImages, wasmEngine } from "../../engine/mod.ts";
import { nullEngineFactory } from "../mod.ts";
import type { RunEvent } from "../../log/mod.ts";
import type { TrainOptions } from "../../train/mod.ts";
import { paper, type RecipeChanges, vary, withIterations } from "../../recipes/mod.ts";

/** Images of 8 by 8 pixels whose bytes follow from their position. */
export function tinyDataset(): Dataset {
  const images = (count: number): ByteImages => ({
    count,
    height: 8,
    width: 8,
    channels: 3,
    classes: 10,
    pixels: Uint8Array.from({ length: count * 192 }, (_, i) => Math.imul(i, 0x9e3779b1) >>> 24),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 10),
  });
  return {
    name: "shapes10",
    train: images(100),
    test: images(40),
    classNames: Array.from({ length: 10 }, (_, i) => `class ${i}`),
    hashes: { tiny: "0123".repeat(16) },
    notice: "not CIFAR",
  };
}

/** A run of 120 steps of batch 8, with checkpoints every 20. */
export function tinyRun(
  out: string,
  options: Partial<TrainOptions> = {},
  changes: RecipeChanges = {},
): TrainOptions {
  const tiny = paper("resnet8", {
    data: { set: "shapes10", split: { training: 90, validation: 10 } },
    batchSize: 8,
    batchNormImages: 8,
  });
  return {
    recipe: vary(withIterations(tiny, 120), changes),
    seed: 5,
    dataset: () => Promise.resolve(tinyDataset()),
    engine: nullEngineFactory,
    engineReason: "a test",
    out,
    logEvery: 7,
    evalEvery: 30,
    checkpointEvery: 20,
    versions: {},
    revision: null,
    command: [],
    ...options,
  };
}

/** A run of a real net whose rate falls at plateaus, and which ends where it gets no better. */
export function plateauRun(out: string): TrainOptions {
  const tiny = tinyRun(out, { engine: wasmEngine, threads: 1 });
  const watched = { watched: "validation-loss", threshold: 0 } as const;
  return {
    ...tiny,
    recipe: vary(tiny.recipe, {
      schedule: {
        ...{ kind: "plateau", ...watched, rate: 0.1, factor: 0.5, patience: 1 },
        ...{ minimumRate: 0, iterations: 1000 },
      },
      best: { ...watched, stopAfter: 6 },
    }),
  };
}

/** The events in a run's folder. */
export function eventsIn(folder: string): RunEvent[] {
  return Deno.readTextFileSync(`${folder}/events.jsonl`).trimEnd().split("\n")
    .map((line) => JSON.parse(line));
}

/** What the log says of each iteration, without clocks: of two lines the later counts. */
export function measured(folder: string): Record<string, unknown> {
  const found: Record<string, unknown> = {};
  for (const event of eventsIn(folder)) {
    if (event.type === "step") {
      const { time: _, imagesPerSecond: __, ...rest } = event;
      found[`step ${event.iteration}`] = rest;
    }
    if (event.type === "evaluation") {
      const { time: _, ...rest } = event;
      found[`${event.set} ${event.iteration}`] = rest;
    }
    if (event.type === "rate" || event.type === "best") {
      const { time: _, ...rest } = event;
      found[`${event.type} ${event.iteration}`] = rest;
    }
    if (event.type === "warm-up-end") found["warm-up-end"] = event.iteration;
  }
  return found;
}
