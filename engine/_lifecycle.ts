/**
 * What every engine does around its kernels, as the contract of `engine.ts` states it: data once;
 * arguments checked before any work, in the same words everywhere; steps counted and their metrics
 * told once, in order; usable until something fails or it is disposed of.
 */
import {
  checkData,
  checkFed,
  checkIndices,
  checkPlan,
  checkProbe,
  checkState,
  checkStep,
} from "./_arguments.ts";
import { score } from "./_stored.ts";
import {
  type BatchPlan,
  type ByteImages,
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
} from "./engine.ts";
import { labelsAt } from "./labels.ts";
import { ruleOf, type UpdateRule } from "./optimiser.ts";

/** The sets of images that an engine holds. */
export type SetName = "train" | "test";

/** What kernels measure of a step. */
export type Measured = Pick<StepMetrics, "loss" | "errors" | "lossScale" | "skipped">;

/** A result now or later. */
export type Awaitable<T> = T | Promise<T>;

/** An engine but for its kernels: the abstract methods, which are called only when they may be. */
export abstract class Lifecycle implements Engine {
  readonly name: string;
  readonly device: DeviceDescription;
  protected readonly options: EngineOptions;
  /** The optimiser's. */
  protected readonly rule: UpdateRule;
  #iteration = 0;
  #loading = false;
  /** Without their pixels. */
  #sets: Record<SetName, ByteImages> | undefined;
  /** As they were loaded. */
  #loaded: Readonly<Record<SetName, ByteImages>> | undefined;
  /** Steps whose metrics nobody has asked for. */
  #untold: (Omit<StepMetrics, keyof Measured> & { readonly parts: readonly number[] })[] = [];
  #unusable: string | undefined;
  #disposed = false;

  constructor(name: string, device: DeviceDescription, options: EngineOptions) {
    this.name = name;
    this.device = device;
    this.options = options;
    this.rule = ruleOf(options.optimiser);
  }

  abstract get memoryBytes(): number;

  // The kernels. What these throw makes the engine unusable; what they are given has been checked.

  /**
   * Copies images and normalisation to the device.
   *
   * @throws {EngineError} If there is no room for them: nothing of them is held then, and the
   *   engine is as it was.
   */
  protected abstract hold(data: EngineData): Awaitable<void>;
  /**
   * Copies images to the place of a set's: steps and evaluations from here on see them.
   *
   * @param shifts [N, C], scaled, added to the channels of each.
   */
  protected abstract replace(
    set: SetName,
    images: ByteImages,
    shifts: Float32Array | undefined,
  ): void;
  /** Copies a state to the device. */
  protected abstract write(state: Omit<TrainingState, "iteration">): Awaitable<void>;
  /** A copy of the state. */
  protected abstract read(): Awaitable<Omit<TrainingState, "iteration">>;
  /**
   * Takes or queues one step.
   *
   * @param parts Of its batch; batch norm has statistics of each, and all have one loss, the mean
   *   over the images of all.
   * @param scalars The optimiser's, of the step.
   */
  protected abstract train(parts: readonly BatchPlan[], scalars: readonly number[]): void;
  /** What the parts of the steps since the last call measured, in their order: mean loss, errors. */
  protected abstract measured(): Awaitable<readonly Measured[]>;
  /** [N, classes] of unaugmented images with running statistics. */
  protected abstract logits(set: SetName, indices: Uint32Array): Awaitable<Float32Array>;
  /** As {@linkcode Engine.probe}. */
  protected abstract pass(probe: Probe): Awaitable<ProbeResult>;
  /** As {@linkcode Engine.augmented}. */
  protected abstract batch(plan: BatchPlan): Awaitable<Float32Array>;
  /** Gives everything back; once. @param healthy False where something has failed. */
  protected abstract free(healthy: boolean): void;

  /** A set without its pixels; only when there are data. */
  protected images(set: SetName): ByteImages {
    return this.#sets![set];
  }

  /** The device has failed by itself; the first reason counts. */
  protected fail(reason: string): void {
    this.#unusable ??= reason;
  }

  async load(data: EngineData): Promise<void> {
    const what = "loading data";
    this.#requireUsable(what);
    if (this.#loading) {
      throw new EngineError(`${what}: an engine takes its data once; make another engine`);
    }
    checkData(this.options.graph, data);
    const sets = { train: withoutPixels(data.train), test: withoutPixels(data.test) };
    this.#loading = true;
    try {
      await this.hold(data);
    } catch (error) {
      if (!(error instanceof EngineError)) throw this.#failure(what, error);
      this.#loading = false;
      throw error;
    }
    this.#requireUsable(what);
    this.#sets = sets;
    this.#loaded = { ...sets };
  }

