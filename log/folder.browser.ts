/** For `folder.ts` in a browser, where a run is kept elsewhere than in a folder of the disk. */
import { RunError, type RunStore } from "./store.ts";

/** Refuses: a training is handed another {@linkcode RunStore}, such as that of `MemoryRun`. */
export class RunFolder {
  static open(path: string): Promise<RunStore> {
    return Promise.reject(
      new RunError(`"${path}": a page in a browser keeps no run in a folder; keep it in memory`),
    );
  }
}
