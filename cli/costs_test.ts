import { assertEquals } from "@std/assert";
import { COSTS } from "../audit/mod.ts";
import { departuresOf } from "../recipes/mod.ts";
import { parseFlags } from "./_flags.ts";
import { recipeOf, TRAIN_FLAGS } from "./_training_flags.ts";

/** The part of the recipe in which a training that is held against the paper's may depart alone. */
const DEPARTS_IN: Readonly<Record<string, readonly string[]>> = {
  "augmentation": ["data.augmentation"],
  "learning-rate": ["schedule.factor"],
  "split": ["data.split.training", "data.split.validation"],
  "mean": ["data.mean", "data.std"],
  "projection": ["architecture.shortcut"],
  "weight-decay": ["optimiser.weightDecay"],
  "batch-size": ["batchSize", "batchNormImages"],
};

Deno.test("each planned training is one that the command takes, and departs in nothing else", () => {
  for (const { ids: [id] = [], training } of COSTS) {
    if (!training) continue;
    const { flags } = parseFlags(
      { usage: "deno task train", summary: "", flags: TRAIN_FLAGS },
      training.flags.split(" "),
    );
    const fields = departuresOf(recipeOf(flags)).map(({ field }) => field);
    if (id !== undefined && id in DEPARTS_IN) assertEquals(fields, DEPARTS_IN[id], training.flags);
    // Adam has its own rate; system C differs in what its name says.
    else assertEquals(fields.length > 1, true, training.flags);
  }
  const planned = COSTS.filter(({ training }) => training).map(({ departure }) => departure);
  for (const { training } of COSTS) {
    if (training && training.against !== "the paper's recipe") {
      assertEquals(
        planned.some((departure) => departure.startsWith(training.against)),
        true,
        `${training.against} is no training of the plan`,
      );
    }
  }
});
