/** The case of the numeric self-test, mirrored in bench/peers/self_test_values.py. */
import { RandomStream } from "../random/mod.ts";
import {
  architecture,
  parametersOf,
  type ParameterSpec,
  sizeOf,
  type Weights,
} from "../resnet/mod.ts";
import { SELF_TEST_VALUES } from "./_self_test_values.ts";
import type { BatchPlan, ByteImages, EngineData, EngineOptions, TrainingState } from "./engine.ts";
import { type Optimiser, PLAIN_SGD } from "./optimiser.ts";

const SEED = SELF_TEST_VALUES.seed;
export const GRAPH = architecture("resnet8", { inputShape: [8, 8, 3] });
export const PARAMETERS = parametersOf(GRAPH);
export const BATCH = 4;
const TRAIN = 8, TEST = 6, CLASSES = 10, PADDING = 1;
export const LEARNING_RATE = 0.1;
const OPTIMISER: Optimiser = { ...PLAIN_SGD, momentum: 0.9, weightDecay: 0.01 };
const BATCH_NORM = { epsilon: 1e-5, momentum: 0.1 };
/** Which sequence of the stream "probe" fills what; parameters take 0, 1, 2, ... */
export const SUBSTREAM = { input: 1000, pixels: 1001, mean: 1002, pattern: 1003, momentum: 2000 };

/** What an engine of the case is made for. */
export const OPTIONS: EngineOptions = {
  graph: GRAPH,
  batchSize: BATCH,
  optimiser: OPTIMISER,
  batchNorm: BATCH_NORM,
  cropPadding: PADDING,
};

/** Uniform numbers in offset + factor * [-1, 1). */
export function draws(
  substream: number,
  count: number,
  offset: number,
  factor: number,
): Float32Array {
  const random = new RandomStream(SEED, "probe", substream);
  return new Float32Array(count).map(() => offset + factor * (2 * random.uniform() - 1));
}

function weights(): Weights {
  const range = ({ role, shape }: ParameterSpec): [offset: number, factor: number] => {
    if (role === "kernel") return [0, Math.sqrt(6 / sizeOf(shape.slice(1)))];
    return role === "bn-scale" || role === "bn-variance" ? [1, 0.5] : [0, 0.5];
  };
  return new Map(PARAMETERS.map((parameter, i) => {
    const { name, shape } = parameter;
    return [name, { shape, data: draws(i, sizeOf(shape), ...range(parameter)) }];
  }));
}

function slots(): TrainingState["slots"] {
  const velocity: Weights = new Map(
    PARAMETERS.filter(({ trainable }) => trainable).map(({ name, shape }, i) => [
      name,
      { shape, data: draws(SUBSTREAM.momentum + i, sizeOf(shape), 0, 0.1) },
    ]),
  );
  return new Map([["velocity", velocity]]);
}

export function data(): EngineData {
  const random = new RandomStream(SEED, "probe", SUBSTREAM.pixels);
  const images = (first: number, count: number): ByteImages => ({
    count,
    height: 8,
    width: 8,
    channels: 3,
    pixels: Uint8Array.from({ length: count * 8 * 8 * 3 }, () => random.word() >>> 24),
    labels: labelsOf(first, count),
    classes: CLASSES,
  });
  return {
    train: images(0, TRAIN),
    test: images(TRAIN, TEST),
    normalisation: {
      scale: 1 / 255,
      mean: draws(SUBSTREAM.mean, 8 * 8 * 3, 0.5, 0.25),
      std: Float32Array.of(1, 0.5, 0.25),
      beforePadding: true,
    },
  };
}

export function labelsOf(first: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, n) => (3 * (first + n)) % CLASSES);
}

export function plan(first: number): BatchPlan {
  return {
    indices: Uint32Array.from({ length: BATCH }, (_, n) => first + n),
    cropY: Uint8Array.from({ length: BATCH }, (_, n) => n % 3),
    cropX: Uint8Array.from({ length: BATCH }, (_, n) => (n + first) % 3),
    flip: Uint8Array.from({ length: BATCH }, (_, n) => n % 2),
  };
}

/** The state before the first step. */
export function firstState(): TrainingState {
  return { iteration: 0, weights: weights(), slots: slots() };
}
