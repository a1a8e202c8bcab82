import { type ParameterSpec, sizeOf, type Weights } from "../../resnet/mod.ts";
import { checkOptions, MOST_IMAGE_MEANS } from "../_arguments.ts";
import { imagesOf, Lifecycle, type Measured, type SetName, unaugmented } from "../_lifecycle.ts";
import { copyPixels, fromStored, imageMeans, roundUp, toStored } from "../_stored.ts";
import {
  type BatchPlan,
  type ByteImages,
  type DeviceDescription,
  type EngineData,
  EngineError,
  type EngineOptions,
  type Normalisation,
  type Probe,
  type ProbeResult,
  type TrainingState,
} from "../engine.ts";
import type { PlanTensor } from "../plan.ts";
import { SYSTEM } from "../_system.ts";
import {
  hasRelaxedSimd,
  MAXIMUM_PAGES,
  Module,
  plainMultiplyAdd,
  relaxedMultiplyAdd,
} from "./assembler.ts";
import { CONTROL } from "./_control.ts";
import { EVALUATION_IMAGES, largestBatch, type Layout, layOut } from "./_layout.ts";
import type { Clock } from "./_clock.ts";
import { COMMANDS, emitProgram } from "./_program.ts";
import { Threads } from "./_threads.ts";
import { joinedVectors } from "./_vectors.ts";
import { PLAN_LABEL, PLAN_WORDS } from "./kernels/input.ts";
import { LOSS_BYTES } from "./kernels/loss.ts";

const PAGE = 65536;
/** A 32-bit memory ends at 4 GiB; CIFAR-10's bytes and some room must fit too. */
const LARGEST_NETWORK = 2 ** 32 - 200 * 2 ** 20;

/** What a machine offers; tests take parts of it away. */
export interface Machine {
  readonly relaxedSimd: boolean;
  /** See `_vectors.ts`. */
  readonly joinedVectors: 1 | 2;
  readonly cores: number;
  readonly startThreads: typeof Threads.start;
}

function thisMachine(): Machine {
  return {
    relaxedSimd: hasRelaxedSimd(),
    joinedVectors: joinedVectors(),
    cores: SYSTEM.threads,
    startThreads: Threads.start,
  };
}

/** A program on its threads, with the memory that it works in. */
interface Started {
  readonly layout: Layout;
  readonly memory: WebAssembly.Memory;
  readonly threads: Threads;
}

async function start(
  options: EngineOptions,
  count: number,
  machine: Machine,
  clock: Clock | undefined,
): Promise<Started> {
  const layout = layOut(options, count);
  if (layout.end > LARGEST_NETWORK) throw tooLarge(options, count, layout.end);
  const pages = Math.ceil(layout.end / PAGE);
  const emit = () => {
    const module = new Module(pages, MAXIMUM_PAGES, machine.joinedVectors);
    const math = {
      exp: module.import("exp", ["f64"], "f64"),
      log: module.import("log", ["f64"], "f64"),
    };
    const multiplyAdd = machine.relaxedSimd ? relaxedMultiplyAdd : plainMultiplyAdd;
    const timing = clock && { clock, lap: module.import("lap", ["i32"]) };
    emitProgram(module, math, multiplyAdd, options, layout, timing);
    return module.build();
  };
  const { relaxedSimd, joinedVectors } = machine;
  const code = clock
    ? emit()
    : emittedOnce(JSON.stringify([options, count, relaxedSimd, joinedVectors]), emit);
  const memory = newMemory(pages, options, layout.end);
  return { layout, memory, threads: await machine.startThreads(code, memory, count, clock?.lap) };
}

/** A job's runs, and those of a search, have one network: its code is emitted for the first. */
function emittedOnce(
  key: string,
  emit: () => Uint8Array<ArrayBuffer>,
): Uint8Array<ArrayBuffer> {
  const code = EMITTED.get(key) ?? emit();
  EMITTED.delete(key);
  EMITTED.set(key, code);
  if (EMITTED.size > MOST_EMITTED) EMITTED.delete(EMITTED.keys().next().value!);
  return code;
}
/** By what it depends on; the one that was used last stands last. */
const EMITTED = new Map<string, Uint8Array<ArrayBuffer>>();
const MOST_EMITTED = 4;

