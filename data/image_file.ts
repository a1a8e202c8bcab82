/**
 * Images from files, as a network takes them: decoded, cut to a square, and made
 * as small as the network's input.
 */
import { quote } from "../text/mod.ts";
import { DataError } from "./errors.ts";

/** One image of three channels. */
export interface RgbImage {
  /** H, in pixels. */
  readonly height: number;
  /** W, in pixels. */
  readonly width: number;
  /** [H, W, 3], 0..255. */
  readonly pixels: Uint8Array;
}

/** More than any camera's; each takes 4 bytes while it is decoded. */
const MOST_PIXELS = 100_000_000;

/**
 * Decodes a PNG or a JPEG file. Grey images get three equal channels; what is
 * transparent lies on white; 16 bits become 8. Neither colour profiles nor the
 * orientation that a camera notes are looked at.
 *
 * @param bytes The whole file.
 * @param name For messages.
 * @returns The image in its own size.
 * @throws {DataError} If it is of another format, damaged, or has more than 100 megapixels.
 *
 * @example
 * ```ts
 * import { decodeImage } from "./image_file.ts";
 * import { assertEquals } from "@std/assert";
 * import { encode } from "fast-png";
 *
 * const file = encode({ width: 1, height: 1, channels: 3, data: Uint8Array.of(1, 2, 3) });
 * assertEquals((await decodeImage(file, "pixel.png")).pixels, Uint8Array.of(1, 2, 3));
 * ```
 */
export async function decodeImage(bytes: Uint8Array, name: string): Promise<RgbImage> {
  const decode = FORMATS.find(({ signature }) => signature.every((byte, i) => bytes[i] === byte))
    ?.decode;
  if (!decode) {
    const format = OTHER_FORMATS.find(({ at, letters }) =>
      new TextDecoder("latin1").decode(bytes.subarray(at, at + letters.length)) === letters
    );
    const found = format === undefined
      ? `it begins with the bytes ${bytes.subarray(0, 4).toHex()}. Save it as PNG`
      : `it is ${format.name}. Make a PNG of it: magick FILE image.png, or in Python ` +
        `Image.open("FILE").save("image.png") with Pillow`;
    throw new DataError(`${quote(name)} can't be read: PNG and JPEG can, and ${found}`);
  }
  try {
    return await decode(bytes);
  } catch (error) {
    throw new DataError(
      `the image ${quote(name)} can't be decoded: ${(error as Error).message}. Save it as PNG anew`,
      { cause: error },
    );
  }
}

const FORMATS: readonly {
  readonly signature: readonly number[];
  readonly decode: (bytes: Uint8Array) => Promise<RgbImage>;
}[] = [
  { signature: [0x89, 0x50, 0x4e, 0x47], decode: decodePng },
  { signature: [0xff, 0xd8, 0xff], decode: decodeJpeg },
];

/** What people have besides, by letters at a fixed place. */
const OTHER_FORMATS: readonly {
  readonly name: string;
  readonly at: number;
  readonly letters: string;
}[] = [
  { name: "WebP", at: 8, letters: "WEBP" },
  { name: "AVIF", at: 8, letters: "avif" },
  { name: "HEIC", at: 4, letters: "ftyp" },
  { name: "GIF", at: 0, letters: "GIF8" },
  { name: "BMP", at: 0, letters: "BM" },
  { name: "TIFF", at: 0, letters: "II*\0" },
  { name: "TIFF", at: 0, letters: "MM\0*" },
];

// The decoders are loaded where they are met: most commands read no images.

async function decodePng(bytes: Uint8Array): Promise<RgbImage> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // Its first part has the size, at a fixed place.
  expectSize(view.getUint32(16), view.getUint32(20));
  const { convertIndexedToRgb, decode } = await import("fast-png");
  const image = decode(bytes, { checkCrc: true });
  const { width, height } = image;
  const { data, channels, depth } = image.palette
    ? { data: convertIndexedToRgb(image), channels: image.palette[0].length, depth: 8 }
    : image;
  const most = 2 ** Math.min(depth, 16) - 1;
  return flattened(width, height, channels, (i) => data[i] * 255 / most);
}

