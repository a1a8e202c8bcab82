/**
 * The table of mistakes: each is one change that is put into clean training
 * scripts, with the finding that an audit of the recording has to name first.
 */
import { DATA_MISTAKES } from "./_data_mistakes.ts";
import { IMAGE_MISTAKES } from "./_image_mistakes.ts";
import type { Mistake } from "./_mistake.ts";
import { NETWORK_MISTAKES } from "./_network_mistakes.ts";
import { TRAINING_MISTAKES } from "./_training_mistakes.ts";

/** All mistakes: of images, data, training, network. */
export const MISTAKES: readonly Mistake[] = [
  ...IMAGE_MISTAKES,
  ...DATA_MISTAKES,
  ...TRAINING_MISTAKES,
  ...NETWORK_MISTAKES,
];
