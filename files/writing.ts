/** What only a disk and a network have. */
export { cacheFolder, type Environment } from "./cache.ts";
export { download, type DownloadOptions, type DownloadProgress } from "./download.ts";
export { readWholeTextSync } from "./read_now.ts";
export { openOwn, removeIfThere, removeUnfinished, syncFolder, writeWhole } from "./write_whole.ts";
