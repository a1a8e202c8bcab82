/** For what a crash leaves: a process whose k-th operation on files goes wrong. */
import { dirname, resolve } from "node:path";

/**
 * What happens at an operation: the process ends before it, in the middle of it
 * or after it; it ends, and what was not synced is lost; the disk is full once,
 * or from then on; it is broken; a write takes a part of its bytes.
 */
export const FAULTS = [
  ...["before", "half", "unsynced", "full once", "full", "broken", "short", "after"] as const,
] as const;

/** One of {@link FAULTS}. */
export type Fault = typeof FAULTS[number];

/** A fault, and the operation from 1 at which it happens; at 0 it never does. */
export interface Case {
  readonly fault: Fault;
  readonly k: number;
}

/** The operations that change files. */
export const KINDS = ["open", "write", "sync", "truncate", "rename", "remove", "mkdir"] as const;

/** One of {@link KINDS}. */
export type Kind = typeof KINDS[number];

/** Whether a fault is a case of its own: only a write has a middle, and what frees room needs none. */
export function applies(fault: Fault, kind: Kind): boolean {
  if (fault === "half" || fault === "short") return kind === "write";
  if (fault === "full" || fault === "full once") return kind !== "remove" && kind !== "truncate";
  return true;
}

/** A process that a fault has ended: nothing that it still does reaches a file. */
export class Ended extends Error {
  override name = "Ended";
}

/** An entry of a folder that was changed and is not on the disk for certain. */
interface Unsynced {
  readonly folder: string;
  /** Path of a file that was made. */
  readonly made?: string;
  readonly undo: () => void;
}

/** A file that is open for writing, and its bytes that are on the disk for certain. */
interface Written {
  readonly path: string;
  length: number;
}

/**
 * Stands between this process's Deno functions and the disk, from its making on.
 *
 * What is not synced and lost: bytes behind a file's last sync, and names that
 * were made, renamed or removed since their folder's last. A file that is synced
 * keeps its name, as on the usual file systems; folders are not taken away. No
 * disk is waited for: that something was synced is noted here alone.
 */
export class FaultyDisk {
  /** The operations since {@link begin}. */
  readonly kinds: Kind[] = [];
  #case: Case = { fault: "before", k: 0 };
  #dead = false;
  #open = new Set<Deno.FsFile>();
  readonly #written = new Map<Deno.FsFile, Written>();
  #unsynced: Unsynced[] = [];

