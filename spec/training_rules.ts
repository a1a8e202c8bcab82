/** Section 4.2 on the training: the rules that the recipe, the schedule and the batches decide. */
import { architecture, type Graph, parametersOf, sizeOf, type Weights } from "../resnet/mod.ts";
import type { BatchPlan } from "../engine/mod.ts";
import { departuresOf, type Recipe } from "../recipes/mod.ts";
import { depthOf } from "./_graphs.ts";
import { BATCH_SIZE, ITERATIONS, paperRate, TRAINING_IMAGES } from "../paper/mod.ts";
import { close } from "./_numbers.ts";
import { number } from "../text/mod.ts";
import { defineRules, type Finding, type KnownBad, type Rule } from "./rule.ts";
import { finding, needing, type StaticSubject } from "./subject.ts";

const PADDING = 4;
/** Crop offsets 0 to 8 down and across, mirrored or not. */
const OUTCOMES = 9 * 9 * 2;
/** The 0.9999 quantile of chi-squared with 161 degrees of freedom (SciPy 1.17.1, chi2.ppf). */
const CHI_SQUARED_BOUND = 236.4;

/** A check of one field of the recipe. */
function field<T extends string | number>(
  name: string,
  read: (recipe: Recipe) => T | undefined,
  expected: T,
): Rule<StaticSubject>["check"] {
  return needing(["recipe"], ({ recipe }) => {
    const value = read(recipe);
    return finding(
      value === expected ? [] : [`${name} is ${value ?? "none"}, not ${expected}`],
      `${name} is ${value}`,
    );
  });
}

/** A known-bad recipe in place of the good one, and nothing else. */
function badRecipe(
  name: string,
  why: string,
  spoil: (recipe: Recipe) => object,
): KnownBad<StaticSubject> {
  return {
    name,
    why,
    kind: "recipe",
    // The types admit no such recipe of ours; a file that is read may hold it.
    spoil: (good) => ({ ...good, recipe: { ...good.recipe, ...spoil(good.recipe) } as Recipe }),
  };
}

/** A known-bad schedule function in place of the good one. */
function badRates(
  name: string,
  why: string,
  spoil: (iteration: number, warmUpEnded: boolean) => number,
): KnownBad<StaticSubject> {
  return { name, why, kind: "plan", spoil: (good) => ({ ...good, learningRate: spoil }) };
}

/** Known-bad batches in place of the good ones. */
function badBatches(
  name: string,
  why: string,
  spoil: (good: BatchPlan, good1: BatchPlan) => Partial<BatchPlan>,
): KnownBad<StaticSubject> {
  return {
    name,
    why,
    kind: "plan",
    spoil: (good) => ({
      ...good,
      batchPlan: (iteration) => {
        const plan = good.batchPlan(iteration);
        return { ...plan, ...spoil(plan, good.batchPlan(1)) };
      },
    }),
  };
}

function badWeights(
  name: string,
  why: string,
  spoil: (kernel: Float32Array, shape: readonly number[]) => Float32Array,
): KnownBad<StaticSubject> {
  return {
    name,
    why,
    kind: "weights",
    spoil: (good) => ({
      ...good,
      initialWeights: () => {
        const weights = new Map(good.initialWeights());
        for (const { name, shape, role } of parametersOf(good.graph)) {
          const tensor = weights.get(name);
          if (role === "kernel" && tensor) {
            weights.set(name, { shape, data: spoil(tensor.data, shape) });
          }
        }
        return weights;
      },
    }),
  };
}