  feed(set: SetName, images: ByteImages, shifts?: Float32Array): void {
    const what = "feeding images";
    const sets = this.#requireData(what) as Record<SetName, ByteImages>;
    checkFed(this.#loaded![set], images, shifts);
    try {
      this.replace(set, images, shifts);
    } catch (error) {
      throw this.#failure(what, error);
    }
    sets[set] = withoutPixels(images);
  }

  async importState(state: TrainingState): Promise<void> {
    const what = "importing a state";
    this.#requireUsable(what);
    checkState(this.options, state);
    this.#iteration = state.iteration;
    await this.#compute(what, () => this.write(state));
  }

  async exportState(): Promise<TrainingState> {
    const what = "exporting the state";
    this.#requireUsable(what);
    const iteration = this.#iteration;
    return { iteration, ...await this.#compute(what, () => this.read()) };
  }

  step(plan: BatchPlan, learningRate: number): void {
    const what = "a training step";
    const { train } = this.#requireData(what);
    checkStep(this.options, train, plan, learningRate);
    const scalars = this.rule.scalars(this.#iteration + 1, learningRate);
    const parts = partsOf(plan, this.options.batchNormImages);
    try {
      this.train(parts, scalars);
    } catch (error) {
      throw this.#failure(what, error);
    }
    this.#iteration++;
    this.#untold.push({
      ...{ iteration: this.#iteration, learningRate, images: plan.indices.length },
      parts: parts.map(({ indices }) => indices.length),
    });
  }

  async metrics(): Promise<StepMetrics[]> {
    const what = "reading metrics";
    this.#requireUsable(what);
    const steps = this.#untold.splice(0);
    const measured = await this.#compute(what, () => this.measured());
    let next = 0;
    return steps.map(({ parts, ...step }) => {
      const found = measured.slice(next, next += parts.length);
      return { ...step, ...(found.length === 1 ? found[0] : joined(found, parts, step.images)) };
    });
  }

  async evaluate(set: SetName, indices?: Uint32Array): Promise<Evaluation> {
    const what = "evaluating";
    const { [set]: images } = this.#requireData(what);
    const { count, labels, classes } = images;
    const chosen = indices?.slice() ?? Uint32Array.from({ length: count }, (_, index) => index);
    checkIndices(`${what} the ${set} images`, images, chosen);
    const logits = await this.#compute(what, () => this.logits(set, chosen));
    return score(logits, labelsAt(labels, chosen), classes);
  }

  async probe(probe: Probe): Promise<ProbeResult> {
    const what = "probing";
    this.#requireUsable(what);
    checkProbe(this.options, probe);
    return await this.#compute(what, () => this.pass(probe));
  }

  async augmented(plan: BatchPlan): Promise<Float32Array> {
    const what = "augmenting";
    const { train } = this.#requireData(what);
    checkPlan(what, this.options, train, plan);
    return await this.#compute(what, () => this.batch(plan));
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    const healthy = this.#unusable === undefined;
    this.#unusable ??= "it was disposed of";
    this.free(healthy);
    this.#sets = undefined;
    this.#untold = [];
  }

  #requireUsable(what: string): void {
    if (this.#unusable === undefined) return;
    throw new EngineError(`${what}: this engine can't be used any more: ${this.#unusable}`);
  }

  #requireData(what: string): Readonly<Record<SetName, ByteImages>> {
    this.#requireUsable(what);
    if (!this.#sets) throw new EngineError(`${what}: the engine has no data yet; call load first`);
    return this.#sets;
  }

  /** Runs kernels; where the device failed meanwhile, that is the error to tell. */
  async #compute<T>(what: string, work: () => Awaitable<T>): Promise<T> {
    let found: T;
    try {
      found = await work();
    } catch (error) {
      throw this.#failure(what, error);
    }
    this.#requireUsable(what);
    return found;
  }

  /** Marks the engine as unusable; the error to throw. */
  #failure(what: string, error: unknown): EngineError {
    this.fail(`${what} failed (${error instanceof Error ? error.message : error})`);
    return new EngineError(
      `${what}: this engine can't be used any more: ${this.#unusable}`,
      { cause: error },
    );
  }
}

function withoutPixels(images: ByteImages): ByteImages {
  return { ...images, labels: images.labels.slice(), pixels: new Uint8Array() };
}

/** What the parts of a batch measured, as the batch did. */
function joined(
  measured: readonly Measured[],
  parts: readonly number[],
  images: number,
): Measured {
  // The last part ends the step.
  const { lossScale, skipped } = measured.at(-1)!;
  return {
    ...(lossScale === undefined ? {} : { lossScale }),
    ...(skipped && { skipped }),
    loss: measured.reduce((sum, { loss }, i) => sum + loss * parts[i], 0) / images,
    errors: measured.reduce((sum, { errors }) => sum + errors, 0),
  };
}

/** A plan in parts of so many images; the last may have fewer. */
function partsOf(plan: BatchPlan, size = Infinity): readonly BatchPlan[] {
  const images = plan.indices.length;
  if (images <= size) return [plan];
  return Array.from({ length: Math.ceil(images / size) }, (_, i) => {
    const [from, to] = [i * size, (i + 1) * size];
    return {
      indices: plan.indices.subarray(from, to),
      cropY: plan.cropY.subarray(from, to),
      cropX: plan.cropX.subarray(from, to),
      flip: plan.flip.subarray(from, to),
    };
  });
}

/** Images of all parts. */
export function imagesOf(parts: readonly BatchPlan[]): number {
  return parts.reduce((sum, { indices }) => sum + indices.length, 0);
}

/** The plan of images as they are: uncropped, not mirrored. */
export function unaugmented(indices: Uint32Array, cropPadding: number): BatchPlan {
  const offsets = new Uint8Array(indices.length).fill(cropPadding);
  return { indices, cropY: offsets, cropX: offsets, flip: new Uint8Array(indices.length) };
}
