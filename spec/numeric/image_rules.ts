/** Section 4.2 on the images: the rules that an engine's view of them decides. */
import { measureNormalisation, normalisedBatch } from "../../data/mod.ts";
import {
  badEngine,
  bordered,
  cached,
  corrupting,
  evaluating,
  type Good,
  measuringLoss,
  normalising,
  planning,
  rotateLabels,
  unaugmented,
  writeBack,
} from "./_engine_mutants.ts";
import {
  centred,
  crossEntropy,
  first,
  labelsOf,
  largestDistance,
  partsOf,
  relativeDistance,
  short,
  shortened,
} from "../_numbers.ts";
import { goodSettings } from "./_fixture.ts";
import { measure, type NumericRule, probing } from "./subject.ts";
import { defineRules } from "../rule.ts";
import { finding } from "../subject.ts";

/** Of the pixels' range: rounding stays below 1e-6; the mean of other images differs by 1e-3. */
const MEAN_TOLERANCE = 1e-5;
/** Two ways through the network in single precision differ by about 1e-6. */
const SAME = 1e-4;

/** The normalisation by another mean than that of the training part. */
function otherMean(
  { data: { train, test }, training }: Good,
  mean: "per-channel" | "imagenet" | "test" | "all",
) {
  const settings = {
    ...{ pixelScale: "0..1", mean: "per-pixel", std: "none" } as const,
    meanSubtracted: "before-padding" as const,
  };
  switch (mean) {
    case "per-channel":
      return measureNormalisation(train, training, { ...settings, mean }).normalisation;
    case "imagenet":
      return measureNormalisation(train, training, { ...settings, mean, std: mean }).normalisation;
    case "test":
      return measureNormalisation(test, first(test.count, test.count), settings).normalisation;
    case "all":
      return measureNormalisation(train, first(train.count, train.count), settings).normalisation;
  }
}

