/** Emits the backward operations of a plan. */
import { unhandledKind } from "../../resnet/mod.ts";
import type { ConvolveBackward, GradientTarget, NormaliseBackward, PoolBackward } from "../plan.ts";
import { CONTROL } from "./_control.ts";
import {
  type Emitter,
  fetchKernel,
  type Frame,
  type GroupCode,
  type ImageCode,
  ofFirst,
  padKernel,
  Segments,
  tilesOfSlot,
} from "./_emitter.ts";
import { type Forward, inScratch, shortcutShape, windowShape } from "./_forward.ts";
import { type StoredConvolution, storedImage, type StoredWinograd } from "./_layout.ts";
import {
  below,
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
import { convolutionKernel, groupConvolutionKernel, range } from "./kernels/convolution.ts";
import {
  backwardCoefficientsKernel,
  type ImageShape,
  maskKernel,
  type MaskParts,
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
  maskedOutputTransformKernel,
  outputTransformKernel,
  PLACES,
  planeBytes,
  productsKernel,
  weightGradientTransformKernel,
} from "./kernels/winograd.ts";

/** A convolution's output gradient: its rows, and the code that puts it there. */
interface PaddedGradient {
  /** Bytes from one row to the next, and from one image of a group to the next. */
  readonly row: number;
  readonly bytes: number;
  readonly prepare: ImageCode;
  /** Address of the first pixel, and of the zeros before it. */
  readonly inner: ImageCode;
  readonly outer: ImageCode;
  /** Address of the first pixel of a group's first image. */
  readonly first: ImageCode;
}

/** The backward operations. */
export class Backward {
  constructor(readonly emitter: Emitter, readonly forward: Forward) {}

  /** The training plan's gradients, as functions (thread). */
  training(barrier: FunctionReference): FunctionReference[] {
    const segments = new Segments(this.emitter, "backward", barrier);
    const { backward } = this.emitter.layout.training;
    for (const op of backward) {
      switch (op.kind) {
        case "convolve-gradient":
          this.#convolve(segments, op);
          break;
        case "normalise-gradient":
          if (!op.masked) this.#mask(segments, op);
          this.#normalise(segments, op);
          break;
        case "pool-gradient":
          this.#pool(segments, op);
          break;
      }
    }
    return segments.finish();
  }

  /** What masks a layer's gradient: the operands of the kernel, and its images among them. */
  #maskParts(
    { forward: { batchNorm, relu, input, output }, outputGradient }: NormaliseBackward,
  ): { parts: MaskParts; operands: ImageCode[]; images: ImageCode[] } {
    const affine = batchNorm !== undefined;
    const [dy, z] = [this.emitter.at(outputGradient), this.emitter.at(input)];
    const y = output.maker ? z : this.emitter.at(output);
    const none: ImageCode = () => int(0);
    return {
      parts: { affine, relu },
      images: output.maker ? [dy, z] : [dy, y, z],
      operands: [
        ...[dy, y, z],
        affine ? this.emitter.partials(batchNorm.name, storedImage(output.shape).channels) : none,
        affine ? this.emitter.coefficients(batchNorm.name) : none,
      ],
    };
  }

  #mask(segments: Segments, op: NormaliseBackward): void {
    const { parts, operands } = this.#maskParts(op);
    if (!parts.affine && parts.relu === "none") return;
    const shape = storedImage(op.forward.output.shape);
    const kernel = maskKernel(this.emitter.module, this.emitter.multiplyAdd, shape, parts);
    segments.add((frame) =>
      this.emitter.timed(
        "batch norm sums",
        call(kernel, ...operands.map((operand) => operand(frame))),
      )
    );
  }

  #normalise(segments: Segments, op: NormaliseBackward): void {
    const { module } = this.emitter;
    const { batchNorm, output } = op.forward;
    const shape = storedImage(output.shape);
    const dy = this.emitter.at(op.outputGradient);
    const pass = ({ tensor, accumulate }: GradientTarget) => {
      const kernel = addImageKernel(module, tensor.size, accumulate);
      const to = this.emitter.at(tensor);
      segments.add((frame) => this.emitter.timed("normalise", call(kernel, dy(frame), to(frame))));
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
      this.emitter.timed(
        "batch norm sums",
        call(
          kernel,
          coefficients(frame),
          int(this.emitter.layout.partials.get(name)!),
          // Thread 0's gradients: the others' stay 0.
          int(this.emitter.address(`${name}.weight`) + gradientOffset),
          int(this.emitter.address(`${name}.bias`) + gradientOffset),
          get(frame.thread),
        ),
      ));
    const target = op.inputGradient!;
    if (target.tensor.maker) return;
    segments.needs(name);
    const row = shape.width * shape.channels * 4;
    segments.add(
      this.#normaliseGradient(op, row, target.accumulate, this.emitter.at(target.tensor)),
    );
  }

  #normaliseGradient(
    { forward, outputGradient }: NormaliseBackward,
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
    const [g, z] = [this.emitter.at(outputGradient), this.emitter.at(forward.input)];
    const coefficients = this.emitter.coefficients(forward.batchNorm!.name);
    return (frame) =>
      this.emitter.timed(
        "normalise",
        call(kernel, g(frame), z(frame), to(frame), coefficients(frame)),
      );
  }

  #convolve(segments: Segments, op: ConvolveBackward): void {
    const { module, multiplyAdd, layout } = this.emitter;
    const { forward } = op;
    const stored = layout.convolutions.get(forward.node.name)!;
    const gradient = this.#paddedGradient(segments, op, stored);
    if (stored.winograd) {
      this.#convolveWinograd(segments, op, stored, stored.winograd, gradient);
      return;
    }
    const { input, output, images } = stored;
    const { row, inner, outer, first } = gradient;
    const { row: inputRow, prepare, pointer, bytes } = this.forward.paddedInput(
      forward,
      stored,
      this.emitter.at,
      images > 1,
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
      ...(images > 1 && {
        images: {
          ...{ input: bytes, gradient: gradient.bytes },
          ...{ height: input.height, width: input.width, padding: forward.padding },
        },
      }),
    });
    const dw = this.emitter.gradient(stored.master);
    const group = (of: "weight gradient" | "input gradient") =>
      forward.node.kind === "dense" ? "dense" : `${of} direct` as const;
    const operations = 2 * stored.products * input.channels * output.channels;
    const weights = (frame: Frame, count: Code[]): Code =>
      this.emitter.timed(
        group("weight gradient"),
        call(weightGradient, pointer(frame), first(frame), dw(frame), ...count),
        images * operations,
      );
    const rest: ImageCode[] = [];
    if (stored.bias !== undefined) {
      const kernel = biasGradientKernel(module, output, row);
      const db = this.emitter.gradient(stored.bias);
      rest.push((frame) => call(kernel, inner(frame), db(frame)));
    }
    const probed = (code: ImageCode) => op.onlyForProbes ? onlyForProbes(code) : code;
    if (images === 1) {
      const code = this.#inputGradient(op, stored, row, outer);
      rest.push(
        probed((frame) => this.emitter.timed(group("input gradient"), code(frame), operations)),
      );
      [gradient.prepare, prepare, (frame: Frame) => weights(frame, []), ...rest].forEach((code) =>
        segments.add(code)
      );
      return;
    }
    segments.add({
      images,
      code: (frame, each, count) => [
        each(() => [gradient.prepare(frame), prepare(frame)]),
        weights(frame, [count]),
        each(() => rest.map((code) => code(frame))),
        probed(this.#groupInputGradient(op, stored, gradient, each, count))(frame),
      ],
    });
  }

  /** The input gradient of a group of images, each pixel of the taps that reach it. */
  #groupInputGradient(
    { inputGradient: { tensor, accumulate }, forward: { stride, node } }: ConvolveBackward,
    { input, output, classes, images, products }: StoredConvolution,
    gradient: PaddedGradient,
    each: Parameters<GroupCode>[1],
    count: Code,
  ): ImageCode {
    const { module, multiplyAdd } = this.emitter;
    const to = this.emitter.at(tensor);
    const offset = ({ channels, width }: ImageShape, row: number, column: number) =>
      (row * width + column) * channels * 4;
    const parts = classes.map(({ y, x, height, width, taps, places, weights }) => {
      const pixels = range(height).flatMap((row) =>
        range(width).map((column) => ({
          output: offset(input, y + stride * row, x + stride * column),
          taps: places.map((place, index) => ({
            ...{ index, row: place.row + row, column: place.column + column },
          })).filter(({ row, column }) =>
            row >= 0 && row < output.height && column >= 0 && column < output.width
          ).map(({ index, row, column }) => ({ index, offset: offset(output, row, column) })),
        }))
      );
      return { weights, streamTaps: taps.length, pixels };
    });
    const all = parts.flatMap(({ pixels }) => pixels);
    const zero = accumulate ? [] : all.filter(({ taps }) => taps.length === 0);
    const calls = parts.flatMap(({ weights, streamTaps, pixels }) => {
      const reached = pixels.filter(({ taps }) => taps.length > 0);
      if (reached.length === 0) return [];
      const kernel = groupConvolutionKernel(module, multiplyAdd, {
        pixels: reached,
        streamTaps,
        inputChannels: output.channels,
        outputChannels: input.channels,
        inputImage: gradient.bytes,
        outputImage: this.emitter.at.stride,
        accumulate,
        bias: false,
      });
      return (frame: Frame) =>
        call(kernel, gradient.first(frame), ofFirst(to)(frame), int(weights), int(0), count);
    });
    return (frame) =>
      this.emitter.timed(
        node.kind === "dense" ? "dense" : "input gradient direct",
        [
          zero.length === 0
            ? []
            : each(() =>
              zero.map(({ output }) =>
                fillZero(iadd(to(frame), int(output)), int(input.channels * 4))
              )
            ),
          calls.map((code) => code(frame)),
        ],
        2 * images * products * input.channels * output.channels,
      );
  }

  #convolveWinograd(
    segments: Segments,
    op: ConvolveBackward,
    stored: StoredConvolution,
    { images, tiles, backward }: StoredWinograd,
    gradient: PaddedGradient,
  ): void {
    const { input, output, master } = stored;
    const { module, multiplyAdd, layout } = this.emitter;
    const [channels, filters] = [input.channels, output.channels];
    const operations = 2 * PLACES * tiles * channels * filters;
    const { row: inputRow, prepare, pointer } = this.forward.paddedInput(
      op.forward,
      stored,
      this.emitter.at,
    );
    const toV = inputTransformKernel(module, multiplyAdd, input, inputRow, tiles);
    const toGradientV = inputTransformKernel(module, multiplyAdd, output, gradient.row, tiles);
    const toGradientM = gradientTransformKernel(module, multiplyAdd, output, gradient.row, tiles);
    const weightProducts = gradientProductsKernel(module, multiplyAdd, tiles, channels, filters);
    const products = productsKernel(module, multiplyAdd, tiles, filters, channels);
    const [v, gradientM, gradientV] = this.emitter.tileScratch();
    const du: ImageCode = ({ scratch }) => iadd(scratch, int(layout.weightGradientScratch));
    const inputGradient = (frame: Frame, each: Parameters<GroupCode>[1]): Code => {
      const { tensor, accumulate } = op.inputGradient;
      const masked = op.masks && this.#maskParts(op.masks);
      const to = this.emitter.at(tensor);
      const { operands, images } = masked ?? { operands: [to], images: [to] };
      const fetch = fetchKernel(module, input);
      const back = masked
        ? maskedOutputTransformKernel(
          module,
          multiplyAdd,
          input,
          tiles,
          accumulate,
          masked.parts,
        )
        : outputTransformKernel(module, multiplyAdd, input, tiles, accumulate);
      // V is done with: its place takes the products.
      const code = [
        this.emitter.timed(
          "input gradient products",
          call(products, gradientV(frame), v(frame), int(backward)),
          operations,
        ),
        each((slot) =>
          this.emitter.timed(
            "input gradient transforms",
            [
              images.map((image) => call(fetch, image(frame))),
              call(
                back,
                tilesOfSlot(v(frame), slot, input),
                ...operands.map((operand) => operand(frame)),
              ),
            ],
          )
        ),
      ];
      return op.onlyForProbes ? when(loadInt(int(CONTROL.inputGradient)), code) : code;
    };
    segments.beforeLast();
    segments.add({
      images,
      code: (frame, each, count) => [
        // Rows of images that are not there must not count: their gradient is 0, and what it is
        // multiplied with no NaN of an earlier step.
        when(below(count, int(images)), [
          fillZero(gradientM(frame), int(PLACES * planeBytes(tiles, filters))),
          fillZero(v(frame), int(PLACES * planeBytes(tiles, channels))),
        ]),
        each((slot) => [
          gradient.prepare(frame),
          this.emitter.timed(
            "input gradient transforms",
            call(toGradientV, gradient.outer(frame), tilesOfSlot(gradientV(frame), slot, output)),
          ),
          this.emitter.timed(
            "weight gradient transforms",
            call(toGradientM, gradient.inner(frame), tilesOfSlot(gradientM(frame), slot, output)),
          ),
          prepare(frame),
          this.emitter.timed(
            "weight gradient transforms",
            call(toV, pointer(frame), tilesOfSlot(v(frame), slot, input)),
          ),
        ]),
        this.emitter.timed(
          "weight gradient products",
          call(weightProducts, v(frame), gradientM(frame), du(frame)),
          operations,
        ),
        inputGradient(frame, each),
      ],
    });
    const back = weightGradientTransformKernel(module, multiplyAdd, channels, filters);
    const dw = this.emitter.gradient(master);
    segments.last((frame) =>
      this.emitter.timed("weight gradient transforms", call(back, du(frame), dw(frame)))
    );
  }

  /** The output's gradient, in scratch inside its zeros where those are needed. */
  #paddedGradient(
    segments: Segments,
    { outputGradient }: ConvolveBackward,
    { output, paddedGradient: padded, gradientPadding, images }: StoredConvolution,
  ): PaddedGradient {
    const { module } = this.emitter;
    const { before, after } = gradientPadding;
    const pixel = output.channels * 4;
    const row = (output.width + (padded === undefined ? 0 : before + after)) * pixel;
    if (padded === undefined) {
      const at = this.emitter.at(outputGradient);
      return { row, bytes: 0, prepare: () => [], inner: at, outer: at, first: at };
    }
    const bytes = images === 1 ? 0 : (output.height + before + after) * row;
    const first = inScratch(padded + before * (row + pixel));
    const inner = inScratch(padded + before * (row + pixel), bytes);
    const outer = inScratch(padded, bytes);
    const { maker } = outputGradient;
    if (maker?.kind === "normalise-gradient") {
      segments.needs(maker.forward.batchNorm!.name);
      const prepare = this.#normaliseGradient(maker, row, false, inner);
      return { row, bytes, prepare, inner, outer, first };
    }
    const copy = padKernel(module, output.height, output.width * pixel, row);
    const from = this.emitter.at(outputGradient);
    const prepare: ImageCode = (frame) =>
      this.emitter.timed("padding", call(copy, from(frame), inner(frame)));
    return { row, bytes, prepare, inner, outer, first };
  }

  #inputGradient(
    { inputGradient: { tensor, accumulate }, forward: { stride } }: ConvolveBackward,
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
    const fetch = fetchKernel(this.emitter.module, input);
    return (frame) => [
      call(fetch, to(frame)),
      complete || accumulate ? [] : fillZero(to(frame), int(input.height * row)),
      calls.map((code) => code(frame)),
    ];
  }

  #pool(segments: Segments, op: PoolBackward): void {
    const { module } = this.emitter;
    const { forward, inputGradient: { tensor, accumulate } } = op;
    const { node } = forward;
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
        default:
          return unhandledKind(node);
      }
    })();
    const timed: ImageCode = (frame) => this.emitter.timed("pool", code(frame));
    segments.add(op.onlyForProbes ? onlyForProbes(timed) : timed);
  }
}

function onlyForProbes(code: ImageCode): ImageCode {
  return (frame) => when(loadInt(int(CONTROL.inputGradient)), code(frame));
}