async function decodeJpeg(bytes: Uint8Array): Promise<RgbImage> {
  const { decode } = await import("jpeg-js");
  const { width, height, data } = decode(bytes, {
    ...{ useTArray: true, maxResolutionInMP: MOST_PIXELS / 1e6, maxMemoryUsageInMB: 2048 },
  });
  return flattened(width, height, 4, (i) => data[i]);
}

/** Three channels of one, two (grey), three or four; the last of two and four is opacity. */
function flattened(
  width: number,
  height: number,
  channels: number,
  at: (index: number) => number,
): RgbImage {
  const pixels = new Uint8Array(height * width * 3);
  const grey = channels < 3;
  for (let pixel = 0; pixel < height * width; pixel++) {
    const start = pixel * channels;
    const opacity = channels % 2 === 0 ? at(start + channels - 1) / 255 : 1;
    for (let channel = 0; channel < 3; channel++) {
      const value = at(start + (grey ? 0 : channel));
      pixels[pixel * 3 + channel] = Math.round(255 + (value - 255) * opacity);
    }
  }
  return { height, width, pixels };
}

function expectSize(width: number, height: number): void {
  if (width * height <= MOST_PIXELS) return;
  throw new Error(`it has ${width} x ${height} pixels, and at most ${MOST_PIXELS} are read`);
}

/**
 * The largest rectangle of a shape in an image's middle, in another size.
 *
 * Each pixel is a mean with weights that fall in a straight line with the
 * distance, to nothing at one pixel of the smaller of the two sizes: what
 * Pillow calls `BILINEAR`. An image that has the size already stays as it is.
 *
 * @param image Of any size.
 * @param height H of the result, in pixels.
 * @param width W of the result, in pixels.
 * @returns The image, [H, W, 3].
 *
 * @example
 * ```ts
 * import { fitImage } from "./image_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const image = { height: 1, width: 3, pixels: Uint8Array.of(1, 1, 1, 2, 2, 2, 3, 3, 3) };
 * assertEquals(fitImage(image, 1, 1).pixels, Uint8Array.of(2, 2, 2));
 * ```
 */
export function fitImage(image: RgbImage, height: number, width: number): RgbImage {
  const scale = Math.min(image.height / height, image.width / width);
  const rows = taps(image.height, height, scale);
  const columns = taps(image.width, width, scale);
  const narrow = new Float32Array(image.height * width * 3);
  for (let y = 0; y < image.height; y++) {
    columns.forEach(({ first, weights }, x) => {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let i = 0; i < weights.length; i++) {
          sum += weights[i] * image.pixels[(y * image.width + first + i) * 3 + channel];
        }
        narrow[(y * width + x) * 3 + channel] = sum;
      }
    });
  }
  const pixels = new Uint8Array(height * width * 3);
  rows.forEach(({ first, weights }, y) => {
    for (let i = 0; i < width * 3; i++) {
      let sum = 0;
      for (let j = 0; j < weights.length; j++) {
        sum += weights[j] * narrow[(first + j) * width * 3 + i];
      }
      pixels[y * width * 3 + i] = Math.round(sum);
    }
  });
  return { height, width, pixels };
}

/** For each new pixel along an axis, which old ones it is made of and by what weights. */
function taps(
  extent: number,
  size: number,
  scale: number,
): readonly { readonly first: number; readonly weights: readonly number[] }[] {
  const start = (extent - size * scale) / 2;
  const reach = Math.max(1, scale);
  return Array.from({ length: size }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    // What lies outside of the part that is taken has no say.
    const first = Math.max(Math.ceil(start - 0.5), Math.floor(centre - reach + 0.5), 0);
    const end = Math.min(
      Math.floor(start + size * scale + 0.5),
      Math.floor(centre + reach + 0.5),
      extent,
    );
    const weights = Array.from(
      { length: Math.max(end - first, 1) },
      (_, j) => Math.max(0, 1 - Math.abs((first + j + 0.5 - centre) / reach)),
    );
    const sum = weights.reduce((a, b) => a + b, 0);
    return { first, weights: weights.map((weight) => sum > 0 ? weight / sum : 1) };
  });
}
