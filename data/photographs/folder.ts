/**
 * A folder of photographs: a folder for each class, and the class's images in it. Which files
 * count, and their order, are torchvision's `ImageFolder`: classes sorted by name, files of its
 * extensions at any depth, each folder's files sorted by name.
 *
 * Departures, each on the careful side. A link that leads out of the folder is refused unless it
 * is asked for, and a folder counts once in a class, however many links lead to it. Every file is
 * read once before the first is used, so that what can't be an image is known before an epoch
 * begins, and the set has a hash. What is known of a file is kept, and holds while its size and time
 * of change do.
 *
 * Source: torchvision, `datasets/folder.py`.
 */
import {
  attempt,
  cacheFolder,
  isFolder,
  readWhole,
  Sha256,
  sha256,
  writeWhole,
} from "../../files/mod.ts";
import { quote } from "../../text/mod.ts";
import { DataError } from "../errors.ts";
import { AS_TORCHVISION, decodeImage, faultOf, type ReadingRules } from "./image_file.ts";
import type { RgbImage } from "./rgb_image.ts";

/** torchvision's `IMG_EXTENSIONS`. */
const EXTENSIONS = /\.(jpe?g|png|ppm|bmp|pgm|tiff?|webp)$/i;
/** How many files an error names before it only counts. */
const NAMED = 5;
/** Of what speaks against a file: what was kept by other rules is not believed. */
const RULES = 5;
/** With what a line of a kept index begins. */
const BEGIN = '{"path":';
/** A photograph has fewer. */
const MOST_BYTES = 256 * 2 ** 20;

/** One image file. */
export interface Photograph {
  /** Below the folder, with slashes: `ants/1.jpg`. */
  readonly path: string;
  /** Place of its class in the index's class names. */
  readonly label: number;
  /** Size of the file. */
  readonly bytes: number;
  /** SHA-256 of the file. */
  readonly sha256: string;
}

/** A file that counts, and is no image that can be read. */
export interface BrokenFile {
  /** Below the folder. */
  readonly path: string;
  /** As the end of "it can't be read:". */
  readonly reason: string;
}

/** All that is known of a folder of photographs without decoding any. */
export interface PhotographIndex {
  /** The folder, as it was given. */
  readonly folder: string;
  /** Sorted; a label is a place in this list. */
  readonly classNames: readonly string[];
  /** Class after class. */
  readonly photographs: readonly Photograph[];
  /** Files that were skipped. */
  readonly broken: readonly BrokenFile[];
  /** Files of other extensions, which torchvision doesn't look at either: how many of each. */
  readonly passedOver: ReadonlyMap<string, number>;
  /** SHA-256 over paths, sizes and hashes of all photographs. */
  readonly sha256: string;
}

/** How a folder is read. */
export interface IndexOptions {
  /** What is done where files can't be read: nothing is read at all, or they are left out. */
  readonly broken?: "refuse" | "skip";
  /** What is done where a link leads out of the folder. */
  readonly links?: "refuse" | "follow";
  /** The file that the index is kept in; one in the user's cache folder when undefined. */
  readonly index?: string;
  /** The cache folder, where it is not the user's own. */
  readonly cache?: string;
  /** Called after each file. */
  readonly onProgress?: (done: number, of: number) => void;
}

/**
 * Makes the index of a folder of photographs, or takes it from the cache as far as files did not
 * change.
 *
 * @param folder With a folder for each class.
 * @param options What is refused, and where the index is kept.
 * @throws {DataError} If there are no classes, a class has no image, a link leads out of the
 *   folder, or files can't be read; each with what was found, and what to do.
 *
 * @example
 * ```ts ignore
 * import { indexPhotographs } from "./folder.ts";
 *
 * const { classNames, photographs } = await indexPhotographs("photos/train");
 * console.log(classNames, photographs.length); // ["ants", "bees"] 123
 * ```
 */
export async function indexPhotographs(
  folder: string,
  options: IndexOptions = {},
): Promise<PhotographIndex> {
  const { broken: rule = "refuse", links = "refuse", onProgress } = options;
  const root = await attempt("read", folder, () => Deno.realPath(folder));
  const found = await listed(folder, root, links);
  const kept = options.index ??
    `${options.cache ?? cacheFolder()}/photographs/${sha256(new TextEncoder().encode(root))}.jsonl`;
  const known = await readKept(kept);
  if (known === undefined && options.index !== undefined) {
    throw new DataError(
      `${
        quote(kept)
      } is no index of photographs, and would be written over by one: --index names ` +
        `the file that the index is kept in, which is made where there is none`,
    );
  }
  const photographs: Photograph[] = [];
  const broken: BrokenFile[] = [];
  const lines: Known[] = [];
  let isNew = known?.size !== found.files.length;
  for (const [done, { path, label }] of found.files.entries()) {
    const earlier = known?.get(path);
    const now = await lookAt(`${root}/${path}`, path, earlier);
    isNew ||= now !== earlier;
    lines.push(now);
    if (now.fault !== null) broken.push({ path, reason: now.fault });
    else photographs.push({ path, label, bytes: now.bytes, sha256: now.sha256 });
    onProgress?.(done + 1, found.files.length);
  }
  if (isNew) await keep(kept, lines);
  if (broken.length > 0 && (rule === "refuse" || photographs.length === 0)) {
    throw new DataError(
      `${quote(folder)}: of ${found.files.length} files ${broken.length} can't be read: ${
        namesOf(broken)
      }. Mend or remove them${rule === "refuse" ? ", or leave them out: --broken skip" : ""}`,
    );
  }
  const hash = new Sha256();
  for (const { path, bytes, sha256 } of photographs) {
    hash.update(new TextEncoder().encode(`${path}\t${bytes}\t${sha256}\n`));
  }
  const { classNames, passedOver } = found;
  return { folder, classNames, photographs, broken, passedOver, sha256: hash.hex() };
}

