/// <reference lib="dom" />
/** Starts a page's worker. */
import type { ThreadAsked, ThreadTold } from "../../engine/wasm/mod.ts";

/** Around a program: it waits at its top, which a worker that is no module may only in a function. */
const BEFORE = '"use strict"; (async () => {';
/** What fails before it is ready has to be heard of. */
const AFTER = "\n})().catch((error) => setTimeout(() => { throw error; }));";

/** A worker of a page, and the threads that it computes on. */
export interface PageWorker {
  readonly worker: Worker;
  /** Ends all of them at once, wherever they are. */
  readonly end: () => void;
}

/**
 * Starts a worker. Its first message says that it listens: what is sent before is lost.
 *
 * @param program Its text, which is in the page, so that nothing is requested.
 * @param name For the browser's tools.
 */
export function startWorker(program: string, name: string): PageWorker {
  // Chromium starts no module for a page that was opened from a folder.
  const type = globalThis.location?.protocol === "file:" ? "classic" : "module";
  const worker = fromText([BEFORE, program, AFTER], { type, name });
  const threads = new Set<Worker>();
  worker.addEventListener("message", (event: MessageEvent<ThreadAsked | { type: string }>) => {
    if (!isThreadAsked(event.data)) return;
    event.stopImmediatePropagation();
    const { program, name, first, answers } = event.data;
    const thread = fromText([program], { type: "module", name });
    threads.add(thread);
    thread.onmessage = ({ data }: MessageEvent<ThreadTold>) => answers.postMessage(data);
    thread.onerror = (failed) => {
      failed.preventDefault();
      answers.postMessage(endOf(failed) satisfies ThreadTold);
    };
    answers.onmessage = () => {
      thread.terminate();
      threads.delete(thread);
      answers.close();
    };
    thread.postMessage(first);
  });
  const end = () => {
    worker.terminate();
    threads.forEach((thread) => thread.terminate());
  };
  return { worker, end };
}

/** From a blob, so that the page's policy is the worker's too. */
function fromText(text: string[], options: WorkerOptions): Worker {
  const url = URL.createObjectURL(new Blob(text, { type: "text/javascript" }));
  const worker = new Worker(url, options);
  worker.addEventListener("message", () => URL.revokeObjectURL(url), { once: true });
  return worker;
}

function isThreadAsked(data: ThreadAsked | { type: string }): data is ThreadAsked {
  return data.type === "thread";
}

/** Why a worker ended that did not end by itself. */
export function endOf({ message }: ErrorEvent): string {
  return `the worker ended: ${message || "its memory did not suffice"}`;
}