  constructor() {
    const { open, rename, remove, mkdir } = Deno;
    const { writeSync, truncateSync, close } = Deno.FsFile.prototype;
    const folderOf = (path: string) => resolve(dirname(path));
    const read = (path: string): Uint8Array<ArrayBuffer> | undefined => {
      try {
        return Deno.lstatSync(path).isFile ? Deno.readFileSync(path) : undefined;
      } catch {
        return undefined;
      }
    };
    /** Remembers how to give a name back what it stood for. */
    const remember = (path: string, before = read(path)) =>
      this.#unsynced.push({
        folder: folderOf(path),
        undo: () => before ? Deno.writeFileSync(path, before) : removeSync(path),
      });
    const removeSync = (path: string) => {
      try {
        Deno.removeSync(path);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
    };

    Object.assign(Deno, {
      open: async (path: string, options: Deno.OpenOptions = {}) => {
        if (this.#dead) throw new Ended();
        if (!options.write && !options.append && !options.createNew && !options.create) {
          const file = await open(path, options);
          this.#open.add(file);
          this.#written.set(file, { path, length: 0 });
          return file;
        }
        return await this.#operation("open", async () => {
          const isNew = options.createNew === true;
          const file = await open(path, options);
          this.#open.add(file);
          this.#written.set(file, { path, length: Deno.statSync(path).size });
          const undo = () => removeSync(path);
          if (isNew) this.#unsynced.push({ folder: folderOf(path), made: path, undo });
          return file;
        });
      },
      rename: (from: string, to: string) =>
        this.#operation("rename", async () => {
          const [source, target] = [read(from), read(to)];
          await rename(from, to);
          remember(to, target);
          remember(from, source);
        }),
      remove: (path: string, options?: Deno.RemoveOptions) =>
        this.#operation("remove", async () => {
          const content = read(path);
          await remove(path, options);
          if (content) remember(path, content);
        }),
      mkdir: (...args: Parameters<typeof mkdir>) => this.#operation("mkdir", () => mkdir(...args)),
    });
    const write = (file: Deno.FsFile, bytes: Uint8Array): number => {
      const half = bytes.subarray(0, bytes.length >> 1);
      const isShort = this.#before("write", () => writeSync.call(file, half));
      const written = writeSync.call(file, isShort && bytes.length > 1 ? half : bytes);
      this.#after();
      return written;
    };
    const sync = (file: Deno.FsFile) => {
      this.#before("sync");
      const written = this.#written.get(file)!;
      const { isDirectory, size } = file.statSync();
      if (isDirectory) {
        const folder = resolve(written.path);
        this.#unsynced = this.#unsynced.filter((one) => one.folder !== folder);
      } else {
        written.length = size;
        this.#unsynced = this.#unsynced.filter(({ made }) => made !== written.path);
      }
      this.#after();
    };
    const truncate = (file: Deno.FsFile, length?: number) => {
      this.#before("truncate");
      truncateSync.call(file, length);
      this.#after();
    };
    const opened = this.#open;
    const promised = <A extends unknown[], T>(work: (...args: A) => T) =>
    // deno-lint-ignore require-await -- async, so that an error rejects
    async (...args: A): Promise<T> => work(...args);
    Object.assign(Deno.FsFile.prototype, {
      write(this: Deno.FsFile, bytes: Uint8Array) {
        return promised(write)(this, bytes);
      },
      writeSync(this: Deno.FsFile, bytes: Uint8Array) {
        return write(this, bytes);
      },
      sync(this: Deno.FsFile) {
        return promised(sync)(this);
      },
      syncSync(this: Deno.FsFile) {
        sync(this);
      },
      truncate(this: Deno.FsFile, length?: number) {
        return promised(truncate)(this, length);
      },
      truncateSync(this: Deno.FsFile, length?: number) {
        truncate(this, length);
      },
      close(this: Deno.FsFile) {
        // What a fault's end has closed.
        if (opened.delete(this)) close.call(this);
      },
    });
  }

  /** Whether a fault has ended the process. */
  get isDead(): boolean {
    return this.#dead;
  }

  /** Counts anew; a fault goes wrong from now on. */
  begin(next: Case): void {
    this.#case = next;
    this.#dead = false;
    this.kinds.length = 0;
  }

  /** What the system does at a process's end: its files are closed, its locks are free. */
  end(): void {
    this.#dead = true;
    for (const file of [...this.#open]) {
      try {
        file.close();
      } catch {
        // `using` has closed it.
      }
    }
    this.#open.clear();
    this.#written.clear();
    this.#unsynced = [];
  }

  async #operation<T>(kind: Kind, work: () => Promise<T>): Promise<T> {
    this.#before(kind);
    const result = await work();
    this.#after();
    return result;
  }

  /** Before an operation; `part` does a half of it. Whether a write is to be a short one. */
  #before(kind: Kind, part: () => void = () => {}): boolean {
    if (this.#dead) throw new Ended();
    const { fault, k } = this.#case;
    this.kinds.push(kind);
    const isDue = this.kinds.length === k;
    const isFull = fault === "full once" && isDue ||
      fault === "full" && k > 0 && this.kinds.length >= k;
    if (isFull && applies(fault, kind)) {
      throw failure("ENOSPC", "No space left on device (os error 28)");
    }
    if (!isDue) return false;
    if (fault === "broken") throw failure("EIO", "Input/output error (os error 5)");
    if (fault === "half") part();
    if (fault === "unsynced") this.#lose();
    if (fault === "before" || fault === "half" || fault === "unsynced") this.#die();
    return fault === "short";
  }

  #after(): void {
    if (this.#case.fault === "after" && this.kinds.length === this.#case.k) this.#die();
  }

  #die(): never {
    this.#dead = true;
    throw new Ended();
  }

  #lose(): void {
    for (const { undo } of this.#unsynced.reverse()) undo();
    for (const { path, length } of this.#written.values()) {
      try {
        if (Deno.statSync(path).size > length) Deno.truncateSync(path, length);
      } catch {
        // It is gone, or a folder.
      }
    }
  }
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}
