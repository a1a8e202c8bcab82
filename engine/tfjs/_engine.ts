import { parametersOf, type ParameterSpec, sizeOf, type Weights } from "../../resnet/mod.ts";
import { imagesOf, Lifecycle, type Measured, type SetName, unaugmented } from "../_lifecycle.ts";
import type {
  BatchPlan,
  ByteImages,
  EngineData,
  EngineOptions,
  Probe,
  ProbeResult,
  TrainingState,
} from "../engine.ts";
import { type Labels, labelsAt } from "../labels.ts";
import { type Arithmetic, decayOf } from "../optimiser.ts";
import { score } from "../_stored.ts";
import { networkInput } from "./_augment.ts";
import { type BatchStatistics, forward } from "./_forward.ts";
import type { Library, Tensor } from "./packages/mod.ts";

/** The numbers of JavaScript. */
export const NUMBERS: Arithmetic<number> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: Math.max,
  sqrt: Math.sqrt,
  constant: (value) => value,
  keep: Math.fround,
};

/** What one pass through the network gives. */
interface Pass {
  /** [N, ...output shape]. */
  readonly output: Float32Array;
  /** The scalar that a backward pass differentiates: the loss, or output . upstream. */
  readonly objective: number;
  /** Of the input, then of each trainable parameter; empty after a forward pass alone. */
  readonly gradients: readonly Float32Array[];
  /** Of each batch-norm layer in training mode. */
  readonly statistics: ReadonlyMap<string, BatchStatistics>;
}

/**
 * The oracle: TensorFlow.js computes and differentiates, everything else is a
 * plain loop over plain arrays. Tensors live within one call only.
 */
export class TfjsEngine extends Lifecycle {
  #tf: Library;
  #parameters: readonly ParameterSpec[];
  #weights: Map<string, Float32Array>;
  /** By slot and parameter. */
  #slots: ReadonlyMap<string, Map<string, Float32Array>>;
  #measured: Measured[] = [];
  #data: EngineData | undefined;
  /** What is added to the channels of each image. */
  #shifts: Partial<Record<SetName, Float32Array>> = {};

  constructor(name: string, tf: Library, options: EngineOptions) {
    const version = tf.version.tfjs;
    super(name, {
      summary: `TensorFlow.js ${version} in plain JavaScript, one thread`,
      details: { library: "@tensorflow/tfjs", version, backend: tf.getBackend() },
    }, options);
    this.#tf = tf;
    this.#parameters = parametersOf(options.graph);
    const zeros = (parameters: readonly ParameterSpec[]) =>
      new Map(parameters.map(({ name, shape }) => [name, new Float32Array(sizeOf(shape))]));
    this.#weights = zeros(this.#parameters);
    this.#slots = new Map(this.rule.slots.map((slot) => [slot, zeros(this.#trainable)]));
  }

