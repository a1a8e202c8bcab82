/** How a run shows where it stands: one line on a terminal, plain lines elsewhere. */
import type { Engine } from "../engine/mod.ts";
import { duration, fitted, number as count, percent, printable, significant } from "../text/mod.ts";
import type { Started, TrainProgress } from "../train/mod.ts";
import { Pace } from "./_pace.ts";

/** Where progress goes: standard error, or a test's list. */
export interface ProgressOutput {
  /** Columns of a terminal; undefined where lines can't be overwritten. */
  readonly columns: number | undefined;
  write(text: string): void;
}

/** How wide the terminal is that a stream goes to; undefined where it goes elsewhere. */
export function columnsOf(stream: { isTerminal(): boolean }): number | undefined {
  if (!stream.isTerminal()) return undefined;
  // One that nobody has given a size, as in a container, says 0.
  return Deno.consoleSize().columns || undefined;
}

/**
 * Standard error. What is computed does not depend on who watches: where nothing can be written, as
 * to a closed pipe or a full disk, nothing is.
 */
export function standardError(): ProgressOutput {
  return {
    get columns() {
      return columnsOf(Deno.stderr);
    },
    write: (text) => {
      try {
        Deno.stderr.writeSync(new TextEncoder().encode(text));
      } catch {
        // See above.
      }
    },
  };
}

/** Steps after the first that are measured before a duration is stated. */
const MEASURED_STEPS = 5;
const REFRESH_MILLISECONDS = 200;

/** What computes, in a few words; why that one where it is said. */
export function engineLine({ name, device }: Pick<Engine, "name" | "device">, why: string): string {
  return `engine ${name}: ${device.summary}${why === "" ? "" : `; ${why}`}`;
}

/** Prints a run's progress. */
export class ProgressPrinter {
  readonly #output: ProgressOutput;
  readonly #now: () => number;
  readonly #frame: (line: string) => string;
  readonly #pace = new Pace();
  #warm = false;
  #stated = false;
  #printed = -Infinity;
  #lineOpen = false;

  /**
   * @param output Where it goes.
   * @param now Milliseconds.
   * @param frame What stands around the line that says where the run is.
   */
  constructor(
    output: ProgressOutput = standardError(),
    now = () => performance.now(),
    frame = (line: string) => line,
  ) {
    this.#output = output;
    this.#now = now;
    this.#frame = frame;
  }

  /** Where a search is, for as long as the next call is not made; on a terminal alone. */
  passing(text: string): void {
    const { columns } = this.#output;
    if (columns === undefined) return;
    this.#output.write(`\r\x1b[K${printable(text).slice(0, columns - 1)}`);
    this.#lineOpen = true;
  }

  /** A line of its own. */
  line(text: string): void {
    this.clear();
    this.#output.write(`${fitted(printable(text), this.#output.columns)}\n`);
  }

  /** What a run begins with; the engine's reason is said where it is not empty. */
  started(
    { iteration, iterations, engine, dataset, graph, split: { training, validation } }: Started,
    reason: string,
  ): void {
    const test = count(dataset.test.count);
    // A folder of photographs is tested on what it is validated on.
    const others = dataset.stream
      ? `${test} to validate and test on`
      : validation === 0
      ? `${test} to test on`
      : `${count(validation)} to validate and ${test} to test on`;
    this.line(`${graph.name} on ${dataset.name}: ${count(training)} images to train on, ${others}`);
    if (dataset.notice) this.line(dataset.notice);
    this.line(engineLine(engine, reason));
    this.line(
      iteration === 0
        ? `${count(iterations)} iterations`
        : `going on from iteration ${count(iteration)} of ${count(iterations)}`,
    );
  }

  /** A queue of steps finished. */
  progress(progress: TrainProgress): void {
    const { iteration, iterations, validationError } = progress;
    const pace = this.#pace;
    // The first queue holds the engine's warm-up and would spoil the estimate.
    if (this.#warm) pace.add(progress);
    this.#warm = true;
    const left = (iterations - iteration) * pace.seconds;
    if (!this.#stated && pace.steps >= MEASURED_STEPS) {
      this.#stated = true;
      this.line(
        `${duration(left)} to go: ${count(iterations - iteration)} iterations at ${
          significant(pace.seconds * 1000)
        } ms, from ${pace.steps} measured`,
      );
    }
    if (validationError !== undefined) {
      this.line(`iteration ${count(iteration)}: validation error ${percent(validationError)}`);
    }
    const text = this.#frame(statusLine(progress, this.#stated ? left : undefined));
    const { columns } = this.#output;
    if (columns === undefined) {
      if (progress.logged) this.#output.write(`${printable(text)}\n`);
    } else if (this.#now() - this.#printed >= REFRESH_MILLISECONDS || iteration === iterations) {
      this.#printed = this.#now();
      this.#output.write(`\r\x1b[K${text.slice(0, columns - 1)}`);
      this.#lineOpen = true;
    }
  }

  /** A download goes on. */
  download({ received, total }: { readonly received: number; readonly total: number }): void {
    const text = `downloading ${megabytes(received)} of ${megabytes(total)}`;
    if (this.#output.columns === undefined) {
      if (!this.#lineOpen || received >= total) this.#output.write(`${printable(text)}\n`);
    } else {
      this.#output.write(`\r\x1b[K${text}`);
    }
    this.#lineOpen = true;
  }

  /** Ends the line that is overwritten. */
  clear(): void {
    if (this.#lineOpen && this.#output.columns !== undefined) this.#output.write("\r\x1b[K");
    this.#lineOpen = false;
  }
}

function statusLine(
  { iteration, iterations, loss, error, learningRate, images, seconds }: TrainProgress,
  left: number | undefined,
): string {
  // What one looks for first stands first: a narrow terminal cuts the end off.
  return [
    percent(iteration / iterations, 1).padStart(6),
    ...(left === undefined ? [] : [`${duration(left)} left`]),
    `iteration ${count(iteration)}/${count(iterations)}`,
    `error ${percent(error)}`,
    `loss ${loss.toFixed(3)}`,
    `rate ${learningRate}`,
    `${count(Math.round(images / seconds))} images/s`,
  ].join("  ");
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
