/** The one way to read a whole file that somebody else may have put there. */
import { FileError } from "./errors.ts";

const MOST_BYTES = 1024 ** 3;

/**
 * Reads a file that is one: a pipe would never end or begin, a device such as
 * `/dev/zero` fills the memory, a sparse file has terabytes for nothing.
 *
 * @param path Of the file; links are followed.
 * @param mostBytes It may have; 1 GiB when undefined.
 * @returns Its content.
 * @throws {FileError} If it is a pipe, a socket or a device, or has more bytes.
 * @throws {Deno.errors.NotFound} If there is none; the system's other errors as they are.
 */
export async function readWhole(
  path: string,
  mostBytes: number = MOST_BYTES,
): Promise<Uint8Array<ArrayBuffer>> {
  requireReadable(path, await Deno.stat(path), mostBytes);
  return await Deno.readFile(path);
}

/** {@link readWhole} for text in UTF-8, of at most 256 MiB unless said otherwise. */
export async function readWholeText(path: string, mostBytes = MOST_BYTES / 4): Promise<string> {
  return new TextDecoder().decode(await readWhole(path, mostBytes));
}

/** {@link readWholeText}, before anything else is done. */
export function readWholeTextSync(path: string, mostBytes: number = MOST_BYTES / 4): string {
  requireReadable(path, Deno.statSync(path), mostBytes);
  return Deno.readTextFileSync(path);
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
  { isFile, isDirectory, size }: Pick<Deno.FileInfo, "isFile" | "isDirectory" | "size">,
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
