/** For `inflate.ts` in a browser, whose own decompression makes everybody wait. */
import { type FlateStreamHandler, Inflate, inflateSync, Unzlib, unzlibSync } from "fflate";

/** Bytes that are unpacked at a time: at most a thousand times as many come of them. */
const PIECE = 16 * 1024;

/** As that of `inflate.ts`. */
export function inflate(bytes: Uint8Array, most: number, wrapped = false): Uint8Array {
  const limit = new RangeError(`more than ${most} bytes come of it`);
  let whole: Uint8Array;
  try {
    // Nothing at all is read as nothing.
    if (bytes.length === 0) throw new Error("unexpected EOF");
    // Twice: in pieces it stops at the limit and does not see that the end is missing, as a whole
    // the other way round.
    let length = 0;
    const count: FlateStreamHandler = (piece) => {
      length += piece.length;
      if (length > most) throw limit;
    };
    const stream = wrapped ? new Unzlib(count) : new Inflate(count);
    for (let at = 0; at === 0 || at < bytes.length; at += PIECE) {
      stream.push(bytes.slice(at, at + PIECE), at + PIECE >= bytes.length);
    }
    whole = (wrapped ? unzlibSync : inflateSync)(bytes, { out: new Uint8Array(length) });
  } catch (error) {
    if (error === limit) throw error;
    throw new Error("it is damaged or cut off", { cause: error });
  }
  // fflate passes over the checksum.
  if (wrapped && adler32(whole) !== new DataView(bytes.slice(-4).buffer).getUint32(0)) {
    throw new Error("it is damaged or cut off");
  }
  return whole;
}

/** The checksum of RFC 1950, section 8.2. */
function adler32(bytes: Uint8Array): number {
  let a = 1, b = 0;
  for (let at = 0; at < bytes.length;) {
    // So many sums stay below 2^32.
    for (const end = Math.min(at + 3800, bytes.length); at < end; at++) b += a += bytes[at];
    a %= 65521;
    b %= 65521;
  }
  return (b * 65536 + a) >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit++) byte = byte & 1 ? 0xedb88320 ^ byte >>> 1 : byte >>> 1;
  return byte >>> 0;
});

/** The checksum of zip archives. */
export function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = TABLE[(crc ^ bytes[i]) & 255] ^ crc >>> 8;
  return ~crc >>> 0;
}
