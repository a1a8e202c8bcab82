/**
 * Real engines that do one thing wrong: each wraps the engine of a subject and
 * leaves all but one thing to it.
 */
import { augmentedPixels, normalisedBatch } from "../../data/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  decayOf,
  type Engine,
  type Evaluation,
  type Labels,
  type Normalisation,
  type StepMetrics,
  type TrainingState,
} from "../../engine/mod.ts";
import {
  type Graph,
  nodeOf,
  parametersOf,
  shapeOf,
  truncate,
  type Weights,
} from "../../resnet/mod.ts";
import { centred, crossEntropy, first, labelsOf, mapWeights, partsOf } from "../_numbers.ts";
import type { NumericSubject } from "./subject.ts";
import type { KnownBad } from "../rule.ts";

/** The subject that a mutant is made of. */
export type Good = Required<NumericSubject>;

/** A known-bad subject whose engine is a wrapped one. */
export function badEngine(
  name: string,
  why: string,
  spoil: (good: Good) => Engine,
): KnownBad<NumericSubject> {
  return { name, why, kind: "engine", spoil: (good) => ({ ...good, engine: spoil(good) }) };
}

/** A known-bad subject whose engine computes another network than the one it is said to. */
export function badNetwork(
  name: string,
  why: string,
  spoil: (graph: Graph) => Graph,
): KnownBad<NumericSubject> {
  return {
    name,
    why,
    kind: "engine",
    spoil: (good) => {
      const other = spoil(good.graph);
      return {
        ...good,
        outputOf: (part, probe) => good.outputOf(truncate(other, part.output), probe),
      };
    },
  };
}

/** A known-bad subject whose option A shortcuts take another value from each 2x2 pixels. */
export function badShortcut(
  name: string,
  why: string,
  value: (at: (dy: number, dx: number) => number) => number,
): KnownBad<NumericSubject> {
  return {
    name,
    why,
    kind: "engine",
    spoil: (good) => ({
      ...good,
      outputOf: async (part, probe) => {
        const node = nodeOf(part, part.output);
        const right = await good.outputOf(part, probe);
        if (node?.kind !== "shortcut-a") return right;
        const [height, width, channels] = shapeOf(part, node.input);
        const source = await good.outputOf(truncate(part, node.input), probe);
        return right.map((zero, i) => {
          const [n, y, x, c] = placeOf(i, node.shape);
          if (c >= channels) return zero;
          return value((dy, dx) =>
            source[((n * height + 2 * y + dy) * width + 2 * x + dx) * channels + c]
          );
        });
      },
    }),
  };
}

/** A known-bad subject whose batch normalisation adds another epsilon to the variance. */
export function badEpsilon(name: string, why: string, epsilon: number): KnownBad<NumericSubject> {
  return {
    ...{ name, why, kind: "engine" },
    spoil: (good) => ({
      ...good,
      outputOf: async (part, probe) => {
        const node = nodeOf(part, part.output);
        const right = await good.outputOf(part, probe);
        if (node?.kind !== "batch-norm") return right;
        const channels = node.shape[node.shape.length - 1];
        const source = await good.outputOf(truncate(part, node.input), probe);
        const count = source.length / channels;
        const mean = new Float64Array(channels), variance = new Float64Array(channels);
        source.forEach((x, i) => mean[i % channels] += x / count);
        source.forEach((x, i) => variance[i % channels] += (x - mean[i % channels]) ** 2 / count);
        const shift = good.state.weights.get(`${node.name}.bias`)!.data;
        return right.map((y, i) => {
          const c = i % channels;
          const factor = (variance[c] + good.batchNorm.epsilon) / (variance[c] + epsilon);
          return shift[c] + (y - shift[c]) * Math.sqrt(factor);
        });
      },
    }),
  };
}

/** Where the i-th value of [N, H, W, C] lies. */
function placeOf(i: number, [height, width, channels]: readonly number[]) {
  const pixel = Math.floor(i / channels), row = Math.floor(pixel / width);
  return [Math.floor(row / height), row % height, pixel % width, i % channels] as const;
}

/** The engine with some of its methods replaced. */
export function wrap(inner: Engine, replaced: Partial<Engine>): Engine {
  return {
    name: inner.name,
    device: inner.device,
    memoryBytes: inner.memoryBytes,
    load: (data) => inner.load(data),
    feed: (set, images, shifts) => inner.feed(set, images, shifts),
    importState: (state) => inner.importState(state),
    exportState: () => inner.exportState(),
    step: (plan, rate) => inner.step(plan, rate),
    metrics: () => inner.metrics(),
    evaluate: (set, indices) => inner.evaluate(set, indices),
    probe: (probe) => inner.probe(probe),
    augmented: (plan) => inner.augmented(plan),
    dispose: () => inner.dispose(),
    ...replaced,
  };
}

