/**
 * The program that all threads run: the plan's operations as calls of kernels
 * with literal addresses, image by image, with barriers where a layer's batch
 * statistics are needed.
 *
 * Each thread works on its own images, so operations need no barrier between
 * them and run one after another on an image while it is in cache. Only sums
 * over the whole batch end a {@link Segments segment}: a barrier, then every
 * thread computes the layer's coefficients for itself.
 */
import {
  advance,
  atomicAdd,
  atomicLoad,
  atomicNotifyAll,
  atomicStore,
  atomicWait,
  below,
  call,
  type Code,
  copyBytes,
  equal,
  exit,
  fillZero,
  forRange,
  type FunctionReference,
  get,
  iadd,
  idiv,
  imul,
  int,
  isub,
  loadInt,
  type Local,
  loopWhile,
  minimum,
  type Module,
  type MultiplyAdd,
  repeat,
  set,
  storeInt,
  when,
} from "./assembler.ts";
import type { EngineOptions } from "../engine.ts";
import type {
  BackwardOp,
  ConvolveOp,
  ForwardOp,
  NormaliseOp,
  Plan,
  PlanTensor,
  PoolOp,
} from "../plan.ts";
import { CONTROL } from "./_control.ts";
import {
  type Layout,
  roundUp,
  type StoredConvolution,
  storedImage,
  type StoredWinograd,
} from "./_layout.ts";
import {
  convolutionKernel,
  packBackwardKernel,
  packForwardKernel,
  range,
} from "./kernels/convolution.ts";
import { inputKernel, PLAN_WORDS } from "./kernels/input.ts";
import { LOSS_BYTES, lossKernel, type MathImports } from "./kernels/loss.ts";
import {
  backwardCoefficientsKernel,
  forwardCoefficientsKernel,
  type ImageShape,
  maskKernel,
  normaliseGradientKernel,
  normaliseKernel,
  statisticsKernel,
} from "./kernels/normalise.ts";
import {
  addImageKernel,
  averageGradientKernel,
  averageKernel,
  biasGradientKernel,
  maxPoolGradientKernel,
  maxPoolKernel,
  shortcutGradientKernel,
  shortcutKernel,
} from "./kernels/pool.ts";
import { updateKernel } from "./kernels/update.ts";
import {
  gradientProductsKernel,
  gradientTransformKernel,
  inputTransformKernel,
  outputTransformKernel,
  packBackwardWinogradKernel,
  packForwardWinogradKernel,
  PLACES,
  planeBytes,
  productsKernel,
  tilesOf,
  weightGradientTransformKernel,
} from "./kernels/winograd.ts";
import { weightGradientKernel } from "./kernels/weight_gradient.ts";

/** What the threads can be told to do. */
export const COMMANDS = {
  stop: 0,
  /** Weights to the layouts that the convolutions read. */
  pack: 1,
  input: 2,
  forward: 3,
  loss: 4,
  backward: 5,
  update: 6,
  evaluate: 7,
} as const;

/** Spins of a thread at a barrier before it sleeps. */
const SPINS = 2000;

/** Variables of a function that works on images: which, and the thread's own memory. */
interface Frame {
  readonly thread: Local;
  readonly image: Local;
  /** First image of the block that is worked on. */
  readonly block: Local;
  readonly scratch: Local;
  readonly coefficients: Local;
  readonly storage: Local;
}

type ImageCode = (frame: Frame) => Code;

/** Code for a group of images that share a product: `each` runs a body for each image. */
type GroupCode = (
  frame: Frame,
  each: (body: (slot: Code) => Code) => Code,
  partial: (then: Code) => Code,
) => Code;

/** Work on every image, one at a time or in groups. */
type Work = ImageCode | { readonly images: number; readonly code: GroupCode };

/** Emits the engine's program into a module: `serve` and `run` are its entries. */
export function emitProgram(
  module: Module,
  math: MathImports,
  multiplyAdd: MultiplyAdd,
  options: EngineOptions,
  layout: Layout,
): void {
  const emitter = new Emitter(module, math, multiplyAdd, options, layout);
  const barrier = barrierFunction(module, layout.threads);
  const programs: [number, FunctionReference[]][] = [
    [COMMANDS.pack, [emitter.pack()]],
    [COMMANDS.input, emitter.input()],
    [COMMANDS.forward, emitter.forward(barrier)],
    [COMMANDS.loss, emitter.loss()],
    [COMMANDS.backward, emitter.backward(barrier)],
    [COMMANDS.update, [emitter.update()]],
    [COMMANDS.evaluate, [emitter.evaluate()]],
  ];
  const run = module.function(
    "run",
    ["i32"],
    (_, thread) =>
      programs.map(([command, functions]) =>
        when(equal(loadInt(int(CONTROL.command)), int(command)), [
          functions.map((part) => call(part, get(thread))),
        ])
      ),
  );
  // The main thread: lets the others start, works as one of them, waits for all.
  module.function("command", ["i32"], (_, command) => [
    storeInt(int(CONTROL.command), get(command)),
    call(barrier),
    when(equal(command, int(COMMANDS.stop)), exit),
    call(run, int(0)),
    call(barrier),
  ]);
  module.function("serve", ["i32"], (_, thread) =>
    loopWhile([
      call(barrier),
      when(equal(loadInt(int(CONTROL.command)), int(COMMANDS.stop)), exit),
      call(run, get(thread)),
      call(barrier),
    ], int(1)));
}

