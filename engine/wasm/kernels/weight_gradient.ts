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
 * cache, the sums stay in registers over several.
 *
 * dw is laid out as the weights are trained, [tap][C][K]; each thread has its own.
 */
import {
  advance,
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
  /** Bytes from one image to the next, where several are summed together. */
  readonly images?: { readonly input: number; readonly gradient: number };
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
  const blockRows = images ? height : BLOCK_ROWS;
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
    const row = (vectors: number) => {
      const unrolled = Math.floor(width / UNROLLED_PIXELS);
      const rest = width % UNROLLED_PIXELS;
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
    const tile = (rows: number, vectors: number) => {
      const each = range(4).flatMap((lane) => range(vectors).map((v) => [lane, v]));
      const offset = (lane: number, v: number) => lane * outputChannels * 4 + 16 * v;
      const pixels = repeat(y, rows, [
        row(vectors),
        advance(rowPointer, stride * inputRow),
        advance(gradientRowPointer, gradientRow),
      ]);
      return [
        each.map(([lane, v]) => set(sum(lane, v), load(dwTap, offset(lane, v)))),
        set(rowPointer, get(tap)),
        set(gradientRowPointer, get(gradientTile)),
        images
          ? forRange(image, int(0), count, 1, [
            pixels,
            advance(rowPointer, images.input - rows * stride * inputRow),
            advance(gradientRowPointer, images.gradient - rows * gradientRow),
          ])
          : pixels,
        each.map(([lane, v]) => store(dwTap, get(sum(lane, v)), offset(lane, v))),
      ];
    };
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
    const blockOfRows = (rows: number) => {
      const tiles = Math.floor(outputChannels / (4 * tileVectors));
      const rest = outputChannels / 4 % tileVectors;
      return [
        set(inputTile, get(input)),
        repeat(channel, inputChannels / 4, [
          set(gradientTile, get(gradient)),
          set(dwTile, iadd(dw, [get(channel), int(4 * outputChannels * 4), 0x6c])),
          tiles === 0 ? [] : repeat(filter, tiles, [
            taps(rows, tileVectors),
            advance(gradientTile, 16 * tileVectors),
            advance(dwTile, 16 * tileVectors),
          ]),
          rest === 0 ? [] : taps(rows, rest),
          advance(inputTile, 16),
        ]),
      ];
    };
    const blocks = Math.floor(height / blockRows);
    const rest = height % blockRows;
    return [
      blocks === 0 ? [] : repeat(block, blocks, [
        blockOfRows(blockRows),
        advance(input, blockRows * stride * inputRow),
        advance(gradient, blockRows * gradientRow),
      ]),
      rest === 0 ? [] : blockOfRows(rest),
    ];
  });
}
