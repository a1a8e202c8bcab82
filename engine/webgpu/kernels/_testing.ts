/** What the tests of the small kernels share: tensors as they lie in memory. */
import { assert, assertEquals } from "@std/assert";
import { RandomStream } from "../../../random/mod.ts";
import { assertTensorClose, type Tolerance } from "../../../testing/mod.ts";
import { type ImageShape, type Kernel, vectors } from "../_kernel.ts";
import { runKernel, type TestStep } from "../_testing.ts";

/** The paper's shapes, and one where nothing is a multiple of anything. */
export const IMAGES: readonly ImageShape[] = [
  { height: 7, width: 5, channels: 5 },
  { height: 32, width: 32, channels: 16 },
  { height: 16, width: 16, channels: 32 },
  { height: 8, width: 8, channels: 64 },
];

/** Images in a step, fewer than the buffers have room for. */
export const STEP_IMAGES = 3;
/** Images that the buffers have room for. */
export const BATCH = 5;

/** Uniform in [-1, 1); one sequence for each label. */
export function uniform(count: number, label: number): Float32Array {
  const random = new RandomStream(1, "probe", label);
  return Float32Array.from({ length: count }, () => 2 * random.uniform() - 1);
}

/**
 * A tensor [batch, H, W, C4 * 4]: NaN beyond the step's images, so that a kernel
 * that reads them shows it; 0 in the lanes beyond C.
 *
 * @param value At the position i in memory, of a channel of a pixel of an image.
 */
export function tensor(
  { height, width, channels }: ImageShape,
  value: (i: number, channel: number, pixel: number, image: number) => number,
  images = STEP_IMAGES,
  batch = BATCH,
): Float32Array {
  const pixels = height * width;
  const stored = 4 * vectors(channels);
  return Float32Array.from({ length: batch * pixels * stored }, (_, i) => {
    const channel = i % stored, pixel = Math.floor(i / stored);
    const image = Math.floor(pixel / pixels);
    if (image >= images) return NaN;
    return channel < channels ? value(i, channel, pixel % pixels, image) : 0;
  });
}

/** A tensor of random values in [-1, 1). */
export function randomTensor(image: ImageShape, label: number): Float32Array {
  const values = uniform(tensor(image, () => 0).length, label);
  return tensor(image, (i) => values[i]);
}

/** Rows [rows][C4 * 4] of values by row and channel; 0 in the lanes beyond C. */
export function rowsOf(
  rows: number,
  channels: number,
  value: (row: number, channel: number) => number,
): Float32Array {
  const stored = 4 * vectors(channels);
  return Float32Array.from({ length: rows * stored }, (_, i) => {
    const channel = i % stored;
    return channel < channels ? value(Math.floor(i / stored), channel) : 0;
  });
}

/** Random rows [rows][C4 * 4] in [-1, 1). */
export function randomRows(rows: number, channels: number, label: number): Float32Array {
  const values = uniform(rows * channels, label);
  return rowsOf(rows, channels, (row, channel) => values[row * channels + channel]);
}

/** Nothing to see but NaN: what a kernel must overwrite, or leave. */
export function unwritten(length: number): Float32Array {
  return new Float32Array(length).fill(NaN);
}

/** What a binding is to hold after a kernel. */
export type Expected = Float32Array | "unchanged" | "unchecked";

/**
 * Runs a kernel twice: the same bits, and every array as expected.
 *
 * @returns The arrays after the kernel.
 */
export async function checkKernel(
  kernel: Kernel,
  bindings: readonly (readonly [before: Float32Array | Uint32Array, after: Expected])[],
  tolerance: Tolerance,
  step: Partial<TestStep> = {},
): Promise<Float32Array[]> {
  const arrays = bindings.map(([before]) => before);
  const run = () => runKernel(kernel, { images: STEP_IMAGES, ...step }, arrays);
  const found = await run();
  assertEquals((await run()).map(bits), found.map(bits), `${kernel.label}: another run's bits`);
  bindings.forEach(([before, after], i) => {
    const what = `${kernel.label}: binding ${i + 1}`;
    if (after === "unchecked") return;
    if (after === "unchanged") assertEquals(bits(found[i]), bits(before), what);
    else assertTensorClose(found[i], after, tolerance, what);
  });
  return found;
}

/** Tiles' partial sums, [rows * C4 * 4] each; what lies beyond them must be unwritten. */
export function tilesOf(partials: Float32Array, tiles: number, size: number): Float32Array[] {
  assert(partials.length > tiles * size, "a test of partial sums needs room beyond them");
  assert(partials.subarray(tiles * size).every(Number.isNaN), "a tile beyond the step's images");
  return Array.from({ length: tiles }, (_, p) => partials.subarray(p * size, (p + 1) * size));
}

function bits({ buffer, byteOffset, length }: Float32Array | Uint32Array): string {
  return new Uint32Array(buffer, byteOffset, length).join();
}
