/**
 * Folders of the page's private file system: nobody else sees them, and they survive the page.
 *
 * Source: the File System standard (WHATWG). The types are those of its parts that are used; the
 * ones for a file that is written at once are known to workers alone.
 */

/** A file that is written at its end while it stays open, in a worker. */
export interface OwnLog {
  /** Its length in bytes. */
  readonly size: () => number;
  /** Its content. */
  readonly read: () => Uint8Array;
  /** Writes at a place; returns how many bytes found room. */
  readonly write: (bytes: Uint8Array, at: number) => number;
  /** Cuts it off. */
  readonly truncate: (length: number) => void;
  /** Returns when what was written is kept. */
  readonly flush: () => void;
  /** Lets others open it. */
  readonly close: () => void;
}

interface SyncHandle {
  readonly getSize: () => number;
  readonly read: (into: Uint8Array, options: { readonly at: number }) => number;
  readonly write: (from: Uint8Array, options: { readonly at: number }) => number;
  readonly truncate: (length: number) => void;
  readonly flush: () => void;
  readonly close: () => void;
}
interface Writable {
  readonly write: (content: Uint8Array | Blob) => Promise<void>;
  readonly close: () => Promise<void>;
  readonly abort: () => Promise<void>;
}
interface FileHandle {
  readonly kind: "file";
  readonly getFile: () => Promise<File>;
  readonly createWritable: () => Promise<Writable>;
  readonly createSyncAccessHandle: () => Promise<SyncHandle>;
}
interface FolderHandle {
  readonly kind: "directory";
  readonly getFileHandle: (name: string, options?: Options) => Promise<FileHandle>;
  readonly getDirectoryHandle: (name: string, options?: Options) => Promise<FolderHandle>;
  readonly removeEntry: (name: string, options?: { recursive?: boolean }) => Promise<void>;
  readonly entries: () => AsyncIterable<[string, FileHandle | FolderHandle]>;
}
interface Options {
  readonly create?: boolean;
}

const named = (error: unknown, ...names: string[]): boolean =>
  error instanceof Error && names.includes(error.name);

/** The root; where the browser keeps nothing for this page, as in private windows, it throws. */
async function root(): Promise<FolderHandle> {
  const { storage } = navigator as unknown as {
    storage?: { getDirectory?: () => Promise<FolderHandle> };
  };
  if (!storage?.getDirectory) throw new Error("this browser keeps no files for this page");
  return await storage.getDirectory();
}

/** Whether this browser keeps files for this page. */
export async function keepsFiles(): Promise<boolean> {
  try {
    await root();
    return true;
  } catch {
    return false;
  }
}

/** One folder. */
export class OwnFolder {
  readonly #handle: FolderHandle;

  private constructor(handle: FolderHandle) {
    this.#handle = handle;
  }

  /**
   * Opens a folder.
   *
   * @param path `folder/name`, from the root.
   * @param options Whether it is made where it is not there.
   * @throws {Error} As the browser has it, if it is not there or can't be made.
   */
  static async open(path: string, options: Options = {}): Promise<OwnFolder> {
    let handle = await root();
    for (const part of path.split("/").filter(Boolean)) {
      handle = await handle.getDirectoryHandle(part, options);
    }
    return new OwnFolder(handle);
  }

  /** Opens a file that is written at its end; undefined where another page has it open. */
  async openLog(name: string): Promise<OwnLog | undefined> {
    const file = await this.#handle.getFileHandle(name, { create: true });
    let handle: SyncHandle;
    try {
      handle = await file.createSyncAccessHandle();
    } catch (error) {
      if (named(error, "NoModificationAllowedError", "InvalidStateError")) return undefined;
      throw error;
    }
    return {
      size: () => handle.getSize(),
      read() {
        const bytes = new Uint8Array(handle.getSize());
        return bytes.subarray(0, handle.read(bytes, { at: 0 }));
      },
      write: (bytes, at) => handle.write(bytes, { at }),
      truncate: (length) => handle.truncate(length),
      flush: () => handle.flush(),
      close: () => handle.close(),
    };
  }

  /** Writes a file: whole, or it stays as it was. */
  async write(name: string, content: Uint8Array | Blob): Promise<void> {
    const writable = await (await this.#handle.getFileHandle(name, { create: true }))
      .createWritable();
    try {
      await writable.write(content);
    } catch (error) {
      await writable.abort().catch(() => {}); // The first error is the one that matters.
      throw error;
    }
    await writable.close();
  }

  /** A file; undefined where it is not there. */
  async file(name: string): Promise<File | undefined> {
    try {
      return await (await this.#handle.getFileHandle(name)).getFile();
    } catch (error) {
      if (named(error, "NotFoundError")) return undefined;
      throw error;
    }
  }

  /** Names of its files. */
  async names(): Promise<readonly string[]> {
    return (await this.#list()).filter(([, { kind }]) => kind === "file").map(([name]) => name);
  }

  /** Names of its folders. */
  async folders(): Promise<readonly string[]> {
    return (await this.#list()).filter(([, { kind }]) => kind === "directory")
      .map(([name]) => name);
  }

  /** Removes a file or a folder with all that it holds; one that is not there is no error. */
  async remove(name: string): Promise<void> {
    try {
      await this.#handle.removeEntry(name, { recursive: true });
    } catch (error) {
      if (!named(error, "NotFoundError")) throw error;
    }
  }

  async #list(): Promise<[string, FileHandle | FolderHandle][]> {
    return await Array.fromAsync(this.#handle.entries());
  }
}
