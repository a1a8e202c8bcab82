/** Random readings of what the paper leaves open, and random departures from it. */
import { paper, type Recipe, type RecipeChanges, vary } from "../../recipes/mod.ts";
import type { Draw } from "./draw.ts";

/** The residual and plain nets that have a recipe of their own in the paper. */
export const DEPTHS = [20, 32, 44, 56, 110] as const;

/** Each open point's readings, written anew from the paper's facts. */
const READINGS: readonly (readonly RecipeChanges[])[] = [
  [{}, { data: { split: { training: 50_000, validation: 0 } } }],
  [{}, { batchNormImages: 64 }],
  [{}, { optimiser: { decayed: "kernels" } }],
  [{}, { data: { meanSubtracted: "after-crop" } }],
  [{}, { data: { pixelScale: "0..255" } }],
  [{}, { initialisation: { fan: "out" } }],
  [{}, { initialisation: { lastLayer: "library" } }],
  [{}, { optimiser: { nesterov: true } }, { optimiser: { velocityOf: "steps" } }],
  [{}, { data: { epochEnd: "keep-partial" } }, { data: { epochEnd: "drop-partial" } }],
];

/** A recipe that the paper can be read as, with its open choices declared or not. */
export function openRecipe(draw: Draw, net: string): Recipe {
  let recipe = paper(net);
  const often = draw.pick([0, 0.3, 0.8]);
  for (const readings of READINGS) {
    if (draw.chance(often)) recipe = vary(recipe, draw.pick(readings), "the paper can be read so");
  }
  if (recipe.architecture.shortcut === "A" && draw.chance(often)) {
    recipe = vary(recipe, { architecture: { zeroChannels: "split" } }, "as in other code");
  }
  return draw.chance(0.5) ? { ...recipe, departures: [] } : recipe;
}

/** Changes of one field that no reading of the paper has, for a residual or a plain net. */
export const DEPARTURES: Readonly<Record<string, RecipeChanges>> = {
  "batches of 64": { batchSize: 64 },
  "batches of 256": { batchSize: 256 },
  "statistics over 32 images": { batchNormImages: 32 },
  "an epsilon of 0.001": { batchNorm: { epsilon: 1e-3 } },
  "statistics that move by 0.01": { batchNorm: { momentum: 0.01 } },
  "a momentum of 0.95": { optimiser: { momentum: 0.95 } },
  "no momentum": { optimiser: { momentum: 0 } },
  "five times the decay": { optimiser: { weightDecay: 5e-4 } },
  "no decay": { optimiser: { weightDecay: 0 } },
  "a rate of 0.05": { schedule: { rate: 0.05 } },
  "a factor of 0.2": { schedule: { factor: 0.2 } },
  "a boundary at 40,000": { schedule: { boundaries: [40_000, 48_000] } },
  "one boundary": { schedule: { boundaries: [32_000] } },
  "channel means": { data: { mean: "per-channel" } },
  "no mean": { data: { mean: "none" } },
  "a division by the deviation": { data: { std: "per-channel" } },
  "no augmentation": { data: { augmentation: "none" } },
  "a padding of 2": { data: { cropPadding: 2 } },
  "images in their order": { data: { order: "sequential" } },
  "47,500 images": { data: { split: { training: 47_500, validation: 2_500 } } },
};
