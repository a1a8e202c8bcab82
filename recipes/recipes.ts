/**
 * The recipes by name. `paper` is section 4.2 with each point that the paper
 * leaves open decided and named; every other recipe states its differences.
 */
import { type DatasetName, datasetNamed, PHOTOGRAPHS } from "../data/mod.ts";
import { optimiserFaults } from "../engine/mod.ts";
import {
  IMAGENET_CROPS,
  IMAGENET_IMAGES,
  IMAGENET_NETS,
  PAPER_DATASET,
  PAPER_NETS,
} from "../paper/mod.ts";
import { shortcutsOf } from "../resnet/mod.ts";
import { differingFields } from "./_fields.ts";
import { Epochs } from "./epochs.ts";
import type { Departure, Recipe, StepSchedule, Watch } from "./recipe.ts";
import { checkSchedule, RecipeError } from "./schedule.ts";
import { isOfValidation } from "./watch.ts";

/** What stands as the reason of a departure for which nobody stated one. */
export const UNSTATED = "no reason was stated";

/** The paper's shortcuts where the shape changes, with the zero channels of its recipe here. */
const OPTION_A = { shortcut: "A", zeroChannels: "append" } as const;

const PROJECTIONS = "the layout that the name stands for has projections";

/** Changes to a recipe: the fields that differ, nested as in {@link Recipe}. */
export type RecipeChanges = Changes<Omit<Recipe, "departures">>;

/** Some fields of T, at any depth; arrays are replaced whole. */
export type Changes<T> = T extends readonly unknown[] ? T
  : T extends object ? { readonly [K in keyof T]?: Changes<T[K]> }
  : T;

/** Why a recipe leaves the paper: a reason (and a source) by dotted field. */
export type Reasons = Readonly<
  Record<string, { readonly reason: string; readonly source?: string }>
>;

/**
 * The paper's recipe. Each point that the paper leaves open has the default
 * that is listed first in the list of open points: 45,000 training images,
 * batch-norm statistics over all 128 images, weight decay on every trainable
 * parameter, zero channels appended, mean subtracted before the zero padding
 * from pixels in 0..1, He initialisation by fan-in, plain momentum, batches
 * that run on into the next shuffle, running statistics as PyTorch takes them.
 *
 * `deno task train --arch resnet20`; expected test errors are those of Table 6.
 *
 * @param architectureName For example `resnet32`; `resnet110` gets the paper's warm-up.
 * @param changes Fields that differ, if any.
 * @param reasons Why they differ, by dotted field.
 * @returns The recipe, with its departures from the paper filled in.
 *
 * Source: section 4.2.
 *
 * @example
 * ```ts
 * import { paper } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(paper("resnet32").departures, []);
 * const smaller = paper("resnet32", { batchSize: 64 }, {
 *   batchSize: { reason: "half of the memory" },
 * });
 * assertEquals(smaller.departures[0].field, "batchSize");
 * ```
 */
export function paper(
  architectureName: string,
  changes: RecipeChanges = {},
  reasons: Reasons = {},
): Recipe {
  return vary(paperOf(architectureName), changes, reasons);
}

function paperOf(architectureName: string): Recipe {
  return {
    name: "paper",
    architecture: { name: architectureName, ...shortcutsOf(architectureName, OPTION_A) },
    data: {
      set: PAPER_DATASET,
      split: { training: 45_000, validation: 5_000 },
      pixelScale: "0..1",
      mean: "per-pixel",
      std: "none",
      meanSubtracted: "before-padding",
      augmentation: "pad-crop-flip",
      cropPadding: 4,
      order: "shuffled",
      epochEnd: "run-on",
    },
    batchSize: 128,
    batchNormImages: 128,
    batchNorm: { epsilon: 1e-5, momentum: 0.1, runningVariance: "unbiased" },
    initialisation: { kind: "he-normal", fan: "in" },
    optimiser: {
      kind: "sgd",
      momentum: 0.9,
      nesterov: false,
      weightDecay: 0.0001,
      decayed: "all",
    },
    schedule: {
      kind: "steps",
      rate: 0.1,
      boundaries: [32_000, 48_000],
      factor: 0.1,
      iterations: 64_000,
      ...(architectureName === "resnet110"
        ? { warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.8 } }
        : {}),
    },
    departures: [],
  };
}

