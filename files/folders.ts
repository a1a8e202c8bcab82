import { disk, type FileInfo } from "./disk.ts";

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
  return (await standing(path))?.isDirectory ?? false;
}

/** Whether a file stands at a path; a link to one is one too. */
export async function isFile(path: string): Promise<boolean> {
  return (await standing(path))?.isFile ?? false;
}

/** What stands at a path; undefined where it leads nowhere, or through a file. */
async function standing(path: string): Promise<FileInfo | undefined> {
  try {
    return await disk.stat(path);
  } catch (error) {
    if (disk.isMissing(error) || disk.isNoFolder(error)) return undefined;
    throw error;
  }
}
