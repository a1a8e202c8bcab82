/** Epochs of a schedule: images that come twice in one, and orders that come again. */
import { number } from "../../text/mod.ts";
import { MOST_IMAGES, NO_CHANCE } from "./_draws.ts";

/** How a schedule is divided into epochs. */
export interface EpochSettings {
  /** Images in a batch, as the recipe has it. */
  readonly batch: number;
  /** Images in an epoch. */
  readonly count: number;
  /** Batches run on into the next epoch, or its last partial batch is kept or dropped. */
  readonly epochEnd: "run-on" | "keep-partial" | "drop-partial";
  /** What is trained on, in its own order. */
  readonly training: Uint32Array | undefined;
}

/** Batches at the start of each epoch by whose images two orders are compared. */
export const OPENING = 2;

/** Batches in an epoch that ends with one. */
function batchesInEpoch({ epochEnd, count, batch }: EpochSettings): number {
  const batches = count / batch;
  return Math.max(1, epochEnd === "keep-partial" ? Math.ceil(batches) : Math.floor(batches));
}

/** Where an epoch, from 0, has its whole batches: the first, and the one past the last. */
export function batchesOf(
  settings: EpochSettings,
  epoch: number,
): readonly [first: number, end: number] {
  const { epochEnd, count, batch } = settings;
  if (epochEnd === "run-on") {
    return [Math.ceil(epoch * count / batch) + 1, Math.floor((epoch + 1) * count / batch) + 1];
  }
  const each = batchesInEpoch(settings);
  return [epoch * each + 1, (epoch + 1) * each + 1];
}

/** What is known of the epochs; batches must come in their order. */
export class Epochs {
  readonly #settings: EpochSettings;
  /** The epoch, from 1, in which each image was met last. */
  readonly #met = new Int32Array(MOST_IMAGES);
  readonly #repeated: string[] = [];
  readonly #openings = new Map<number, number[]>();
  /** Of each epoch that is looked at whole, the place of each image, or NaN. */
  readonly #places = new Map<number, Float64Array>();

  /**
   * @param settings Where epochs begin.
   * @param whole The epochs, from 0, of which every batch will be added.
   */
  constructor(settings: EpochSettings, whole: ReadonlySet<number>) {
    this.#settings = settings;
    for (const epoch of whole) this.#places.set(epoch, new Float64Array(MOST_IMAGES).fill(NaN));
  }

  /** Takes note of a batch. */
  add(iteration: number, indices: Uint32Array): void {
    const { batch, count, epochEnd } = this.#settings;
    const start = (iteration - 1) * batch;
    const runsOn = epochEnd === "run-on";
    const begins = runsOn
      ? Math.floor(start / count)
      : Math.floor((iteration - 1) / batchesInEpoch(this.#settings));
    for (let j = 0; j < indices.length; j++) {
      const index = indices[j];
      if (index >= MOST_IMAGES) continue;
      const epoch = runsOn ? Math.floor((start + j) / count) : begins;
      if (this.#met[index] === epoch + 1 && this.#repeated.length < 4) {
        this.#repeated.push(
          `image ${index} comes twice in epoch ${number(epoch + 1)}, by batch ${number(iteration)}`,
        );
      }
      this.#met[index] = epoch + 1;
      const places = this.#places.get(epoch);
      if (places) places[index] = start + j;
    }
    const [first] = batchesOf(this.#settings, begins);
    if (iteration < first || iteration >= first + OPENING) return;
    this.#openings.set(begins, [...this.#openings.get(begins) ?? [], ...indices]);
  }

  /** Images that come twice in an epoch. */
  coverage(): string[] {
    return this.#repeated;
  }

  /** Orders that are none of their own. */
  order(): string[] {
    return [...this.#repeatedOpenings(), ...this.#followed()];
  }

  /** Epochs that begin with the images with which another one does. */
  #repeatedOpenings(): string[] {
    const problems: string[] = [];
    const epochs = [...this.#openings];
    const begunWith = new Map<number, number[]>();
    for (const [at, [epoch, images]] of epochs.entries()) {
      const shared = new Uint16Array(at);
      for (const image of images) {
        const others = begunWith.get(image);
        if (!others) begunWith.set(image, [at]);
        else {
          for (const other of others) shared[other]++;
          others.push(at);
        }
      }
      // Two random openings of 256 of 45,000 images share 1.5 of them.
      const chance = images.length ** 2 / this.#settings.count;
      const bound = chance + NO_CHANCE * Math.sqrt(chance) + NO_CHANCE;
      const other = shared.findIndex((count) => count > bound);
      if (other >= 0 && problems.length < 4) {
        problems.push(
          `epoch ${number(epoch + 1)} begins with ${shared[other]} of the ${images.length} ` +
            `images with which epoch ${number(epochs[other][0] + 1)} begins`,
        );
      }
    }
    return problems;
  }

  /** Whole epochs whose order is that of the images, of the list, or of another epoch. */
  #followed(): string[] {
    const own = Float64Array.from({ length: MOST_IMAGES }, (_, image) => image);
    const listed = new Float64Array(MOST_IMAGES).fill(NaN);
    this.#settings.training?.forEach((image, at) => {
      if (image < MOST_IMAGES) listed[image] = at;
    });
    const orders: (readonly [what: string, places: Float64Array])[] = [
      ["the images' own order", own],
      ["the list that is trained on", listed],
    ];
    const problems: string[] = [];
    for (const [epoch, places] of this.#places) {
      for (const [what, other] of orders) {
        const { r, count } = correlation(places, other);
        if (Math.abs(r) * Math.sqrt(count) <= NO_CHANCE) continue;
        problems.push(
          `the order of epoch ${number(epoch + 1)} follows ${what}: their correlation is ${
            r.toFixed(2)
          }`,
        );
      }
      orders.push([`the order of epoch ${number(epoch + 1)}`, places]);
    }
    return problems;
  }
}

/** Of the places of those images that have both; 0 where they are too few to tell. */
function correlation(a: Float64Array, b: Float64Array): { r: number; count: number } {
  let count = 0, sumA = 0, sumB = 0;
  for (let i = 0; i < a.length; i++) {
    if (Number.isNaN(a[i]) || Number.isNaN(b[i])) continue;
    count++;
    sumA += a[i];
    sumB += b[i];
  }
  if (count < 200) return { r: 0, count };
  const meanA = sumA / count, meanB = sumB / count;
  let squaresA = 0, squaresB = 0, products = 0;
  for (let i = 0; i < a.length; i++) {
    if (Number.isNaN(a[i]) || Number.isNaN(b[i])) continue;
    const x = a[i] - meanA, y = b[i] - meanB;
    squaresA += x * x;
    squaresB += y * y;
    products += x * y;
  }
  return { r: products / Math.sqrt(squaresA * squaresB) || 0, count };
}