/** Section 3.4, as {@link paperOf} is section 4.2. */
export function imagenetPaper(architectureName: string): Recipe {
  return {
    ...paperOf(architectureName),
    name: "imagenet",
    data: {
      set: PHOTOGRAPHS,
      split: IMAGENET_IMAGES,
      pixelScale: "0..1",
      mean: "per-pixel",
      std: "none",
      meanSubtracted: "before-padding",
      augmentation: "scale-crop-flip",
      cropPadding: 0,
      order: "shuffled",
      epochEnd: "run-on",
      photographs: { ...IMAGENET_CROPS, colour: 0.1 },
    },
    batchSize: 256,
    batchNormImages: 32,
    schedule: {
      kind: "plateau",
      watched: "validation-error",
      rate: 0.1,
      factor: 0.1,
      patience: 5,
      threshold: 1e-4,
      minimumRate: 0,
      iterations: 600_000,
    },
  };
}

/** The reason of what somebody asks for, on the command line or on a page: to the same files. */
export const ASKED = "asked for when it was begun";

/**
 * A recipe that is made in minutes on any computer: ResNet-8, the smallest net
 * of the paper's form, on the built-in shapes.
 *
 * `deno task demo`
 *
 * @returns The recipe `demo`.
 *
 * @example
 * ```ts
 * import { demo } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(demo().data.set, "shapes10");
 * ```
 */
export function demo(): Recipe {
  const minutes = "a whole training in minutes on any computer";
  const small = vary(paper("resnet8"), { name: "demo" }, minutes);
  const shapes = forDataset(small, "shapes10", "built-in images: nothing to download");
  return withIterations(shapes, 600, minutes);
}

/**
 * A recipe with some fields changed.
 *
 * @param recipe The recipe to start from.
 * @param changes The fields that differ.
 * @param reasons Why they differ from the paper: by dotted field, or one reason
 *   for every departure that the recipe did not have, or had otherwise.
 * @returns The new recipe; its departures are computed, never copied.
 *
 * @example
 * ```ts
 * import { paper, vary } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const nesterov = vary(paper("resnet20"), { optimiser: { nesterov: true } }, {
 *   "optimiser.nesterov": { reason: "to compare", source: "arXiv 1605.07146" },
 * });
 * assertEquals(nesterov.departures.map((departure) => departure.field), ["optimiser.nesterov"]);
 * ```
 */
export function vary(
  recipe: Recipe,
  changes: RecipeChanges,
  reasons: Reasons | string = {},
): Recipe {
  const merged = merge(recipe, changes);
  const { architecture } = merged;
  // What another net, or another option, has in place of the shortcuts that were there.
  const changed = {
    ...merged,
    architecture: { ...architecture, ...shortcutsOf(architecture.name, architecture) },
  };
  if (typeof reasons === "string") {
    const reason = reasons;
    const now = new Set(differingFields(recipe, changed).map(({ field }) => field));
    const added = departuresOf(changed).filter((departure) =>
      departure.reason === UNSTATED || now.has(departure.field)
    );
    reasons = Object.fromEntries(added.map(({ field }) => [field, { reason }]));
  }
  const stated = Object.entries(reasons).map(([field, why]) => ({
    field,
    paper: "",
    here: "",
    ...why,
  }));
  const departures = [...recipe.departures, ...stated];
  return { ...changed, departures: departuresOf({ ...changed, departures }) };
}

/** Whether a change is of another kind of a union: it has no field of the old value. */
function isOtherKind(old: object, change: object): boolean {
  return "kind" in old && "kind" in change && old.kind !== change.kind;
}

/** Every field of `changes` laid over `base`; what is undefined there is left out. */
function merge<T extends object>(base: T, changes: object): T {
  const merged = { ...base } as Record<string, unknown>;
  for (const [key, change] of Object.entries(changes)) {
    const old = merged[key];
    if (change === undefined) delete merged[key];
    else if (typeof change !== "object" || !change || Array.isArray(change)) merged[key] = change;
    else {
      const isSameKind = typeof old === "object" && old && !isOtherKind(old, change);
      merged[key] = merge(isSameKind ? old : {}, change);
    }
  }
  return merged as T;
}

