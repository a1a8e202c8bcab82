/** The one way to write a file: whole or not at all, whatever happens, and never through a link. */
import { dirname } from "node:path";
import { attempt } from "./attempt.ts";

/** What a file is called until it is whole: its name, eight random digits and this. */
const BESIDE = /\.[0-9a-f]{8}\.partial$/;

/**
 * Writes beside, syncs, renames and syncs the folder: after a crash at any
 * moment the path holds the old content or the new, never a part of either.
 *
 * The file beside has a random name and must not be there before, so that
 * nothing is written through a link that somebody has put there; a link at the
 * path itself is replaced, and what it names stays as it is.
 *
 * @param path Of the file.
 * @param content Its new content; text is written as UTF-8.
 * @throws {FileError} If it can't be written; what the path held is unharmed.
 */
export async function writeWhole(path: string, content: Uint8Array | string): Promise<void> {
  await attempt("write", path, () =>
    writeBeside(path, content).catch((error) => {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // A run that begins in the folder takes unfinished files for those of a killed process.
      return writeBeside(path, content);
    }));
}

async function writeBeside(path: string, content: Uint8Array | string): Promise<void> {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const beside = `${path}.${crypto.getRandomValues(new Uint8Array(4)).toHex()}.partial`;
  using file = await Deno.open(beside, { write: true, createNew: true });
  try {
    await writeAll(file, bytes);
    await file.sync();
    await Deno.rename(beside, path);
  } catch (error) {
    await removeIfThere(beside).catch(() => {}); // The first error is the one that matters.
    throw error;
  }
  await syncFolder(dirname(path));
}

/**
 * Returns when a folder's names are on the disk: a file that is made or renamed
 * may else be gone after a crash, while others that came later are there.
 *
 * @param path Of the folder.
 */
export async function syncFolder(path: string): Promise<void> {
  // Windows can't open a folder, and renames durably by itself.
  if (Deno.build.os === "windows") return;
  using folder = await Deno.open(path, { read: true });
  await folder.sync();
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += await file.write(bytes.subarray(written));
  }
}

/** Removes a file; one that is not there is no error. */
export async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Removes what writes that were killed have left in a folder.
 *
 * @param folder Its path; nobody else may be writing into it.
 */
export async function removeUnfinished(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (BESIDE.test(name)) await removeIfThere(`${folder}/${name}`);
  }
}

/**
 * Opens a file that grows or is locked, and makes it where it is not there: the
 * file itself, never what a link in its place names.
 *
 * @param path Of the file.
 * @param options Whether it is written at its end, or anywhere.
 * @returns The file, open for reading and writing.
 * @throws {Deno.errors.AlreadyExists} If a link, or something that is no file, has its place.
 */
export async function openOwn(
  path: string,
  options: { readonly append?: true } = {},
): Promise<Deno.FsFile> {
  const access = { read: true, ...(options.append ? { append: true } : { write: true }) };
  try {
    return await Deno.open(path, { ...access, createNew: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
  const { isFile, nlink, ino } = await Deno.lstat(path);
  const refuse = () =>
    new Deno.errors.AlreadyExists(
      `"${path}" must be a file of its own, found a link or something else; remove it`,
    );
  if (!isFile || (nlink ?? 1) > 1) throw refuse();
  const file = await Deno.open(path, access);
  // Between the two calls somebody may have put a link there.
  if ((await file.stat()).ino === ino) return file;
  file.close();
  throw refuse();
}
