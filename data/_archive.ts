/** Reads the files of a `.tar.gz` archive into memory; nothing is unpacked to disk. */
import { createTarDecoder } from "modern-tar";
import { attempt, disk, requireReadable } from "../files/mod.ts";
import { DataError } from "./errors.ts";

/** One file of an archive. */
export interface ArchiveEntry {
  /** Path within the archive. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** A guard against archives made to exhaust the reader; CIFAR's hold about ten entries. */
const MAX_ENTRIES = 100;
/** CIFAR's archives unpack to 186 MB; headers that make no entry count as well. */
const MAX_UNPACKED = 256 * 2 ** 20;

/**
 * The files of an archive, in its order.
 *
 * @param path The archive.
 * @param maxSize Most bytes that an entry may have.
 * @throws {DataError} If the archive can't be read or is damaged, or an entry is a link, leaves
 *   the folder, or is too large.
 */
export async function* archiveEntries(
  path: string,
  maxSize: number,
): AsyncGenerator<ArchiveEntry> {
  requireReadable(path, await attempt("read", path, () => disk.stat(path)));
  const file = await attempt("read", path, () => disk.stream(path));
  const entries = file
    .pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(bounded(path))
    .pipeThrough(createTarDecoder({ strict: true }))
    .getReader();
  try {
    for (let count = 1;; count++) {
      const { done, value } = await intact(path, () => entries.read());
      if (done) return;
      const { header, body } = value;
      const refuse = (rule: string): never => {
        throw new DataError(
          `reading ${path}: entry "${header.name}" ${rule}: this is not the published archive`,
        );
      };
      if (count > MAX_ENTRIES) refuse(`is number ${count}, at most ${MAX_ENTRIES} are read`);
      if (header.type !== "file" && header.type !== "directory") {
        refuse(`is a ${header.type}, only files and folders are read`);
      }
      if (/^([/\\]|[A-Za-z]:)|(^|[/\\])\.\.([/\\]|$)/.test(header.name)) {
        refuse("has a path that leaves the folder");
      }
      if (header.size > maxSize) {
        refuse(`has ${header.size} bytes, at most ${maxSize} are expected`);
      }
      // Read even where nobody asks for it: cancelling a body that modern-tar 0.8.6 has buffered
      // whole takes the next entry's body away, and the reader waits for ever.
      const bytes = await intact(path, () => new Response(body).bytes());
      if (header.type === "file") yield { path: header.name, bytes };
    }
  } finally {
    await entries.cancel().catch(() => {}); // a damaged stream has reported its error above
  }
}

/** Passes as many bytes as any archive here has. */
function bounded(path: string): TransformStream<Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>> {
  let left = MAX_UNPACKED;
  return new TransformStream({
    transform: (chunk, controller) => {
      left -= chunk.length;
      if (left < 0) {
        throw new DataError(
          `reading ${path}: it unpacks to more than ${MAX_UNPACKED} bytes: this is not the published archive`,
        );
      }
      controller.enqueue(chunk);
    },
  });
}

/** Runs a read of the stream; a failure there means a damaged archive. */
async function intact<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(
      `reading ${path}: not a whole .tar.gz archive (${(error as Error).message}): ` +
        `it is truncated or damaged, or another kind of file`,
      { cause: error },
    );
  }
}
