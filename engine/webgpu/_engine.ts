import { parametersOf, type ParameterSpec, shapeOf, sizeOf } from "../../resnet/mod.ts";
import { checkOptions, MOST_IMAGE_MEANS } from "../_arguments.ts";
import { imagesOf, Lifecycle, type Measured, type SetName, unaugmented } from "../_lifecycle.ts";
import { copyPixels, fromStored, imageMeans, roundUp, storedSize, toStored } from "../_stored.ts";
import {
  type BatchPlan,
  type ByteImages,
  type EngineData,
  EngineError,
  type EngineOptions,
  type LossScaling,
  type Normalisation,
  type Probe,
  type ProbeResult,
  type TrainingState,
} from "../engine.ts";
import { AllocationError, type Gpu, openGpu, outOfMemory, watchDevice } from "./_device.ts";
import { type Bound, Executor } from "./_executor.ts";
import {
  normalisationSize,
  normalisationValues,
  type StoredSet,
  storeSet,
  wordsOf,
} from "./_images.ts";
import { FIRST_SCALE } from "./_half.ts";
import { PLAN, PLAN_WORDS } from "./_kernel.ts";
import {
  METRIC_BYTES,
  METRIC_SLOTS,
  type Program,
  programLimits,
  writeProgram,
} from "./_program.ts";
import { type Storage, type StorageSlice, whole } from "./_storage.ts";

/** What a step costs on the host, in milliseconds. */
export interface HostTime {
  /** JavaScript: uploads and the command buffer. */
  readonly encode: number;
  /** The driver, which may already compute meanwhile. */
  readonly submit: number;
}

/** The launches of a program, bound. */
type Passes = Readonly<
  Record<
    | "training"
    | "runningStatistics"
    | "inference"
    | "loss"
    | "backward"
    | "backwardToInput"
    | "addParts"
    | "update",
    readonly Bound[]
  >
>;

/** An image set, bound. */
interface LoadedSet extends StoredSet {
  readonly bound: readonly Bound[];
  /** Input, forward, loss, backward and update: all of a step. */
  readonly step: readonly Bound[];
  /** Input to gradients, added to those of the parts before. */
  readonly part: readonly Bound[];
  /** The same and the update. */
  readonly lastPart: readonly Bound[];
  /** Input and forward with running statistics. */
  readonly evaluation: readonly Bound[];
}

/** One network's state on a GPU. */
export class WebGpuEngine extends Lifecycle {
  #memoryBytes: number;
  readonly #gpu: Gpu;
  readonly #program: Program;
  readonly #executor: Executor;
  readonly #passes: Passes;
  /** Each image's own, where they are subtracted: [N, C]. */
  #means: Record<SetName, Float32Array | undefined> | undefined;
  #normalisation: Pick<Normalisation, "scale" | "perImage"> | undefined;
  readonly #planWords: Uint32Array;
  #sets: Readonly<Record<SetName, LoadedSet>> | undefined;
  /** Images of the steps whose metrics are in the slots, from slot 0 on. */
  #slots: number[] = [];
  /** Metrics of earlier steps, on their way. */
  #onTheWay: Promise<Measured[]>[] = [];
  /** Hands a step's launches to the device; a profile has its own way. */
  #submit: (bound: readonly Bound[], images: number) => void;

