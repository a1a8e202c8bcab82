/** The learning rate of each step, and ResNet-110's warm-up (section 4.2). */
import type { StepMetrics } from "../engine/mod.ts";
import type { Recipe, StepSchedule } from "./recipe.ts";

/** A recipe or schedule that contradicts itself, or that the trainer cannot follow. */
export class RecipeError extends Error {
  /** The class's name, for messages. */
  override name = "RecipeError";
}

/** Steps over which the warm-up's training error is averaged, and after which it is looked at. */
export const WARM_UP_WINDOW = 100;

/**
 * The learning rate that one step uses.
 *
 * The paper's 0.1 holds for steps 1 to 32,000, 0.01 for 32,001 to 48,000, and
 * 0.001 for 48,001 to 64,000.
 *
 * @param schedule A recipe's schedule; only `steps` can be followed.
 * @param iteration The step, 1 for the first.
 * @param warmUpEnded Whether the training error has fallen below the warm-up's
 *   bound; without effect where the schedule has no warm-up.
 * @returns The rate.
 * @throws {RecipeError} On a schedule that contradicts itself or is no step schedule.
 * @throws {RangeError} On an iteration outside of the schedule.
 *
 * Source: section 4.2.
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
): number {
  checkSchedule(schedule);
  if (!Number.isInteger(iteration) || iteration < 1 || iteration > schedule.iterations) {
    throw new RangeError(
      `the learning rate of step ${iteration} was asked for; the schedule has steps 1 to ${schedule.iterations}`,
    );
  }
  const passed = schedule.boundaries.filter((boundary) => iteration > boundary).length;
  // Division, as the paper puts it: 0.1 / 10 is 0.01 to the last bit, and 0.1 * 0.1 is not.
  const rate = schedule.rate / (1 / schedule.factor) ** passed;
  return schedule.warmUp && !warmUpEnded ? Math.min(schedule.warmUp.rate, rate) : rate;
}

/**
 * Checks that a schedule can be followed.
 *
 * @param schedule A recipe's schedule.
 * @throws {RecipeError} If it is no step schedule, or its boundaries do not
 *   increase from 1 to below `iterations`, or a rate is not a number above 0.
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
export function checkSchedule(schedule: Recipe["schedule"]): asserts schedule is StepSchedule {
  if (schedule.kind !== "steps") {
    throw new RecipeError(
      `the trainer follows schedules of the kind "steps", found "${schedule.kind}"`,
    );
  }
  const { rate, boundaries, factor, iterations, warmUp } = schedule;
  if (!Number.isInteger(iterations) || iterations < 1) {
    throw new RecipeError(
      `a schedule needs a whole number of iterations of 1 or more, found ${iterations}`,
    );
  }
  for (
    const [name, value] of [["rate", rate], ["factor", factor], ["warm-up rate", warmUp?.rate]]
  ) {
    if (value !== undefined && !(Number.isFinite(value) && Number(value) > 0)) {
      throw new RecipeError(`a schedule's ${name} is a number above 0, found ${value}`);
    }
  }
  const bounds = [0, ...boundaries, iterations];
  if (!bounds.every((bound, i) => Number.isInteger(bound) && (i === 0 || bound > bounds[i - 1]))) {
    throw new RecipeError(
      `a schedule's boundaries are whole numbers that increase from 1 to below its ${iterations} iterations, found [${
        boundaries.join(", ")
      }]`,
    );
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
   * @param schedule The schedule with or without a warm-up.
   * @param state The state to go on from; a new one when undefined.
   */
  constructor(schedule: StepSchedule, state?: WarmUpState) {
    this.#bound = schedule.warmUp?.untilTrainingErrorBelow;
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