/**
 * All threads arrive before any goes on. The last one moves the generation on;
 * the others spin a while, since the wait is mostly shorter than going to sleep.
 */
function barrierFunction(module: Module, threads: number): FunctionReference {
  return module.function("barrier", [], (f) => {
    if (threads === 1) return [];
    const [generation, spin] = [f.i32(), f.i32()];
    const unchanged = equal(atomicLoad(int(CONTROL.generation)), generation);
    return [
      set(generation, atomicLoad(int(CONTROL.generation))),
      when(
        equal(atomicAdd(int(CONTROL.arrived), int(1)), int(threads - 1)),
        [
          atomicStore(int(CONTROL.arrived), int(0)),
          atomicStore(int(CONTROL.generation), iadd(generation, int(1))),
          atomicNotifyAll(int(CONTROL.generation)),
        ],
        [
          set(spin, int(0)),
          loopWhile(advance(spin, 1), [unchanged, below(spin, int(SPINS)), 0x71]),
          when(
            unchanged,
            loopWhile(atomicWait(int(CONTROL.generation), generation), unchanged),
          ),
        ],
      ),
    ];
  });
}

/** Splits per-image code at the points where a sum over the batch is needed. */
class Segments {
  readonly functions: FunctionReference[] = [];
  #work: Work[] = [];
  #last: ImageCode[] = [];
  /** What every thread computes at the start of the next segment. */
  #start: ImageCode[] = [];
  #pending: { readonly layer: string; readonly code: ImageCode }[] = [];

  constructor(
    readonly emitter: Emitter,
    readonly name: string,
    readonly barrier: FunctionReference,
  ) {}

  /** Work on each image. */
  add(work: Work): void {
    this.#work.push(work);
  }

  /** Code for each thread after its images; at most once a segment. */
  last(code: ImageCode): void {
    this.#last.push(code);
  }

