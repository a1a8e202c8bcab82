/** Recipes for folders of photographs: the paper's section 3.4, and what is made of it. */
import { PHOTOGRAPHS } from "../data/mod.ts";
import { Epochs } from "./epochs.ts";
import type { Recipe } from "./recipe.ts";
import { imagenetPaper, vary } from "./recipes.ts";

/**
 * The paper's recipe for ImageNet, section 3.4. What it leaves open is decided as its authors'
 * published notes have it (batch norm over the 32 images of one of eight GPUs), or as PyTorch's
 * `ReduceLROnPlateau` does, with a patience of 5 epochs.
 *
 * `deno task train --recipe imagenet --arch resnet34 --data FOLDER`; expected: 24.52% top-1 error
 * by 10-crop testing (Table 3). Its result has not been measured here.
 *
 * @param architectureName `resnet34` by default.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { imagenet } from "./photographs.ts";
 *
 * const { batchSize, schedule, departures } = imagenet("resnet34");
 * assertEquals([batchSize, schedule.iterations, departures], [256, 600_000, []]);
 * ```
 */
export function imagenet(architectureName = "resnet34"): Recipe {
  return vary(imagenetPaper(architectureName), {}, NET);
}

/** Why a net is another than the paper's. */
const NET = "the net that was asked for";

/** Epochs of `finetune`, and its batch. */
const EPOCHS = 30, BATCH = 32;

/**
 * A training on any folder of photographs, from given weights or from scratch: section 3.4's
 * augmentation, ImageNet's published means and deviations, 30 epochs.
 *
 * `deno task train --recipe finetune --arch resnet18 --weights FILE --data FOLDER`
 *
 * @param architectureName `resnet18` by default.
 */
export function finetune(architectureName = "resnet18"): Recipe {
  const weights = "as torchvision's weights were trained, from which one starts";
  const small = "a set of thousands of images, or of hundreds";
  const length = `${EPOCHS} epochs, the rate divided by 10 after 15 and after 25`;
  const prepared = vary(vary(imagenetPaper(architectureName), {}, NET), {
    name: "finetune",
    data: { mean: "imagenet", std: "imagenet" },
  }, weights);
  const batch = vary(prepared, { batchSize: BATCH, batchNormImages: BATCH }, small);
  const schedule = {
    ...{ kind: "steps", rate: 0.01, boundaries: [15, 25], unit: "epoch", factor: 0.1 } as const,
    iterations: new Epochs(batch).end(EPOCHS),
  };
  return vary(batch, { schedule }, length);
}

/** The recipes for photographs by name, which is their field `name` too. */
export const PHOTOGRAPH_RECIPES: Readonly<
  Record<"imagenet" | "finetune", (architectureName?: string) => Recipe>
> = { imagenet, finetune };

/**
 * A recipe whose network sees photographs of another size: the sides that they are brought to
 * before keep their share.
 *
 * @param recipe For photographs.
 * @param size Side of what the network sees, in pixels.
 * @param reason Why, for the departures.
 */
export function withImageSize(recipe: Recipe, size: number, reason: string): Recipe {
  const { photographs } = recipe.data;
  if (!photographs) return recipe;
  const scaled = (side: number) => Math.round(side * size / photographs.size);
  const { shorterSide: { least, most }, testShorterSide } = photographs;
  return vary(recipe, {
    data: {
      photographs: {
        size,
        shorterSide: { least: scaled(least), most: scaled(most) },
        testShorterSide: scaled(testShorterSide),
      },
    },
  }, reason);
}

/** Whether a recipe is one for photographs. */
export function isOfPhotographs({ data }: Pick<Recipe, "data">): boolean {
  return data.set === PHOTOGRAPHS;
}
