/// <reference lib="dom" />
/** CIFAR-10 in the browser's private file system, where somebody asked for it to be kept. */
import type { NamedFile } from "./files.ts";

const FOLDER = "cifar-10";

async function rootOf(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    return await navigator.storage?.getDirectory();
  } catch {
    // Private windows and pages from a file have none.
  }
}

/** Whether this browser can keep anything for this page. */
export async function canKeep(): Promise<boolean> {
  return await rootOf() !== undefined;
}

/** What was kept; nothing where nothing was, or not whole. */
export async function keptFiles(): Promise<readonly NamedFile[]> {
  try {
    const folder = await (await rootOf())?.getDirectoryHandle(FOLDER);
    const files: NamedFile[] = [];
    if (!folder) return files;
    for await (const [name, handle] of folder.entries()) {
      if (handle.kind === "file") {
        files.push([`${FOLDER}/${name}`, await (handle as FileSystemFileHandle).getFile()]);
      }
    }
    return files;
  } catch {
    return [];
  }
}

/**
 * Keeps files in place of those that were kept.
 *
 * @throws {Error} If there is no room; then nothing is kept.
 */
export async function keep(files: readonly NamedFile[]): Promise<void> {
  await forget();
  const folder = await (await rootOf())?.getDirectoryHandle(FOLDER, { create: true });
  if (!folder) throw new Error("this browser keeps nothing for this page");
  try {
    for (const [path, file] of files) {
      const handle = await folder.getFileHandle(path.slice(path.lastIndexOf("/") + 1), {
        create: true,
      });
      await file.stream().pipeTo(await handle.createWritable());
    }
  } catch (error) {
    await forget();
    throw error;
  }
}

/** Removes what was kept. */
export async function forget(): Promise<void> {
  await (await rootOf())?.removeEntry(FOLDER, { recursive: true }).catch(() => {});
}