  private constructor(
    name: string,
    options: EngineOptions,
    gpu: Gpu,
    program: Program,
    executor: Executor,
  ) {
    const { summary, details } = gpu.description;
    const { precision = "single" } = options;
    super(name, { summary, details: { ...details, convolution: "direct", precision } }, options);
    this.#gpu = gpu;
    this.#program = program;
    this.#executor = executor;
    this.#submit = (bound, images) => executor.submit(bound, images);
    this.#planWords = new Uint32Array(PLAN_WORDS * options.batchSize);
    const bind = (pass: keyof Passes) => executor.bind(program[pass]);
    this.#passes = {
      training: bind("training"),
      runningStatistics: bind("runningStatistics"),
      inference: bind("inference"),
      loss: bind("loss"),
      backward: bind("backward"),
      backwardToInput: bind("backwardToInput"),
      addParts: bind("addParts"),
      update: bind("update"),
    };
    this.#memoryBytes = bytesOf(program.storages);
    watchDevice(gpu.device, (reason) => this.fail(reason));
  }

  static async create(
    name: string,
    options: EngineOptions,
    open: () => Promise<Gpu> = openGpu,
  ): Promise<WebGpuEngine> {
    checkOptions(options, true);
    const gpu = await open();
    try {
      if (options.precision === "mixed" && !gpu.hasHalf) {
        throw new EngineError(
          `creating an engine: ${gpu.description.summary} has no half precision (shader-f16), which --precision mixed stores in; use --precision single`,
        );
      }
      const limits = programLimits(gpu);
      const program = writeProgram(options, limits);
      const tooLarge = program.storages.find(({ bytes }) => bytes > limits.largestBuffer);
      if (tooLarge) {
        throw await refusal(
          options,
          gpu,
          `one buffer ("${tooLarge.label}") would need ${
            mebibytes(tooLarge.bytes)
          }, more than the ${mebibytes(limits.largestBuffer)} that this adapter allows`,
        );
      }
      const executor = new Executor(gpu.device);
      try {
        await outOfMemory(gpu.device, () => executor.allocate(program.storages));
      } catch (error) {
        executor.free();
        if (!(error instanceof AllocationError)) throw error;
        throw await refusal(
          options,
          gpu,
          `it needs ${mebibytes(bytesOf(program.storages))}, more than the device has free`,
        );
      }
      for (const { slice, words } of program.updateTables) executor.write(slice, words);
      gpu.device.pushErrorScope("validation");
      const engine = new WebGpuEngine(name, options, gpu, program, executor);
      const error = await gpu.device.popErrorScope();
      if (error) {
        throw new EngineError(`creating an engine: the device refused a kernel: ${error.message}`);
      }
      return engine;
    } catch (error) {
      gpu.device.destroy();
      throw error;
    }
  }

  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  protected async hold(data: EngineData): Promise<void> {
    const { graph, cropPadding } = this.options;
    const normalisation = whole({
      label: "normalisation",
      bytes: 4 * normalisationSize(graph.inputShape),
    });
    const { batchPlan, input } = this.#program;
    const { beforePadding } = data.normalisation;
    const settings = { cropPadding, normalisation, beforePadding, batchPlan, input };
    const limit = programLimits(this.#gpu).largestBuffer;
    const train = storeSet("training", data.train, limit, settings);
    const test = storeSet("test", data.test, limit, settings);
    const storages = [
      normalisation,
      ...[...train.parts, ...test.parts].map(({ slice }) => slice),
    ].map(({ storage }) => storage);
    try {
      await outOfMemory(this.#executor.device, () => this.#executor.allocate(storages));
    } catch (error) {
      this.#executor.free(storages);
      if (!(error instanceof AllocationError)) throw error;
      throw new EngineError(
        `loading data: the images need ${mebibytes(bytesOf(storages))} beside the network's ${
          mebibytes(this.#memoryBytes)
        }, more than the device has free; use a smaller --batch`,
      );
    }
    this.#executor.write(normalisation, normalisationValues(data.normalisation));
    for (const [set, images] of [[train, data.train], [test, data.test]] as const) {
      for (const part of set.parts) this.#executor.write(part.slice, wordsOf(images, part));
    }
    this.#sets = { train: this.#bindSet(train), test: this.#bindSet(test) };
    this.#means = {
      train: imageMeans(data.train, data.normalisation),
      test: imageMeans(data.test, data.normalisation),
    };
    const { scale, perImage } = data.normalisation;
    this.#normalisation = { scale, ...(perImage ? { perImage } : {}) };
    this.#memoryBytes += bytesOf(storages);
  }

  protected replace(set: SetName, images: ByteImages, shifts: Float32Array | undefined): void {
    // In the queue's order: the steps before have read what was there.
    for (const part of this.#sets![set].parts) {
      if (part.first < images.count) this.#executor.write(part.slice, wordsOf(images, part));
    }
    this.#means![set] = imageMeans(images, this.#normalisation!, shifts);
  }

  protected write({ weights, slots, lossScaling }: Omit<TrainingState, "iteration">): void {
    const { graph } = this.options;
    const { parameters, scaling } = this.#program;
    if (scaling) {
      const { scale, goodSteps } = lossScaling ?? { scale: FIRST_SCALE, goodSteps: 0 };
      const words = Uint32Array.of(0, goodSteps, 0, 0);
      new Float32Array(words.buffer)[0] = scale;
      this.#executor.write(scaling.scaler, words);
    }
    for (const spec of parametersOf(graph)) {
      const slice = parameters.slice(spec.name);
      const stored = new Float32Array(storedSize(spec));
      for (const [slot, storage] of spec.trainable ? parameters.slots : []) {
        toStored(spec, slots.get(slot)!.get(spec.name)!.data, stored);
        this.#executor.write({ ...slice, storage }, stored);
      }
      toStored(spec, weights.get(spec.name)!.data, stored);
      this.#executor.write(slice, stored);
      const flipped = parameters.flippedSlice(spec.name);
      if (flipped) this.#executor.write(flipped, flip(spec, stored));
    }
  }

  protected async read(): Promise<Omit<TrainingState, "iteration">> {
    const { graph } = this.options;
    const { parameters, scaling } = this.#program;
    const specs = parametersOf(graph);
    const trainable = specs.filter((spec) => spec.trainable);
    const sized = (spec: ParameterSpec): StorageSlice => ({
      ...parameters.slice(spec.name),
      size: 4 * storedSize(spec),
    });
    const values = await this.#slices([
      ...specs.map(sized),
      ...[...parameters.slots.values()].flatMap((storage) =>
        trainable.map((spec) => ({ ...sized(spec), storage }))
      ),
      ...scaling ? [scaling.scaler] : [],
    ]);
    return {
      ...(scaling && { lossScaling: scalingOf(values.at(-1)!) }),
      weights: fromStored(graph, () => true, (spec) => values[specs.indexOf(spec)]),
      slots: new Map([...parameters.slots.keys()].map((slot, i) => {
        const first = specs.length + i * trainable.length;
        const stored = (spec: ParameterSpec) => values[first + trainable.indexOf(spec)];
        return [slot, fromStored(graph, (spec) => spec.trainable, stored)];
      })),
    };
  }

  protected train(parts: readonly BatchPlan[], scalars: readonly number[]): void {
    const { train } = this.#sets!;
    const lossImages = imagesOf(parts);
    parts.forEach((plan, part) => {
      if (this.#slots.length === METRIC_SLOTS) this.#collectMetrics();
      const images = plan.indices.length;
      this.#setBatch("train", plan);
      const slot = this.#slots.length;
      this.#executor.setStep({ images, lossImages, part, scalars, updateRunning: true, slot });
      this.#slots.push(images);
      const whole = parts.length === 1;
      const last = part === parts.length - 1;
      this.#submit(whole ? train.step : last ? train.lastPart : train.part, images);
    });
  }

  protected async measured(): Promise<readonly Measured[]> {
    this.#collectMetrics();
    return (await this.#arrived(Promise.all(this.#onTheWay.splice(0)))).flat();
  }

  protected async logits(set: SetName, indices: Uint32Array): Promise<Float32Array> {
    const { batchSize, cropPadding } = this.options;
    const { output } = this.#program;
    const { evaluation } = this.#sets![set];
    const row = output.size / batchSize;
    const results = this.#executor.readable(row * indices.length);
    let stored: Float32Array;
    try {
      this.#executor.setStep({ images: 1, inference: true });
      this.#executor.submit(this.#passes.runningStatistics, 1);
      for (let first = 0; first < indices.length; first += batchSize) {
        const part = indices.subarray(first, first + batchSize);
        this.#setBatch(set, unaugmented(part, cropPadding));
        this.#executor.setStep({ images: part.length, inference: true });
        const from = { ...output, size: row * part.length };
        this.#executor.submit(evaluation, part.length, [{ from, to: results, at: row * first }]);
      }
      await this.#arrived(results.mapAsync(GPUMapMode.READ));
      stored = new Float32Array(results.getMappedRange().slice(0));
    } finally {
      results.destroy();
    }
    const { classes } = this.images(set);
    const logits = new Float32Array(indices.length * classes);
    copyPixels(stored, row / 4, logits, classes);
    return logits;
  }

  protected async pass(probe: Probe): Promise<ProbeResult> {
    const { images, upstream, labels } = probe;
    const { graph } = this.options;
    const { input, output, outputGradient, inputGradient, metrics, gradients } = this.#program;
    const { training, runningStatistics, inference, loss, backwardToInput } = this.#passes;
    const { scaling } = this.#program;
    const given = scaling && upstream ? scaleOf(upstream) : 1;
    // All is queued before anything is waited for: a step that is asked for meanwhile comes after.
    // The slots hold metrics of steps that nobody has read.
    this.#collectMetrics();
    this.#executor.setStep({ images, inference: probe.mode === "inference" });
    this.#writeValues(input, graph.inputShape, probe.input);
    const forward = probe.mode === "training" ? training : [...runningStatistics, ...inference];
    this.#executor.submit(forward, images);
    const outputShape = shapeOf(graph, graph.output);
    const outputOf = (stored: Float32Array) => unpack(stored, outputShape, images);
    if (!upstream && !labels) return { output: outputOf((await this.#slices([output]))[0]) };

    if (labels) {
      const words = this.#planWords.fill(0);
      labels.forEach((label, i) => words[PLAN_WORDS * i + PLAN.label] = label);
      this.#executor.write(this.#program.batchPlan, words);
      this.#executor.submit(loss, images);
    } else {
      this.#writeValues(outputGradient, outputShape, upstream!.map((value) => value * given));
    }
    this.#executor.submit(backwardToInput, images);
    const entries = [...gradients];
    const [stored, measured, dx, ...sums] = await this.#slices([
      output,
      { ...metrics, size: METRIC_BYTES },
      inputGradient,
      ...entries.map(([, { slice }]) => slice),
      ...scaling ? [scaling.scaler] : [],
    ]);
    const scale = scaling && labels ? scalingOf(sums.at(-1)!).scale : given;
    const totals = new Map(entries.map(([name, { partials, size }], i) => {
      const total = sums[i].slice(0, size);
      for (let p = 1; p < partials; p++) {
        for (let j = 0; j < size; j++) total[j] += sums[i][p * size + j];
      }
      return [name, total.map((value) => value / scale)];
    }));
    return {
      output: outputOf(stored),
      ...(labels && { loss: measured[0] / images }),
      inputGradient: unpack(dx, graph.inputShape, images).map((value) => value / scale),
      gradients: fromStored(
        graph,
        (spec) => spec.trainable,
        (spec) => totals.get(spec.name) ?? new Float32Array(storedSize(spec)),
      ),
    };
  }

  protected async batch(plan: BatchPlan): Promise<Float32Array> {
    const images = plan.indices.length;
    this.#setBatch("train", plan);
    this.#executor.setStep({ images });
    this.#executor.submit(this.#sets!.train.bound, images);
    const [stored] = await this.#slices([this.#program.input]);
    return unpack(stored, this.options.graph.inputShape, images);
  }

  /** What a step launches; only when there are data. */
  get launches(): readonly Bound[] {
    return this.#sets!.train.step;
  }

  /** Takes a step for each batch and measures what it costs on the host, without waiting. */
  profileHost(plans: readonly BatchPlan[], learningRate: number): HostTime[] {
    const submit = this.#submit;
    let encoded = 0;
    this.#submit = (bound, images) => {
      const commands = this.#executor.encode(bound, images);
      encoded = performance.now();
      this.#executor.device.queue.submit([commands]);
    };
    try {
      return plans.map((plan) => {
        const begun = performance.now();
        this.step(plan, learningRate);
        return { encode: encoded - begun, submit: performance.now() - encoded };
      });
    } finally {
      this.#submit = submit;
    }
  }

  /** Takes a step for each batch; nanoseconds of each launch, or undefined without timestamps. */
  async profileDevice(
    plans: readonly BatchPlan[],
    learningRate: number,
  ): Promise<number[][] | undefined> {
    if (!this.#gpu.hasTimestamps) return undefined;
    const submit = this.#submit;
    const times: Promise<number[]>[] = [];
    this.#submit = (bound, images) => times.push(this.#executor.submitTimed(bound, images));
    try {
      for (const plan of plans) {
        this.step(plan, learningRate);
        await times.at(-1);
      }
    } finally {
      this.#submit = submit;
    }
    return await Promise.all(times);
  }

  protected free(): void {
    this.#executor.free();
    this.#gpu.device.destroy();
    this.#sets = undefined;
    this.#slots = [];
    this.#onTheWay = [];
  }

  /** Awaits results. What the device itself reports of a failure comes a task later. */
  async #arrived<T>(results: Promise<T>): Promise<T> {
    try {
      return await results;
    } catch (error) {
      await new Promise((resolve) => setTimeout(resolve));
      throw error;
    }
  }

  #slices(slices: readonly StorageSlice[]): Promise<Float32Array[]> {
    return this.#arrived(this.#executor.read(slices));
  }

  #bindSet(set: StoredSet): LoadedSet {
    const bound = this.#executor.bind(set.launches);
    const { training, inference, loss, backward, addParts, update } = this.#passes;
    return {
      ...set,
      bound,
      step: [...bound, ...training, ...loss, ...backward, ...update],
      part: [...bound, ...training, ...loss, ...backward, ...addParts],
      lastPart: [...bound, ...training, ...loss, ...backward, ...addParts, ...update],
      evaluation: [...bound, ...inference],
    };
  }

  #setBatch(set: SetName, plan: BatchPlan): void {
    const { labels, channels } = this.images(set);
    const means = this.#means?.[set];
    const words = this.#planWords;
    const floats = new Float32Array(words.buffer);
    plan.indices.forEach((index, i) => {
      const word = PLAN_WORDS * i;
      words[word + PLAN.index] = index;
      words[word + PLAN.cropY] = plan.cropY[i];
      words[word + PLAN.cropX] = plan.cropX[i];
      words[word + PLAN.flip] = plan.flip[i];
      words[word + PLAN.label] = labels[index];
      // Zeros too: a batch before may have had means.
      for (let c = 0; c < Math.min(channels, MOST_IMAGE_MEANS); c++) {
        floats[word + PLAN.means + c] = means?.[index * channels + c] ?? 0;
      }
    });
    const used = words.subarray(0, PLAN_WORDS * plan.indices.length);
    this.#executor.write(this.#program.batchPlan, used);
  }

  #writeValues(slice: StorageSlice, shape: readonly number[], values: Float32Array): void {
    const channels = shape[shape.length - 1];
    const stored = new Float32Array(values.length / channels * roundUp(channels));
    copyPixels(values, channels, stored, roundUp(channels));
    this.#executor.write(slice, stored);
  }

  /** Starts reading the metrics of the steps in the slots, which are free for others then. */
  #collectMetrics(): void {
    const steps = this.#slots;
    if (steps.length === 0) return;
    this.#slots = [];
    const { metrics: measured, scaling } = this.#program;
    const slices = [measured, ...scaling ? [scaling.scales] : []]
      .map((slice) => ({ ...slice, size: METRIC_BYTES * steps.length }));
    const metrics = this.#executor.read(slices).then(([values, scales]) =>
      steps.map((images, i): Measured => ({
        ...{ loss: values[2 * i] / images, errors: values[2 * i + 1] },
        ...(scales && { lossScale: scales[2 * i] }),
        ...(scales && scales[2 * i + 1] > 0 && { skipped: true }),
      }))
    );
    metrics.catch(() => {}); // told by whoever awaits it
    this.#onTheWay.push(metrics);
  }
}

