/** Where a run stands to the paper: what differs, and what the paper leaves open. */
import type { Recipe } from "../recipes/recipe.ts";
import { departuresOf } from "../recipes/recipes.ts";
import { number, recipeValue } from "./_format.ts";
import type { Run } from "../log/read_run.ts";

/** Table 6: test errors of the residual nets, in the paper's own notation. */
const TABLE_6: Readonly<Record<string, string>> = {
  resnet20: "8.75%",
  resnet32: "7.51%",
  resnet44: "7.17%",
  resnet56: "6.97%",
  resnet110: "6.61 ± 0.16% over 5 runs",
  resnet1202: "7.93%",
};

/** CIFAR-10's whole test set. */
const TEST_IMAGES = 10_000;

/** Recipe fields that the paper leaves open: a choice there is no departure. */
const OPEN_FIELDS = new Set([
  "architecture.zeroChannels",
  "batchNorm.epsilon",
  "batchNorm.momentum",
  "data.epochEnd",
  "data.meanSubtracted",
  "data.pixelScale",
  "initialisation.fan",
  "optimiser.decayed",
  "optimiser.nesterov",
]);

/** The paper's test error of a run's network, where Table 6 has it. */
export function paperError({ recipe }: Run["start"]): string | undefined {
  return recipe.data.set === "cifar10" ? TABLE_6[recipe.architecture.name] : undefined;
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
  if (finalTest && start.recipe.data.set === "cifar10" && finalTest.images !== TEST_IMAGES) {
    reasons.push(`tested on ${number(finalTest.images)} of ${number(TEST_IMAGES)} test images`);
  }
  if (start.startWeights) reasons.push("it started from given weights");
  for (const { field, paper, here } of departuresOf(start.recipe)) {
    if (!isOpen(field, start.recipe)) {
      reasons.push(`${field} ${recipeValue(here)} instead of ${recipeValue(paper)}`);
    }
  }
  return reasons;
}

function isOpen(field: string, { data, batchNormImages }: Recipe): boolean {
  const { training, validation } = data.split;
  // Open, but not without bounds: the schedule's split or all of the training images ...
  if (field.startsWith("data.split.")) {
    return (training === 45_000 && validation === 5_000) || training === 50_000;
  }
  // ... and the batch of 128 on one GPU or on two.
  if (field === "batchNormImages") return batchNormImages === 64;
  return OPEN_FIELDS.has(field);
}

/** One point that the paper leaves open. */
export interface OpenPoint {
  readonly point: string;
  readonly choice: string;
}

/** The eight points that the paper leaves open, with the recipe's choices. */
export function openPoints(recipe: Recipe): readonly OpenPoint[] {
  const { architecture, data, batchNorm, initialisation, optimiser } = recipe;
  const { training, validation } = data.split;
  const residual = architecture.name.startsWith("resnet");
  return [
    {
      point: "Training images behind the result",
      choice: `${number(training)} for training, ${number(validation)} for validation`,
    },
    {
      point: "Images over which batch normalisation takes its statistics",
      choice: `${number(recipe.batchNormImages)} (batches of ${number(recipe.batchSize)})`,
    },
    {
      point: "Parameters that decay",
      choice: optimiser.kind === "sgd" && optimiser.decayed === "kernels"
        ? "convolution and linear weights alone"
        : "every trainable parameter",
    },
    {
      point: "Zero channels of the option A shortcuts",
      choice: !residual || architecture.shortcut === "B"
        ? "none: the network has no option A shortcuts"
        : architecture.zeroChannels === "append"
        ? "appended after the others"
        : "split on both sides",
    },
    {
      point: "Mean subtraction and pixel scale",
      choice: `${
        data.mean === "none"
          ? "no mean subtracted"
          : data.meanSubtracted === "before-padding"
          ? "mean subtracted before the zero padding"
          : "mean subtracted after the crop"
      }; pixels in ${data.pixelScale}`,
    },
    {
      point: "Form of He initialisation and of momentum",
      choice: `fan-${initialisation.fan}; ${
        optimiser.kind === "adam"
          ? "Adam, without that momentum"
          : optimiser.nesterov
          ? "Nesterov momentum"
          : "plain momentum, v = μv + g, w = w − ηv"
      }`,
    },
    {
      point: "End of an epoch",
      choice: {
        "run-on": "batches run on into the next shuffle",
        "keep-partial": "the last partial batch is kept",
        "drop-partial": "the last partial batch is dropped",
      }[data.epochEnd],
    },
    {
      point: "Running statistics of batch normalisation",
      choice:
        `averaged with momentum ${batchNorm.momentum}, ${batchNorm.runningVariance} variance, epsilon ${batchNorm.epsilon}`,
    },
  ];
}
