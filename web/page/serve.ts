/** A worker's side: one question after the other, each with the files that it is about. */
import { mount } from "../../files/browser/mod.ts";
import type { Given, Judged, Told } from "./messages.ts";
import { reasonOf } from "./reason.ts";

/** The part of a worker's own scope that is used. */
interface Scope {
  onmessage: (message: { readonly data: Given }) => void;
  readonly postMessage: (told: Told) => void;
}

/**
 * Answers what the page asks.
 *
 * @param judge Makes the answer; what it tells is shown meanwhile, what it throws is the reason.
 */
export function serve<Asked extends Given>(
  judge: (asked: Asked, tell: (text: string) => void) => Promise<Judged>,
): void {
  const scope = globalThis as unknown as Scope;
  scope.onmessage = async ({ data }) => {
    mount(new Map(data.files));
    try {
      const judged = await judge(
        data as Asked,
        (text) => scope.postMessage({ type: "line", text }),
      );
      scope.postMessage({ type: "judged", judged });
    } catch (error) {
      scope.postMessage({ type: "refused", message: reasonOf(error) });
    }
  };
  scope.postMessage({ type: "ready" });
}
