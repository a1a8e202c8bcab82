/**
 * Files that are whole or not there: written atomically, downloaded with their
 * hash verified, cached where the system keeps caches.
 *
 * @module
 */
export { attempt } from "./attempt.ts";
export { cacheFolder, type Environment } from "./cache.ts";
export { download, type DownloadOptions, type DownloadProgress } from "./download.ts";
export * from "./errors.ts";
export { foldersIn } from "./folders.ts";
export { Sha256, sha256, sha256OfWords } from "./hash.ts";
export { readWhole, readWholeText, readWholeTextSync, requireReadable } from "./read_whole.ts";
export { openOwn, removeIfThere, removeUnfinished, syncFolder, writeWhole } from "./write_whole.ts";
