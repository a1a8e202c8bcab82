/**
 * Which parts of a photograph a network is shown in a test: the centre, ten crops, or all of it in
 * five sizes.
 *
 * Source: the paper, section 3.4, for ten crops of [21] and the five sizes; torchvision's `Resize`,
 * `CenterCrop` and `TenCrop` for where each edge lies.
 */
import { quote } from "../../text/mod.ts";
import { DataError } from "../errors.ts";
import { MOST_PIXELS } from "./image_file.ts";
import { resample } from "./resample.ts";
import type { RgbImage } from "./rgb_image.ts";

/** The views by name. */
export const VIEWS = ["1-crop", "10-crop", "multi-scale"] as const;

/** A view's name. */
export type ViewName = typeof VIEWS[number];

/** Shorter sides of the fully convolutional test, section 3.4. */
export const SCALES = [224, 256, 384, 480, 640] as const;

/** Shorter side that crops are cut from, and their own. */
const RESIZED = 256, CROPPED = 224;

/**
 * The parts of an image that a view shows, in its order.
 *
 * - `1-crop`: the middle 224 x 224 of the image with a shorter side of 256.
 * - `10-crop`: of the same, the four corners and the middle, and the same five of its mirror image.
 * - `multi-scale`: the whole image with shorter sides of 224, 256, 384, 480 and 640.
 *
 * @param image Of any size.
 * @param view Which.
 * @param sizes Others than the paper's, for small images.
 * @returns Images of bytes, as torchvision cuts them out of Pillow's.
 *
 * @example
 * ```ts
 * import { viewsOf } from "./views.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const image = { height: 300, width: 400, pixels: new Uint8Array(300 * 400 * 3) };
 * assertEquals(viewsOf(image, "10-crop").length, 10);
 * const [first] = viewsOf(image, "multi-scale");
 * assertEquals([first.height, first.width], [224, 298]);
 * ```
 */
export function viewsOf(image: RgbImage, view: ViewName, sizes: ViewSizes = {}): RgbImage[] {
  const { scales = SCALES, resized = RESIZED, cropped = CROPPED } = sizes;
  if (view === "multi-scale") return scales.map((scale) => withShorterSide(image, scale));
  const whole = withShorterSide(image, resized);
  if (view === "1-crop") return [centreCrop(whole, cropped)];
  return [whole, mirrored(whole)].flatMap((side) => {
    const [bottom, right] = [side.height - cropped, side.width - cropped];
    return [
      ...[[0, 0], [0, right], [bottom, 0], [bottom, right]].map(([top, left]) =>
        crop(side, top, left, cropped, cropped)
      ),
      centreCrop(side, cropped),
    ];
  });
}

/** Sizes of the views, in pixels; the paper's when undefined. */
export interface ViewSizes {
  /** Shorter sides of `multi-scale`. */
  readonly scales?: readonly number[];
  /** Shorter side of the image that crops are cut from. */
  readonly resized?: number;
  /** Side of a crop. */
  readonly cropped?: number;
}

/**
 * An image whose shorter side has a size, and whose longer side keeps its share, rounded down.
 *
 * Source: torchvision, `Resize(size)` of an image of Pillow's.
 */
export function withShorterSide(image: RgbImage, size: number): RgbImage {
  const { height, width } = resizedSides(image, size);
  return resample(image, height, width);
}

/** The height and width that {@linkcode withShorterSide} gives an image. */
export function resizedSides(
  { height, width }: Pick<RgbImage, "height" | "width">,
  size: number,
): Pick<RgbImage, "height" | "width"> {
  const long = Math.trunc(size * Math.max(height, width) / Math.min(height, width));
  return width <= height ? { height: long, width: size } : { height: size, width: long };
}

/**
 * Refuses an image so long and thin that it is too large as soon as its shorter side has a size.
 *
 * @param image Its height and width.
 * @param size The largest shorter side that it may be given.
 * @param name For messages.
 * @throws {DataError} If it would have more than {@linkcode MOST_PIXELS}.
 */
export function requireResizable(
  image: Pick<RgbImage, "height" | "width">,
  size: number,
  name: string,
): void {
  const { height, width } = resizedSides(image, size);
  if (height * width <= MOST_PIXELS) return;
  throw new DataError(
    `the image ${
      quote(name)
    } of ${image.height} x ${image.width} pixels has ${height} x ${width} ` +
      `with a shorter side of ${size}, and at most ${MOST_PIXELS} are made. Cut it to a part`,
  );
}

/** The largest shorter side that a view gives an image, in pixels. */
export function largestSide(view: ViewName, sizes: ViewSizes = {}): number {
  const { scales = SCALES, resized = RESIZED } = sizes;
  return view === "multi-scale" ? Math.max(...scales) : resized;
}

/** The middle square of an image. Source: torchvision's `CenterCrop`, whose halves go to even. */
export function centreCrop(image: RgbImage, size: number): RgbImage {
  const half = (room: number) => {
    const down = Math.floor(room / 2);
    return room % 2 === 0 || down % 2 === 0 ? down : down + 1;
  };
  return crop(image, half(image.height - size), half(image.width - size), size, size);
}

/**
 * A part of an image.
 *
 * @throws {RangeError} If it does not lie within the image.
 */
export function crop(
  image: RgbImage,
  top: number,
  left: number,
  height: number,
  width: number,
): RgbImage {
  const fits = top >= 0 && left >= 0 && top + height <= image.height && left + width <= image.width;
  if (!fits) {
    throw new RangeError(
      `a crop of ${height} x ${width} at ${top}, ${left} lies in the image, which has ` +
        `${image.height} x ${image.width}`,
    );
  }
  const pixels = new Uint8Array(height * width * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    pixels.set(image.pixels.subarray(from, from + width * 3), y * width * 3);
  }
  return { height, width, pixels };
}

/** An image mirrored left to right. */
export function mirrored({ height, width, pixels }: RgbImage): RgbImage {
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const [from, to] = [(y * width + x) * 3, ((y + 1) * width - 1 - x) * 3];
      result[to] = pixels[from];
      result[to + 1] = pixels[from + 1];
      result[to + 2] = pixels[from + 2];
    }
  }
  return { height, width, pixels: result };
}
