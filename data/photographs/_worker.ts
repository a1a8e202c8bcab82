/** A worker that reads and cuts photographs beside whatever else the process does. */
import { type CutPhotographs, cutPhotographs, type CutRequest } from "./_cutting.ts";

/** A request, with a number that its answer has too. */
export interface Asked {
  readonly id: number;
  readonly request: CutRequest;
}

/** The answer to a request. */
export type Told =
  | { readonly id: number; readonly cut: CutPhotographs }
  | { readonly id: number; readonly failure: string };

/** The part of a worker's own scope that is used. */
interface Scope {
  onmessage: (message: { readonly data: Asked }) => void;
  readonly postMessage: (told: Told, transferred: Transferable[]) => void;
}

const scope = globalThis as unknown as Scope;
// One after the other: a decoder has one memory, and the batch that is needed first was asked first.
let last: Promise<void> = Promise.resolve();
scope.onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};

async function answer({ id, request }: Asked): Promise<void> {
  try {
    const cut = await cutPhotographs(request);
    scope.postMessage({ id, cut }, [
      cut.pixels.buffer as ArrayBuffer,
      cut.shifts.buffer as ArrayBuffer,
    ]);
  } catch (error) {
    scope.postMessage({ id, failure: error instanceof Error ? error.message : `${error}` }, []);
  }
}
