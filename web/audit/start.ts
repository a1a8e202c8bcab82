/// <reference lib="dom" />
/** Audits in a worker, which can be ended at any moment and takes nothing of the page with it. */
import type { Asked, Judged, Told } from "./messages.ts";

/** An audit that is under way. */
export interface Work {
  /** The report, or why there is none. */
  readonly done: Promise<Judged | string>;
  /** Ends it at once, wherever it is. */
  readonly cancel: () => void;
}

/** A worker and whether it can be asked. */
interface Started {
  readonly worker: Worker;
  readonly ready: Promise<void>;
}

/** Around a program: it waits at its top, which a worker that is no module may only in a function. */
const BEFORE = '"use strict"; (async () => {';
/** What fails before it is ready has to be heard of. */
const AFTER = "\n})().catch((error) => setTimeout(() => { throw error; }));";

/** Runs audits one after the other, in the same worker as long as each comes to its own end. */
export class Auditor {
  readonly #program: string;
  #started: Started | undefined;

  /**
   * @param program The worker's program: its text is in the page, so that nothing is requested.
   */
  constructor(program: string) {
    this.#program = program;
    // So that it is ready when the first file is given.
    this.#started = this.#start();
  }

  #start(): Started {
    // From a blob, so that the page's policy is the worker's too.
    const url = URL.createObjectURL(
      new Blob([BEFORE, this.#program, AFTER], { type: "text/javascript" }),
    );
    // Chromium starts no module for a page that was opened from a folder.
    const type = globalThis.location?.protocol === "file:" ? "classic" : "module";
    const worker = new Worker(url, { type, name: "audit" });
    const ready = new Promise<void>((resolve) =>
      worker.onmessage = () => {
        URL.revokeObjectURL(url);
        resolve();
      }
    );
    return { worker, ready };
  }

  /**
   * Starts an audit; the one before has to be done.
   *
   * @param asked What is judged.
   * @param tell Gets what is being done.
   * @param seconds After so many it is ended.
   */
  audit(asked: Asked, tell: (text: string) => void, seconds: number): Work {
    const { worker, ready } = this.#started ??= this.#start();
    let end: (result: Judged | string, isItsOwn?: boolean) => void;
    const done = new Promise<Judged | string>((resolve) =>
      end = (result, isItsOwn = false) => {
        clearTimeout(timer);
        // One that was stopped may be anywhere; one that failed may have no memory left.
        if (!isItsOwn) {
          worker.terminate();
          this.#started = undefined;
        }
        resolve(result);
      }
    );
    const timer = setTimeout(
      () =>
        end(`it was not done after ${seconds} seconds and was ended; deno task audit has no limit`),
      seconds * 1000,
    );
    worker.onerror = (event) => {
      event.preventDefault();
      end(`the worker ended: ${event.message || "its memory did not suffice"}`);
    };
    worker.onmessageerror = () => end("the worker's answer can't be read");
    ready.then(() => {
      worker.onmessage = ({ data }: MessageEvent<Told>) => {
        if (data.type === "judged") end(data.judged, true);
        else if (data.type === "refused") end(data.message, true);
        else if (data.type !== "ready") tell(data.text);
      };
      worker.postMessage(asked);
    });
    return { done, cancel: () => end("cancelled") };
  }
}
