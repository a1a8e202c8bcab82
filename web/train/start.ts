/// <reference lib="dom" />
/** The page's one worker: it trains, and keeps the runs. */
import { endOf, startWorker } from "../page/workers.ts";
import type { Asked, Told } from "./messages.ts";

/** Asks the worker. */
export type Ask = (asked: Asked) => void;

/**
 * Starts the worker.
 *
 * @param program Its text.
 * @param tell Gets everything that it says.
 */
export function startTraining(program: string, tell: (told: Told) => void): Ask {
  const { worker } = startWorker(program, "training");
  worker.onmessage = ({ data }: MessageEvent<Told>) => tell(data);
  worker.onerror = (event) => {
    event.preventDefault();
    tell({ type: "refused", message: `${endOf(event)}; load the page again` });
  };
  return (asked) => worker.postMessage(asked);
}
