import { BatchSource, measureNormalisation } from "../../data/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  type Engine,
  type EngineFactory,
  freshState,
  PLAIN_SGD,
} from "../../engine/mod.ts";
import type { Graph, Weights } from "../../resnet/mod.ts";

/** What `bench/peers/pytorch_trajectory.py` does by default, in our terms. */
export interface TrajectorySettings {
  readonly graph: Graph;
  readonly images: ByteImages;
  readonly batchSize: number;
}

/** The plan of a step: images in their order, unaugmented. */
export function sequentialPlans(
  { images, batchSize }: TrajectorySettings,
): (iteration: number) => BatchPlan {
  const source = new BatchSource({
    seed: 0,
    indices: allOf(images),
    batchSize,
    cropPadding: 0,
    augmentation: "none",
    order: "sequential",
    epochEnd: "run-on",
  });
  return (iteration) => source.plan(iteration);
}

/** An engine with the paper's optimiser and the images, their per-pixel mean subtracted. */
export async function trajectoryEngine(
  factory: EngineFactory,
  { graph, images, batchSize }: TrajectorySettings,
): Promise<Engine> {
  const engine = await factory.create({
    graph,
    batchSize,
    optimiser: { ...PLAIN_SGD, momentum: 0.9, weightDecay: 1e-4 },
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    cropPadding: 0,
  });
  const { normalisation } = measureNormalisation(images, allOf(images), {
    pixelScale: "0..1",
    mean: "per-pixel",
    std: "none",
    meanSubtracted: "before-padding",
  });
  await engine.load({ train: images, test: images, normalisation });
  return engine;
}

/** The losses of the first steps from given weights. */
export async function trajectory(
  factory: EngineFactory,
  settings: TrajectorySettings,
  weights: Weights,
  { steps, learningRate }: { readonly steps: number; readonly learningRate: number },
): Promise<number[]> {
  const engine = await trajectoryEngine(factory, settings);
  try {
    await engine.importState(freshState(settings.graph, PLAIN_SGD, weights));
    const plan = sequentialPlans(settings);
    for (let iteration = 1; iteration <= steps; iteration++) {
      engine.step(plan(iteration), learningRate);
    }
    return (await engine.metrics()).map(({ loss }) => loss);
  } finally {
    engine.dispose();
  }
}

function allOf(images: ByteImages): Uint32Array {
  return Uint32Array.from({ length: images.count }, (_, index) => index);
}
