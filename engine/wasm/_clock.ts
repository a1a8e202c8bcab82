/** The clock of a program that is emitted for profiling. */

/** Under which a kernel's time is added up. */
export type KernelGroup =
  | `${"convolution" | "input gradient" | "weight gradient"} ${
    | "direct"
    | "products"
    | "transforms"}`
  | "input"
  | "padding"
  | "batch norm sums"
  | "normalise"
  | "pool"
  | "dense"
  | "loss"
  | "update"
  | "waiting"
  | "JavaScript";

/** The calls of one kernel group in a step, on one thread. */
export interface GroupProfile {
  readonly group: KernelGroup;
  readonly calls: number;
  readonly milliseconds: number;
  /** Floating-point operations of the products, 2 a multiply-add. */
  readonly operations: number;
}

/** Adds up the time between its calls, by kernel group. */
export class Clock {
  readonly #counters: { group: KernelGroup; operations: number; calls: number; time: number }[] =
    [];
  #last = 0;

  /** @param now Milliseconds on the wall. */
  constructor(readonly now: () => number = () => performance.now()) {}

  /** A number for {@linkcode lap}: calls of `group` that take so many operations each. */
  counter(group: KernelGroup, operations: number): number {
    return this.#counters.push({ group, operations, calls: 0, time: 0 }) - 1;
  }

  /** Gives the time since the call before to a counter. */
  readonly lap = (counter: number): void => {
    const now = this.now();
    const entry = this.#counters[counter];
    entry.calls++;
    entry.time += now - this.#last;
    this.#last = now;
  };

  reset(): void {
    for (const entry of this.#counters) entry.calls = entry.time = 0;
    this.#last = this.now();
  }

  /** Since the reset; groups without calls are left out. */
  groups(): GroupProfile[] {
    return [...Map.groupBy(this.#counters, ({ group }) => group)].map(([group, members]) => ({
      group,
      calls: members.reduce((sum, { calls }) => sum + calls, 0),
      milliseconds: members.reduce((sum, { time }) => sum + time, 0),
      operations: members.reduce((sum, { calls, operations }) => sum + calls * operations, 0),
    })).filter(({ calls }) => calls > 0);
  }
}
