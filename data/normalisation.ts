/** What is subtracted from the pixels and what divides them: measured or published. */
import type { ByteImages, Normalisation } from "../engine/mod.ts";
import { sha256OfWords } from "../files/mod.ts";
import { DataError } from "./errors.ts";

/** How pixels become the network's input; the fields of a recipe's `data` of the same names. */
export interface NormalisationSettings {
  /** Range of the pixels before the mean is subtracted. */
  readonly pixelScale: "0..1" | "0..255";
  /** What is subtracted. */
  readonly mean: "per-pixel" | "per-channel" | "published" | "imagenet" | "per-image" | "none";
  /** What divides after the subtraction. */
  readonly std: "none" | "per-channel" | "published" | "imagenet";
  /** Whether the border around a crop is 0 or a black pixel less the mean. */
  readonly meanSubtracted: "before-padding" | "after-crop";
}

/** A normalisation and where it came from. */
export interface MeasuredNormalisation {
  /** As engines take it. */
  readonly normalisation: Normalisation;
  /** SHA-256 of the mean, [H, W, C], as little-endian 32-bit floats. */
  readonly sha256: string;
  /** In words, what the mean and the standard deviation were measured on. */
  readonly of: string;
}

/** A mean and a standard deviation for each of red, green and blue, of pixels in 0..1. */
export interface ChannelStatistics {
  /** [C]. */
  readonly mean: readonly number[];
  /** [C]. */
  readonly std: readonly number[];
}

/** ImageNet's published constants: torchvision's, used with its pretrained models. */
export const IMAGENET: ChannelStatistics = {
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
};

/**
 * Measures what a recipe subtracts and divides by, on the given images alone.
 * Sums are exact whole numbers, so the result does not depend on their order;
 * the variance is that of all pixels, divided by their number.
 *
 * @param images The data set's training part, [N, H, W, C].
 * @param indices The images to measure: those that are trained on, never validation or test.
 * @param settings What is subtracted and what divides.
 * @param published The data set's own constants, for settings that ask for them.
 * @returns The normalisation, the mean's SHA-256, and what both were measured on.
 * @throws {DataError} If a channel to divide by is constant.
 * @throws {RangeError} If no images are given, an index lies outside the set, or the constants asked
 *   for have another number of channels.
 *
 * Source: the paper, section 4.2: "32x32 images, with the per-pixel mean subtracted".
 *
 * @example
 * ```ts
 * import { measureNormalisation } from "./normalisation.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const images = {
 *   count: 2, height: 1, width: 2, channels: 1, classes: 10,
 *   pixels: Uint8Array.of(10, 20, 30, 60), labels: new Uint8Array(2),
 * };
 * const { normalisation, of } = measureNormalisation(images, Uint32Array.of(0, 1), {
 *   pixelScale: "0..255", mean: "per-pixel", std: "none", meanSubtracted: "before-padding",
 * });
 * assertEquals(normalisation.mean, Float32Array.of(20, 40));
 * assertEquals(of, "per-pixel mean of 2 training images");
 * ```
 */
export function measureNormalisation(
  images: ByteImages,
  indices: Uint32Array,
  settings: NormalisationSettings,
  published?: ChannelStatistics,
): MeasuredNormalisation {
  return normalisationOf(images, measure(images, indices), indices.length, settings, published);
}

/** Exact sums over images of bytes. */
export interface PixelSums {
  /** [H, W, C]: of each position. */
  readonly pixels: Float64Array;
  /** The mean of a channel. */
  channelMean(channel: number): number;
  /** The deviation of a channel: exactly 0 where it is constant. */
  channelDeviation(channel: number): number;
}

/**
 * What a recipe subtracts and divides by, out of sums over images.
 *
 * @param shape Of an image.
 * @param sums Over the images.
 * @param count How many they are.
 * @param settings What is subtracted and what divides.
 * @param published The data set's own constants, for settings that ask for them.
 * @throws {DataError | RangeError} As {@linkcode measureNormalisation}.
 */
