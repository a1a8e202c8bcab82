/** What a training looks at to lower its rate, to keep its best weights, and to end. */
import type { PlateauSchedule, Watch } from "./recipe.ts";
import type { WatchedValue } from "./schema/leaves.ts";

/** What a {@link Watcher} remembers; part of a checkpoint. */
export interface WatchState {
  /** The best value; none before the first look. */
  readonly best?: number;
  /** Looks since then. */
  readonly bad: number;
}

/** Whether a value is one of the validation images. */
export function isOfValidation(watched: WatchedValue): boolean {
  return watched.startsWith("validation");
}

/** What is better of a value: lower, or higher. */
export function modeOf({ watched, mode }: Pick<Watch, "watched" | "mode">): "min" | "max" {
  return mode ?? (watched.endsWith("accuracy") ? "max" : "min");
}

/**
 * A watched value, from what was measured.
 *
 * @param watched Which.
 * @param measured Mean loss, and the share of wrong images.
 */
export function watchedValue(
  watched: WatchedValue,
  { loss, error }: { readonly loss: number; readonly error: number },
): number {
  if (watched.endsWith("loss")) return loss;
  return watched.endsWith("accuracy") ? 1 - error : error;
}

/**
 * Counts looks at a value since it was last better than ever before.
 *
 * Source: `ReduceLROnPlateau._is_better` of PyTorch 2.13.
 *
 * @example
 * ```ts
 * import { Watcher } from "./watch.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const watcher = new Watcher({ watched: "validation-loss", threshold: 0.1 });
 * assertEquals([2, 1.9, 1.7].map((loss) => watcher.observe(loss)), [true, false, true]);
 * ```
 */
export class Watcher {
  readonly #watch: Watch;
  #state: WatchState;

  /**
   * Begins to watch, or goes on.
   *
   * @param watch What counts as better.
   * @param state The state to go on from; a new one when undefined.
   */
  constructor(watch: Watch, state: WatchState = { bad: 0 }) {
    this.#watch = watch;
    this.#state = state;
  }

  /** What a checkpoint keeps. */
  get state(): WatchState {
    return this.#state;
  }

  /** Takes note of a value; whether it is better than all before. */
  observe(value: number): boolean {
    const { best, bad } = this.#state;
    const better = best === undefined ? !Number.isNaN(value) : this.#isBetter(value, best);
    this.#state = better ? { best: value, bad: 0 } : { ...this.#state, bad: bad + 1 };
    return better;
  }

  #isBetter(value: number, best: number): boolean {
    const { threshold, thresholdKind = "relative" } = this.#watch;
    const lower = modeOf(this.#watch) === "min";
    if (thresholdKind === "absolute") {
      return lower ? value < best - threshold : value > best + threshold;
    }
    return lower ? value < best * (1 - threshold) : value > best * (threshold + 1);
  }
}

/** PyTorch's `eps`: a fall by no more is not made. */
const SMALLEST_CHANGE = 1e-8;

/** What a {@link Plateau} remembers; part of a checkpoint. */
export interface PlateauState extends WatchState {
  /** The rate of the next step. */
  readonly rate: number;
  /** Looks that are still not counted. */
  readonly cooldown: number;
}

/**
 * The rate of a plateau schedule, from the values that were looked at.
 *
 * Source: `torch.optim.lr_scheduler.ReduceLROnPlateau` of PyTorch 2.13.
 *
 * @example
 * ```ts
 * import { Plateau } from "./watch.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const plateau = new Plateau({
 *   kind: "plateau", watched: "validation-loss", rate: 1, factor: 0.5, patience: 1, threshold: 0,
 *   minimumRate: 0, iterations: 100,
 * });
 * const rates = [3, 3, 3, 2].map((loss) => {
 *   plateau.observe(loss);
 *   return plateau.rate;
 * });
 * assertEquals(rates, [1, 1, 0.5, 0.5]);
 * ```
 */
export class Plateau {
  readonly #schedule: PlateauSchedule;
  #state: PlateauState;

  /**
   * Begins, or goes on.
   *
   * @param schedule The schedule.
   * @param state The state to go on from; a new one when undefined.
   */
  constructor(schedule: PlateauSchedule, state?: PlateauState) {
    this.#schedule = schedule;
    this.#state = state ?? { bad: 0, rate: schedule.rate, cooldown: 0 };
  }

  /** What a checkpoint keeps. */
  get state(): PlateauState {
    return this.#state;
  }

  /** The rate of the next step. */
  get rate(): number {
    return this.#state.rate;
  }

  /** Takes note of a value of the end of an epoch; whether the rate falls. */
  observe(value: number): boolean {
    const { factor, patience, minimumRate, smallestChange = SMALLEST_CHANGE } = this.#schedule;
    const watcher = new Watcher(this.#schedule, this.#state);
    watcher.observe(value);
    let { best, bad } = watcher.state;
    let { rate, cooldown } = this.#state;
    if (cooldown > 0) {
      cooldown--;
      bad = 0;
    }
    const before = rate;
    if (bad > patience) {
      const lower = Math.max(rate * factor, minimumRate);
      if (rate - lower > smallestChange) rate = lower;
      cooldown = this.#schedule.cooldown ?? 0;
      bad = 0;
    }
    this.#state = { ...(best === undefined ? {} : { best }), bad, rate, cooldown };
    return rate !== before;
  }
}
