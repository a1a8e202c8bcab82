/** Classes of images, in as few bytes as their number allows. */

/** One class an image: bytes where there are at most 256 classes, 16-bit words where there are more. */
export type Labels = Uint8Array | Uint16Array;

/**
 * Room for labels.
 *
 * @param count How many.
 * @param classes Labels are 0 to `classes` - 1; at most 65,536.
 * @returns Zeros.
 * @throws {RangeError} If 16 bits can't tell so many classes apart.
 *
 * @example
 * ```ts
 * import { newLabels } from "./labels.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const labels = newLabels(1, 1000);
 * labels[0] = 299;
 * assertEquals(labels, Uint16Array.of(299)); // as a byte it would be 43
 * ```
 */
export function newLabels(count: number, classes: number): Labels {
  if (classes > 2 ** 16) {
    throw new RangeError(`labels tell at most ${2 ** 16} classes apart, found ${classes}`);
  }
  return classes > 256 ? new Uint16Array(count) : new Uint8Array(count);
}

/**
 * The labels of some images.
 *
 * @param labels Of all.
 * @param indices Which images; each is in the set.
 * @returns A copy, in the order of the indices and as wide as what it was taken from.
 */
export function labelsAt(labels: Labels, indices: Uint32Array): Labels {
  const chosen = new (labels.constructor as new (count: number) => Labels)(indices.length);
  for (let i = 0; i < indices.length; i++) chosen[i] = labels[indices[i]];
  return chosen;
}
