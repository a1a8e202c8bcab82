/** For `writing.ts` in a browser: a page writes nowhere by a path, and fetches nothing. */
import { FileError } from "./errors.ts";
import type * as here from "./writing.ts";

export type { DownloadOptions, DownloadProgress, Environment } from "./writing.ts";

function refusing(what: string): () => never {
  return () => {
    throw new FileError(`a page in a browser ${what}`);
  };
}

const noWriting = refusing("writes no file by its path; what it makes is saved from the page");

export const cacheFolder: typeof here.cacheFolder = refusing(
  "downloads no images: give it CIFAR-10 as well, or choose constants for what is done to images",
);
export const download: typeof here.download = refusing("downloads nothing; give it the data");
export const readWholeTextSync: typeof here.readWholeTextSync = refusing(
  "reads no file by its path before it is given one",
);
export const openOwn: typeof here.openOwn = noWriting;
export const removeIfThere: typeof here.removeIfThere = noWriting;
export const removeUnfinished: typeof here.removeUnfinished = noWriting;
export const syncFolder: typeof here.syncFolder = noWriting;
export const writeWhole: typeof here.writeWhole = noWriting;