/** The rules that the recipe, the schedule and the batches decide. */
export const TRAINING_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "data-set",
    section: "4.2",
    requirement: "The data set is CIFAR-10.",
    tier: "static",
    check: field("the data set", (recipe) => recipe.data.set, "cifar10"),
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
  {
    id: "initialisation",
    section: "4.2, [13]",
    requirement:
      "Kernels start from a normal distribution with mean 0 and variance 2 / fan (He initialisation).",
    tier: "static",
    check: needing(["graph", "recipe", "initialWeights"], ({ graph, recipe, initialWeights }) => {
      const { kind, fan } = recipe.initialisation;
      if (kind !== "he-normal") return finding([`the initialisation is ${kind}`], "");
      const problems = badKernels(graph, initialWeights(), fan);
      return finding(problems, `variance 2 / fan-${fan} in every kernel`);
    }),
    rejects: [
      badRecipe("Glorot's", "the library's default is kept", () => ({
        initialisation: { kind: "glorot-uniform", fan: "in" },
      })),
      badWeights(
        "half of the variance",
        "2 / (fan-in + fan-out)",
        (data) => data.map((w) => w * Math.SQRT1_2),
      ),
      badWeights(
        "0.01 everywhere",
        "the custom of earlier nets",
        (data, shape) => data.map((w) => 0.01 * w * Math.sqrt(sizeOf(shape.slice(1)) / 2)),
      ),
      badWeights(
        "uniform values",
        "the right variance from another distribution",
        (data, shape) =>
          data.map((_, i) =>
            (2 * ((i * 0.6180339887498949) % 1) - 1) * Math.sqrt(6 / sizeOf(shape.slice(1)))
          ),
      ),
    ],
  },
  {
    id: "batch-size",
    section: "4.2",
    requirement: "A batch has 128 images.",
    tier: "static",
    check: needing(["recipe", "batchPlan"], ({ recipe, batchPlan }) => {
      const found = batchPlan(1).indices.length;
      const problems = found === BATCH_SIZE ? [] : [`the first batch has ${found} images`];
      if (recipe.batchSize !== BATCH_SIZE) problems.push(`the recipe says ${recipe.batchSize}`);
      return finding(problems, `${found} images`);
    }),
    rejects: [
      badRecipe("256 in the recipe", "ImageNet's batch", () => ({ batchSize: 256 })),
      badBatches("64 images", "each of two devices gets a batch", (plan) => ({
        indices: plan.indices.slice(0, 64),
      })),
    ],
  },
  {
    id: "momentum",
    section: "4.2",
    requirement: "Training is by stochastic gradient descent with a momentum of 0.9.",
    tier: "static",
    check: field(
      "the momentum",
      ({ optimiser }) => optimiser.kind === "sgd" ? optimiser.momentum : optimiser.kind,
      0.9 as string | number,
    ),
    rejects: [
      badRecipe("Adam", "said to need no tuning", () => ({
        optimiser: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4 },
      })),
      badRecipe("no momentum", "the library's default is kept", ({ optimiser }) => ({
        optimiser: { ...optimiser, momentum: 0 },
      })),
    ],
  },
  {
    id: "weight-decay",
    section: "4.2",
    requirement: "The weight decay is 0.0001.",
    tier: "static",
    check: field("the weight decay", ({ optimiser }) => optimiser.weightDecay, 0.0001),
    rejects: [
      badRecipe("none", "the library's default is kept", ({ optimiser }) => ({
        optimiser: { ...optimiser, weightDecay: 0 },
      })),
      badRecipe("twice as much", "the penalty has no factor of one half", ({ optimiser }) => ({
        optimiser: { ...optimiser, weightDecay: 0.0002 },
      })),
      badRecipe("five times as much", "wide nets' value is carried over", ({ optimiser }) => ({
        optimiser: { ...optimiser, weightDecay: 0.0005 },
      })),
    ],
  },
  {
    id: "learning-rate",
    section: "4.2",
    requirement:
      "The learning rate is 0.1, and is divided by 10 at 32,000 and at 48,000 iterations.",
    tier: "static",
    check: needing(["learningRate"], ({ learningRate }) => {
      const segments: string[] = [];
      let start = 1, rate = learningRate(1, true);
      for (let iteration = 1; iteration <= ITERATIONS; iteration++) {
        const found = learningRate(iteration, true), expected = paperRate(iteration);
        if (!close(found, expected)) {
          return finding([`step ${number(iteration)} has the rate ${found}, not ${expected}`], "");
        }
        if (found !== rate) {
          segments.push(`${rate} in steps ${number(start)} to ${number(iteration - 1)}`);
          [start, rate] = [iteration, found];
        }
      }
      segments.push(`${rate} in steps ${number(start)} to ${number(ITERATIONS)}`);
      return finding([], segments.join(", "));
    }),
    rejects: [
      badRates(
        "divided one step early",
        "steps are counted from 0",
        (iteration) => paperRate(iteration + 1),
      ),
      badRates(
        "epochs taken for iterations",
        "32k iterations are 91 epochs, and the rate is never divided",
        (iteration) => paperRate(Math.ceil(iteration / 352)),
      ),
      badRates(
        "a warm-up that never ends",
        "the rate is set to 0.01 and not raised again",
        (iteration) => paperRate(iteration) / 10,
      ),
      badRates(
        "a cosine",
        "a later habit",
        (iteration) => 0.05 * (1 + Math.cos(Math.PI * iteration / ITERATIONS)),
      ),
    ],
  },
  {
    id: "iterations",
    section: "4.2",
    requirement: "Training stops at 64,000 iterations.",
    tier: "static",
    check: field("the number of iterations", ({ schedule }) => schedule.iterations, ITERATIONS),
    rejects: [
      badRecipe("200 epochs", "the habit of other code", ({ schedule }) => ({
        schedule: { ...schedule, iterations: 200 * 352 },
      })),
      badRecipe("64,000 epochs", "epochs are taken for iterations", ({ schedule }) => ({
        schedule: { ...schedule, iterations: 64_000 * 352 },
      })),
    ],
  },
  {
    id: "warm-up",
    section: "4.2",
    requirement:
      "ResNet-110 alone starts at 0.01, until the training error is below 80%, and then goes on at 0.1.",
    tier: "static",
    check: needing(["graph", "recipe", "learningRate"], ({ graph, recipe, learningRate }) => {
      const expected = depthOf(graph) === 110 && !graph.name.startsWith("plain");
      const { schedule } = recipe;
      const warmUp = schedule.kind === "steps" ? schedule.warmUp : undefined;
      const [before, after] = [learningRate(1, false), learningRate(1, true)];
      const found = warmUp
        ? `${before} until the training error is below ${
          100 * warmUp.untilTrainingErrorBelow
        }%, then ${after}`
        : `${before} from the start`;
      const right = expected
        ? close(before, 0.01) && close(after, 0.1) && warmUp?.untilTrainingErrorBelow === 0.8
        : close(before, 0.1) && warmUp === undefined;
      return finding(right ? [] : [found], found);
    }),
    rejects: [
      badRecipe("a warm-up for every net", "it is taken for a part of the recipe", (recipe) => ({
        schedule: { ...recipe.schedule, warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.8 } },
      })),
      {
        name: "ResNet-110 without a warm-up",
        why: "one recipe for all depths",
        kind: "graph",
        spoil: (good) => ({ ...good, graph: architecture("resnet110") }),
      },
      {
        name: "a warm-up until the error is below 20%",
        why: "80% error is taken for 80% accuracy",
        kind: "recipe",
        spoil: (good) => ({
          ...good,
          graph: architecture("resnet110"),
          recipe: {
            ...good.recipe,
            schedule: {
              ...good.recipe.schedule,
              warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.2 },
            } as Recipe["schedule"],
          },
          learningRate: (iteration, ended) => ended ? paperRate(iteration) : 0.01,
        }),
      },
    ],
  },
  {
    id: "declared",
    section: "all",
    requirement: "Where the recipe leaves the paper it says so, with a reason.",
    tier: "static",
    check: needing(["recipe"], ({ recipe }) => judgeDepartures(recipe)),
    rejects: [
      badRecipe("an undeclared batch size", "a command-line flag", () => ({ batchSize: 64 })),
      badRecipe("a field that no recipe has", "an option of a later version", () => ({
        labelSmoothing: 0.1,
      })),
      badRecipe("a departure without a reason", "it seemed to be a detail", (recipe) => {
        const changed = { ...recipe, batchSize: 64 };
        return { ...changed, departures: departuresOf(changed) };
      }),
      badRecipe("a departure that is none", "the recipe was changed back", () => ({
        departures: [{ field: "batchSize", paper: "128", here: "64", reason: "memory" }],
      })),
    ],
  },
]);

