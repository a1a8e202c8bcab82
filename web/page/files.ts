/// <reference lib="dom" />
/** Files that are dropped on a page or chosen in it, each with its path. */

/** A file and its path: `name`, or `folder/name`. */
export type NamedFile = readonly [path: string, file: File];

/** More are no network and no data set, but somebody's whole disk. */
const MOST_FILES = 10_000;

/** Too many files to go through. */
export class TooManyFiles extends Error {
  override name = "TooManyFiles";
}

/** The files that an input holds. */
export function chosenFiles({ files }: HTMLInputElement): readonly NamedFile[] {
  return [...files ?? []].map((file) => [file.webkitRelativePath || file.name, file]);
}

/**
 * The files that were dropped, those in folders too.
 *
 * @param transfer Of the event; it is looked at before the first wait, after which it is empty.
 * @throws {TooManyFiles} If there are more than any network or data set has.
 */
export async function droppedFiles(transfer: DataTransfer): Promise<readonly NamedFile[]> {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  const loose = [...transfer.files];
  const found: NamedFile[] = [];
  for (const entry of entries) if (entry) await gather(entry, found);
  // What has no entry, as where a script drops; an empty folder has one, and is no file.
  return entries.some((entry) => entry) ? found : loose.map((file) => [file.name, file]);
}

async function gather(entry: FileSystemEntry, found: NamedFile[]): Promise<void> {
  if (found.length >= MOST_FILES) {
    throw new TooManyFiles(`more than ${MOST_FILES} files: give the folder of one run or data set`);
  }
  if (entry.isFile) {
    const file = await new Promise<File>((resolve, reject) =>
      (entry as FileSystemFileEntry).file(resolve, reject)
    );
    found.push([entry.fullPath.replace(/^\//, ""), file]);
    return;
  }
  const reader = (entry as FileSystemDirectoryEntry).createReader();
  for (;;) {
    // A hundred at a time.
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) =>
      reader.readEntries(resolve, reject)
    );
    if (some.length === 0) return;
    for (const inner of some) await gather(inner, found);
  }
}
