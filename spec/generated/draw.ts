/** Random choices, each subject's from a stream of its own: a seed and a number make it again. */
import { RandomStream } from "../../random/mod.ts";

/** Draws of one subject. */
export class Draw {
  readonly #random: RandomStream;

  /**
   * @param seed Of the whole trial.
   * @param number Which subject; below 2^32.
   * @param part Which kind of subject.
   */
  constructor(seed: number, number: number, part: number) {
    this.#random = new RandomStream(seed, "probe", number, 1_000 + part);
  }

  /** A whole number from 0 to below `bound`. */
  below(bound: number): number {
    return this.#random.below(bound);
  }

  /** A whole number from `low` to `high`, both included. */
  from(low: number, high: number): number {
    return low + this.below(high - low + 1);
  }

  /** Whether something happens that does with this probability. */
  chance(probability: number): boolean {
    return this.uniform() < probability;
  }

  /** From 0 to below 1. */
  uniform(): number {
    return this.#random.uniform();
  }

  /** Of mean 0 and variance 1, by Box and Muller. */
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform());
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** The list in a random order. */
  shuffled<T>(list: readonly T[]): T[] {
    const left = [...list];
    for (let i = left.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [left[i], left[j]] = [left[j], left[i]];
    }
    return left;
  }

  /** A made-up SHA-256. */
  hash(): string {
    return Array.from({ length: 64 }, () => this.below(16).toString(16)).join("");
  }
}

/** A subject that was drawn, and what is known of it. */
export interface Drawn<Subject> {
  /** What is unusual of a right one, or wrong with a wrong one: its kind, for lists. */
  readonly what: string;
  /** What the rules are given. */
  readonly subject: Subject;
  /** Ids of the rules of which one must reject a wrong one. */
  readonly by: readonly string[];
}
