/** The top-5 error: how often an image's class is not among the five that a network finds likeliest. */
import type { Labels } from "../engine/mod.ts";
import { PHOTOGRAPHS, type SetName } from "./dataset.ts";

/** How many of the likeliest classes count. */
const FIVE = 5;
/** Of fewer classes five say little; photographs alone are tested so with any more than five. */
const MANY = 20;

/**
 * Whether a set has a top-5 error beside its error: one of photographs with more classes than five,
 * or any other with more than twenty.
 *
 * @param set Which.
 * @param classes How many it has.
 */
export function hasTopFive(set: SetName, classes: number): boolean {
  return classes > (set === PHOTOGRAPHS ? FIVE : MANY);
}

/**
 * How many classes a network finds likelier than one. Of equals the first counts as likelier, as in
 * its prediction; what is no number makes nothing likely.
 *
 * @param scores [classes], logits or probabilities.
 * @param label The class.
 *
 * @example
 * ```ts
 * import { rankOf } from "./top_five.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals([0, 1, 2].map((label) => rankOf([0.2, 0.6, 0.2], label)), [1, 0, 2]);
 * ```
 */
export function rankOf(scores: ArrayLike<number>, label: number): number {
  const own = scores[label];
  let likelier = 0;
  for (let k = 0; k < scores.length; k++) {
    const isBehind = scores[k] < own || scores[k] === own && k >= label;
    if (!isBehind && k !== label) likelier++;
  }
  return likelier;
}

/** Whether a class of that rank is among the first five. */
export const isAmongFive = (rank: number): boolean => rank < FIVE;

/**
 * The images whose class is not among the five likeliest.
 *
 * @param logits [N, classes].
 * @param labels [N].
 * @param classes Their number.
 */
export function topFiveErrors(logits: Float32Array, labels: Labels, classes: number): number {
  let errors = 0;
  for (let i = 0; i < labels.length; i++) {
    const scores = logits.subarray(i * classes, (i + 1) * classes);
    if (!isAmongFive(rankOf(scores, labels[i]))) errors++;
  }
  return errors;
}