/**
 * Reads and decodes one photograph.
 *
 * @param index Of its folder.
 * @param place In the index's photographs.
 * @param rules As torchvision when undefined: transparency dropped, the orientation not looked at.
 * @returns The image in its own size.
 * @throws {DataError} If it is not what the index says any more, or damaged within.
 */
export async function readPhotograph(
  { folder, photographs }: PhotographIndex,
  place: number,
  rules: ReadingRules = AS_TORCHVISION,
): Promise<RgbImage> {
  const { path, bytes: size } = photographs[place];
  const full = `${folder}/${path}`;
  const bytes = await attempt("read", full, () => readWhole(full, MOST_BYTES));
  if (bytes.length !== size) {
    throw new DataError(
      `${quote(full)} has ${bytes.length} bytes, and had ${size} when the folder was indexed: ` +
        `somebody changed it meanwhile. Run it again when the folder is at rest`,
    );
  }
  return await decodeImage(bytes, full, rules);
}

/**
 * Where a set's images to test on lie: its folder `val`, as ImageNet's copies and many others
 * have it, or the folder itself.
 *
 * @param folder As it was given.
 */
export async function validationFolder(folder: string): Promise<string> {
  return await isFolder(`${folder}/val`) ? `${folder}/val` : folder;
}

/** "a.jpg: it is empty; b.jpg: ...; and 3 more", with how many there are of a reason that repeats. */
export function namesOf(broken: readonly BrokenFile[]): string {
  const reasons = Map.groupBy(broken, ({ reason }) => reason);
  const parts = [...reasons].slice(0, NAMED).map(([reason, files]) => {
    const more = files.length > 1 ? ` and ${files.length - 1} more` : "";
    return `${quote(files[0].path)}${more} (${reason})`;
  });
  const rest = [...reasons.values()].slice(NAMED).reduce((sum, { length }) => sum + length, 0);
  return [...parts, ...(rest > 0 ? [`${rest} others`] : [])].join("; ");
}

interface Listed {
  readonly classNames: readonly string[];
  readonly files: readonly { readonly path: string; readonly label: number }[];
  readonly passedOver: ReadonlyMap<string, number>;
}

/** Names alone, in torchvision's order. */
async function listed(folder: string, root: string, links: "refuse" | "follow"): Promise<Listed> {
  const top = await entriesOf(folder, root, "", links);
  const classNames = top.folders;
  const outline = `photographs lie in a folder for each class: ${folder}/CLASS/NAME.jpg`;
  if (classNames.length === 0) {
    const what = top.files.length === 0
      ? "it is empty"
      : `found ${top.files.length} files and no folder, among them ${quote(top.files[0])}`;
    throw new DataError(`${quote(folder)} has no classes: ${outline}; ${what}`);
  }
  const files: { path: string; label: number }[] = [];
  const passedOver = new Map<string, number>();
  const empty: string[] = [];
  for (const [label, name] of classNames.entries()) {
    const before = files.length;
    const folders = await below(name);
    for (const { path, names } of folders.sort((a, b) => byCodePoint(a.path, b.path))) {
      for (const file of names) {
        if (EXTENSIONS.test(file)) files.push({ path: `${path}/${file}`, label });
        else {
          const extension = /\.[^.]+$/.exec(file)?.[0].toLowerCase() ?? "no extension";
          passedOver.set(extension, (passedOver.get(extension) ?? 0) + 1);
        }
      }
    }
    if (files.length === before) empty.push(name);
  }
  if (empty.length > 0) {
    const others = [...passedOver].map(([extension, count]) => `${count} of ${extension}`);
    throw new DataError(
      `${
        quote(folder)
      }: every class has images, and ${empty.length} of ${classNames.length} have ` +
        `none: ${empty.slice(0, NAMED).map(quote).join(", ")}${
          empty.length > NAMED ? ", ..." : ""
        }` +
        `${others.length > 0 ? ` (passed over: ${others.join(", ")})` : ""}. Remove the folder, ` +
        `or put its images there: ${outline}`,
    );
  }
  return { classNames, files, passedOver };

  /** A folder and all below it. */
  async function below(
    start: string,
  ): Promise<{ readonly path: string; readonly names: readonly string[] }[]> {
    const result: { path: string; names: readonly string[] }[] = [];
    const open = [start];
    // A link to a folder above would never end.
    const seen = new Set([root]);
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      const full = `${root}/${path}`;
      const real = await attempt("read", full, () => Deno.realPath(full));
      if (seen.has(real)) continue;
      seen.add(real);
      const { folders, files } = await entriesOf(folder, root, path, links);
      result.push({ path, names: files });
      for (const name of folders) open.push(`${path}/${name}`);
    }
    return result;
  }
}

