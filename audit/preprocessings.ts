/**
 * What people do to images before a network: the ways that a sweep tries and
 * that `evaluate --preprocess` takes, in one list.
 */
import {
  type ChannelStatistics,
  DATASET_NAMES,
  datasetNamed,
  IMAGENET,
  type MeasuredNormalisation,
  measureNormalisation,
  splitImages,
} from "../data/mod.ts";
import type { ByteImages, Normalisation } from "../engine/mod.ts";
import { sha256OfWords } from "../files/mod.ts";
import { PAPER_DATASET } from "../paper/mod.ts";
import { number } from "../text/mod.ts";
import type { InputTransform } from "../weights/mod.ts";

/** How the stored bytes are laid out before anything else is done to them. */
export type Arrangement =
  /** As they are: rows of pixels of red, green and blue. */
  | "as stored"
  /** Rows for columns, as arrays of [W, H, C] are. */
  | "rows and columns exchanged"
  /** The file's three planes, read as if they were pixels of three bytes. */
  | "planes read as pixels";

/** One way to make a network's input of an image. */
export interface Preprocessing {
  /** As `--preprocess` takes it. */
  readonly id: string;
  /** In words, for example `mean and standard deviation of ImageNet`. */
  readonly name: string;
  /** BGR: the network takes blue first, as libraries do that read images by OpenCV. */
  readonly channels: "RGB" | "BGR";
  /** What happens to the values. */
  readonly normalisation: Normalisation;
  /** Whether it is the paper's: the per-pixel mean is subtracted and nothing else is done. */
  readonly perPixelMean: boolean;
  /** Whether each image is standardised by itself before `normalisation`. */
  readonly perImage?: boolean;
  /** `as stored` when undefined. */
  readonly arrangement?: Arrangement;
  /** The id of the way that stands for this one and for all that differ little from it. */
  readonly like: string;
}

/** What is measured on the training images, and the range of the pixels. */
interface Way {
  readonly name: (training: number, all: number) => string;
  readonly normalisation: (measured: Measured) => Normalisation;
  readonly perImage?: boolean;
  readonly arrangement?: Arrangement;
  /** See `Preprocessing.like`; itself when undefined. */
  readonly like?: string;
}

interface Measured {
  readonly positions: number;
  /** Per-pixel mean and channel deviation of the images that are trained on. */
  readonly part: Normalisation;
  /** The same of all images. */
  readonly whole: Normalisation;
}

/** The paper's split, whose training part the per-pixel mean is measured on. */
const SPLIT = { training: 45_000, validation: 5_000 };
/** The deviations that kuangliu/pytorch-cifar divides by, and many after it. */
const KUANGLIU = [0.2023, 0.1994, 0.2010] as const;
const PAPER = datasetNamed(PAPER_DATASET);
const UNIT: ChannelStatistics = { mean: [0, 0, 0], std: [1, 1, 1] };
/** Bytes a standard deviation of an image that was standardised by itself. */
const PER_IMAGE_STEP = 24;

const WAYS: Readonly<Record<string, Way>> = {
  "per-pixel": {
    name: (training) => `per-pixel mean of ${number(training)} images`,
    normalisation: ({ part }) => undivided(part),
    like: "per-pixel-all",
  },
  "per-pixel-all": {
    name: (_, all) => `per-pixel mean of all ${number(all)} images`,
    normalisation: ({ whole }) => undivided(whole),
  },
  "per-pixel-bytes": {
    name: (_, all) => `per-pixel mean of all ${number(all)} images, 0..255`,
    normalisation: ({ whole }) => bytes(undivided(whole)),
  },
  "channel-mean": {
    name: () => "channel mean",
    normalisation: ({ whole }) => undivided(byChannel(whole)),
    like: "per-pixel-all",
  },
  "per-channel": {
    name: () => "channel mean and standard deviation",
    normalisation: ({ part }) => byChannel(part),
    like: "imagenet",
  },
  ...published("imagenet", "ImageNet", IMAGENET),
  ...Object.fromEntries(
    DATASET_NAMES.flatMap((set): [string, Way][] => {
      const { title, channels } = datasetNamed(set);
      return channels ? Object.entries(published(set, title, channels)) : [];
    }),
  ),
  "kuangliu": {
    name: () => `mean of ${PAPER.title} and deviations of ${KUANGLIU.join(", ")}`,
    normalisation: ({ positions }) =>
      constants({ mean: PAPER.channels!.mean, std: [...KUANGLIU] }, positions),
    like: "imagenet",
  },
  "none": {
    name: () => "pixels in 0..1",
    normalisation: ({ positions }) => constants(UNIT, positions),
  },
  "half": {
    name: () => "pixels in -1..1",
    normalisation: ({ positions }) =>
      constants({ mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] }, positions),
  },
  "bytes": {
    name: () => "none: pixels in 0..255",
    normalisation: ({ positions }) => bytes(constants(UNIT, positions)),
  },
  "per-image": {
    name: () => "each image standardised by its own mean and deviation",
    normalisation: ({ positions }) => ({
      scale: 1,
      mean: new Float32Array(positions * 3).fill(128),
      std: new Float32Array(3).fill(PER_IMAGE_STEP),
      beforePadding: true,
    }),
    perImage: true,
  },
  ...rearranged("transposed", "rows and columns exchanged"),
  ...rearranged("planes", "planes read as pixels"),
};

