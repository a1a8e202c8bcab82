/**
 * A batch plan carried out in plain code: the reference for engines, which do
 * the same inside, and the pictures of a report.
 */
import type { BatchPlan, ByteImages, Normalisation } from "../engine/mod.ts";

/**
 * The batch as a person would see it: cropped, mirrored, with black borders.
 *
 * @param images The set that the plan's indices refer to, [N, H, W, C].
 * @param plan Which images, crops and flips.
 * @param cropPadding Zeros around an image before it is cropped.
 * @returns [plan, H, W, C] bytes; the images given stay as they are.
 * @throws {RangeError} If an index, a crop or an array of the plan does not fit.
 *
 * @example A crop one pixel to the right of the image's own place.
 * ```ts
 * import { augmentedPixels } from "./augment.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const images = {
 *   count: 1, height: 1, width: 3, channels: 1, classes: 10,
 *   pixels: Uint8Array.of(1, 2, 3), labels: new Uint8Array(1),
 * };
 * const plan = {
 *   indices: Uint32Array.of(0), cropY: Uint8Array.of(1), cropX: Uint8Array.of(2),
 *   flip: Uint8Array.of(0),
 * };
 * assertEquals(augmentedPixels(images, plan, 1), Uint8Array.of(2, 3, 0));
 * ```
 */
export function augmentedPixels(
  images: ByteImages,
  plan: BatchPlan,
  cropPadding: number,
): Uint8Array {
  const batch = new Uint8Array(plan.indices.length * imageSize(images));
  eachPixel(images, plan, cropPadding, (to, from) => {
    if (from >= 0) batch[to] = images.pixels[from];
  });
  return batch;
}

/**
 * The batch as the network sees it, by the formula of {@linkcode Normalisation}:
 * x = (byte * scale - mean) / std, computed in double precision and rounded once; each image's own
 * channel means are subtracted too where the normalisation says so.
 *
 * Normalised before padding, a pixel takes the mean of its place in the stored
 * image and the border is 0. After the crop, a pixel takes the mean of its place
 * in the network's input (so after the mirror too), and the border is -mean / std.
 *
 * @param images The set that the plan's indices refer to, [N, H, W, C].
 * @param plan Which images, crops and flips.
 * @param normalisation From bytes to the input.
 * @param cropPadding Zeros around an image before it is cropped.
 * @returns [plan, H, W, C].
 * @throws {RangeError} If an index, a crop or an array of the plan or the normalisation does not
 *   fit.
 *
 * @example
 * ```ts
 * import { normalisedBatch } from "./augment.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const images = {
 *   count: 1, height: 1, width: 2, channels: 1, classes: 10,
 *   pixels: Uint8Array.of(10, 20), labels: new Uint8Array(1),
 * };
 * const mirrored = {
 *   indices: Uint32Array.of(0), cropY: Uint8Array.of(0), cropX: Uint8Array.of(0),
 *   flip: Uint8Array.of(1),
 * };
 * const normalisation = {
 *   scale: 1, mean: Float32Array.of(8, 12), std: Float32Array.of(2), beforePadding: true,
 * };
 * assertEquals(normalisedBatch(images, mirrored, normalisation, 0), Float32Array.of(4, 1));
 * ```
 */
export function normalisedBatch(
  images: ByteImages,
  plan: BatchPlan,
  normalisation: Normalisation,
  cropPadding: number,
): Float32Array {
  const { scale, mean, std, beforePadding, perImage } = normalisation;
  const size = imageSize(images);
  const pixelsOfImage = size / images.channels;
  if (mean.length !== size || std.length !== images.channels) {
    throw new RangeError(
      `normalising images of ${size} values and ${images.channels} channels needs as many means ` +
        `and standard deviations, found ${mean.length} and ${std.length}`,
    );
  }
  const batch = new Float32Array(plan.indices.length * size);
  const own = Array.from(plan.indices, (index) => {
    const sums = new Float64Array(images.channels);
    if (!perImage) return sums;
    const image = images.pixels.subarray(index * size, (index + 1) * size);
    image.forEach((byte, i) => sums[i % images.channels] += byte);
    return sums.map((sum) => sum / pixelsOfImage * scale);
  });
  eachPixel(images, plan, cropPadding, (to, from) => {
    if (beforePadding && from < 0) return;
    const byte = from < 0 ? 0 : images.pixels[from];
    const place = (beforePadding ? from : to) % size;
    const c = to % images.channels;
    batch[to] = (byte * scale - mean[place] - own[Math.floor(to / size)][c]) / std[c];
  });
  return batch;
}

function imageSize({ height, width, channels }: ByteImages): number {
  return height * width * channels;
}

/**
 * Visits every byte of the augmented batch: `to` is its offset there, `from` its
 * offset in the set, or -1 in the border.
 */
function eachPixel(
  images: ByteImages,
  plan: BatchPlan,
  padding: number,
  visit: (to: number, from: number) => void,
): void {
  const { height, width, channels } = images;
  check(images, plan, padding);
  for (let j = 0, to = 0; j < plan.indices.length; j++) {
    for (let y = 0; y < height; y++) {
      const row = plan.cropY[j] + y - padding;
      for (let x = 0; x < width; x++) {
        const column = plan.cropX[j] + (plan.flip[j] ? width - 1 - x : x) - padding;
        const inside = row >= 0 && row < height && column >= 0 && column < width;
        const from = ((plan.indices[j] * height + row) * width + column) * channels;
        for (let c = 0; c < channels; c++) visit(to++, inside ? from + c : -1);
      }
    }
  }
}

function check(images: ByteImages, plan: BatchPlan, padding: number): void {
  const count = plan.indices.length;
  for (const name of ["cropY", "cropX", "flip"] as const) {
    if (plan[name].length !== count) {
      throw new RangeError(
        `a batch plan's arrays have one length: indices has ${count}, ${name} ${plan[name].length}`,
      );
    }
  }
  const bounds = { indices: images.count - 1, cropY: 2 * padding, cropX: 2 * padding, flip: 1 };
  for (const [name, most] of Object.entries(bounds)) {
    const outside = plan[name as keyof BatchPlan].find((value) => value > most);
    if (outside !== undefined) {
      throw new RangeError(`a batch plan's ${name} must be at most ${most}, found ${outside}`);
    }
  }
}
