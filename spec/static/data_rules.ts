/** Section 4.2 on the images: the set, the split, the batches and what is done to an image. */
import { architecture } from "../../resnet/mod.ts";
import type { BatchPlan } from "../../engine/mod.ts";
import { departuresOf } from "../../recipes/mod.ts";
import { BATCH_SIZE, PAPER_DATASET, TRAINING_IMAGES } from "../../paper/mod.ts";
import { number } from "../../text/mod.ts";
import { badBatches, badRecipe, field } from "./_bad.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

const PADDING = 4;
/** Crop offsets 0 to 8 down and across, mirrored or not. */
const OUTCOMES = 9 * 9 * 2;
/** The 0.9999 quantile of chi-squared with 161 degrees of freedom (SciPy 1.17.1, chi2.ppf). */
const CHI_SQUARED_BOUND = 236.4;

/** The rules on the images and their batches. */
export const DATA_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "data-set",
    section: "4.2",
    requirement: "The data set is CIFAR-10.",
    tier: "static",
    check: field("the data set", (recipe) => recipe.data.set, PAPER_DATASET),
    rejects: [
      badRecipe("CIFAR-100", "the files look alike", ({ data }) => ({
        data: { ...data, set: "cifar100" },
      })),
      badRecipe("built-in images", "a demonstration is reported as a result", ({ data }) => ({
        data: { ...data, set: "shapes10" },
      })),
    ],
  },
  {
    id: "split",
    section: "4.2",
    requirement:
      "45,000 of the 50,000 training images are trained on and 5,000 others are for validation (or, where the paper can be read so, all 50,000 are trained on).",
    tier: "static",
    check: needing(["recipe", "split"], ({ recipe, split: { training, validation } }) => {
      const sizes = `${number(training.length)} training and ${
        number(validation.length)
      } validation images`;
      const stated = recipe.data.split;
      const problems = ["45,000/5,000", "50,000/0"].includes(
          `${number(training.length)}/${number(validation.length)}`,
        )
        ? []
        : [sizes];
      if (stated.training !== training.length || stated.validation !== validation.length) {
        problems.push(
          `the recipe says ${stated.training} and ${stated.validation}, the split has ${sizes}`,
        );
      }
      const all = [...training, ...validation];
      const repeated = all.length - new Set(all).size;
      if (repeated > 0) problems.push(`${number(repeated)} images come more than once`);
      const outside = all.filter((index) => index >= TRAINING_IMAGES).length;
      if (outside > 0) problems.push(`${number(outside)} images are not of the training part`);
      return finding(problems, `${sizes}, none in both`);
    }),
    rejects: [
      badRecipe("47.5k/2.5k in the recipe", "another split than was made", ({ data }) => ({
        data: { ...data, split: { training: 47_500, validation: 2_500 } },
      })),
      {
        name: "validation images that are trained on",
        why: "the validation part is taken from all images",
        kind: "data",
        spoil: (good) => ({
          ...good,
          split: { ...good.split, validation: good.split.training.slice(0, 5_000) },
        }),
      },
      {
        name: "test images in the training part",
        why: "the files are all read into one list",
        kind: "data",
        spoil: (good) => ({
          ...good,
          split: { ...good.split, training: good.split.training.map((index) => index + 10_000) },
        }),
      },
    ],
  },
  {
    id: "batches-from-training-images",
    section: "4.2",
    requirement: "Batches hold training images alone, and an epoch shows each of them once.",
    tier: "static",
    check: needing(["split", "batchPlan"], ({ split: { training }, batchPlan }) => {
      const allowed = new Set(training);
      const seen = new Set<number>();
      const problems: string[] = [];
      // As many whole batches as fit into an epoch, whatever happens at its end.
      const batches = Math.floor(training.length / BATCH_SIZE);
      let images = 0;
      for (let iteration = 1; iteration <= batches; iteration++) {
        for (const index of batchPlan(iteration).indices) {
          if (!allowed.has(index)) {
            problems.push(`batch ${iteration} holds image ${index}, which is not trained on`);
          }
          seen.add(index);
          images++;
        }
      }
      if (seen.size < images) {
        problems.push(`${number(images)} images of an epoch are ${number(seen.size)} different`);
      }
      return finding(problems, `${number(seen.size)} different images in ${batches} batches`);
    }),
    rejects: [
      {
        name: "batches of validation images",
        why: "indices count within the whole training part and not within the split",
        kind: "plan",
        spoil: (good) => ({
          ...good,
          batchPlan: (iteration) => ({
            ...good.batchPlan(iteration),
            indices: good.split.validation.slice(0, BATCH_SIZE),
          }),
        }),
      },
      badBatches(
        "the same batch again and again",
        "the shuffle starts anew at each step",
        (_, first) => first,
      ),
    ],
  },
  {
    id: "mean",
    section: "4.2",
    requirement: "The per-pixel mean is subtracted; nothing else is done to the values.",
    tier: "static",
    check: needing(["recipe"], ({ recipe: { data: { mean, std } } }) =>
      finding(
        mean === "per-pixel" && std === "none" ? [] : [`mean: ${mean}, division: ${std}`],
        `mean: ${mean}, division: ${std}`,
      )),
    rejects: [
      badRecipe("channel means and deviations", "the habit of other code", ({ data }) => ({
        data: { ...data, mean: "per-channel", std: "per-channel" },
      })),
      badRecipe("ImageNet's constants", "copied from other code", ({ data }) => ({
        data: { ...data, mean: "imagenet", std: "imagenet" },
      })),
      badRecipe("no mean", "the pixels are only scaled", ({ data }) => ({
        data: { ...data, mean: "none" },
      })),
    ],
  },
  {
    id: "augmentation",
    section: "4.2",
    requirement:
      "4 pixels are padded on each side and a 32x32 crop is drawn from the padded image or its mirror image, anew each time.",
    tier: "static",
    check: needing(["recipe", "batchPlan"], ({ recipe: { data }, batchPlan }) => {
      const problems = data.augmentation === "pad-crop-flip" ? [] : [
        `the augmentation is ${data.augmentation}`,
      ];
      if (data.cropPadding !== PADDING) problems.push(`the padding is ${data.cropPadding}`);
      const drawn = drawnOutcomes(batchPlan);
      if (drawn.counts.size !== OUTCOMES) {
        problems.push(`${drawn.counts.size} outcomes were drawn, not ${OUTCOMES}`);
      }
      const mean = drawn.images / OUTCOMES;
      const chiSquared = [...drawn.counts.values()]
        .reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
      if (chiSquared > CHI_SQUARED_BOUND) {
        problems.push(
          `the outcomes are not equally likely: chi-squared is ${
            chiSquared.toFixed(1)
          }, above ${CHI_SQUARED_BOUND}`,
        );
      }
      // Two independent draws agree once in 162 times.
      const agreeing = drawn.agreeing / drawn.repeated;
      if (!(agreeing < 2 / OUTCOMES)) {
        problems.push(
          `an image is drawn as it was before in ${(100 * agreeing).toFixed(1)}% of cases`,
        );
      }
      return finding(
        problems,
        `${drawn.counts.size} outcomes in ${number(drawn.images)} draws, chi-squared ${
          chiSquared.toFixed(1)
        }; the same as before in ${(100 * agreeing).toFixed(1)}%`,
      );
    }),
    rejects: [
      badBatches("no flip", "mirrored digits and letters are feared", ({ flip }) => ({
        flip: flip.map(() => 0),
      })),
      badBatches("offsets from 0 to 7", "the bound is taken as exclusive", ({ cropY, cropX }) => ({
        cropY: cropY.map((y) => y % 8),
        cropX: cropX.map((x) => x % 8),
      })),
      badBatches("one offset for both axes", "the offset is drawn once", ({ cropY }) => ({
        cropX: cropY,
      })),
      badBatches(
        "drawn once for each image",
        "the augmented images are cached",
        ({ indices }) => ({
          cropY: Uint8Array.from(indices, (index) => index % 9),
          cropX: Uint8Array.from(indices, (index) => Math.floor(index / 9) % 9),
          flip: Uint8Array.from(indices, (index) => Math.floor(index / 81) % 2),
        }),
      ),
      badBatches(
        "flipped one time in four",
        "two draws are combined",
        ({ flip, cropY, indices }) => ({
          flip: flip.map((value, j) => value & ((cropY[j] + indices[j]) % 2)),
        }),
      ),
      badRecipe("padding 2", "the shift is halved", ({ data }) => ({
        data: { ...data, cropPadding: 2 },
      })),
    ],
  },
  {
    id: "test-view",
    section: "4.2",
    requirement: "Tests look at the single view of the original 32x32 image.",
    tier: "static",
    check: needing(["graph", "recipe"], ({ graph, recipe }) => {
      const [height, width] = graph.inputShape;
      const problems = height === 32 && width === 32
        ? []
        : [`the network takes ${height}x${width} pixels`];
      // The recipe's own fields are about training images: a field beyond them may be about tests.
      problems.push(
        ...departuresOf(recipe)
          .filter(({ field, paper }) => field.startsWith("data.") && paper === "none")
          .map(({ field, here }) => `the images are treated by ${field}: ${here}`),
      );
      return finding(problems, "the network takes whole images; the recipe has no other view");
    }),
    rejects: [
      badRecipe("ten crops", "ImageNet's test is carried over", ({ data }) => ({
        data: { ...data, testViews: "10-crop" },
      })),
      {
        name: "enlarged images",
        why: "the images are scaled to the size of a pretrained network",
        kind: "graph",
        spoil: (good) => ({
          ...good,
          graph: architecture(good.graph.name, { inputShape: [224, 224, 3] }),
        }),
      },
    ],
  },
]);

/** What was drawn in the first two epochs. */
function drawnOutcomes(batchPlan: (iteration: number) => BatchPlan) {
  const counts = new Map<number, number>();
  const last = new Int32Array(TRAINING_IMAGES).fill(-1);
  let images = 0, repeated = 0, agreeing = 0;
  for (let iteration = 1; iteration <= 2 * 352; iteration++) {
    const { indices, cropY, cropX, flip } = batchPlan(iteration);
    for (let j = 0; j < indices.length; j++) {
      const index = indices[j];
      const outcome = cropY[j] << 16 | cropX[j] << 8 | flip[j];
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
      if (last[index] >= 0) repeated++;
      if (last[index] === outcome) agreeing++;
      last[index] = outcome;
      images++;
    }
  }
  return { counts, images, repeated, agreeing };
}
