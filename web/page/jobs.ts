/// <reference lib="dom" />
/** Work in a worker, which can be ended at any moment and takes nothing of the page with it. */
import type { Given, Judged, Told } from "./messages.ts";
import { endOf, type PageWorker, startWorker } from "./workers.ts";

/** Work that is under way. */
export interface Work {
  /** What it came to, or why to nothing. */
  readonly done: Promise<Judged | string>;
  /** Ends it at once, wherever it is. */
  readonly cancel: () => void;
}

/** A worker and whether it can be asked. */
interface Started extends PageWorker {
  /** Rejects where it ended before. */
  readonly ready: Promise<void>;
}

/** Does one thing after the other, in the same worker as long as each comes to its own end. */
export class Jobs<Asked extends Given> {
  readonly #program: string;
  readonly #name: string;
  #started: Started | undefined;

  /**
   * @param program The worker's program.
   * @param name The worker's, for the browser's tools.
   */
  constructor(program: string, name: string) {
    this.#program = program;
    this.#name = name;
    // So that it is ready when the first file is given.
    this.#started = this.#start();
  }

  #start(): Started {
    const started = startWorker(this.#program, this.#name);
    const { worker } = started;
    const ready = new Promise<void>((resolve, reject) => {
      worker.onmessage = () => resolve();
      worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(endOf(event)));
      };
    });
    ready.catch(() => {}); // told when something is asked of it
    return { ...started, ready };
  }

  /**
   * Starts one; the one before has to be done.
   *
   * @param asked What is asked for.
   * @param tell Gets what is being done.
   * @param seconds After so many it is ended.
   */
  begin(asked: Asked, tell: (text: string) => void, seconds: number): Work {
    const { worker, end: endWorker, ready } = this.#started ??= this.#start();
    let isOver = false;
    let end: (result: Judged | string, isItsOwn?: boolean) => void;
    const done = new Promise<Judged | string>((resolve) =>
      end = (result, isItsOwn = false) => {
        // Ended again, by whom no longer wants it: the worker may have been asked for more.
        if (isOver) return;
        isOver = true;
        clearTimeout(timer);
        // One that was stopped may be anywhere; one that failed may have no memory left.
        if (!isItsOwn) {
          endWorker();
          this.#started = undefined;
        }
        resolve(result);
      }
    );
    const timer = setTimeout(
      () => end(`it was not done after ${seconds} seconds and was ended; the command has no limit`),
      seconds * 1000,
    );
    worker.onerror = (event) => {
      event.preventDefault();
      end(endOf(event));
    };
    worker.onmessageerror = () => end("the worker's answer can't be read");
    const ask = () => {
      worker.onmessage = ({ data }: MessageEvent<Told>) => {
        if (data.type === "judged") end(data.judged, true);
        else if (data.type === "refused") end(data.message, true);
        else if (data.type !== "ready") tell(data.text);
      };
      worker.postMessage(asked);
    };
    ready.then(ask, ({ message }: Error) => end(message));
    return { done, cancel: () => end("cancelled") };
  }
}
