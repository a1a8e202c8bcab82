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
  const words = new Uint32Array(4);
  rounds(words, ...key, ...counter);
  return [words[0], words[1], words[2], words[3]];
}

/** The ten rounds, without an object: streams call this once for every four words. */
function rounds(
  words: Uint32Array,
  k0: number,
  k1: number,
  c0: number,
  c1: number,
  c2: number,
  c3: number,
): void {
  for (let round = 0; round < ROUNDS; round++) {
    const high0 = multiplyHigh(MULTIPLIER_0, c0);
    const low0 = Math.imul(MULTIPLIER_0, c0);
    const high1 = multiplyHigh(MULTIPLIER_1, c2);
    const low1 = Math.imul(MULTIPLIER_1, c2);
    c0 = high1 ^ c1 ^ k0;
    c1 = low1;
    c2 = high0 ^ c3 ^ k1;
    c3 = low0;
    k0 = (k0 + WEYL_0) | 0;
    k1 = (k1 + WEYL_1) | 0;
  }
  words[0] = c0;
  words[1] = c1;
  words[2] = c2;
  words[3] = c3;
}

/** Upper 32 bits of the 64-bit product of two unsigned words, by 16-bit halves. */
function multiplyHigh(a: number, b: number): number {
  const aLow = a & 0xffff, aHigh = a >>> 16;
  const bLow = b & 0xffff, bHigh = b >>> 16;
  const middle = ((Math.imul(aHigh, bLow) >>> 0) + (Math.imul(aLow, bLow) >>> 16)) >>> 0;
  const other = ((Math.imul(aLow, bHigh) >>> 0) + (middle & 0xffff)) >>> 0;
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (other >>> 16)) | 0;
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
  readonly #seed: number;
  readonly #use: number;
  readonly #words = new Uint32Array(4);
  #substream = 0;
  #part = 0;
  #counter = 0;
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
    this.#seed = seed;
    this.#use = STREAMS[stream];
    this.restart(substream, part);
  }

  /**
   * Begins another of the stream's sequences: what a new stream of the same seed
   * would draw, without a new object for each.
   *
   * @param substream As the constructor takes it.
   * @param part As the constructor takes it.
   */
  restart(substream: number, part = 0): void {
    this.#substream = substream;
    this.#part = part;
    this.#counter = 0;
    this.#left = 0;
    this.#spare = undefined;
  }

  /** A uniform 32-bit word. */
  word(): number {
    if (this.#left === 0) {
      rounds(this.#words, this.#seed, this.#use, this.#counter++, 0, this.#substream, this.#part);
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
    const divisor = bound >>> 0;
    if (divisor !== bound || divisor === 0) {
      if (bound === 0x100000000) return this.word();
      throw new RangeError(`a bound is a whole number from 1 to 4294967296, found ${bound}`);
    }
    let word = this.word();
    // Only a word within `bound` of 2^32 can lie past the last whole multiple: look only then.
    if (word >= -divisor >>> 0) {
      while (word >= 0x100000000 - 0x100000000 % bound) word = this.word();
    }
    return (word >>> 0) % divisor; // both known to be 32-bit: no division of floats
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
      const value = values[i];
      values[i] = values[j];
      values[j] = value;
    }
    return values;
  }
}
