/** The one way to read a whole file that somebody else may have put there. */
import { disk, type FileInfo } from "./disk.ts";
import { FileError } from "./errors.ts";

const MOST_BYTES = 1024 ** 3;
/** A text may have so many unless said otherwise. */
export const MOST_TEXT_BYTES: number = MOST_BYTES / 4;

/**
 * Reads a file that is one: a pipe would never end or begin, a device such as
 * `/dev/zero` fills the memory, a sparse file has terabytes for nothing.
 *
 * @param path Of the file; links are followed.
 * @param mostBytes It may have; 1 GiB when undefined.
 * @returns Its content.
 * @throws {FileError} If it is a pipe, a socket or a device, or has more bytes.
 * @throws {Error} If there is none, as {@linkcode disk} has it; the system's other errors as they are.
 */
export async function readWhole(
  path: string,
  mostBytes: number = MOST_BYTES,
): Promise<Uint8Array<ArrayBuffer>> {
  requireReadable(path, await disk.stat(path), mostBytes);
  return await disk.read(path);
}

/** {@link readWhole} for text in UTF-8, of at most 256 MiB unless said otherwise. */
export async function readWholeText(path: string, mostBytes = MOST_TEXT_BYTES): Promise<string> {
  return new TextDecoder().decode(await readWhole(path, mostBytes));
}

/**
 * Refuses what can't be read to its end.
 *
 * @param path For the message.
 * @param info Of the file.
 * @param mostBytes It may have.
 * @throws {FileError} As {@link readWhole} does. A folder is left to the system to refuse.
 */
export function requireReadable(
  path: string,
  { isFile, isDirectory, size }: FileInfo,
  mostBytes: number = Infinity,
): void {
  if (!isFile && !isDirectory) {
    throw new FileError(
      `can't read ${path}: it must be a file, found a pipe, a socket or a device; ` +
        `give the path of a file`,
    );
  }
  if (size > mostBytes) {
    throw new FileError(
      `can't read ${path}: at most ${mostBytes} bytes are read, found ${size}; ` +
        `it is another file than was asked for`,
    );
  }
}
