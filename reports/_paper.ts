/** Where a run stands to the paper: what differs, and what the paper leaves open. */
import { bestInWords, departuresOf, isOpen, type Recipe, scheduleInWords } from "../recipes/mod.ts";
import { PAPER_DATASET, PAPER_NETS, PAPER_SPREAD, TABLE_6, TEST_IMAGES } from "../paper/mod.ts";
import { number, percent } from "../text/mod.ts";
import { recipeValue } from "./_format.ts";
import type { Run } from "../log/mod.ts";

/** The paper's test error of a run's network, where Table 6 has it. */
export function paperError({ recipe }: Run["start"]): string | undefined {
  const net = recipe.data.set === PAPER_DATASET ? TABLE_6[recipe.architecture.name] : undefined;
  if (!net) return undefined;
  const spread = (100 * PAPER_SPREAD.standardDeviation).toFixed(2);
  return net.runs === 1
    ? percent(net.error)
    : `${(100 * net.error).toFixed(2)} ± ${spread}% over ${net.runs} runs`;
}

/** Why a run is not the paper's, each a phrase of its own; none where it is. */
export function differencesFromPaper({ start, outcome, finalTest }: Run): string[] {
  const reasons: string[] = [];
  if (outcome?.type !== "end") {
    reasons.push("it did not finish");
  } else if (outcome.iteration !== start.recipe.schedule.iterations) {
    reasons.push(
      `it ended after ${number(outcome.iteration)} of ${
        number(start.recipe.schedule.iterations)
      } iterations`,
    );
  }
  if (finalTest && start.recipe.data.set === PAPER_DATASET && finalTest.images !== TEST_IMAGES) {
    reasons.push(`tested on ${number(finalTest.images)} of ${number(TEST_IMAGES)} test images`);
  }
  if (start.startWeights) reasons.push("it started from given weights");
  const departures = departuresOf(start.recipe).filter(({ field }) => !isOpen(start.recipe, field));
  const wholes = wholesInWords(start.recipe, departures.map(({ field }) => field));
  for (const { field, paper, here } of departures) {
    if (!wholes.some(({ of }) => of(field))) {
      reasons.push(inWords(field, recipeValue(here), recipeValue(paper)));
    }
  }
  return [...reasons, ...wholes.map(({ text }) => text)];
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
  return sentences[0].toLowerCase() + sentences.slice(1).replace(/\.$/, "").replaceAll(". ", "; ");
}

/** A field with what stands in it here and in the paper: in words where readers meet it often. */
function inWords(field: string, here: string, paper: string): string {
  switch (field) {
    case "data.set":
      return `trained and tested on ${here} instead of ${paper}`;
    case "data.split.training":
      return `${here} training images instead of ${paper}`;
    case "data.split.validation":
      return `${here} validation images instead of ${paper}`;
    case "schedule.iterations":
      return `${here} iterations instead of ${paper}`;
    case "schedule.boundaries":
      return `the rate falls after ${list(here)} iterations instead of ${list(paper)}`;
    case "architecture.shortcut":
      return here === "none" ? "no shortcuts" : `shortcuts of option ${here} instead of ${paper}`;
    case "data.mean":
      return `the ${here} mean is subtracted, instead of the ${paper} one`;
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

/** Whether the paper has a figure for a network of that name, in Table 6 or Figure 6. */
export function table6Name(name: string): boolean {
  return PAPER_NETS.includes(name);
}
