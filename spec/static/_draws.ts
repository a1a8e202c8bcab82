/** Crops and mirrorings, counted: what is no chance in a batch, in a stretch, and in all. */
import type { BatchPlan } from "../../engine/mod.ts";
import { number, percent } from "../../text/mod.ts";

/** Zeros around an image. */
export const PADDING = 4;
/** Crop offsets 0 to 8 down and across. */
const OFFSETS = 2 * PADDING + 1;
/** Crops, mirrored or not. */
export const OUTCOMES = OFFSETS ** 2 * 2;
/** The 1 - 1e-9 quantile of chi-squared with 161 degrees of freedom (stdlib's cdf, bisected). */
const CHI_SQUARED_BOUND = 292.9;
/** Standard errors beyond which a deviation is no chance: by chance once in 10^12 times. */
export const NO_CHANCE = 7;
/** Where exp(-y) (1 + y + y^2 / 2 + y^3 / 6), y half of it, is 1e-12: chi-squared, 8 degrees of freedom. */
const OFFSETS_BOUND = 73.5;
/** Fewest images of which each offset is met often enough for it: 40 times and more. */
const FEWEST_COUNTED = 400;
/** Batches that are counted together. */
const STRETCH = 20;
/** Fewest images in a batch for which shares within it are looked at. */
const FEWEST = 32;
/** Images that are followed; there are 50,000. */
export const MOST_IMAGES = 60_000;

/** Problems that are told in full; the others are more of the same. */
const TOLD = 4;

/** Takes note of a problem; its words are made only where they are told. */
export function note(problems: string[], words: () => string): void {
  if (problems.length < TOLD) problems.push(words());
}

/** Images that are drawn apart. */
type Neighbours = "neighbours" | "halves of a batch";

/** Pairs of images, and how many of them have something alike. */
interface Pairs {
  count: number;
  flips: number;
  down: number;
  across: number;
}

/** Sums over some images' crops and mirrorings. */
class Sums {
  images = 0;
  flips = 0;
  down = 0;
  across = 0;
  /** Offsets that are the same down and across. */
  equal = 0;
  /** Neighbours in a batch, and batches' halves: pairs of images, and what each pair has alike. */
  readonly pairs: Readonly<Record<Neighbours, Pairs>> = {
    neighbours: { count: 0, flips: 0, down: 0, across: 0 },
    "halves of a batch": { count: 0, flips: 0, down: 0, across: 0 },
  };
  /** How often each offset was met; the last counts those that are none. */
  readonly offsets = {
    down: new Uint32Array(OFFSETS + 1),
    across: new Uint32Array(OFFSETS + 1),
  };

  add({ cropY, cropX, flip }: BatchPlan): void {
    for (let j = 0; j < flip.length; j++) {
      this.images++;
      this.flips += flip[j];
      this.down += cropY[j];
      this.across += cropX[j];
      if (cropY[j] === cropX[j]) this.equal++;
      this.offsets.down[Math.min(cropY[j], OFFSETS)]++;
      this.offsets.across[Math.min(cropX[j], OFFSETS)]++;
    }
    const half = flip.length >> 1;
    for (const [of, distance] of [["neighbours", 1], ["halves of a batch", half]] as const) {
      const pairs = this.pairs[of];
      for (let j = 0; distance > 0 && j + distance < flip.length; j++) {
        pairs.count++;
        if (flip[j] === flip[j + distance]) pairs.flips++;
        if (cropY[j] === cropY[j + distance]) pairs.down++;
        if (cropX[j] === cropX[j + distance]) pairs.across++;
      }
    }
  }

  /** Takes note of what is no chance. */
  judge(problems: string[], where: () => string): void {
    const { images } = this;
    if (images < FEWEST) return;
    const look = (what: string, sum: number, expected: number, variance: number) => {
      const found = sum / images;
      if (Math.abs(found - expected) <= NO_CHANCE * Math.sqrt(variance / images)) return;
      note(
        problems,
        () =>
          `${where()} ${Number(found.toFixed(3))} ${what}, not about ${
            Number(expected.toFixed(3))
          }`,
      );
    };
    const variance = (OFFSETS ** 2 - 1) / 12;
    look("are mirrored", this.flips, 1 / 2, 1 / 4);
    look("is the mean offset down", this.down, PADDING, variance);
    look("is the mean offset across", this.across, PADDING, variance);
    // Few are expected in one batch, where chance strays further from the normal distribution.
    const wide = images < 1_000 ? 3 : 1;
    const equal = (OFFSETS - 1) / OFFSETS ** 2;
    look("have one offset for both axes", this.equal, 1 / OFFSETS, wide * equal);
    if (images < FEWEST_COUNTED) return;
    for (const [of, { count, ...alike }] of Object.entries(this.pairs)) {
      for (
        const [what, share] of [["flips", 1 / 2], ["down", 1 / OFFSETS], [
          "across",
          1 / OFFSETS,
        ]] as const
      ) {
        const found = alike[what] / count;
        const error = Math.sqrt(share * (1 - share) / count);
        if (!(Math.abs(found - share) > NO_CHANCE * error)) continue;
        const name = what === "flips" ? "mirrored alike" : `cropped alike ${what}`;
        note(
          problems,
          () => `${where()} ${of} are ${name} in ${percent(found)} of cases, not ${percent(share)}`,
        );
      }
    }
    for (const [axis, counts] of Object.entries(this.offsets)) {
      const expected = images / OFFSETS;
      const chiSquared = counts.subarray(0, OFFSETS)
        .reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
      if (chiSquared <= OFFSETS_BOUND) continue;
      note(
        problems,
        () =>
          `${where()} the offsets 0 to ${OFFSETS - 1} ${axis} come ${
            counts.subarray(0, OFFSETS).join(", ")
          } times, not about ${expected.toFixed(0)} each`,
      );
    }
  }
}

