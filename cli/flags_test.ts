import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  choice,
  COMMON,
  helpOf,
  integer,
  parseFlags,
  positive,
  text,
  UsageError,
} from "./_flags.ts";
import { recipeOf, TRAIN_FLAGS } from "./_training_flags.ts";

const COMMAND = {
  usage: "deno task example",
  summary: "An example.",
  flags: {
    arch: text("NAME", "the network"),
    seed: integer("the seed", 0, 99),
    "learning-rate": positive("the rate"),
    order: choice(["shuffled", "sequential"], "the order"),
    ...COMMON,
  },
} as const;

Deno.test("parseFlags: values by type, undefined where none was given", () => {
  const args = ["--seed", "7", "--learning-rate=1e-3", "--order", "sequential", "--json"];
  assertEquals(parseFlags(COMMAND, args), {
    flags: { seed: 7, "learning-rate": 0.001, order: "sequential", json: true },
    positionals: [],
  });
  assertEquals(parseFlags(COMMAND, []), { flags: {}, positionals: [] });
  assertEquals(parseFlags(COMMAND, ["--seed", "0"]).flags.seed, 0);
});

Deno.test("parseFlags: -h is --help", () => {
  assertEquals(parseFlags(COMMAND, ["-h"]).flags, { help: true });
});

Deno.test("parseFlags: refusals name the flag, the rule and the value", () => {
  const table: [string[], string][] = [
    [["--seeed", "1"], "has no flag --seeed; did you mean --seed? Its flags are --arch, --seed"],
    [["--unrelated=1"], "has no flag --unrelated. Its flags are"],
    [["-x"], "has no flag -x"],
    [["--seed", "100"], `--seed must be a whole number from 0 to 99, found "100"`],
    [["--seed", "1.5"], `--seed must be a whole number from 0 to 99, found "1.5"`],
    [["--seed", "0x1"], `found "0x1"`],
    [["--seed"], `--seed must be a whole number from 0 to 99, found ""`],
    [["--learning-rate", "0"], `--learning-rate must be a number above 0, found "0"`],
    [["--learning-rate", "fast"], `found "fast"`],
    [["--order", "random"], `--order must be one of shuffled, sequential, found "random"`],
    [["--arch", ""], "--arch must be not empty"],
    [["--seed", "-1"], `--seed must be a whole number from 0 to 99, found "-1"`],
    [["resnet20"], `takes flags alone, found "resnet20"; did you mean --arch resnet20?`],
    [["runs/a"], `deno task example takes flags alone, found "runs/a". See`],
  ];
  for (const [args, message] of table) {
    assertThrows(() => parseFlags(COMMAND, args), UsageError, message);
  }
});

Deno.test("parseFlags: one argument without dashes where a command takes one", () => {
  const command = { ...COMMAND, positional: "FOLDER" };
  assertEquals(parseFlags(command, ["runs/a", "--json"]).positionals, ["runs/a"]);
  const several = { ...COMMAND, positional: "FOLDER..." };
  assertEquals(parseFlags(several, ["a", "--json", "b"]).positionals, ["a", "b"]);
  assertThrows(() => parseFlags(command, ["a", "b"]), UsageError, `one FOLDER, found "b"`);
});

Deno.test("helpOf: one line a flag, from the table", () => {
  const help = helpOf(COMMAND);
  assert(help.startsWith("An example.\n\ndeno task example [flags]\n"), help);
  assert(help.includes("\n  --order shuffled|sequential\n"), help);
  assert(/\n {2}--seed N +the seed\n/.test(help), help);
});

const recipe = (...args: string[]) =>
  recipeOf(parseFlags({ usage: "x", summary: "", flags: TRAIN_FLAGS }, args).flags);

Deno.test("recipeOf: no flags ask for the paper's ResNet-20", () => {
  assertEquals(recipe().architecture.name, "resnet20");
  assertEquals(recipe().departures, []);
});

Deno.test("recipeOf: every flag that departs from the paper is a departure with a reason", () => {
  const { departures } = recipe(
    ...["--dataset", "shapes10", "--iterations", "100", "--batch", "64"],
    ...["--learning-rate", "0.05", "--augment", "none", "--order", "sequential"],
    ...["--shortcut", "B", "--shortcut-padding", "split", "--split", "900/100"],
  );
  assertEquals(Object.fromEntries(departures.map(({ field, here }) => [field, here])), {
    "architecture.shortcut": "B",
    "data.set": "shapes10",
    "data.split.training": "900",
    "data.split.validation": "100",
    "data.augmentation": "none",
    "data.order": "sequential",
    batchSize: "64",
    batchNormImages: "64",
    "schedule.rate": "0.05",
    "schedule.boundaries": "[50,75]",
    "schedule.iterations": "100",
  });
  assertEquals(new Set(departures.map(({ reason }) => reason)).size, 1);
});

Deno.test("recipeOf: the named splits", () => {
  assertEquals(recipe("--split", "50k").data.split, { training: 50_000, validation: 0 });
  assertEquals(recipe("--split", "47.5k").data.split, { training: 47_500, validation: 2_500 });
  assertThrows(() => recipe("--split", "toString"), UsageError, "45k, 47.5k, 50k or two counts");
});
