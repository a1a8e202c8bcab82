/** The files that a report shows: computed from a run's data and last state. */
import { augmentedPixels } from "../data/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  EngineError,
  type EngineFactory,
  type EngineOptions,
  type Evaluation,
  type Labels,
  labelsAt,
  type Normalisation,
  type TrainingState,
} from "../engine/mod.ts";
import { type Graph, type Node, sizeOf, type Weights } from "../resnet/mod.ts";
import type { ImageSample, LayerStatistics } from "../log/mod.ts";

/** Images in the augmented sample and among the worst mistakes. */
export const SHOWN = 32;
/**
 * Training images on which the layer responses are measured: few, since the
 * engine that measures them takes its memory beside the training's.
 */
const RESPONSE_IMAGES = 64;

/** `label,prediction`, one row an image. */
export function predictionsCsv(labels: Labels, predictions: Labels): string {
  const rows = Array.from(labels, (label, i) => `${label},${predictions[i]}`);
  return ["label,prediction", ...rows, ""].join("\n");
}

/** The first images of a batch as the network's input shows them. */
export function augmentedSample(
  images: ByteImages,
  plan: BatchPlan,
  cropPadding: number,
): ImageSample {
  const shown: BatchPlan = {
    indices: plan.indices.subarray(0, SHOWN),
    cropY: plan.cropY.subarray(0, SHOWN),
    cropX: plan.cropX.subarray(0, SHOWN),
    flip: plan.flip.subarray(0, SHOWN),
  };
  const { height, width, channels } = images;
  const size = height * width * channels;
  const pixels = augmentedPixels(images, shown, cropPadding); // [N, H, W, C]
  return {
    height,
    width,
    images: Array.from(shown.indices, (index, i) => ({
      pixels: pixels.subarray(i * size, (i + 1) * size).toBase64(),
      index,
      label: images.labels[index],
      cropY: shown.cropY[i],
      cropX: shown.cropX[i],
      flip: shown.flip[i] === 1,
    })),
  };
}

/** What is said of an image. */
type Said = Omit<ImageSample["images"][number], "pixels">;

/** A wrong image, without its pixels. */
export type Mistake = Said & { readonly confidence: number };

/** The wrong images of which the network was surest. */
export function mistakesIn(
  { images, predictions, logits: all, labels, indices }: Evaluation & {
    readonly labels: Labels;
    readonly indices: Uint32Array;
  },
  classes: number,
): Mistake[] {
  const mistakes: Mistake[] = [];
  for (let i = 0; i < images; i++) {
    const [prediction, label] = [predictions[i], labels[i]];
    if (prediction === label) continue;
    const probabilities = softmax(all.subarray(i * classes, (i + 1) * classes));
    mistakes.push({
      index: indices[i],
      label,
      prediction,
      confidence: probabilities[prediction],
      labelProbability: probabilities[label],
    });
  }
  return surest(mistakes);
}

/** Of mistakes, also of several parts of a set, those of which the network was surest. */
export function surest(mistakes: readonly Mistake[]): Mistake[] {
  return mistakes.toSorted((a, b) => b.confidence - a.confidence || a.index - b.index)
    .slice(0, SHOWN);
}

/** Images at some places, each with what is said of it. */
export function sampleOf(
  { height, width, channels, pixels }: ByteImages,
  shown: readonly (readonly [place: number, said: Said])[],
): ImageSample {
  const size = height * width * channels;
  return {
    height,
    width,
    images: shown.map(([place, said]) => ({
      pixels: pixels.subarray(place * size, (place + 1) * size).toBase64(),
      ...said,
    })),
  };
}

