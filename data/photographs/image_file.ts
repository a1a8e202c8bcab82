/** Images from files: which formats are read, by what rules, and what is refused. */
import { quote } from "../../text/mod.ts";
import { JPEG_DECODER, WEBP_DECODER } from "./_decoder_files.ts";
import { type JpegHeader, jpegHeader, webpSize } from "./_image_header.ts";
import { DataError } from "../errors.ts";
import type { RgbImage } from "./rgb_image.ts";

/** Of an image, as it is read and as it is resized: more than any camera's. Each takes 4 bytes. */
export const MOST_PIXELS = 100_000_000;

/** What of a file's image is decided by whoever reads it. */
export interface ReadingRules {
  /**
   * What is done with opacity: `on-white` lays the image on white, as people see it; `dropped`
   * takes the colours as they are stored, as Pillow's `convert("RGB")` and so torchvision does.
   */
  readonly transparency: "on-white" | "dropped";
  /**
   * Whether a JPEG is turned as its camera noted (EXIF orientation): `upright`, or left as it is
   * `stored`, as torchvision leaves it. What PNG and WebP files note is not looked at.
   */
  readonly orientation: "upright" | "stored";
}

/** As torchvision's `ImageFolder` reads files: what its weights were trained and tested on. */
export const AS_TORCHVISION: ReadingRules = { transparency: "dropped", orientation: "stored" };

const AS_SEEN: ReadingRules = { transparency: "on-white", orientation: "stored" };

/**
 * Decodes a JPEG, PNG or WebP file to three channels of a byte each. Grey images get three equal
 * channels; four inks (CMYK) become three colours by Pillow's formula, without a profile; of 16 bits
 * the upper 8 are taken (Pillow takes grey of 16 bits above 255 for white); of an animated PNG the
 * first picture counts. Colour profiles and a single transparent colour are not looked at, and
 * animated WebP files and interlaced PNGs of less than a byte a pixel not read.
 *
 * JPEGs come out as libjpeg-turbo's: the same bytes as Pillow's, but for CMYK (a few steps of
 * brightness). A file that ends early is refused, as Pillow refuses it.
 *
 * @param bytes The whole file.
 * @param name For messages.
 * @param rules What is done with opacity and orientation; on white, as stored, when undefined.
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
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  rules: ReadingRules = AS_SEEN,
): Promise<RgbImage> {
  const format = formatOf(bytes);
  if (!format) throw new DataError(`${quote(name)} can't be read: ${foreign(bytes)}`);
  const { decode } = format;
  try {
    return await decode(bytes, rules);
  } catch (error) {
    const advice = error instanceof SizeError ? "Make it smaller" : "Save it as PNG anew";
    throw new DataError(
      `the image ${quote(name)} can't be decoded: ${(error as Error).message}. ${advice}`,
      { cause: error },
    );
  }
}

/**
 * What speaks against a file before it is decoded: that it is no image of a format that is read,
 * too large, or ends early. Damage within shows when it is decoded alone.
 *
 * @param bytes The whole file.
 * @returns In words, as the end of "it can't be read:"; undefined where nothing does.
 *
 * @example
 * ```ts
 * import { faultOf } from "./image_file.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(faultOf(new Uint8Array()), "it is empty");
 * ```
 */
export function faultOf(bytes: Uint8Array): string | undefined {
  const format = formatOf(bytes);
  if (!format) return bytes.length === 0 ? "it is empty" : foreign(bytes);
  try {
    expectSize(format.sizeOf(bytes));
    return format.isWhole(bytes) ? undefined : `it ends early, after ${bytes.length} bytes`;
  } catch (error) {
    return (error as Error).message;
  }
}

type Size = Pick<RgbImage, "height" | "width">;

interface Format {
  readonly at: number;
  readonly signature: readonly number[];
  readonly sizeOf: (bytes: Uint8Array) => Size;
  readonly isWhole: (bytes: Uint8Array) => boolean;
  readonly decode: (bytes: Uint8Array, rules: ReadingRules) => Promise<RgbImage>;
}

const FORMATS: readonly Format[] = [
  {
    ...{ at: 0, signature: [0x89, 0x50, 0x4e, 0x47] },
    sizeOf: pngSize,
    isWhole: hasEnd,
    decode: decodePng,
  },
  {
    ...{ at: 0, signature: [0xff, 0xd8, 0xff] },
    sizeOf: jpegSize,
    isWhole: (bytes) => jpegHeader(bytes).isWhole,
    decode: decodeJpeg,
  },
  {
    ...{ at: 8, signature: [0x57, 0x45, 0x42, 0x50] },
    sizeOf: webpSize,
    isWhole: (bytes) =>
      bytes.length >= new DataView(bytes.buffer, bytes.byteOffset).getUint32(4, true) + 8,
    decode: decodeWebp,
  },
];

