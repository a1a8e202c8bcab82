/**
 * Gradient of a convolution's weights, summed over one image or several:
 *
 *     dw[ky, kx, c, k] += sum over y, x of X[s*y + ky, s*x + kx, c] * dz[y, x, k]
 *
 * with X the input inside its zero padding and dz the output's gradient.
 *
 * Register plan: 4 input channels by 8 output channels, 8 vectors of sums that
 * stay in registers over a block of rows. A pixel takes one load of X, four
 * shuffles that duplicate its lanes, two loads of dz and 8 multiply-adds; 13
 * vectors are live. Where two vectors are joined into one register, 16 output channels.
 *
 * Blocks of rows keep both images in the first-level cache while the tiles of (c, k) and the
 * taps pass over them. Where images are so small that dw, not they, would pass through the
 * cache, the sums stay in registers over several; those are read without their padding, and a
 * tap's sum goes over the pixels alone where it meets the image.
 *
 * dw is laid out as the weights are trained, [tap][C][K]; each thread has its own.
 */
import {
  advance,
  type Code,
  duplicate,
  forRange,
  type FunctionReference,
  get,
  iadd,
  int,
  load,
  type Module,
  type MultiplyAdd,
  repeat,
  set,
  store,
} from "../assembler.ts";
import { range } from "./convolution.ts";

/** Rows whose pixels pass before the sums go back to memory. */
const BLOCK_ROWS = 8;
const UNROLLED_PIXELS = 8;
/** Vectors of output channels in a tile, where vectors are not joined. */
const TILE_VECTORS = 2;

/** Everything that the kernel's code depends on. */
export interface WeightGradientShape {
  readonly kernel: number;
  readonly stride: number;
  /** Multiples of 4. */
  readonly inputChannels: number;
  readonly outputChannels: number;
  /** Output pixels. */
  readonly height: number;
  readonly width: number;
  /** Bytes from one row to the next. */
  readonly inputRow: number;
  readonly gradientRow: number;
  /** Where several images, without padding, are summed together. */
  readonly images?: ImageGroup;
}

/** A group of images. */
export interface ImageGroup {
  /** Bytes from one image to the next. */
  readonly input: number;
  readonly gradient: number;
  /** Of X's images. */
  readonly height: number;
  readonly width: number;
  /** Zeros around them, which are not there. */
  readonly padding: number;
}

/** Outputs along one axis where a tap meets the image: from the first, so many. */
export function outputsOfTap(
  tap: number,
  { stride, padding, input, output }: {
    readonly stride: number;
    readonly padding: number;
    readonly input: number;
    readonly output: number;
  },
): { readonly first: number; readonly count: number } {
  const first = Math.max(0, Math.ceil((padding - tap) / stride));
  const last = Math.min(output - 1, Math.floor((input - 1 + padding - tap) / stride));
  return { first, count: Math.max(0, last - first + 1) };
}

/**
 * Kernel (input, gradient, dw): pointers to X's first window, dz's first pixel, dw; for several
 * images (input, gradient, dw, count).
 */
