/**
 * Trains a network, or goes on with a run that was stopped.
 *
 * `deno task train --arch resnet20`
 */
import { readModel } from "../audit/mod.ts";
import {
  bestInWords,
  departuresInWords,
  isOfPhotographs,
  isOpen,
  type Recipe,
  scheduleInWords,
} from "../recipes/mod.ts";
import { main } from "./_main.ts";
import { cutBy, photographsOf, splitOf } from "./_photographs.ts";
import { ProgressPrinter } from "./_progress.ts";
import { runTraining } from "./_run.ts";
import { recipeOf, TRAIN_FLAGS } from "./_training_flags.ts";
import { startingWeights } from "./_weights.ts";

/** What a recipe says of itself before it is followed: its schedule, and where it leaves the paper. */
function statedBy(recipe: Recipe): string[] {
  const departures = recipe.departures.filter(({ field }) => !isOpen(recipe, field));
  const byReason = Map.groupBy(departuresInWords(recipe, departures), ({ reason }) => reason);
  return [
    `recipe ${recipe.name}: ${scheduleInWords(recipe)} ${bestInWords(recipe) ?? ""}`.trimEnd(),
    ...[...byReason].flatMap(([reason, found]) => [
      `not the paper's, ${reason}:`,
      ...found.map(({ text }) => `  ${text}`),
    ]),
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
    const asked = recipeOf(flags);
    const folder = isOfPhotographs(asked) ? await photographsOf(flags) : undefined;
    const recipe = folder ? recipeOf(flags, splitOf(folder)) : asked;
    const photographs = folder &&
      ((seed: number, printer: ProgressPrinter) => cutBy(folder, recipe, flags, seed, printer));
    if (flags.json !== true) {
      const printer = new ProgressPrinter();
      for (const line of statedBy(recipe)) printer.line(line);
    }
    if (flags.weights === undefined) {
      return await runTraining(command.usage, recipe, flags, undefined, photographs);
    }
    const model = await readModel(flags.weights);
    return await runTraining(command.usage, recipe, flags, {
      path: flags.weights,
      sha256: model.sha256,
      weights: startingWeights(recipe.architecture, model),
    }, photographs);
  });

if (import.meta.main) await start();
