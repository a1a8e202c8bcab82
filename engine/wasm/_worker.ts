/** Starts a thread's worker; in a browser `_worker.browser.ts` does. */

/** A worker, from its start on. */
export interface StartedWorker {
  /** Resolves when it has answered `ready`; rejects with its answer where that is another. */
  readonly ready: Promise<void>;
  /** Ends it wherever it is. */
  terminate(): void;
}

/**
 * Starts a worker from a self-contained blob, which needs no permission.
 *
 * @param program Its text. It answers its first message with `ready`, or with why it is not.
 * @param name For a debugger.
 * @param first Its first message.
 */
export function startWorker(program: string, name: string, first: unknown): StartedWorker {
  const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module", name });
  const ready = new Promise<void>((resolve, reject) => {
    worker.onmessage = ({ data }) => data === "ready" ? resolve() : reject(new Error(data));
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
    worker.postMessage(first);
  }).finally(() => URL.revokeObjectURL(url));
  return { ready, terminate: () => worker.terminate() };
}
