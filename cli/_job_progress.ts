/** How a job of several runs shows where it stands. */
import type { PlannedRun, QueuedRun } from "../reproduce/mod.ts";
import { architecture, countMultiplyAdds } from "../resnet/mod.ts";
import type { Started, TrainProgress } from "../train/mod.ts";
import { duration } from "../text/mod.ts";
import { Pace } from "./_pace.ts";
import { type ProgressOutput, ProgressPrinter, standardError } from "./_progress.ts";

/** Prints a job's progress: its runs, the time that is left for them, and each run's own line. */
export class JobProgress {
  readonly #output: ProgressOutput;
  #printer: ProgressPrinter;
  #queue: readonly QueuedRun[] = [];
  #counts = "";
  #iterations = 0;
  #iteration = 0;
  #isWarm = false;
  /** By network. */
  readonly #measured = new Map<string, Pace>();

  constructor(output = standardError()) {
    this.#output = output;
    this.#printer = new ProgressPrinter(output);
  }

  /** A line of its own. */
  line(text: string): void {
    this.#printer.line(text);
  }

  /** Ends the line that is overwritten. */
  clear(): void {
    this.#printer.clear();
  }

  /** A download goes on. */
  download(progress: { readonly received: number; readonly total: number }): void {
    this.#printer.download(progress);
  }

  /** A run's place in the queue changed. */
  queue(runs: readonly QueuedRun[]): void {
    this.#queue = runs;
    const counts = countsOf(runs);
    // Between two runs there is nothing to say.
    const isBetween = runs.some(({ state }) => ["to do", "begun", "failed"].includes(state)) &&
      runs.every(({ state }) => state !== "running");
    if (counts !== this.#counts && !isBetween) this.line(counts);
    this.#counts = counts;
  }

  /** A run begins or goes on. */
  started(run: PlannedRun, started: Started, reason: string): void {
    this.#iteration = started.iteration;
    this.#iterations = started.iterations; // The plan's, and so the same for all.
    this.#isWarm = false;
    this.#printer = new ProgressPrinter(this.#output, undefined, (line) => {
      const left = this.secondsLeft();
      const job = left === undefined ? "" : `, ${duration(left)} to go for all`;
      return `run ${run.index + 1}/${this.#queue.length}${job}  ${line.trimStart()}`;
    });
    this.line(`run ${run.index + 1} of ${this.#queue.length}: ${run.name}`);
    this.#printer.started(started, reason);
  }

  /** A queue of steps finished. */
  progress({ architecture }: PlannedRun, progress: TrainProgress): void {
    this.#iteration = progress.iteration;
    if (this.#isWarm) {
      const pace = this.#measured.get(architecture) ?? new Pace();
      pace.add(progress);
      this.#measured.set(architecture, pace);
    }
    // The first queue holds the engine's warm-up and would spoil the estimate.
    this.#isWarm = true;
    this.#printer.progress(progress);
  }

  /**
   * What is left for the runs that are not over and that no other process works
   * on. A network that was not measured yet is taken to cost what its
   * multiply-adds cost in one that was. Undefined before anything was measured.
   */
  secondsLeft(): number | undefined {
    const [measured] = this.#measured;
    if (!measured) return undefined;
    const pace = (net: string): number => {
      const found = this.#measured.get(net);
      if (found) return found.seconds;
      const [other, { seconds }] = measured;
      return seconds * multiplyAdds(net) / multiplyAdds(other);
    };
    return this.#queue.reduce((sum, { state, architecture }) => {
      if (["finished", "diverged", "elsewhere"].includes(state)) return sum;
      const taken = state === "running" ? this.#iteration : 0;
      return sum + (this.#iterations - taken) * pace(architecture);
    }, 0);
  }
}

/** How many runs are where: `runs: 2 of 6 over (1 of them diverged), 1 running, 3 to do`. */
function countsOf(runs: readonly QueuedRun[]): string {
  const count = (...states: QueuedRun["state"][]) =>
    runs.filter(({ state }) => states.includes(state)).length;
  const diverged = count("diverged");
  const others = [
    [count("running"), "running"],
    [count("elsewhere"), "under way in another process"],
    [count("begun", "failed"), "begun"],
    [count("to do"), "to do"],
  ] as const;
  const over = `runs: ${count("finished", "diverged")} of ${runs.length} over${
    diverged > 0 ? ` (${diverged} of them diverged)` : ""
  }`;
  return [over, ...others.filter(([n]) => n > 0).map(([n, what]) => `${n} ${what}`)].join(", ");
}

function multiplyAdds(net: string): number {
  return countMultiplyAdds(architecture(net));
}
