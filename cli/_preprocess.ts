/** How images are prepared for weights: as their run prepared them, or as the user says. */
import {
  type ChannelStatistics,
  type Dataset,
  DATASET_NAMES,
  datasetNamed,
  type MeasuredNormalisation,
  measureNormalisation,
  splitImages,
} from "../data/mod.ts";
import { paper, type Recipe } from "../recipes/mod.ts";
import type { RunIdentity } from "../train/mod.ts";

/** What a named preprocessing does: fields of a recipe, or a data set's published constants. */
type Way =
  | { readonly settings: Pick<Recipe["data"], "mean" | "std"> }
  | { readonly title: string; readonly channels: ChannelStatistics };

const WAYS: Readonly<Record<string, Way>> = {
  "per-pixel": { settings: { mean: "per-pixel", std: "none" } },
  "per-channel": { settings: { mean: "per-channel", std: "per-channel" } },
  imagenet: { settings: { mean: "imagenet", std: "imagenet" } },
  ...Object.fromEntries(
    DATASET_NAMES.flatMap((set): [string, Way][] => {
      const { title, channels } = datasetNamed(set);
      return channels ? [[set, { title, channels }]] : [];
    }),
  ),
  none: { settings: { mean: "none", std: "none" } },
};

/** The names that `--preprocess` takes. */
export const PREPROCESS: readonly string[] = Object.keys(WAYS);

/**
 * The normalisation to evaluate with. What is measured is measured on the
 * training images of the weights' own run, or, for weights of others, on the
 * 45,000 that the paper's split has with seed 0.
 */
export function normalisationFor(
  dataset: Dataset,
  identity: RunIdentity | undefined,
  preprocess: string | undefined,
): MeasuredNormalisation {
  const recipe = identity?.recipe ?? paper("resnet20");
  const way = preprocess === undefined ? { settings: {} } : WAYS[preprocess];
  const none = { mean: "none", std: "none" } as const;
  const settings = { ...recipe.data, ...("settings" in way ? way.settings : none) };
  const fits = settings.split.training + settings.split.validation <= dataset.train.count;
  const split = fits ? settings.split : { training: dataset.train.count, validation: 0 };
  const { training } = splitImages(dataset.train.count, split, identity?.seed ?? 0);
  const measured = measureNormalisation(dataset.train, training, settings);
  if ("settings" in way) return measured;
  const { title, channels: { mean, std } } = way;
  const unit = measured.normalisation.scale * 255;
  return {
    ...measured,
    of: `${title}'s published channel means; ${title}'s published standard deviations`,
    normalisation: {
      ...measured.normalisation,
      mean: measured.normalisation.mean.map((_, i) => mean[i % mean.length] * unit),
      std: Float32Array.from(std, (value) => value * unit),
    },
  };
}