/** One network's state in a WebAssembly memory that all threads share. */
export class WasmEngine extends Lifecycle {
  #layout: Layout;
  #memory: WebAssembly.Memory;
  #threads: Threads;
  #measured: Measured[] = [];
  /** Addresses of the sets' pixels. */
  #pixels: Readonly<Record<SetName, number>> = { train: 0, test: 0 };
  /** Each image's own, where they are subtracted: [N, C]. */
  #means: Record<SetName, Float32Array | undefined> | undefined;
  #normalisation: Pick<Normalisation, "scale" | "perImage"> | undefined;

  private constructor(
    name: string,
    device: DeviceDescription,
    options: EngineOptions,
    { layout, memory, threads }: Started,
  ) {
    super(name, device, options);
    this.#layout = layout;
    this.#memory = memory;
    this.#threads = threads;
  }

  /** @param clock Times each kernel, which takes some time itself. */
  static async create(
    name: string,
    options: EngineOptions,
    machine: Machine = thisMachine(),
    clock?: Clock,
  ): Promise<WasmEngine> {
    checkOptions(options);
    const { relaxedSimd, joinedVectors, cores } = machine;
    const vectorBits = 128 * joinedVectors;
    const lost = relaxedSimd ? [] : ["no relaxed SIMD: a multiply-add takes two instructions"];
    let started: Started;
    try {
      started = await start(options, options.threads ?? cores, machine, clock);
    } catch (error) {
      if (error instanceof EngineError || (options.threads ?? cores) === 1) throw error;
      lost.push(`no worker threads (${(error as Error).message}): one core is used`);
      started = await start(options, 1, machine, clock);
    }
    const { threads } = started.layout;
    const summary = `WebAssembly SIMD in ${vectorBits}-bit registers, ${threads} thread${
      threads === 1 ? "" : "s"
    } of the CPU`;
    const device = {
      summary: [summary, ...lost].join("; "),
      details: {
        threads,
        cores,
        relaxedSimd,
        vectorBits,
        convolution: options.convolution ?? "winograd",
        ...SYSTEM.forCpu,
        ...(lost.length > 0 && { lost: lost.join("; ") }),
      },
    };
    return new WasmEngine(name, device, options, started);
  }

  get memoryBytes(): number {
    return this.#memory.buffer.byteLength;
  }

  protected hold({ train, test, normalisation }: EngineData): void {
    const trainAddress = Math.ceil(this.#layout.end / 64) * 64;
    const testAddress = Math.ceil((trainAddress + train.pixels.length) / 64) * 64;
    const end = testAddress + test.pixels.length;
    const missing = Math.ceil(end / PAGE) - this.#memory.buffer.byteLength / PAGE;
    try {
      if (missing > 0) this.#memory.grow(missing);
    } catch {
      throw new EngineError(
        `loading data: the network and the images need ${mebibytes(end)}, more than ${
          end > 2 ** 32 ? "the 4096 MiB of a 32-bit memory" : "this machine gave"
        }; use a smaller --batch`,
      );
    }
    this.#bytes(trainAddress, train.pixels.length).set(train.pixels);
    this.#bytes(testAddress, test.pixels.length).set(test.pixels);
    const { scale, beforePadding, mean } = this.#layout;
    this.#floats(scale, 1)[0] = normalisation.scale;
    this.#words(beforePadding, 1)[0] = normalisation.beforePadding ? 1 : 0;
    const means = this.#floats(mean, normalisation.mean.length + normalisation.std.length);
    means.set(normalisation.mean);
    means.set(normalisation.std, normalisation.mean.length);
    this.#pixels = { train: trainAddress, test: testAddress };
    this.#means = {
      train: imageMeans(train, normalisation),
      test: imageMeans(test, normalisation),
    };
    this.#normalisation = { scale: normalisation.scale, perImage: normalisation.perImage };
  }

  protected replace(set: SetName, images: ByteImages, shifts: Float32Array | undefined): void {
    // A step is over before `step` returns here, so that nobody reads what is replaced.
    this.#bytes(this.#pixels[set], images.pixels.length).set(images.pixels);
    this.#means![set] = imageMeans(images, this.#normalisation!, shifts);
  }

