/**
 * ImageNet's own archives unpacked into a folder for each class. The training images come as a tar
 * of a tar for each class (`ILSVRC2012_img_train.tar`), the validation images as one tar without
 * classes (`ILSVRC2012_img_val.tar`), which a list beside it tells.
 *
 * Nothing of an archive is held in memory but the images that are being written. Each is written
 * beside and renamed, so that what has an image's name is whole: a run that was killed is gone on
 * with by the same call, which passes over what is there in full size without reading it.
 *
 * Source of the form: POSIX.1-1988, `ustar`; the archives have nothing of its later extensions.
 */
import { attempt, removeUnfinished, writeWhole } from "../../files/mod.ts";
import { number, quote } from "../../text/mod.ts";
import { DataError } from "../errors.ts";

/** What the published archives hold: ILSVRC 2012. */
export const IMAGENET_COUNTS = {
  training: { classes: 1000, images: 1_281_167 },
  validation: { classes: 1000, images: 50_000 },
} as const;

/** A tar is made of blocks of this size. */
const BLOCK = 512;
/** Images that are written at a time: a disk syncs many as fast as one. */
const AT_ONCE = 16;
/** The largest image of the archives has 15 MB. */
const MOST_BYTES = 64 * 2 ** 20;
/** Words of the system that a folder for a class can't have. */
const CLASS_NAME = /^[A-Za-z0-9][\w-]*$/;
/** An image's name, without any folder. */
const IMAGE_NAME = /^[A-Za-z0-9][\w-]*\.(jpe?g|png|webp)$/i;

/** How archives are unpacked. */
export interface UnpackOptions {
  /** Whether it is only looked at what would be done. */
  readonly dryRun?: boolean;
  /** Called after each image. */
  readonly onProgress?: (images: number) => void;
}

/** What was unpacked. */
export interface Unpacked {
  /** Folders. */
  readonly classes: number;
  /** Images of the archive. */
  readonly images: number;
  /** Of these, those that were there before. */
  readonly wereThere: number;
  /** Bytes of all images. */
  readonly bytes: number;
}

/**
 * Unpacks the training images: `folder/WNID/NAME.JPEG`.
 *
 * @param archive A tar of a tar for each class, `WNID.tar`.
 * @param folder Where the classes' folders go; it is made.
 * @param options Whether it is only looked.
 * @throws {DataError} If the archive is damaged, ends early, or has something that would not lie
 *   in a class's folder; images before that are whole.
 */
export async function unpackTraining(
  archive: string,
  folder: string,
  options: UnpackOptions = {},
): Promise<Unpacked> {
  using tar = await Tar.open(archive);
  await using writer = new Writer(tar, folder, options);
  for await (const { name, start, size } of tar.entries()) {
    const className = /^(.+)\.tar$/.exec(name)?.[1];
    if (!className || !CLASS_NAME.test(className)) {
      throw tar.refused(name, "is no class's archive, NAME.tar");
    }
    await writer.begin(className, true);
    for await (const image of tar.entries(start, start + size, name)) {
      await writer.take(image, className);
    }
  }
  return await writer.end();
}

/**
 * Unpacks the validation images: `folder/WNID/NAME.JPEG`.
 *
 * @param archive A tar of images.
 * @param classOf The class's name of an image, by the image's name; `validationClasses` makes it.
 * @param folder Where the classes' folders go; it is made.
 * @param options Whether it is only looked.
 * @throws {DataError} As `unpackTraining`; and if an image has no class, or the list names others.
 */
export async function unpackValidation(
  archive: string,
  classOf: (names: readonly string[]) => ReadonlyMap<string, string>,
  folder: string,
  options: UnpackOptions = {},
): Promise<Unpacked> {
  using tar = await Tar.open(archive);
  const images = await Array.fromAsync(tar.entries());
  const classes = classOf(images.map(({ name }) => name));
  await using writer = new Writer(tar, folder, options);
  for (const image of images) {
    const className = classes.get(image.name);
    if (className === undefined) throw tar.refused(image.name, "has no class in the list");
    await writer.begin(className, false);
    await writer.take(image, className);
  }
  return await writer.end();
}

/**
 * Reads which class each validation image is of. A list has a line an image, in one of three forms:
 * `NAME WNID`, with a comma or blanks between, a heading or further words allowed; a WNID alone, in
 * the order of the images' names; or an id from 1, in that order too, as the development kit's
 * `ILSVRC2012_validation_ground_truth.txt` has it. Ids count the kit's own order of the classes,
 * which is not that of their WNIDs: `ids` gives it.
 *
 * @param list The list's text.
 * @param source Its name, for messages.
 * @param ids WNIDs in the order of the kit's ids, a line each; what follows a WNID is for people.
 * @returns What gives each image's class by the archive's names.
 * @throws {DataError} If the list is of none of the forms, or does not fit the archive.
 *
 * @example
 * ```ts
 * import { validationClasses } from "./imagenet_archives.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const classes = validationClasses("2\n1\n", "truth.txt", ["n02119789", "n01440764"]);
 * assertEquals(classes(["b.JPEG", "a.JPEG"]).get("a.JPEG"), "n01440764");
 * ```
 */
