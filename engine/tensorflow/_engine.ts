import {
  parametersOf,
  type ParameterSpec,
  shapeOf,
  sizeOf,
  type Weights,
} from "../../resnet/mod.ts";
import { imagesOf, Lifecycle, type Measured, type SetName } from "../_lifecycle.ts";
import { score } from "../_stored.ts";
import type {
  BatchPlan,
  ByteImages,
  DeviceDescription,
  EngineData,
  EngineOptions,
  Probe,
  ProbeResult,
  TrainingState,
} from "../engine.ts";
import { type Labels, labelsAt } from "../labels.ts";
import { decayOf, type Optimiser } from "../optimiser.ts";
import type { Backend } from "./_backend.ts";
import { FUSED, type TrainingKernels } from "./_training_kernels.ts";
import { DeviceImages } from "./_images.ts";
import { Network, type Pass } from "./_network.ts";
import { type Attribute, type Handle, Operations } from "./_operations.ts";
import { asPyTorch, gather, type Place, placesOf, scatter } from "./_parameters.ts";
import { Variable } from "./_variable.ts";

/** A step whose logits still are on the device. */
interface QueuedStep {
  readonly labels: Labels;
  /** [N, classes]. */
  readonly logits: Handle;
}

/**
 * A training on libtensorflow. The data set, the state and a step's every operation are on its
 * device; from the host come a batch's indices, crops and labels, and back go its logits.
 */
export class TensorFlowEngine extends Lifecycle {
  readonly #tf: Operations;
  readonly #network: Network;
  readonly #kernels: TrainingKernels;
  /** All parameters and running statistics, in the graph's order. */
  readonly #parameters: readonly ParameterSpec[];
  /** The trainable ones, in the order of the two vectors below. */
  readonly #places: readonly Place[];
  readonly #weights: Variable;
  /** What the optimiser keeps, in the order of its rule's slots. */
  readonly #slots: readonly Variable[];
  /** Running statistics by name. */
  readonly #running = new Map<string, Handle>();
  /** The weight decay of each parameter, or of all; undefined where nothing decays. */
  readonly #decay: Handle | undefined;
  readonly #attributes: Readonly<Record<string, readonly Attribute[]>>;
  #queue: QueuedStep[] = [];
  #sets: Readonly<Record<SetName, DeviceImages>> | undefined;