  protected write({ weights, slots }: Omit<TrainingState, "iteration">): void {
    const { parameters, slotOffsets } = this.#layout;
    for (const [name, { spec, address, size }] of parameters) {
      toStored(spec, weights.get(name)!.data, this.#floats(address, size));
      if (!spec.trainable) continue;
      for (const [slot, offset] of slotOffsets) {
        toStored(spec, slots.get(slot)!.get(name)!.data, this.#floats(address + offset, size));
      }
    }
    this.#command(COMMANDS.pack);
  }

  protected read(): Omit<TrainingState, "iteration"> {
    return {
      weights: this.#readAll(() => true, 0),
      slots: new Map(
        [...this.#layout.slotOffsets].map(([slot, offset]) => [
          slot,
          this.#readAll(({ trainable }) => trainable, offset),
        ]),
      ),
    };
  }

  protected train(parts: readonly BatchPlan[], scalars: readonly number[]): void {
    const lossImages = imagesOf(parts);
    this.#floats(CONTROL.scalars, scalars.length).set(scalars);
    for (const plan of parts) {
      const images = plan.indices.length;
      this.#setBatch("train", plan);
      this.#control({ images, lossImages, inference: 0, updateRunning: 1, inputGradient: 0 });
      this.#command(parts.length === 1 ? COMMANDS.step : COMMANDS.part);
      this.#measured.push(this.#losses(images));
    }
    if (parts.length > 1) this.#command(COMMANDS.update);
  }

  protected measured(): readonly Measured[] {
    return this.#measured.splice(0);
  }

  protected logits(set: SetName, indices: Uint32Array): Float32Array {
    const { classes } = this.images(set);
    const { logits: address, inference: { output } } = this.#layout;
    const logits = new Float32Array(indices.length * classes);
    for (let first = 0; first < indices.length; first += EVALUATION_IMAGES) {
      const part = indices.subarray(first, first + EVALUATION_IMAGES);
      const images = part.length;
      this.#setBatch(set, unaugmented(part, this.options.cropPadding));
      this.#control({ images, inference: 1, updateRunning: 0, inputGradient: 0 });
      this.#command(COMMANDS.evaluate);
      logits.set(this.#readImages(address, 4 * output.size, output, images), first * classes);
    }
    return logits;
  }

  protected pass(probe: Probe): ProbeResult {
    const { images, upstream, labels } = probe;
    const { training, gradientOffset } = this.#layout;
    const inference = probe.mode === "inference" ? 1 : 0;
    this.#control({ images, lossImages: images, inference, updateRunning: 0, inputGradient: 1 });
    this.#writeValues(training.input, probe.input);
    this.#command(COMMANDS.forward);
    const output = this.#readTensor(training.output, images);
    if (!upstream && !labels) return { output };

    let loss: number | undefined;
    if (labels) {
      const words = this.#words(this.#layout.planWords, PLAN_WORDS * images);
      labels.forEach((label, i) => words[PLAN_WORDS * i + PLAN_LABEL / 4] = label);
      this.#command(COMMANDS.loss);
      loss = this.#losses(images).loss;
    } else {
      this.#writeValues(training.outputGradient!, upstream!);
    }
    this.#command(COMMANDS.backward);
    const gradients = this.#readAll(({ trainable }) => trainable, gradientOffset, this.#threadSum);
    const inputGradient = this.#readTensor(training.inputGradient!, images);
    this.#clearGradients();
    return { output, ...(loss !== undefined && { loss }), inputGradient, gradients };
  }

  protected batch(plan: BatchPlan): Float32Array {
    const images = plan.indices.length;
    this.#setBatch("train", plan);
    this.#control({ images, inference: 0, updateRunning: 0, inputGradient: 0 });
    this.#command(COMMANDS.input);
    return this.#readTensor(this.#layout.training.input, images);
  }

  protected free(healthy: boolean): void {
    if (healthy) this.#command(COMMANDS.stop);
    this.#threads.stop();
  }

  #command(command: number): void {
    this.#threads.command(command);
  }

  // Memory. Views are made anew each time: growing the memory detaches old ones.

  #floats(address: number, length: number): Float32Array {
    return new Float32Array(this.#memory.buffer, address, length);
  }

  #words(address: number, length: number): Uint32Array {
    return new Uint32Array(this.#memory.buffer, address, length);
  }

  #bytes(address: number, length: number): Uint8Array {
    return new Uint8Array(this.#memory.buffer, address, length);
  }

  #control(words: Partial<Record<keyof typeof CONTROL, number>>): void {
    for (const [name, value] of Object.entries(words)) {
      this.#words(CONTROL[name as keyof typeof CONTROL], 1)[0] = value;
    }
  }