/**
 * Every departure of a recipe from the paper's recipe for its architecture (section 4.2, or 3.4
 * where it is of photographs), computed field by field so that none can be left undeclared. The reason is
 * the one that the recipe states for the field, where it states one.
 *
 * @param recipe Any recipe.
 * @returns One departure a field that differs, in the recipe's order.
 *
 * @example
 * ```ts
 * import { departuresOf, paper } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const undeclared = { ...paper("resnet20"), batchSize: 256 };
 * assertEquals(departuresOf(undeclared), [
 *   { field: "batchSize", paper: "128", here: "256", reason: "no reason was stated" },
 * ]);
 * ```
 */
export function departuresOf(recipe: Recipe): readonly Departure[] {
  const { name: _, departures, ...here } = recipe;
  const { name: net } = recipe.architecture;
  // Photographs are the matter of section 3.4, whose nets have projections too.
  const isOfImageNet = recipe.data.set === PHOTOGRAPHS;
  const { name: __, departures: ___, ...usual } = (isOfImageNet ? imagenetPaper : paperOf)(net);
  const byName = usual.architecture.shortcut === "B" && !isOfImageNet;
  // ImageNet's layouts have projections by their name; the paper's CIFAR nets have option A.
  const there = byName ? { ...usual, architecture: { ...usual.architecture, ...OPTION_A } } : usual;
  const found = differingFields(there, here)
    // Where nothing is option A, there are no zero channels to differ.
    .filter(({ field, after }) => field !== "architecture.zeroChannels" || after !== "none")
    .map(({ field, before, after }) => ({ field, paper: before, here: after }));
  const nets = isOfImageNet ? IMAGENET_NETS : PAPER_NETS;
  if (!nets.includes(recipe.architecture.name)) {
    found.unshift({
      field: "architecture.name",
      paper: nets.join(", "),
      here: recipe.architecture.name,
    });
  }
  return found.map((departure) => {
    const stated = departures.findLast(({ field }) => field === departure.field);
    return {
      ...departure,
      reason: stated?.reason ??
        (byName && departure.field === "architecture.shortcut" ? PROJECTIONS : UNSTATED),
      ...(stated?.source === undefined ? {} : { source: stated.source }),
    };
  });
}

/**
 * A recipe with another length of training. The boundaries and periods keep their place in
 * proportion (half and three quarters of the training in the paper); a boundary that
 * would fall on the end or on another is dropped. Patience and factors stay.
 *
 * @param recipe The recipe to start from.
 * @param iterations Steps in all; 1 or more.
 * @param reason Why, for the departures.
 * @returns The new recipe.
 * @throws {RecipeError} If `iterations` is no whole number of 1 or more.
 *
 * @example
 * ```ts
 * import { paper, withIterations } from "./recipes.ts";
 * import { assertObjectMatch } from "@std/assert";
 *
 * const short = withIterations(paper("resnet20"), 1000);
 * assertObjectMatch(short.schedule, { iterations: 1000, boundaries: [500, 750] });
 * ```
 */
export function withIterations(recipe: Recipe, iterations: number, reason?: string): Recipe {
  const { schedule } = recipe;
  checkSchedule(schedule);
  const scaled = (place: number) => Math.round(place * iterations / schedule.iterations);
  const changes: Changes<Recipe["schedule"]> = schedule.kind === "steps"
    ? {
      iterations,
      boundaries: boundariesBelow(schedule, schedule.boundaries.map(scaled), iterations),
    }
    : schedule.kind === "cosine" || schedule.kind === "restarts"
    ? { iterations, period: Math.max(1, scaled(schedule.period)) }
    : { iterations };
  const changed = vary(recipe, { schedule: changes }, reason);
  checkSchedule(changed.schedule);
  return changed;
}

/** Those that increase from 1 and, where they are iterations, lie before the end. */
function boundariesBelow(
  { unit }: StepSchedule,
  places: readonly number[],
  iterations: number,
): number[] {
  const end = unit === "epoch" ? Infinity : iterations;
  const boundaries: number[] = [];
  for (const place of places) {
    if (place > (boundaries.at(-1) ?? 0) && place < end) boundaries.push(place);
  }
  return boundaries;
}

