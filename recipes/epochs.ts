/** Epochs and iterations, never taken for each other. */
import type { Recipe, ScheduleUnit } from "./recipe.ts";

/**
 * Where the epochs of a recipe end. Where batches run on into the next epoch, an epoch ends with
 * the step that takes its last image, whatever else is in that step.
 *
 * @example
 * ```ts
 * import { Epochs } from "./epochs.ts";
 * import { paper } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const epochs = new Epochs(paper("resnet20")); // 45,000 images, 128 a step
 * assertEquals([epochs.end(1), epochs.end(2)], [352, 704]);
 * assertEquals([352, 353].map((step) => epochs.before(step)), [0, 1]);
 * ```
 */
export class Epochs {
  /** Steps times `#batch` are images; whole numbers both, so that no end is rounded. */
  readonly #images: number;
  readonly #batch: number;

  /**
   * Takes the length of an epoch from a recipe.
   *
   * @param recipe Its split, its batch and what becomes of a partial batch.
   */
  constructor({ data: { split, epochEnd }, batchSize }: Pick<Recipe, "data" | "batchSize">) {
    const batches = split.training / batchSize;
    this.#images = epochEnd === "run-on"
      ? split.training
      : epochEnd === "keep-partial"
      ? Math.ceil(batches)
      : Math.floor(batches);
    this.#batch = epochEnd === "run-on" ? batchSize : 1;
  }

  /** The step with which an epoch ends. @param epoch 1 for the first. */
  end(epoch: number): number {
    return Math.ceil(epoch * this.#images / this.#batch);
  }

  /** Epochs that have ended before a step. @param iteration 1 for the first. */
  before(iteration: number): number {
    return Math.floor((iteration - 1) * this.#batch / this.#images);
  }

  /** Epochs that so many steps make, with what is begun of one. */
  of(iterations: number): number {
    return iterations * this.#batch / this.#images;
  }

  /** The first step after `iteration` at which `count` units more, from the start, are full. */
  next(iteration: number, { count, unit }: { count: number; unit: ScheduleUnit }): number {
    if (unit === "iteration") return iteration - iteration % count + count;
    const full = Math.floor(this.before(iteration + 1) / count);
    return this.end((full + 1) * count);
  }
}
