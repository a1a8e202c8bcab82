/** Which images of the training part are trained on, and which are held out for validation. */
import { RandomStream } from "../random/mod.ts";
import { sha256OfWords } from "../files/mod.ts";
import { DataError } from "./errors.ts";

/** Positions in a data set's training part: ascending, and in one list at most. */
export interface Split {
  /** [training], what batches are drawn from. */
  readonly training: Uint32Array;
  /** [validation], never trained on; empty where nothing is held out. */
  readonly validation: Uint32Array;
}

/** One list of a {@link SplitManifest}. */
export interface SplitList {
  /** How many images the list has. */
  readonly count: number;
  /** SHA-256 of the indices as little-endian 32-bit words, ascending. */
  readonly sha256: string;
  /** The indices as ranges with both ends: `0-6,8,10-11`. */
  readonly indices: string;
}

/** A split as it is written to a run's folder. */
export interface SplitManifest {
  /** What was trained on. */
  readonly training: SplitList;
  /** What was held out. */
  readonly validation: SplitList;
}

/**
 * Splits the training part at random. The whole numbers below `count` are
 * shuffled by the "split" stream (substream 0) of the seed; the first
 * `training` of them are trained on, the next `validation` are held out.
 *
 * @param count Images in the data set's training part.
 * @param sizes Images in each list; together at most `count`.
 * @param seed A whole number from 0 to 2^32 - 1.
 * @returns Both lists, each ascending.
 * @throws {RangeError} If a size is not a whole number, nothing is left to train on, or the
 *   sizes exceed `count`.
 *
 * Source: the paper, section 4.2: "a 45k/5k train/val split".
 *
 * @example
 * ```ts
 * import { splitImages } from "./split.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { training, validation } = splitImages(50_000, { training: 45_000, validation: 5_000 }, 7);
 * assertEquals(new Set([...training, ...validation]).size, 50_000);
 * ```
 */
export function splitImages(
  count: number,
  sizes: { readonly training: number; readonly validation: number },
  seed: number,
): Split {
  const { training, validation } = sizes;
  if (!isCount(training) || !isCount(validation) || training === 0) {
    throw new RangeError(
      `a split has at least 1 training image and a whole number of validation images, ` +
        `found ${training} and ${validation}`,
    );
  }
  if (training + validation > count) {
    throw new RangeError(
      `a split of ${training} training and ${validation} validation images needs ` +
        `${training + validation} images, the data set has ${count}: choose smaller parts`,
    );
  }
  const order = new RandomStream(seed, "split", 0)
    .shuffle(Uint32Array.from({ length: count }, (_, i) => i));
  return {
    training: order.slice(0, training).sort(),
    validation: order.slice(training, training + validation).sort(),
  };
}

/**
 * A split as JSON that a person can read and a program can check.
 *
 * @param split Lists in ascending order.
 * @returns Count, SHA-256 and indices of each list.
 *
 * @example
 * ```ts
 * import { splitManifest } from "./split.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const split = { training: Uint32Array.of(0, 1, 2, 5), validation: Uint32Array.of(3) };
 * assertEquals(splitManifest(split).training.indices, "0-2,5");
 * ```
 */
export function splitManifest(split: Split): SplitManifest {
  const list = (indices: Uint32Array): SplitList => ({
    count: indices.length,
    sha256: sha256OfWords(indices),
    indices: toRanges(indices),
  });
  return { training: list(split.training), validation: list(split.validation) };
}

/**
 * The split that a manifest describes.
 *
 * @param manifest As {@linkcode splitManifest} made it.
 * @returns Its lists.
 * @throws {DataError} If a list is not ascending, or its count or SHA-256 is another than stated,
 *   or the lists overlap.
 */
export function splitFromManifest(manifest: SplitManifest): Split {
  const read = (name: keyof SplitManifest): Uint32Array => {
    const { count, sha256, indices } = manifest[name];
    const list = fromRanges(indices, count, name);
    if (list.length !== count || sha256OfWords(list) !== sha256) {
      throw new DataError(
        `the split's ${name} list states ${count} images with SHA-256 ${sha256}, its indices are ` +
          `${list.length} images with SHA-256 ${sha256OfWords(list)}: the manifest was altered`,
      );
    }
    return list;
  };
  const split = { training: read("training"), validation: read("validation") };
  const training = new Set(split.training);
  const shared = split.validation.find((index) => training.has(index));
  if (shared !== undefined) {
    throw new DataError(
      `training and validation images must be disjoint, image ${shared} is in both lists`,
    );
  }
  return split;
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}

function toRanges(ascending: Uint32Array): string {
  const ranges: string[] = [];
  for (let i = 0; i < ascending.length;) {
    const first = ascending[i];
    while (i + 1 < ascending.length && ascending[i + 1] === ascending[i] + 1) i++;
    const last = ascending[i++];
    ranges.push(first === last ? `${first}` : `${first}-${last}`);
  }
  return ranges.join(",");
}

/** At most `count` + 1 indices, so that a wrong range can't ask for gigabytes. */
function fromRanges(text: string, count: number, name: string): Uint32Array {
  const indices: number[] = [];
  for (const range of text === "" ? [] : text.split(",")) {
    const match = /^(\d+)(?:-(\d+))?$/.exec(range);
    const first = Number(match?.[1]), last = Number(match?.[2] ?? match?.[1]);
    if (match === null || first > last || first <= (indices.at(-1) ?? -1)) {
      throw new DataError(
        `the split's ${name} list must hold ascending ranges such as 0-6,8, found "${range}"`,
      );
    }
    for (let index = first; index <= last && indices.length <= count; index++) indices.push(index);
  }
  return Uint32Array.from(indices);
}
