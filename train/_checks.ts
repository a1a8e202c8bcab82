/** What must hold before a run starts and while it goes on. */
import type { StepMetrics, TrainingState } from "../engine/mod.ts";
import { MOST_LINES, RunError } from "../log/mod.ts";
import type { TrainOptions } from "./options.ts";
import { checkRecipe, type Recipe, RecipeError } from "../recipes/mod.ts";
import { explain, recipe as recipeSchema } from "../recipes/schema/mod.ts";

/** A run that broke off; its log's last line is a `failure` and says the same. */
export class TrainingError extends Error {
  /** The class's name, for messages. */
  override name = "TrainingError";
}

/**
 * A recipe as its log will be read again: its fields in the order of the schema, so that what is
 * written of it is the same, byte for byte, in a run that was stopped and in one that was not.
 *
 * @throws {RecipeError} Names the field, the rule and the value.
 */
export function inOrder(recipe: Recipe): Recipe {
  const value = JSON.parse(JSON.stringify(recipe));
  const { data, error } = recipeSchema.safeParse(value);
  if (error) throw new RecipeError(`the recipe's ${explain(error, value)}`);
  return data;
}

/** @throws {RecipeError | RunError} Names the option, the rule and the value. */
export function checkOptions(options: TrainOptions): void {
  checkRecipe(options.recipe);
  for (const name of ["logEvery", "evalEvery", "checkpointEvery", "stopAfter"] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isInteger(value) && value >= 1)) {
      throw new RunError(`${name} is a number of steps, a whole number from 1; found ${value}`);
    }
  }
  const { logEvery, evalEvery, checkpointEvery, recipe: { schedule: { iterations } } } = options;
  // A validation and a checkpoint have two lines at most; resumes repeat some.
  const lines = iterations / logEvery + 2 * iterations / evalEvery +
    2 * iterations / checkpointEvery;
  if (lines > 0.8 * MOST_LINES) {
    throw new RunError(
      `a log of at most ${MOST_LINES} lines is read again, this one would have ${
        Math.ceil(lines)
      } and those of its resumes; log, validate or save fewer steps ` +
        `(--log-every, --eval-every, --checkpoint-every)`,
    );
  }
  if (!(Number.isInteger(options.seed) && options.seed >= 0 && options.seed <= 0xffffffff)) {
    throw new RunError(`a seed is a whole number from 0 to 4294967295, found ${options.seed}`);
  }
}

/** What is left of the run, and what to change. */
const adviceOf = (saved: boolean): string =>
  `${
    saved ? "The last checkpoint before it is kept" : "No checkpoint was written before it"
  }; the learning rate may be too high`;

/**
 * @throws {TrainingError} If a loss, of a step or of images in test mode, is infinite or not a
 *   number: no log can hold it.
 */
export function requireFiniteLoss(
  { iteration, loss }: Pick<StepMetrics, "iteration" | "loss">,
  saved: boolean,
  of: "training" | "test" = "training",
): void {
  if (!Number.isFinite(loss)) {
    throw new TrainingError(
      `the loss must be finite; at iteration ${iteration} it is ${loss}${
        of === "test" ? " in test mode" : ""
      }. ${adviceOf(saved)}`,
    );
  }
}

/** @throws {TrainingError} If a gradient overflows though no scale of the loss made it larger. */
export function requireUsefulScale(
  { iteration, skipped, lossScale = Infinity }: StepMetrics,
  saved: boolean,
): void {
  if (skipped && lossScale <= 1) {
    throw new TrainingError(
      `activations and gradients must fit in half precision; at iteration ${iteration} they did not, with the loss's scale at ${lossScale}. ${
        adviceOf(saved)
      }, or the network needs --precision single`,
    );
  }
}

/** @throws {TrainingError} If a weight or what the optimiser keeps is infinite or not a number. */
export function requireFiniteState(
  { iteration, weights, slots }: TrainingState,
  saved: boolean,
): void {
  for (const [kind, tensors] of [["weight", weights] as const, ...slots]) {
    for (const [name, { data }] of tensors) {
      for (let at = 0; at < data.length; at++) {
        if (Number.isFinite(data[at])) continue;
        throw new TrainingError(
          `every ${kind} must be finite; after iteration ${iteration} element ${at} of "${name}" is ${
            data[at]
          }. ${adviceOf(saved)}`,
        );
      }
    }
  }
}