  /** Ends the segment if it has code for after the images. */
  beforeLast(): void {
    if (this.#last.length > 0) this.end();
  }

  /** A layer's sums that the images so far add to, and what to make of them once complete. */
  sum(layer: string, code: ImageCode): void {
    this.#pending.push({ layer, code });
  }

  /** What follows reads the layer's sums. */
  needs(layer: string): void {
    if (this.#pending.some((pending) => pending.layer === layer)) this.end();
  }

  end(): void {
    const ends = this.#pending.length > 0;
    if (this.#work.length > 0 || this.#start.length > 0) {
      const last = [...this.#last, ...(ends ? [() => call(this.barrier)] : [])];
      const name = `${this.name} ${this.functions.length}`;
      this.functions.push(this.emitter.overImages(name, this.#start, this.#work, last));
    }
    this.#start = this.#pending.map(({ code }) => code);
    this.#work = [];
    this.#last = [];
    this.#pending = [];
  }

  /** The functions, in order; sums that nothing needed are completed too. */
  finish(): FunctionReference[] {
    this.end();
    this.end();
    return this.functions;
  }
}

class Emitter {
  constructor(
    readonly module: Module,
    readonly math: MathImports,
    readonly multiplyAdd: MultiplyAdd,
    readonly options: EngineOptions,
    readonly layout: Layout,
  ) {}

  /** A function (thread): `start` once, `work` on the thread's images, `last` once. */
  overImages(
    name: string,
    start: readonly ImageCode[],
    work: readonly Work[],
    last: readonly ImageCode[] = [],
  ): FunctionReference {
    const { layout } = this;
    const step = Math.max(1, ...work.map((part) => typeof part === "function" ? 1 : part.images));
    return this.module.function(name, ["i32"], (f, thread) => {
      const [image, block, scratch, coefficients, storage] = range(5).map(() => f.i32());
      const [end, blockEnd, group, groupEnd] = range(4).map(() => f.i32());
      const frame = { thread, image, block, scratch, coefficients, storage };
      const own = (local: Local, base: number, stride: number) =>
        set(local, iadd(int(base), imul(thread, int(stride))));
      const share = (index: Code) =>
        idiv(imul(index, loadInt(int(CONTROL.images))), int(layout.threads));
      const inGroups = ({ images, code }: Exclude<Work, ImageCode>) => {
        const each = (body: (slot: Code) => Code) =>
          forRange(image, get(group), groupEnd, 1, body(isub(image, group)));
        const partial = (then: Code) => when(below(isub(groupEnd, group), int(images)), then);
        return forRange(group, get(block), blockEnd, images, [
          set(groupEnd, minimum(iadd(group, int(images)), blockEnd)),
          code(frame, each, partial),
        ]);
      };
      // Neighbours that work image by image share a loop: the image is in cache.
      const loops: Code[] = [];
      let single: Code[] = [];
      const flush = () => {
        if (single.length > 0) loops.push(forRange(image, get(block), blockEnd, 1, single));
        single = [];
      };
      for (const part of work) {
        if (typeof part === "function") single.push(part(frame));
        else {
          flush();
          loops.push(inGroups(part));
        }
      }
      flush();
      return [
        own(scratch, layout.scratch, layout.scratchStride),
        own(coefficients, layout.coefficients, layout.coefficientStride),
        own(storage, layout.inferenceStorage, layout.inferenceStride * layout.inferenceImages),
        start.map((code) => code(frame)),
        work.length === 0 ? [] : [
          set(end, share(iadd(thread, int(1)))),
          forRange(block, share(get(thread)), end, step, [
            set(blockEnd, minimum(iadd(block, int(step)), end)),
            loops,
          ]),
        ],
        last.map((code) => code(frame)),
      ];
    });
  }

  // Addresses.

  #at(tensor: PlanTensor): ImageCode {
    const { storage, storageStride } = this.layout;
    return ({ image }) => iadd(int(storage + 4 * tensor.offset), imul(image, int(storageStride)));
  }

  #coefficients(layer: string): ImageCode {
    const offset = this.layout.coefficientOffsets.get(layer)!;
    return ({ coefficients }) => iadd(coefficients, int(offset));
  }

  #partials(layer: string, channels: number): ImageCode {
    const base = this.layout.partials.get(layer)!;
    return ({ image }) => iadd(int(base), imul(image, int(2 * channels * 4)));
  }

  #address(parameter: string): number {
    return this.layout.parameters.get(parameter)!.address;
  }

  /** A parameter's gradient of the thread. */
  #gradient(address: number): ImageCode {
    const { gradientOffset, gradientStride } = this.layout;
    return ({ thread }) => iadd(int(address + gradientOffset), imul(thread, int(gradientStride)));
  }

  // Programs.

  pack(): FunctionReference {
    const { module, multiplyAdd, layout } = this;
    const convolutions = [...layout.convolutions.values()];
    const work = convolutions.map((convolution) => {
      const { input, output, master, packed, classes, winograd } = convolution;
      const [channels, filters] = [input.channels, output.channels];
      if (winograd) {
        const forward = packForwardWinogradKernel(module, multiplyAdd, channels, filters);
        const backward = packBackwardWinogradKernel(module, multiplyAdd, channels, filters);
        return [
          call(forward, int(master), int(winograd.forward)),
          call(backward, int(master), int(winograd.backward)),
        ];
      }
      const size = classes.reduce((sum, { taps }) => sum + taps.length, 0);
      const forward = packForwardKernel(module, size, channels, filters);
      return [
        call(forward, int(master), int(packed)),
        classes.filter(({ taps }) => taps.length > 0).map(({ taps, weights }) =>
          call(
            packBackwardKernel(module, taps, channels, filters),
            int(master),
            int(weights),
          )
        ),
      ];
    });
    return module.function(
      "pack",
      ["i32"],
      (_, thread) =>
        range(layout.threads).map((owner) =>
          when(
            equal(thread, int(owner)),
            work.filter((_, i) => i % layout.threads === owner),
          )
        ),
    );
  }

