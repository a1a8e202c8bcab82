/// <reference lib="dom" />
/** Starts a page's worker. */

/** Around a program: it waits at its top, which a worker that is no module may only in a function. */
const BEFORE = '"use strict"; (async () => {';
/** What fails before it is ready has to be heard of. */
const AFTER = "\n})().catch((error) => setTimeout(() => { throw error; }));";

/**
 * Starts a worker. Its first message says that it listens: what is sent before is lost.
 *
 * @param program Its text, which is in the page, so that nothing is requested.
 * @param name For the browser's tools.
 */
export function startWorker(program: string, name: string): Worker {
  // From a blob, so that the page's policy is the worker's too.
  const url = URL.createObjectURL(
    new Blob([BEFORE, program, AFTER], { type: "text/javascript" }),
  );
  // Chromium starts no module for a page that was opened from a folder.
  const type = globalThis.location?.protocol === "file:" ? "classic" : "module";
  const worker = new Worker(url, { type, name });
  worker.addEventListener("message", () => URL.revokeObjectURL(url), { once: true });
  return worker;
}

/** Why a worker ended that did not end by itself. */
export function endOf({ message }: ErrorEvent): string {
  return `the worker ended: ${message || "its memory did not suffice"}`;
}
