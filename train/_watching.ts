/** What a run looks at between its steps: to lower its rate, to keep its best weights, to end. */
import type { StepMetrics } from "../engine/mod.ts";
import type { FileReference } from "../log/mod.ts";
import {
  type Epochs,
  isOfValidation,
  Plateau,
  type PlateauState,
  type Recipe,
  type Watch,
  watchedValue,
  Watcher,
  type WatchState,
} from "../recipes/mod.ts";

/** What the training's own steps measured since the last look. */
export interface WatchedSums {
  /** In their batches. */
  readonly images: number;
  /** Sum over images of their loss. */
  readonly loss: number;
  /** Wrong images. */
  readonly errors: number;
}

const NONE: WatchedSums = { images: 0, loss: 0, errors: 0 };

/** Weights that are kept, and why they are. */
export interface KeptWeights {
  /** The step after which they were. */
  readonly iteration: number;
  /** The watched value. */
  readonly value: number;
  /** Where they are. */
  readonly file: FileReference;
}

/** What a checkpoint keeps. */
export interface WatchingState {
  /** Of a plateau's rate. */
  readonly plateau?: PlateauState & { readonly sums: WatchedSums };
  /** Of the best weights. */
  readonly best?: WatchState & { readonly sums: WatchedSums; readonly kept?: KeptWeights };
}

/** What a look found. */
export interface Look {
  /** The weights are better than all before. */
  readonly better?: { readonly value: number };
}

/** Mean loss, and the share of wrong images. */
interface Measured {
  readonly loss: number;
  readonly error: number;
}

/** How often where a recipe says nothing of it. */
const EACH_EPOCH = { count: 1, unit: "epoch" } as const;

/**
 * Looks at what a recipe watches, at the places that it names. What is decided depends on the
 * steps and on evaluations at those places alone, so a resumed run decides the same.
 */
export class Watching {
  readonly #recipe: Recipe;
  readonly #epochs: Epochs;
  #plateau: WatchingState["plateau"];
  #best: WatchingState["best"];

  constructor(recipe: Recipe, epochs: Epochs, state: WatchingState = {}) {
    this.#recipe = recipe;
    this.#epochs = epochs;
    const { schedule, best } = recipe;
    if (schedule.kind === "plateau") {
      this.#plateau = state.plateau ?? { ...new Plateau(schedule).state, sums: NONE };
    }
    if (best) this.#best = state.best ?? { ...new Watcher(best).state, sums: NONE };
  }

  /** What a checkpoint keeps; undefined where nothing is watched. */
  get state(): WatchingState | undefined {
    if (!this.#plateau && !this.#best) return undefined;
    return {
      ...(this.#plateau && { plateau: this.#plateau }),
      ...(this.#best && { best: this.#best }),
    };
  }

  /** The rate of the next step, where a plateau decides it. */
  get rate(): number | undefined {
    return this.#plateau?.rate;
  }

  /** The best weights so far. */
  get kept(): KeptWeights | undefined {
    return this.#best?.kept;
  }

  /** Whether there were so many looks without a better value that the training ends. */
  get hasEnded(): boolean {
    return (this.#best?.bad ?? 0) >= (this.#recipe.best?.stopAfter ?? Infinity);
  }

  /** The first step after `iteration` at which something is looked at. */
  next(iteration: number): number {
    return Math.min(
      ...this.#watched().map(({ every = EACH_EPOCH }) => this.#epochs.next(iteration, every)),
    );
  }

  /** Whether the validation images have to be evaluated after a step. */
  needsValidation(iteration: number): boolean {
    return this.#watched().some((watch) =>
      isOfValidation(watch.watched) && this.#isDue(watch, iteration)
    );
  }

  /** Takes note of a finished step. */
  add({ images, loss, errors }: StepMetrics): void {
    const more = <T extends { readonly sums: WatchedSums }>(part: T): T => ({
      ...part,
      sums: {
        images: part.sums.images + images,
        loss: part.sums.loss + loss * images,
        errors: part.sums.errors + errors,
      },
    });
    if (this.#plateau) this.#plateau = more(this.#plateau);
    if (this.#best) this.#best = more(this.#best);
  }

  /**
   * Looks at what is due after a step.
   *
   * @param iteration The step.
   * @param validation What the validation images had after it, if they were evaluated.
   */
  look(iteration: number, validation: Measured | undefined): Look {
    const { schedule, best } = this.#recipe;
    const look: { better?: Look["better"] } = {};
    if (this.#plateau && schedule.kind === "plateau" && this.#isDue(schedule, iteration)) {
      const { sums, ...state } = this.#plateau;
      const value = valueOf(schedule, sums, validation);
      const plateau = new Plateau(schedule, state);
      plateau.observe(value);
      this.#plateau = { ...plateau.state, sums: NONE };
    }
    if (this.#best && best && this.#isDue(best, iteration)) {
      const { sums, kept, ...state } = this.#best;
      const value = valueOf(best, sums, validation);
      const watcher = new Watcher(best, state);
      if (watcher.observe(value)) look.better = { value };
      this.#best = { ...watcher.state, sums: NONE, ...(kept && { kept }) };
    }
    return look;
  }

  /** Takes note of where the best weights are. */
  keep(kept: KeptWeights): void {
    if (this.#best) this.#best = { ...this.#best, kept };
  }

  #watched(): readonly Watch[] {
    const { schedule, best } = this.#recipe;
    return [...schedule.kind === "plateau" ? [schedule] : [], ...best ? [best] : []];
  }

  #isDue({ every = EACH_EPOCH }: Watch, iteration: number): boolean {
    return this.#epochs.next(iteration - 1, every) === iteration;
  }
}

function valueOf(
  { watched }: Watch,
  { images, loss, errors }: WatchedSums,
  validation: Measured | undefined,
): number {
  const measured = isOfValidation(watched)
    ? validation!
    : { loss: loss / images, error: errors / images };
  return watchedValue(watched, measured);
}
