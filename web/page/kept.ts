/// <reference lib="dom" />
/** CIFAR-10 in the browser's private file system, where somebody asked for it to be kept. */
import { keepsFiles, OwnFolder } from "../../files/browser/mod.ts";
import type { NamedFile } from "./files.ts";

const FOLDER = "cifar-10";
/** Written last: without it what lies there is not whole. */
const WHOLE = "whole.json";

export { keepsFiles as canKeep };

/** What was kept; nothing where nothing was, or not whole. */
export async function keptFiles(): Promise<readonly NamedFile[]> {
  try {
    const folder = await OwnFolder.open(FOLDER);
    const marked = await folder.file(WHOLE);
    if (!marked) return [];
    const names: readonly string[] = JSON.parse(await marked.text());
    const files = await Promise.all(names.map((name) => folder.file(name)));
    // Another tab may be writing them anew.
    if (!files.every((file) => file !== undefined)) return [];
    return files.map((file, i): NamedFile => [`${FOLDER}/${names[i]}`, file]);
  } catch {
    // A browser that keeps nothing for this page, as for one that was opened from a folder.
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
  try {
    const folder = await OwnFolder.open(FOLDER, { create: true });
    const names: string[] = [];
    for (const [path, file] of files) {
      const name = path.slice(path.lastIndexOf("/") + 1);
      await folder.write(name, file);
      names.push(name);
    }
    await folder.write(WHOLE, new TextEncoder().encode(JSON.stringify(names)));
  } catch (error) {
    await forget();
    throw error;
  }
}

/** Removes what was kept. */
export async function forget(): Promise<void> {
  await (await OwnFolder.open("")).remove(FOLDER);
}