  #setBatch(set: SetName, plan: BatchPlan): void {
    const { labels, channels } = this.images(set);
    const means = this.#means?.[set];
    const words = this.#words(this.#layout.planWords, PLAN_WORDS * plan.indices.length);
    const floats = this.#floats(this.#layout.planWords, words.length);
    plan.indices.forEach((index, i) => {
      let word = PLAN_WORDS * i;
      words[word++] = index;
      words[word++] = plan.cropY[i];
      words[word++] = plan.cropX[i];
      words[word++] = plan.flip[i];
      words[word++] = labels[index];
      for (let c = 0; c < MOST_IMAGE_MEANS; c++) {
        floats[word++] = means && c < channels ? means[index * channels + c] : 0;
      }
    });
    this.#control({ setAddress: this.#pixels[set] });
  }

  #losses(images: number): Measured {
    const view = new DataView(this.#memory.buffer, this.#layout.losses, LOSS_BYTES * images);
    let loss = 0, errors = 0;
    for (let i = 0; i < images; i++) {
      loss += view.getFloat64(LOSS_BYTES * i, true);
      errors += view.getUint32(LOSS_BYTES * i + 8, true);
    }
    return { loss: loss / images, errors };
  }

  /** [N, ...shape] of a tensor of the training plan, without the rounded-up channels. */
  #readTensor(tensor: PlanTensor, images: number): Float32Array {
    const { storage, storageStride } = this.#layout;
    return this.#readImages(storage + 4 * tensor.offset, storageStride, tensor, images);
  }

  #readImages(
    address: number,
    stride: number,
    { shape, size }: PlanTensor,
    images: number,
  ): Float32Array {
    const channels = shape[shape.length - 1];
    const result = new Float32Array(sizeOf(shape) * images);
    for (let image = 0; image < images; image++) {
      const from = this.#floats(address + image * stride, size);
      const to = result.subarray(image * sizeOf(shape), (image + 1) * sizeOf(shape));
      copyPixels(from, roundUp(channels), to, channels);
    }
    return result;
  }

  #writeValues(tensor: PlanTensor, values: Float32Array): void {
    const { storage, storageStride } = this.#layout;
    const channels = tensor.shape[tensor.shape.length - 1];
    const size = sizeOf(tensor.shape);
    for (let image = 0; image * size < values.length; image++) {
      const to = this.#floats(storage + 4 * tensor.offset + image * storageStride, tensor.size);
      // Rounded-up channels share storage with other tensors: never leave them as found.
      to.fill(0);
      const from = values.subarray(image * size, (image + 1) * size);
      copyPixels(from, channels, to, roundUp(channels));
    }
  }

  #readAll(
    wanted: (spec: ParameterSpec) => boolean,
    offset: number,
    read = (address: number, size: number): Float32Array => this.#floats(address, size),
  ): Weights {
    return fromStored(this.options.graph, wanted, ({ name }) => {
      const { address, size } = this.#layout.parameters.get(name)!;
      return read(address + offset, size);
    });
  }

  /** A parameter's gradient: the threads' added in their order. */
  #threadSum = (address: number, size: number): Float32Array => {
    const sum = new Float32Array(size);
    for (let thread = 0; thread < this.#layout.threads; thread++) {
      const part = this.#floats(address + thread * this.#layout.gradientStride, size);
      for (let i = 0; i < size; i++) sum[i] += part[i];
    }
    return sum;
  };

  #clearGradients(): void {
    const { weights, gradientOffset, gradientStride, threads } = this.#layout;
    this.#bytes(weights.start + gradientOffset, gradientStride * threads).fill(0);
  }
}

function newMemory(
  pages: number,
  options: EngineOptions,
  bytes: number,
): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: PAGE, shared: true });
  } catch (error) {
    const { graph, batchSize } = options;
    throw new EngineError(
      `creating an engine: "${graph.name}" at batch ${batchSize} needs ${
        mebibytes(bytes)
      }, which ` +
        `the system refuses (${(error as Error).message}): choose a smaller batch, or free memory`,
      { cause: error },
    );
  }
}

function tooLarge(options: EngineOptions, threads: number, bytes: number): EngineError {
  const { graph, batchSize } = options;
  const largest = largestBatch(options, threads, LARGEST_NETWORK);
  return new EngineError(
    `creating an engine: "${graph.name}" at batch ${batchSize} needs ${
      mebibytes(bytes)
    }, more than the ${mebibytes(LARGEST_NETWORK)} that a 32-bit memory holds beside the data; ${
      largest > 0 ? `the largest batch that fits is ${largest}` : "no batch of this network fits"
    }`,
  );
}

function mebibytes(bytes: number): string {
  return `${Math.ceil(bytes / 2 ** 20)} MiB`;
}
