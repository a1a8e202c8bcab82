/** Section 4.2 on the images that a run took: files, split, mean and seed. */
import {
  DataError,
  datasetNamed,
  PHOTOGRAPHS,
  splitFromManifest,
  splitImages,
  type SplitManifest,
  splitManifest,
} from "../../data/mod.ts";
import { paper, type Recipe } from "../../recipes/mod.ts";
import type { LogSubject, StartEvent } from "../../log/mod.ts";
import { DATASET } from "./_loop_mutants.ts";
import { badData, badEnd, badLines, badRun, goodRun, LARGEST_SEED, logging } from "./_bad.ts";
import { PAPER_DATASET, TRAINING_IMAGES } from "../../paper/mod.ts";
import { number } from "../../text/mod.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, reading } from "../subject.ts";

/**
 * SHA-256 of CIFAR-10's per-pixel mean, [32, 32, 3], as 32-bit floats, over images that a split
 * must leave out. Computed with NumPy 2.4.6 from the published files: exact sums, divided in
 * double precision, rounded once.
 */
const MEANS_OF: Readonly<Record<string, string>> = {
  b979c4599e91415f01fa80b3913cb685cf821a0f2c0ad2758ac475b7aaed0c35: "all 50,000 training images",
  e1a444cfbe614e4959d819aaaac26b436371d61f164b6f8595e48e142c62577e: "all 50,000 training images",
  a7075fa786b7f7e60ab79987b914cb5df222de11e2dadf2323fa3a1cac331d56: "the 10,000 test images",
  d5109b15a12629e6d1f55790918d95bf81caf545d85a776225abf54844c72b6a: "the 10,000 test images",
};
const MEAN_OF_ALL = Object.keys(MEANS_OF)[0];

let lastSplit: { readonly key: string; readonly made: SplitManifest } | undefined;

/** The split that a seed makes; two rules ask for the same one. */
function splitOf(count: number, sizes: Recipe["data"]["split"], seed: number): SplitManifest {
  const key = [count, sizes.training, sizes.validation, seed].join();
  if (lastSplit?.key !== key) {
    lastSplit = { key, made: splitManifest(splitImages(count, sizes, seed)) };
  }
  return lastSplit.made;
}

const ALL_TRAINED = {
  recipe: paper("resnet8", { data: { split: { training: 50_000, validation: 0 } } }),
  stopAfter: 1,
};