/** Images that are laid out otherwise, with the commonest of what is done to them then. */
function rearranged(id: string, arrangement: Arrangement): Readonly<Record<string, Way>> {
  return {
    [id]: {
      name: () => `pixels in 0..1, ${arrangement}`,
      normalisation: ({ positions }) => constants(UNIT, positions),
      arrangement,
    },
    [`${id}-cifar10`]: {
      name: () => `mean and standard deviation of ${PAPER.title}, ${arrangement}`,
      normalisation: ({ positions }) => constants(PAPER.channels!, positions),
      arrangement,
    },
  };
}

/** The published constants of a data set, taken once or twice. */
function published(
  id: string,
  title: string,
  channels: ChannelStatistics,
): Readonly<Record<string, Way>> {
  const name = `mean and standard deviation of ${title}`;
  return {
    [id]: {
      name: () => name,
      normalisation: ({ positions }) => constants(channels, positions),
      like: "imagenet",
    },
    [`${id}-twice`]: {
      name: () => `${name}, twice`,
      normalisation: ({ positions }) => twice(constants(channels, positions)),
      like: "imagenet-twice",
    },
  };
}

/** The ids of all ways; the paper's first. */
export const PREPROCESSINGS: readonly string[] = Object.keys(WAYS);

/** Those whose numbers are measured on the training images; all others are constants. */
export const MEASURED_PREPROCESSINGS: readonly string[] = PREPROCESSINGS.filter((id) =>
  /^(per-pixel|channel-mean$|per-channel$)/.test(id)
);

/**
 * The preprocessings that are known from public code, each with the channels in
 * the order of the file and, but where pixels are laid out anew, in the opposite order.
 *
 * @param train CIFAR-10's training part, [50,000, 32, 32, 3]; of another number
 *   of images the per-pixel mean is measured on nine tenths and on all.
 * @param training The images that are trained on; by default those of the
 *   paper's split with seed 0.
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
export function preprocessings(
  train: ByteImages,
  training: Uint32Array = trainingImages(train.count),
): readonly Preprocessing[] {
  const { count, height, width } = train;
  const all = Uint32Array.from({ length: count }, (_, index) => index);
  const settings = {
    pixelScale: "0..1",
    meanSubtracted: "before-padding",
    mean: "per-pixel",
    std: everyChannelVaries(train) ? "per-channel" : "none",
  } as const;
  const measured: Measured = {
    positions: height * width,
    part: measureNormalisation(train, training, settings).normalisation,
    whole: measureNormalisation(train, all, settings).normalisation,
  };
  const perPixel = undivided(measured.whole);
  return PREPROCESSINGS.flatMap((id) => {
    const { name, normalisation, perImage, arrangement, like = id } = WAYS[id];
    const values = normalisation(measured);
    const way = {
      ...{ id, name: name(training.length, count), normalisation: values, like },
      perPixelMean: perImage !== true && subtractsAlone(values, perPixel),
      ...(perImage ? { perImage } : {}),
      ...(arrangement ? { arrangement } : {}),
    };
    const asStored: Preprocessing = { ...way, channels: "RGB" };
    // Nobody is known to have done both.
    return arrangement ? [asStored] : [asStored, { ...way, channels: "BGR" }];
  });
}

/** A channel of one value has no deviation to divide by. */
function everyChannelVaries({ pixels, channels }: ByteImages): boolean {
  return Array.from({ length: channels }, (_, channel) => channel).every((channel) => {
    for (let i = channel; i < pixels.length; i += channels) {
      if (pixels[i] !== pixels[channel]) return true;
    }
    return false;
  });
}