function softmax(logits: Float32Array): number[] {
  const largest = Math.max(...logits);
  const powers = Array.from(logits, (logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** What {@link layerStatistics} needs. */
export interface ResponseSubject {
  readonly factory: EngineFactory;
  readonly options: EngineOptions;
  readonly state: TrainingState;
  readonly images: ByteImages;
  /** Positions of the training part in `images`. */
  readonly indices: Uint32Array;
  readonly normalisation: Normalisation;
}

/**
 * Figure 7: the standard deviation of each 3x3 layer's output after BN and
 * before ReLU or addition, on the first images of the training part, with
 * batch statistics.
 *
 * One step at rate 0, with running statistics that forget all but this batch,
 * tells the mean and variance of what every BN reads. What it writes then has
 * in each channel the mean `bias` and the variance w^2 v / (v + epsilon).
 *
 * @returns The statistics, or why there are none.
 */
export async function layerStatistics(
  subject: ResponseSubject,
): Promise<LayerStatistics | { readonly skipped: string }> {
  const { factory, options: { graph, batchNorm: { epsilon } } } = subject;
  const images = Math.min(RESPONSE_IMAGES, subject.indices.length);
  // The result of a long training must not be lost for a figure.
  const skipped = (why: string) => ({
    skipped: `the responses of the layers were not measured on ${factory.name}: ${why}`,
  });
  let measured: Weights;
  try {
    measured = await batchStatistics(subject, images);
  } catch (error) {
    if (!(error instanceof EngineError)) throw error;
    return skipped(error.message);
  }
  const values = (name: string): Float32Array => measured.get(name)!.data;
  const layers = responseLayers(graph).map(({ name, shape }) => {
    const count = images * sizeOf(shape.slice(0, -1));
    const scales = values(`${name}.weight`), means = values(`${name}.bias`);
    const variances = values(`${name}.running_var`).map((unbiased, c) => {
      const variance = unbiased * (count - 1) / count;
      return scales[c] ** 2 * variance / (variance + epsilon);
    });
    return { name, std: Math.sqrt(mean(variances) + spread(means)) };
  });
  const beyond = layers.find(({ std }) => !Number.isFinite(std));
  // No file can hold it.
  if (beyond) return skipped(`that of "${beyond.name}" is ${beyond.std}`);
  return { images, layers };
}

/** The weights, with the statistics of the first images as running statistics. */
async function batchStatistics(
  { factory, options, state, images: all, indices, normalisation }: ResponseSubject,
  count: number,
): Promise<Weights> {
  const { batchNorm, cropPadding } = options;
  const engine = await factory.create({
    ...options,
    batchSize: count,
    batchNormImages: count,
    batchNorm: { ...batchNorm, momentum: 1 },
  });
  try {
    const images = firstImages(all, indices.subarray(0, count));
    await engine.load({ train: images, test: images, normalisation });
    await engine.importState(state);
    const centre = new Uint8Array(count).fill(cropPadding);
    engine.step({
      indices: Uint32Array.from({ length: count }, (_, i) => i),
      cropY: centre,
      cropX: centre,
      flip: new Uint8Array(count),
    }, 0);
    return (await engine.exportState()).weights;
  } finally {
    engine.dispose();
  }
}

/** The images at the given positions, as a set of their own. */
function firstImages(images: ByteImages, indices: Uint32Array): ByteImages {
  const { height, width, channels } = images;
  const bytes = height * width * channels;
  const pixels = new Uint8Array(indices.length * bytes);
  indices.forEach((index, i) => {
    pixels.set(images.pixels.subarray(index * bytes, (index + 1) * bytes), i * bytes);
  });
  const labels = labelsAt(images.labels, indices);
  return { ...images, count: indices.length, pixels, labels };
}

/** Batch-norm nodes that follow a 3x3 convolution. */
function responseLayers({ nodes }: Graph): readonly Node[] {
  const kernels = new Map(
    nodes.flatMap((node) => node.kind === "convolution" ? [[node.name, node.kernel]] : []),
  );
  return nodes.filter((node) => node.kind === "batch-norm" && kernels.get(node.input) === 3);
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Mean squared difference from the mean. */
function spread(values: Float32Array): number {
  const centre = mean(values);
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length;
}
