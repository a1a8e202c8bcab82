/**
 * CIFAR-10 and CIFAR-100 in their binary versions: from a folder, from the
 * `.tar.gz` archive, or downloaded and kept. Every file is verified against the
 * published one's SHA-256 before a pixel of it is used.
 *
 * The format: records of one label byte (CIFAR-100: a coarse and a fine one)
 * and 3072 bytes of pixels, planar: 1024 of red, of green, of blue, row by row.
 *
 * Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images",
 * 2009; https://www.cs.toronto.edu/~kriz/cifar.html.
 */
import type { ByteImages } from "../engine/mod.ts";
import { archiveEntries } from "./_archive.ts";
import { attempt, cacheFolder, disk, download, FileError, sha256 } from "../files/mod.ts";
import type { DatasetDefinition, LoadedImages, LoadOptions } from "./definition.ts";
import { DataError } from "./errors.ts";

/** One file of a CIFAR set. */
export interface CifarFile {
  /** Name within the set's folder. */
  readonly name: string;
  /** Records that it holds. */
  readonly images: number;
  /** SHA-256 of the published file, lower-case hexadecimal. */
  readonly sha256: string;
}

/** How a CIFAR set is stored. */
export interface CifarFormat {
  /** As people write it. */
  readonly title: string;
  /** The folder in the archive, which is also looked for in a folder given by the user. */
  readonly folder: string;
  /** Where the archive is published, and how it is known to be whole. */
  readonly archive: { readonly url: string; readonly bytes: number; readonly sha256: string };
  /** Label bytes before the pixels; the last of them is used. */
  readonly labelBytes: number;
  /** Files of the training part, in order. */
  readonly train: readonly CifarFile[];
  /** Files of the test part, in order. */
  readonly test: readonly CifarFile[];
  /** In label order. */
  readonly classNames: readonly string[];
}

/** Where CIFAR comes from. */
export interface CifarOptions extends LoadOptions {
  /** In place of the global `fetch`. */
  readonly fetch?: typeof fetch;
  /** In place of the published address, for a mirror of the same archive. */
  readonly url?: string;
  /** Milliseconds without a byte after which the server counts as gone; 60,000 when undefined. */
  readonly stallTimeout?: number;
}

const HEIGHT = 32, WIDTH = 32, CHANNELS = 3;
const PLANE = HEIGHT * WIDTH;
const IMAGE_BYTES = PLANE * CHANNELS;

/**
 * The registry's entry for a set in CIFAR's binary version.
 *
 * @param format How the set is stored.
 * @param rest What the files do not tell.
 */
export function cifarSet(
  format: CifarFormat,
  rest: Pick<DatasetDefinition, "split" | "channels">,
): DatasetDefinition {
  const imagesOf = (files: readonly CifarFile[]) =>
    files.reduce((sum, { images }) => sum + images, 0);
  return {
    ...rest,
    title: format.title,
    classNames: format.classNames,
    trainingImages: imagesOf(format.train),
    testImages: imagesOf(format.test),
    hashes: Object.fromEntries(
      [...format.train, ...format.test].map(({ name, sha256 }) => [name, sha256]),
    ),
    load: (options) => loadCifar(format, options),
  };
}

/**
 * Reads a CIFAR set.
 *
 * @param format How the set is stored.
 * @param options Where from.
 * @returns Both parts, interleaved ([N, 32, 32, 3]), each in one buffer.
 * @throws {DataError} If a file is missing, truncated, too long, altered, or may not be read; if a
 *   label is out of range; if an archive is damaged or holds what it should not; if the download
 *   fails.
 */
export async function loadCifar(
  format: CifarFormat,
  options: CifarOptions = {},
): Promise<LoadedImages> {
  const { path } = options;
  if (path === undefined) return await loadCached(format, options);
  const info = await attempt("read", path, () => disk.stat(path));
  return await (info.isDirectory ? loadFolder(format, path) : loadArchive(format, path));
}

async function loadCached(format: CifarFormat, options: CifarOptions): Promise<LoadedImages> {
  const { archive } = format;
  const folder = options.cache ?? cacheFolder();
  const path = `${folder}/${archive.url.slice(archive.url.lastIndexOf("/") + 1)}`;
  if (!await exists(path)) {
    try {
      await download({ ...archive, ...options, url: options.url ?? archive.url, path });
    } catch (error) {
      if (!(error instanceof FileError)) throw error;
      throw new DataError(`${error.message}\n${waysOn(format)}`, { cause: error });
    }
  }
  try {
    return await loadArchive(format, path);
  } catch (error) {
    if (!(error instanceof FileError)) throw error;
    throw new DataError(`${error.message}\nDelete ${path} to download it again.`, { cause: error });
  }
}

function waysOn({ title, folder, archive }: CifarFormat): string {
  return `${title} can also be had without this download:
  --data FOLDER           a folder with the files of ${folder}
  --data ARCHIVE.tar.gz   the archive, fetched by other means from ${archive.url}
  deno task demo          trains on built-in images, which need no download`;
}

async function exists(path: string): Promise<boolean> {
  try {
    await attempt("read", path, () => disk.stat(path));
    return true;
  } catch (error) {
    if (error instanceof FileError && disk.isMissing(error.cause)) return false;
    throw error;
  }
}