  constructor(
    name: string,
    backend: Backend,
    options: EngineOptions,
    kernels: TrainingKernels = FUSED,
  ) {
    const { graph, optimiser, batchNorm } = options;
    super(name, describe(backend), options);
    const tf = this.#tf = new Operations(backend.binding);
    this.#network = new Network(tf, graph, batchNorm, kernels.batchNorm);
    this.#kernels = kernels;
    this.#parameters = parametersOf(graph);
    this.#places = placesOf(graph);
    const count = this.#places.reduce((sum, { size }) => sum + size, 0);
    this.#weights = new Variable(tf, count);
    this.#slots = this.rule.slots.map(() => new Variable(tf, count));
    for (const { name, shape } of this.#statistics) {
      this.#setRunning(name, tf.floats(shape, new Float32Array(sizeOf(shape))));
    }
    this.#decay = optimiser.weightDecay === 0 ? undefined : tf.keep(this.#decayOf(optimiser));
    const float = tf.typeFloat();
    const parts = this.#places.length;
    this.#attributes = {
      split: [float, tf.typeInteger("Tlen"), tf.attributeInteger("num_split", parts)],
      reshape: [float, tf.typeInteger("Tshape")],
      concat: [float, tf.typeInteger("Tidx"), tf.attributeInteger("N", parts)],
    };
  }

  get memoryBytes(): number {
    const statistics = this.#statistics.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const floats = this.#weights.size * (1 + this.#slots.length) + statistics;
    const { train, test } = this.#sets ?? {};
    return floats * Float32Array.BYTES_PER_ELEMENT + (train?.bytes ?? 0) + (test?.bytes ?? 0);
  }

  protected hold({ train, test, normalisation }: EngineData): void {
    this.#sets = {
      train: new DeviceImages(this.#tf, train, normalisation),
      test: new DeviceImages(this.#tf, test, normalisation),
    };
  }

  protected replace(set: SetName, images: ByteImages, shifts: Float32Array | undefined): void {
    this.#sets![set].replace(images, shifts);
  }

  protected write({ weights, slots }: Omit<TrainingState, "iteration">): void {
    this.#weights.assign(gather(this.#places, weights));
    this.rule.slots.forEach((slot, i) => {
      this.#slots[i].assign(gather(this.#places, slots.get(slot)!));
    });
    for (const { name, shape } of this.#statistics) {
      this.#setRunning(name, this.#tf.floats(shape, weights.get(name)!.data.slice()));
    }
  }

  protected read(): Omit<TrainingState, "iteration"> {
    const trained = scatter(this.#places, this.#weights.read());
    return {
      weights: new Map(this.#parameters.map(({ name, shape }) => [
        name,
        trained.get(name) ?? { shape, data: this.#tf.read(this.#running.get(name)!) },
      ])),
      slots: new Map(this.rule.slots.map((slot, i) => [
        slot,
        scatter(this.#places, this.#slots[i].read()),
      ])),
    };
  }

  protected train(parts: readonly BatchPlan[], scalars: readonly number[]): void {
    const tf = this.#tf;
    const images = imagesOf(parts);
    tf.scoped(() => {
      const weights = this.#weights.value();
      const sums = new Map<string, Handle>();
      for (const plan of parts) {
        const labels = this.#labelsOf("train", plan.indices);
        const averages = new Map<string, Handle>();
        const pass = this.#pass(weights, labels.length, "training", averages);
        const { output, gradients } = this.#network.differentiate(
          this.#sets!.train.batch(plan, this.options.cropPadding),
          pass,
          (logits) => this.#network.lossGradient(logits, labels, images),
          false,
        );
        for (const [name, gradient] of gradients.parameters) {
          const before = sums.get(name);
          sums.set(
            name,
            before === undefined ? gradient : tf.run("AddV2", [before, gradient], [tf.typeFloat()]),
          );
        }
        for (const [name, average] of averages) this.#setRunning(name, average);
        this.#queue.push({ labels, logits: tf.keep(output) });
      }
      this.#update(sums, scalars);
    });
  }

  protected measured(): readonly Measured[] {
    return this.#queue.splice(0).map(({ labels, logits }) => {
      const values = this.#tf.read(logits);
      this.#tf.release(logits);
      const { loss, errors } = score(values, labels, values.length / labels.length);
      return { loss, errors };
    });
  }

  protected logits(set: SetName, indices: Uint32Array): Float32Array {
    const tf = this.#tf;
    const { batchSize } = this.options;
    const logits = new Float32Array(indices.length * this.images(set).classes);
    tf.scoped(() => {
      const weights = this.#weights.value();
      const parameters = this.#pass(weights, batchSize, "inference");
      for (let start = 0; start < indices.length; start += batchSize) {
        tf.scoped(() => {
          const part = indices.subarray(start, start + batchSize);
          const pass = { ...parameters, images: part.length };
          const found = tf.read(this.#network.forward(this.#sets![set].plain(part), pass));
          logits.set(found, start * found.length / part.length);
        });
      }
    });
    return logits;
  }

  protected pass({ input, images, mode, upstream, labels }: Probe): ProbeResult {
    const { graph } = this.options;
    const tf = this.#tf;
    return tf.scoped(() => {
      const pass = this.#pass(this.#weights.value(), images, mode, new Map());
      const batch = tf.floats([images, ...graph.inputShape], input.slice());
      if (!upstream && !labels) return { output: tf.read(this.#network.forward(batch, pass)) };

      const gradientOf = (output: Handle) =>
        labels
          ? this.#network.lossGradient(output, labels)
          : tf.floats([images, ...shapeOf(graph, graph.output)], upstream!.slice());
      const { output, gradients } = this.#network.differentiate(batch, pass, gradientOf, true);
      const values = tf.read(output);
      return {
        output: values,
        ...(labels && { loss: score(values, labels, values.length / images).loss }),
        inputGradient: tf.read(gradients.input!),
        gradients: this.#weightsOf(gradients.parameters),
      };
    });
  }

  protected batch(plan: BatchPlan): Float32Array {
    const tf = this.#tf;
    return tf.scoped(() => tf.read(this.#sets!.train.batch(plan, this.options.cropPadding)));
  }

  protected free(): void {
    this.#weights.dispose();
    for (const slot of this.#slots) slot.dispose();
    this.#tf.dispose();
    this.#queue = [];
    this.#sets = undefined;
  }

  /** The running statistics. */
  get #statistics(): readonly ParameterSpec[] {
    return this.#parameters.filter(({ trainable }) => !trainable);
  }

  #labelsOf(set: SetName, indices: Uint32Array): Labels {
    return labelsAt(this.images(set).labels, indices);
  }

  #setRunning(name: string, value: Handle): void {
    const old = this.#running.get(name);
    this.#running.set(name, this.#tf.keep(value));
    if (old !== undefined) this.#tf.release(old);
  }

  /**
   * What a pass needs: the parameters as parts of their vector.
   *
   * @param averages Takes the running statistics after the batch, in training mode.
   */
  #pass(weights: Handle, images: number, mode: Pass["mode"], averages?: Map<string, Handle>): Pass {
    const tf = this.#tf;
    const { split, reshape } = this.#attributes;
    const count = this.#places.length;
    const sizes = tf.vector(...this.#places.map(({ size }) => size));
    // A graph may have no parameters, and there is no split into no parts.
    const parts = count === 0
      ? []
      : tf.runAll("SplitV", [weights, sizes, tf.integer(0)], split, count);
    const parameters = new Map(this.#running);
    this.#places.forEach(({ spec, shape }, i) => {
      const shaped = shape.length > 1
        ? tf.run("Reshape", [parts[i], tf.vector(...shape)], reshape)
        : parts[i];
      parameters.set(spec.name, shaped);
    });
    return {
      images,
      mode,
      parameter: (name) => parameters.get(name)!,
      onStatistics: (layer, mean, variance) => {
        averages?.set(`${layer}.running_mean`, mean).set(`${layer}.running_var`, variance);
      },
    };
  }

  /** Updates all parameters by their gradients and the weight decay. */
  #update(gradients: ReadonlyMap<string, Handle>, scalars: readonly number[]): void {
    if (this.#places.length === 0) return;
    const tf = this.#tf;
    const { reshape, concat } = this.#attributes;
    const parts = this.#places.map(({ spec, shape, size }) => {
      const gradient = gradients.get(spec.name)!;
      return shape.length > 1 ? tf.run("Reshape", [gradient, tf.vector(size)], reshape) : gradient;
    });
    const gradient = tf.run("ConcatV2", [...parts, tf.integer(0)], concat);
    const [weights, slots, decay] = [this.#weights, this.#slots, this.#decay];
    const operands = { weights, gradient, slots, scalars, decay };
    this.#kernels.update(tf, this.options.optimiser, operands);
  }

  /** A number for all parameters, or a vector with one for each. */
  #decayOf(optimiser: Optimiser): Handle {
    const { weightDecay, decayed = "all" } = optimiser;
    if (decayed === "all") return this.#tf.floats([], Float32Array.of(weightDecay));
    const values = this.#places.flatMap(({ spec, size }) =>
      new Array<number>(size).fill(decayOf(optimiser, spec))
    );
    return this.#tf.floats([values.length], Float32Array.from(values));
  }

  #weightsOf(gradients: ReadonlyMap<string, Handle>): Weights {
    return new Map(this.#places.map((place) => {
      const values = this.#tf.read(gradients.get(place.spec.name)!);
      return [place.spec.name, asPyTorch(place, values)];
    }));
  }
}

function describe({ kind, device, installation, threads }: Backend): DeviceDescription {
  const { version, source } = installation;
  return {
    summary: kind === "gpu"
      ? `TensorFlow ${version} on ${device}`
      : `TensorFlow ${version} on ${device}, ${threads} threads`,
    details: {
      library: "libtensorflow through @tensorflow/tfjs-node 4.22.0",
      ...{ version, source, device },
      ...(kind === "cpu" ? { threads } : {}),
    },
  };
}
