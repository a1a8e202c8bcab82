/** Emits the backward operations of a plan. */
import type { BackwardOp, ConvolveOp, NormaliseOp, PoolOp } from "../plan.ts";
import { CONTROL } from "./_control.ts";
import {
  type Emitter,
  type Frame,
  type GroupCode,
  type ImageCode,
  padKernel,
  Segments,
  tilesOfSlot,
} from "./_emitter.ts";
import { type Forward, shortcutShape, windowShape } from "./_forward.ts";
import { type StoredConvolution, storedImage, type StoredWinograd } from "./_layout.ts";
import {
  call,
  type Code,
  fillZero,
  type FunctionReference,
  get,
  iadd,
  int,
  loadInt,
  when,
} from "./assembler.ts";
import { convolutionKernel } from "./kernels/convolution.ts";
import {
  backwardCoefficientsKernel,
  maskKernel,
  normaliseGradientKernel,
} from "./kernels/normalise.ts";
import {
  addImageKernel,
  averageGradientKernel,
  biasGradientKernel,
  maxPoolGradientKernel,
  shortcutGradientKernel,
} from "./kernels/pool.ts";
import { weightGradientKernel } from "./kernels/weight_gradient.ts";
import {
  gradientProductsKernel,
  gradientTransformKernel,
  inputTransformKernel,
  outputTransformKernel,
  PLACES,
  planeBytes,
  productsKernel,
  weightGradientTransformKernel,
} from "./kernels/winograd.ts";

/** A convolution's output gradient: its rows, and the code that puts it there. */
interface PaddedGradient {
  /** Bytes from one row to the next. */
  readonly row: number;
  readonly prepare: ImageCode;
  /** Address of the first pixel, and of the zeros before it. */
  readonly inner: ImageCode;
  readonly outer: ImageCode;
}

/** The backward operations. */
export class Backward {
  constructor(readonly emitter: Emitter, readonly forward: Forward) {}

