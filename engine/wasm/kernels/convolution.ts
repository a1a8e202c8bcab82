/**
 * Direct convolution, forward and input gradient.
 *
 * Forward, for output pixel (y, x) and output channel k:
 *
 *     z[y, x, k] = sum over ky, kx, c of X[s*y + ky, s*x + kx, c] * w[ky, kx, c, k]
 *
 * with X the input inside its zero padding. The gradient of input pixel (i, j)
 * gathers every output that it took part in, those with s*y + ky = i + padding:
 *
 *     dx[i, j, c] = sum over ky, kx, k of dz[(i + p - ky) / s, (j + p - kx) / s, k] * w[ky, kx, c, k]
 *
 * where the quotients are whole. For stride s the pixels split into s*s parity
 * classes; within a class the taps (ky, kx) are the same for all pixels and the
 * sum is a convolution of stride 1 again. So one kernel does all: a list of
 * taps, a step between windows in the input and between pixels in the output.
 *
 * Register plan: 2 pixels by 16 output channels, 8 vectors of sums. For each 4
 * input channels, one load a pixel; each lane is duplicated into a vector and
 * multiplied with 4 vectors of weights: 18 loads and 8 shuffles for 32
 * multiply-adds. With the two inputs, the two duplicates and the weights 13
 * vectors are live, as many as V8 keeps in registers. Where two vectors are joined
 * into one register, 4 pixels: as many registers, twice as long.
 *
 * Weights are packed to be read in one stream: [K/16][C/4][tap][4][16], the
 * last block of output channels as narrow as it is.
 *
 * Where maps are small and weights large, the weights would pass through the cache for every
 * image. There a block of weights stays in it while the images of a group pass, and an output
 * pixel's neighbours in a register tile are the same pixel of other images. Taps that a pixel
 * finds outside of the image, all but one of 9 on a map of 1x1, are left out: what they would
 * add is 0.
 */
import {
  add,
  advance,
  call,
  type Code,
  duplicate,
  float4,
  forRange,
  type FunctionBuilder,
  type FunctionReference,
  get,
  iadd,
  idiv,
  imul,
  int,
  load,
  type Local,
  type Module,
  type MultiplyAdd,
  repeat,
  set,
  store,
} from "../assembler.ts";

/** Output channels of one full register tile. */
export const TILE_CHANNELS = 16;
/** Pixels of one, where vectors are not joined. */
const TILE_PIXELS = 2;

/** Everything that a convolution's code depends on; bytes where not said otherwise. */
export interface ConvolutionShape {
  /** Byte offset of each tap from the window's first pixel. */
  readonly taps: readonly number[];
  /** Multiples of 4. */
  readonly inputChannels: number;
  readonly outputChannels: number;
  /** Pixels to compute. */
  readonly height: number;
  readonly width: number;
  /** Bytes from one window to the next, down and across. */
  readonly inputRowStep: number;
  readonly inputStep: number;
  /** Bytes from one output pixel to the next, down and across. */
  readonly outputRowStep: number;
  readonly outputStep: number;
  /** Adds to what the output holds. */
  readonly accumulate: boolean;
  /** Starts the sums from a vector of biases. */
  readonly bias: boolean;
  /** Where the weights' stream has taps that no window reads: how many it has, and which are read. */
  readonly stream?: { readonly taps: number; readonly read: readonly number[] };
}

/** Kernel (input, output, weights, bias): pointers to one image's first window and pixel. */
export function convolutionKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ConvolutionShape,
): FunctionReference {
  const { inputChannels, outputChannels, taps } = shape;
  const name = `convolution ${JSON.stringify(shape)}`;
  return module.function(name, ["i32", "i32", "i32", "i32"], (f, input, output, weights, bias) => {
    const tile = new Tile(f, multiplyAdd, TILE_PIXELS * module.joined, shape, bias);
    const block = f.i32();
    const blockBytes = TILE_CHANNELS * inputChannels * taps.length * 4;
    const fullBlocks = Math.floor(outputChannels / TILE_CHANNELS);
    const rest = outputChannels % TILE_CHANNELS;
    return [
      fullBlocks === 0 ? [] : repeat(block, fullBlocks, [
        tile.image(input, output, weights, TILE_CHANNELS / 4),
        advance(weights, blockBytes),
        advance(output, TILE_CHANNELS * 4),
        advance(bias, TILE_CHANNELS * 4),
      ]),
      rest === 0 ? [] : tile.image(input, output, weights, rest / 4),
    ];
  });
}

