/** The files that a report shows: computed from a run's data and last state. */
import { augmentedPixels, normalisedBatch } from "../data/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  EngineError,
  type EngineFactory,
  type EngineOptions,
  type Evaluation,
  type Normalisation,
  type TrainingState,
} from "../engine/engine.ts";
import { type Graph, parametersOf, truncate, type Weights } from "../resnet/mod.ts";
import type { ImageSample, LayerStatistics } from "./events.ts";

/** Images in the augmented sample and among the worst mistakes. */
const SHOWN = 32;
/** Training images on which the layer responses are measured. */
const RESPONSE_IMAGES = 128;
/** A slow engine or a deep net gives up on the layer responses after this time. */
const RESPONSE_SECONDS = 120;

/** `label,prediction`, one row an image. */
export function predictionsCsv(labels: Uint8Array, predictions: Uint8Array): string {
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

/** The wrong images of the test set of which the network was surest. */
export function worstMistakes(images: ByteImages, evaluation: Evaluation): ImageSample {
  const { height, width, channels, classes } = images;
  const size = height * width * channels;
  const mistakes = [];
  for (let index = 0; index < evaluation.images; index++) {
    const prediction = evaluation.predictions[index];
    const label = images.labels[index];
    if (prediction === label) continue;
    const logits = evaluation.logits.subarray(index * classes, (index + 1) * classes);
    const probabilities = softmax(logits);
    mistakes.push({
      index,
      label,
      prediction,
      confidence: probabilities[prediction],
      labelProbability: probabilities[label],
    });
  }
  mistakes.sort((a, b) => b.confidence - a.confidence || a.index - b.index);
  return {
    height,
    width,
    images: mistakes.slice(0, SHOWN).map((mistake) => ({
      pixels: images.pixels.subarray(mistake.index * size, (mistake.index + 1) * size).toBase64(),
      ...mistake,
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
 * @returns The statistics, or why there are none.
 */
export async function layerStatistics(
  subject: ResponseSubject,
): Promise<LayerStatistics | { readonly skipped: string }> {
  const { factory, options } = subject;
  const images = Math.min(RESPONSE_IMAGES, subject.indices.length);
  const input = unaugmented(subject, images); // [N, H, W, C]
  const names = responseLayers(options.graph);
  const began = performance.now();
  const layers = [];
  for (const name of names) {
    try {
      layers.push({ name, std: standardDeviation(await response(subject, name, input, images)) });
    } catch (error) {
      // The result of a long training must not be lost for a figure.
      if (!(error instanceof EngineError)) throw error;
      return { skipped: `the responses of the layers were not measured: ${error.message}` };
    }
    if (performance.now() - began > RESPONSE_SECONDS * 1000 && layers.length < names.length) {
      return {
        skipped:
          `measuring the responses of ${names.length} layers on ${factory.name} would take ` +
          `more than ${RESPONSE_SECONDS} s (${layers.length} were measured)`,
      };
    }
  }
  return { images, layers };
}

/** The output of one node, [N, H, W, C], on an engine for the part of the net up to it. */
async function response(
  { factory, options, state }: ResponseSubject,
  name: string,
  input: Float32Array,
  images: number,
): Promise<Float32Array> {
  const graph = truncate(options.graph, name);
  const engine = await factory.create({ ...options, graph, batchSize: images });
  try {
    await engine.importState(restrict(state, graph));
    const { output } = await engine.probe({ input, images, mode: "training" });
    return output;
  } finally {
    engine.dispose();
  }
}

/** Batch-norm nodes that follow a 3x3 convolution. */
function responseLayers(graph: Graph): string[] {
  const kernels = new Map<string, number>();
  for (const node of graph.nodes) {
    if (node.kind === "convolution") kernels.set(node.name, node.kernel);
  }
  return graph.nodes.flatMap((node) =>
    node.kind === "batch-norm" && kernels.get(node.input) === 3 ? [node.name] : []
  );
}

function unaugmented(
  { images, indices, normalisation, options }: ResponseSubject,
  count: number,
): Float32Array {
  const centre = new Uint8Array(count).fill(options.cropPadding);
  const plan: BatchPlan = {
    indices: indices.subarray(0, count),
    cropY: centre,
    cropX: centre,
    flip: new Uint8Array(count),
  };
  return normalisedBatch(images, plan, normalisation, options.cropPadding);
}

/** The part of a state that belongs to a part of a graph. */
function restrict(state: TrainingState, graph: Graph): TrainingState {
  const names = new Set(parametersOf(graph).map(({ name }) => name));
  const only = (weights: Weights): Weights =>
    new Map([...weights].filter(([name]) => names.has(name)));
  return {
    iteration: state.iteration,
    weights: only(state.weights),
    momentum: only(state.momentum),
  };
}

function standardDeviation(values: Float32Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  return Math.sqrt(squares / values.length);
}
