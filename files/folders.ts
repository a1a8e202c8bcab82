import { disk } from "./disk.ts";

/** Paths of a folder's folders, by name; none where it is not there, or is no folder. */
export async function foldersIn(path: string): Promise<readonly string[]> {
  try {
    const entries = await disk.list(path);
    const names = entries.filter(({ isDirectory }) => isDirectory).map(({ name }) => name);
    return names.sort().map((name) => `${path}/${name}`);
  } catch (error) {
    if (disk.isMissing(error) || disk.isNoFolder(error)) return [];
    throw error;
  }
}

/** Whether a folder stands at a path; a link to one is one too. */
export async function isFolder(path: string): Promise<boolean> {
  try {
    return (await disk.stat(path)).isDirectory;
  } catch (error) {
    if (disk.isMissing(error) || disk.isNoFolder(error)) return false;
    throw error;
  }
}