  input(): FunctionReference[] {
    const { training } = this.layout;
    return [this.overImages("input", [], [this.#readInput(this.#at(training.input))])];
  }

  #readInput(to: ImageCode): ImageCode {
    const { layout, options } = this;
    const [height, width, channels] = options.graph.inputShape;
    const kernel = inputKernel(this.module, {
      height,
      width,
      channels,
      storedChannels: roundUp(channels),
      cropPadding: options.cropPadding,
      scaleAddress: layout.scale,
      beforePaddingAddress: layout.beforePadding,
      meanAddress: layout.mean,
    });
    return (frame) =>
      call(kernel, loadInt(int(CONTROL.setAddress)), this.#planEntry(frame), to(frame));
  }

  #planEntry({ image }: Frame): Code {
    return iadd(int(this.layout.planWords), imul(image, int(PLAN_WORDS * 4)));
  }

  forward(barrier: FunctionReference): FunctionReference[] {
    const segments = new Segments(this, "forward", barrier);
    const { training } = this.layout;
    for (const layer of layersThatRead(training, training.input)) this.#statistics(segments, layer);
    for (const op of training.forward) {
      if (op.kind === "normalise" && op.batchNorm) segments.needs(op.batchNorm.name);
      segments.add(this.#forwardOp(op, (tensor) => this.#at(tensor)));
      for (const layer of layersThatRead(training, op.output)) this.#statistics(segments, layer);
    }
    return segments.finish();
  }

  #statistics(segments: Segments, op: NormaliseOp): void {
    const { name } = op.batchNorm!;
    const shape = storedImage(op.input.shape);
    const kernel = statisticsKernel(this.module, shape);
    const [z, partials] = [this.#at(op.input), this.#partials(name, shape.channels)];
    segments.add((frame) => call(kernel, z(frame), partials(frame)));
    segments.sum(name, this.#forwardCoefficients(op));
  }

  #forwardCoefficients(op: NormaliseOp): ImageCode {
    const { name } = op.batchNorm!;
    const kernel = forwardCoefficientsKernel(
      this.module,
      storedImage(op.input.shape),
      this.options.batchNorm,
    );
    const coefficients = this.#coefficients(name);
    return (frame) =>
      call(
        kernel,
        coefficients(frame),
        int(this.layout.partials.get(name)!),
        ...["weight", "bias", "running_mean", "running_var"].map((suffix) =>
          int(this.#address(`${name}.${suffix}`))
        ),
        get(frame.thread),
      );
  }

  #forwardOp(op: ForwardOp, at: (tensor: PlanTensor) => ImageCode): Work {
    switch (op.kind) {
      case "convolve":
        return this.#convolve(op, at);
      case "normalise":
        return this.#normalise(op, at);
      case "pool":
        return this.#pool(op, at);
    }
  }

  #convolve(op: ConvolveOp, at: (tensor: PlanTensor) => ImageCode): Work {
    const stored = this.layout.convolutions.get(op.node.name)!;
    if (stored.winograd) return this.#convolveWinograd(op, stored, stored.winograd, at);
    const { input, output, packed } = stored;
    const { row, prepare, pointer } = this.#paddedInput(op, stored, at);
    const pixel = input.channels * 4;
    const kernel = convolutionKernel(this.module, this.multiplyAdd, {
      taps: range(op.kernel).flatMap((ky) => range(op.kernel).map((kx) => ky * row + kx * pixel)),
      inputChannels: input.channels,
      outputChannels: output.channels,
      height: output.height,
      width: output.width,
      inputRowStep: op.stride * row,
      inputStep: op.stride * pixel,
      outputRowStep: output.width * output.channels * 4,
      outputStep: output.channels * 4,
      accumulate: false,
      bias: op.bias,
    });
    const to = at(op.output);
    return (frame) => [
      prepare(frame),
      call(kernel, pointer(frame), to(frame), int(packed), int(stored.bias ?? 0)),
    ];
  }

  #convolveWinograd(
    op: ConvolveOp,
    stored: StoredConvolution,
    { images, tiles, forward }: StoredWinograd,
    at: (tensor: PlanTensor) => ImageCode,
  ): Work {
    const { module, multiplyAdd } = this;
    const { input, output } = stored;
    const { row, prepare, pointer } = this.#paddedInput(op, stored, at);
    const transform = inputTransformKernel(module, multiplyAdd, input, row, tiles);
    const products = productsKernel(module, multiplyAdd, tiles, input.channels, output.channels);
    const back = outputTransformKernel(module, multiplyAdd, output, tiles, false);
    const [v, m] = this.#tileScratch();
    const to = at(op.output);
    const code: GroupCode = (frame, each) => [
      each((slot) => [
        prepare(frame),
        call(transform, pointer(frame), tilesOfSlot(v(frame), slot, input)),
      ]),
      call(products, v(frame), m(frame), int(forward)),
      each((slot) => call(back, tilesOfSlot(m(frame), slot, output), to(frame))),
    ];
    return { images, code };
  }

  /** Addresses of the thread's three sets of transformed tiles. */
  #tileScratch(): ImageCode[] {
    return this.layout.tileScratch.map((offset) => ({ scratch }: Frame) =>
      iadd(scratch, int(offset))
    );
  }