/**
 * A recipe for other images, or for batches of another size. A length in epochs stays as many
 * epochs, statistics over the whole batch are those over the new one.
 *
 * @param recipe The recipe to start from.
 * @param images What differs: the set, its split, the batch.
 * @param reason Why, for the departures.
 * @returns The new recipe.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { cifarStem } from "./named.ts";
 * import { paper, withImages } from "./recipes.ts";
 *
 * // 200 epochs of 45,000 images in batches of 256, which is how long that recipe is.
 * const { schedule, batchNormImages } = withImages(cifarStem(), { batchSize: 128 });
 * assertEquals([schedule.iterations, batchNormImages], [200 * 352, 128]);
 * // The paper has a length in iterations.
 * assertEquals(withImages(paper("resnet20"), { batchSize: 256 }).schedule.iterations, 64_000);
 * ```
 */
export function withImages(
  recipe: Recipe,
  { batchSize = recipe.batchSize, ...data }: Partial<
    Pick<Recipe, "batchSize"> & Pick<Recipe["data"], "set" | "split">
  >,
  reason?: string,
): Recipe {
  const { schedule } = recipe;
  const batchNormImages = recipe.batchNormImages === recipe.batchSize
    ? batchSize
    : Math.min(recipe.batchNormImages, batchSize);
  const changed = vary(recipe, { batchSize, batchNormImages, data }, reason);
  const before = new Epochs(recipe), after = new Epochs(changed);
  const epochs = Math.round(before.of(schedule.iterations));
  const isWhole = before.end(epochs) === schedule.iterations;
  const isInEpochs = schedule.kind !== "plateau" && schedule.unit === "epoch";
  // Where batches don't run on into the next epoch, a training is counted in epochs.
  if (!isInEpochs && !(isWhole && recipe.data.epochEnd !== "run-on")) return changed;
  const iterations = isWhole
    ? after.end(epochs)
    : Math.max(1, Math.round(schedule.iterations * before.of(1) / after.of(1)));
  const asLong = isInEpochs
    ? vary(changed, { schedule: { iterations } })
    : withIterations(changed, iterations);
  // As many epochs are for the reason that they were for before.
  return vary(asLong, {}, reason);
}

/**
 * A recipe on another data set, with the split that the registry has for it: of
 * the built-in shapes' 10,000 training images 9,000 are trained on, the same
 * nine tenths as in the paper. A recipe that holds nothing out holds nothing out there either.
 *
 * @param recipe The recipe to start from.
 * @param set The data set.
 * @param reason Why, for the departures.
 * @returns The new recipe.
 *
 * @example
 * ```ts
 * import { forDataset, paper } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(forDataset(paper("resnet8"), "shapes10").data.split, { training: 9000, validation: 1000 });
 * ```
 */
export function forDataset(
  recipe: Recipe,
  set: DatasetName,
  reason?: string,
): Recipe {
  if (recipe.data.set === set) return recipe;
  const { training, validation } = datasetNamed(set).split;
  const split = recipe.data.split.validation === 0
    ? { training: training + validation, validation: 0 }
    : { training, validation };
  return withImages(recipe, { set, split }, reason);
}

/**
 * Checks that a recipe can be trained here.
 *
 * @param recipe Any recipe.
 * @throws {RecipeError} Names the field, the rule and the value: an optimiser or
 *   a schedule that can't be followed, batch-norm statistics over more
 *   images than a batch has, or a number outside of its range.
 *
 * @example
 * ```ts
 * import { checkRecipe, paper } from "./recipes.ts";
 * import { RecipeError } from "./schedule.ts";
 * import { assertThrows } from "@std/assert";
 *
 * checkRecipe(paper("resnet20"));
 * assertThrows(() => checkRecipe(paper("resnet20", { batchNormImages: 129 })), RecipeError, "129");
 * ```
 */