/** What is counted over some batches in a row. */
const emptyStretch = () => ({
  ...{ from: 0, to: 0, sums: new Sums(), batches: 0, repeated: 0, agreeing: 0 },
  ...{ following: 0, repeating: 0 },
});

/** What was drawn; batches must come in their order. */
export class Draws {
  /** Of each outcome; the last counts offsets that none of them has. */
  readonly #counts = new Uint32Array(OUTCOMES + 1);
  /** The batch in which each outcome was met last. */
  readonly #drawnIn = new Float64Array(OUTCOMES + 1);
  readonly #lastBatch = new Float64Array(MOST_IMAGES);
  readonly #lastOutcome = new Int16Array(MOST_IMAGES);
  readonly #problems: string[] = [];
  #images = 0;
  #stretch = emptyStretch();
  /** The batch before. */
  #before: { readonly iteration: number; readonly plan: BatchPlan } | undefined;

  /** Takes note of a batch. */
  add(iteration: number, plan: BatchPlan): void {
    const { indices, cropY, cropX, flip } = plan;
    let different = 0;
    if (this.#stretch.batches === 0) this.#stretch.from = iteration;
    for (let j = 0; j < indices.length; j++) {
      const within = cropY[j] < OFFSETS && cropX[j] < OFFSETS;
      const outcome = within ? (cropY[j] * OFFSETS + cropX[j]) * 2 + flip[j] : OUTCOMES;
      this.#counts[outcome]++;
      if (this.#drawnIn[outcome] !== iteration) different++;
      this.#drawnIn[outcome] = iteration;
      const index = indices[j];
      if (index >= MOST_IMAGES) continue;
      // An image that is repeated within a batch is another rule's.
      if (this.#lastBatch[index] > 0 && this.#lastBatch[index] !== iteration) {
        this.#stretch.repeated++;
        if (this.#lastOutcome[index] === outcome) this.#stretch.agreeing++;
      }
      this.#lastBatch[index] = iteration;
      this.#lastOutcome[index] = outcome;
    }
    const before = this.#before;
    if (before?.iteration === iteration - 1) {
      const { plan } = before;
      for (let j = 0; j < Math.min(indices.length, plan.indices.length); j++) {
        this.#stretch.following++;
        if (
          cropY[j] === plan.cropY[j] && cropX[j] === plan.cropX[j] && flip[j] === plan.flip[j]
        ) this.#stretch.repeating++;
      }
    }
    this.#before = { iteration, plan };
    this.#images += indices.length;
    const batch = new Sums();
    batch.add(plan);
    batch.judge(this.#problems, () => `in batch ${number(iteration)}`);
    const n = indices.length;
    // Of n draws from 162 as many are different, on average; a batch with one view has one.
    const chance = OUTCOMES * (1 - (1 - 1 / OUTCOMES) ** n);
    if (n >= FEWEST && different < chance / 2) {
      note(
        this.#problems,
        () =>
          `batch ${number(iteration)} has ${different} different views of ${n} images, not about ${
            chance.toFixed(0)
          }`,
      );
    }
    this.#stretch.sums.add(plan);
    this.#stretch.to = iteration;
    if (++this.#stretch.batches === STRETCH) this.#close();
  }

  /** Judges what was counted together, and begins anew. */
  #close(): void {
    const { from, to, sums, batches, repeated, agreeing, following, repeating } = this.#stretch;
    if (batches === 0) return;
    const where = () => `in batches ${number(from)} to ${number(to)}`;
    sums.judge(this.#problems, where);
    // Two independent draws agree once in 162 times.
    const chance = repeated / OUTCOMES;
    if (agreeing > chance + NO_CHANCE * Math.sqrt(chance) + NO_CHANCE) {
      note(
        this.#problems,
        () =>
          `${where()} an image is drawn as it was before in ${
            percent(agreeing / repeated)
          } of cases`,
      );
    }
    const alike = following / OUTCOMES;
    if (repeating > alike + NO_CHANCE * Math.sqrt(alike) + NO_CHANCE) {
      note(
        this.#problems,
        () =>
          `${where()} the view at a place is that of the batch before in ${
            percent(repeating / following)
          } of cases`,
      );
    }
    this.#stretch = emptyStretch();
  }

  /** Crops and mirrorings that are not drawn as they should be. */
  problems(): string[] {
    this.#close();
    const problems = [...this.#problems];
    const counts = this.#counts.subarray(0, OUTCOMES);
    const beyond = this.#counts[OUTCOMES];
    if (beyond > 0) problems.unshift(`${number(beyond)} offsets are above ${OFFSETS - 1}`);
    const mean = this.#images / OUTCOMES;
    // With fewer draws an outcome may be left out by chance.
    if (mean < 30) return problems;
    const drawn = counts.filter((count) => count > 0).length;
    if (drawn !== OUTCOMES) {
      problems.unshift(`${drawn} of ${OUTCOMES} crops and flips were drawn`);
    }
    const chiSquared = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    if (chiSquared > CHI_SQUARED_BOUND) {
      problems.push(
        `the outcomes are not equally likely: chi-squared is ${
          chiSquared.toFixed(1)
        }, above ${CHI_SQUARED_BOUND}`,
      );
    }
    return problems;
  }
}