/** Whether a recipe says, with a reason, where it leaves the paper, and only there. */
export function judgeDepartures(recipe: Recipe): Finding {
  // Without the recipe's own words every reason is the one that stands for none.
  const bare = departuresOf({ ...recipe, departures: [] });
  const actual = bare.map((departure) => departure.field);
  const declared = recipe.departures.map((departure) => departure.field);
  const problems = [
    ...actual.filter((name) => !declared.includes(name))
      .map((name) => `${name} differs, which is not declared`),
    ...declared.filter((name) => !actual.includes(name))
      .map((name) => `${name} is declared to differ, and does not`),
    ...recipe.departures
      .filter(({ reason }) => bare.some((unstated) => unstated.reason === reason))
      .map((departure) => `${departure.field} differs without a reason`),
  ];
  return finding(problems, `${declared.length} departures: ${declared.join(", ") || "none"}`);
}

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

/**
 * Kernels whose mean, variance or kurtosis lies further than six standard
 * errors from those of the normal distribution with mean 0 and variance 2 / fan.
 */
export function badKernels(graph: Graph, weights: Weights, fan: "in" | "out"): string[] {
  return parametersOf(graph).filter(({ role }) => role === "kernel").flatMap(({ name, shape }) => {
    const data = weights.get(name)?.data;
    if (data === undefined) return [`${name} has no initial weights`];
    const [outputs, inputs, ...window] = shape; // [O, I, H, W] or [O, I]
    const std = Math.sqrt(2 / (sizeOf(window) * (fan === "in" ? inputs : outputs)));
    let sum = 0, squares = 0, fourthPowers = 0;
    for (const w of data) {
      const z = w / std, square = z * z;
      sum += z;
      squares += square;
      fourthPowers += square * square;
    }
    // Standard errors of the sample moments of N values of a standard normal distribution.
    const n = data.length;
    const moments = [
      { what: "mean", found: sum / n, expected: 0, error: Math.sqrt(1 / n) },
      { what: "variance", found: squares / n, expected: 1, error: Math.sqrt(2 / n) },
      { what: "fourth moment", found: fourthPowers / n, expected: 3, error: Math.sqrt(96 / n) },
    ];
    return moments.filter(({ found, expected, error }) =>
      !(Math.abs(found - expected) <= 6 * error)
    )
      .map(({ what, found, expected }) =>
        `${name}: in units of sqrt(2 / fan-${fan}) its ${what} is ${
          found.toFixed(3)
        }, not ${expected}`
      );
  });
}
