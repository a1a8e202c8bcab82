/** For `disk.ts` in a browser: the files that somebody gave the page, each by its path. */
import type { Disk, FileInfo } from "./disk.ts";

export type { Disk, FileInfo };

class MissingError extends Error {
  override name = "NotFound";
}
class NoFolderError extends Error {
  override name = "NotADirectory";
}

let files: ReadonlyMap<string, Blob> = new Map();

/**
 * Makes files the ones that there are, in place of those that were there before.
 *
 * @param given By path, `folder/name`; nothing of them is read before it is asked for.
 */
export function mount(given: ReadonlyMap<string, Blob>): void {
  files = new Map([...given].map(([path, file]) => [normal(path), file]));
}

/** The files, by path. */
export const disk: Disk = {
  // deno-lint-ignore require-await -- so that what is missing rejects
  stat: async (path) => {
    const at = normal(path);
    const file = files.get(at);
    if (file) return { isFile: true, isDirectory: false, size: file.size };
    if (inside(at).length > 0) return { isFile: false, isDirectory: true, size: 0 };
    for (let end = at.lastIndexOf("/"); end > 0; end = at.lastIndexOf("/", end - 1)) {
      if (files.has(at.slice(0, end))) {
        throw new NoFolderError(`Not a directory: "${path}" leads through a file`);
      }
    }
    throw disk.missing(path);
  },
  read: async (path) => new Uint8Array(await (await fileAt(path)).arrayBuffer()),
  stream: async (path) => (await fileAt(path)).stream(),
  list: async (path) => {
    if (!(await disk.stat(path)).isDirectory) throw new NoFolderError(`"${path}" is no folder`);
    const folders = new Map<string, boolean>();
    for (const name of inside(normal(path))) {
      const end = name.indexOf("/");
      folders.set(end < 0 ? name : name.slice(0, end), end >= 0);
    }
    return [...folders].map(([name, isDirectory]) => ({ name, isDirectory }));
  },
  missing: (path) => new MissingError(`there is no file "${path}"`),
  isMissing: (error) => error instanceof MissingError,
  isNoFolder: (error) => error instanceof NoFolderError,
  isRefused: () => false,
};

async function fileAt(path: string): Promise<Blob> {
  const { isDirectory } = await disk.stat(path);
  if (isDirectory) throw Object.assign(new Error(`"${path}" is a folder`), { code: "EISDIR" });
  return files.get(normal(path))!;
}

/** Names below a folder, relative to it. */
function inside(folder: string): string[] {
  const start = folder === "" ? "" : `${folder}/`;
  return [...files.keys()].filter((path) => path.startsWith(start))
    .map((path) => path.slice(start.length));
}

/** Without empty parts and `.`. */
function normal(path: string): string {
  return path.split("/").filter((part) => part !== "" && part !== ".").join("/");
}
