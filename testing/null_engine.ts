/**
 * An engine without arithmetic, for tests of what surrounds an engine: the
 * loop, checkpoints, logs and reports.
 *
 * Each step moves one element of the arrays whose turn it is by a cheap
 * function of the batch plan, the rate, and the state before it; nothing but the
 * state is carried from step to step. So a resume that loses or repeats a step,
 * a batch or an array ends in other bits. Loss and errors follow a made-up
 * curve: the training error starts at 90% and falls below 80% within 400 steps.
 */
import { normalisedBatch } from "../data/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  type Engine,
  type EngineData,
  EngineError,
  type EngineFactory,
  type EngineOptions,
  type Evaluation,
  newLabels,
  type Probe,
  type ProbeResult,
  slotsOf,
  type StepMetrics,
  type TrainingState,
} from "../engine/mod.ts";
import { parametersOf, shapeOf, sizeOf, type Weights } from "../resnet/mod.ts";

/** Makes engines that only pretend to train. */
export const nullEngineFactory: EngineFactory = {
  name: "null",
  description: "no arithmetic: for tests of the training loop",
  unavailable: () => Promise.resolve(undefined),
  create: (options) => Promise.resolve(new NullEngine(options)),
};

/** Arrays that a step moves, in turn: all 37 of a ResNet-8 in three steps, all 547 of a ResNet-110 in 35. */
const ARRAYS_PER_STEP = 16;

/** What is left of a slot's old value after a step. */
const KEPT = 0.9;

