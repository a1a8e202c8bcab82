/** What the first bytes of an image file say, read before a decoder is given the rest. */

/** Of a JPEG file. */
export interface JpegHeader {
  /** W, in pixels. */
  readonly width: number;
  /** H, in pixels. */
  readonly height: number;
  /** 1 grey, 3 colours, 4 inks. */
  readonly components: number;
  /** Whether its end is marked: decoders fill what is missing with grey, and only warn. */
  readonly isWhole: boolean;
}

// Markers of T.81, table B.1: start of frame 0 to 15, but for three that share their range.
const FIRST_FRAME = 0xc0, LAST_FRAME = 0xcf;
const NO_FRAMES = [0xc4, 0xc8, 0xcc];
const END = 0xd9, START_OF_SCAN = 0xda, FIRST_RESTART = 0xd0, LAST_RESTART = 0xd7;

/**
 * Walks the segments of a JPEG file to its end.
 *
 * @param bytes The whole file.
 * @throws {Error} If no segment states a size.
 *
 * Source: ITU-T T.81, annex B.
 */
export function jpegHeader(bytes: Uint8Array): JpegHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let frame: Omit<JpegHeader, "isWhole"> | undefined;
  let isWhole = false;
  for (let at = 2; at < bytes.length;) {
    // Between segments, and within a scan's data, a marker begins with the next 0xff.
    at = bytes.indexOf(0xff, at);
    if (at < 0 || at + 1 >= bytes.length) break;
    const marker = bytes[at + 1];
    if (marker === END) {
      isWhole = true;
      break;
    }
    const hasLength = marker !== 0 && marker !== 0xff && marker !== 1 &&
      !(marker >= FIRST_RESTART && marker <= LAST_RESTART);
    if (!hasLength) {
      at += marker === 0xff ? 1 : 2;
      continue;
    }
    if (at + 4 > bytes.length) break;
    const length = view.getUint16(at + 2);
    const isFrame = marker >= FIRST_FRAME && marker <= LAST_FRAME && !NO_FRAMES.includes(marker);
    if (isFrame && at + 10 <= bytes.length) {
      frame ??= {
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: bytes[at + 9],
      };
    }
    if (marker === START_OF_SCAN && frame === undefined) break;
    at += 2 + Math.max(2, length);
  }
  if (frame === undefined) throw new Error("it ends, or is damaged, before it states its size");
  return { ...frame, isWhole };
}

/** The flag of RFC 9649, section 2.7. */
const ANIMATED = 0x02;

/**
 * The size that a WebP file states.
 *
 * @param bytes The whole file, or its first 30 bytes.
 * @throws {Error} If it has none of the format's three first chunks, or is an animation.
 *
 * Source: RFC 9649, section 2.
 */
export function webpSize(bytes: Uint8Array): { readonly width: number; readonly height: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunk = new TextDecoder("latin1").decode(bytes.subarray(12, 16));
  if (bytes.length < 30) throw new Error(`it ends after ${bytes.length} bytes`);
  if (chunk === "VP8 ") {
    return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  }
  if (chunk === "VP8L") {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 };
  }
  if (chunk === "VP8X") {
    // The decoder refuses it, and says no more than that.
    if (bytes[20] & ANIMATED) throw new Error("it is an animated WebP, which is not read");
    const triple = (at: number) => view.getUint16(at, true) + (bytes[at + 2] << 16);
    return { width: triple(24) + 1, height: triple(27) + 1 };
  }
  throw new Error(`its first chunk is ${JSON.stringify(chunk)}, which is none of WebP`);
}
