/**
 * Images in another size, as Pillow's `BILINEAR` makes them: each pixel is a mean with weights that
 * fall in a straight line with the distance, to nothing at one pixel of the smaller of the two
 * sizes, so that what is made smaller is smoothed first ("antialiasing"). The arithmetic is
 * Pillow's too, whole numbers of 22 binary places, rows first, rounded to bytes between the two
 * passes: the same bytes come out.
 *
 * Source: Pillow, `src/libImaging/Resample.c`.
 */
import type { RgbImage } from "./rgb_image.ts";

/** A rectangle of an image, in pixels that need not be whole. */
export interface Box {
  /** Its upper edge. */
  readonly top: number;
  /** Its left edge. */
  readonly left: number;
  /** Its height. */
  readonly height: number;
  /** Its width. */
  readonly width: number;
}

/** Binary places of a weight: a sum of 255 times weights that add up to 1 fits 32 bits. */
const PLACES = 22;

/**
 * A part of an image in another size. What lies outside of the part has no say, as if it were cut
 * out first.
 *
 * @param image [H, W, 3].
 * @param height Of the result, in pixels.
 * @param width Of the result, in pixels.
 * @param box The part; all of the image when undefined.
 * @returns [height, width, 3]; the same bytes as Pillow's where the box has whole pixels.
 *
 * @example
 * ```ts
 * import { resample } from "./resample.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const image = { height: 1, width: 3, pixels: Uint8Array.of(1, 1, 1, 2, 2, 2, 3, 3, 3) };
 * assertEquals(resample(image, 1, 1).pixels, Uint8Array.of(2, 2, 2));
 * ```
 */
export function resample(
  image: RgbImage,
  height: number,
  width: number,
  box: Box = { top: 0, left: 0, height: image.height, width: image.width },
): RgbImage {
  const rows = taps(image.height, height, box.top, box.height);
  const columns = taps(image.width, width, box.left, box.width);
  // Rows that no new pixel is made of are never touched.
  const first = rows.first[0];
  const end = rows.first[height - 1] + rows.count[height - 1];
  const narrow = columns.isIdentity && width === image.width
    ? image.pixels.subarray(first * width * 3, end * width * 3)
    : alongRows(image, first, end, columns);
  const pixels = rows.isIdentity && first === 0 && end === height
    ? narrow.slice()
    : alongColumns(narrow, width * 3, rows, first);
  return { height, width, pixels };
}

/**
 * The largest rectangle of a shape in an image's middle, in another size.
 *
 * As {@linkcode resample} does it. An image that has the size already stays as it is.
 *
 * @param image Of any size.
 * @param height H of the result, in pixels.
 * @param width W of the result, in pixels.
 * @returns The image, [H, W, 3].
 *
 * @example
 * ```ts
 * import { fitImage } from "./resample.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const image = { height: 1, width: 3, pixels: Uint8Array.of(1, 1, 1, 2, 2, 2, 3, 3, 3) };
 * assertEquals(fitImage(image, 1, 1).pixels, Uint8Array.of(2, 2, 2));
 * ```
 */
export function fitImage(image: RgbImage, height: number, width: number): RgbImage {
  const scale = Math.min(image.height / height, image.width / width);
  const box = { height: height * scale, width: width * scale };
  const [top, left] = [(image.height - box.height) / 2, (image.width - box.width) / 2];
  return resample(image, height, width, { ...box, top, left });
}

/** For each new pixel along an axis: which old ones it is made of and by what weights. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** [pixels, most]: whole numbers of {@linkcode PLACES} binary places. */
  readonly weights: Int32Array;
  readonly most: number;
  /** Whether each new pixel is the old one of its place. */
  readonly isIdentity: boolean;
}

function taps(extent: number, size: number, start: number, length: number): Taps {
  const scale = length / size;
  const reach = Math.max(1, scale);
  const most = Math.ceil(reach) * 2 + 1;
  const [low, high] = [
    Math.max(0, Math.ceil(start - 0.5)),
    Math.min(extent, Math.floor(start + length + 0.5)),
  ];
  const first = new Int32Array(size);
  const count = new Int32Array(size);
  const weights = new Int32Array(size * most);
  const exact = new Float64Array(most);
  for (let i = 0; i < size; i++) {
    const centre = start + (i + 0.5) * scale;
    const from = Math.max(low, Math.trunc(centre - reach + 0.5));
    const to = Math.min(high, Math.trunc(centre + reach + 0.5));
    let sum = 0;
    for (let j = from; j < to; j++) {
      sum += exact[j - from] = Math.max(0, 1 - Math.abs((j - centre + 0.5) * (1 / reach)));
    }
    first[i] = Math.min(from, extent - 1);
    count[i] = Math.max(1, to - from);
    for (let j = 0; j < count[i]; j++) {
      const weight = sum > 0 ? exact[j] / sum : 1;
      weights[i * most + j] = Math.trunc(0.5 + weight * 2 ** PLACES);
    }
  }
  const isIdentity = start === 0 && length === size && size === extent;
  return { first, count, weights, most, isIdentity };
}

/** Rows `from` to `to` in their new width: [to - from, W, 3]. */
function alongRows({ width, pixels }: RgbImage, from: number, to: number, taps: Taps): Uint8Array {
  const { first, count, weights, most } = taps;
  const columns = first.length;
  const narrow = new Uint8Array((to - from) * columns * 3);
  for (let y = from, at = 0; y < to; y++) {
    for (let x = 0; x < columns; x++) {
      let red = 1 << (PLACES - 1), green = red, blue = red;
      let source = (y * width + first[x]) * 3;
      const end = x * most + count[x];
      for (let tap = x * most; tap < end; tap++, source += 3) {
        const weight = weights[tap];
        red += Math.imul(pixels[source], weight);
        green += Math.imul(pixels[source + 1], weight);
        blue += Math.imul(pixels[source + 2], weight);
      }
      narrow[at++] = byte(red);
      narrow[at++] = byte(green);
      narrow[at++] = byte(blue);
    }
  }
  return narrow;
}

/** The same down the columns of rows of `stride` bytes, of which the first is row `start`. */
function alongColumns(rows: Uint8Array, stride: number, taps: Taps, start: number): Uint8Array {
  const { first, count, weights, most } = taps;
  const pixels = new Uint8Array(first.length * stride);
  const sums = new Int32Array(stride);
  for (let y = 0; y < first.length; y++) {
    sums.fill(1 << (PLACES - 1));
    for (let j = 0; j < count[y]; j++) {
      const weight = weights[y * most + j];
      const source = (first[y] - start + j) * stride;
      for (let i = 0; i < stride; i++) sums[i] += Math.imul(rows[source + i], weight);
    }
    for (let i = 0; i < stride; i++) pixels[y * stride + i] = byte(sums[i]);
  }
  return pixels;
}

/** Weights that were rounded one by one may add up to a hair more than 1. */
function byte(sum: number): number {
  return Math.min(255, sum >> PLACES);
}
