/**
 * Files that are whole or not there: written atomically, downloaded with their
 * hash verified, cached where the system keeps caches.
 *
 * @module
 */
export { attempt } from "./attempt.ts";
export { type Disk, disk, type FileInfo } from "./disk.ts";
export * from "./errors.ts";
export { foldersIn, isFile, isFolder } from "./folders.ts";
export { Sha256 } from "./hash.ts";
export { crc32, inflate } from "./inflate.ts";
export { readWhole, readWholeText, requireReadable } from "./read_whole.ts";
export { sha256, sha256OfWords } from "./sha256.ts";
export * from "./writing.ts";