/** A tap that meets the image: its place in the weights' stream, and from where it reads. */
export interface Tap {
  readonly index: number;
  /** Bytes from the image's first pixel. */
  readonly offset: number;
}

/** What the code of a convolution of a group of images depends on. */
export interface GroupShape {
  /** Each output pixel: bytes from the image's first, and what it reads; none without a tap. */
  readonly pixels: readonly { readonly output: number; readonly taps: readonly Tap[] }[];
  /** Taps in the weights' stream. */
  readonly streamTaps: number;
  /** Multiples of 4. */
  readonly inputChannels: number;
  readonly outputChannels: number;
  /** Bytes from one image to the next. */
  readonly inputImage: number;
  readonly outputImage: number;
  readonly accumulate: boolean;
  readonly bias: boolean;
}

/** Kernel (input, output, weights, bias, images): pointers to the first image's first pixels. */
export function groupConvolutionKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: GroupShape,
): FunctionReference {
  const { inputChannels, outputChannels, streamTaps } = shape;
  const name = `group convolution ${JSON.stringify(shape)}`;
  const types = Array<"i32">(5).fill("i32");
  return module.function(name, types, (f, input, output, weights, bias, images) => {
    const block = f.i32();
    const pixels = (channels: number) =>
      shape.pixels.map(({ output: to, taps }) => {
        const first = Math.min(...taps.map(({ offset }) => offset));
        const kernel = pixelKernel(module, multiplyAdd, {
          // Pixels with the same neighbours have the same code.
          taps: taps.map(({ offset }) => offset - first),
          stream: { taps: streamTaps, read: taps.map(({ index }) => index) },
          ...{ inputChannels, outputChannels: channels, height: 1, width: 0 },
          ...{ inputRowStep: 0, inputStep: shape.inputImage },
          ...{ outputRowStep: 0, outputStep: shape.outputImage },
          ...{ accumulate: shape.accumulate, bias: shape.bias },
        });
        const [from, place] = [iadd(input, int(first)), iadd(output, int(to))];
        return call(kernel, from, place, get(weights), get(bias), get(images));
      });
    const fullBlocks = Math.floor(outputChannels / TILE_CHANNELS);
    const rest = outputChannels % TILE_CHANNELS;
    return [
      fullBlocks === 0 ? [] : repeat(block, fullBlocks, [
        pixels(TILE_CHANNELS),
        advance(weights, TILE_CHANNELS * inputChannels * streamTaps * 4),
        advance(output, TILE_CHANNELS * 4),
        advance(bias, TILE_CHANNELS * 4),
      ]),
      rest === 0 ? [] : pixels(rest),
    ];
  });
}

/** Kernel (input, output, weights, bias, images): one pixel of each image, one block of channels. */
function pixelKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ConvolutionShape,
): FunctionReference {
  const name = `pixel ${JSON.stringify(shape)}`;
  const types = Array<"i32">(5).fill("i32");
  return module.function(
    name,
    types,
    (f, input, output, weights, bias, images) =>
      new Tile(f, multiplyAdd, TILE_PIXELS * module.joined, shape, bias)
        .row(input, output, weights, shape.outputChannels / 4, images),
  );
}

/** Code for one block of output channels over a whole image. */
class Tile {
  readonly #sums: Local[];
  readonly #inputs: Local[];
  readonly #copies: Local[];
  readonly #weight: Local;
  readonly #y: Local;
  readonly #x: Local;
  readonly #channel: Local;
  readonly #inputRow: Local;
  readonly #outputRow: Local;
  readonly #window: Local;
  readonly #from: Local;
  readonly #to: Local;
  readonly #weights: Local;