export function validationClasses(
  list: string,
  source: string,
  ids?: readonly string[],
): (names: readonly string[]) => ReadonlyMap<string, string> {
  const lines = list.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
  const isNumber = (word: string) => /^\d+$/.test(word);
  const refuse = (rule: string): never => {
    throw new DataError(`${quote(source)}: ${rule}`);
  };
  const words = lines.map((line) => line.split(/[\s,]+/));
  const isAlone = words.every(({ length }) => length === 1);
  const inOrder = (classes: readonly string[]) => (names: readonly string[]) => {
    if (names.length !== classes.length) {
      refuse(`it has ${classes.length} lines, and the archive ${names.length} images`);
    }
    return new Map(names.toSorted().map((name, i) => [name, classes[i]]));
  };
  if (lines.length === 0) refuse("it is empty");
  if (isAlone && lines.every(isNumber)) {
    if (!ids) {
      return refuse(
        "it has ids of the development kit, which are not in the order of the WNIDs. Say which " +
          "is which: --classes FILE, the WNIDs in the order of ILSVRC2012_ID in the kit's meta.mat",
      );
    }
    if (ids.length > 1 && ids.every((id, i) => i === 0 || ids[i - 1] < id)) {
      refuse(
        "its ids are the development kit's, and the list of classes is sorted by WNID, which the " +
          "kit's order is not: all labels would be wrong. Take the order of ILSVRC2012_ID in meta.mat",
      );
    }
    return inOrder(
      lines.map((line, i) =>
        ids[Number(line) - 1] ?? refuse(`line ${i + 1}: ids are 1 to ${ids.length}, found ${line}`)
      ),
    );
  }
  if (isAlone) return inOrder(lines.map((line, i) => classNamed(line, `line ${i + 1}`)));
  const stem = (name: string) => name.replace(/\.[A-Za-z]+$/, "");
  const isHeading = !/\d/.test(words[0].join());
  const byStem = new Map<string, string>();
  for (const [i, [name, className]] of words.entries()) {
    if (i === 0 && isHeading) continue;
    if (className === undefined || isNumber(className)) {
      refuse(
        `line ${i + 1}: a line is an image's name and its class's WNID, found ${quote(lines[i])}` +
          (className === undefined
            ? ""
            : "; numbers are counted from 0 by some and from 1 by others"),
      );
    }
    if (byStem.has(stem(name))) refuse(`line ${i + 1}: ${quote(name)} comes twice`);
    byStem.set(stem(name), classNamed(className, `line ${i + 1}`));
  }
  return (names) => {
    const known = new Map<string, string>();
    for (const name of names) {
      const className = byStem.get(stem(name));
      if (className === undefined) return refuse(`${quote(name)} of the archive is not named`);
      known.set(name, className);
    }
    if (byStem.size !== known.size) {
      refuse(`it names ${byStem.size} images, and the archive has ${known.size}`);
    }
    return known;
  };

  function classNamed(name: string, where: string): string {
    if (CLASS_NAME.test(name)) return name;
    return refuse(`${where}: ${quote(name)} is no name for a class's folder`);
  }
}

/** A file within an archive: where its bytes stand. */
interface TarEntry {
  readonly name: string;
  readonly start: number;
  readonly size: number;
}

/** A tar file, read where it is asked. */
class Tar {
  readonly #path: string;
  readonly #file: Deno.FsFile;
  readonly #size: number;

  private constructor(path: string, file: Deno.FsFile, size: number) {
    this.#path = path;
    this.#file = file;
    this.#size = size;
  }

  static async open(path: string): Promise<Tar> {
    const file = await attempt("read", path, () => Deno.open(path));
    const { size, isFile } = await file.stat();
    if (isFile) return new Tar(path, file, size);
    file.close();
    throw new DataError(`${quote(path)} is no file; give the archive as it was downloaded`);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }

  refused(name: string, rule: string): DataError {
    return new DataError(
      `${quote(this.#path)}: ${quote(name)} ${rule}: this is not ImageNet's archive`,
    );
  }

  /** The files of a tar that stands from `start` to `end`, by their headers alone. */
  async *entries(start = 0, end = this.#size, within = ""): AsyncGenerator<TarEntry> {
    for (let at = start;;) {
      const header = at + BLOCK <= end ? await this.read(at, BLOCK) : undefined;
      if (!header) throw this.#damaged(within, "it ends early, without the mark of a tar's end");
      if (header.every((byte) => byte === 0)) return;
      if (!isHeader(header)) throw this.#damaged(within, `byte ${number(at)} begins no entry`);
      const { name, size, type } = fieldsOf(header);
      if (Number.isNaN(size)) throw this.#damaged(within, `${quote(name)} has no size`);
      const next = at + BLOCK + Math.ceil(size / BLOCK) * BLOCK;
      if (type !== "0" && type !== "\0" && type !== "5") {
        throw this.refused(name, type === "1" || type === "2" ? "is a link" : `is of type ${type}`);
      }
      if (/^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)/.test(name)) {
        throw this.refused(name, "leaves the folder");
      }
      if (next > end) throw this.#damaged(within, `it ends early, within ${quote(name)}`);
      if (type !== "5") yield { name: name.replace(/^(\.\/)+/, ""), start: at + BLOCK, size };
      at = next;
    }
  }

  /** Bytes of the archive. */
  async read(start: number, size: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(size);
    await this.#file.seek(start, Deno.SeekMode.Start);
    for (let done = 0; done < size;) {
      const count = await attempt(
        "read",
        this.#path,
        () => this.#file.read(bytes.subarray(done)),
      );
      if (count === null) throw this.#damaged("", "it was cut short while it was read");
      done += count;
    }
    return bytes;
  }

  #damaged(within: string, what: string): DataError {
    const place = within === "" ? quote(this.#path) : `${quote(within)} in ${quote(this.#path)}`;
    return new DataError(
      `${place} is no whole tar: ${what}. Get the archive again; what was unpacked of it is whole`,
    );
  }
}