  /** The input inside its zeros: in the thread's scratch, or in place without padding. */
  #paddedInput(
    op: ConvolveOp,
    { input, paddedInput }: StoredConvolution,
    at: (tensor: PlanTensor) => ImageCode,
  ): { row: number; prepare: ImageCode; pointer: ImageCode } {
    const from = at(op.input);
    const pixel = input.channels * 4;
    if (paddedInput === undefined) {
      return { row: input.width * pixel, prepare: () => [], pointer: from };
    }
    const row = (input.width + 2 * op.padding) * pixel;
    const copy = padKernel(this.module, input.height, input.width * pixel, row);
    const inner = paddedInput + op.padding * (row + pixel);
    return {
      row,
      prepare: (frame) => call(copy, from(frame), iadd(frame.scratch, int(inner))),
      pointer: (frame) => iadd(frame.scratch, int(paddedInput)),
    };
  }

  #normalise(op: NormaliseOp, at: (tensor: PlanTensor) => ImageCode): ImageCode {
    const kernel = normaliseKernel(
      this.module,
      this.multiplyAdd,
      storedImage(op.output.shape),
      { affine: op.batchNorm !== undefined, addend: op.addend !== undefined, relu: op.relu },
    );
    const [z, y] = [at(op.input), at(op.output)];
    const addend = op.addend ? at(op.addend) : z;
    const coefficients = op.batchNorm ? this.#coefficients(op.batchNorm.name) : () => int(0);
    return (frame) => call(kernel, z(frame), addend(frame), y(frame), coefficients(frame));
  }

  #pool(op: PoolOp, at: (tensor: PlanTensor) => ImageCode): ImageCode {
    const kernel = this.#poolKernel(op);
    const [x, y] = [at(op.input), at(op.output)];
    return (frame) => call(kernel, x(frame), y(frame));
  }

  #poolKernel({ node, input }: PoolOp): FunctionReference {
    switch (node.kind) {
      case "shortcut-a":
        return shortcutKernel(this.module, shortcutShape(node, input));
      case "max-pool":
        return maxPoolKernel(this.module, windowShape(node, input));
      case "global-average-pool":
        return averageKernel(this.module, storedImage(input.shape));
    }
  }

  loss(): FunctionReference[] {
    const { layout, module, math } = this;
    const { output, outputGradient } = layout.training;
    if (output.shape.length !== 1) return [];
    const kernel = lossKernel(module, math, output.shape[0], output.size);
    const [logits, gradient] = [this.#at(output), this.#at(outputGradient!)];
    return [this.overImages("loss", [], [(frame) =>
      call(
        kernel,
        logits(frame),
        gradient(frame),
        this.#planEntry(frame),
        iadd(int(layout.losses), imul(frame.image, int(LOSS_BYTES))),
        iadd(frame.scratch, int(layout.lossScratch)),
      )])];
  }

  backward(barrier: FunctionReference): FunctionReference[] {
    const segments = new Segments(this, "backward", barrier);
    for (const op of this.layout.training.backward) {
      switch (op.forward.kind) {
        case "convolve":
          this.#convolveBackward(segments, op, op.forward);
          break;
        case "normalise":
          this.#normaliseBackward(segments, op, op.forward);
          break;
        case "pool":
          this.#poolBackward(segments, op, op.forward);
          break;
      }
    }
    return segments.finish();
  }

  #normaliseBackward(segments: Segments, op: BackwardOp, forward: NormaliseOp): void {
    const { module, multiplyAdd } = this;
    const { batchNorm, relu } = forward;
    const shape = storedImage(forward.output.shape);
    const affine = batchNorm !== undefined;
    const [dy, y, z] = [op.outputGradient, forward.output, forward.input].map((tensor) =>
      this.#at(tensor)
    );
    if (affine || relu) {
      const mask = maskKernel(module, multiplyAdd, shape, { affine, relu });
      const coefficients = affine ? this.#coefficients(batchNorm.name) : () => int(0);
      const partials = affine ? this.#partials(batchNorm.name, shape.channels) : () => int(0);
      segments.add((frame) =>
        call(mask, dy(frame), y(frame), z(frame), partials(frame), coefficients(frame))
      );
    }
    const pass = ({ tensor, accumulate }: NonNullable<BackwardOp["inputGradient"]>) => {
      const kernel = addImageKernel(module, tensor.size, accumulate);
      const to = this.#at(tensor);
      segments.add((frame) => call(kernel, dy(frame), to(frame)));
    };
    if (op.addendGradient) pass(op.addendGradient);
    if (!batchNorm) {
      if (op.inputGradient) pass(op.inputGradient);
      return;
    }
    const kernel = backwardCoefficientsKernel(module, shape);
    const { name } = batchNorm;
    const coefficients = this.#coefficients(name);
    const { gradientOffset } = this.layout;
    segments.sum(name, (frame) =>
      call(
        kernel,
        coefficients(frame),
        int(this.layout.partials.get(name)!),
        // Thread 0's gradients: the others' stay 0.
        int(this.#address(`${name}.weight`) + gradientOffset),
        int(this.#address(`${name}.bias`) + gradientOffset),
        get(frame.thread),
      ));
    const target = op.inputGradient!;
    if (target.tensor.transient) return;
    segments.needs(name);
    const row = shape.width * shape.channels * 4;
    segments.add(
      this.#normaliseGradient(op, forward, row, target.accumulate, this.#at(target.tensor)),
    );
  }

  #normaliseGradient(
    op: BackwardOp,
    forward: NormaliseOp,
    row: number,
    accumulate: boolean,
    to: ImageCode,
  ): ImageCode {
    const kernel = normaliseGradientKernel(
      this.module,
      this.multiplyAdd,
      storedImage(forward.output.shape),
      row,
      accumulate,
    );
    const [g, z] = [this.#at(op.outputGradient), this.#at(forward.input)];
    const coefficients = this.#coefficients(forward.batchNorm!.name);
    return (frame) => call(kernel, g(frame), z(frame), to(frame), coefficients(frame));
  }

  #convolveBackward(segments: Segments, op: BackwardOp, forward: ConvolveOp): void {
    const { module, multiplyAdd, layout } = this;
    const stored = layout.convolutions.get(forward.node.name)!;
    const gradient = this.#paddedGradient(segments, op, forward, stored);
    if (stored.winograd) {
      this.#convolveBackwardWinograd(segments, op, forward, stored, stored.winograd, gradient);
      return;
    }
    const { input, output } = stored;
    const { row, inner, outer } = gradient;
    segments.add(gradient.prepare);
    const { row: inputRow, prepare, pointer } = this.#paddedInput(
      forward,
      stored,
      (tensor) => this.#at(tensor),
    );
    const weightGradient = weightGradientKernel(module, multiplyAdd, {
      kernel: forward.kernel,
      stride: forward.stride,
      inputChannels: input.channels,
      outputChannels: output.channels,
      height: output.height,
      width: output.width,
      inputRow,
      gradientRow: row,
    });
    const dw = this.#gradient(stored.master);
    segments.add((frame) => [
      prepare(frame),
      call(weightGradient, pointer(frame), inner(frame), dw(frame)),
    ]);
    if (stored.bias !== undefined) {
      const kernel = biasGradientKernel(module, output, row);
      const db = this.#gradient(stored.bias);
      segments.add((frame) => call(kernel, inner(frame), db(frame)));
    }
    if (op.inputGradient) {
      const code = this.#inputGradient(op.inputGradient, forward, stored, row, outer);
      segments.add(op.onlyForProbes ? onlyForProbes(code) : code);
    }
  }

  #convolveBackwardWinograd(
    segments: Segments,
    op: BackwardOp,
    forward: ConvolveOp,
    { input, output, master, paddedInput, ...stored }: StoredConvolution,
    { images, tiles, backward }: StoredWinograd,
    gradient: PaddedGradient,
  ): void {
    const { module, multiplyAdd, layout } = this;
    const [channels, filters] = [input.channels, output.channels];
    const { row: inputRow, prepare, pointer } = this.#paddedInput(
      forward,
      { input, output, master, paddedInput, ...stored },
      (tensor) => this.#at(tensor),
    );
    const toV = inputTransformKernel(module, multiplyAdd, input, inputRow, tiles);
    const toGradientV = inputTransformKernel(module, multiplyAdd, output, gradient.row, tiles);
    const toGradientM = gradientTransformKernel(module, multiplyAdd, output, gradient.row, tiles);
    const weightProducts = gradientProductsKernel(module, multiplyAdd, tiles, channels, filters);
    const products = productsKernel(module, multiplyAdd, tiles, filters, channels);
    const [v, gradientM, gradientV] = this.#tileScratch();
    const du: ImageCode = ({ scratch }) => iadd(scratch, int(layout.weightGradientScratch));
    const target = op.inputGradient;
    const inputGradient = (frame: Frame, each: Parameters<GroupCode>[1]): Code => {
      if (!target) return [];
      const { tensor, accumulate } = target;
      const back = outputTransformKernel(module, multiplyAdd, input, tiles, accumulate);
      const to = this.#at(tensor);
      // V is done with: its place takes the products.
      const code = [
        call(products, gradientV(frame), v(frame), int(backward)),
        each((slot) => call(back, tilesOfSlot(v(frame), slot, input), to(frame))),
      ];
      return op.onlyForProbes ? when(loadInt(int(CONTROL.inputGradient)), code) : code;
    };
    segments.beforeLast();
    segments.add({
      images,
      code: (frame, each, partial) => [
        // Rows of images that are not there must not count: their gradient is 0.
        partial(fillZero(gradientM(frame), int(PLACES * planeBytes(tiles, filters)))),
        each((slot) => [
          gradient.prepare(frame),
          call(toGradientV, gradient.outer(frame), tilesOfSlot(gradientV(frame), slot, output)),
          call(toGradientM, gradient.inner(frame), tilesOfSlot(gradientM(frame), slot, output)),
          prepare(frame),
          call(toV, pointer(frame), tilesOfSlot(v(frame), slot, input)),
        ]),
        call(weightProducts, v(frame), gradientM(frame), du(frame)),
        inputGradient(frame, each),
      ],
    });
    const back = weightGradientTransformKernel(module, multiplyAdd, channels, filters);
    const dw = this.#gradient(master);
    segments.last((frame) => call(back, du(frame), dw(frame)));
  }

  /** The output's gradient, in scratch inside its zeros where those are needed. */
  #paddedGradient(
    segments: Segments,
    op: BackwardOp,
    { node }: ConvolveOp,
    { output, paddedGradient: padded, gradientPadding: { before, after } }: StoredConvolution,
  ): PaddedGradient {
    const { module, layout } = this;
    const pixel = output.channels * 4;
    const row = (output.width + (padded === undefined ? 0 : before + after)) * pixel;
    if (padded === undefined) {
      const at = this.#at(op.outputGradient);
      return { row, prepare: () => [], inner: at, outer: at };
    }
    const inner: ImageCode = ({ scratch }) => iadd(scratch, int(padded + before * (row + pixel)));
    const outer: ImageCode = ({ scratch }) => iadd(scratch, int(padded));
    if (!op.outputGradient.transient) {
      const copy = padKernel(module, output.height, output.width * pixel, row);
      const from = this.#at(op.outputGradient);
      return { row, prepare: (frame) => call(copy, from(frame), inner(frame)), inner, outer };
    }
    const producer = layout.training.backward.find((other) =>
      other.inputGradient?.tensor === op.outputGradient
    );
    if (producer?.forward.kind !== "normalise" || !producer.forward.batchNorm) {
      throw new Error(`the gradient of ${node.name} is transient, but no batch norm makes it`);
    }
    segments.needs(producer.forward.batchNorm.name);
    const prepare = this.#normaliseGradient(producer, producer.forward, row, false, inner);
    return { row, prepare, inner, outer };
  }

  #inputGradient(
    { tensor, accumulate }: NonNullable<BackwardOp["inputGradient"]>,
    { stride }: ConvolveOp,
    { input, output, classes }: StoredConvolution,
    gradientRow: number,
    gradient: ImageCode,
  ): ImageCode {
    const to = this.#at(tensor);
    const pixel = input.channels * 4;
    const row = input.width * pixel;
    // A parity class without taps (of a 1x1 kernel with stride 2) gets no gradient.
    const complete = classes.every(({ taps }) => taps.length > 0);
    const calls = classes.filter(({ taps }) => taps.length > 0).map((parity) => {
      const kernel = convolutionKernel(this.module, this.multiplyAdd, {
        taps: parity.places.map(({ row, column }) =>
          row * gradientRow + column * output.channels * 4
        ),
        inputChannels: output.channels,
        outputChannels: input.channels,
        height: parity.height,
        width: parity.width,
        inputRowStep: gradientRow,
        inputStep: output.channels * 4,
        outputRowStep: stride * row,
        outputStep: stride * pixel,
        accumulate,
        bias: false,
      });
      const offset = parity.y * row + parity.x * pixel;
      return (frame: Frame) =>
        call(kernel, gradient(frame), iadd(to(frame), int(offset)), int(parity.weights), int(0));
    });
    return (frame) => [
      complete || accumulate ? [] : fillZero(to(frame), int(input.height * row)),
      calls.map((code) => code(frame)),
    ];
  }

  #poolBackward(segments: Segments, op: BackwardOp, forward: PoolOp): void {
    const { module } = this;
    const { node } = forward;
    const { tensor, accumulate } = op.inputGradient!;
    const [x, y, dy, dx] = [forward.input, forward.output, op.outputGradient, tensor].map((t) =>
      this.#at(t)
    );
    const code: ImageCode = (() => {
      switch (node.kind) {
        case "shortcut-a": {
          const kernel = shortcutGradientKernel(
            module,
            shortcutShape(node, forward.input),
            accumulate,
          );
          return (frame) => call(kernel, dy(frame), dx(frame));
        }
        case "max-pool": {
          const kernel = maxPoolGradientKernel(
            module,
            windowShape(node, forward.input),
            accumulate,
          );
          return (frame) => call(kernel, x(frame), y(frame), dy(frame), dx(frame));
        }
        case "global-average-pool": {
          const kernel = averageGradientKernel(
            module,
            storedImage(forward.input.shape),
            accumulate,
          );
          return (frame) => call(kernel, dy(frame), dx(frame));
        }
      }
    })();
    segments.add(op.onlyForProbes ? onlyForProbes(code) : code);
  }

  update(): FunctionReference {
    const { module, layout, options: { sgd } } = this;
    const { start, kernelsEnd, end } = layout.weights;
    const kernel = (decay: number) =>
      updateKernel(module, {
        momentum: sgd.momentum,
        nesterov: sgd.nesterov,
        decay,
        momentumOffset: layout.momentumOffset,
        gradientOffset: layout.gradientOffset,
        gradientStride: layout.gradientStride,
        threads: layout.threads,
      });
    const ranges = [
      { from: start, to: kernelsEnd, decay: sgd.weightDecay },
      { from: kernelsEnd, to: end, decay: sgd.decayed === "all" ? sgd.weightDecay : 0 },
    ];
    return module.function("update", ["i32"], (_, thread) =>
      ranges.map(({ from, to, decay }) => {
        const bound = (index: Code) =>
          iadd(
            int(from),
            imul(idiv(imul(index, int((to - from) / 16)), int(layout.threads)), int(16)),
          );
        return call(kernel(decay), bound(get(thread)), bound(iadd(thread, int(1))));
      }));
  }

  /** The whole network on a few images after another: activations stay in cache. */
  evaluate(): FunctionReference {
    const { layout } = this;
    const { inference } = layout;
    const at = (tensor: PlanTensor): ImageCode => ({ storage, image, block }) =>
      iadd(
        iadd(storage, int(4 * tensor.offset)),
        imul(isub(image, block), int(layout.inferenceStride)),
      );
    const layers = inference.forward.filter((op): op is NormaliseOp =>
      op.kind === "normalise" && op.batchNorm !== undefined
    );
    const output = at(inference.output);
    const bytes = 4 * inference.output.size;
    return this.overImages(
      "evaluate",
      layers.map((op) => this.#forwardCoefficients(op)),
      [
        this.#readInput(at(inference.input)),
        ...inference.forward.map((op) => this.#forwardOp(op, at)),
        (frame) =>
          copyBytes(
            iadd(int(layout.logits), imul(frame.image, int(bytes))),
            output(frame),
            int(bytes),
          ),
      ],
    );
  }
}

/** A convolution's output gradient: its rows, and the code that puts it there. */
interface PaddedGradient {
  /** Bytes from one row to the next. */
  readonly row: number;
  readonly prepare: ImageCode;
  /** Address of the first pixel, and of the zeros before it. */
  readonly inner: ImageCode;
  readonly outer: ImageCode;
}

/** Address of an image's tiles in a plane that several images share. */
function tilesOfSlot(plane: Code, slot: Code, image: ImageShape): Code {
  return iadd(plane, imul(slot, int(tilesOf(image) * image.channels * 4)));
}

/** Batch-norm layers whose input is the given tensor. */
function layersThatRead(plan: Plan, tensor: PlanTensor): NormaliseOp[] {
  return plan.forward.filter((op): op is NormaliseOp =>
    op.kind === "normalise" && op.batchNorm !== undefined && op.input === tensor
  );
}

function onlyForProbes(code: ImageCode): ImageCode {
  return (frame) => when(loadInt(int(CONTROL.inputGradient)), code(frame));
}

/** Kernel (from, to): copies rows of `bytes` to where rows are `row` bytes apart. */
function padKernel(
  module: Module,
  height: number,
  bytes: number,
  row: number,
): FunctionReference {
  return module.function(`pad ${height} ${bytes} ${row}`, ["i32", "i32"], (f, from, to) => {
    const y = f.i32();
    return repeat(y, height, [
      copyBytes(to, from, int(bytes)),
      advance(from, bytes),
      advance(to, row),
    ]);
  });
}

function shortcutShape(
  node: Extract<PoolOp["node"], { kind: "shortcut-a" }>,
  input: PlanTensor,
) {
  const [inputHeight, inputWidth, channels] = input.shape;
  return {
    inputHeight,
    inputWidth,
    inputChannels: roundUp(channels),
    channels,
    output: storedImage(node.shape),
    stride: node.stride,
    first: node.zeroChannels === "split" ? Math.floor((node.filters - channels) / 2) : 0,
  };
}

function windowShape(node: Extract<PoolOp["node"], { kind: "max-pool" }>, input: PlanTensor) {
  const { kernel, stride, padding } = node;
  return {
    input: storedImage(input.shape),
    output: storedImage(node.shape),
    kernel,
    stride,
    padding,
  };
}
