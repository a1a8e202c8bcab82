/** Means and deviations of images that come one after another and are never all in memory. */
import type { ChannelStatistics } from "../normalisation.ts";
import type { RgbImage } from "./rgb_image.ts";

/** What was measured, of pixels in 0..1. */
export interface StreamedStatistics extends ChannelStatistics {
  /** [H, W, 3], the mean image. */
  readonly perPixel: Float32Array;
  /** How many images were measured. */
  readonly images: number;
}

/**
 * Measures images of one size: crops of training photographs, as the network sees them. Sums are
 * exact whole numbers, so the result does not depend on the order; the variance is that of all
 * pixels, divided by their number.
 *
 * @param images Of one size; each is looked at once.
 * @returns The mean image, and each channel's mean and deviation.
 * @throws {RangeError} If there are none, or they have several sizes.
 *
 * @example
 * ```ts
 * import { streamedStatistics } from "./statistics.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const grey = (value: number) => ({ height: 1, width: 1, pixels: new Uint8Array(3).fill(value) });
 * const { mean, std, perPixel } = await streamedStatistics([grey(51), grey(153)]);
 * assertEquals(mean, [0.4, 0.4, 0.4]);
 * assertEquals(std.map((x) => Math.round(x * 10) / 10), [0.2, 0.2, 0.2]);
 * assertEquals(perPixel, new Float32Array(3).fill(0.4));
 * ```
 */
export async function streamedStatistics(
  images: AsyncIterable<RgbImage> | Iterable<RgbImage>,
): Promise<StreamedStatistics> {
  let sums: Float64Array | undefined;
  let [count, size] = [0, ""];
  const squares = new Float64Array(3);
  for await (const { height, width, pixels } of images) {
    sums ??= new Float64Array(pixels.length);
    size ||= `${height} x ${width}`;
    if (size !== `${height} x ${width}`) {
      throw new RangeError(
        `a mean image is one of images of one size, found ${size} and ${height} x ${width}: cut them first`,
      );
    }
    for (let i = 0; i < pixels.length; i++) {
      sums[i] += pixels[i];
      squares[i % 3] += pixels[i] * pixels[i];
    }
    count++;
  }
  if (sums === undefined) throw new RangeError("a mean is one of at least one image, found none");
  const values = count * sums.length / 3;
  const totals = [0, 0, 0];
  sums.forEach((sum, i) => totals[i % 3] += sum);
  const means = totals.map((total) => total / values);
  return {
    mean: means.map((mean) => mean / 255),
    std: means.map((mean, c) => Math.sqrt(squares[c] / values - mean * mean) / 255),
    perPixel: Float32Array.from(sums, (sum) => sum / count / 255),
    images: count,
  };
}
