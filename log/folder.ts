/** A run's folder: its lock, its append-only event log and its files. */
import { basename, dirname, join, resolve } from "node:path";
import {
  openOwn,
  readWhole,
  removeIfThere,
  removeUnfinished,
  type Sha256,
  sha256,
  syncFolder,
  writeWhole,
} from "../files/mod.ts";
import type { FileReference, RunEvent } from "./events.ts";
import { EVENTS_FILE } from "./parse_log.ts";
import { lineOf, RunError, RunInUseError, type RunStore, type UntimedEvent } from "./store.ts";
import { type WholeLog, wholeLog } from "./_whole_log.ts";

const LOCK_FILE = "run.lock";

/**
 * The folder of one run, held exclusively: a second run into it is refused.
 * The operating system frees the lock when the process ends, however it ends.
 *
 * @example
 * ```ts ignore
 * await using run = await RunFolder.open("runs/resnet20-cifar10-seed0");
 * run.append({ type: "warning", iteration: 0, message: "only an example" });
 * run.sync();
 * ```
 */
export class RunFolder implements RunStore {
  /** The events of earlier processes, as they stood when the folder was opened. */
  readonly earlier: readonly RunEvent[];
  /** Bytes of a torn last line that were cut off when the folder was opened. */
  readonly tornBytes: number;
  readonly #lock: Deno.FsFile;
  readonly #log: Deno.FsFile;
  readonly #hash: Sha256;
  /** Bytes of the log's whole lines; what is behind them is a part of a line. */
  #length: number;
  #torn = false;
  #ended: boolean;
  readonly #made: boolean;
  #closed = false;

  private constructor(
    /** The folder's path. */
    readonly path: string,
    lock: Deno.FsFile,
    log: Deno.FsFile,
    read: WholeLog,
    made: boolean,
  ) {
    this.#lock = lock;
    this.#log = log;
    this.#hash = read.hash;
    this.#length = read.length;
    this.#made = made;
    this.earlier = read.events;
    this.#ended = read.events.at(-1)?.type === "end";
    this.tornBytes = read.tornBytes;
  }

  /**
   * Opens the folder of a run and makes it if it is not there.
   *
   * A last line that a killed process left unfinished is cut off, so that every
   * line of the log stays one JSON object.
   *
   * @param path The folder.
   * @returns The folder, locked until {@link close}.
   * @throws {RunError} If the folder can't be made or written, is in use by
   *   another process, or holds files but no run.
   */
  static async open(path: string): Promise<RunFolder> {
    const made = !await exists(path);
    let lock: Deno.FsFile | undefined;
    let log: Deno.FsFile | undefined;
    try {
      await Deno.mkdir(path, { recursive: true });
      await refuseForeignFiles(path);
      lock = await takeLock(path);
      await removeUnfinished(path);
      log = await openOwn(join(path, EVENTS_FILE), { append: true });
      // The log's name before all others: of a folder without it nobody knows whose files it holds.
      if ((await log.stat()).size === 0) {
        await syncFolder(path);
        // The folder's own name, where the folder that it lies in may be read.
        if (made) await syncFolder(dirname(resolve(path))).catch(() => {});
      }
      return new RunFolder(path, lock, log, await readLog(log, path), made);
    } catch (error) {
      log?.close();
      lock?.close();
      if (error instanceof RunError || error instanceof Deno.errors.NotCapable) throw error;
      throw new RunError(
        `the run's folder "${path}" must be a folder that can be written; opening it failed: ${
          messageOf(error)
        }. Choose another with --out`,
        { cause: error },
      );
    }
  }

  /** The run's name: that of its folder. */
  get name(): string {
    return basename(resolve(this.path));
  }

