/// <reference lib="dom" />
/** The page's one worker: it trains, and keeps the runs. */
import type { Asked, Told } from "./messages.ts";

/** Asks the worker. */
export type Ask = (asked: Asked) => void;

/**
 * Starts the worker.
 *
 * @param program Its text, which is in the page, so that nothing is requested.
 * @param tell Gets everything that it says.
 */
export function startTraining(program: string, tell: (told: Told) => void): Ask {
  // From a blob, so that the page's policy is the worker's too.
  const url = URL.createObjectURL(new Blob([program], { type: "text/javascript" }));
  const worker = new Worker(url, { type: "module", name: "training" });
  worker.onmessage = ({ data }: MessageEvent<Told>) => tell(data);
  worker.onerror = (event) => {
    event.preventDefault();
    const message = event.message || "its memory did not suffice";
    tell({ type: "refused", message: `the worker ended: ${message}; load the page again` });
  };
  return (asked) => worker.postMessage(asked);
}

/** Saves what a run was made into. */
export function saveFile({ name, media, content }: Extract<Told, { type: "saved" }>): void {
  const url = URL.createObjectURL(new Blob([content], { type: media }));
  const link = document.createElement("a");
  Object.assign(link, { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
