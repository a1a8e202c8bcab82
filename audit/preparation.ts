/** How images are prepared for weights: as their run prepared them, or as the user says. */
import {
  type Dataset,
  datasetNamed,
  type MeasuredNormalisation,
  measureNormalisation,
  PHOTOGRAPHS,
  splitImages,
} from "../data/mod.ts";
import { PAPER_DATASET } from "../paper/mod.ts";
import { paper } from "../recipes/mod.ts";
import type { RunIdentity } from "../train/mod.ts";
import { measuredBy, type Preprocessing, preprocessings } from "./preprocessings.ts";

/** A preprocessing and what it was measured on. */
export interface InputPreparation extends MeasuredNormalisation {
  /** What is done to the images before the normalisation, where it is one of the list. */
  readonly way?: Preprocessing;
}

/**
 * The preprocessing to evaluate with. What is measured is measured on the
 * training images of the weights' own run, or, for weights of others, on the
 * 45,000 that the paper's split has with seed 0.
 *
 * @param dataset The images; of them the training ones are looked at.
 * @param identity What the weights say of their own training.
 * @param preprocess One of `PREPROCESSINGS`; the run's own, else the paper's, when undefined.
 */
export function preparationFor(
  dataset: Dataset,
  identity: RunIdentity | undefined,
  preprocess: string | undefined,
): InputPreparation {
  const recipe = identity?.recipe ?? paper("resnet20");
  const { split, set, ...settings } = recipe.data;
  const fits = split.training + split.validation <= dataset.train.count;
  const { training } = splitImages(
    dataset.train.count,
    fits ? split : { training: dataset.train.count, validation: 0 },
    identity?.seed ?? 0,
  );
  if (preprocess === undefined) {
    const { channels } = datasetNamed(set === PHOTOGRAPHS ? PAPER_DATASET : set);
    return measureNormalisation(dataset.train, training, settings, channels);
  }
  const way = preprocessings(dataset.train, training).find(({ id }) => id === preprocess)!;
  return { ...measuredBy(way), way };
}