/** Names of a folder's folders and of all else in it, each sorted. */
async function entriesOf(
  folder: string,
  root: string,
  path: string,
  links: "refuse" | "follow",
): Promise<{ readonly folders: string[]; readonly files: string[] }> {
  const full = path === "" ? root : `${root}/${path}`;
  const entries = await attempt("read", full, () => Array.fromAsync(Deno.readDir(full)));
  const folders: string[] = [], files: string[] = [];
  for (const { name, isDirectory, isSymlink } of entries) {
    const isFolder = isDirectory || isSymlink && await leadsToFolder(`${full}/${name}`);
    (isFolder ? folders : files).push(name);
  }
  return { folders: folders.sort(byCodePoint), files: files.sort(byCodePoint) };

  async function leadsToFolder(link: string): Promise<boolean> {
    let target: string;
    try {
      target = await Deno.realPath(link);
    } catch {
      return false; // It leads nowhere, or in a circle: reading it will say so.
    }
    if (links === "refuse" && target !== root && !target.startsWith(`${root}/`)) {
      throw new DataError(
        `${quote(link)} is a link out of ${quote(folder)}, to ${quote(target)}. ` +
          `If that is meant, say so: --links follow`,
      );
    }
    return (await Deno.stat(link)).isDirectory;
  }
}

/** Python's order of texts. JavaScript's has the code points beyond 2^16 before the last below. */
function byCodePoint(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const [one, other] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (one !== other) return rank(one) - rank(other);
  }
  return a.length - b.length;
}

function rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** What is kept of a file. */
interface Known {
  readonly path: string;
  readonly bytes: number;
  /** In milliseconds; null where the system doesn't say. */
  readonly changed: number | null;
  readonly sha256: string;
  /** Null where nothing speaks against it. */
  readonly fault: string | null;
  /** By which that was said. */
  readonly rules: number;
}

/** What is known of a file: what was known earlier, if it did not change. */
async function lookAt(full: string, path: string, earlier: Known | undefined): Promise<Known> {
  const unread = { path, bytes: 0, changed: null, sha256: "", rules: RULES };
  try {
    const { size, mtime, isFile } = await Deno.stat(full);
    const changed = mtime?.getTime() ?? null;
    if (earlier && changed !== null && earlier.bytes === size && earlier.changed === changed) {
      return earlier;
    }
    if (!isFile) return { ...unread, fault: "it is a pipe, a socket or a device" };
    if (size === 0) return { ...unread, changed, fault: "it is empty" };
    const bytes = await readWhole(full, MOST_BYTES);
    return {
      ...{ path, bytes: bytes.length, changed, sha256: sha256(bytes), rules: RULES },
      fault: faultOf(bytes) ?? null,
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    const fault = error instanceof Deno.errors.NotFound
      ? "it is a link that leads nowhere"
      : error instanceof Deno.errors.PermissionDenied
      ? "the system does not let this user read it"
      : (error as Error).message;
    return { ...unread, fault };
  }
}

/**
 * What an earlier index says; nothing where there is none, or it is damaged: then all is read.
 * Undefined where the file is another one.
 */
async function readKept(path: string): Promise<ReadonlyMap<string, Known> | undefined> {
  const known = new Map<string, Known>();
  let text: string;
  try {
    text = new TextDecoder().decode(await readWhole(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return error instanceof Deno.errors.NotFound ? known : undefined;
  }
  // Cut short, or zeros after a crash, it is still the index.
  if (!BEGIN.startsWith(text.slice(0, BEGIN.length)) && !/^\0*$/.test(text)) return undefined;
  try {
    for (const line of text.split("\n").slice(0, -1)) {
      const entry: Known = JSON.parse(line);
      if (!isKnown(entry)) return new Map();
      known.set(entry.path, entry);
    }
  } catch {
    return new Map();
  }
  return known;
}

function isKnown({ path, bytes, changed, sha256, fault, rules }: Known): boolean {
  return rules === RULES && typeof path === "string" && Number.isInteger(bytes) &&
    typeof sha256 === "string" &&
    (changed === null || typeof changed === "number") &&
    (fault === null || typeof fault === "string");
}

async function keep(path: string, lines: readonly Known[]): Promise<void> {
  const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
  if (folder !== "") await attempt("write", folder, () => Deno.mkdir(folder, { recursive: true }));
  await writeWhole(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
}
