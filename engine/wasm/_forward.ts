/** Emits the forward operations of a plan: for training with batch statistics, or for inference. */
import { unhandledKind } from "../../resnet/mod.ts";
import type { ConvolveOp, ForwardOp, NormaliseOp, PlanTensor, PoolOp } from "../plan.ts";
import {
  type Emitter,
  fetchKernel,
  type GroupCode,
  type ImageCode,
  ofFirst,
  padKernel,
  type Place,
  Segments,
  tilesOfSlot,
  type Work,
} from "./_emitter.ts";
import { roundUp } from "../_stored.ts";
import { type StoredConvolution, storedImage, type StoredWinograd } from "./_layout.ts";
import { call, type FunctionReference, get, iadd, imul, int, isub } from "./assembler.ts";
import { convolutionKernel, groupConvolutionKernel, range } from "./kernels/convolution.ts";
import {
  forwardCoefficientsKernel,
  normaliseKernel,
  statisticsKernel,
} from "./kernels/normalise.ts";
import { averageKernel, maxPoolKernel, shortcutKernel } from "./kernels/pool.ts";
import {
  inputTransformKernel,
  outputTransformKernel,
  PLACES,
  productsKernel,
} from "./kernels/winograd.ts";

/** A convolution's input inside its zeros. */
interface PaddedInput {
  /** Bytes from one row to the next, and from one image of a group to the next. */
  readonly row: number;
  readonly bytes: number;
  /** Puts the image there. */
  readonly prepare: ImageCode;
  /** Address of the zeros before the first pixel, in a group of the first image's. */
  readonly pointer: ImageCode;
}

/** An address in the thread's scratch, of images that are `bytes` apart. */
export function inScratch(offset: number, bytes = 0): ImageCode {
  return ({ scratch, image, group }) => {
    const first = iadd(scratch, int(offset));
    return bytes === 0 ? first : iadd(first, imul(isub(image, group), int(bytes)));
  };
}

/** The forward operations. */
export class Forward {
  constructor(readonly emitter: Emitter) {}

  /** The training plan, as functions (thread). */
  training(barrier: FunctionReference): FunctionReference[] {
    const segments = new Segments(this.emitter, "forward", barrier);
    const { training } = this.emitter.layout;
    for (const layer of training.feeds) this.#statistics(segments, layer);
    for (const op of training.forward) {
      if (op.output.maker) continue; // its readers make it
      const normalise = op.kind === "normalise" ? op : makerOf(op.input);
      if (normalise?.batchNorm) segments.needs(normalise.batchNorm.name);
      segments.add(this.operation(op, this.emitter.at));
      for (const layer of op.feeds) this.#statistics(segments, layer);
    }
    return segments.finish();
  }

