/** The worker of the page that trains. */
import "../page/without_eval.ts";
import type { Asked, Told } from "./messages.ts";
import { TrainingSession } from "./session.ts";
import { openShelf } from "./shelf.ts";

/** The part of a worker's own scope that is used. */
interface Scope {
  onmessage: (message: { readonly data: Asked }) => void;
  readonly postMessage: (told: Told) => void;
  readonly crossOriginIsolated: boolean;
}

const scope = globalThis as unknown as Scope;
const shelf = await openShelf();
const session = new TrainingSession(shelf, (told) => scope.postMessage(told));
scope.onmessage = ({ data }) => session.ask(data);
scope.postMessage({ type: "ready", keeps: shelf.keeps, isolated: scope.crossOriginIsolated });
