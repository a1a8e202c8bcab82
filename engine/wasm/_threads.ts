/**
 * Threads that share one WebAssembly memory. The main thread is thread 0; the others are
 * workers.
 */
import { type StartedWorker, startWorker } from "./_worker.ts";

/** The entries of an emitted module; see `_program.ts`. */
export interface Program {
  /** Runs a command on all threads; returns when all have finished it. */
  command(command: number): void;
}

const WORKER = `
onmessage = async ({ data: { module, memory, thread } }) => {
  try {
    const env = { memory, exp: Math.exp, log: Math.log, lap: () => {} };
    const { exports } = await WebAssembly.instantiate(module, { env });
    postMessage("ready");
    exports.serve(thread);
  } catch (error) {
    postMessage(String(error));
  }
};`;

/** A module running on several threads. */
export class Threads implements Program {
  #exports: { command(command: number): void };
  #workers: StartedWorker[];

  private constructor(exports: { command(command: number): void }, workers: StartedWorker[]) {
    this.#exports = exports;
    this.#workers = workers;
  }

  /** Starts `threads - 1` workers and waits until each is ready; `lap` is a profile's clock. */
  static async start(
    bytes: Uint8Array<ArrayBuffer>,
    memory: WebAssembly.Memory,
    threads: number,
    lap: (counter: number) => void = () => {},
  ): Promise<Threads> {
    const module = await WebAssembly.compile(bytes);
    const env = { memory, exp: Math.exp, log: Math.log, lap };
    const { exports } = await WebAssembly.instantiate(module, { env });
    const workers: StartedWorker[] = [];
    try {
      for (let thread = 1; thread < threads; thread++) {
        workers.push(startWorker(WORKER, `wasm thread ${thread}`, { module, memory, thread }));
      }
      await Promise.all(workers.map(({ ready }) => ready));
    } catch (error) {
      workers.forEach((worker) => worker.terminate());
      throw error;
    }
    return new Threads(exports as unknown as { command(command: number): void }, workers);
  }

  command(command: number): void {
    this.#exports.command(command);
  }

  /** Ends the workers wherever they are. */
  stop(): void {
    this.#workers.forEach((worker) => worker.terminate());
    this.#workers = [];
  }
}