  /** The training plan's gradients, as functions (thread). */
  training(barrier: FunctionReference): FunctionReference[] {
    const segments = new Segments(this.emitter, "backward", barrier);
    for (const op of this.emitter.layout.training.backward) {
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
    const { module, multiplyAdd } = this.emitter;
    const { batchNorm, relu } = forward;
    const shape = storedImage(forward.output.shape);
    const affine = batchNorm !== undefined;
    const [dy, y, z] = [op.outputGradient, forward.output, forward.input].map((tensor) =>
      this.emitter.at(tensor)
    );
    if (affine || relu) {
      const mask = maskKernel(module, multiplyAdd, shape, { affine, relu });
      const coefficients = affine ? this.emitter.coefficients(batchNorm.name) : () => int(0);
      const partials = affine
        ? this.emitter.partials(batchNorm.name, shape.channels)
        : () => int(0);
      segments.add((frame) =>
        call(mask, dy(frame), y(frame), z(frame), partials(frame), coefficients(frame))
      );
    }
    const pass = ({ tensor, accumulate }: NonNullable<BackwardOp["inputGradient"]>) => {
      const kernel = addImageKernel(module, tensor.size, accumulate);
      const to = this.emitter.at(tensor);
      segments.add((frame) => call(kernel, dy(frame), to(frame)));
    };
    if (op.addendGradient) pass(op.addendGradient);
    if (!batchNorm) {
      if (op.inputGradient) pass(op.inputGradient);
      return;
    }
    const kernel = backwardCoefficientsKernel(module, shape);
    const { name } = batchNorm;
    const coefficients = this.emitter.coefficients(name);
    const { gradientOffset } = this.emitter.layout;
    segments.sum(name, (frame) =>
      call(
        kernel,
        coefficients(frame),
        int(this.emitter.layout.partials.get(name)!),
        // Thread 0's gradients: the others' stay 0.
        int(this.emitter.address(`${name}.weight`) + gradientOffset),
        int(this.emitter.address(`${name}.bias`) + gradientOffset),
        get(frame.thread),
      ));
    const target = op.inputGradient!;
    if (target.tensor.transient) return;
    segments.needs(name);
    const row = shape.width * shape.channels * 4;
    segments.add(
      this.#normaliseGradient(op, forward, row, target.accumulate, this.emitter.at(target.tensor)),
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
      this.emitter.module,
      this.emitter.multiplyAdd,
      storedImage(forward.output.shape),
      row,
      accumulate,
    );
    const [g, z] = [this.emitter.at(op.outputGradient), this.emitter.at(forward.input)];
    const coefficients = this.emitter.coefficients(forward.batchNorm!.name);
    return (frame) => call(kernel, g(frame), z(frame), to(frame), coefficients(frame));
  }

  #convolveBackward(segments: Segments, op: BackwardOp, forward: ConvolveOp): void {
    const { module, multiplyAdd, layout } = this.emitter;
    const stored = layout.convolutions.get(forward.node.name)!;
    const gradient = this.#paddedGradient(segments, op, forward, stored);
    if (stored.winograd) {
      this.#convolveBackwardWinograd(segments, op, forward, stored, stored.winograd, gradient);
      return;
    }
    const { input, output } = stored;
    const { row, inner, outer } = gradient;
    segments.add(gradient.prepare);
    const { row: inputRow, prepare, pointer } = this.forward.paddedInput(
      forward,
      stored,
      (tensor) => this.emitter.at(tensor),
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
    const dw = this.emitter.gradient(stored.master);
    segments.add((frame) => [
      prepare(frame),
      call(weightGradient, pointer(frame), inner(frame), dw(frame)),
    ]);
    if (stored.bias !== undefined) {
      const kernel = biasGradientKernel(module, output, row);
      const db = this.emitter.gradient(stored.bias);
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
    const { module, multiplyAdd, layout } = this.emitter;
    const [channels, filters] = [input.channels, output.channels];
    const { row: inputRow, prepare, pointer } = this.forward.paddedInput(
      forward,
      { input, output, master, paddedInput, ...stored },
      (tensor) => this.emitter.at(tensor),
    );
    const toV = inputTransformKernel(module, multiplyAdd, input, inputRow, tiles);
    const toGradientV = inputTransformKernel(module, multiplyAdd, output, gradient.row, tiles);
    const toGradientM = gradientTransformKernel(module, multiplyAdd, output, gradient.row, tiles);
    const weightProducts = gradientProductsKernel(module, multiplyAdd, tiles, channels, filters);
    const products = productsKernel(module, multiplyAdd, tiles, filters, channels);
    const [v, gradientM, gradientV] = this.emitter.tileScratch();
    const du: ImageCode = ({ scratch }) => iadd(scratch, int(layout.weightGradientScratch));
    const target = op.inputGradient;
    const inputGradient = (frame: Frame, each: Parameters<GroupCode>[1]): Code => {
      if (!target) return [];
      const { tensor, accumulate } = target;
      const back = outputTransformKernel(module, multiplyAdd, input, tiles, accumulate);
      const to = this.emitter.at(tensor);
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
    const dw = this.emitter.gradient(master);
    segments.last((frame) => call(back, du(frame), dw(frame)));
  }

  /** The output's gradient, in scratch inside its zeros where those are needed. */
  #paddedGradient(
    segments: Segments,
    op: BackwardOp,
    { node }: ConvolveOp,
    { output, paddedGradient: padded, gradientPadding: { before, after } }: StoredConvolution,
  ): PaddedGradient {
    const { module, layout } = this.emitter;
    const pixel = output.channels * 4;
    const row = (output.width + (padded === undefined ? 0 : before + after)) * pixel;
    if (padded === undefined) {
      const at = this.emitter.at(op.outputGradient);
      return { row, prepare: () => [], inner: at, outer: at };
    }
    const inner: ImageCode = ({ scratch }) => iadd(scratch, int(padded + before * (row + pixel)));
    const outer: ImageCode = ({ scratch }) => iadd(scratch, int(padded));
    if (!op.outputGradient.transient) {
      const copy = padKernel(module, output.height, output.width * pixel, row);
      const from = this.emitter.at(op.outputGradient);
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
    const to = this.emitter.at(tensor);
    const pixel = input.channels * 4;
    const row = input.width * pixel;
    // A parity class without taps (of a 1x1 kernel with stride 2) gets no gradient.
    const complete = classes.every(({ taps }) => taps.length > 0);
    const calls = classes.filter(({ taps }) => taps.length > 0).map((parity) => {
      const kernel = convolutionKernel(this.emitter.module, this.emitter.multiplyAdd, {
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
    const { module } = this.emitter;
    const { node } = forward;
    const { tensor, accumulate } = op.inputGradient!;
    const [x, y, dy, dx] = [forward.input, forward.output, op.outputGradient, tensor].map((t) =>
      this.emitter.at(t)
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
}

function onlyForProbes(code: ImageCode): ImageCode {
  return (frame) => when(loadInt(int(CONTROL.inputGradient)), code(frame));
}
