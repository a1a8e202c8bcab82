/** The learning rate of each step, and ResNet-110's warm-up (section 4.2). */
import type { StepMetrics } from "../engine/mod.ts";
import type { Epochs } from "./epochs.ts";
import type { PlateauSchedule, Recipe } from "./recipe.ts";

/** A recipe or schedule that contradicts itself, or that the trainer cannot follow. */
export class RecipeError extends Error {
  /** The class's name, for messages. */
  override name = "RecipeError";
}

/** Steps over which the warm-up's training error is averaged, and after which it is looked at. */
export const WARM_UP_WINDOW = 100;

/**
 * The learning rate that one step uses, where the schedule alone decides it.
 *
 * The paper's 0.1 holds for steps 1 to 32,000, 0.01 for 32,001 to 48,000, and
 * 0.001 for 48,001 to 64,000.
 *
 * @param schedule A recipe's schedule, of any kind but `plateau`: a {@link Plateau} has that rate.
 * @param iteration The step, 1 for the first.
 * @param warmUpEnded Whether the training error has fallen below the warm-up's
 *   bound; without effect where the schedule has no warm-up.
 * @param epochs Where the epochs end; needed where the schedule's unit is one.
 * @returns The rate.
 * @throws {RecipeError} On a schedule that contradicts itself, or whose rates need more than
 *   was given.
 * @throws {RangeError} On an iteration outside of the schedule.
 *
 * Source: section 4.2; the other kinds as PyTorch 2.13 has them.
 *
 * @example
 * ```ts
 * import { learningRate } from "./schedule.ts";
 * import { paper } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { schedule } = paper("resnet20");
 * assertEquals([1, 32_000, 32_001, 48_000, 48_001, 64_000].map((i) => learningRate(schedule, i)),
 *   [0.1, 0.1, 0.01, 0.01, 0.001, 0.001]);
 * ```
 */
export function learningRate(
  schedule: Recipe["schedule"],
  iteration: number,
  warmUpEnded = true,
  epochs?: Pick<Epochs, "before">,
): number {
  checkSchedule(schedule);
  if (!Number.isInteger(iteration) || iteration < 1 || iteration > schedule.iterations) {
    throw new RangeError(
      `the learning rate of step ${iteration} was asked for; the schedule has steps 1 to ${schedule.iterations}`,
    );
  }
  if (schedule.kind === "plateau") {
    throw new RecipeError(
      `the rates of a plateau schedule follow from the training, found no training to ask for step ${iteration}`,
    );
  }
  if (schedule.unit === "epoch" && !epochs) {
    throw new RecipeError(
      `a schedule in epochs needs to know where they end, found nothing of them for step ${iteration}`,
    );
  }
  const units = schedule.unit === "epoch" ? epochs!.before(iteration) : iteration - 1;
  const rate = rateAfter(schedule, units);
  const warmUp = schedule.kind === "steps" ? schedule.warmUp : undefined;
  return warmUp && !warmUpEnded ? Math.min(warmUp.rate, rate) : rate;
}

/** Whether a schedule's rate stays for a while: at most one change an epoch, or one a boundary. */
export function changesAtTimes(schedule: Recipe["schedule"]): boolean {
  return schedule.kind === "steps" || schedule.kind === "plateau" || schedule.unit === "epoch";
}

/** The rate after so many iterations or epochs. */
function rateAfter(
  schedule: Exclude<Recipe["schedule"], PlateauSchedule>,
  units: number,
): number {
  const { rate } = schedule;
  switch (schedule.kind) {
    case "steps": {
      const passed = schedule.boundaries.filter((boundary) => units >= boundary).length;
      // Division, as the paper puts it: 0.1 / 10 is 0.01 to the last bit, and 0.1 * 0.1 is not.
      return rate / (1 / schedule.factor) ** passed;
    }
    case "exponential":
      return rate * schedule.factor ** units;
    case "cosine":
      return between(schedule, units / schedule.period);
    case "restarts": {
      let { period } = schedule;
      let after = units;
      if (schedule.periodFactor === 1) after %= period;
      else {
        while (after >= period) {
          after -= period;
          period *= schedule.periodFactor;
        }
      }
      return between(schedule, after / period);
    }
  }
}

/** Half a cosine from the rate to its minimum. */
function between(
  { rate, minimumRate }: { readonly rate: number; readonly minimumRate: number },
  share: number,
): number {
  return minimumRate + (rate - minimumRate) * (1 + Math.cos(Math.PI * share)) / 2;
}

/**
 * Checks that a schedule can be followed.
 *
 * @param schedule A recipe's schedule.
 * @throws {RecipeError} If its boundaries do not increase from 1, or not to below `iterations`
 *   where they are iterations; if a number has no sense.
 *
 * @example
 * ```ts
 * import { checkSchedule, RecipeError } from "./schedule.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(
 *   () => checkSchedule({ kind: "steps", rate: 0.1, boundaries: [48, 32], factor: 0.1, iterations: 64 }),
 *   RecipeError,
 *   "[48, 32]",
 * );
 * ```
 */
