/** Means over the steps since the last `step` event; the sums survive a resume. */
import type { StepMetrics } from "../engine/mod.ts";
import type { StepEvent } from "../log/mod.ts";

/** The sums so far; part of a checkpoint. */
export interface WindowState {
  /** Steps. */
  readonly steps: number;
  /** Images in their batches. */
  readonly images: number;
  /** Sum over images of their loss. */
  readonly loss: number;
  /** Wrong images. */
  readonly errors: number;
  /** Seconds that the steps took. */
  readonly seconds: number;
  /** Those of them that waited for images, where images are read beside the training. */
  readonly waiting?: number;
  /** Rate of the last step. */
  readonly learningRate: number;
}

const EMPTY: WindowState = { steps: 0, images: 0, loss: 0, errors: 0, seconds: 0, learningRate: 0 };

/** Sums step metrics in order, so that a resumed run logs the same numbers. */
export class Window {
  #state: WindowState;

  constructor(state: WindowState = EMPTY) {
    this.#state = state;
  }

  /** What a checkpoint keeps. */
  get state(): WindowState {
    return this.#state;
  }

  add(metrics: readonly StepMetrics[], seconds: number, waited?: number): void {
    let { steps, images, loss, errors, learningRate } = this.#state;
    for (const step of metrics) {
      steps += 1;
      images += step.images;
      loss += step.loss * step.images;
      errors += step.errors;
      learningRate = step.learningRate;
    }
    seconds += this.#state.seconds;
    const waiting = waited === undefined ? undefined : waited + (this.#state.waiting ?? 0);
    this.#state = {
      ...{ steps, images, loss, errors, learningRate, seconds },
      ...(waiting === undefined ? {} : { waiting }),
    };
  }

  /** The means so far. */
  means(): Omit<StepEvent, "type" | "time" | "iteration"> {
    const { steps, images, loss, errors, learningRate, seconds, waiting } = this.#state;
    return {
      steps,
      images,
      learningRate,
      loss: loss / images,
      error: errors / images,
      imagesPerSecond: Number((images / seconds).toPrecision(5)),
      ...(waiting === undefined ? {} : {
        waitingSeconds: Number(waiting.toPrecision(5)),
        computingSeconds: Number((seconds - waiting).toPrecision(5)),
      }),
    };
  }

  reset(): void {
    this.#state = EMPTY;
  }
}
