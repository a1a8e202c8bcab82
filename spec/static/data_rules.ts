/** Section 4.2 on the images: the set, the split, the batches and what is done to an image. */
import { architecture } from "../../resnet/mod.ts";
import { departuresOf } from "../../recipes/mod.ts";
import { BATCH_SIZE, PAPER_DATASET, TRAINING_IMAGES } from "../../paper/mod.ts";
import { number } from "../../text/mod.ts";
import { badBatches, badRecipe, field, goodRecipe } from "./_bad.ts";
import { scanBatches } from "./_batches.ts";
import { OUTCOMES, PADDING } from "./_draws.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

const ALL_TRAINED = { data: { split: { training: 50_000, validation: 0 } } } as const;
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
    accepts: [goodRecipe("all 50,000 training images", "the paper can be read so", ALL_TRAINED)],
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
    accepts: [goodRecipe("all 50,000 training images", "the paper can be read so", ALL_TRAINED)],
  },
  {
    id: "batches-from-training-images",
    section: "4.2",
    requirement:
      "Batches hold training images alone, and an epoch shows each of them once: along the whole schedule.",
    tier: "static",
    check: needing(["split", "batchPlan"], (subject) => {
      const { recipe, split } = subject;
      const { foreign, coverage, looked } = scanBatches(subject, recipe, split.training);
      return finding([...foreign, ...coverage], `training images alone, each once in ${looked}`);
    }),
    rejects: [
      badBatches(
        "batches of validation images",
        "indices count within the whole training part and not within the split",
        (_, { split: { validation } }) => ({ indices: validation.slice(0, BATCH_SIZE) }),
      ),
      badBatches(
        "the same batch again and again",
        "the shuffle starts anew at each step",
        (_, good) => good.batchPlan(1),
      ),
      badBatches(
        "validation images in the last tenth",
        "the schedule being known, all is trained on at the end",
        (plan, { split: { validation } }, iteration) => ({
          indices: plan.indices.map((index, j) =>
            j % 10 === 0 ? validation[(13 * iteration + j) % validation.length] : index
          ),
        }),
        { from: 57_601 },
      ),
      badBatches(
        "drawn with replacement after 48,000 steps",
        "a sampler of another kind takes over when the run is gone on with",
        (plan, { split: { training } }, iteration) => ({
          indices: plan.indices.map((_, j) =>
            training[(Math.imul(iteration * BATCH_SIZE + j, 0x9e3779b1) >>> 0) % training.length]
          ),
        }),
        { from: 48_001 },
      ),
    ],
    accepts: [
      goodRecipe("all 50,000 images", "the paper can be read so", ALL_TRAINED),
      goodRecipe("partial batches kept", "an epoch ends with 72 images", {
        data: { epochEnd: "keep-partial" },
      }),
    ],
  },
  {
    id: "shuffled",
    section: "4.2, its authors' code",
    requirement: "The images of each epoch come in a new random order.",
    tier: "static",
    check: needing(["batchPlan"], (subject) => {
      const { recipe, split } = subject;
      const { order, looked } = scanBatches(subject, recipe, split?.training);
      const declared = recipe && recipe.data.order !== "shuffled"
        ? [`the order is ${recipe.data.order}`]
        : [];
      return finding([...declared, ...order], `no order follows another in ${looked}`);
    }),
    rejects: [
      badRecipe("in the order of the files", "the loader does not shuffle", ({ data }) => ({
        data: { ...data, order: "sequential" },
      })),
      {
        name: "one shuffle for all epochs",
        why: "the sampler is seeded anew each epoch",
        kind: "plan",
        spoil: (good) => ({
          ...good,
          batchPlan: (iteration) => ({
            ...good.batchPlan(iteration),
            indices: Uint32Array.from(
              { length: BATCH_SIZE },
              (_, j) => good.split.training[((iteration - 1) * BATCH_SIZE + j) % 45_000],
            ),
          }),
        }),
      },
      {
        name: "sorted after 60,000 steps",
        why: "the run is gone on with by code that reads a file from its beginning",
        kind: "plan",
        spoil: (good) => {
          const sorted = good.split.training.toSorted();
          return {
            ...good,
            batchPlan: (iteration) => {
              const plan = good.batchPlan(iteration);
              if (iteration <= 60_000) return plan;
              const indices = plan.indices.map((_, j) =>
                sorted[((iteration - 1) * BATCH_SIZE + j) % sorted.length]
              );
              return { ...plan, indices };
            },
          };
        },
      },
    ],
    accepts: [
      goodRecipe("partial batches dropped", "72 images an epoch are left out", {
        data: { epochEnd: "drop-partial" },
      }),
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
    accepts: [
      goodRecipe("pixels from 0 to 255, the mean after the crop", "the paper can be read so", {
        data: { pixelScale: "0..255", meanSubtracted: "after-crop" },
      }),
    ],
  },
  {
    id: "augmentation",
    section: "4.2",
    requirement:
      "4 pixels are padded on each side and a 32x32 crop is drawn from the padded image or its mirror image, anew each time, to the last step.",
    tier: "static",
    check: needing(["recipe", "batchPlan"], (subject) => {
      const { recipe, recipe: { data }, split } = subject;
      const problems = data.augmentation === "pad-crop-flip" ? [] : [
        `the augmentation is ${data.augmentation}`,
      ];
      if (data.cropPadding !== PADDING) problems.push(`the padding is ${data.cropPadding}`);
      const { augmentation, looked } = scanBatches(subject, recipe, split?.training);
      return finding(
        [...problems, ...augmentation],
        `${OUTCOMES} outcomes, equally likely and drawn anew in ${looked}`,
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
      badBatches(
        "one view for a whole batch",
        "the batch is cropped as one tensor",
        ({ cropY, cropX, flip }) => ({
          cropY: cropY.map(() => cropY[0]),
          cropX: cropX.map(() => cropX[0]),
          flip: flip.map(() => flip[0]),
        }),
      ),
      badBatches(
        "two images with one view, side by side",
        "each image comes twice from a loader, and is told apart later",
        ({ cropY, cropX, flip }) => ({
          cropY: cropY.map((_, i) => cropY[i & ~1]),
          cropX: cropX.map((_, i) => cropX[i & ~1]),
          flip: flip.map((_, i) => flip[i & ~1]),
        }),
      ),
      badBatches(
        "the second half's views are the first's",
        "two workers have one seed",
        ({ cropY, cropX, flip }) => ({
          cropY: cropY.map((_, i) => cropY[i % 64]),
          cropX: cropX.map((_, i) => cropX[i % 64]),
          flip: flip.map((_, i) => flip[i % 64]),
        }),
      ),
      badBatches(
        "every second image mirrored",
        "half of them, in turn",
        ({ flip }) => ({ flip: flip.map((_, i) => i % 2) }),
      ),
      badBatches(
        "no crop in the last epoch",
        "a later custom: to end on whole images",
        ({ cropY, cropX }) => ({ cropY: cropY.map(() => 4), cropX: cropX.map(() => 4) }),
        { from: 63_649 },
      ),
      badBatches(
        "no flip from 30,000 to 31,000",
        "workers that were restarted",
        ({ flip }) => ({ flip: flip.map(() => 0) }),
        { from: 30_000, to: 31_000 },
      ),
      badBatches(
        "offsets from 1 to 8 for a while",
        "a worker counts from 1",
        ({ cropY }) => ({ cropY: cropY.map((y) => Math.max(1, y)) }),
        { from: 20_000, to: 22_400 },
      ),
      badRecipe("padding 2", "the shift is halved", ({ data }) => ({
        data: { ...data, cropPadding: 2 },
      })),
    ],
    accepts: [
      goodRecipe("the mean subtracted after the crop", "the border is black", {
        data: { meanSubtracted: "after-crop" },
      }),
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
    accepts: [
      goodRecipe("the border of training crops black", "it is no view of a test image", {
        data: { meanSubtracted: "after-crop" },
      }),
    ],
  },
]);
