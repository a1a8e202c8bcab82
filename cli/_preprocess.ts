/** How images are prepared for weights: as their run prepared them, or as the user says. */
import {
  type Dataset,
  type MeasuredNormalisation,
  measureNormalisation,
  PUBLISHED,
  splitImages,
} from "../data/mod.ts";
import { paper, type Recipe } from "../recipes/mod.ts";
import type { RunIdentity } from "../train/mod.ts";

/** The names that `--preprocess` takes. */
export const PREPROCESS = ["per-pixel", "per-channel", "imagenet", "cifar10", "none"] as const;

/** One of {@link PREPROCESS}. */
export type Preprocess = typeof PREPROCESS[number];

/** A named preprocessing as the fields of a recipe; `cifar10` takes its constants afterwards. */
const SETTINGS: Readonly<Record<Preprocess, Pick<Recipe["data"], "mean" | "std">>> = {
  "per-pixel": { mean: "per-pixel", std: "none" },
  "per-channel": { mean: "per-channel", std: "per-channel" },
  imagenet: { mean: "imagenet", std: "imagenet" },
  cifar10: { mean: "none", std: "none" },
  none: { mean: "none", std: "none" },
};

/**
 * The normalisation to evaluate with. What is measured is measured on the
 * training images of the weights' own run, or, for weights of others, on the
 * 45,000 that the paper's split has with seed 0.
 */
export function normalisationFor(
  dataset: Dataset,
  identity: RunIdentity | undefined,
  preprocess: Preprocess | undefined,
): MeasuredNormalisation {
  const recipe = identity?.recipe ?? paper("resnet20");
  const settings = { ...recipe.data, ...(preprocess ? SETTINGS[preprocess] : {}) };
  const fits = settings.split.training + settings.split.validation <= dataset.train.count;
  const split = fits ? settings.split : { training: dataset.train.count, validation: 0 };
  const { training } = splitImages(dataset.train.count, split, identity?.seed ?? 0);
  const measured = measureNormalisation(dataset.train, training, settings);
  if (preprocess !== "cifar10") return measured;
  const { mean, std } = PUBLISHED.cifar10;
  const unit = measured.normalisation.scale * 255;
  return {
    ...measured,
    of: "CIFAR-10's published channel means; CIFAR-10's published standard deviations",
    normalisation: {
      ...measured.normalisation,
      mean: measured.normalisation.mean.map((_, i) => mean[i % mean.length] * unit),
      std: Float32Array.from(std, (value) => value * unit),
    },
  };
}
