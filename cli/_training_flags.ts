/** The flags of the commands that train, and the recipe that they ask for. */
import { DATASET_NAMES, datasetNamed } from "../data/mod.ts";
import { architecture } from "../resnet/mod.ts";
import {
  ASKED,
  forDataset,
  isOfPhotographs,
  PHOTOGRAPH_RECIPES,
  type Recipe,
  vary,
  withImages,
  withImageSize,
} from "../recipes/mod.ts";
import { changedBy, RECIPE_FLAG, RECIPE_FLAGS, recipeFrom } from "./_recipe_flags.ts";
import {
  choice,
  COMMON,
  type Flag,
  type FlagValues,
  integer,
  nonNegative,
  text,
  toggle,
  UsageError,
} from "./_flags.ts";

/** `--engine`, `--threads`, `--convolution` and `--precision`. */
export const ENGINE_FLAGS = {
  engine: text("NAME", "what computes: auto (the default) takes the fastest that runs here"),
  verbose: toggle("say why that engine was chosen"),
  threads: integer(
    "worker threads; all cores by default",
    1,
    Math.max(8, navigator.hardwareConcurrency),
  ),
  convolution: choice(
    ["winograd", "direct"],
    "how wasm computes 3x3 convolutions; winograd by default, the faster",
  ),
  precision: choice(
    ["single", "mixed"],
    "mixed: webgpu stores activations in half precision and scales the loss; single by default",
  ),
} as const;

/** `--dataset` and `--data`. */
export const DATA_FLAGS = {
  dataset: choice(
    DATASET_NAMES,
    `the images; ${
      DATASET_NAMES.filter((set) => datasetNamed(set).builtIn).join(", ")
    } is built in`,
  ),
  data: text(
    "PATH",
    "folder or .tar.gz archive of the binary version, downloaded by default; or of photographs",
  ),
} as const;

/** `--shortcut-padding`. */
export const PADDING_FLAG = {
  "shortcut-padding": choice(
    ["append", "split"],
    "where option A puts its zero channels: after the others, or on both sides",
  ),
} as const;

/** What decides where a run goes and what it leaves on the way. */
export const RUN_FLAGS = {
  seed: integer("decides initialisation, split, order and crops; 0 by default", 0, 0xffffffff),
  out: text("FOLDER", "the run's folder; runs/ARCH-DATASET-seedN by default"),
  iterations: integer("length of the training; the schedule keeps its proportions", 1),
  "stop-after": integer("stop after this iteration, to go on later", 1),
  "log-every": integer(
    "steps that one line of the log averages; 100 by default, fewer in short runs",
    1,
  ),
  "eval-every": integer("steps between validations; 1,000 by default, fewer in short runs", 1),
  "checkpoint-every": integer("steps between checkpoints; 1,000 by default", 1),
} as const;

/**
 * How often a run of a length is logged and validated, unless somebody says
 * otherwise: as for the paper's 64,000 steps, and in short runs often enough
 * for curves, of 50 points and of 10.
 */
export function intervalsFor(iterations: number): { readonly log: number; readonly eval: number } {
  return {
    log: Math.max(1, Math.min(100, Math.floor(iterations / 50))),
    eval: Math.max(1, Math.min(1000, Math.floor(iterations / 10))),
  };
}

const SPLITS: Readonly<Record<string, Recipe["data"]["split"]>> = {
  "45k": { training: 45_000, validation: 5_000 },
  "47.5k": { training: 47_500, validation: 2_500 },
  "50k": { training: 50_000, validation: 0 },
};

const splitFlag: Flag<Recipe["data"]["split"]> = {
  placeholder: "45k|47.5k|50k|A/B",
  help: "images to train on (the rest of 50,000 validates), or A to train on and B to validate",
  parse: (value) => {
    const match = /^(\d+)\/(\d+)$/.exec(value);
    const split = match
      ? { training: Number(match[1]), validation: Number(match[2]) }
      : Object.hasOwn(SPLITS, value)
      ? SPLITS[value]
      : undefined;
    if (!split || split.training < 1) {
      throw new Error("45k, 47.5k, 50k or two counts such as 900/100");
    }
    return split;
  },
};

/** How a folder of photographs is read; `where` says when they count. */
export function folderFlags(where: string) {
  return {
    broken: choice(["refuse", "skip"], `${where}: what is done with files that can't be read`),
    links: choice(["refuse", "follow"], `${where}: what is done with links out of the folder`),
    orientation: choice(
      ["stored", "upright"],
      `${where}: JPEGs as torchvision reads them (stored), or turned as their camera noted`,
    ),
    index: text("FILE", `${where}: where the folder's index is kept; in the cache by default`),
  } as const;
}

