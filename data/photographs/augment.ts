/**
 * What is done to a photograph before a network is trained on it. What is drawn is a pure function
 * of (seed, iteration, place in the batch), so that a run resumes from an iteration's number and
 * every engine sees the same; what is done with it is a pure function of the image and the draw.
 *
 * Source: the paper, section 3.4: "The image is resized with its shorter side randomly sampled in
 * [256, 480] for scale augmentation. A 224x224 crop is randomly sampled from an image or its
 * horizontal flip", and the colour augmentation of Krizhevsky et al. 2012, section 4.1.
 */
import { RandomStream } from "../../random/mod.ts";
import { type Box, resample } from "./resample.ts";
import type { RgbImage } from "./rgb_image.ts";
import { crop, mirrored, resizedSides, withShorterSide } from "./views.ts";

/** How photographs are augmented. */
export interface PhotographAugmentation {
  /**
   * How a crop is drawn: `scale`, the paper's, from the image with a shorter side that is drawn
   * from a range; `random-resized`, torchvision's `RandomResizedCrop`, which is a departure: a part
   * of 8 to 100% of the area and of sides of 3:4 to 4:3, stretched to a square.
   */
  readonly crop: "scale" | "random-resized";
  /** Side of what the network sees, in pixels: 224. */
  readonly size: number;
  /** The smallest and the largest shorter side of `scale`, in pixels; both may be drawn. */
  readonly shorterSide: readonly [least: number, most: number];
  /** Whether every second image, by chance, is mirrored. */
  readonly flip: boolean;
  /** The deviation of Krizhevsky's alphas, 0.1; 0 leaves colours as they are. */
  readonly colour: number;
}

/** Section 3.4. */
export const PAPER_AUGMENTATION: PhotographAugmentation = {
  ...{ crop: "scale", size: 224, shorterSide: [256, 480], flip: true, colour: 0.1 },
};

/** The nearest of torchvision's reference training: what its published weights were trained with. */
export const TORCHVISION_AUGMENTATION: PhotographAugmentation = {
  ...PAPER_AUGMENTATION,
  ...{ crop: "random-resized", colour: 0 },
};

/** What was drawn for one image. */
export interface PhotographDraw {
  /** Its shorter side, and the place of the crop in it; or the part that is stretched. */
  readonly cut:
    | { readonly shorterSide: number; readonly top: number; readonly left: number }
    | { readonly part: Box };
  /** Whether it is mirrored after that. */
  readonly mirrored: boolean;
  /** [3], added to red, green and blue of pixels in 0..1: an engine's `shifts`. */
  readonly shift: readonly [number, number, number];
}

/** The share of the area and the ratio of the sides of torchvision's `RandomResizedCrop`. */
const AREA = [0.08, 1], RATIO = [3 / 4, 4 / 3];
/** Its tries, before it takes the middle. */
const TRIES = 10;

/**
 * Draws what is done to one image of a batch.
 *
 * @param seed The run's, a whole number from 0 to 2^32 - 1.
 * @param iteration From 1.
 * @param place Of the image in its batch, from 0.
 * @param image Its height and width as it is stored.
 * @param augmentation The ranges.
 * @throws {RangeError} If a shorter side is smaller than the crop.
 *
 * @example
 * ```ts
 * import { drawAugmentation, PAPER_AUGMENTATION } from "./augment.ts";
 * import { assert, assertEquals } from "@std/assert";
 *
 * const draw = () => drawAugmentation(0, 7, 3, { height: 300, width: 400 }, PAPER_AUGMENTATION);
 * const { cut } = draw();
 * assert("shorterSide" in cut && cut.shorterSide >= 256 && cut.shorterSide <= 480);
 * assertEquals(draw(), draw());
 * ```
 */
