import type * as tfjs from "@tensorflow/tfjs";
import { parametersOf, type ParameterSpec, sizeOf, type Weights } from "../../resnet/mod.ts";
import {
  checkData,
  checkIndices,
  checkPlan,
  checkProbe,
  checkState,
  checkStep,
} from "../_arguments.ts";
import {
  type BatchPlan,
  type DeviceDescription,
  type Engine,
  type EngineData,
  EngineError,
  type EngineOptions,
  type Evaluation,
  type Probe,
  type ProbeResult,
  type StepMetrics,
  type TrainingState,
} from "../engine.ts";
import { networkInput, unaugmented } from "./_augment.ts";
import { type BatchStatistics, forward, type TensorFlow } from "./_forward.ts";

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
export class TfjsEngine implements Engine {
  readonly name: string;
  readonly device: DeviceDescription;
  #tf: TensorFlow;
  #options: EngineOptions;
  #parameters: readonly ParameterSpec[];
  #weights: Map<string, Float32Array>;
  #momentum: Map<string, Float32Array>;
  #iteration = 0;
  #metrics: StepMetrics[] = [];
  #data: EngineData | undefined;
  #disposed = false;

  constructor(name: string, tf: TensorFlow, options: EngineOptions) {
    this.name = name;
    this.device = {
      summary: `TensorFlow.js ${tf.version.tfjs} in plain JavaScript, one thread`,
      details: { library: "@tensorflow/tfjs", version: tf.version.tfjs, backend: tf.getBackend() },
    };
    this.#tf = tf;
    this.#options = options;
    this.#parameters = parametersOf(options.graph);
    const zeros = (parameters: readonly ParameterSpec[]) =>
      new Map(parameters.map(({ name, shape }) => [name, new Float32Array(sizeOf(shape))]));
    this.#weights = zeros(this.#parameters);
    this.#momentum = zeros(this.#trainable);
  }

  get memoryBytes(): number {
    const images = this.#data ? [this.#data.train, this.#data.test] : [];
    const arrays = [
      ...this.#weights.values(),
      ...this.#momentum.values(),
      ...images.flatMap(({ pixels, labels }) => [pixels, labels]),
    ];
    return arrays.reduce((sum, array) => sum + array.byteLength, 0);
  }