export function weightGradientKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: WeightGradientShape,
): FunctionReference {
  const { kernel, stride, inputChannels, outputChannels, height, width } = shape;
  const { inputRow, gradientRow, images } = shape;
  const name = `weight gradient ${JSON.stringify(shape)}`;
  const types = Array<"i32">(images ? 4 : 3).fill("i32");
  return module.function(name, types, (f, input, gradient, dw, count) => {
    const tileVectors = TILE_VECTORS * module.joined;
    const sums = f.vectors(4 * tileVectors);
    const sum = (lane: number, v: number) => sums[lane * tileVectors + v];
    const [x4, copy] = f.vectors(2);
    const z = f.vectors(tileVectors);
    const [block, channel, filter, ky, kx, image, y, x] = range(8).map(() => f.i32());
    const [inputTile, tapRow, tap, gradientTile, dwTile, dwTap] = range(6).map(() => f.i32());
    const [inputPointer, gradientPointer, rowPointer, gradientRowPointer] = range(4).map(() =>
      f.i32()
    );
    const inputPixel = stride * inputChannels * 4;
    const gradientPixel = outputChannels * 4;

    const pixel = (i: number, vectors: number) => [
      set(x4, load(inputPointer, i * inputPixel)),
      range(vectors).map((v) => set(z[v], load(gradientPointer, i * gradientPixel + 16 * v))),
      range(4).map((lane) => [
        set(copy, duplicate(get(x4), lane)),
        range(vectors).map((v) =>
          set(sum(lane, v), multiplyAdd(get(copy), get(z[v]), get(sum(lane, v))))
        ),
      ]),
    ];
    const row = (vectors: number, pixels = width) => {
      const unrolled = Math.floor(pixels / UNROLLED_PIXELS);
      const rest = pixels % UNROLLED_PIXELS;
      return [
        set(inputPointer, get(rowPointer)),
        set(gradientPointer, get(gradientRowPointer)),
        unrolled === 0 ? [] : repeat(x, unrolled, [
          range(UNROLLED_PIXELS).map((i) => pixel(i, vectors)),
          advance(inputPointer, UNROLLED_PIXELS * inputPixel),
          advance(gradientPointer, UNROLLED_PIXELS * gradientPixel),
        ]),
        range(rest).map((i) => pixel(i, vectors)),
      ];
    };
    /** Sums of one tap from memory, over pixels, to memory. */
    const sumsOver = (vectors: number, pixels: Code) => {
      const each = range(4).flatMap((lane) => range(vectors).map((v) => [lane, v]));
      const offset = (lane: number, v: number) => lane * outputChannels * 4 + 16 * v;
      return [
        each.map(([lane, v]) => set(sum(lane, v), load(dwTap, offset(lane, v)))),
        pixels,
        each.map(([lane, v]) => store(dwTap, get(sum(lane, v)), offset(lane, v))),
      ];
    };
    const rowsOf = (rows: number, vectors: number, pixels?: number) =>
      repeat(y, rows, [
        row(vectors, pixels),
        advance(rowPointer, stride * inputRow),
        advance(gradientRowPointer, gradientRow),
      ]);
    const tile = (rows: number, vectors: number) =>
      sumsOver(vectors, [
        set(rowPointer, get(tap)),
        set(gradientRowPointer, get(gradientTile)),
        rowsOf(rows, vectors),
      ]);
    const taps = (rows: number, vectors: number) => [
      set(tapRow, get(inputTile)),
      set(dwTap, get(dwTile)),
      repeat(ky, kernel, [
        set(tap, get(tapRow)),
        repeat(kx, kernel, [
          tile(rows, vectors),
          advance(tap, inputChannels * 4),
          advance(dwTap, inputChannels * outputChannels * 4),
        ]),
        advance(tapRow, inputRow),
      ]),
    ];
    /** Every tap over its own pixels of all images. */
    const tapsOverImages = (vectors: number, group: ImageGroup) => {
      const { padding } = group;
      const down = { stride, padding, input: group.height, output: height };
      const across = { stride, padding, input: group.width, output: width };
      return range(kernel).map((ky) =>
        range(kernel).map((kx) => {
          const [rows, columns] = [outputsOfTap(ky, down), outputsOfTap(kx, across)];
          if (rows.count === 0 || columns.count === 0) return [];
          const fromRow = stride * rows.first + ky - padding;
          const fromColumn = stride * columns.first + kx - padding;
          const from = fromRow * inputRow + fromColumn * inputChannels * 4;
          const fromGradient = rows.first * gradientRow + columns.first * gradientPixel;
          return [
            set(dwTap, iadd(dwTile, int((ky * kernel + kx) * inputChannels * outputChannels * 4))),
            sumsOver(vectors, [
              set(rowPointer, iadd(inputTile, int(from))),
              set(gradientRowPointer, iadd(gradientTile, int(fromGradient))),
              forRange(image, int(0), count, 1, [
                rowsOf(rows.count, vectors, columns.count),
                advance(rowPointer, group.input - rows.count * stride * inputRow),
                advance(gradientRowPointer, group.gradient - rows.count * gradientRow),
              ]),
            ]),
          ];
        })
      );
    };
    /** All tiles of (c, k). */
    const tiles = (taps: (vectors: number) => Code) => {
      const full = Math.floor(outputChannels / (4 * tileVectors));
      const rest = outputChannels / 4 % tileVectors;
      return [
        set(inputTile, get(input)),
        repeat(channel, inputChannels / 4, [
          set(gradientTile, get(gradient)),
          set(dwTile, iadd(dw, [get(channel), int(4 * outputChannels * 4), 0x6c])),
          full === 0 ? [] : repeat(filter, full, [
            taps(tileVectors),
            advance(gradientTile, 16 * tileVectors),
            advance(dwTile, 16 * tileVectors),
          ]),
          rest === 0 ? [] : taps(rest),
          advance(inputTile, 16),
        ]),
      ];
    };
    if (images) return tiles((vectors) => tapsOverImages(vectors, images));
    const blockOfRows = (rows: number) => tiles((vectors) => taps(rows, vectors));
    const blocks = Math.floor(height / BLOCK_ROWS);
    const rest = height % BLOCK_ROWS;
    return [
      blocks === 0 ? [] : repeat(block, blocks, [
        blockOfRows(BLOCK_ROWS),
        advance(input, BLOCK_ROWS * stride * inputRow),
        advance(gradient, BLOCK_ROWS * gradientRow),
      ]),
      rest === 0 ? [] : blockOfRows(rest),
    ];
  });
}