export function normalisationOf(
  { height, width, channels }: Pick<ByteImages, "height" | "width" | "channels">,
  sums: PixelSums,
  count: number,
  settings: NormalisationSettings,
  published?: ChannelStatistics,
): MeasuredNormalisation {
  const unit = settings.pixelScale === "0..1" ? 255 : 1;
  const constant = (name: "mean" | "std", of: "imagenet" | "published", channel: number) =>
    constantOf(of === "imagenet" ? IMAGENET : published, name, of, channel, channels);

  const mean = new Float32Array(height * width * channels);
  const std = new Float32Array(channels);
  for (let c = 0; c < channels; c++) {
    std[c] = settings.std === "none"
      ? 1
      : settings.std !== "per-channel"
      ? constant("std", settings.std, c) * (255 / unit)
      : sums.channelDeviation(c) / unit;
    if (std[c] === 0) {
      throw new DataError(
        `dividing by the standard deviation needs pixels that vary, ` +
          `channel ${c} is constant in the ${count} images given: choose std "none"`,
      );
    }
  }
  for (let i = 0; i < mean.length; i++) {
    const c = i % channels;
    switch (settings.mean) {
      case "per-pixel":
        mean[i] = sums.pixels[i] / (count * unit);
        break;
      case "per-channel":
        mean[i] = sums.channelMean(c) / unit;
        break;
      case "imagenet":
      case "published":
        mean[i] = constant("mean", settings.mean, c) * (255 / unit);
    }
  }
  return {
    normalisation: {
      scale: 1 / unit,
      mean,
      std,
      beforePadding: settings.meanSubtracted === "before-padding",
      ...(settings.mean === "per-image" ? { perImage: true } : {}),
    },
    sha256: sha256OfWords(mean),
    of: describe(settings, count),
  };
}

/** Exact sums over the images: of each position, and of each channel's squares. */
function measure(images: ByteImages, indices: Uint32Array): PixelSums {
  const { channels } = images;
  const size = images.height * images.width * channels;
  if (indices.length === 0) {
    throw new RangeError("measuring the mean needs at least 1 training image, found 0");
  }
  const outside = indices.find((index) => index >= images.count);
  if (outside !== undefined) {
    throw new RangeError(
      `an image's index must be below ${images.count}, the images in the set, found ${outside}`,
    );
  }
  const pixels = new Float64Array(size);
  for (const index of indices) {
    const image = images.pixels.subarray(index * size, (index + 1) * size);
    for (let i = 0; i < size; i++) pixels[i] += image[i];
  }
  const values = indices.length * images.height * images.width;
  const channelMean = (channel: number) => {
    let sum = 0;
    for (let i = channel; i < size; i += channels) sum += pixels[i];
    return sum / values;
  };
  return {
    pixels,
    channelMean,
    channelDeviation: (channel) => {
      let sum = 0;
      for (const index of indices) {
        const end = (index + 1) * size;
        for (let i = index * size + channel; i < end; i += channels) sum += images.pixels[i] ** 2;
      }
      return Math.sqrt(sum / values - channelMean(channel) ** 2);
    },
  };
}

function constantOf(
  statistics: ChannelStatistics | undefined,
  name: keyof ChannelStatistics,
  of: "imagenet" | "published",
  channel: number,
  channels: number,
): number {
  if (!statistics) {
    throw new RangeError(
      `the data set must have published constants to take its ${name} from, found none: choose "per-channel", which is measured`,
    );
  }
  const values = statistics[name];
  if (channels !== values.length) {
    throw new RangeError(
      `${
        of === "imagenet" ? "ImageNet's" : "the data set's"
      } constants are for ${values.length} channels, the images have ${channels}`,
    );
  }
  return values[channel];
}

function describe({ mean, std }: NormalisationSettings, count: number): string {
  const measured = `of ${count} training images`;
  const parts = [
    mean === "none"
      ? "no mean"
      : mean === "imagenet"
      ? "ImageNet's published channel means"
      : mean === "published"
      ? "the data set's published channel means"
      : mean === "per-image"
      ? "each image's own channel means"
      : `${mean} mean ${measured}`,
  ];
  if (std === "imagenet") parts.push("ImageNet's published standard deviations");
  if (std === "published") parts.push("the data set's published standard deviations");
  if (std === "per-channel") parts.push(`per-channel standard deviation ${measured}`);
  return parts.join("; ");
}
