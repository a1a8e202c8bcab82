/** Unpacks chosen members of a zip archive, a wheel for one, to files: each streamed, none held in memory. */
import { EngineError } from "../engine.ts";
import { loadPackage } from "../tfjs/packages/mod.ts";

/** What is used of zip.js, which is fetched by those who unpack a wheel and by nobody else. */
interface ZipLibrary {
  readonly Reader: new (file: Deno.FsFile) => {
    size: number;
    init?(): Promise<void>;
    readUint8Array(index: number, length: number): Promise<Uint8Array>;
  };
  readonly ZipReader: new (
    reader: unknown,
    options: { readonly useWebWorkers: boolean; readonly checkSignature: boolean },
  ) => {
    getEntriesGenerator(): AsyncIterable<{
      readonly directory: boolean;
      readonly filename: string;
      getData(output: WritableStream<Uint8Array>): Promise<unknown>;
    }>;
    close(): Promise<void>;
  };
}

/** Reads an open file at any place. */
const readerOf = ({ Reader }: ZipLibrary, file: Deno.FsFile) =>
  new class extends Reader {
    override async init(): Promise<void> {
      await super.init?.();
      this.size = (await file.stat()).size;
    }

    override async readUint8Array(index: number, length: number): Promise<Uint8Array> {
      await file.seek(index, Deno.SeekMode.Start);
      const bytes = new Uint8Array(Math.min(length, this.size - index));
      for (let at = 0; at < bytes.length;) {
        const count = await file.read(bytes.subarray(at));
        if (count === null) throw new Error(`it ends at byte ${index + at}`);
        at += count;
      }
      return bytes;
    }
  }(file);

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
  const library = await loadPackage<ZipLibrary>("@zip.js/zip.js");
  using file = await Deno.open(archive);
  const zip = new library.ZipReader(readerOf(library, file), {
    useWebWorkers: false,
    checkSignature: true,
  });
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