  get memoryBytes(): number {
    const images = this.#data ? [this.#data.train, this.#data.test] : [];
    const arrays = [
      ...this.#weights.values(),
      ...[...this.#slots.values()].flatMap((arrays) => [...arrays.values()]),
      ...images.flatMap(({ pixels, labels }) => [pixels, labels]),
    ];
    return arrays.reduce((sum, array) => sum + array.byteLength, 0);
  }

  protected hold(data: EngineData): void {
    this.#data = structuredClone(data);
  }

  protected replace(set: SetName, images: ByteImages, shifts: Float32Array | undefined): void {
    this.#data = { ...this.#data!, [set]: structuredClone(images) };
    const { [set]: _, ...others } = this.#shifts;
    this.#shifts = shifts ? { ...others, [set]: shifts.slice() } : others;
  }

  protected write({ weights, slots }: Omit<TrainingState, "iteration">): void {
    for (const [name, array] of this.#weights) array.set(weights.get(name)!.data);
    for (const [slot, arrays] of this.#slots) {
      for (const [name, array] of arrays) array.set(slots.get(slot)!.get(name)!.data);
    }
  }

  protected read(): Omit<TrainingState, "iteration"> {
    return {
      weights: named(this.#parameters, ({ name }) => this.#weights.get(name)!.slice()),
      slots: new Map(
        [...this.#slots].map(([slot, arrays]) => [
          slot,
          named(this.#trainable, ({ name }) => arrays.get(name)!.slice()),
        ]),
      ),
    };
  }

  protected train(parts: readonly BatchPlan[], scalars: readonly number[]): void {
    const all = imagesOf(parts);
    const sums = this.#trainable.map(({ shape }) => new Float32Array(sizeOf(shape)));
    for (const plan of parts) {
      const images = plan.indices.length;
      const labels = labelsAt(this.images("train").labels, plan.indices);
      const probe: Probe = { input: this.batch(plan), images, mode: "training", labels };
      const pass = this.#run(probe, { backward: true });
      const [, ...gradients] = pass.gradients;
      gradients.forEach((gradient, i) =>
        gradient.forEach((value, at) => sums[i][at] += value * images / all)
      );
      for (const [name, batch] of pass.statistics) this.#average(name, batch);
      const { errors } = score(pass.output, labels, pass.output.length / images);
      this.#measured.push({ loss: pass.objective, errors });
    }
    this.#trainable.forEach((parameter, i) => this.#update(parameter, sums[i], scalars));
  }

  protected measured(): readonly Measured[] {
    return this.#measured.splice(0);
  }

  protected logits(set: SetName, indices: Uint32Array): Float32Array {
    const { batchSize, cropPadding } = this.options;
    const logits = new Float32Array(indices.length * this.images(set).classes);
    for (let start = 0; start < indices.length; start += batchSize) {
      const part = indices.subarray(start, start + batchSize);
      const input = this.batch(unaugmented(part, cropPadding), set);
      const { output } = this.#run(
        { input, images: part.length, mode: "inference" },
        { backward: false },
      );
      logits.set(output, start * output.length / part.length);
    }
    return logits;
  }

  protected pass(probe: Probe): ProbeResult {
    const backward = probe.upstream !== undefined || probe.labels !== undefined;
    const { output, objective, gradients } = this.#run(probe, { backward });
    if (!backward) return { output };
    const [inputGradient, ...parameterGradients] = gradients;
    return {
      output,
      ...(probe.labels && { loss: objective }),
      inputGradient,
      gradients: named(this.#trainable, (_, i) => parameterGradients[i]),
    };
  }

  protected batch(plan: BatchPlan, set: SetName = "train"): Float32Array {
    const { [set]: images, normalisation } = this.#data!;
    return networkInput(images, plan, normalisation, this.options.cropPadding, this.#shifts[set]);
  }

  protected free(): void {
    this.#data = undefined;
    this.#measured = [];
    this.#weights.clear();
    this.#slots = new Map();
  }

  get #trainable(): readonly ParameterSpec[] {
    return this.#parameters.filter((parameter) => parameter.trainable);
  }

  /** One forward pass and, if asked for, TensorFlow.js's gradients of its objective. */
  #run(probe: Probe, { backward }: { backward: boolean }): Pass {
    const tf = this.#tf;
    const { graph, batchNorm: { epsilon } } = this.options;
    const { images, mode, upstream, labels } = probe;
    const statistics = new Map<string, BatchStatistics>();
    const onStatistics = (name: string, found: BatchStatistics) => statistics.set(name, found);

    const pass = tf.tidy(() => {
      const tensorOf = ({ name, shape }: ParameterSpec) =>
        tf.tensor(this.#weights.get(name)!, [...shape], "float32");
      const fixed = this.#parameters.filter(({ trainable }) => !trainable);
      const running = fixed.map((parameter) => [parameter.name, tensorOf(parameter)] as const);
      let output = new Float32Array();

      const objectiveOf = (input: Tensor, ...weights: Tensor[]): Tensor => {
        const trained = this.#trainable.map(({ name }, i) => [name, weights[i]] as const);
        const parameters = new Map([...running, ...trained]);
        const result = forward(tf, graph, parameters, input, { mode, epsilon, onStatistics });
        output = result.dataSync().slice();
        if (labels) return crossEntropy(tf, result, labels);
        return upstream ? result.mul(tf.tensor(upstream, result.shape)).sum() : tf.scalar(0);
      };

      const input = tf.tensor(probe.input, [images, ...graph.inputShape], "float32");
      const variables = [input, ...this.#trainable.map(tensorOf)];
      const { value, grads } = backward
        ? tf.valueAndGrads(objectiveOf)(variables)
        : { value: objectiveOf(input, ...variables.slice(1)), grads: [] };
      return {
        output,
        objective: value.dataSync()[0],
        gradients: grads.map((gradient) => gradient.dataSync().slice()),
      };
    });
    return { ...pass, statistics };
  }

  /** The optimiser's step of every element of a parameter. */
  #update(parameter: ParameterSpec, gradient: Float32Array, scalars: readonly number[]): void {
    const { name } = parameter;
    const decay = decayOf(this.options.optimiser, parameter) || undefined;
    const weights = this.#weights.get(name)!;
    const kept = this.rule.slots.map((slot) => this.#slots.get(slot)!.get(name)!);
    for (let i = 0; i < weights.length; i++) {
      const slots = kept.map((array) => array[i]);
      const element = { weight: weights[i], gradient: gradient[i], slots, scalars, decay };
      const updated = this.rule.update(NUMBERS, element);
      weights[i] = updated.weight;
      updated.slots.forEach((value, slot) => kept[slot][i] = value);
    }
  }

  /** Moves a layer's running statistics towards those of a batch. */
  #average(name: string, { mean, variance, count }: BatchStatistics): void {
    const { momentum } = this.options.batchNorm;
    // A single value has no unbiased variance; its biased one, 0, stands in.
    const unbiased = count / Math.max(count - 1, 1);
    const runningMean = this.#weights.get(`${name}.running_mean`)!;
    const runningVariance = this.#weights.get(`${name}.running_var`)!;
    for (let c = 0; c < mean.length; c++) {
      runningMean[c] += momentum * (mean[c] - runningMean[c]);
      runningVariance[c] += momentum * (variance[c] * unbiased - runningVariance[c]);
    }
  }
}

/** Mean softmax cross entropy of logits [N, classes]. */
function crossEntropy(tf: Library, logits: Tensor, labels: Labels): Tensor {
  const target = tf.oneHot(tf.tensor1d(Int32Array.from(labels), "int32"), logits.shape[1]);
  return logits.logSoftmax().mul(target).sum().div(-labels.length);
}

/** Arrays by the names and in the shapes of their parameters. */
function named(
  parameters: readonly ParameterSpec[],
  dataOf: (parameter: ParameterSpec, index: number) => Float32Array,
): Weights {
  return new Map(
    parameters.map((parameter, i) => [
      parameter.name,
      { shape: parameter.shape, data: dataOf(parameter, i) },
    ]),
  );
}
