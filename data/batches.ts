/**
 * The batch plan: which images, crops and flips make up each iteration. It is a
 * pure function of the seed and the iteration's number, so a run resumes from
 * that number alone and every engine sees the same batches.
 *
 * The algorithm, for a reimplementation (`bench/peers/batch_plan.py` is one):
 *
 * 1. A *stream* (seed, use, substream, part) is the sequence of 32-bit words of
 *    Philox4x32-10 with key (seed, use) and counters (0, 0, substream, part),
 *    (1, 0, substream, part), ... - four words a counter, first word first.
 *    Use is 3 for shuffling and 4 for augmentation.
 * 2. `below(b)` takes the next word that is less than the largest multiple of b
 *    not above 2^32, and gives its remainder by b.
 * 3. Epoch e, from 0, visits the training images in an *order*: the list of
 *    indices shuffled by the stream (seed, 3, e, 0): for i = n - 1 down to 1,
 *    swap entries i and below(i + 1). Sequential order is the list itself.
 * 4. The orders of epochs 0, 1, 2, ... make one endless sequence of images.
 *    Iteration i, from 1, with batches of B, takes:
 *    - "run-on": entries (i - 1) B to i B - 1 of the sequence;
 *    - "keep-partial" and "drop-partial": with k = ceil(n / B) or floor(n / B)
 *      batches an epoch, e = floor((i - 1) / k) and f = ((i - 1) mod k) B, the
 *      entries from e n + f on, B of them or as many as the epoch still has.
 * 5. The image at position j of iteration i draws from the stream (seed, 4, i,
 *    j): cropY = below(2 p + 1), cropX = below(2 p + 1), flip = below(2), in
 *    this order, with p the padding. Without augmentation cropY = cropX = p and
 *    flip = 0.
 */
import type { BatchPlan } from "../engine/mod.ts";
import { RandomStream } from "../random/mod.ts";

/** What a {@linkcode BatchSource} makes its plans from. */
export interface BatchSettings {
  /** A whole number from 0 to 2^32 - 1. */
  readonly seed: number;
  /** The training images, as positions in the data set's training part. */
  readonly indices: Uint32Array;
  /** Images in a batch. */
  readonly batchSize: number;
  /** Zeros around an image before it is cropped: 4 in the paper, at most 127. */
  readonly cropPadding: number;
  /**
   * Random crop of the padded image or its mirror image, or neither; photographs are cut where they
   * are read, so that a plan has nothing of it.
   */
  readonly augmentation:
    | "pad-crop-flip"
    | "scale-crop-flip"
    | "random-resized-crop-flip"
    | "none";
  /** A new shuffle each epoch, or always the order of `indices`. */
  readonly order: "shuffled" | "sequential";
  /** Batches run on into the next epoch, or an epoch's last partial batch is kept or dropped. */
  readonly epochEnd: "run-on" | "keep-partial" | "drop-partial";
}

/** Iterations and epochs are one word of the generator's counter. */
const MAX_ITERATION = 0xffffffff;
/** Crop offsets are bytes: 2 * 127 fits. */
const MAX_PADDING = 127;

/**
 * Makes the plan of any iteration, in any order; see the notes of this file.
 *
 * @example
 * ```ts
 * import { BatchSource } from "./batches.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const source = new BatchSource({
 *   seed: 1,
 *   indices: Uint32Array.from({ length: 45_000 }, (_, i) => i),
 *   batchSize: 128,
 *   cropPadding: 4,
 *   augmentation: "pad-crop-flip",
 *   order: "shuffled",
 *   epochEnd: "run-on",
 * });
 * const plan = source.plan(64_000);
 * assertEquals(plan.indices.length, 128);
 * assertEquals(source.plan(64_000), plan);
 * ```
 */
export class BatchSource {
  /** Batches that visit every image once; not a whole number where batches run on. */
  readonly batchesPerEpoch: number;
  readonly #settings: BatchSettings;
  /** Orders of the two epochs last asked for: a batch that runs on needs two. */
  readonly #orders = new Map<number, Uint32Array>();

