/** Files that are whole or not there, whatever happens while they are written. */
import { dirname } from "node:path";

/**
 * Writes beside, syncs, renames and syncs the folder: after a crash at any
 * moment the path holds the old content or the new, never a part of either.
 *
 * @param path Of the file; nobody else may write it at the same time.
 * @param bytes Its new content.
 * @throws {Deno.errors} If it can't be written; what the path held is unharmed.
 */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const beside = `${path}.partial`;
  try {
    using file = await Deno.open(beside, { write: true, create: true, truncate: true });
    await writeAll(file, bytes);
    await file.sync();
  } catch (error) {
    await removeIfThere(beside);
    throw error;
  }
  await Deno.rename(beside, path);
  // Windows can't open a folder, and renames durably by itself.
  if (Deno.build.os !== "windows") {
    using folder = await Deno.open(dirname(path), { read: true });
    await folder.sync();
  }
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
