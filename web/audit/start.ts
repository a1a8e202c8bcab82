/// <reference lib="dom" />
/** A worker for each audit: it can be ended at any moment, and takes nothing of the page with it. */
import type { Asked, Judged, Told } from "./messages.ts";

/** An audit that is under way. */
export interface Work {
  /** The report, or why there is none. */
  readonly done: Promise<Judged | string>;
  /** Ends it at once, wherever it is. */
  readonly cancel: () => void;
}

/**
 * Starts an audit.
 *
 * @param program The worker's program: its text is in the page, so that nothing is requested.
 * @param asked What is judged.
 * @param tell Gets what is being done.
 * @param seconds After so many it is ended.
 */
export function startAudit(
  program: string,
  asked: Asked,
  tell: (text: string) => void,
  seconds: number,
): Work {
  // From a blob, so that the page's policy is the worker's too.
  const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module", name: `audit of ${asked.target}` });
  let end: (result: Judged | string) => void;
  const done = new Promise<Judged | string>((resolve) => end = resolve);
  const timer = setTimeout(
    () =>
      end(`it was not done after ${seconds} seconds and was ended; deno task audit has no limit`),
    seconds * 1000,
  );
  worker.onmessage = ({ data }: MessageEvent<Told>) => {
    if (data.type === "ready") worker.postMessage(asked);
    else if (data.type === "judged") end(data.judged);
    else if (data.type === "refused") end(data.message);
    else tell(data.text);
  };
  worker.onerror = (event) => {
    event.preventDefault();
    end(`the worker ended: ${event.message || "its memory did not suffice"}`);
  };
  worker.onmessageerror = () => end("the worker's answer can't be read");
  return {
    done: done.finally(() => {
      clearTimeout(timer);
      worker.terminate();
      URL.revokeObjectURL(url);
    }),
    cancel: () => end("cancelled"),
  };
}
