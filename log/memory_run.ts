/** A run's folder that needs no disk and no permission: for tests of runs. */
import { disk, Sha256, sha256 } from "../files/mod.ts";
import { lineOf, type RunStore, type UntimedEvent } from "./store.ts";
import { EVENTS_FILE } from "./parse_log.ts";
import type { FileReference, RunEvent } from "./events.ts";

/**
 * A run's folder in memory. {@linkcode MemoryRun.open} gives the trainer a
 * store; the events and the files stay here when the trainer is done.
 *
 * @example
 * ```ts
 * import { MemoryRun } from "./memory_run.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = new MemoryRun();
 * const run = await folder.open("a");
 * run.append({ type: "warning", iteration: 0, message: "only an example" });
 * assertEquals(folder.events.map(({ type }) => type), ["warning"]);
 * ```
 */
export class MemoryRun {
  /** The log so far. */
  readonly events: RunEvent[];
  /** The files by name, without the log. */
  readonly files: Map<string, Uint8Array>;

  /**
   * Makes a folder.
   *
   * @param from A folder to copy; an empty one is made when undefined.
   */
  constructor(from?: Pick<MemoryRun, "events" | "files">) {
    this.events = [...from?.events ?? []];
    this.files = new Map(from?.files);
  }

  /** Opens the folder, as `TrainOptions.open` wants it. */
  readonly open = (path: string): Promise<RunStore> => {
    const { events, files } = this;
    const log = new Sha256();
    log.update(textOf(events));
    return Promise.resolve({
      path,
      name: path.slice(path.lastIndexOf("/") + 1),
      earlier: [...events],
      tornBytes: 0,
      append(event: UntimedEvent): void {
        const line = lineOf(event, log);
        log.update(line);
        // As it would be read back: fields without a value are not written.
        events.push(JSON.parse(line));
      },
      sync(): void {},
      write(name: string, content: Uint8Array | string): Promise<FileReference> {
        const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
        files.set(name, bytes.slice());
        return Promise.resolve({ path: name, sha256: sha256(bytes), bytes: bytes.length });
      },
      names: () => Promise.resolve([...files.keys()]),
      read: this.read,
      remove(name: string): Promise<void> {
        files.delete(name);
        return Promise.resolve();
      },
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  };

  /** Reads a file by its name or its path, the log too: what `readRun` reads with. */
  // deno-lint-ignore require-await -- async, so that a missing file rejects
  readonly read = async (path: string): Promise<Uint8Array> => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    if (name === EVENTS_FILE) {
      return new TextEncoder().encode(textOf(this.events));
    }
    const bytes = this.files.get(name);
    if (!bytes) throw disk.missing(path);
    return bytes;
  };
}

function textOf(events: readonly RunEvent[]): string {
  return events.map((event) => JSON.stringify(event) + "\n").join("");
}