export function drawAugmentation(
  seed: number,
  iteration: number,
  place: number,
  image: Pick<RgbImage, "height" | "width">,
  augmentation: PhotographAugmentation,
): PhotographDraw {
  const { size, shorterSide: [least, most], flip, colour } = augmentation;
  if (augmentation.crop === "scale" && !(size <= least && least <= most)) {
    throw new RangeError(
      `a crop of ${size} x ${size} is drawn from images whose shorter side is drawn from ` +
        `${size} or more to as many or more, found ${least} to ${most}`,
    );
  }
  const random = new RandomStream(seed, "augmentation", iteration, place);
  // Colour first: what a crop needs of the stream depends on the image.
  const alphas = [random.normal(), random.normal(), random.normal()].map((z) => z * colour);
  const isMirrored = random.below(2) === 1 && flip;
  const shift = colourShift(alphas);
  if (augmentation.crop === "random-resized") {
    return { cut: { part: partOf(random, image) }, mirrored: isMirrored, shift };
  }
  const shorterSide = least + random.below(most - least + 1);
  const { height, width } = resizedSides(image, shorterSide);
  const cut = {
    ...{ shorterSide, top: random.below(height - size + 1), left: random.below(width - size + 1) },
  };
  return { cut, mirrored: isMirrored, shift };
}

/**
 * Cuts what was drawn out of an image. Its colours stay bytes; the shift is for the engine.
 *
 * @param image The photograph.
 * @param draw What was drawn for an image of its size.
 * @param size Side of the result, in pixels.
 */
export function augmentPhotograph(
  image: RgbImage,
  { cut, mirrored: isMirrored }: PhotographDraw,
  size: number,
): RgbImage {
  const part = "part" in cut
    ? resample(image, size, size, cut.part)
    : crop(withShorterSide(image, cut.shorterSide), cut.top, cut.left, size, size);
  return isMirrored ? mirrored(part) : part;
}

/** Principal components of ImageNet's colours, of pixels in 0..1: a row each for red, green, blue. */
const COMPONENTS = [
  [-0.5675, 0.7192, 0.4009],
  [-0.5808, -0.0045, -0.8140],
  [-0.5836, -0.6948, 0.4203],
] as const;
const EIGENVALUES = [0.2175, 0.0188, 0.0045] as const;

/**
 * Krizhevsky's colour augmentation: the components, each times its eigenvalue and its alpha.
 *
 * @param alphas Of the three components, the largest first.
 * @returns What is added to red, green and blue of pixels in 0..1.
 *
 * Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
 * Networks" (2012), section 4.1; the numbers as fb.resnet.torch and its like have them.
 */
export function colourShift(alphas: readonly number[]): [number, number, number] {
  const [red, green, blue] = COMPONENTS.map((row) =>
    row.reduce((sum, component, i) => sum + component * EIGENVALUES[i] * alphas[i], 0)
  );
  return [red, green, blue];
}

/** Source: torchvision, `RandomResizedCrop.get_params`; the draws are our own. */
function partOf(
  random: RandomStream,
  { height, width }: Pick<RgbImage, "height" | "width">,
): Box {
  const between = ([low, high]: readonly number[]) => low + (high - low) * random.uniform();
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = height * width * between(AREA);
    const ratio = Math.exp(between(RATIO.map(Math.log)));
    const part = {
      width: Math.round(Math.sqrt(area * ratio)),
      height: Math.round(Math.sqrt(area / ratio)),
    };
    if (part.width < 1 || part.width > width || part.height < 1 || part.height > height) continue;
    return {
      ...part,
      top: random.below(height - part.height + 1),
      left: random.below(width - part.width + 1),
    };
  }
  const [least, most] = RATIO;
  const ratio = width / height;
  const part = ratio < least
    ? { width, height: Math.round(width / least) }
    : ratio > most
    ? { width: Math.round(height * most), height }
    : { width, height };
  return {
    ...part,
    top: Math.floor((height - part.height) / 2),
    left: Math.floor((width - part.width) / 2),
  };
}