/** What an engine shows of the images that it was loaded with. */
export const NUMERIC_IMAGE_RULES: readonly NumericRule[] = defineRules([
  {
    id: "preprocessed-mean",
    section: "4.2",
    requirement:
      "The images that are trained on have a mean of 0 at every position, as the network sees them.",
    tier: "numeric",
    check: probing(
      ["engine", "data", "training", "cropPadding", "batchSize"],
      async ({ engine, data: { train, normalisation }, training, cropPadding, batchSize }) => {
        const sums = new Float64Array(train.height * train.width * train.channels);
        for (const part of partsOf(training, batchSize)) {
          const batch = await engine.augmented(centred(part, cropPadding));
          batch.forEach((value, i) => sums[i % sums.length] += value);
        }
        const range = 255 * normalisation.scale / Math.min(...normalisation.std);
        const worst = sums.reduce((most, sum) => Math.max(most, Math.abs(sum)), 0) /
          training.length / range;
        const evidence = `the mean of ${training.length} images at ${sums.length} positions ` +
          `is at most ${short(worst)} of the pixels' range`;
        return finding(worst <= MEAN_TOLERANCE ? [] : [evidence], evidence);
      },
    ),
    rejects: [
      badEngine(
        "channel means",
        "the habit of other code",
        (good) => normalising(good, otherMean(good, "per-channel")),
      ),
      badEngine(
        "ImageNet's constants",
        "copied from other code",
        (good) => normalising(good, otherMean(good, "imagenet")),
      ),
      badEngine(
        "the mean of the test images",
        "the wrong part of the data is measured",
        (good) => normalising(good, otherMean(good, "test")),
      ),
      badEngine(
        "the mean of validation images too",
        "the mean is measured before the split",
        (good) => normalising(good, otherMean(good, "all")),
      ),
      badEngine("normalised twice", "the reader and the network both do it", (good) => {
        const { mean, std, scale, beforePadding } = good.data.normalisation;
        return normalising(good, { mean: mean.map((m) => 2 * m), std, scale, beforePadding });
      }),
    ],
    accepts: [
      goodSettings("pixels from 0 to 255", "the paper can be read so", {
        data: { pixelScale: "0..255" },
      }),
    ],
  },
  {
    id: "test-images",
    section: "4.2",
    requirement:
      "Test images are normalised as training images are and shown whole: the single view of the original image.",
    tier: "numeric",
    check: probing(
      ["engine", "data", "state", "cropPadding", "batchSize"],
      async ({ engine, data, state, cropPadding, batchSize }) => {
        await engine.importState(state);
        const problems: string[] = [], distances: string[] = [];
        for (const set of ["train", "test"] as const) {
          const indices = first(batchSize, data[set].count);
          const { logits } = await engine.evaluate(set, indices);
          const input = normalisedBatch(
            data[set],
            centred(indices, cropPadding),
            data.normalisation,
            cropPadding,
          );
          const { output } = await engine.probe({
            input,
            images: indices.length,
            mode: "inference",
          });
          const distance = relativeDistance(logits, output);
          distances.push(`${set}: ${short(distance)}`);
          if (!(distance <= SAME)) {
            problems.push(
              `logits of ${set} images differ by ${short(distance)} from those of the whole, ` +
                `normalised images`,
            );
          }
        }
        return finding(problems, `relative difference of the logits, ${distances.join(", ")}`);
      },
    ),
    rejects: [
      badEngine(
        "not normalised",
        "testing has a reader of its own, without the mean",
        (good) =>
          evaluating(good, (images, indices) => {
            const { normalisation, train } = good.data;
            const bare = {
              ...normalisation,
              mean: new Float32Array(train.pixels.length / train.count),
            };
            return normalisedBatch(images, centred(indices, 0), bare, 0);
          }),
      ),
      badEngine("its own mean", "each part of the data is measured for itself", (good) => {
        const normalisation = otherMean(good, "test");
        const own = unaugmented({ ...good, data: { ...good.data, normalisation } });
        const right = unaugmented(good);
        return evaluating(
          good,
          (images, indices, set) => (set === "test" ? own : right)(images, indices),
        );
      }),
      badEngine(
        "random crops",
        "testing goes through the training's pipeline",
        (good) =>
          evaluating(good, (images, indices) => {
            const plan = { ...shortened(good.batchPlan(1), indices.length), indices };
            return normalisedBatch(images, plan, good.data.normalisation, good.cropPadding);
          }),
      ),
    ],
    accepts: [
      goodSettings("the mean subtracted after the crop", "the paper can be read so", {
        data: { meanSubtracted: "after-crop" },
      }),
    ],
  },
  {
    id: "crops-and-flips",
    section: "4.2",
    requirement:
      "Every crop of the padded image and of its mirror image can be drawn (162 with 4 pixels of zeros), each as it should be, anew each time.",
    tier: "numeric",
    check: probing(
      ["engine", "data", "training", "cropPadding", "batchSize"],
      async ({ engine, data: { train, normalisation }, training, cropPadding, batchSize }) => {
        const side = 2 * cropPadding + 1;
        const outcomes = first(2 * side ** 2, Infinity);
        const index = training[0];
        const found = new Set<string>();
        const size = train.height * train.width * train.channels;
        const tolerance = MEAN_TOLERANCE * 255 * normalisation.scale /
          Math.min(...normalisation.std);
        const wrong: string[] = [];
        for (const part of partsOf(outcomes, batchSize)) {
          const plan = {
            indices: part.map(() => index),
            cropY: Uint8Array.from(part, (outcome) => outcome % side),
            cropX: Uint8Array.from(part, (outcome) => Math.floor(outcome / side) % side),
            flip: Uint8Array.from(part, (outcome) => Math.floor(outcome / side ** 2)),
          };
          const batch = await engine.augmented(plan);
          const expected = normalisedBatch(train, plan, normalisation, cropPadding);
          part.forEach((_, j) => {
            const image = batch.subarray(j * size, (j + 1) * size);
            found.add(image.join());
            const distance = largestDistance(image, expected.subarray(j * size, (j + 1) * size));
            if (!(distance <= tolerance)) {
              wrong.push(
                `crop (${plan.cropY[j]}, ${plan.cropX[j]})${plan.flip[j] ? " mirrored" : ""}`,
              );
            }
          });
        }
        const problems = wrong.length === 0 ? [] : [
          `${wrong.length} of ${outcomes.length} outcomes are wrong, the first is ${wrong[0]}`,
        ];
        if (found.size !== outcomes.length) {
          problems.push(`${outcomes.length} plans give ${found.size} different images`);
        }
        return finding(problems, `${found.size} different outcomes of image ${index}, each right`);
      },
    ),
    rejects: [
      badEngine(
        "never mirrored",
        "the flag is read from the wrong place",
        (good) => planning(good, (plan) => ({ ...plan, flip: plan.flip.map(() => 0) })),
      ),
      badEngine(
        "offsets from 0 to 7",
        "the bound is taken as exclusive",
        (good) =>
          planning(good, ({ cropY, cropX, ...plan }) => {
            const most = 2 * good.cropPadding - 1;
            const clip = (offsets: Uint8Array) => offsets.map((offset) => Math.min(offset, most));
            return { ...plan, cropY: clip(cropY), cropX: clip(cropX) };
          }),
      ),
      badEngine(
        "augmented once, then cached",
        "the cache stands behind the augmentation",
        (good) => planning(good, cached()),
      ),
      badEngine(
        "a border of the nearest pixel",
        "a library's shift fills the border by default",
        (good) => bordered(good, (place, extent) => Math.max(0, Math.min(extent - 1, place))),
      ),
      badEngine(
        "shifted around",
        "what leaves the image on one side comes in on the other",
        (good) => bordered(good, (place, extent) => (place + extent) % extent),
      ),
    ],
    accepts: [
      goodSettings("a black border", "the mean is subtracted after the crop", {
        data: { meanSubtracted: "after-crop", pixelScale: "0..255" },
      }),
    ],
  },
  {
    id: "step-batch",
    section: "4.2",
    requirement: "A step trains on the images, crops, mirrorings and labels of its own plan.",
    tier: "numeric",
    check: probing(
      ["engine", "data", "state", "cropPadding", "batchPlan"],
      async ({ engine, data: { train, normalisation }, state, cropPadding, batchPlan }) => {
        const plan = batchPlan(1);
        // The same images a second time, cropped and mirrored otherwise.
        const plans = [plan, { ...batchPlan(2), indices: plan.indices }];
        const problems: string[] = [], losses: string[] = [];
        for (const [i, plan] of plans.entries()) {
          const { loss, images } = await measure(engine, state, plan);
          const labels = labelsOf(train, plan.indices);
          const input = normalisedBatch(train, plan, normalisation, cropPadding);
          const { output } = await engine.probe({ input, images: labels.length, mode: "training" });
          const expected = crossEntropy(output, labels);
          losses.push(loss.toFixed(4));
          if (images !== labels.length) {
            problems.push(`step ${i + 1} took ${images} images, its plan has ${labels.length}`);
          }
          if (!(Math.abs(loss - expected) <= SAME * expected)) {
            problems.push(
              `step ${i + 1} measures the loss ${loss.toFixed(4)}, its plan's batch has ` +
                expected.toFixed(4),
            );
          }
        }
        return finding(
          problems,
          `the losses of two augmentations of the same images are ${losses.join(" and ")}`,
        );
      },
    ),
    rejects: [
      badEngine(
        "augmented once, then cached",
        "the cache stands behind the augmentation",
        (good) => planning(good, cached()),
      ),
      badEngine(
        "not augmented",
        "the augmented images are shown, the stored ones trained on",
        (good) => planning(good, ({ indices }) => centred(indices, good.cropPadding)),
      ),
      badEngine(
        "half of the batch",
        "the second device's images are lost",
        (good) => planning(good, (plan) => shortened(plan, plan.indices.length >> 1)),
      ),
      badEngine(
        "labels of other images",
        "images are shuffled and labels are not",
        (good) =>
          measuringLoss(good, "training", (logits, labels) => {
            const others = labels.slice();
            others.copyWithin(1, 0);
            others[0] = labels[labels.length - 1];
            return crossEntropy(logits, others);
          }),
      ),
    ],
    accepts: [
      goodSettings("partial batches dropped", "the paper can be read so", {
        data: { epochEnd: "drop-partial" },
      }),
    ],
  },
  {
    id: "stored-images",
    section: "4.2",
    requirement: "After an epoch the stored images and labels are those of its beginning.",
    tier: "numeric",
    check: probing(
      ["engine", "data", "training", "state", "cropPadding", "batchSize", "batchPlan"],
      async (subject) => {
        const { engine, data, training, state, cropPadding, batchSize, batchPlan } = subject;
        const view = async () => {
          await engine.importState(state);
          const images: Float32Array[] = [];
          for (const part of partsOf(training, batchSize)) {
            images.push(await engine.augmented(centred(part, cropPadding)));
          }
          const { loss } = await engine.evaluate("train", training);
          return { images, loss };
        };
        const before = await view();
        const steps = Math.ceil(training.length / batchSize);
        for (let iteration = 1; iteration <= steps; iteration++) {
          engine.step(batchPlan(iteration), 0);
        }
        const after = await view();
        const size = data.train.pixels.length / data.train.count;
        const changed = after.images.flatMap((batch, i) =>
          Array.from({ length: batch.length / size }, (_, j) => {
            const part = [j * size, (j + 1) * size] as const;
            return largestDistance(batch.subarray(...part), before.images[i].subarray(...part));
          })
        ).filter((distance) =>
          distance !== 0
        ).length;
        const problems = changed === 0 ? [] : [
          `${changed} of ${training.length} images changed within ${steps} steps`,
        ];
        if (after.loss !== before.loss) {
          problems.push(
            `the same weights have the loss ${before.loss.toFixed(6)} before ${steps} steps and ` +
              `${after.loss.toFixed(6)} after them`,
          );
        }
        return finding(problems, `${training.length} images are the same after ${steps} steps`);
      },
    ),
    rejects: [
      badEngine(
        "augmented in place",
        "the crop is written to the image that it was taken from",
        (good) => corrupting(good, writeBack),
      ),
      badEngine(
        "darker with every step",
        "the mean is subtracted in place",
        (good) =>
          corrupting(good, ({ pixels }) => {
            for (let i = 0; i < pixels.length; i++) pixels[i] = Math.max(0, pixels[i] - 1);
          }),
      ),
      badEngine(
        "labels shuffled without their images",
        "the shuffle is in place",
        (good) => corrupting(good, rotateLabels),
      ),
    ],
    accepts: [
      goodSettings("all images trained on", "the paper can be read so", {
        data: { split: { training: 60, validation: 0 } },
      }),
    ],
  },
]);
