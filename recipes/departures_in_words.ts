/** Departures from the paper in words, and how they declare themselves. */
import { PHOTOGRAPHS } from "../data/mod.ts";
import { number } from "../text/mod.ts";
import type { Departure, Recipe } from "./recipe.ts";
import { bestInWords, scheduleInWords } from "./words.ts";

/**
 * What departures come to, each a phrase of its own: an optimiser or a schedule
 * of another kind is one, whose fields by themselves would say nothing.
 *
 * @param recipe The recipe that they are of.
 * @param departures Some or all of them.
 * @returns Phrases, each with the reason that the recipe gives.
 *
 * @example
 * ```ts
 * import { departuresInWords } from "./departures_in_words.ts";
 * import { paper, vary } from "./recipes.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const recipe = vary(paper("resnet20"), { batchSize: 256, batchNormImages: 256 }, "it fits");
 * assertEquals(departuresInWords(recipe)[0], {
 *   text: "batches of 256 images instead of 128",
 *   reason: "it fits",
 * });
 * ```
 */
export function departuresInWords(
  recipe: Recipe,
  departures: readonly Departure[] = recipe.departures,
): { readonly text: string; readonly reason: string }[] {
  const wholes = wholesInWords(recipe, departures.map(({ field }) => field));
  const found: { text: string; reason: string }[] = [];
  for (const { field, paper, here, reason } of departures) {
    const whole = wholes.find(({ of }) => of(field));
    const text = whole?.text ?? inWords(
      field,
      recipeValue(here),
      recipeValue(paper),
      recipe.data.set === PHOTOGRAPHS ? "ImageNet" : "CIFAR-10",
    );
    if (!found.some((other) => other.text === text)) found.push({ text, reason });
  }
  return found;
}

/**
 * A value of a recipe as people read it, its long numbers grouped.
 *
 * @param text The value as a departure states it.
 * @returns The same with "[32000,48000]" as "[32,000; 48,000]".
 */
export function recipeValue(text: string): string {
  return text.replace(/(?<=\d),(?=\d)/g, "; ").replace(
    /(?<![\w.])\d{4,}(?![\w.])/g,
    (digits) => number(Number(digits)),
  );
}

/** Parts of another kind than the paper's, whose fields by themselves would say nothing. */
function wholesInWords(
  recipe: Recipe,
  fields: readonly string[],
): { readonly of: (field: string) => boolean; readonly text: string }[] {
  const { kind, ...settings } = recipe.optimiser;
  const values = Object.entries(settings).map(([name, value]) => `${name} ${value}`).join(", ");
  const best = bestInWords(recipe);
  return [
    ...(fields.includes("optimiser.kind")
      ? [{
        of: (field: string) => field.startsWith("optimiser."),
        text: `the optimiser ${kind} (${values}) instead of SGD with momentum`,
      }]
      : []),
    ...(fields.includes("schedule.kind")
      ? [{
        of: (field: string) => field.startsWith("schedule.") && field !== "schedule.iterations",
        text: `another schedule: ${phrase(scheduleInWords(recipe))}`,
      }]
      : []),
    ...(best ? [{ of: (field: string) => field.startsWith("best."), text: phrase(best) }] : []),
  ];
}

/** Sentences as a part of a list. */
function phrase(sentences: string): string {
  return sentences[0].toLowerCase() + sentences.slice(1).replace(/\.$/, "").replace(
    /\. (.)/g,
    (_, first: string) => `; ${first.toLowerCase()}`,
  );
}

/** A field with what stands in it here and in the paper: in words where readers meet it often. */
function inWords(field: string, here: string, paper: string, set: string): string {
  switch (field) {
    case "architecture.name":
      return `the network ${here}, which is none of the paper's on ${set}`;
    case "data.set":
      return `trained and tested on ${here} instead of ${paper}`;
    case "data.split.training":
      return `${here} training images instead of ${paper}`;
    case "data.split.validation":
      return `${here} validation images instead of ${paper}`;
    case "schedule.iterations":
      return `${here} iterations instead of ${paper}`;
    case "schedule.rate":
      return `the rate starts at ${here} instead of ${paper}`;
    case "schedule.boundaries":
      return `the rate falls after ${list(here)} iterations instead of ${list(paper)}`;
    case "architecture.shortcut":
      return here === "none" ? "no shortcuts" : `shortcuts of option ${here} instead of ${paper}`;
    case "data.mean":
      return `the ${here} mean is subtracted, instead of the ${paper} one`;
    case "data.std":
      return here === "none"
        ? `no deviation divides, instead of the ${paper} one`
        : `the ${here} deviation divides, instead of ${paper}`;
    case "data.meanSubtracted":
      return here === "after-crop"
        ? "the mean is subtracted after the crop, whose border is black, instead of before the padding"
        : "the mean is subtracted before the padding, instead of after the crop";
    case "data.epochEnd":
      return {
        "run-on": "batches run on from one epoch into the next",
        "keep-partial": "an epoch's last batch has what is left",
        "drop-partial": "what is left at an epoch's end is dropped",
      }[here] ?? `${field} ${here} instead of ${paper}`;
    case "data.photographs.size":
      return `crops of ${here}x${here} instead of ${paper}x${paper}`;
    case "data.photographs.shorterSide.least":
      return `a shorter side of at least ${here} before the crop instead of ${paper}`;
    case "data.photographs.shorterSide.most":
      return `a shorter side of at most ${here} before the crop instead of ${paper}`;
    case "data.photographs.testShorterSide":
      return `tests from a shorter side of ${here} instead of ${paper}`;
    case "data.photographs.colour":
      return here === "0"
        ? "no PCA colour augmentation"
        : `PCA colour of deviation ${here} instead of ${paper}`;
    case "data.photographs.orientation":
      return "JPEGs turned as their camera noted, instead of as they are stored";
    case "data.augmentation":
      return here === "none" ? "no augmentation" : `augmentation by ${here} instead of ${paper}`;
    case "batchNormImages":
      return `batch norm over ${here} images instead of ${paper}`;
    case "batchSize":
      return `batches of ${here} images instead of ${paper}`;
    default:
      return `${field} ${here} instead of ${paper}`;
  }
}

/** "[300; 450]" as "300 and 450". */
function list(values: string): string {
  return values.replace(/^\[(.*)\]$/, "$1").replaceAll("; ", ", ").replace(
    /, (?=[^ ]*$)/,
    " and ",
  ) ||
    "no";
}
