/// <reference lib="dom" />
/** Files that somebody takes away from a page. */

/**
 * Hands a file to the browser, to be saved.
 *
 * @param name The file's.
 * @param type Its media type.
 * @param content What is in it.
 */
export function saveFile(name: string, type: string, content: BlobPart): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
