/**
 * For `folder.ts` in a browser: a run's folder in the page's private file system, which survives
 * the page. Its code runs in a worker, where a file of it can be written at once.
 *
 * Source: the File System standard (WHATWG), of which Chromium, Firefox and Safari have this part.
 */
import { disk, sha256 } from "../files/mod.ts";
import { OwnFolder, type OwnLog } from "../files/browser/mod.ts";
import type { FileReference, RunEvent } from "./events.ts";
import { EVENTS_FILE } from "./parse_log.ts";
import { lineOf, RunError, RunInUseError, type RunStore, type UntimedEvent } from "./store.ts";
import { type WholeLog, wholeLog } from "./_whole_log.ts";

/** As that of `folder.ts`: the open log is the lock, which ends with the worker. */
export class RunFolder implements RunStore {
  readonly earlier: readonly RunEvent[];
  readonly tornBytes: number;
  /** Every line so far, as it would be read back. */
  readonly events: RunEvent[];
  readonly #folder: OwnFolder;
  readonly #log: OwnLog;
  readonly #hash: WholeLog["hash"];
  #length: number;
  #ended: boolean;

  private constructor(readonly path: string, folder: OwnFolder, log: OwnLog, read: WholeLog) {
    this.#folder = folder;
    this.#log = log;
    this.#hash = read.hash;
    this.#length = read.length;
    this.earlier = read.events;
    this.events = [...read.events];
    this.tornBytes = read.tornBytes;
    this.#ended = read.events.at(-1)?.type === "end";
  }

  /**
   * Opens the folder of a run and makes it if it is not there.
   *
   * @param path The folder.
   * @returns The folder, locked until {@link close}.
   * @throws {RunError} If it can't be kept, is in use by another page, or holds no run.
   */
  static async open(path: string): Promise<RunFolder> {
    const folder = await attempt(path, "opening it", () => OwnFolder.open(path, { create: true }));
    const log = await attempt(path, "opening its log", () => folder.openLog(EVENTS_FILE));
    if (!log) {
      throw new RunInUseError(
        `"${path}" is in use: another tab of this page trains it. Go on there, or close it`,
      );
    }
    try {
      const read = await wholeLog(`${path}/${EVENTS_FILE}`, log.size(), log.read);
      if (read.tornBytes > 0) log.truncate(read.length);
      return new RunFolder(path, folder, log, read);
    } catch (error) {
      log.close();
      throw error;
    }
  }

  /** The log's bytes so far: what is parsed may be written otherwise, and is sealed as it is. */
  log(): Uint8Array {
    return this.#log.read();
  }

  get name(): string {
    return this.path.slice(this.path.lastIndexOf("/") + 1);
  }

  append(event: UntimedEvent): void {
    const text = lineOf(event, this.#hash);
    const line = new TextEncoder().encode(text);
    if (this.#length === 0 && event.type !== "start") {
      throw new RunError(`a log begins with its start, found "${event.type}"`);
    }
    if (this.#ended) throw new RunError(`nothing follows a run's end, found "${event.type}"`);
    let written: number | undefined;
    try {
      // At its place: a part of a line that did not fit before is written over.
      written = this.#log.write(line, this.#length);
    } catch (error) {
      throw this.#refusal("adding a line to its log", error);
    }
    if (written < line.length) {
      this.#log.truncate(this.#length);
      throw this.#refusal("adding a line to its log", new Error("there is no room"));
    }
    this.#ended = event.type === "end";
    this.#length += line.length;
    this.#hash.update(line);
    this.events.push(JSON.parse(text));
  }

  sync(): void {
    try {
      this.#log.flush();
    } catch (error) {
      throw this.#refusal("keeping its log", error);
    }
  }

  async write(name: string, content: Uint8Array | string): Promise<FileReference> {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
    await attempt(
      this.path,
      `writing "${name}" (${bytes.length} bytes)`,
      () => this.#folder.write(name, bytes),
    );
    return { path: name, sha256: sha256(bytes), bytes: bytes.length };
  }

  names(): Promise<readonly string[]> {
    return attempt(this.path, "listing it", () => this.#folder.names());
  }

  async read(name: string): Promise<Uint8Array> {
    const file = await attempt(this.path, `reading "${name}"`, () => this.#folder.file(name));
    if (!file) throw disk.missing(`${this.path}/${name}`);
    return new Uint8Array(await file.arrayBuffer());
  }

  remove(name: string): Promise<void> {
    return attempt(this.path, `removing "${name}"`, () => this.#folder.remove(name));
  }

  /** Frees the lock. */
  close(): Promise<void> {
    this.#log.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #refusal(what: string, error: unknown): RunError {
    return refusal(this.path, what, error);
  }
}

async function attempt<T>(path: string, what: string, operation: () => Promise<T>): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    throw refusal(path, what, error);
  }
}

function refusal(path: string, what: string, error: unknown): RunError {
  const message = error instanceof Error ? error.message : String(error);
  return new RunError(
    `the run "${path}" in this browser's own storage: ${what} failed: ${message}. Make room, or ` +
      "let this page keep files, and go on",
    { cause: error },
  );
}