/** The rules on the images that a run took. */
export const LOG_DATA_RULES: readonly Rule<LogSubject>[] = defineRules([
  {
    id: "data-files",
    section: "4.2",
    requirement: "The images came from the published files of CIFAR-10.",
    tier: "log",
    check: reading([], ({ start: { data } }) => {
      const published = datasetNamed(PAPER_DATASET).hashes;
      const names = Object.keys(published);
      const problems = data.set === PAPER_DATASET ? [] : [`the data set is ${data.set}`];
      problems.push(
        ...names.filter((name) => data.hashes[name] !== published[name])
          .map((name) => `${name} is ${data.hashes[name] ? "another file" : "missing"}`),
        ...Object.keys(data.hashes).filter((name) => !Object.hasOwn(published, name))
          .map((name) => `${name} is no file of it`),
      );
      return finding(problems, `${names.length} files with the published SHA-256`);
    }),
    rejects: [
      badRun("a file of other images", "a download broke off, or was changed", {
        stopAfter: 1,
        dataset: () =>
          Promise.resolve({
            ...DATASET,
            hashes: { ...DATASET.hashes, "data_batch_3.bin": "0".repeat(64) },
          }),
      }),
      badData("one file less", "the last training batch is forgotten", ({ hashes }) => ({
        hashes: Object.fromEntries(
          Object.entries(hashes).filter(([name]) => name !== "data_batch_5.bin"),
        ),
      })),
      badData("built-in images", "a demonstration is reported as a result", () => ({
        set: "shapes10",
      })),
    ],
    accepts: [{
      name: "hashes in another order, and of a copy",
      why: "the folder was copied; its files are the same",
      make: (good) => ({
        ...good,
        events: good.events.map((event) =>
          event.type === "start"
            ? {
              ...event,
              data: {
                ...event.data,
                hashes: Object.fromEntries(Object.entries(event.data.hashes).reverse()),
              },
            }
            : event
        ),
      }),
    }],
  },
  {
    id: "split-made",
    section: "4.2",
    requirement: "45,000 training and 5,000 validation images, none in both, were chosen by the " +
      "seed (or, where the paper can be read so, all 50,000 are trained on).",
    tier: "log",
    check: reading(["split"], ({ start, evaluations }, { split }) => {
      const { recipe, data, seed } = start;
      const sizes = `${number(split.training.count)} and ${number(split.validation.count)}`;
      if (!["45,000 and 5,000", "50,000 and 0"].includes(sizes)) return finding([sizes], "");
      const problems: string[] = [];
      for (const name of ["training", "validation"] as const) {
        const stated = [recipe.data.split[name], data[`${name}Images`]];
        if (stated.some((count) => count !== split[name].count)) {
          problems.push(`${name} images: ${stated.join(" and ")} in the log's first line`);
        }
        if (split[name].sha256 !== data.splitHashes[name]) {
          problems.push(`the ${name} list is another than the one that was logged`);
        }
      }
      try {
        const { training, validation } = splitFromManifest(split);
        const outside = [...training, ...validation].filter((i) => i >= TRAINING_IMAGES).length;
        if (outside > 0) problems.push(`${number(outside)} images are not of the training part`);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        problems.push(error.message);
      }
      const { training, validation } = split;
      const counts = { training: training.count, validation: validation.count };
      if (splitOf(TRAINING_IMAGES, counts, seed).training.sha256 !== training.sha256) {
        problems.push(`seed ${seed} makes another split`);
      }
      const other = evaluations.find(({ set, images }) =>
        set === "validation" && images !== validation.count
      );
      if (other) problems.push(`${number(other.images)} images were evaluated as validation`);
      return finding(problems, `${sizes} images, none in both, as seed ${seed} makes them`);
    }),
    rejects: [
      badRun("47.5k/2.5k", "another split than was agreed", {
        recipe: paper("resnet20", { data: { split: { training: 47_500, validation: 2_500 } } }),
        stopAfter: 1,
      }),
      badRun("a list that is not the one trained on", "the file is written by another program", {
        stopAfter: 1,
        store: (right) => ({
          write: (name, content) =>
            right.write(
              name,
              name === "split.json"
                ? JSON.stringify(splitManifest(
                  splitImages(TRAINING_IMAGES, { training: 45_000, validation: 5_000 }, 99),
                ))
                : content,
            ),
        }),
      }),
      badEnd("validation on other images", "all that is not trained on is evaluated", 63_900, {
        engine: (right) => ({ evaluate: (set) => right.evaluate(set === "train" ? "test" : set) }),
      }),
      {
        name: "validation images that are trained on",
        why: "the validation part is taken from all images",
        kind: "log",
        spoil: (good) => {
          const { training } = splitFromManifest(good.split);
          const split = splitManifest({ training, validation: training.slice(0, 5_000) });
          const [start, ...events] = good.events;
          const { data } = start as StartEvent;
          const splitHashes = {
            training: split.training.sha256,
            validation: split.validation.sha256,
          };
          const edited = { ...start, data: { ...data, splitHashes } } as StartEvent;
          return { ...good, split, events: [edited, ...events] };
        },
      },
      badLines("start", "another seed's", "the default is logged, not what was used", () => ({
        seed: 1,
      })),
    ],
    accepts: [
      goodRun("all 50,000 images", "the paper can be read so", ALL_TRAINED),
      goodRun("another seed", "any will do", LARGEST_SEED),
    ],
  },
  {
    id: "seed-used",
    section: "all",
    requirement: "The seed stands in the log, and is the one that the run used.",
    tier: "log",
    check: reading([], ({ start: { seed, recipe, data } }) => {
      if (!(Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff)) {
        return finding([`the seed is ${seed}, not a whole number from 0 to 4294967295`], "");
      }
      const { training, validation } = recipe.data.split;
      // The photographs of a folder are split by the folder.
      const { builtIn, trainingImages } = datasetNamed(
        data.set === PHOTOGRAPHS ? PAPER_DATASET : data.set,
      );
      if (
        data.set === PHOTOGRAPHS || builtIn || training < 1 ||
        training + validation > trainingImages
      ) {
        return { outcome: "not-observable", evidence: "the split of this data set is not known" };
      }
      const made = splitOf(trainingImages, recipe.data.split, seed);
      const right = made.training.sha256 === data.splitHashes.training;
      return finding(
        right ? [] : [`the log says ${seed}, which makes another split than was used`],
        `${seed}, which makes the split that was used`,
      );
    }),
    rejects: [
      badRun("the default in place of the one used", "the log takes it from the defaults", {
        seed: 7,
        stopAfter: 1,
        ...logging((event) => event.type === "start" ? { seed: 0 } : {}),
      }),
      badLines("start", "another seed", "a run is repeated, and its log is edited", () => ({
        seed: 4,
      })),
      badLines("start", "no seed", "the clock's is used", () => ({ seed: -1 })),
    ],
    accepts: [
      goodRun("the largest seed", "any of 32 bits will do", LARGEST_SEED),
    ],
  },
  {
    id: "mean-measured-on",
    section: "4.2",
    requirement: "The mean that is subtracted is per pixel, and was measured on the images that " +
      "are trained on.",
    tier: "log",
    check: reading([], ({ start: { data } }) => {
      const { of, sha256 } = data.mean;
      const expected = `per-pixel mean of ${data.trainingImages} training images`;
      const problems = of === expected ? [] : [`what is subtracted: ${of}; not: ${expected}`];
      const others = MEANS_OF[sha256];
      const isAll = data.trainingImages === TRAINING_IMAGES && others?.startsWith("all");
      if (others && !isAll) problems.push(`it is the mean of ${others}`);
      return finding(problems, of);
    }),
    rejects: [
      badRun("channel means", "the habit of other code", {
        recipe: paper("resnet20", { data: { mean: "per-channel" } }),
        stopAfter: 1,
      }),
      badRun("ImageNet's mean", "copied from other code", {
        recipe: paper("resnet20", { data: { mean: "imagenet" } }),
        stopAfter: 1,
      }),
      badData("the mean of all images", "it is measured before the split", ({ mean }) => ({
        mean: { ...mean, of: "per-pixel mean of 50000 training images" },
      })),
      badData("the mean of all images by its hash", "the words are right", ({ mean }) => ({
        mean: { ...mean, sha256: MEAN_OF_ALL },
      })),
      badData("the mean of the test images", "each part has its own", ({ mean }) => ({
        mean: { ...mean, of: "per-pixel mean of 10000 test images" },
      })),
    ],
    accepts: [goodRun("all 50,000 images", "the mean is of all that are trained on", ALL_TRAINED)],
  },
]);