/** Whether the sum over a header is the one that it states. */
function isHeader(header: Uint8Array): boolean {
  const stated = octal(header, 148, 8);
  // The field of the sum counts as blanks.
  const sum = header.reduce((sum, byte, i) => sum + (i >= 148 && i < 156 ? 32 : byte), 0);
  return stated === sum;
}

function fieldsOf(header: Uint8Array): {
  readonly name: string;
  readonly size: number;
  readonly type: string;
} {
  const prefix = textOf(header, 257, 5) === "ustar" ? textOf(header, 345, 155) : "";
  const name = textOf(header, 0, 100);
  return {
    name: prefix === "" ? name : `${prefix}/${name}`,
    size: sizeOf(header),
    type: String.fromCharCode(header[156]),
  };
}

/** GNU's tar writes sizes from 8 GB as a number in base 256. */
function sizeOf(header: Uint8Array): number {
  if (!(header[124] & 0x80)) return octal(header, 124, 12);
  return header.subarray(125, 136).reduce((size, byte) => size * 256 + byte, 0);
}

function textOf(header: Uint8Array, at: number, length: number): string {
  return new TextDecoder().decode(header.subarray(at, at + length)).split("\0")[0];
}

function octal(header: Uint8Array, at: number, length: number): number {
  const text = textOf(header, at, length).trim();
  return /^[0-7]+$/.test(text) ? parseInt(text, 8) : NaN;
}

/** Writes images into classes' folders, some at a time. */
class Writer {
  readonly #tar: Tar;
  readonly #folder: string;
  readonly #options: UnpackOptions;
  readonly #classes = new Set<string>();
  readonly #names = new Set<string>();
  readonly #writing = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  #images = 0;
  #wereThere = 0;
  #bytes = 0;

  constructor(tar: Tar, folder: string, options: UnpackOptions) {
    this.#tar = tar;
    this.#folder = folder;
    this.#options = options;
  }

  /** What is being written is whole before anybody hears of an error. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#writing);
  }

  /** Makes a class's folder, and takes away what a run that was killed has left there. */
  async begin(className: string, isNew: boolean): Promise<void> {
    if (this.#classes.has(className)) {
      if (isNew) throw this.#tar.refused(`${className}.tar`, "comes twice");
      return;
    }
    this.#classes.add(className);
    // Names are unique within a class in the training set, and within all of the validation set.
    if (isNew) this.#names.clear();
    if (this.#options.dryRun) return;
    const path = `${this.#folder}/${className}`;
    await attempt("write", path, async () => {
      await Deno.mkdir(path, { recursive: true });
      await removeUnfinished(path);
    });
  }

  async take({ name, start, size }: TarEntry, className: string): Promise<void> {
    if (!IMAGE_NAME.test(name)) throw this.#tar.refused(name, "is no image's name");
    if (this.#names.has(name)) throw this.#tar.refused(name, "comes twice");
    if (size === 0 || size > MOST_BYTES) {
      throw this.#tar.refused(name, `has ${number(size)} bytes, which no image has`);
    }
    this.#names.add(name);
    this.#images++;
    this.#bytes += size;
    const path = `${this.#folder}/${className}/${name}`;
    if (await sizeAt(path) === size) this.#wereThere++;
    else if (!this.#options.dryRun) {
      const bytes = await this.#tar.read(start, size);
      if (this.#writing.size >= AT_ONCE) await Promise.race(this.#writing);
      if (this.#failure) throw this.#failure.error;
      const write = writeWhole(path, bytes).catch((error) => {
        this.#failure ??= { error };
      }).finally(() => this.#writing.delete(write));
      this.#writing.add(write);
    }
    this.#options.onProgress?.(this.#images);
  }

  async end(): Promise<Unpacked> {
    await Promise.all(this.#writing);
    if (this.#failure) throw this.#failure.error;
    return {
      ...{ classes: this.#classes.size, images: this.#images },
      ...{ wereThere: this.#wereThere, bytes: this.#bytes },
    };
  }
}

/** The size of the file at a path; undefined where there is none. */
async function sizeAt(path: string): Promise<number | undefined> {
  try {
    const { isFile, size } = await Deno.lstat(path);
    return isFile ? size : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return;
    throw error;
  }
}