class NullEngine implements Engine {
  readonly name = "null";
  readonly device = { summary: "no arithmetic", details: {} };
  readonly memoryBytes: number;
  readonly #options: EngineOptions;
  readonly #weights: Weights;
  readonly #slots: ReadonlyMap<string, Weights>;
  /** Every array with what is kept of it: a look-up by name at each step would take longer. */
  readonly #arrays: readonly {
    readonly data: Float32Array;
    readonly slots: readonly Float32Array[];
  }[];
  #iteration = 0;
  #data: EngineData | undefined;
  #metrics: StepMetrics[] = [];

  constructor(options: EngineOptions) {
    this.#options = options;
    const parameters = parametersOf(options.graph);
    const zeros = (list: typeof parameters): Weights =>
      new Map(list.map(({ name, shape }) => [
        name,
        { shape, data: new Float32Array(sizeOf(shape)) },
      ]));
    this.#weights = zeros(parameters);
    const trainable = parameters.filter((parameter) => parameter.trainable);
    this.#slots = new Map(slotsOf(options.optimiser).map((slot) => [slot, zeros(trainable)]));
    const kept = [...this.#slots.values()];
    this.#arrays = [...this.#weights].map(([name, { data }]) => ({
      data,
      slots: kept.flatMap((arrays) => arrays.get(name)?.data ?? []),
    }));
    this.memoryBytes = 4 * this.#arrays
      .reduce((sum, { data, slots }) => sum + data.length * (1 + slots.length), 0);
  }

  load(data: EngineData): Promise<void> {
    this.#data = data;
    return Promise.resolve();
  }

  feed(set: "train" | "test", images: ByteImages): void {
    this.#data = { ...this.#loaded(), [set]: images };
  }

  // deno-lint-ignore require-await -- async, so that a wrong state rejects
  async importState(state: TrainingState): Promise<void> {
    overwrite(this.#weights, state.weights);
    for (const [slot, arrays] of this.#slots) overwrite(arrays, state.slots.get(slot)!);
    this.#iteration = state.iteration;
    this.#metrics = [];
  }

  exportState(): Promise<TrainingState> {
    return Promise.resolve({
      iteration: this.#iteration,
      weights: copy(this.#weights),
      slots: new Map([...this.#slots].map(([slot, arrays]) => [slot, copy(arrays)])),
    });
  }

  step(plan: BatchPlan, learningRate: number): void {
    const { train } = this.#loaded();
    const images = plan.indices.length;
    let hash = 0x811c9dc5;
    for (let i = 0; i < images; i++) {
      if (plan.indices[i] >= train.count) {
        throw new EngineError(`image ${plan.indices[i]} was asked for; there are ${train.count}`);
      }
      const crop = plan.cropY[i] << 16 | plan.cropX[i] << 8 | plan.flip[i];
      hash = Math.imul(hash ^ plan.indices[i] ^ crop << 8, 0x01000193);
    }
    const arrays = this.#arrays.length;
    for (let k = 0; k < ARRAYS_PER_STEP; k++) {
      const { data, slots } = this.#arrays[(this.#iteration * ARRAYS_PER_STEP + k) % arrays];
      hash = Math.imul(hash ^ hash >>> 15, 0x2c1b3c6d);
      const at = (hash >>> 0) % data.length;
      const gradient = hash / 0x80000000 + data[at];
      for (const slot of slots) slot[at] = KEPT * slot[at] + gradient;
      if (slots.length > 0) {
        data[at] -= learningRate * slots[0][at];
      } else {
        data[at] += 0.1 * (Math.abs(gradient) - data[at]);
      }
    }
    this.#iteration++;
    const error = 0.05 + 0.85 * Math.exp(-this.#iteration / 2500) + (hash % 64) / 6400;
    this.#metrics.push({
      iteration: this.#iteration,
      learningRate,
      images,
      loss: 2.5 * error + (hash & 1023) / 1e6,
      errors: Math.min(images, Math.round(images * error)),
    });
  }

  metrics(): Promise<StepMetrics[]> {
    const metrics = this.#metrics;
    this.#metrics = [];
    return Promise.resolve(metrics);
  }

  // deno-lint-ignore require-await -- async, so that missing data rejects
  async evaluate(set: "train" | "test", indices?: Uint32Array): Promise<Evaluation> {
    const images: ByteImages = this.#loaded()[set];
    const asked = indices ?? Uint32Array.from({ length: images.count }, (_, i) => i);
    const { classes } = images;
    const logits = new Float32Array(asked.length * classes);
    const predictions = newLabels(asked.length, classes);
    let errors = 0;
    asked.forEach((index, i) => {
      const label = images.labels[index];
      const wrong = Math.imul(index + 1, 0x9e3779b1) >>> 0 < 0x100000000 *
          (0.05 + 0.85 * Math.exp(-this.#iteration / 2500));
      predictions[i] = wrong ? (label + 1 + index % (classes - 1)) % classes : label;
      logits[i * classes + predictions[i]] = 1 + (index % 7);
      if (wrong) errors++;
    });
    return { images: asked.length, loss: errors / asked.length, errors, logits, predictions };
  }

  probe({ images }: Probe): Promise<ProbeResult> {
    const { graph } = this.#options;
    const output = new Float32Array(images * sizeOf(shapeOf(graph, graph.output)));
    for (let i = 0; i < output.length; i++) output[i] = i % 2 ? 1 : -1;
    return Promise.resolve({ output });
  }

  // deno-lint-ignore require-await -- async, so that missing data rejects
  async augmented(plan: BatchPlan): Promise<Float32Array> {
    const { train, normalisation } = this.#loaded();
    return normalisedBatch(train, plan, normalisation, this.#options.cropPadding);
  }

  dispose(): void {}

  #loaded(): EngineData {
    if (!this.#data) throw new EngineError("a step or an evaluation needs data; call load first");
    return this.#data;
  }
}

function overwrite(target: Weights, source: Weights): void {
  for (const [name, { data }] of target) {
    const given = source.get(name);
    if (given?.data.length !== data.length) {
      throw new EngineError(
        `"${name}" must have ${data.length} elements, found ${given?.data.length ?? "none"}`,
      );
    }
    data.set(given.data);
  }
}

function copy(weights: Weights): Weights {
  return new Map(
    [...weights].map(([name, { shape, data }]) => [name, { shape, data: data.slice() }]),
  );
}
