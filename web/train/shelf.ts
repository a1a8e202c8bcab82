/** Where the page's runs are kept: the browser's private file system, or the memory without one. */
import { disk } from "../../files/mod.ts";
import { keepsFiles, OwnFolder } from "../../files/browser/mod.ts";
import { EVENTS_FILE, MemoryRun, type RunEvent, RunFolder, type RunStore } from "../../log/mod.ts";

/** A run that is open, with its log so far. */
export interface OpenRun {
  /** For the training. */
  readonly store: RunStore;
  /** Every line so far. */
  readonly events: readonly RunEvent[];
  /** Their file, as it is. */
  readonly log: () => Uint8Array | Promise<Uint8Array>;
}

/** All runs. */
export interface Shelf {
  /** Whether they survive the page. */
  readonly keeps: boolean;
  /** Opens a run's folder, and makes it where it is not there. */
  readonly open: (path: string) => Promise<OpenRun>;
  /** Reads a file of one, `runs/a/events.jsonl`; where it is not there, as a disk says it. */
  readonly read: (path: string) => Promise<Uint8Array>;
  /** Their names. */
  readonly names: () => Promise<readonly string[]>;
  /** Removes one. */
  readonly remove: (name: string) => Promise<void>;
}

/** The folder of all runs. */
export const RUNS = "runs";

/** The shelf of this page. */
export async function openShelf(): Promise<Shelf> {
  return await keepsFiles() ? ownShelf() : memoryShelf();
}

function ownShelf(): Shelf {
  const root = () => OwnFolder.open(RUNS, { create: true });
  return {
    keeps: true,
    async open(path) {
      const store = await RunFolder.open(path);
      // As the browser's stand-in has them.
      const { events, log } = store as unknown as OpenRun;
      return { store, events, log: log.bind(store) };
    },
    async read(path) {
      const end = path.lastIndexOf("/");
      const file = await (await OwnFolder.open(path.slice(0, end))).file(path.slice(end + 1));
      if (!file) throw disk.missing(path);
      return new Uint8Array(await file.arrayBuffer());
    },
    names: async () => await (await root()).folders(),
    remove: async (name) => await (await root()).remove(name),
  };
}

/** For pages that may keep nothing, such as one opened from a file, and for tests. */
export function memoryShelf(): Shelf {
  const runs = new Map<string, MemoryRun>();
  const folderOf = (path: string) => path.split("/")[1];
  return {
    keeps: false,
    async open(path) {
      const name = folderOf(path);
      const run = runs.get(name) ?? new MemoryRun();
      runs.set(name, run);
      return {
        store: await run.open(path),
        events: run.events,
        log: () => run.read(EVENTS_FILE),
      };
    },
    // deno-lint-ignore require-await -- so that a missing run rejects
    async read(path) {
      const run = runs.get(folderOf(path));
      if (!run || path.endsWith(`/${EVENTS_FILE}`) && run.events.length === 0) {
        throw disk.missing(path);
      }
      return run.read(path);
    },
    names: () => Promise.resolve([...runs.keys()]),
    remove: (name) => Promise.resolve(void runs.delete(name)),
  };
}
