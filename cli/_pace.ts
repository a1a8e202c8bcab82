/** How long a step takes, of what was measured so far. */

/** A queue of steps is made for a fifth of a second, or has one step. */
const PAUSE_SECONDS = 10;
/** Times as long as the steps before. */
const PAUSE_SHARE = 10;

/** The mean of all steps but those in which the process stood still. */
export class Pace {
  /** Steps that were measured. */
  steps = 0;
  #seconds = 0;
  #wasLong = false;

  /**
   * Takes note of a queue of steps. One alone that took far longer than all before is that in which
   * somebody paused the training (Ctrl-Z); the next one that is as long counts, since the machine
   * has become so slow.
   */
  add({ steps, seconds }: { readonly steps: number; readonly seconds: number }): void {
    const isLong = this.steps > 0 && seconds > PAUSE_SECONDS &&
      seconds / steps > PAUSE_SHARE * this.seconds;
    this.#wasLong = isLong && !this.#wasLong;
    if (this.#wasLong) return;
    this.steps += steps;
    this.#seconds += seconds;
  }

  /** Of a step. */
  get seconds(): number {
    return this.#seconds / this.steps;
  }
}