  constructor(
    f: FunctionBuilder,
    readonly multiplyAdd: MultiplyAdd,
    readonly pixels: number,
    readonly shape: ConvolutionShape,
    readonly bias: Local,
  ) {
    this.#sums = f.vectors(pixels * TILE_CHANNELS / 4);
    this.#inputs = f.vectors(pixels);
    this.#copies = f.vectors(pixels);
    [this.#weight] = f.vectors(1);
    this.#y = f.i32();
    this.#x = f.i32();
    this.#channel = f.i32();
    this.#inputRow = f.i32();
    this.#outputRow = f.i32();
    this.#window = f.i32();
    this.#from = f.i32();
    this.#to = f.i32();
    this.#weights = f.i32();
  }

  image(input: Local, output: Local, weights: Local, vectors: number): Code {
    const { height, width, inputRowStep, inputStep, outputRowStep, outputStep } = this.shape;
    const full = Math.floor(width / this.pixels);
    const rest = width % this.pixels;
    return [
      set(this.#inputRow, get(input)),
      set(this.#outputRow, get(output)),
      repeat(this.#y, height, [
        set(this.#window, get(this.#inputRow)),
        set(this.#to, get(this.#outputRow)),
        full === 0 ? [] : repeat(this.#x, full, [
          this.#tile(this.pixels, vectors, weights),
          advance(this.#window, this.pixels * inputStep),
          advance(this.#to, this.pixels * outputStep),
        ]),
        rest === 0 ? [] : this.#tile(rest, vectors, weights),
        advance(this.#inputRow, inputRowStep),
        advance(this.#outputRow, outputRowStep),
      ]),
    ];
  }

  /** One row, of as many pixels as there are. */
  row(input: Local, output: Local, weights: Local, vectors: number, count: Local): Code {
    const { inputStep, outputStep } = this.shape;
    const next = (pixels: number) => [
      this.#tile(pixels, vectors, weights),
      advance(this.#window, pixels * inputStep),
      advance(this.#to, pixels * outputStep),
    ];
    const full = idiv(count, int(this.pixels));
    return [
      set(this.#window, get(input)),
      set(this.#to, get(output)),
      set(this.#y, full),
      forRange(this.#x, int(0), this.#y, 1, next(this.pixels)),
      set(this.#y, imul(this.#y, int(this.pixels))),
      forRange(this.#x, get(this.#y), count, 1, next(1)),
    ];
  }

  /** `pixels` neighbours times `4 * vectors` output channels. */
  #tile(pixels: number, vectors: number, weights: Local): Code {
    const { taps, inputChannels, inputStep, outputStep, accumulate, bias } = this.shape;
    const { stream = { taps: taps.length, read: range(taps.length) } } = this.shape;
    const sum = (pixel: number, v: number) => this.#sums[pixel * vectors + v];
    const output = (pixel: number, v: number) => pixel * outputStep + 16 * v;
    const tile = grid(pixels, vectors);
    const weight = this.#weight;
    return [
      tile.map(([pixel, v]) => set(sum(pixel, v), bias ? load(this.bias, 16 * v) : float4(0))),
      set(this.#weights, get(weights)),
      set(this.#from, get(this.#window)),
      repeat(this.#channel, inputChannels / 4, [
        taps.map((offset, tap) => [
          range(pixels).map((pixel) =>
            set(this.#inputs[pixel], load(this.#from, offset + pixel * inputStep))
          ),
          range(4).map((lane) => [
            range(pixels).map((pixel) =>
              set(this.#copies[pixel], duplicate(get(this.#inputs[pixel]), lane))
            ),
            range(vectors).map((v) => [
              set(weight, load(this.#weights, 16 * ((stream.read[tap] * 4 + lane) * vectors + v))),
              range(pixels).map((pixel) =>
                set(
                  sum(pixel, v),
                  this.multiplyAdd(get(this.#copies[pixel]), get(weight), get(sum(pixel, v))),
                )
              ),
            ]),
          ]),
        ]),
        advance(this.#from, 16),
        advance(this.#weights, 16 * 4 * vectors * stream.taps),
      ]),
      accumulate
        ? tile.map(([pixel, v]) =>
          set(sum(pixel, v), add(load(this.#to, output(pixel, v)), get(sum(pixel, v))))
        )
        : [],
      tile.map(([pixel, v]) => store(this.#to, get(sum(pixel, v)), output(pixel, v))),
    ];
  }
}

/** 0 to count - 1. */
export function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}

function grid(rows: number, columns: number): [number, number][] {
  return range(rows).flatMap((row) =>
    range(columns).map((column): [number, number] => [row, column])
  );
}

/**
 * Kernel (master, packed): weights of the given taps from the layout in which they are
 * trained, [tap][C][K], to the forward convolution's stream.
 */
export function packForwardKernel(
  module: Module,
  taps: readonly number[],
  channels: number,
  filters: number,
): FunctionReference {
  const name = `pack forward ${taps.join()} ${channels} ${filters}`;
  return module.function(name, ["i32", "i32"], (f, master, packed) => {
    const [block, row, from] = [f.i32(), f.i32(), f.i32()];
    const blocks = (count: number, vectors: number) =>
      count === 0 ? [] : repeat(block, count, [
        repeat(row, channels / 4, [
          taps.map((tap) => [
            set(from, iadd(master, int(tap * channels * filters * 4))),
            range(4).map((lane) =>
              range(vectors).map((v) =>
                store(packed, load(from, lane * filters * 4 + 16 * v), 16 * (lane * vectors + v))
              )
            ),
            advance(packed, 64 * vectors),
          ]),
          advance(master, 4 * filters * 4),
        ]),
        // Back to the first channel, on to the next block of filters.
        set(master, iadd(master, int(TILE_CHANNELS * 4 - channels * filters * 4))),
      ]);
    const rest = filters % TILE_CHANNELS;
    return [
      blocks(Math.floor(filters / TILE_CHANNELS), TILE_CHANNELS / 4),
      blocks(rest === 0 ? 0 : 1, rest / 4),
    ];
  });
}

/**
 * Kernel (master, packed): weights with input and output channels exchanged, for
 * the input gradient of one parity class, which uses the given taps.
 */
export function packBackwardKernel(
  module: Module,
  taps: readonly number[],
  channels: number,
  filters: number,
): FunctionReference {
  const name = `pack backward ${taps.join()} ${channels} ${filters}`;
  return module.function(name, ["i32", "i32"], (f, master, packed) => {
    const [block, row, channel, from] = [f.i32(), f.i32(), f.i32(), f.i32()];
    const lanes = f.vectors(4);
    // The packed stream runs over blocks of 16 channels c (the outputs now), 4
    // filters k (the inputs), taps, then [4 k][16 c]: transposed 4 by 4.
    const blocks = (count: number, vectors: number) =>
      count === 0 ? [] : repeat(block, count, [
        repeat(row, filters / 4, [
          taps.map((tap) => [
            set(from, iadd(master, int(tap * channels * filters * 4))),
            repeat(channel, vectors, [
              lanes.map((lane, c) => set(lane, load(from, c * filters * 4))),
              range(4).map((k) => store(packed, transposed(lanes, k), 16 * vectors * k)),
              advance(from, 4 * filters * 4),
              advance(packed, 16),
            ]),
            advance(packed, 64 * vectors - 16 * vectors),
          ]),
          advance(master, 16),
        ]),
        set(master, iadd(master, int((TILE_CHANNELS * filters - filters) * 4))),
      ]);
    const rest = channels % TILE_CHANNELS;
    return [
      blocks(Math.floor(channels / TILE_CHANNELS), TILE_CHANNELS / 4),
      blocks(rest === 0 ? 0 : 1, rest / 4),
    ];
  });
}

/** Lane k of four vectors as one vector. */
export function transposed(rows: readonly Local[], k: number): Code {
  const pair = (a: Local, b: Local): Code => [get(a), get(b), shuffle([k, k + 4, k, k + 4])];
  return [pair(rows[0], rows[1]), pair(rows[2], rows[3]), shuffle([0, 1, 4, 5])];
}

function shuffle(lanes: readonly number[]): Code {
  return [0xfd, 0x0d, lanes.flatMap((lane) => range(4).map((byte) => 4 * lane + byte))];
}