  /**
   * Checks the settings; the first plan makes the first shuffle.
   *
   * @param settings What the plans are made from; the indices are copied.
   * @throws {RangeError} If a setting is out of its range, or "drop-partial" would drop everything.
   */
  constructor(settings: BatchSettings) {
    const { indices, batchSize, cropPadding, epochEnd } = settings;
    if (indices.length === 0) {
      throw new RangeError("batches need at least 1 training image, found 0");
    }
    if (!Number.isInteger(batchSize) || batchSize < 1) {
      throw new RangeError(`a batch size is a whole number from 1, found ${batchSize}`);
    }
    if (!Number.isInteger(cropPadding) || cropPadding < 0 || cropPadding > MAX_PADDING) {
      throw new RangeError(
        `crop padding is a whole number from 0 to ${MAX_PADDING}, found ${cropPadding}`,
      );
    }
    const batches = indices.length / batchSize;
    if (epochEnd === "drop-partial" && batches < 1) {
      throw new RangeError(
        `dropping the partial batch needs at least ${batchSize} images, one whole batch, ` +
          `found ${indices.length}: use a smaller batch`,
      );
    }
    this.batchesPerEpoch = {
      "run-on": batches,
      "keep-partial": Math.ceil(batches),
      "drop-partial": Math.floor(batches),
    }[epochEnd];
    this.#settings = { ...settings, indices: settings.indices.slice() };
    // Refuses a bad seed here and not at the first batch.
    new RandomStream(settings.seed, "shuffle", 0);
  }

  /**
   * The plan of one iteration.
   *
   * @param iteration From 1, as steps are counted.
   * @returns Arrays of the batch size, or shorter for a partial batch that is kept.
   * @throws {RangeError} If the iteration is not a whole number from 1 to 2^32 - 1.
   */
  plan(iteration: number): BatchPlan {
    if (!Number.isInteger(iteration) || iteration < 1 || iteration > MAX_ITERATION) {
      throw new RangeError(
        `an iteration is a whole number from 1 to ${MAX_ITERATION}, found ${iteration}`,
      );
    }
    const { seed, indices: { length }, cropPadding, augmentation } = this.#settings;
    const { start, count } = this.#range(iteration);
    const plan = {
      indices: new Uint32Array(count),
      cropY: new Uint8Array(count).fill(cropPadding),
      cropX: new Uint8Array(count).fill(cropPadding),
      flip: new Uint8Array(count),
    };
    let epoch = Math.floor(start / length), place = start % length;
    let order = this.#order(epoch);
    for (let j = 0; j < count; j++, place++) {
      if (place === length) {
        order = this.#order(++epoch);
        place = 0;
      }
      plan.indices[j] = order[place];
    }
    if (augmentation === "pad-crop-flip") {
      const random = new RandomStream(seed, "augmentation", iteration);
      const offsets = 2 * cropPadding + 1;
      for (let j = 0; j < count; j++) {
        random.restart(iteration, j);
        plan.cropY[j] = random.below(offsets);
        plan.cropX[j] = random.below(offsets);
        plan.flip[j] = random.below(2);
      }
    }
    return plan;
  }

  /** Where an iteration's images lie in the endless sequence of all epochs. */
  #range(iteration: number): { start: number; count: number } {
    const { indices: { length }, batchSize, epochEnd } = this.#settings;
    if (epochEnd === "run-on") return { start: (iteration - 1) * batchSize, count: batchSize };
    const epoch = Math.floor((iteration - 1) / this.batchesPerEpoch);
    const first = ((iteration - 1) % this.batchesPerEpoch) * batchSize;
    return { start: epoch * length + first, count: Math.min(batchSize, length - first) };
  }

  #order(epoch: number): Uint32Array {
    const { seed, indices, order } = this.#settings;
    if (order === "sequential") return indices;
    let shuffled = this.#orders.get(epoch);
    if (shuffled === undefined) {
      shuffled = new RandomStream(seed, "shuffle", epoch).shuffle(indices.slice());
      const [oldest] = this.#orders.keys();
      if (this.#orders.size === 2) this.#orders.delete(oldest);
      this.#orders.set(epoch, shuffled);
    }
    return shuffled;
  }
}
