/** The audit's worker. */
import "./without_eval.ts";
import { judge } from "./judge.ts";
import type { Asked, Told } from "./messages.ts";

/** The part of a worker's own scope that is used. */
interface Scope {
  onmessage: (message: { readonly data: Asked }) => void;
  readonly postMessage: (told: Told) => void;
}

const scope = globalThis as unknown as Scope;
scope.onmessage = ({ data }) => judge(data, (told) => scope.postMessage(told));
scope.postMessage({ type: "ready" });
