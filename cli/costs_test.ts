import { assert, assertEquals } from "@std/assert";
import { costliestFirst, COSTS } from "../audit/mod.ts";
import { departuresOf } from "../recipes/mod.ts";
import { parseFlags } from "./_flags.ts";
import { pointsInWords } from "./costs.ts";
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

/** In which fields a training's recipe departs from the paper, with what it has there. */
function departuresBy(flags: string): ReadonlyMap<string, string> {
  const parsed = parseFlags(
    { usage: "deno task train", summary: "", flags: TRAIN_FLAGS },
    flags.split(" "),
  );
  return new Map(departuresOf(recipeOf(parsed.flags)).map(({ field, here }) => [field, here]));
}

Deno.test("each planned training is one that the command takes, and departs in nothing else", () => {
  for (const { ids: [id] = [], training } of COSTS) {
    if (!training) continue;
    const here = departuresBy(training.flags);
    let fields = [...here.keys()];
    if (training.against !== "the paper's recipe") {
      const other = COSTS.find(({ departure, training: other }) =>
        other && other !== training && departure.startsWith(training.against)
      );
      assert(other?.training, `${training.against} is no other training of the plan`);
      const there = departuresBy(other.training.flags);
      fields = [...new Set([...here.keys(), ...there.keys()])]
        .filter((field) => here.get(field) !== there.get(field));
    }
    if (id !== undefined && id in DEPARTS_IN) assertEquals(fields, DEPARTS_IN[id], training.flags);
    // Adam has its own rate; system C differs in what its name says.
    else assert(fields.length > 0, training.flags);
  }
});

Deno.test("the README's table of costs is the command's", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const rows = [...readme.matchAll(/^\| (.+?) +\| ([+-]\d+\.\d\d|within 0\.5) +\|$/gm)];
  assertEquals(
    rows.map(([, departure, points]) => [departure, points]),
    costliestFirst(COSTS).flatMap(({ departure, points }) =>
      points === undefined ? [] : [[departure, pointsInWords(points)]]
    ),
  );
});
