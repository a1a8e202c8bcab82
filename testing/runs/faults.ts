/** For tests of what a crash leaves: a process whose k-th operation on files goes wrong. */

/**
 * What happens at the operation: the process ends before it, in the middle of
 * it or after it; it ends, and what was not synced is lost; the disk is full
 * once, or from then on; it is broken; a write takes a part of its bytes.
 */
export const FAULTS = [
  ...["before", "half", "after", "unsynced", "full once", "full", "broken", "short"] as const,
] as const;

/** One of {@link FAULTS}. */
export type Fault = typeof FAULTS[number];

/** The exit status of a process that a fault ended. */
export const KILLED = 137;

/**
 * From now on this process's k-th operation that changes files under a folder
 * goes wrong. When the process ends, the number of operations is printed to
 * standard error, as `operations: N`.
 *
 * @param fault What goes wrong.
 * @param k From 1; 0 for never.
 */
export function faultAt(fault: Fault, k: number): void {
  let operations = 0;
  /** Bytes of each file that is open for writing: those that are on the disk for certain. */
  const synced = new Map<Deno.FsFile, { readonly path: string; length: number }>();
  const { open, rename, remove, mkdir, exit } = Deno;
  const { writeSync, sync, syncSync, truncate, truncateSync } = Deno.FsFile.prototype;
  const sizeOf = (path: string) => Deno.statSync(path).size;

  const die = (): never => exit(KILLED);
  const failing = (code: "ENOSPC" | "EIO"): never => {
    const message = code === "EIO"
      ? "Input/output error (os error 5)"
      : "No space left on device (os error 28)";
    throw Object.assign(new Error(message), { code });
  };
  /** Before an operation; `part` does a half of it. Whether a write is to be a short one. */
  function due(part: () => void, grows: boolean): boolean {
    operations++;
    if (fault === "full" && k > 0 && operations >= k && grows) failing("ENOSPC");
    if (operations !== k) return false;
    if (fault === "before") die();
    if (fault === "half") {
      part();
      die();
    }
    if (fault === "unsynced") {
      for (const { path, length } of synced.values()) {
        try {
          Deno.truncateSync(path, length);
        } catch {
          // It was renamed since: what is renamed was synced before.
        }
      }
      die();
    }
    if (fault === "full once" && grows) failing("ENOSPC");
    if (fault === "broken") failing("EIO");
    return fault === "short";
  }
  const afterwards = () => {
    if (fault === "after" && operations === k) die();
  };
  const nothing = () => {};

  Object.assign(Deno, {
    open: async (path: string, options: Deno.OpenOptions = {}) => {
      const writes = options.write || options.append || options.createNew;
      if (writes) due(nothing, true);
      const file = await open(path, options);
      if (writes) synced.set(file, { path, length: sizeOf(path) });
      if (writes) afterwards();
      return file;
    },
    rename: async (...args: Parameters<typeof rename>) => {
      due(nothing, false);
      await rename(...args);
      afterwards();
    },
    remove: async (...args: Parameters<typeof remove>) => {
      due(nothing, false);
      await remove(...args);
      afterwards();
    },
    mkdir: async (...args: Parameters<typeof mkdir>) => {
      due(nothing, true);
      await mkdir(...args);
      afterwards();
    },
    exit: (code?: number) => {
      console.error(`operations: ${operations}`);
      exit(code);
    },
  });
  const half = (bytes: Uint8Array) => bytes.subarray(0, bytes.length >> 1);
  Object.assign(Deno.FsFile.prototype, {
    write(this: Deno.FsFile, bytes: Uint8Array) {
      const short = due(() => writeSync.call(this, half(bytes)), true);
      const written = writeSync.call(this, short && bytes.length > 1 ? half(bytes) : bytes);
      afterwards();
      return Promise.resolve(written);
    },
    writeSync(this: Deno.FsFile, bytes: Uint8Array) {
      const short = due(() => writeSync.call(this, half(bytes)), true);
      const written = writeSync.call(this, short && bytes.length > 1 ? half(bytes) : bytes);
      afterwards();
      return written;
    },
    async sync(this: Deno.FsFile) {
      due(nothing, false);
      await sync.call(this);
      const file = synced.get(this);
      if (file) file.length = this.statSync().size;
      afterwards();
    },
    syncSync(this: Deno.FsFile) {
      due(nothing, false);
      syncSync.call(this);
      const file = synced.get(this);
      if (file) file.length = this.statSync().size;
      afterwards();
    },
    async truncate(this: Deno.FsFile, length?: number) {
      due(nothing, false);
      await truncate.call(this, length);
      afterwards();
    },
    truncateSync(this: Deno.FsFile, length?: number) {
      due(nothing, false);
      truncateSync.call(this, length);
      afterwards();
    },
  });
}
