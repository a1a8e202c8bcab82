/** What people do to images before a network: the ways that a sweep tries. */
import {
  type ChannelStatistics,
  datasetNamed,
  IMAGENET,
  measureNormalisation,
  splitImages,
} from "../data/mod.ts";
import { PAPER_DATASET } from "../paper/mod.ts";
import type { ByteImages, Normalisation } from "../engine/mod.ts";
import type { InputTransform } from "../weights/mod.ts";

/** One way to make a network's input of an image. */
export interface Preprocessing {
  /** In words, for example `mean and standard deviation of ImageNet`. */
  readonly name: string;
  /** BGR: the network takes blue first, as libraries do that read images by OpenCV. */
  readonly channels: "RGB" | "BGR";
  /** What happens to the values. */
  readonly normalisation: Normalisation;
  /** Whether it is the paper's: the per-pixel mean is subtracted and nothing else is done. */
  readonly perPixelMean: boolean;
}

/** The paper's split, whose training part the per-pixel mean is measured on. */
const SPLIT = { training: 45_000, validation: 5_000 };

/**
 * The preprocessings that are known from public code, each with the channels in
 * the order of the file and in the opposite order.
 *
 * @param train CIFAR-10's training part, [50,000, 32, 32, 3]; of another number
 *   of images the per-pixel mean is measured on nine tenths and on all.
 * @returns The paper's first.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { loadDataset } from "../data/mod.ts";
 * import { preprocessings } from "./preprocessings.ts";
 *
 * const { train } = await loadDataset("shapes10");
 * const [first, second] = preprocessings(train);
 * assertEquals([first.perPixelMean, first.channels, second.channels], [true, "RGB", "BGR"]);
 * ```
 */
export function preprocessings(train: ByteImages): readonly Preprocessing[] {
  const { count, height, width } = train;
  const size = height * width;
  const split = count === SPLIT.training + SPLIT.validation
    ? SPLIT
    : { training: Math.ceil(0.9 * count), validation: Math.floor(0.1 * count) };
  const all = Uint32Array.from({ length: count }, (_, index) => index);
  const measured = (mean: "per-pixel" | "per-channel", indices: Uint32Array) =>
    measureNormalisation(train, indices, {
      pixelScale: "0..1",
      mean,
      std: "none",
      meanSubtracted: "before-padding",
    }).normalisation;
  const part = measured("per-pixel", splitImages(count, split, 0).training);
  const whole = measured("per-pixel", all);
  const cifar10 = constants(datasetNamed(PAPER_DATASET).channels!, size);
  const imagenet = constants(IMAGENET, size);
  const unit = constants({ mean: [0, 0, 0], std: [1, 1, 1] }, size);
  const grouped = (value: number) => value.toLocaleString("en-US");

  const named: readonly [string, Normalisation][] = [
    [`per-pixel mean of ${grouped(split.training)} images`, part],
    [`per-pixel mean of all ${grouped(count)} images`, whole],
    [`per-pixel mean of all ${grouped(count)} images, 0..255`, bytes(whole)],
    ["channel mean", measured("per-channel", all)],
    ["mean and standard deviation of CIFAR-10", cifar10],
    ["mean and standard deviation of ImageNet", imagenet],
    ["pixels in 0..1", unit],
    ["pixels in -1..1", constants({ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }, size)],
    ["none: pixels in 0..255", bytes(unit)],
    ["mean and standard deviation of CIFAR-10, twice", twice(cifar10)],
    ["mean and standard deviation of ImageNet, twice", twice(imagenet)],
  ];
  return named.flatMap(([name, normalisation]) => {
    const perPixelMean = subtractsAlone(normalisation, whole);
    const way = { name, normalisation, perPixelMean };
    return [{ ...way, channels: "RGB" }, { ...way, channels: "BGR" }] as const;
  });
}

/**
 * The same preprocessings before a model that changes its input itself.
 *
 * @param ways As {@linkcode preprocessings} gives them, the per-pixel mean first.
 * @param transform What the model does; its scale may differ by channel alone.
 * @returns What becomes of the pixels in all, with the channels in the file's
 *   order; the same as given where there is no transform.
 * @throws {RangeError} If the scale differs from pixel to pixel.
 */
export function beforeTransform(
  ways: readonly Preprocessing[],
  transform: InputTransform | undefined,
): readonly Preprocessing[] {
  if (!transform) return ways;
  const { scale, shift } = transform;
  const channels = ways[0].normalisation.std.length;
  if (!scalesByChannel(transform, channels)) {
    throw new RangeError(
      "a model's own preprocessing is tried where its scale is one number a channel, found a scale that differs from pixel to pixel",
    );
  }
  return ways.filter((way) => way.channels === "RGB").map((way) => {
    const { mean, std, ...rest } = way.normalisation;
    // (x - m) / s * a + b = (x - (m - b s / a)) / (s / a)
    const normalisation = {
      ...rest,
      mean: mean.map((value, i) => value - shift[i] * std[i % channels] / scale[i]),
      std: std.map((value, c) => value / scale[c]),
    };
    return {
      ...way,
      name: `${way.name}, then what the model does itself`,
      normalisation,
      perPixelMean: subtractsAlone(normalisation, ways[0].normalisation),
    };
  });
}

/** Whether a model scales each channel by one number, as {@linkcode beforeTransform} needs it. */
export function scalesByChannel({ scale }: InputTransform, channels: number): boolean {
  return scale.every((value, i) => value === scale[i % channels]);
}

/**
 * A share of the pixels' range. CIFAR-10's per-pixel means of 45,000 and of all images differ by
 * 0.0012 at most, per-pixel means and channel means by up to 0.086.
 */
const SAME_MEAN = 0.005;

/** Whether the per-pixel mean is subtracted and the three channels are scaled alike. */
function subtractsAlone({ scale, mean, std }: Normalisation, perPixel: Normalisation): boolean {
  return std.every((value) => Math.abs(value / std[0] - 1) < 1e-6) &&
    mean.every((value, i) =>
      Math.abs(value / scale - perPixel.mean[i] / perPixel.scale) < 255 * SAME_MEAN
    );
}

function constants({ mean, std }: ChannelStatistics, positions: number): Normalisation {
  return {
    scale: 1 / 255,
    mean: Float32Array.from({ length: positions * mean.length }, (_, i) => mean[i % mean.length]),
    std: Float32Array.from(std),
    beforePadding: true,
  };
}

/** The same on pixels in 0..255, so that the result is 255 times as large. */
function bytes(normalisation: Normalisation): Normalisation {
  return { ...normalisation, scale: 1, mean: normalisation.mean.map((value) => 255 * value) };
}

/** ((x - m) / s - m) / s = (x - (m + m s)) / s^2. */
function twice({ mean, std, ...rest }: Normalisation): Normalisation {
  return {
    ...rest,
    mean: mean.map((value, i) => value + value * std[i % std.length]),
    std: std.map((value) => value * value),
  };
}