export function checkRecipe(recipe: Recipe): void {
  const { optimiser, batchSize, batchNormImages, batchNorm, data } = recipe;
  checkSchedule(recipe.schedule);
  checkWatch("schedule", recipe.schedule.kind === "plateau" ? recipe.schedule : undefined, recipe);
  checkWatch("best", recipe.best, recipe);
  checkPhotographs(recipe);
  checkPublished(recipe);
  const { name, shortcut, zeroChannels } = recipe.architecture;
  const has = shortcutsOf(name, recipe.architecture);
  if (has.shortcut !== shortcut || has.zeroChannels !== zeroChannels) {
    throw new RecipeError(
      `the recipe's architecture must state the shortcuts that ${name} has, ${has.shortcut} with zero channels "${has.zeroChannels}"; found ${shortcut} with "${zeroChannels}"`,
    );
  }
  const rules: readonly [string, number, boolean, string][] = [
    [
      "batchSize",
      batchSize,
      Number.isInteger(batchSize) && batchSize >= 1,
      "a whole number from 1",
    ],
    [
      "batchSize",
      batchSize,
      data.epochEnd !== "drop-partial" || batchSize <= data.split.training,
      `at most the images trained on, ${data.split.training}, as partial batches are dropped`,
    ],
    [
      "batchNormImages",
      batchNormImages,
      Number.isInteger(batchNormImages) && within(batchNormImages, 1, batchSize),
      `a whole number from 1 to the batch size, ${batchSize}`,
    ],
    ["batchNorm.epsilon", batchNorm.epsilon, batchNorm.epsilon > 0, "a number above 0"],
    ["batchNorm.momentum", batchNorm.momentum, within(batchNorm.momentum, 0, 1), "from 0 to 1"],
    [
      "data.cropPadding",
      data.cropPadding,
      Number.isInteger(data.cropPadding) && within(data.cropPadding, 0, 127),
      "a whole number from 0 to 127",
    ],
  ];
  const faults = optimiserFaults(optimiser).map(({ field, found, rule }) =>
    [`optimiser.${field}`, found, false, rule] as const
  );
  for (const [field, value, holds, rule] of [...rules, ...faults]) {
    if (!holds) throw new RecipeError(`the recipe's ${field} must be ${rule}, found ${value}`);
  }
}

/** Published constants are those of sets that have them. */
function checkPublished({ data }: Recipe): void {
  const part = (["mean", "std"] as const).find((part) => data[part] === "published");
  if (!part || data.set !== PHOTOGRAPHS && datasetNamed(data.set).channels) return;
  throw new RecipeError(
    `the recipe's data.${part} must be one that its set has, and ${data.set} has no published constants: choose what is measured (--preparation channels), found published`,
  );
}

/** What belongs to photographs stands in recipes for them, all of it, and in no other. */
function checkPhotographs({ data, batchNorm }: Recipe): void {
  const { set, photographs, augmentation, cropPadding } = data;
  const fault = (field: string, rule: string, found: unknown) => {
    throw new RecipeError(`the recipe's ${field} must be ${rule}, found ${found}`);
  };
  if (set !== PHOTOGRAPHS) {
    if (photographs) fault("data.photographs", `that of the set "${PHOTOGRAPHS}"`, `set ${set}`);
    if (augmentation !== "pad-crop-flip" && augmentation !== "none") {
      fault("data.augmentation", `pad-crop-flip or none, as its set is ${set}`, augmentation);
    }
    return;
  }
  if (!photographs) {
    return fault("data.photographs", `stated, as its set is ${PHOTOGRAPHS}`, "nothing");
  }
  if (augmentation === "pad-crop-flip") {
    const rule = "scale-crop-flip, random-resized-crop-flip or none, as its set is photographs";
    fault("data.augmentation", rule, augmentation);
  }
  if (cropPadding !== 0) fault("data.cropPadding", "0, as its set is photographs", cropPadding);
  if (batchNorm.averages === "strict") {
    fault("batchNorm.averages", "moving, as its set is photographs", batchNorm.averages);
  }
  const { size, shorterSide: { least, most }, testShorterSide, colour } = photographs;
  const where = "data.photographs";
  if (least < size) fault(`${where}.shorterSide.least`, `its size, ${size}, or more`, least);
  if (most < least) fault(`${where}.shorterSide.most`, `its least, ${least}, or more`, most);
  if (testShorterSide < size) {
    fault(`${where}.testShorterSide`, `its size, ${size}, or more`, testShorterSide);
  }
  if (!(colour >= 0)) fault(`${where}.colour`, "a number from 0", colour);
}

/** A value can be watched where there are images to measure it on. */
function checkWatch(field: string, watch: Watch | undefined, { data: { split } }: Recipe): void {
  if (!watch || !isOfValidation(watch.watched) || split.validation > 0) return;
  throw new RecipeError(
    `the recipe's ${field}.watched must be a value of the training, since its split holds no validation images back; found ${watch.watched}. Choose another value, or another split`,
  );
}

function within(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}