/** Of a gradient of the output, at most: as that of a mean loss over 128 images at the first scale. */
const LARGEST_UPSTREAM = FIRST_SCALE / 128;

/** What makes a gradient fit in half precision as a loss's does: a power of two. */
function scaleOf(upstream: Float32Array): number {
  const largest = upstream.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const scale = 2 ** Math.floor(Math.log2(LARGEST_UPSTREAM / largest));
  return Number.isFinite(scale) && scale > 0 ? scale : 1;
}

/** The scale and the good steps of the scaler's buffer. */
function scalingOf(stored: Float32Array): LossScaling {
  return { scale: stored[0], goodSteps: new Uint32Array(stored.buffer)[1] };
}

/** Kernels as the input gradient reads them: [taps - 1 - tap][filters][channels]. */
function flip(spec: ParameterSpec, stored: Float32Array): Float32Array {
  const [filters, channels, ...window] = spec.shape;
  const [k, c, taps] = [roundUp(filters), roundUp(channels), sizeOf(window)];
  const flipped = new Float32Array(stored.length);
  for (let tap = 0; tap < taps; tap++) {
    for (let channel = 0; channel < c; channel++) {
      for (let filter = 0; filter < k; filter++) {
        flipped[((taps - 1 - tap) * k + filter) * c + channel] =
          stored[(tap * c + channel) * k + filter];
      }
    }
  }
  return flipped;
}