  #statistics(segments: Segments, op: NormaliseOp): void {
    const { name } = op.batchNorm!;
    const shape = storedImage(op.input.shape);
    const kernel = statisticsKernel(this.emitter.module, shape);
    const [z, partials] = [this.emitter.at(op.input), this.emitter.partials(name, shape.channels)];
    segments.add((frame) =>
      this.emitter.timed("batch norm sums", call(kernel, z(frame), partials(frame)))
    );
    segments.sum(name, this.coefficients(op));
  }

  /** A layer's forward coefficients, from the batch's sums or the running statistics. */
  coefficients(op: NormaliseOp): ImageCode {
    const { name } = op.batchNorm!;
    const kernel = forwardCoefficientsKernel(
      this.emitter.module,
      storedImage(op.input.shape),
      this.emitter.options.batchNorm,
    );
    const coefficients = this.emitter.coefficients(name);
    return (frame) =>
      this.emitter.timed(
        "batch norm sums",
        call(
          kernel,
          coefficients(frame),
          int(this.emitter.layout.partials.get(name)!),
          ...["weight", "bias", "running_mean", "running_var"].map((suffix) =>
            int(this.emitter.address(`${name}.${suffix}`))
          ),
          get(frame.thread),
        ),
      );
  }

  /** One operation on each image. */
  operation(op: ForwardOp, at: Place): Work {
    switch (op.kind) {
      case "convolve":
        return this.#convolve(op, at);
      case "normalise":
        return this.#normalise(op, at, at(op.output), rowBytes(op.output));
      case "pool":
        return this.#pool(op, at);
    }
  }

  #convolve(op: ConvolveOp, at: Place): Work {
    const stored = this.emitter.layout.convolutions.get(op.node.name)!;
    if (stored.winograd) return this.#convolveWinograd(op, stored, stored.winograd, at);
    if (stored.images > 1) return this.#convolveGroup(op, stored, at);
    const { input, output, packed } = stored;
    const { row, prepare, pointer } = this.paddedInput(op, stored, at);
    const pixel = input.channels * 4;
    const kernel = convolutionKernel(this.emitter.module, this.emitter.multiplyAdd, {
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
    const group = op.node.kind === "dense" ? "dense" : "convolution direct";
    const operations = 2 * stored.products * input.channels * output.channels;
    return (frame) => [
      prepare(frame),
      this.emitter.timed(
        group,
        call(kernel, pointer(frame), to(frame), int(packed), int(stored.bias ?? 0)),
        operations,
      ),
    ];
  }

  #convolveGroup(op: ConvolveOp, stored: StoredConvolution, at: Place): Work {
    const { input, output, packed, taps, images } = stored;
    const { prepare, pointer, bytes } = this.paddedInput(op, stored, at, true);
    const { kernel, stride, padding } = op;
    const pixels = range(output.height).flatMap((y) =>
      range(output.width).map((x) => ({
        output: (y * output.width + x) * output.channels * 4,
        taps: taps.map((tap, index) => {
          const row = stride * y + Math.floor(tap / kernel) - padding;
          const column = stride * x + tap % kernel - padding;
          return { index, row, column, offset: (row * input.width + column) * input.channels * 4 };
        }).filter(({ row, column }) =>
          row >= 0 && row < input.height && column >= 0 && column < input.width
        ).map(({ index, offset }) => ({ index, offset })),
      }))
    );
    const convolution = groupConvolutionKernel(this.emitter.module, this.emitter.multiplyAdd, {
      pixels,
      streamTaps: taps.length,
      inputChannels: input.channels,
      outputChannels: output.channels,
      inputImage: bytes,
      outputImage: at.stride,
      accumulate: false,
      bias: op.bias,
    });
    const to = ofFirst(at(op.output));
    const operations = 2 * images * stored.products * input.channels * output.channels;
    return {
      images,
      code: (frame, each, count) => [
        each(() => prepare(frame)),
        this.emitter.timed(
          op.node.kind === "dense" ? "dense" : "convolution direct",
          call(
            convolution,
            pointer(frame),
            to(frame),
            int(packed),
            int(stored.bias ?? 0),
            count,
          ),
          operations,
        ),
      ],
    };
  }

  #convolveWinograd(
    op: ConvolveOp,
    stored: StoredConvolution,
    { images, tiles, forward }: StoredWinograd,
    at: Place,
  ): Work {
    const { module, multiplyAdd } = this.emitter;
    const { input, output } = stored;
    const { row, prepare, pointer } = this.paddedInput(op, stored, at);
    const transform = inputTransformKernel(module, multiplyAdd, input, row, tiles);
    const products = productsKernel(module, multiplyAdd, tiles, input.channels, output.channels);
    const back = outputTransformKernel(module, multiplyAdd, output, tiles, false);
    const fetch = fetchKernel(module, output);
    const [v, m] = this.emitter.tileScratch();
    const to = at(op.output);
    const code: GroupCode = (frame, each) => [
      each((slot) => [
        prepare(frame),
        this.emitter.timed(
          "convolution transforms",
          call(transform, pointer(frame), tilesOfSlot(v(frame), slot, input)),
        ),
      ]),
      this.emitter.timed(
        "convolution products",
        call(products, v(frame), m(frame), int(forward)),
        2 * PLACES * tiles * input.channels * output.channels,
      ),
      each((slot) =>
        this.emitter.timed(
          "convolution transforms",
          [
            call(fetch, to(frame)),
            call(back, tilesOfSlot(m(frame), slot, output), to(frame)),
          ],
        )
      ),
    ];
    return { images, code };
  }

  /**
   * The input inside its zeros: copied or made in the thread's scratch, or where it is stored
   * if it needs no zeros; each image of a group in a place of its own, or all in one.
   */
  paddedInput(
    op: ConvolveOp,
    { input, paddedInput, inputPadding: { before, after } }: StoredConvolution,
    at: Place,
    ofGroup = false,
  ): PaddedInput {
    const pixel = input.channels * 4;
    if (paddedInput === undefined) {
      return { row: input.width * pixel, prepare: () => [], pointer: at(op.input), bytes: 0 };
    }
    const row = (before + input.width + after) * pixel;
    const bytes = (before + input.height + after) * row;
    const image = inScratch(paddedInput + before * (row + pixel), ofGroup ? bytes : 0);
    const pointer = inScratch(paddedInput);
    const maker = makerOf(op.input);
    if (maker) return { row, prepare: this.#normalise(maker, at, image, row), pointer, bytes };
    const from = at(op.input);
    const copy = padKernel(this.emitter.module, input.height, input.width * pixel, row);
    const prepare: ImageCode = (frame) =>
      this.emitter.timed("padding", call(copy, from(frame), image(frame)));
    return { row, prepare, pointer, bytes };
  }

  /** Writes y to rows that are `row` bytes apart. */
  #normalise(op: NormaliseOp, at: Place, y: ImageCode, row: number): ImageCode {
    const kernel = normaliseKernel(
      this.emitter.module,
      this.emitter.multiplyAdd,
      storedImage(op.output.shape),
      row,
      {
        affine: op.batchNorm !== undefined,
        addend: op.addend !== undefined,
        relu: op.relu !== "none",
      },
    );
    const z = at(op.input);
    const addend = op.addend ? at(op.addend) : z;
    const coefficients = op.batchNorm ? this.emitter.coefficients(op.batchNorm.name) : () => int(0);
    return (frame) =>
      this.emitter.timed(
        "normalise",
        call(kernel, z(frame), addend(frame), y(frame), coefficients(frame)),
      );
  }

  #pool(op: PoolOp, at: Place): ImageCode {
    const kernel = this.#poolKernel(op);
    const [x, y] = [at(op.input), at(op.output)];
    return (frame) => this.emitter.timed("pool", call(kernel, x(frame), y(frame)));
  }

  #poolKernel({ node, input }: PoolOp): FunctionReference {
    switch (node.kind) {
      case "shortcut-a":
        return shortcutKernel(this.emitter.module, shortcutShape(node, input));
      case "max-pool":
        return maxPoolKernel(this.emitter.module, windowShape(node, input));
      case "global-average-pool":
        return averageKernel(this.emitter.module, storedImage(input.shape));
      default:
        return unhandledKind(node);
    }
  }
}

/** Bytes from one row of a stored image to the next. */
function rowBytes(tensor: PlanTensor): number {
  const { width, channels } = storedImage(tensor.shape);
  return width * channels * 4;
}

/** The operation that makes an activation where it is read; undefined where it is stored. */
function makerOf({ maker }: PlanTensor): NormaliseOp | undefined {
  return maker?.kind === "normalise" ? maker : undefined;
}

/** The geometry of option A's shortcut in memory. */
export function shortcutShape(
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

/** The geometry of a sliding window in memory. */
export function windowShape(
  node: Extract<PoolOp["node"], { kind: "max-pool" }>,
  input: PlanTensor,
) {
  const { kernel, stride, padding } = node;
  return {
    input: storedImage(input.shape),
    output: storedImage(node.shape),
    kernel,
    stride,
    padding,
  };
}
