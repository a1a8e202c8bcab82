import { parametersOf, type ParameterSpec, sizeOf } from "../../resnet/mod.ts";
import {
  checkData,
  checkIndices,
  checkOptions,
  checkPlan,
  checkProbe,
  checkState,
  checkStep,
} from "../_arguments.ts";
import { copyPixels, fromStored, roundUp, score, storedSize, toStored } from "../_stored.ts";
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
import { AllocationError, type Gpu, openGpu, outOfMemory, watchDevice } from "./_device.ts";
import { type Bound, Executor } from "./_executor.ts";
import {
  normalisationSize,
  normalisationValues,
  type StoredSet,
  storeSet,
  wordsOf,
} from "./_images.ts";
import { PLAN, PLAN_WORDS } from "./_kernel.ts";
import {
  METRIC_BYTES,
  METRIC_SLOTS,
  type Program,
  programLimits,
  writeProgram,
} from "./_program.ts";
import { type Storage, type StorageSlice, whole } from "./_storage.ts";

/** A step whose metrics are still on the device. */
type QueuedStep = Pick<StepMetrics, "iteration" | "learningRate" | "images">;

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
    | "update",
    readonly Bound[]
  >
>;

/** An image set, bound. */
interface LoadedSet extends StoredSet {
  readonly bound: readonly Bound[];
  /** Input, forward, loss, backward and update: all of a step. */
  readonly step: readonly Bound[];
  /** Input and forward with running statistics. */
  readonly evaluation: readonly Bound[];
}

/** One network's state on a GPU. */
export class WebGpuEngine implements Engine {
  readonly name: string;
  readonly device: DeviceDescription;
  #memoryBytes: number;
  readonly #options: EngineOptions;
  readonly #gpu: Gpu;
  readonly #program: Program;
  readonly #executor: Executor;
  readonly #passes: Passes;
  readonly #planWords: Uint32Array;
  #iteration = 0;
  #sets: Readonly<Record<"train" | "test", LoadedSet>> | undefined;
  /** Steps whose metrics are in the slots, from slot 0 on. */
  #queued: QueuedStep[] = [];
  /** Metrics of earlier steps, on their way. */
  #onTheWay: Promise<StepMetrics[]>[] = [];
  #unusable: string | undefined;

  private constructor(
    name: string,
    options: EngineOptions,
    gpu: Gpu,
    program: Program,
    executor: Executor,
  ) {
    this.name = name;
    const { summary, details } = gpu.description;
    this.device = { summary, details: { ...details, convolution: "direct" } };
    this.#options = options;
    this.#gpu = gpu;
    this.#program = program;
    this.#executor = executor;
    this.#planWords = new Uint32Array(PLAN_WORDS * options.batchSize);
    const bind = (pass: keyof Passes) => executor.bind(program[pass]);
    this.#passes = {
      training: bind("training"),
      runningStatistics: bind("runningStatistics"),
      inference: bind("inference"),
      loss: bind("loss"),
      backward: bind("backward"),
      backwardToInput: bind("backwardToInput"),
      update: bind("update"),
    };
    this.#memoryBytes = bytesOf(program.storages);
    watchDevice(gpu.device, (reason) => this.#unusable ??= reason);
  }

  static async create(
    name: string,
    options: EngineOptions,
    open: () => Promise<Gpu> = openGpu,
  ): Promise<WebGpuEngine> {
    checkOptions(options);
    const gpu = await open();
    try {
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

  async load(data: EngineData): Promise<void> {
    this.#requireUsable("loading data");
    if (this.#sets) {
      throw new EngineError("loading data: an engine takes its data once; make another engine");
    }
    const { graph, cropPadding } = this.#options;
    checkData(graph, data);
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
    this.#memoryBytes += bytesOf(storages);
  }

  // deno-lint-ignore require-await -- errors must reject, not throw
  async importState(state: TrainingState): Promise<void> {
    this.#requireUsable("importing a state");
    const { graph } = this.#options;
    checkState(graph, state);
    this.#iteration = state.iteration;
    const { parameters } = this.#program;
    for (const spec of parametersOf(graph)) {
      const slice = parameters.slice(spec.name);
      const stored = new Float32Array(storedSize(spec));
      if (spec.trainable) {
        toStored(spec, state.momentum.get(spec.name)!.data, stored);
        this.#executor.write({ ...slice, storage: parameters.momentum }, stored);
      }
      toStored(spec, state.weights.get(spec.name)!.data, stored);
      this.#executor.write(slice, stored);
      const flipped = parameters.flippedSlice(spec.name);
      if (flipped) this.#executor.write(flipped, flip(spec, stored));
    }
  }

  async exportState(): Promise<TrainingState> {
    this.#requireUsable("exporting the state");
    const { graph } = this.#options;
    const { parameters } = this.#program;
    const iteration = this.#iteration;
    const specs = parametersOf(graph);
    const trainable = specs.filter((spec) => spec.trainable);
    const sized = (spec: ParameterSpec): StorageSlice => ({
      ...parameters.slice(spec.name),
      size: 4 * storedSize(spec),
    });
    const values = await this.#read("exporting the state", [
      ...specs.map(sized),
      ...trainable.map((spec) => ({ ...sized(spec), storage: parameters.momentum })),
    ]);
    return {
      iteration,
      weights: fromStored(graph, () => true, (spec) => values[specs.indexOf(spec)]),
      momentum: fromStored(
        graph,
        (spec) => spec.trainable,
        (spec) => values[specs.length + trainable.indexOf(spec)],
      ),
    };
  }