  // deno-lint-ignore require-await -- errors must reject, not throw
  async load(data: EngineData): Promise<void> {
    this.#requireUsable("loading data");
    if (this.#data) {
      throw new EngineError("loading data: an engine takes its data once; make another engine");
    }
    checkData(this.#options.graph, data);
    this.#data = structuredClone(data);
  }

  // deno-lint-ignore require-await -- errors must reject, not throw
  async importState(state: TrainingState): Promise<void> {
    this.#requireUsable("importing a state");
    checkState(this.#options.graph, state);
    this.#iteration = state.iteration;
    for (const [name, array] of this.#weights) array.set(state.weights.get(name)!.data);
    for (const [name, array] of this.#momentum) array.set(state.momentum.get(name)!.data);
  }

  // deno-lint-ignore require-await -- errors must reject, not throw
  async exportState(): Promise<TrainingState> {
    this.#requireUsable("exporting the state");
    return {
      iteration: this.#iteration,
      weights: named(this.#parameters, ({ name }) => this.#weights.get(name)!.slice()),
      momentum: named(this.#trainable, ({ name }) => this.#momentum.get(name)!.slice()),
    };
  }

  step(plan: BatchPlan, learningRate: number): void {
    const { train, normalisation } = this.#requireData("a training step");
    checkStep(this.#options, train, plan, learningRate);

    const images = plan.indices.length;
    const labels = Uint8Array.from(plan.indices, (index) => train.labels[index]);
    const input = networkInput(train, plan, normalisation, this.#options.cropPadding);
    const pass = this.#run({ input, images, mode: "training", labels }, { backward: true });
    const [, ...gradients] = pass.gradients;
    this.#trainable.forEach((parameter, i) => this.#update(parameter, gradients[i], learningRate));
    for (const [name, batch] of pass.statistics) this.#average(name, batch);

    this.#iteration++;
    this.#metrics.push({
      iteration: this.#iteration,
      learningRate,
      images,
      loss: pass.objective,
      errors: countErrors(argmax(pass.output, images), labels),
    });
  }

  // deno-lint-ignore require-await -- errors must reject, not throw
  async metrics(): Promise<StepMetrics[]> {
    this.#requireUsable("reading metrics");
    return this.#metrics.splice(0);
  }

  // deno-lint-ignore require-await -- errors must reject, not throw
  async evaluate(set: "train" | "test", indices?: Uint32Array): Promise<Evaluation> {
    const { [set]: images, normalisation } = this.#requireData("evaluating");
    const chosen = indices ?? Uint32Array.from({ length: images.count }, (_, index) => index);
    checkIndices(`evaluating the ${set} images`, images, chosen);

    const { batchSize, cropPadding } = this.#options;
    const logits = new Float32Array(chosen.length * images.classes);
    const predictions = new Uint8Array(chosen.length);
    let loss = 0, errors = 0;
    for (let start = 0; start < chosen.length; start += batchSize) {
      const part = chosen.subarray(start, start + batchSize);
      const labels = Uint8Array.from(part, (index) => images.labels[index]);
      const input = networkInput(
        images,
        unaugmented(part, cropPadding),
        normalisation,
        cropPadding,
      );
      const probe: Probe = { input, images: part.length, mode: "inference", labels };
      const pass = this.#run(probe, { backward: false });
      const found = argmax(pass.output, part.length);
      logits.set(pass.output, start * images.classes);
      predictions.set(found, start);
      loss += pass.objective * part.length;
      errors += countErrors(found, labels);
    }
    return { images: chosen.length, loss: loss / chosen.length, errors, logits, predictions };
  }

  // deno-lint-ignore require-await -- errors must reject, not throw
  async probe(probe: Probe): Promise<ProbeResult> {
    this.#requireUsable("probing");
    checkProbe(this.#options, probe);
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

  // deno-lint-ignore require-await -- errors must reject, not throw
  async augmented(plan: BatchPlan): Promise<Float32Array> {
    const { train, normalisation } = this.#requireData("augmenting");
    checkPlan("augmenting", this.#options, train, plan);
    return networkInput(train, plan, normalisation, this.#options.cropPadding);
  }

  dispose(): void {
    this.#disposed = true;
    this.#data = undefined;
    this.#metrics = [];
    this.#weights.clear();
    this.#momentum.clear();
  }

  get #trainable(): readonly ParameterSpec[] {
    return this.#parameters.filter((parameter) => parameter.trainable);
  }

  #requireUsable(what: string): void {
    if (this.#disposed) {
      throw new EngineError(`${what}: the engine was disposed of; make another one`);
    }
  }

  #requireData(what: string): EngineData {
    this.#requireUsable(what);
    if (!this.#data) throw new EngineError(`${what}: needs the data set; call load first`);
    return this.#data;
  }

  /** One forward pass and, if asked for, TensorFlow.js's gradients of its objective. */
  #run(probe: Probe, { backward }: { backward: boolean }): Pass {
    const tf = this.#tf;
    const { graph, batchNorm: { epsilon } } = this.#options;
    const { images, mode, upstream, labels } = probe;
    const statistics = new Map<string, BatchStatistics>();
    const onStatistics = (name: string, found: BatchStatistics) => statistics.set(name, found);

    const pass = tf.tidy(() => {
      const tensorOf = ({ name, shape }: ParameterSpec) =>
        tf.tensor(this.#weights.get(name)!, [...shape], "float32");
      const fixed = this.#parameters.filter(({ trainable }) => !trainable);
      const running = fixed.map((parameter) => [parameter.name, tensorOf(parameter)] as const);
      let output = new Float32Array();

      const objectiveOf = (input: tfjs.Tensor, ...weights: tfjs.Tensor[]): tfjs.Scalar => {
        const trained = this.#trainable.map(({ name }, i) => [name, weights[i]] as const);
        const parameters = new Map([...running, ...trained]);
        const result = forward(tf, graph, parameters, input, { mode, epsilon, onStatistics });
        output = result.dataSync<"float32">().slice();
        if (labels) return crossEntropy(tf, result as tfjs.Tensor2D, labels);
        return upstream ? result.mul(tf.tensor(upstream, result.shape)).sum() : tf.scalar(0);
      };

      const input = tf.tensor(probe.input, [images, ...graph.inputShape], "float32");
      const variables = [input, ...this.#trainable.map(tensorOf)];
      const { value, grads } = backward
        ? tf.valueAndGrads(objectiveOf)(variables)
        : { value: objectiveOf(input, ...variables.slice(1)), grads: [] };
      return {
        output,
        objective: value.dataSync<"float32">()[0],
        gradients: grads.map((gradient) => gradient.dataSync<"float32">().slice()),
      };
    });
    return { ...pass, statistics };
  }

  /** v = momentum * v + g and w = w - rate * v, with g including weight decay. */
  #update({ name, role }: ParameterSpec, gradient: Float32Array, rate: number): void {
    const { momentum, nesterov, weightDecay, decayed } = this.#options.sgd;
    const decay = decayed === "all" || role === "kernel" ? weightDecay : 0;
    const weights = this.#weights.get(name)!;
    const velocity = this.#momentum.get(name)!;
    for (let i = 0; i < weights.length; i++) {
      const g = gradient[i] + decay * weights[i];
      velocity[i] = momentum * velocity[i] + g;
      weights[i] -= rate * (nesterov ? g + momentum * velocity[i] : velocity[i]);
    }
  }

  /** Moves a layer's running statistics towards those of a batch. */
  #average(name: string, { mean, variance, count }: BatchStatistics): void {
    const { momentum } = this.#options.batchNorm;
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
function crossEntropy(tf: TensorFlow, logits: tfjs.Tensor2D, labels: Uint8Array): tfjs.Scalar {
  const target = tf.oneHot(tf.tensor1d(labels, "int32"), logits.shape[1]);
  return logits.logSoftmax().mul(target).sum().div(-labels.length);
}

/** The first largest of each image's logits. */
function argmax(logits: Float32Array, images: number): Uint8Array {
  const classes = logits.length / images;
  return Uint8Array.from({ length: images }, (_, n) => {
    const row = logits.subarray(n * classes, (n + 1) * classes);
    return row.indexOf(Math.max(...row));
  });
}

function countErrors(predictions: Uint8Array, labels: Uint8Array): number {
  return predictions.filter((prediction, n) => prediction !== labels[n]).length;
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