async function loadFolder(format: CifarFormat, path: string): Promise<LoadedImages> {
  const files = [...format.train, ...format.test];
  const holdsFiles = async (folder: string) => {
    for (const { name } of files) if (await exists(`${folder}/${name}`)) return true;
    return false;
  };
  const nested = `${path}/${format.folder}`;
  const folder = await holdsFiles(path) ? path : await holdsFiles(nested) ? nested : undefined;
  if (folder === undefined) {
    throw new DataError(
      `no ${format.title} in ${path}: its binary version has the files ` +
        `${files.map(({ name }) => name).join(", ")}, looked for there and in ${nested}`,
    );
  }
  const reader = new Reader(format);
  for (const file of files) {
    const source = `${folder}/${file.name}`;
    const { size } = await attempt("read", source, () => disk.stat(source));
    reader.checkSize(file, size, source);
    reader.take(file, await attempt("read", source, () => disk.read(source)), source);
  }
  return reader.finish(folder);
}

async function loadArchive(format: CifarFormat, path: string): Promise<LoadedImages> {
  const reader = new Reader(format);
  const files = new Map([...format.train, ...format.test].map((file) => [file.name, file]));
  const largest = Math.max(...[...files.values()].map((file) => reader.bytesOf(file)));
  // An entry may be one byte too long, so that the reader says which file it is.
  for await (const entry of archiveEntries(path, largest + 1)) {
    const file = files.get(entry.path.slice(entry.path.lastIndexOf("/") + 1));
    if (file === undefined) continue;
    reader.take(file, entry.bytes, `${path}: ${entry.path}`);
  }
  return reader.finish(path);
}

/** Gathers verified files, in any order, into the two parts. */
class Reader {
  readonly #format: CifarFormat;
  readonly #train: ByteImages;
  readonly #test: ByteImages;
  readonly #hashes = new Map<string, string>();

  constructor(format: CifarFormat) {
    this.#format = format;
    this.#train = this.#empty(format.train);
    this.#test = this.#empty(format.test);
  }

  #empty(files: readonly CifarFile[]): ByteImages {
    const count = files.reduce((sum, file) => sum + file.images, 0);
    return {
      count,
      height: HEIGHT,
      width: WIDTH,
      channels: CHANNELS,
      pixels: new Uint8Array(count * IMAGE_BYTES),
      labels: new Uint8Array(count),
      classes: this.#format.classNames.length,
    };
  }

  bytesOf(file: CifarFile): number {
    return file.images * (this.#format.labelBytes + IMAGE_BYTES);
  }

  /** `source` is how errors name the file. */
  checkSize(file: CifarFile, size: number, source: string): void {
    const expected = this.bytesOf(file);
    if (size !== expected) {
      throw new DataError(
        `reading ${source}: ${file.images} images of ${this.#format.title} take ${expected} bytes, ` +
          `found ${size}: the file is ${
            size < expected ? "truncated" : "too long"
          }; get it again ` +
          `from ${this.#format.archive.url}`,
      );
    }
  }

  take(file: CifarFile, bytes: Uint8Array, source: string): void {
    const { archive, labelBytes, train, test, classNames } = this.#format;
    this.checkSize(file, bytes.length, source);
    if (this.#hashes.has(file.name)) {
      throw new DataError(`reading ${source}: ${file.name} is there twice, one was expected`);
    }
    const found = sha256(bytes);
    if (found !== file.sha256) {
      throw new DataError(
        `reading ${source}: the published file's SHA-256 is ${file.sha256}, found ${found}: ` +
          `the file was altered or damaged; get it again from ${archive.url}`,
      );
    }
    this.#hashes.set(file.name, found);

    const isTraining = train.includes(file);
    const { pixels, labels } = isTraining ? this.#train : this.#test;
    const files = isTraining ? train : test;
    let image = files.slice(0, files.indexOf(file)).reduce((sum, { images }) => sum + images, 0);
    let to = image * IMAGE_BYTES;
    for (let at = 0; at < bytes.length; at += IMAGE_BYTES) {
      at += labelBytes;
      const label = bytes[at - 1];
      if (label >= classNames.length) {
        throw new DataError(
          `reading ${source}: a label must be below ${classNames.length}, found ${label} at byte ` +
            `${at - 1}: this is not ${this.#format.title}, or it is damaged`,
        );
      }
      labels[image++] = label;
      for (let red = at; red < at + PLANE; red++) {
        pixels[to++] = bytes[red];
        pixels[to++] = bytes[red + PLANE];
        pixels[to++] = bytes[red + 2 * PLANE];
      }
    }
  }

  finish(source: string): LoadedImages {
    const expected = [...this.#format.train, ...this.#format.test].map(({ name }) => name);
    const missing = expected.filter((name) => !this.#hashes.has(name));
    if (missing.length > 0) {
      throw new DataError(
        `reading ${source}: ${this.#format.title} has the files ${expected.join(", ")}; ` +
          `missing: ${missing.join(", ")}`,
      );
    }
    return {
      train: this.#train,
      test: this.#test,
      hashes: Object.fromEntries(expected.map((name) => [name, this.#hashes.get(name)!])),
    };
  }
}