/** The values of so many images, without the rounded-up channels. */
function unpack(stored: Float32Array, shape: readonly number[], images: number): Float32Array {
  const values = new Float32Array(images * sizeOf(shape));
  const channels = shape[shape.length - 1];
  copyPixels(stored, roundUp(channels), values, channels);
  return values;
}

/** Why a network can't be held, with the largest batch that can. */
async function refusal(options: EngineOptions, gpu: Gpu, problem: string): Promise<EngineError> {
  const { graph, batchSize } = options;
  let [fits, fails] = [0, batchSize];
  while (fails - fits > 1) {
    const batch = Math.floor((fits + fails) / 2);
    if (await hasRoom({ ...options, batchSize: batch }, gpu)) fits = batch;
    else fails = batch;
  }
  return new EngineError(
    `creating an engine: "${graph.name}" at batch ${batchSize} does not fit on ${gpu.description.summary}: ${problem}; ${
      fits > 0
        ? `the largest batch that fits is ${fits}: use --batch ${fits}, or a network of less depth`
        : "no batch of this network fits; use a network of less depth"
    }`,
  );
}

async function hasRoom(options: EngineOptions, gpu: Gpu): Promise<boolean> {
  const limits = programLimits(gpu);
  const { storages } = writeProgram(options, limits);
  if (storages.some(({ bytes }) => bytes > limits.largestBuffer)) return false;
  const executor = new Executor(gpu.device);
  try {
    await outOfMemory(gpu.device, () => executor.allocate(storages));
    return true;
  } catch (error) {
    if (error instanceof AllocationError) return false;
    throw error;
  } finally {
    executor.free();
  }
}

function bytesOf(storages: readonly Storage[]): number {
  return storages.reduce((sum, { bytes }) => sum + bytes, 0);
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
