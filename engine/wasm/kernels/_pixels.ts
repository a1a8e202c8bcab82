/**
 * Loops that the elementwise kernels share. Channels are the fastest axis, so
 * a block of up to 16 of them is one cache line a pixel: kernels run block by
 * block with the block's coefficients in registers, and pixel by pixel inside.
 *
 * Where an image comes from memory, lines that are skipped cost more than
 * coefficients that V8 keeps on its stack: such kernels take wide blocks.
 */
import {
  advance,
  type Code,
  type FunctionBuilder,
  get,
  inTurn,
  type Local,
  repeat,
  set,
} from "../assembler.ts";

/** Vectors of a block for images in cache, and for others. */
export const BLOCK_VECTORS = 4;
export const WIDE_BLOCK_VECTORS = 16;

/**
 * Runs `body` for each block of channels. `pointers` point at a first channel
 * and move on by a block each time.
 */
export function forChannelBlocks(
  f: FunctionBuilder,
  channels: number,
  pointers: readonly Local[],
  body: (vectors: number) => Code,
  blockVectors = BLOCK_VECTORS,
): Code {
  const block = f.i32();
  const vectors = channels / 4;
  const full = Math.floor(vectors / blockVectors);
  const rest = vectors % blockVectors;
  return [
    full === 0 ? [] : repeat(block, full, [
      body(blockVectors),
      pointers.map((pointer) => advance(pointer, 16 * blockVectors)),
    ]),
    rest === 0 ? [] : body(rest),
  ];
}

/** An image whose pixels a loop visits. */
export interface Stream {
  /** Points at the first pixel; unchanged by the loop. */
  readonly base: Local;
  /** Bytes from one row to the next and from one pixel to the next. */
  readonly row: number;
  readonly pixel: number;
}

/** Runs `body` for each pixel with a pointer into each stream. */
export function forPixels(
  f: FunctionBuilder,
  height: number,
  width: number,
  streams: readonly Stream[],
  body: (...pointers: Local[]) => Code,
): Code {
  const contiguous = streams.every(({ row, pixel }) => row === width * pixel);
  const [rows, columns] = contiguous ? [1, height * width] : [height, width];
  const [y, x] = [f.i32(), f.i32()];
  const pointers = streams.map(() => f.i32());
  return [
    streams.map(({ base }, i) => set(pointers[i], get(base))),
    repeat(y, rows, [
      repeat(x, columns, [
        body(...pointers),
        streams.map(({ pixel }, i) => advance(pointers[i], pixel)),
      ]),
      streams.map(({ row, pixel }, i) => advance(pointers[i], row - width * pixel)),
    ]),
  ];
}

/**
 * The bodies of a pixel's vectors, two in turn, each with the side of the pair that it is on:
 * so two neighbours may be joined.
 */
export function inPairs(
  vectors: readonly number[],
  body: (vector: number, side: number) => readonly Code[],
): Code {
  const firsts = vectors.filter((_, i) => i % 2 === 0);
  return firsts.map((first) =>
    inTurn([first, first + 1].filter((v) => v < vectors.length).map((v, side) => body(v, side)))
  );
}
