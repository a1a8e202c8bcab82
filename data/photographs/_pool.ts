/** Workers that read and cut photographs on other cores. */
import { DataError } from "../errors.ts";
import { type CutPhotographs, cutPhotographs, type CutRequest } from "./_cutting.ts";
import type { Asked, Told } from "./_worker.ts";

interface Waiting {
  readonly resolve: (cut: CutPhotographs) => void;
  readonly reject: (error: unknown) => void;
}

/** Shares each request among a number of workers; with none, the caller's own thread does it all. */
export class CuttingPool implements Disposable {
  readonly #count: number;
  readonly #workers: Worker[] = [];
  readonly #waiting = new Map<number, Waiting>();
  #asked = 0;

  constructor(workers: number) {
    this.#count = workers;
  }

  /** The results in the request's order. */
  async cut(request: CutRequest): Promise<CutPhotographs> {
    if (this.#count === 0) return await cutPhotographs(request);
    this.#start();
    const { photographs, first } = request;
    const share = Math.ceil(photographs.length / this.#count);
    const parts = await Promise.all(
      this.#workers.flatMap((worker, w) => {
        const part = photographs.slice(w * share, (w + 1) * share);
        if (part.length === 0) return [];
        return [this.#ask(worker, { ...request, photographs: part, first: first + w * share })];
      }),
    );
    if (parts.length === 1) return parts[0];
    return {
      pixels: joined(Uint8Array, parts.map(({ pixels }) => pixels)),
      shifts: joined(Float32Array, parts.map(({ shifts }) => shifts)),
      faults: parts.flatMap(({ faults }) => faults),
    };
  }

  [Symbol.dispose](): void {
    for (const worker of this.#workers) worker.terminate();
    this.#fail(new DataError("reading photographs was ended"));
  }

  #ask(worker: Worker, request: CutRequest): Promise<CutPhotographs> {
    const id = this.#asked++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      worker.postMessage({ id, request } satisfies Asked);
    });
  }

  #start(): void {
    while (this.#workers.length < this.#count) {
      const worker = new Worker(new URL("./_worker.ts", import.meta.url), {
        type: "module",
        name: `photographs ${this.#workers.length}`,
      });
      worker.onmessage = ({ data }: MessageEvent<Told>) => {
        const waiting = this.#waiting.get(data.id);
        this.#waiting.delete(data.id);
        if ("cut" in data) waiting?.resolve(data.cut);
        else waiting?.reject(new Error(data.failure));
      };
      worker.onerror = (event) => {
        event.preventDefault();
        this.#fail(new Error(`a worker that reads photographs failed: ${event.message}`));
      };
      this.#workers.push(worker);
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

function joined<T extends Uint8Array | Float32Array>(
  of: new (length: number) => T,
  parts: readonly T[],
): T {
  const whole = new of(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
