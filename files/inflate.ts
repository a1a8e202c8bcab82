/** What zip archives and HDF5's chunks are packed with, through node:zlib. */
import { inflateRawSync, inflateSync } from "node:zlib";

export { crc32 } from "node:zlib";

/**
 * Unpacks a stream of DEFLATE.
 *
 * @param bytes The whole stream.
 * @param most Bytes that may come of it.
 * @param wrapped Whether it is in zlib's format, with its header and checksum (RFC 1950).
 * @throws {RangeError} If more come of it.
 * @throws {Error} If it is damaged or cut off.
 */
export function inflate(bytes: Uint8Array, most: number, wrapped = false): Uint8Array {
  // zlib takes no limit of 0.
  const maxOutputLength = Math.max(1, most);
  let unpacked: Uint8Array;
  try {
    unpacked = (wrapped ? inflateSync : inflateRawSync)(bytes, { maxOutputLength });
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code === "ERR_BUFFER_TOO_LARGE") throw moreThan(most, error);
    throw new Error("it is damaged or cut off", { cause: error });
  }
  if (unpacked.length > most) throw moreThan(most);
  return unpacked;
}

function moreThan(most: number, cause?: unknown): RangeError {
  return new RangeError(`more than ${most} bytes come of it`, { cause });
}
