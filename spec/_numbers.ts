/** What the numeric rules share: plans, references, and distances with names. */
import { type BatchPlan, type ByteImages, type Labels, labelsAt } from "../engine/mod.ts";
import type { Weights } from "../resnet/mod.ts";

/** Unaugmented images: the crop at the image's own place. */
export function centred(indices: ArrayLike<number>, cropPadding: number): BatchPlan {
  const { length } = indices;
  return {
    indices: Uint32Array.from(indices),
    cropY: new Uint8Array(length).fill(cropPadding),
    cropX: new Uint8Array(length).fill(cropPadding),
    flip: new Uint8Array(length),
  };
}

/** The first images of a batch. */
export function shortened(plan: BatchPlan, count: number): BatchPlan {
  return {
    indices: plan.indices.slice(0, count),
    cropY: plan.cropY.slice(0, count),
    cropX: plan.cropX.slice(0, count),
    flip: plan.flip.slice(0, count),
  };
}

/** The first positions of a set. */
export const first = (count: number, of: number): Uint32Array =>
  Uint32Array.from({ length: Math.min(count, of) }, (_, index) => index);

/** Consecutive parts of at most `size` elements. */
export function* partsOf(indices: Uint32Array, size: number): Generator<Uint32Array> {
  for (let from = 0; from < indices.length; from += size) {
    yield indices.subarray(from, from + size);
  }
}

/** The labels of a batch. */
export const labelsOf = (images: ByteImages, indices: Uint32Array): Labels =>
  labelsAt(images.labels, indices);

/** ||actual - expected|| / ||expected||; 0 where both are 0. */
export function relativeDistance(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0, norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    norm += expected[i] ** 2;
  }
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}

/** The largest |actual - expected|; infinite for NaN and for another length. */
export function largestDistance(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
): number {
  if (actual.length !== expected.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(actual[i] - expected[i]);
    if (!(distance <= largest)) largest = Number.isNaN(distance) ? Infinity : distance;
  }
  return largest;
}

/** Mean softmax cross entropy in double precision; logits [N, classes]. */
export function crossEntropy(logits: Float32Array, labels: Labels): number {
  const classes = logits.length / labels.length;
  let sum = 0;
  labels.forEach((label, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    const largest = Math.max(...row);
    const powers = row.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    sum += Math.log(powers) + largest - row[label];
  });
  return sum / labels.length;
}

/** Weights with some arrays' values changed; the given ones stay as they are. */
export function mapWeights(
  weights: Weights,
  change: (data: Float32Array, name: string) => Float32Array,
): Weights {
  return new Map(
    [...weights].map(([name, { shape, data }]) => [name, { shape, data: change(data, name) }]),
  );
}

/** A number for a sentence: three significant digits. */
export const short = (value: number): string => String(Number(value.toPrecision(3)));

/** Whether two learning rates are the same but for rounding, also to 32 bits. */
export const sameRate = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-7 * Math.abs(b);
/** Whether two numbers are the same but for rounding. */
export const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.abs(b);