// What steps leave behind.

/** Changes what each step leaves behind, or what it says that it measured. */
function aroundSteps(
  inner: Engine,
  { leave, measure }: {
    leave?: (before: TrainingState, after: TrainingState, rate: number) => TrainingState;
    measure?: (plan: BatchPlan) => Promise<Partial<StepMetrics>>;
  },
): Engine {
  let queue = Promise.resolve();
  let metrics: StepMetrics[] = [];
  const takeStep = async (plan: BatchPlan, rate: number) => {
    const before = await inner.exportState();
    inner.step(plan, rate);
    const after = await inner.exportState();
    const real = (await inner.metrics()).at(-1)!;
    if (measure) {
      await inner.importState(before);
      metrics.push({ ...real, ...await measure(plan) });
    } else metrics.push(real);
    await inner.importState(leave ? leave(before, after, rate) : after);
  };
  /** The method, after all steps that were queued before. */
  const inOrder = <Arguments extends unknown[], Result>(
    method: (...args: Arguments) => Promise<Result>,
  ) =>
  async (...args: Arguments): Promise<Result> => {
    await queue;
    return await method(...args);
  };
  return wrap(inner, {
    step: (plan, rate) => {
      const copy = structuredClone(plan);
      queue = queue.then(() => takeStep(copy, rate));
    },
    // deno-lint-ignore require-await -- the contract's method has to wait for the queue
    metrics: inOrder(async () => {
      const taken = metrics;
      metrics = [];
      return taken;
    }),
    importState: inOrder((state) => inner.importState(state)),
    exportState: inOrder(() => inner.exportState()),
    evaluate: inOrder((set, indices) => inner.evaluate(set, indices)),
    probe: inOrder((probe) => inner.probe(probe)),
    augmented: inOrder((plan) => inner.augmented(plan)),
  });
}

/** One trainable number during a step, with the gradient that the real engine found. */
interface Update {
  /** The array that the number belongs to. */
  readonly name: string;
  readonly weight: number;
  readonly velocity: number;
  /** Without decay. */
  readonly gradient: number;
  readonly rate: number;
  readonly momentum: number;
  /** 0 where the number does not decay. */
  readonly decay: number;
}

/** The optimiser replaced: `rule` gives the new velocity and the new weight. */
export function updating(
  { engine, graph, optimiser }: Good,
  rule: (update: Update) => readonly [velocity: number, weight: number],
): Engine {
  const specs = parametersOf(graph).filter(({ trainable }) => trainable);
  return aroundSteps(engine, {
    leave: (before, after, rate) => {
      const weights = new Map(after.weights);
      const [old, found] = [before, after].map(({ slots }) => slots.get("velocity")!);
      const momentum = new Map(found);
      for (const parameter of specs) {
        const { name, shape } = parameter;
        const decay = decayOf(optimiser, parameter);
        const w = before.weights.get(name)!.data, v = old.get(name)!.data;
        const v1 = found.get(name)!.data;
        const newWeights = w.slice(), newMomentum = v.slice();
        for (let i = 0; i < w.length; i++) {
          const [weight, velocity] = [w[i], v[i]];
          const gradient = v1[i] - optimiser.momentum * velocity - decay * weight;
          [newMomentum[i], newWeights[i]] = rule({
            ...{ name, weight, velocity, gradient, rate, decay, momentum: optimiser.momentum },
          });
        }
        weights.set(name, { shape, data: newWeights });
        momentum.set(name, { shape, data: newMomentum });
      }
      return { ...after, weights, slots: new Map([["velocity", momentum]]) };
    },
  });
}

/** The paper's update, for mutants that change what goes into it. */
export function plainUpdate(
  { weight, velocity, gradient, rate, momentum, decay }: Update,
): readonly [number, number] {
  const v = momentum * velocity + gradient + decay * weight;
  return [v, weight - rate * v];
}

/**
 * Running statistics after a step by another formula than the engine's, made of
 * the old value, the batch's, and the factor that makes a variance biased (1 for
 * means).
 */
