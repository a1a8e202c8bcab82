/**
 * Trains a network, or goes on with a run that was stopped.
 *
 * `deno task train --arch resnet20`
 */
import { bestInWords, type Recipe, scheduleInWords } from "../recipes/mod.ts";
import { printable } from "../text/mod.ts";
import { main } from "./_main.ts";
import { runTraining } from "./_run.ts";
import { recipeOf, TRAIN_FLAGS } from "./_training_flags.ts";
import { readModel, startingWeights } from "./_weights.ts";

/** What a recipe says of itself before it is followed: its schedule, and where it leaves the paper. */
function statedBy(recipe: Recipe): string[] {
  const { name, departures } = recipe;
  return [
    `recipe ${name}: ${scheduleInWords(recipe)} ${bestInWords(recipe) ?? ""}`.trimEnd(),
    ...departures.map(({ field, paper, here, reason }) =>
      `  ${field}: ${here} instead of ${paper}; ${reason}`
    ),
  ];
}

const command = {
  usage: "deno task train",
  summary: "Trains a network by the paper's recipe, or goes on with a run that was stopped.",
  flags: TRAIN_FLAGS,
} as const;

/** Does what the command line says, and ends the process. */
export const start = (): Promise<never> =>
  main(command, async (flags) => {
    const recipe = recipeOf(flags);
    if (flags.json !== true) {
      for (const line of statedBy(recipe)) console.error(printable(line));
    }
    if (flags.weights === undefined) return await runTraining(command.usage, recipe, flags);
    const model = await readModel(flags.weights);
    return await runTraining(command.usage, recipe, flags, {
      path: flags.weights,
      sha256: model.sha256,
      weights: startingWeights(recipe.architecture, model),
    });
  });

if (import.meta.main) await start();
