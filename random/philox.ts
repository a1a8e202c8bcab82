/**
 * Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw,
 * "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11). A draw is a pure
 * function of a key and a counter, so any part of a random sequence can be had
 * without the parts before it: a run resumes from an iteration's number alone.
 */

const MULTIPLIER_0 = 0xd2511f53;
const MULTIPLIER_1 = 0xcd9e8d57;
const WEYL_0 = 0x9e3779b9;
const WEYL_1 = 0xbb67ae85;
const ROUNDS = 10;

/** Four 32-bit words. */
export type Words = readonly [number, number, number, number];

/**
 * One block of the generator.
 *
 * @param key Two 32-bit words.
 * @param counter Four 32-bit words.
 * @returns Four independent uniform 32-bit words.
 *
 * @example The published known answer for an all-zero key and counter.
 * ```ts
 * import { philox } from "./philox.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(philox([0, 0], [0, 0, 0, 0]), [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
 * ```
 */
export function philox(key: readonly [number, number], counter: Words): Words {
  let [k0, k1] = key;
  let [c0, c1, c2, c3] = counter;
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0) >>> 0;
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + WEYL_0) >>> 0;
    k1 = (k1 + WEYL_1) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/** Upper 32 bits of a 64-bit product. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff, aHigh = a >>> 16;
  const bLow = b & 0xffff, bHigh = b >>> 16;
  const low = aLow * bLow;
  const middle = aHigh * bLow + (low >>> 16);
  const middle2 = aLow * bHigh + (middle % 0x10000);
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + Math.floor(middle2 / 0x10000)) >>> 0;
}

/**
 * What a stream of random numbers is used for: the second word of the key, so
 * that no two uses of one seed ever share a number. Changing a value here
 * changes every result that was made with it.
 */
export const STREAMS = {
  initialisation: 1,
  split: 2,
  shuffle: 3,
  augmentation: 4,
  shapes: 5,
  probe: 6,
} as const;

/**
 * A sequence of draws within one stream.
 *
 * @example
 * ```ts
 * import { RandomStream } from "./philox.ts";
 * import { assert } from "@std/assert";
 *
 * const random = new RandomStream(7, "shuffle", 0);
 * const u = random.uniform();
 * assert(u >= 0 && u < 1);
 * ```
 */
export class RandomStream {
  #key: readonly [number, number];
  #counter = 0;
  #substream: readonly [number, number];
  #words: Words = [0, 0, 0, 0];
  #left = 0;
  #spare: number | undefined;

  /**
   * Begins a sequence; equal arguments begin equal sequences.
   *
   * @param seed A whole number from 0 to 2^32 - 1.
   * @param stream What the numbers are for.
   * @param substream Which of the stream's sequences: an epoch, an image, an array. Below 2^32.
   * @param part A second index below 2^32 where one is not enough.
   */
  constructor(seed: number, stream: keyof typeof STREAMS, substream: number, part = 0) {
    if (!Number.isInteger(seed) || seed < 0 || seed > 0xffffffff) {
      throw new RangeError(`a seed is a whole number from 0 to 4294967295, found ${seed}`);
    }
    this.#key = [seed, STREAMS[stream]];
    this.#substream = [substream >>> 0, part >>> 0];
  }

  /** A uniform 32-bit word. */
  word(): number {
    if (this.#left === 0) {
      this.#words = philox(this.#key, [this.#counter++, 0, ...this.#substream]);
      this.#left = 4;
    }
    return this.#words[4 - this.#left--];
  }

  /** Uniform in [0, 1) with 32 random bits. */
  uniform(): number {
    return this.word() / 0x100000000;
  }

  /**
   * Uniform whole number from 0 to `bound` - 1, without bias: words past the
   * last whole multiple of `bound` are drawn again.
   *
   * @param bound A whole number from 1 to 2^32.
   * @throws {RangeError} If the bound is another.
   */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 0x100000000) {
      throw new RangeError(`a bound is a whole number from 1 to 4294967296, found ${bound}`);
    }
    const limit = 0x100000000 - (0x100000000 % bound);
    let word = this.word();
    while (word >= limit) word = this.word();
    return word % bound;
  }

  /** Normal with mean 0 and variance 1 (Box-Muller). */
  normal(): number {
    if (this.#spare !== undefined) {
      const value = this.#spare;
      this.#spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log((this.word() + 0.5) / 0x100000000));
    const angle = 2 * Math.PI * this.uniform();
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Fisher-Yates shuffle in place. */
  shuffle(values: Uint32Array): Uint32Array {
    for (let i = values.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [values[i], values[j]] = [values[j], values[i]];
    }
    return values;
  }
}