export function averaging(
  { engine, graph, batchNorm: { momentum }, batchSize }: Good,
  formula: (old: number, batch: number, bias: number) => number,
): Engine {
  let images = batchSize;
  const pixels = new Map(
    graph.nodes.flatMap(({ parameters, shape }) =>
      parameters.filter(({ role }) => role === "bn-variance")
        .map(({ name }) => [name, shape[0] * shape[1]])
    ),
  );
  const statistics = parametersOf(graph).filter(({ role }) =>
    role === "bn-mean" || role === "bn-variance"
  ).map(({ name }) => name);
  const inner = aroundSteps(engine, {
    leave: (before, after) => ({
      ...after,
      weights: mapWeights(after.weights, (data, name) => {
        if (!statistics.includes(name)) return data;
        const old = before.weights.get(name)!.data;
        const count = images * (pixels.get(name) ?? Infinity);
        return data.map((value, c) =>
          formula(old[c], (value - (1 - momentum) * old[c]) / momentum, 1 - 1 / count)
        );
      }),
    }),
  });
  return wrap(inner, {
    step: (plan, rate) => {
      images = plan.indices.length;
      inner.step(plan, rate);
    },
  });
}

// What steps say that they measured.

/** Metrics of the engine's own, changed. */
export function reporting(
  { engine }: Good,
  change: (metrics: StepMetrics, weights: Weights) => StepMetrics,
): Engine {
  return wrap(engine, {
    metrics: async () => {
      const { weights } = await engine.exportState();
      return (await engine.metrics()).map((metrics) => change(metrics, weights));
    },
  });
}

/** The loss of each step computed anew from the batch's logits. */
export function measuringLoss(
  { engine, data, cropPadding }: Good,
  mode: "training" | "inference",
  loss: (logits: Float32Array, labels: Labels) => number,
): Engine {
  return aroundSteps(engine, {
    measure: async (plan) => {
      const input = normalisedBatch(data.train, plan, data.normalisation, cropPadding);
      const { output } = await engine.probe({ input, images: plan.indices.length, mode });
      return { loss: loss(output, labelsOf(data.train, plan.indices)) };
    },
  });
}

/** Cross entropy with a tenth of each label spread over all classes. */
export function smoothedLoss(logits: Float32Array, labels: Labels): number {
  const classes = logits.length / labels.length;
  const spread = Array.from(
    { length: classes },
    (_, k) => crossEntropy(logits, labels.map(() => k)),
  );
  const mean = spread.reduce((sum, loss) => sum + loss, 0) / classes;
  return 0.9 * crossEntropy(logits, labels) + 0.1 * mean;
}

// Which images a step takes.

/** Other plans than the engine is given. */
export function planning(
  { engine }: Good,
  change: (plan: BatchPlan) => BatchPlan,
): Engine {
  return wrap(engine, {
    step: (plan, rate) => engine.step(change(plan), rate),
    augmented: (plan) => engine.augmented(change(plan)),
  });
}

/** Each image keeps the crop and the mirroring that it was first seen with. */
export function cached(): (plan: BatchPlan) => BatchPlan {
  const seen = new Map<number, readonly [number, number, number]>();
  return ({ indices, cropY, cropX, flip }) => {
    indices.forEach((index, j) => {
      if (!seen.has(index)) seen.set(index, [cropY[j], cropX[j], flip[j]]);
    });
    const part = (which: number) => Uint8Array.from(indices, (index) => seen.get(index)![which]);
    return { indices, cropY: part(0), cropX: part(1), flip: part(2) };
  };
}

/**
 * Crops whose border is filled from the image: `inside` maps a place beyond it
 * to one within, or to none for zeros.
 */
export function bordered(
  { engine, data: { train: { height, width, channels } }, cropPadding }: Good,
  inside: (place: number, extent: number) => number | undefined,
): Engine {
  return wrap(engine, {
    augmented: async (plan) => {
      const whole = await engine.augmented(centred(plan.indices, cropPadding));
      return whole.map((_, i) => {
        const [n, y, x, c] = placeOf(i, [height, width, channels]);
        const column = plan.flip[n] ? width - 1 - x : x;
        const fromY = inside(plan.cropY[n] + y - cropPadding, height);
        const fromX = inside(plan.cropX[n] + column - cropPadding, width);
        if (fromY === undefined || fromX === undefined) return 0;
        return whole[((n * height + fromY) * width + fromX) * channels + c];
      });
    },
  });
}

// What the network sees.