/** Of a recipe for photographs. */
export const PHOTOGRAPH_FLAGS = {
  "image-size": integer(
    "photographs: side of what the network sees, 224; the sides before the crop keep their share",
    8,
    2048,
  ),
  colour: nonNegative("photographs: deviation of the PCA colour augmentation, 0.1; 0 for none"),
  ...folderFlags("photographs"),
  workers: integer(
    "photographs: threads that read and decode beside the training; one less than cores, and at most 16, by default",
    0,
    64,
  ),
} as const;

/** The flags of `train`. */
export const TRAIN_FLAGS = {
  arch: text("NAME", "the network: resnet20 by default; resnet32, resnet110, plain20, ..."),
  recipe: RECIPE_FLAG,
  ...RECIPE_FLAGS,
  ...DATA_FLAGS,
  ...ENGINE_FLAGS,
  ...RUN_FLAGS,
  batch: integer("images in a batch; 128 in the paper", 1),
  weights: text("FILE", "start from these weights, in any format that audit reads"),
  augment: choice(
    ["pad-crop-flip", "scale-crop-flip", "random-resized-crop-flip", "none"],
    "what is done to training images; photographs: the paper's scale, or torchvision's crop",
  ),
  order: choice(["shuffled", "sequential"], "the order of training images"),
  shortcut: choice(["A", "B"], "where the width changes: parameter-free, or a 1x1 projection"),
  ...PADDING_FLAG,
  split: splitFlag,
  ...PHOTOGRAPH_FLAGS,
  ...COMMON,
} as const;

/** @throws {UsageError} If flags were given that a recipe's images have no use for, or needs. */
function requireImageFlags(flags: FlagValues<typeof TRAIN_FLAGS>, recipe: Recipe): void {
  const found = (names: readonly (keyof typeof TRAIN_FLAGS)[]) =>
    names.find((name) => flags[name] !== undefined);
  if (!isOfPhotographs(recipe)) {
    const stray = found(Object.keys(PHOTOGRAPH_FLAGS) as (keyof typeof PHOTOGRAPH_FLAGS)[]);
    if (!stray) return;
    throw new UsageError(
      `--${stray} goes with a recipe for photographs: --recipe ${
        Object.keys(PHOTOGRAPH_RECIPES).join("|")
      }`,
    );
  }
  const stray = found(["dataset", "split"]);
  if (stray) {
    throw new UsageError(
      `--${stray} is of the sets that have a name, and the recipe ${recipe.name} is for a folder of photographs, which is split by its train/ and val/: leave it out`,
    );
  }
  if (flags.data === undefined) {
    throw new UsageError(
      `the recipe ${recipe.name} needs --data FOLDER, with photographs in FOLDER/train/CLASS/ and FOLDER/val/CLASS/`,
    );
  }
}

/**
 * The recipe that the flags ask for.
 *
 * @param flags As they were given.
 * @param split How many photographs a folder has, where the recipe is for one.
 * @throws {ArchitectureError | RecipeError} If there is no such network, or a number has no sense.
 */
export function recipeOf(
  flags: FlagValues<typeof TRAIN_FLAGS>,
  split?: Recipe["data"]["split"],
): Recipe {
  let recipe = recipeFrom(flags.recipe ?? "paper", flags.arch);
  requireImageFlags(flags, recipe);
  if (isOfPhotographs(recipe)) {
    if (split) recipe = withImages(recipe, { split }, "the folder's own");
    if (flags["image-size"]) recipe = withImageSize(recipe, flags["image-size"], ASKED);
    if (flags.colour !== undefined) {
      recipe = vary(recipe, { data: { photographs: { colour: flags.colour } } }, ASKED);
    }
    if (flags.orientation === "upright") {
      recipe = vary(recipe, { data: { photographs: { orientation: "upright" } } }, ASKED);
    }
  }
  if (flags.dataset) recipe = forDataset(recipe, flags.dataset, ASKED);
  recipe = withImages(recipe, {
    ...(flags.batch ? { batchSize: flags.batch } : {}),
    ...(flags.split ? { split: flags.split } : {}),
  }, ASKED);
  recipe = vary(recipe, {
    architecture: {
      ...(flags.shortcut ? { shortcut: flags.shortcut } : {}),
      ...(flags["shortcut-padding"] ? { zeroChannels: flags["shortcut-padding"] } : {}),
    },
    data: {
      ...(flags.augment ? { augmentation: flags.augment } : {}),
      ...(flags.order ? { order: flags.order } : {}),
    },
  }, ASKED);
  // Epochs are those of the batch and the split that were asked for.
  recipe = changedBy(flags, recipe, ASKED);
  architecture(recipe.architecture.name); // Refuses unknown names before anything is made.
  const { name, shortcut, zeroChannels } = recipe.architecture;
  for (
    const [flag, asked, has] of [
      ["--shortcut", flags.shortcut, shortcut],
      ["--shortcut-padding", flags["shortcut-padding"], zeroChannels],
    ]
  ) {
    if (asked !== undefined && asked !== has) {
      throw new UsageError(`${flag} ${asked} is nothing that ${name} can have here: it has ${has}`);
    }
  }
  return recipe;
}