function formatOf(bytes: Uint8Array): Format | undefined {
  return FORMATS.find(({ at, signature }) => signature.every((byte, i) => bytes[at + i] === byte));
}

function lettersAt(bytes: Uint8Array, at: number, count: number): string {
  return new TextDecoder("latin1").decode(bytes.subarray(Math.max(0, at), at + count));
}

/** The size of a PNG file: its first part has it, at a fixed place. */
function pngSize(bytes: Uint8Array): Size {
  if (bytes.length < 29) throw new Error(`it ends early, after ${bytes.length} bytes`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const depth = bytes[24], isInterlaced = bytes[28] !== 0;
  // The decoder takes each of their pixels for a byte.
  if (depth < 8 && isInterlaced) {
    throw new Error(`it is an interlaced PNG of ${depth} bits a pixel, which is not read`);
  }
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

/**
 * A JPEG file's header, of no more pixels than its bytes can say. Each block of 8x8 takes a bit at
 * least, which is a byte for 512 pixels, and twice as many where no part has all of them (4x1 beside
 * 1x4). Decoders make up what is missing, whatever it costs.
 */
function jpegSize(bytes: Uint8Array): JpegHeader {
  const header = jpegHeader(bytes);
  const { width, height } = header;
  if (width * height <= 2 * 512 * bytes.length) return header;
  throw new Error(`it has ${bytes.length} bytes, too few for ${width} x ${height} pixels`);
}

/** Whether the last part of a PNG file is there, with something behind it. */
function hasEnd(bytes: Uint8Array): boolean {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 8; at + 12 <= bytes.length; at += 12 + view.getUint32(at)) {
    if (lettersAt(bytes, at + 4, 4) === "IEND") return true;
  }
  return false;
}

/** What a file is that has no format which is read. */
function foreign(bytes: Uint8Array): string {
  const format = OTHER_FORMATS.find(({ at, letters }) =>
    lettersAt(bytes, at, letters.length) === letters
  );
  const found = bytes.length === 0
    ? "it is empty. Get it again"
    : format === undefined && lettersAt(bytes, 0, 1) === "<"
    ? "it is text, as of a web page in the place of an image that is gone. Get it again"
    : format === undefined
    ? `it begins with the bytes ${bytes.subarray(0, 4).toHex()}. Save it as PNG`
    : `it is ${format.name}. Make a PNG of it: magick FILE image.png, or in Python ` +
      `Image.open("FILE").save("image.png") with Pillow`;
  return `JPEG, PNG and WebP can, and ${found}`;
}

/** What people have besides, by letters at a fixed place. */
const OTHER_FORMATS: readonly {
  readonly name: string;
  readonly at: number;
  readonly letters: string;
}[] = [
  { name: "AVIF", at: 8, letters: "avif" },
  { name: "HEIC", at: 4, letters: "ftyp" },
  { name: "SVG", at: 0, letters: "<svg" },
  { name: "GIF", at: 0, letters: "GIF8" },
  { name: "BMP", at: 0, letters: "BM" },
  { name: "TIFF", at: 0, letters: "II*\0" },
  { name: "TIFF", at: 0, letters: "MM\0*" },
];

// The decoders are loaded where they are met: most commands read no images.

async function decodePng(bytes: Uint8Array, rules: ReadingRules): Promise<RgbImage> {
  expectSize(pngSize(bytes));
  const { convertIndexedToRgb, decode } = await import("fast-png");
  const image = decode(bytes, { checkCrc: true });
  const { width, height, depth } = image;
  // Colours may have a palette too, for screens that show few: it says nothing of their pixels.
  if (image.palette && image.channels === 1) {
    const data = convertIndexedToRgb(image);
    return flattened(width, height, image.palette[0].length, (i) => data[i], rules);
  }
  const { data, channels } = image;
  if (depth >= 8) {
    // Of 16 bits Pillow takes the upper eight.
    return flattened(width, height, channels, (i) => data[i] >> (depth - 8), rules);
  }
  if (channels > 1) throw new Error(`it has ${channels} channels of ${depth} bits`);
  // Grey of less than a byte lies packed, each row from a byte of its own.
  const most = 2 ** depth - 1, stride = Math.ceil(width * depth / 8);
  const at = (i: number) => {
    const bit = i % width * depth;
    const byte = data[Math.floor(i / width) * stride + (bit >> 3)];
    return (byte >> (8 - depth - bit % 8) & most) * 255 / most;
  };
  return flattened(width, height, channels, at, rules);
}

async function decodeJpeg(bytes: Uint8Array, rules: ReadingRules): Promise<RgbImage> {
  const header = jpegSize(bytes);
  expectSize(header);
  if (!header.isWhole) throw new Error(`it ends early, after ${bytes.length} bytes`);
  if (header.components === 4) return await decodeInks(bytes, rules);
  return opaque(await inTurn(() => decodeColours(bytes, rules)));
}

// The decoder has one memory and says what is wrong to one ear: one file at a time.

let last: Promise<unknown> = Promise.resolve();

function inTurn<T>(work: () => Promise<T>): Promise<T> {
  const next = last.then(work, work);
  last = next;
  return next;
}

/** What the decoder has to say of the file that it reads. */
const said: string[] = [];
let isReady = false;

async function decodeColours(bytes: Uint8Array, { orientation }: ReadingRules): Promise<ImageData> {
  const { default: decode, init } = await import("@jsquash/jpeg/decode.js");
  // Anew after a file that made it give up, which leaves its memory as it was then.
  if (!isReady) {
    const printErr = (line: string) => said.push(line);
    await init({ ...JPEG_DECODER, printErr } as Parameters<typeof init>[0]);
  }
  isReady = false;
  said.length = 0;
  try {
    const image = await decode(exactly(bytes), { preserveOrientation: orientation === "upright" });
    isReady = true;
    return image;
  } catch (error) {
    throw new Error(said.at(-1) ?? (error as Error).message, { cause: error });
  }
}

/** Four inks, which libjpeg's build leaves as they are. */
async function decodeInks(bytes: Uint8Array, rules: ReadingRules): Promise<RgbImage> {
  if (rules.orientation === "upright") {
    throw new Error("a JPEG of four inks is read as it is stored, not upright");
  }
  const { decode } = await import("jpeg-js");
  return opaque(decode(bytes, {
    ...{ useTArray: true, maxResolutionInMP: MOST_PIXELS / 1e6, maxMemoryUsageInMB: 2048 },
  }));
}

let webpIsReady: Promise<void> | undefined;

async function decodeWebp(bytes: Uint8Array, rules: ReadingRules): Promise<RgbImage> {
  expectSize(webpSize(bytes));
  const { default: decode, init } = await import("@jsquash/webp/decode.js");
  await (webpIsReady ??= init(WEBP_DECODER as Parameters<typeof init>[0]));
  const { width, height, data } = await decode(exactly(bytes));
  return flattened(width, height, 4, (i) => data[i], rules);
}

/** The decoders take a buffer whole. */
function exactly({ buffer, byteOffset, byteLength }: Uint8Array): ArrayBuffer {
  return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
}

/** Four channels without the last. */
function opaque(
  { width, height, data }: {
    readonly width: number;
    readonly height: number;
    readonly data: ArrayLike<number>;
  },
): RgbImage {
  const pixels = new Uint8Array(height * width * 3);
  for (let from = 0, to = 0; to < pixels.length; from += 4, to += 3) {
    pixels[to] = data[from];
    pixels[to + 1] = data[from + 1];
    pixels[to + 2] = data[from + 2];
  }
  return { height, width, pixels };
}

/** Three channels of one, two (grey), three or four; the last of two and four is opacity. */
function flattened(
  width: number,
  height: number,
  channels: number,
  at: (index: number) => number,
  { transparency }: ReadingRules,
): RgbImage {
  const pixels = new Uint8Array(height * width * 3);
  const grey = channels < 3;
  for (let pixel = 0; pixel < height * width; pixel++) {
    const start = pixel * channels;
    const isSeenThrough = channels % 2 === 0 && transparency === "on-white";
    const opacity = isSeenThrough ? at(start + channels - 1) / 255 : 1;
    for (let channel = 0; channel < 3; channel++) {
      const value = at(start + (grey ? 0 : channel));
      pixels[pixel * 3 + channel] = Math.round(255 + (value - 255) * opacity);
    }
  }
  return { height, width, pixels };
}

/** An image that is too large. */
class SizeError extends Error {}

function expectSize({ width, height }: Size): void {
  if (width * height <= MOST_PIXELS) return;
  throw new SizeError(`it has ${width} x ${height} pixels, and at most ${MOST_PIXELS} are read`);
}
