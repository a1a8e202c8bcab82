/**
 * For `_worker.ts` in a page's worker: the page starts the thread's. A worker that starts one itself
 * may stand still for ever in Firefox (seen in 153: `new Worker` in a worker waits for the page's
 * thread to register it, on a condition that it shares with the new thread, and of the two only one
 * is woken).
 */
import type { ThreadAsked, ThreadTold } from "./thread_asked.ts";
import type { StartedWorker } from "./_worker.ts";

export type { StartedWorker };

/** The part of a worker's own scope that is used. */
interface Scope {
  readonly postMessage: (asked: ThreadAsked, moved: readonly MessagePort[]) => void;
}

/** Asks the page to start a worker; see `_worker.ts`. */
export function startWorker(program: string, name: string, first: unknown): StartedWorker {
  const { port1: port, port2: answers } = new MessageChannel();
  const ready = new Promise<void>((resolve, reject) =>
    port.onmessage = ({ data }: MessageEvent<ThreadTold>) =>
      data === "ready" ? resolve() : reject(new Error(data))
  );
  (globalThis as unknown as Scope).postMessage(
    { type: "thread", program, name, first, answers },
    [answers],
  );
  return {
    ready,
    // Whatever the page hears ends it.
    terminate: () => port.postMessage("end"),
  };
}