  step(plan: BatchPlan, learningRate: number): void {
    const { train } = this.#requireData("a training step");
    this.#executor.submit(train.step, this.#queueStep(train, plan, learningRate));
  }

  /** Uploads what a step needs and counts it; the number of its images. */
  #queueStep(train: LoadedSet, plan: BatchPlan, learningRate: number): number {
    checkStep(this.#options, train.images, plan, learningRate);
    if (this.#queued.length === METRIC_SLOTS) this.#collectMetrics();
    const images = plan.indices.length;
    this.#setBatch(train, plan);
    this.#executor.setStep({
      ...{ images, learningRate, updateRunning: true },
      slot: this.#queued.length,
    });
    this.#iteration++;
    this.#queued.push({ iteration: this.#iteration, learningRate, images });
    return images;
  }

  async metrics(): Promise<StepMetrics[]> {
    this.#requireUsable("reading metrics");
    this.#collectMetrics();
    const arrived = await this.#guard("reading metrics", Promise.all(this.#onTheWay.splice(0)));
    return arrived.flat();
  }

  async evaluate(set: "train" | "test", indices?: Uint32Array): Promise<Evaluation> {
    const { [set]: loaded } = this.#requireData("evaluating");
    const { images } = loaded;
    const chosen = indices ?? Uint32Array.from({ length: images.count }, (_, index) => index);
    checkIndices(`evaluating the ${set} images`, images, chosen);
    const { batchSize, cropPadding } = this.#options;
    const { output } = this.#program;
    const row = output.size / batchSize;
    const results = this.#executor.readable(row * chosen.length);
    let stored: Float32Array;
    try {
      this.#executor.setStep({ images: 1, inference: true });
      this.#executor.submit(this.#passes.runningStatistics, 1);
      for (let first = 0; first < chosen.length; first += batchSize) {
        const part = chosen.subarray(first, first + batchSize);
        const centre = new Uint8Array(part.length).fill(cropPadding);
        const flip = new Uint8Array(part.length);
        this.#setBatch(loaded, { indices: part, cropY: centre, cropX: centre, flip });
        this.#executor.setStep({ images: part.length, inference: true });
        const from = { ...output, size: row * part.length };
        this.#executor.submit(loaded.evaluation, part.length, [
          { from, to: results, at: row * first },
        ]);
      }
      await this.#guard("evaluating", results.mapAsync(GPUMapMode.READ));
      stored = new Float32Array(results.getMappedRange().slice(0));
    } finally {
      results.destroy();
    }
    const { classes } = images;
    const logits = new Float32Array(chosen.length * classes);
    copyPixels(stored, row / 4, logits, classes);
    return score(logits, Uint8Array.from(chosen, (index) => images.labels[index]), classes);
  }

  async probe(probe: Probe): Promise<ProbeResult> {
    this.#requireUsable("probing");
    checkProbe(this.#options, probe);
    const { images, upstream, labels } = probe;
    const { graph } = this.#options;
    const { input, output, outputGradient, inputGradient, metrics, gradients } = this.#program;
    const { training, runningStatistics, inference, loss, backwardToInput } = this.#passes;
    // The slots hold metrics of steps that nobody has read.
    this.#collectMetrics();
    this.#executor.setStep({ images, inference: probe.mode === "inference" });
    this.#writeValues(input, graph.inputShape, probe.input);
    const forward = probe.mode === "training" ? training : [...runningStatistics, ...inference];
    this.#executor.submit(forward, images);
    const outputShape = graph.nodes.find(({ name }) => name === graph.output)!.shape;
    const [stored] = await this.#read("probing", [output]);
    const result = { output: unpack(stored, outputShape, images) };
    if (!upstream && !labels) return result;

    if (labels) {
      const words = this.#planWords.fill(0);
      labels.forEach((label, i) => words[PLAN_WORDS * i + PLAN.label] = label);
      this.#executor.write(this.#program.batchPlan, words);
      this.#executor.submit(loss, images);
    } else {
      this.#writeValues(outputGradient, outputShape, upstream!);
    }
    this.#executor.submit(backwardToInput, images);
    const entries = [...gradients];
    const [measured, dx, ...sums] = await this.#read("probing", [
      { ...metrics, size: METRIC_BYTES },
      inputGradient,
      ...entries.map(([, { slice }]) => slice),
    ]);
    const totals = new Map(entries.map(([name, { partials, size }], i) => {
      const total = sums[i].slice(0, size);
      for (let p = 1; p < partials; p++) {
        for (let j = 0; j < size; j++) total[j] += sums[i][p * size + j];
      }
      return [name, total];
    }));
    return {
      ...result,
      ...(labels && { loss: measured[0] / images }),
      inputGradient: unpack(dx, graph.inputShape, images),
      gradients: fromStored(
        graph,
        (spec) => spec.trainable,
        (spec) => totals.get(spec.name) ?? new Float32Array(storedSize(spec)),
      ),
    };
  }

  async augmented(plan: BatchPlan): Promise<Float32Array> {
    const { train } = this.#requireData("augmenting");
    checkPlan("augmenting", this.#options, train.images, plan);
    const images = plan.indices.length;
    this.#setBatch(train, plan);
    this.#executor.setStep({ images });
    this.#executor.submit(train.bound, images);
    const [stored] = await this.#read("augmenting", [this.#program.input]);
    return unpack(stored, this.#options.graph.inputShape, images);
  }

  /** What a step launches. */
  get launches(): readonly Bound[] {
    return this.#requireData("profiling").train.step;
  }

  /** Takes a step for each batch and measures what it costs on the host, without waiting. */
  profileHost(plans: readonly BatchPlan[], learningRate: number): HostTime[] {
    const { train } = this.#requireData("profiling");
    return plans.map((plan) => {
      const begun = performance.now();
      const images = this.#queueStep(train, plan, learningRate);
      const commands = this.#executor.encode(train.step, images);
      const encoded = performance.now();
      this.#executor.device.queue.submit([commands]);
      return { encode: encoded - begun, submit: performance.now() - encoded };
    });
  }

  /** Takes a step for each batch; nanoseconds of each launch, or undefined without timestamps. */
  async profileDevice(
    plans: readonly BatchPlan[],
    learningRate: number,
  ): Promise<number[][] | undefined> {
    const { train } = this.#requireData("profiling");
    if (!this.#gpu.hasTimestamps) return undefined;
    const times: number[][] = [];
    for (const plan of plans) {
      const images = this.#queueStep(train, plan, learningRate);
      const timed = this.#executor.submitTimed(train.step, images);
      times.push(await this.#guard("profiling", timed));
    }
    return times;
  }

  dispose(): void {
    this.#unusable ??= "it was disposed of";
    this.#executor.free();
    this.#gpu.device.destroy();
    this.#sets = undefined;
    this.#queued = [];
    this.#onTheWay = [];
  }

  #requireUsable(what: string): void {
    if (this.#unusable !== undefined) throw this.#failure(what);
  }

  #requireData(what: string): Readonly<Record<"train" | "test", LoadedSet>> {
    this.#requireUsable(what);
    if (!this.#sets) throw new EngineError(`${what}: the engine has no data yet; call load first`);
    return this.#sets;
  }

  /** Awaits results; where the device failed meanwhile, that is the error to tell. */
  async #guard<T>(what: string, results: Promise<T>): Promise<T> {
    let found: T;
    try {
      found = await results;
    } catch (error) {
      // What the device itself reports comes a task later, and says more.
      await new Promise((resolve) => setTimeout(resolve));
      this.#unusable ??= `the device failed (${(error as Error).message})`;
      throw this.#failure(what);
    }
    this.#requireUsable(what);
    return found;
  }

  #failure(what: string): EngineError {
    return new EngineError(`${what}: this engine can't be used any more: ${this.#unusable}`);
  }

  #read(what: string, slices: readonly StorageSlice[]): Promise<Float32Array[]> {
    return this.#guard(what, this.#executor.read(slices));
  }

  #bindSet(set: StoredSet): LoadedSet {
    const bound = this.#executor.bind(set.launches);
    const { training, inference, loss, backward, update } = this.#passes;
    return {
      ...set,
      bound,
      step: [...bound, ...training, ...loss, ...backward, ...update],
      evaluation: [...bound, ...inference],
    };
  }

  #setBatch({ images }: StoredSet, plan: BatchPlan): void {
    const words = this.#planWords;
    plan.indices.forEach((index, i) => {
      const word = PLAN_WORDS * i;
      words[word + PLAN.index] = index;
      words[word + PLAN.cropY] = plan.cropY[i];
      words[word + PLAN.cropX] = plan.cropX[i];
      words[word + PLAN.flip] = plan.flip[i];
      words[word + PLAN.label] = images.labels[index];
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
    const steps = this.#queued;
    if (steps.length === 0) return;
    this.#queued = [];
    const slice = { ...this.#program.metrics, size: METRIC_BYTES * steps.length };
    const metrics = this.#executor.read([slice]).then(([values]) => {
      return steps.map((step, i): StepMetrics => ({
        ...step,
        loss: values[2 * i] / step.images,
        errors: values[2 * i + 1],
      }));
    });
    metrics.catch(() => {}); // told by whoever awaits it
    this.#onTheWay.push(metrics);
  }
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