export function checkSchedule(schedule: Recipe["schedule"]): void {
  const { kind, rate, iterations } = schedule;
  if (!Number.isInteger(iterations) || iterations < 1) {
    throw new RecipeError(
      `a schedule needs a whole number of iterations of 1 or more, found ${iterations}`,
    );
  }
  const number = (name: string, value: number | undefined, holds: boolean, rule: string) => {
    if (value !== undefined && !(Number.isFinite(value) && holds)) {
      throw new RecipeError(`a schedule's ${name} is ${rule}, found ${value}`);
    }
  };
  const positive = (name: string, value: number | undefined) =>
    number(name, value, Number(value) > 0, "a number above 0");
  const count = (name: string, value: number | undefined, low: number) =>
    number(
      name,
      value,
      Number.isInteger(value) && Number(value) >= low,
      `a whole number from ${low}`,
    );
  const minimum = (value: number) =>
    number("minimum rate", value, value >= 0 && value <= rate, `from 0 to its rate, ${rate}`);
  positive("rate", rate);
  switch (kind) {
    case "steps": {
      positive("factor", schedule.factor);
      positive("warm-up rate", schedule.warmUp?.rate);
      const bounds = [0, ...schedule.boundaries];
      // In epochs, a training may be shorter than its last boundary.
      if (schedule.unit !== "epoch") bounds.push(iterations);
      if (
        !bounds.every((bound, i) => Number.isInteger(bound) && (i === 0 || bound > bounds[i - 1]))
      ) {
        throw new RecipeError(
          `a schedule's boundaries are whole numbers that increase from 1${
            schedule.unit === "epoch" ? "" : ` to below its ${iterations} iterations`
          }, found [${schedule.boundaries.join(", ")}]`,
        );
      }
      return;
    }
    case "exponential":
      return positive("factor", schedule.factor);
    case "cosine":
      minimum(schedule.minimumRate);
      return count("period", schedule.period, 1);
    case "restarts":
      minimum(schedule.minimumRate);
      count("period", schedule.period, 1);
      return count("period factor", schedule.periodFactor, 1);
    case "plateau":
      number(
        "factor",
        schedule.factor,
        schedule.factor > 0 && schedule.factor < 1,
        "a number between 0 and 1",
      );
      minimum(schedule.minimumRate);
      number("threshold", schedule.threshold, schedule.threshold >= 0, "a number from 0");
      number(
        "smallest change",
        schedule.smallestChange,
        Number(schedule.smallestChange) >= 0,
        "a number from 0",
      );
      count("patience", schedule.patience, 0);
      return count("cooldown", schedule.cooldown, 0);
  }
}

/** What a {@link WarmUp} remembers between steps; part of a checkpoint. */
export interface WarmUpState {
  /** Whether the schedule's own rate is used. */
  readonly ended: boolean;
  /** Wrong images since the training error was last looked at. */
  readonly errors: number;
  /** Images since then. */
  readonly images: number;
}

/**
 * Decides when a warm-up ends: when the mean training error of the last
 * {@link WARM_UP_WINDOW} steps is below the bound, looked at every
 * {@link WARM_UP_WINDOW} steps. The decision depends on the steps alone, never
 * on when their metrics were read, so a resumed run takes it at the same step.
 *
 * Source: section 4.2 ("until the training error is below 80%, about 400
 * iterations"); the paper does not say over how many steps it was taken.
 */
export class WarmUp {
  readonly #bound: number | undefined;
  #state: WarmUpState;

  /**
   * Begins a warm-up, or goes on with one.
   *
   * @param schedule The schedule, with or without a warm-up.
   * @param state The state to go on from; a new one when undefined.
   */
  constructor(schedule: Recipe["schedule"], state?: WarmUpState) {
    this.#bound = schedule.kind === "steps" ? schedule.warmUp?.untilTrainingErrorBelow : undefined;
    this.#state = state ?? { ended: this.#bound === undefined, errors: 0, images: 0 };
  }

  /** Whether the schedule's own rate is used from here on. */
  get ended(): boolean {
    return this.#state.ended;
  }

  /** What a checkpoint keeps. */
  get state(): WarmUpState {
    return this.#state;
  }

  /**
   * Takes note of one finished step; steps must come in order.
   *
   * @param step The step's metrics.
   * @returns The mean training error (0 to 1) if the warm-up ended with this step.
   */
  observe(step: StepMetrics): number | undefined {
    if (this.#bound === undefined || this.#state.ended) return undefined;
    const errors = this.#state.errors + step.errors;
    const images = this.#state.images + step.images;
    if (step.iteration % WARM_UP_WINDOW !== 0) {
      this.#state = { ended: false, errors, images };
      return undefined;
    }
    const ended = errors / images < this.#bound;
    this.#state = { ended, errors: 0, images: 0 };
    return ended ? errors / images : undefined;
  }
}
