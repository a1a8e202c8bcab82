/**
 * Trains a network, or goes on with a run that was stopped.
 *
 * `deno task train --arch resnet20`
 */
import { main } from "./_main.ts";
import { runTraining } from "./_run.ts";
import { recipeOf, TRAIN_FLAGS } from "./_training_flags.ts";
import { readModel, startingWeights } from "./_weights.ts";

const command = {
  usage: "deno task train",
  summary: "Trains a network by the paper's recipe, or goes on with a run that was stopped.",
  flags: TRAIN_FLAGS,
} as const;

if (import.meta.main) {
  await main(command, async (flags) => {
    const recipe = recipeOf(flags);
    if (flags.weights === undefined) return await runTraining(command.usage, recipe, flags);
    const model = await readModel(flags.weights);
    return await runTraining(command.usage, recipe, flags, {
      path: flags.weights,
      sha256: model.sha256,
      weights: startingWeights(recipe.architecture, model),
    });
  });
}
