/** What a recipe decides where the paper leaves a point open. */
import { OPEN_POINTS, type OpenField, type OpenPoint } from "../paper/mod.ts";
import type { Recipe } from "./recipe.ts";

/** What a recipe decided at one open point. */
export interface Choice extends Pick<OpenPoint, "id" | "question"> {
  /** The reading in words, or the recipe's own value where no reading names it. */
  readonly choice: string;
  /** Whether it is one of the readings that the paper allows. */
  readonly named: boolean;
  /** Whether it is the reading of the recipe `paper`. */
  readonly usual: boolean;
}

/** The recipe's fields that decide open points; an optimiser without such a field has its kind. */
const READ: { readonly [field in OpenField]: (recipe: Recipe) => string | number | boolean } = {
  "architecture.zeroChannels": ({ architecture }) => architecture.zeroChannels,
  batchNormImages: ({ batchNormImages }) => batchNormImages,
  "batchNorm.averages": ({ batchNorm }) => batchNorm.averages ?? "moving",
  "batchNorm.epsilon": ({ batchNorm }) => batchNorm.epsilon,
  "batchNorm.momentum": ({ batchNorm }) => batchNorm.momentum,
  "batchNorm.runningVariance": ({ batchNorm }) => batchNorm.runningVariance,
  "data.epochEnd": ({ data }) => data.epochEnd,
  "data.meanSubtracted": ({ data }) => data.meanSubtracted,
  "data.pixelScale": ({ data }) => data.pixelScale,
  "data.split.training": ({ data }) => data.split.training,
  "data.split.validation": ({ data }) => data.split.validation,
  "initialisation.fan": ({ initialisation }) => initialisation.fan,
  "initialisation.lastLayer": ({ initialisation }) => initialisation.lastLayer ?? "he-normal",
  "optimiser.decayed": ({ optimiser }) =>
    optimiser.kind === "sgd" ? optimiser.decayed : optimiser.kind,
  "optimiser.nesterov": ({ optimiser }) =>
    optimiser.kind === "sgd" ? optimiser.nesterov : optimiser.kind,
  "optimiser.velocityOf": ({ optimiser }) =>
    optimiser.kind === "sgd" ? optimiser.velocityOf ?? "gradients" : optimiser.kind,
};

/**
 * What a recipe decides at each open point.
 *
 * @param recipe Any recipe.
 * @returns One choice a point, in order.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { choicesOf } from "./choices.ts";
 * import { paper } from "./recipes.ts";
 *
 * const unusual = choicesOf(paper("resnet20", { architecture: { zeroChannels: "split" } }))
 *   .filter((choice) => !choice.usual);
 * assertEquals(unusual.map(({ choice }) => choice), ["half before and half after the others"]);
 * ```
 */
export function choicesOf(recipe: Recipe): Choice[] {
  return OPEN_POINTS.map(({ id, question, readings, fields }) => {
    const value = fields.map((field) => written(READ[field](recipe))).join("/");
    if (id === "zero-channels" && value === "none") {
      const why = recipe.architecture.shortcut === "B"
        ? "its shortcuts are projections"
        : "it has no shortcuts";
      return { id, question, choice: `nowhere: ${why}`, named: true, usual: true };
    }
    const index = readings.findIndex((reading) => reading.id === value);
    return {
      id,
      question,
      choice: readings[index]?.reading ?? value,
      named: index >= 0,
      usual: index === 0,
    };
  });
}

/** As the readings write it: 0.00001, not 1e-5. */
function written(value: string | number | boolean): string {
  return typeof value === "number"
    ? value.toLocaleString("en-US", { useGrouping: false, maximumSignificantDigits: 15 })
    : String(value);
}

/**
 * Whether a recipe leaves the paper's default in a field as the paper allows:
 * the field decides an open point, and the recipe's choice is one of its readings.
 *
 * @param recipe The recipe.
 * @param field Dotted path of one of its departures.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { isOpen } from "./choices.ts";
 * import { paper } from "./recipes.ts";
 *
 * assert(isOpen(paper("resnet20", { batchNormImages: 64 }), "batchNormImages"));
 * assert(!isOpen(paper("resnet20", { batchNormImages: 32 }), "batchNormImages"));
 * ```
 */
export function isOpen(recipe: Recipe, field: string): boolean {
  const point = OPEN_POINTS.find(({ fields }) => fields.some((name) => name === field));
  return point !== undefined && choicesOf(recipe).some(({ id, named }) => id === point.id && named);
}
