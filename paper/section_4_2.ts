/** Figures that section 4.2 states. */

/** The name of the data set, as recipes have it. */
export const PAPER_DATASET = "cifar10" as const;
/** Images in a batch. */
export const BATCH_SIZE = 128;
/** Length of the training. */
export const ITERATIONS = 64_000;
/** Images in CIFAR-10's training part. */
export const TRAINING_IMAGES = 50_000;

/**
 * The rate that the paper gives a step, after any warm-up.
 *
 * @param iteration From 1, the first step.
 *
 * Source: section 4.2.
 */
export function paperRate(iteration: number): number {
  return iteration <= 32_000 ? 0.1 : iteration <= 48_000 ? 0.01 : 0.001;
}

/** Images in CIFAR-10's test set. */
export const TEST_IMAGES = 10_000;

/** The nets of Table 6 and Figure 6. */
export const PAPER_NETS: readonly string[] = [
  ...[20, 32, 44, 56, 110, 1202].map((depth) => `resnet${depth}`),
  ...[20, 32, 44, 56, 110].map((depth) => `plain${depth}`),
];