function trainingImages(count: number): Uint32Array {
  const split = count === SPLIT.training + SPLIT.validation
    ? SPLIT
    : { training: Math.ceil(0.9 * count), validation: Math.floor(0.1 * count) };
  return splitImages(count, split, 0).training;
}

/**
 * One preprocessing with what it was measured on, as reports say it.
 *
 * @param way As {@linkcode preprocessings} gives it.
 */
export function measuredBy({ name, normalisation }: Preprocessing): MeasuredNormalisation {
  return { normalisation, of: name, sha256: sha256OfWords(normalisation.mean) };
}

/**
 * The images as an engine takes them before a preprocessing's normalisation.
 *
 * @param images As they are stored.
 * @param way Whether they are laid out anew or standardised one by one; then a
 *   standard deviation is 24 bytes, which keeps what the bytes distinguished.
 * @returns The same images where nothing of that is asked for.
 */
export function arrangedImages(
  images: ByteImages,
  { arrangement = "as stored", perImage }: Pick<Preprocessing, "arrangement" | "perImage">,
): ByteImages {
  const { count, height, width, channels } = images;
  const size = height * width * channels;
  let { pixels } = images;
  if (arrangement !== "as stored") {
    const from = arrangement === "planes read as pixels"
      // Byte i of the result is byte i of the planes.
      ? (i: number) => (i % (height * width)) * channels + Math.floor(i / (height * width))
      : (i: number) => {
        const [pixel, channel] = [Math.floor(i / channels), i % channels];
        return ((pixel % height) * width + Math.floor(pixel / height)) * channels + channel;
      };
    const order = Uint32Array.from({ length: size }, (_, i) => from(i));
    const moved = new Uint8Array(pixels.length);
    for (let start = 0; start < pixels.length; start += size) {
      for (let i = 0; i < size; i++) moved[start + i] = pixels[start + order[i]];
    }
    pixels = moved;
  }
  if (perImage) {
    const standardised = new Uint8ClampedArray(pixels.length);
    for (let image = 0; image < count; image++) {
      const part = pixels.subarray(image * size, (image + 1) * size);
      const mean = part.reduce((sum, value) => sum + value, 0) / size;
      const variance = part.reduce((sum, value) => sum + (value - mean) ** 2, 0) / size;
      // TensorFlow's bound for images of one colour, here of bytes.
      const step = PER_IMAGE_STEP / Math.max(Math.sqrt(variance), 255 / Math.sqrt(size));
      part.forEach((value, i) =>
        standardised[image * size + i] = Math.round(128 + (value - mean) * step)
      );
    }
    pixels = new Uint8Array(standardised.buffer);
  }
  return pixels === images.pixels ? images : { ...images, pixels };
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
  const { scale } = transform;
  const channels = ways[0].normalisation.std.length;
  if (!scalesByChannel(transform, channels)) {
    throw new RangeError(
      "a model's own preprocessing is tried where its scale is one number a channel, found a scale that differs from pixel to pixel",
    );
  }
  const perPixel = ways.find(({ id }) => id === "per-pixel-all") ?? ways[0];
  return ways.filter((way) => way.channels === "RGB").map((way) => {
    const normalisation = afterTransform(way.normalisation, transform);
    return {
      ...way,
      name: `${way.name}, then what the model does itself`,
      normalisation,
      perPixelMean: way.perImage !== true && way.arrangement === undefined && scale.length > 0 &&
        subtractsAlone(normalisation, perPixel.normalisation),
    };
  });
}

/** A normalisation and what the model does to its result, in one: x * scale + shift. */
export function afterTransform(
  { mean, std, ...rest }: Normalisation,
  { scale, shift }: InputTransform,
): Normalisation {
  const channels = std.length;
  // (x - m) / s * a + b = (x - (m - b s / a)) / (s / a)
  return {
    ...rest,
    mean: mean.map((value, i) => value - shift[i] * std[i % channels] / scale[i]),
    std: std.map((value, c) => value / scale[c]),
  };
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

/** The same without a division. */
function undivided(normalisation: Normalisation): Normalisation {
  return { ...normalisation, std: normalisation.std.map(() => 1) };
}

/** The mean of each channel in place of each position's. */
function byChannel(normalisation: Normalisation): Normalisation {
  const { mean, std } = normalisation;
  const sums = new Float64Array(std.length);
  mean.forEach((value, i) => sums[i % std.length] += value);
  return {
    ...normalisation,
    mean: mean.map((_, i) => sums[i % std.length] * std.length / mean.length),
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
