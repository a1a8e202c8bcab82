/** Unpacks chosen members of a zip archive, a wheel for one, to files: each streamed, none held in memory. */
import { Reader, ZipReader } from "@zip.js/zip.js";
import { EngineError } from "../engine.ts";

/** Reads an open file at any place. */
class FileReader extends Reader<Deno.FsFile> {
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile) {
    super(file);
    this.#file = file;
  }

  override async init(): Promise<void> {
    await super.init?.();
    this.size = (await this.#file.stat()).size;
  }

  override async readUint8Array(index: number, length: number): Promise<Uint8Array> {
    await this.#file.seek(index, Deno.SeekMode.Start);
    const bytes = new Uint8Array(Math.min(length, this.size - index));
    for (let at = 0; at < bytes.length;) {
      const count = await this.#file.read(bytes.subarray(at));
      if (count === null) throw new Error(`it ends at byte ${index + at}`);
      at += count;
    }
    return bytes;
  }
}

/**
 * Unpacks the members whose path is wanted, below a folder. Their CRC-32 is checked.
 *
 * @returns How many were unpacked.
 * @throws {EngineError} If the archive is damaged, or a path leaves the folder.
 */
export async function unzip(
  archive: string,
  folder: string,
  wanted: (path: string) => boolean,
): Promise<number> {
  using file = await Deno.open(archive);
  const zip = new ZipReader(new FileReader(file), { useWebWorkers: false, checkSignature: true });
  let count = 0;
  try {
    for await (const entry of zip.getEntriesGenerator()) {
      if (entry.directory || !wanted(entry.filename)) continue;
      const path = `${folder}/${entry.filename}`;
      await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      const output = await Deno.create(path);
      await entry.getData(output.writable); // closes the file
      count++;
    }
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "Error") throw error;
    // The library's own errors, which have no class: a damaged directory, an unsafe path, a CRC-32.
    throw new EngineError(
      `unpacking ${archive}: not a whole wheel (${error.message}); delete it, and get it again`,
      { cause: error },
    );
  } finally {
    await zip.close();
  }
  return count;
}
