/** A small job over the null engine, for tests. */
import { createHash } from "node:crypto";
import type { Dataset } from "../data/mod.ts";
import type { ByteImages } from "../engine/mod.ts";
import type { ReproductionPlan } from "../verdicts/mod.ts";
import { nullEngineFactory } from "../testing/mod.ts";
import { settlePlan } from "./planned.ts";
import type { QueueOptions } from "./queue.ts";

const CLASSES = 10;

function blackImages(count: number): ByteImages {
  return {
    ...{ count, height: 1, width: 1, channels: 3, classes: CLASSES },
    pixels: new Uint8Array(count * 3),
    labels: Uint8Array.from({ length: count }, (_, i) => i % CLASSES),
  };
}

/** shapes10 by its name and sizes alone: one black pixel an image. */
export const DATASET: Dataset = {
  name: "shapes10",
  train: blackImages(10_000),
  test: blackImages(2_000),
  classNames: Array.from({ length: CLASSES }, (_, i) => `class ${i}`),
  hashes: { "black pixels": createHash("sha256").update("black pixels").digest("hex") },
  notice: "not CIFAR",
};

/** Eight runs: two networks, four seeds. */
export const REQUEST: Partial<ReproductionPlan> = {
  architectures: ["resnet8", "resnet14"],
  seeds: [0, 1, 2, 3],
  dataset: "shapes10",
  iterations: 120,
};

/** The plan in a job's folder, written if there is none. */
export async function planIn(
  folder: string,
  request: Partial<ReproductionPlan> = REQUEST,
): Promise<ReproductionPlan> {
  return (await settlePlan(folder, request, () => Promise.resolve(DATASET.hashes))).plan;
}

/** What a job over the null engine needs. */
export function jobOptions(
  folder: string,
  plan: ReproductionPlan,
  options: Partial<QueueOptions> = {},
): QueueOptions {
  return {
    ...{ folder, plan },
    dataset: () => Promise.resolve(DATASET),
    engine: () => Promise.resolve({ factory: nullEngineFactory, reason: "a test" }),
    ...{ versions: {}, revision: null, command: [] },
    ...options,
  };
}