/** Evaluation by probing: what becomes of the images, and in which mode. */
export function evaluating(
  { engine, data, batchSize }: Good,
  inputOf: (images: ByteImages, indices: Uint32Array, set: "train" | "test") => Float32Array,
  mode: "training" | "inference" = "inference",
): Engine {
  return wrap(engine, {
    evaluate: async (set, indices) => {
      const images = data[set];
      const asked = indices ?? first(images.count, images.count);
      const logits = new Float32Array(asked.length * images.classes);
      let done = 0;
      for (const part of partsOf(asked, batchSize)) {
        const input = inputOf(images, part, set);
        const { output } = await engine.probe({ input, images: part.length, mode });
        logits.set(output, done * images.classes);
        done += part.length;
      }
      return scored(logits, labelsOf(images, asked));
    },
  });
}

/** The images as they are, normalised by the subject's own normalisation. */
export const unaugmented =
  ({ data, cropPadding }: Good) => (images: ByteImages, indices: Uint32Array) =>
    normalisedBatch(images, centred(indices, cropPadding), data.normalisation, cropPadding);

/** Another normalisation, of training and test images alike. */
export function normalising(good: Good, normalisation: Normalisation): Engine {
  const { data, cropPadding } = good;
  const spoilt = { ...good, data: { ...data, normalisation } };
  return wrap(evaluating(good, unaugmented(spoilt)), {
    augmented: (plan) =>
      Promise.resolve(normalisedBatch(data.train, plan, normalisation, cropPadding)),
  });
}

/** Logits that are not the last layer's output. */
export function activating(
  { engine }: Good,
  activation: (row: Float32Array) => Float32Array,
): Engine {
  return wrap(engine, {
    evaluate: async (set, indices) => {
      const found = await engine.evaluate(set, indices);
      const classes = found.logits.length / found.images;
      const logits = new Float32Array(found.logits.length);
      for (let at = 0; at < logits.length; at += classes) {
        logits.set(activation(found.logits.subarray(at, at + classes)), at);
      }
      return { ...found, logits };
    },
  });
}

/** Probabilities of logits. */
export function softmax(row: Float32Array): Float32Array {
  const largest = Math.max(...row);
  const powers = row.map((logit) => Math.exp(logit - largest));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}

/** Each step does something to the images that the engine stores. */
export function corrupting(
  good: Good,
  corrupt: (stored: ByteImages, plan: BatchPlan, cropPadding: number) => void,
): Engine {
  const { engine, data: { train, normalisation }, cropPadding } = good;
  const stored = { ...train, pixels: train.pixels.slice(), labels: train.labels.slice() };
  const data = { ...good.data, train: stored };
  return wrap(evaluating({ ...good, data }, unaugmented(good)), {
    step: (plan, rate) => {
      engine.step(plan, rate);
      corrupt(stored, plan, cropPadding);
    },
    augmented: (plan) => Promise.resolve(normalisedBatch(stored, plan, normalisation, cropPadding)),
  });
}

/** Augmented images are written back to where they came from. */
export function writeBack(stored: ByteImages, plan: BatchPlan, cropPadding: number): void {
  const size = stored.height * stored.width * stored.channels;
  const batch = augmentedPixels(stored, plan, cropPadding);
  plan.indices.forEach((index, j) =>
    stored.pixels.set(batch.subarray(j * size, (j + 1) * size), index * size)
  );
}

/** Labels move on by one image, images stay. */
export function rotateLabels({ labels }: ByteImages): void {
  const [last] = labels.slice(-1);
  labels.copyWithin(1, 0);
  labels[0] = last;
}

/** Predictions, errors and loss of logits. */
function scored(logits: Float32Array, labels: Labels): Evaluation {
  const images = labels.length;
  const classes = logits.length / images;
  const predictions = labels.map((_, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    return row.indexOf(Math.max(...row));
  });
  const errors = predictions.filter((prediction, n) => prediction !== labels[n]).length;
  return { images, loss: crossEntropy(logits, labels), errors, logits, predictions };
}

// What the engine starts from, and its backward pass.

/** Another state than the one that is imported. */
export function starting(
  { engine }: Good,
  change: (state: TrainingState) => TrainingState,
): Engine {
  return wrap(engine, { importState: (state) => engine.importState(change(state)) });
}

/** Gradients of a probe, changed. */
export function differentiating(
  { engine }: Good,
  change: (gradients: Weights, images: number) => Weights,
): Engine {
  return wrap(engine, {
    probe: async (probe) => {
      const found = await engine.probe(probe);
      if (!found.gradients) return found;
      return { ...found, gradients: change(found.gradients, probe.images) };
    },
  });
}
