/** Figures of section 4.2 that more than one rule needs, and how rules write numbers. */

/** Images in a batch. */
export const BATCH_SIZE = 128;
/** Length of the training. */
export const ITERATIONS = 64_000;
/** Images in CIFAR-10's training part. */
export const TRAINING_IMAGES = 50_000;

/** The rate that the paper gives step `iteration`, after any warm-up. */
export function paperRate(iteration: number): number {
  return iteration <= 32_000 ? 0.1 : iteration <= 48_000 ? 0.01 : 0.001;
}

/** Whether two numbers are the same but for rounding. */
export const close = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-9 * Math.abs(b);

/** A number with its thousands apart. */
export const grouped = (value: number): string => value.toLocaleString("en-US");
