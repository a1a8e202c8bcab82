/**
 * The first page of the engine's memory: words through which JavaScript and the
 * threads talk. Each barrier word has a cache line of its own.
 */
export const CONTROL = {
  /** Which program the threads run next; see `program.ts`. */
  command: 0,
  /** Images in this batch, or in the part of it that batch norm takes together. */
  images: 4,
  /** Images over which the loss is the mean: of the whole batch. */
  lossImages: 20,
  /** 1: running statistics instead of the batch's. */
  inference: 8,
  /** 1: a training step, which updates the running statistics. */
  updateRunning: 12,
  /** 1: a probe, which asks for the gradient of the network's input. */
  inputGradient: 16,
  /** Address of the images of the set that is read. */
  setAddress: 24,
  /** Takes what is read only to have it in cache; see `fetchKernel` in `_emitter.ts`. */
  fetched: 32,
  /** Threads that have arrived at the barrier. */
  arrived: 64,
  /** Number of barriers passed. */
  generation: 128,
  /** Floats: the optimiser's scalars of the step. */
  scalars: 192,
} as const;

/** Scalars that there is room for. */
export const MOST_SCALARS = 16;

/** Bytes before the first array. */
export const CONTROL_BYTES = 256;
