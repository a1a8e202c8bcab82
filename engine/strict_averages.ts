/** Batch norm's statistics as strict averages over batches, in place of moving ones. */
import type { Weights } from "../resnet/mod.ts";
import type {
  BatchPlan,
  EngineData,
  EngineFactory,
  EngineOptions,
  TrainingState,
} from "./engine.ts";
import { PLAIN_SGD } from "./optimiser.ts";
import { freshState } from "./state.ts";

/** What {@linkcode strictAverages} needs. */
export interface AveragedTraining {
  /** What computes. */
  readonly factory: EngineFactory;
  /** As of the training. */
  readonly options: EngineOptions;
  /** As of the training. */
  readonly data: EngineData;
  /** The weights to take the statistics with; they stay as they are. */
  readonly state: TrainingState;
  /** The batches to average over; each part that batch norm takes together counts alike. */
  readonly plans: Iterable<BatchPlan>;
}

/**
 * The mean, over batches, of each batch norm's batch mean and unbiased batch variance, all with the
 * same weights: what its authors used for tests instead of a moving average.
 *
 * An engine of its own takes the batches at rate 0, with statistics that forget all but the last.
 *
 * @returns The state with these statistics, and over how many parts they were taken.
 * @throws {EngineError} If there is no room for another engine.
 *
 * Source: KaimingHe/deep-residual-networks, "Disclaimer and Known Issues"; the definition is that
 * of `torch.optim.swa_utils.update_bn`, PyTorch 2.13.
 */
export async function strictAverages(
  { factory, options, data, state, plans }: AveragedTraining,
): Promise<{ readonly state: TrainingState; readonly parts: number }> {
  const { graph, batchSize, batchNormImages = batchSize, batchNorm } = options;
  const sums = new Map<string, Float64Array>();
  let parts = 0;
  const engine = await factory.create({
    ...options,
    optimiser: PLAIN_SGD,
    batchSize: Math.min(batchSize, batchNormImages),
    batchNormImages: batchSize,
    batchNorm: { ...batchNorm, momentum: 1 },
  });
  try {
    await engine.load(data);
    await engine.importState(freshState(graph, PLAIN_SGD, state.weights));
    for (const plan of plans) {
      for (let from = 0; from < plan.indices.length; from += batchNormImages) {
        const to = from + batchNormImages;
        engine.step({
          indices: plan.indices.slice(from, to),
          cropY: plan.cropY.slice(from, to),
          cropX: plan.cropX.slice(from, to),
          flip: plan.flip.slice(from, to),
        }, 0);
        parts++;
        for (const [name, { data }] of (await engine.exportState()).weights) {
          if (!isStatistic(name)) continue;
          const sum = sums.get(name) ?? new Float64Array(data.length);
          sums.set(name, sum.map((value, i) => value + data[i]));
        }
      }
    }
  } finally {
    engine.dispose();
  }
  const weights: Weights = new Map(
    [...state.weights].map(([name, tensor]) => {
      const sum = sums.get(name);
      return [name, sum ? { ...tensor, data: Float32Array.from(sum, (x) => x / parts) } : tensor];
    }),
  );
  return { state: { ...state, weights }, parts };
}

function isStatistic(name: string): boolean {
  return name.endsWith(".running_mean") || name.endsWith(".running_var");
}
