/** The recipes that a command can be given by name. */
import { Epochs } from "./epochs.ts";
import { withOptimiser, withSchedule } from "./optimisers.ts";
import type { Recipe } from "./recipe.ts";
import { demo, paper, type Reasons, type RecipeChanges, vary } from "./recipes.ts";

/**
 * ResNet-18 or ResNet-34 with a 3x3 stem on 32x32 images: batches of 256, the channels' mean and
 * deviation, the rate divided by 10 where the validation error stays.
 *
 * `deno task train --recipe resnet18-cifar`; its result has not been measured at full length here.
 *
 * @param architectureName `resnet18-cifar` or `resnet34-cifar`; any other net may take the recipe.
 */
export function cifarStem(architectureName = "resnet18-cifar"): Recipe {
  const length = "its author states no length: 200 epochs";
  return ofLength(
    varied(architectureName, architectureName, {
      batchSize: [256, "its author's batch"],
      batchNormImages: [256, "over the whole batch"],
      "data.mean": ["per-channel", "its author's preparation: the channels' mean"],
      "data.std": ["per-channel", "its author's preparation: the channels' deviation"],
      "data.meanSubtracted": ["after-crop", "the crop pads black pixels, as torchvision's does"],
      "data.epochEnd": ["keep-partial", "as PyTorch's loader has it"],
    }),
    200,
    length,
    {
      ...{ kind: "plateau", watched: "validation-error", rate: 0.1, factor: 0.1, patience: 10 },
      ...{ threshold: 1e-4, minimumRate: 0 },
    },
    "divided by 10 when the error plateaus; patience and threshold as PyTorch's defaults",
  );
}

/**
 * ResNet-34 with ImageNet's stem on 32x32 images, as its author first had it: the augmentation
 * never reached the network, each image's own channel means were subtracted, the plateau watched
 * the validation loss, and the training ended after 500 epochs without a better one.
 *
 * `deno task train --recipe system-c`; its author's log has 71.65% test accuracy by Adam.
 *
 * @param architectureName `resnet34` by default.
 */
export function systemC(architectureName = "resnet34"): Recipe {
  const recipe = ofLength(
    varied("system-c", architectureName, {
      batchSize: [256, "its author's batch"],
      batchNormImages: [256, "over the whole batch"],
      "data.split.training": [47_500, "its author's split"],
      "data.split.validation": [2_500, "its author's split"],
      "data.mean": ["per-image", "what its code called the mean"],
      "data.augmentation": ["none", "a transform set on a Subset, which ignores it"],
      "data.epochEnd": ["keep-partial", "as PyTorch's loader has it"],
    }),
    5_000,
    "at most 5,000 epochs",
    {
      ...{ kind: "plateau", watched: "validation-loss", rate: 0.1, factor: 0.1, patience: 200 },
      ...{ threshold: 1e-4, minimumRate: 0 },
    },
    "its log has a fall every 201 epochs; factor and threshold are PyTorch's defaults",
  );
  const stopping = "ended after 500 epochs without a better validation loss";
  return withOptimiser(
    vary(recipe, { best: { watched: "validation-loss", threshold: 0, stopAfter: 500 } }, stopping),
    "adam",
    "its author's best of SGD and Adam",
  );
}

/**
 * The later comparisons of the same author: optimisers and schedules on the paper's ResNet-32,
 * with the augmentation applied, 100 epochs each.
 *
 * `deno task train --recipe system-c-2 --optimiser nadam`; its author's table has 90.68% for NAdam.
 *
 * @param architectureName `resnet32` by default.
 */
export function systemC2(architectureName = "resnet32"): Recipe {
  const recipe = withSchedule(
    varied("system-c-2", architectureName, {
      "data.epochEnd": ["keep-partial", "as PyTorch's loader has it"],
    }),
    "exponential",
    "its author's table is of exponential rates",
  );
  return withOptimiser(
    ofLength(recipe, 100, "its author compared at 100 epochs"),
    "nadam",
    "the best of its author's table",
  );
}

/**
 * The paper's recipe on all 50,000 training images: the other reading of what the final numbers
 * are of, for a claim of its own.
 *
 * `deno task reproduce --recipe paper,paper-50k --archs resnet20` plans both; its result has not been
 * measured at full length here.
 *
 * @param architectureName `resnet20` by default.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { paperOnAll } from "./named.ts";
 *
 * assertEquals(paperOnAll("resnet32").data.split, { training: 50_000, validation: 0 });
 * ```
 */
export function paperOnAll(architectureName = "resnet20"): Recipe {
  const recipe = vary(
    paper(architectureName),
    { data: { split: { training: 50_000, validation: 0 } } },
    "the paper can be read so: trained on the training set",
  );
  return { ...recipe, name: "paper-50k" };
}

/** The recipes by name, which is their field `name` too; each may be given another net. */
export const RECIPES: Readonly<
  Record<
    | "paper"
    | "paper-50k"
    | "demo"
    | "resnet18-cifar"
    | "resnet34-cifar"
    | "system-c"
    | "system-c-2",
    (architectureName?: string) => Recipe
  >
> = {
  paper: (architectureName = "resnet20") => paper(architectureName),
  "paper-50k": paperOnAll,
  demo: (architectureName = "resnet8") =>
    vary(demo(), { architecture: { name: architectureName } }, {}),
  "resnet18-cifar": (architectureName) => ({
    ...cifarStem(architectureName),
    name: "resnet18-cifar",
  }),
  "resnet34-cifar": (architectureName = "resnet34-cifar") => ({
    ...cifarStem(architectureName),
    name: "resnet34-cifar",
  }),
  "system-c": systemC,
  "system-c-2": systemC2,
};

/** The paper's recipe with fields changed, each for a reason. */
function varied(
  name: string,
  architectureName: string,
  fields: Readonly<Record<string, readonly [value: unknown, reason: string]>>,
): Recipe {
  const changes: Record<string, unknown> = { name };
  const reasons: Record<string, Reasons[string]> = {
    "architecture.name": { reason: "the net that the recipe is for" },
  };
  for (const [path, [value, reason]] of Object.entries(fields)) {
    const keys = path.split(".");
    let parent = changes;
    for (const key of keys.slice(0, -1)) {
      parent = (parent[key] ??= {}) as Record<string, unknown>;
    }
    parent[keys.at(-1)!] = value;
    reasons[path] = { reason };
  }
  return paper(architectureName, changes as RecipeChanges, reasons);
}

/** A recipe of so many epochs, with a schedule where one is given. */
function ofLength(
  recipe: Recipe,
  epochs: number,
  why: string,
  schedule?: Record<string, unknown>,
  whySo = why,
): Recipe {
  const iterations = new Epochs(recipe).end(epochs);
  const changed = schedule
    ? vary(recipe, { schedule: { ...schedule, iterations } } as RecipeChanges, whySo)
    : recipe;
  return vary(changed, { schedule: { iterations } } as RecipeChanges, {
    "schedule.iterations": { reason: why },
  });
}
