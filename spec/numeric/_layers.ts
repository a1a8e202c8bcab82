/** What the rules on the network share: layers' values and their statistics. */
import { normalisedBatch } from "../../data/mod.ts";
import { truncate } from "../../resnet/mod.ts";
import type { Good } from "./_engine_mutants.ts";
import { centred, first } from "../_numbers.ts";

/** Two ways through the network in single precision differ by about 1e-6. */
export const SAME = 1e-4;

/** Why the rules on batch normalisation have nothing to look at. */
export const NO_BATCH_NORM = {
  outcome: "not-observable",
  evidence: "the network has no batch normalisation, or had it folded into its kernels",
} as const;

/** Mean, variance and number of each channel's values. */
export function statistics(values: Float32Array, channels: number) {
  const count = values.length / channels;
  const mean = new Float64Array(channels), variance = new Float64Array(channels);
  values.forEach((value, i) => mean[i % channels] += value / count);
  values.forEach((value, i) => variance[i % channels] += (value - mean[i % channels]) ** 2 / count);
  return { mean, variance, count };
}

/** The outputs of a graph's nodes for the first images of the training set, unaugmented. */
export function layersOn(
  { graph, data, outputOf }: Pick<Good, "graph" | "data" | "outputOf">,
  count: number,
) {
  const indices = first(count, data.train.count);
  const input = normalisedBatch(data.train, centred(indices, 0), data.normalisation, 0);
  const valuesOf = (name: string) =>
    outputOf(truncate(graph, name), { input, images: indices.length, mode: "training" });
  return { input, valuesOf };
}
