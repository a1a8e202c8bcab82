/** For tests: a process that stands still at a chosen operation on files, to be killed there. */

/**
 * From now on, before this process's k-th operation on files (in the middle of
 * it, for a write), `in <operation>` is printed and everything stands still.
 *
 * @param k From 1; 0 for never.
 * @returns Tells how many operations there were so far.
 */
export function stallBefore(k: number): () => number {
  let operations = 0;
  function stallIfDue(place: string, before: () => void = () => {}): void {
    if (++operations !== k) return;
    before();
    Deno.stdout.writeSync(new TextEncoder().encode(`in ${place}\n`));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }

  const { open, rename, remove } = Deno;
  const { write, writeSync, sync, syncSync } = Deno.FsFile.prototype;
  Object.assign(Deno, {
    open: (...args: Parameters<typeof open>) => (stallIfDue("open"), open(...args)),
    rename: (...args: Parameters<typeof rename>) => (stallIfDue("rename"), rename(...args)),
    remove: (...args: Parameters<typeof remove>) => (stallIfDue("remove"), remove(...args)),
  });
  Object.assign(Deno.FsFile.prototype, {
    write(this: Deno.FsFile, bytes: Uint8Array) {
      stallIfDue("write", () => writeSync.call(this, bytes.subarray(0, bytes.length >> 1)));
      return write.call(this, bytes);
    },
    writeSync(this: Deno.FsFile, bytes: Uint8Array) {
      stallIfDue("writeSync", () => writeSync.call(this, bytes.subarray(0, bytes.length >> 1)));
      return writeSync.call(this, bytes);
    },
    sync(this: Deno.FsFile) {
      stallIfDue("sync");
      return sync.call(this);
    },
    syncSync(this: Deno.FsFile) {
      stallIfDue("syncSync");
      return syncSync.call(this);
    },
  });
  return () => operations;
}