  /**
   * Adds one line to the log.
   *
   * @param event The event; the time and the seal are added.
   * @throws {RunError} If it can't be written.
   */
  append(event: UntimedEvent): void {
    const line = new TextEncoder().encode(lineOf(event, this.#hash, resolve(this.path)));
    if (this.#length === 0 && event.type !== "start") {
      throw new RunError(`a log begins with its start, found "${event.type}"`);
    }
    // Where the disk refuses to keep the end, the end stands all the same: the run is over.
    if (this.#ended) throw new RunError(`nothing follows a run's end, found "${event.type}"`);
    try {
      // A part of a line stays behind where the disk was full: it goes before anything follows.
      if (this.#torn) this.#log.truncateSync(this.#length);
      this.#torn = true;
      for (let written = 0; written < line.length;) {
        written += this.#log.writeSync(line.subarray(written));
      }
      this.#torn = false;
      this.#ended = event.type === "end";
      this.#length += line.length;
      this.#hash.update(line);
    } catch (error) {
      this.#cutTornLine();
      throw new RunError(
        `a line of ${line.length} bytes could not be added to "${join(this.path, EVENTS_FILE)}": ${
          messageOf(error)
        }. Make room or access, and run the same command to go on`,
        { cause: error },
      );
    }
  }

  /** Takes a part of a line away at once, where that can be done. */
  #cutTornLine(): void {
    if (!this.#torn) return;
    try {
      this.#log.truncateSync(this.#length);
      this.#torn = false;
    } catch {
      // It is tried again before the next line, and when the folder is opened.
    }
  }

  /**
   * Returns when every line so far is on the disk.
   *
   * @throws {RunError} If the disk refuses.
   */
  sync(): void {
    try {
      this.#log.syncSync();
    } catch (error) {
      throw new RunError(
        `"${join(this.path, EVENTS_FILE)}" could not be brought onto the disk: ${
          messageOf(error)
        }. Make room or access, and run the same command to go on`,
        { cause: error },
      );
    }
  }

  /**
   * Writes a file of the run: whole, synced and renamed into place.
   *
   * @param name Its name in the folder.
   * @param content Bytes, or text that is written as UTF-8.
   * @returns What the log says of it.
   * @throws {RunError} If it can't be written; a file that had the name before is unharmed.
   *   If the folder is no longer this run's.
   */
  async write(name: string, content: Uint8Array | string): Promise<FileReference> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await this.#requireOwn();
    try {
      await writeWhole(join(this.path, name), bytes);
    } catch (error) {
      throw new RunError(
        `"${name}" (${bytes.length} bytes) could not be written into "${this.path}": ${
          messageOf(error)
        }. What was there before is unharmed; make room or access, and run the same command to go on`,
        { cause: error },
      );
    }
    return { path: name, sha256: sha256(bytes), bytes: bytes.length };
  }

  /** @throws {RunError} If somebody has taken the folder away, or another run has made it anew. */
  async #requireOwn(): Promise<void> {
    const log = join(this.path, EVENTS_FILE);
    if (await isAt(log, this.#log)) return;
    throw new RunError(
      `the run's folder "${this.path}" must hold the ${EVENTS_FILE} of this run, found ${
        await exists(log) ? "another one" : "none"
      }: it was moved, removed or made anew while the run went on. Where it was moved, go on with ` +
        `its new name for --out; else run the same command to begin anew`,
    );
  }

  /** The names of all that the folder holds. */
  names(): Promise<readonly string[]> {
    return this.#attempt(
      "listing it",
      async () => (await Array.fromAsync(Deno.readDir(this.path))).map(({ name }) => name),
    );
  }

  /** The content of a file. */
  read(name: string): Promise<Uint8Array> {
    return this.#attempt(`reading "${name}"`, () => readWhole(join(this.path, name)));
  }

  /** Removes a file; one that is not there is no error. */
  remove(name: string): Promise<void> {
    return this.#attempt(`removing "${name}"`, () => removeIfThere(join(this.path, name)));
  }

  /** @throws {RunError} If the operating system refuses, or somebody has taken the folder away. */
  async #attempt<T>(what: string, operation: () => Promise<T>): Promise<T> {
    try {
      return await operation();
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      throw new RunError(
        `the run's folder "${this.path}": ${what} failed: ${
          messageOf(error)
        }. Make room or access, and run the same command to go on`,
        { cause: error },
      );
    }
  }

  /** Frees the lock. A folder that this object made and that holds no event is removed. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cutTornLine();
    const empty = this.#length === 0;
    this.#log.close();
    try {
      if (empty) {
        await removeIfThere(join(this.path, EVENTS_FILE));
        await removeIfThere(join(this.path, LOCK_FILE));
      }
      this.#lock.close();
      if (empty && this.#made) await removeIfThere(this.path);
    } catch {
      // What is left behind is empty; the work is done, or its own error says why it is not.
    }
  }

  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    // Whatever else is wrong shows when the folder is opened.
    return true;
  }
}

/** A folder of somebody's other files is no place for a run. */
async function refuseForeignFiles(path: string): Promise<void> {
  const names = (await Array.fromAsync(Deno.readDir(path))).map(({ name }) => name);
  const foreign = names.filter((name) => name !== LOCK_FILE);
  if (foreign.length > 0 && !names.includes(EVENTS_FILE)) {
    throw new RunError(
      `"${path}" must be an empty or a new folder, or a run's; it holds "${
        foreign[0]
      }" and no ${EVENTS_FILE}. Choose another with --out`,
    );
  }
}

async function takeLock(path: string): Promise<Deno.FsFile> {
  const lock = join(path, LOCK_FILE);
  const file = await openOwn(lock);
  if (!await file.tryLock(true)) {
    file.close();
    const holder = await Deno.readTextFile(lock).catch(() => "");
    throw new RunInUseError(
      `"${path}" is in use by another run${
        holder && ` (${holder.trim()})`
      }. Wait for it, stop it, or choose another folder with --out`,
    );
  }
  if (!await isAt(lock, file)) {
    // Whoever held it has removed it as it left: the next one locks another file.
    file.close();
    return await takeLock(path);
  }
  await file.truncate();
  await file.write(
    new TextEncoder().encode(`process ${Deno.pid}, since ${new Date().toISOString()}\n`),
  );
  return file;
}

/** Whether an open file is still the one that has its name. */
async function isAt(path: string, file: Deno.FsFile): Promise<boolean> {
  const [own, found] = await Promise.all([
    file.stat(),
    Deno.lstat(path).catch(() => undefined),
  ]);
  return found?.ino === own.ino && found.dev === own.dev;
}

/** What a log holds, after what a killed process or a full disk left at its end is cut off. */
async function readLog(file: Deno.FsFile, path: string): Promise<WholeLog> {
  const { size } = await file.stat();
  const whole = await wholeLog(join(path, EVENTS_FILE), size, async () => {
    const bytes = new Uint8Array(size);
    for (let read = 0; read < bytes.length;) {
      const count = await file.read(bytes.subarray(read));
      if (count === null) break;
      read += count;
    }
    return bytes;
  });
  if (whole.tornBytes > 0) await file.truncate(whole.length);
  return whole;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
