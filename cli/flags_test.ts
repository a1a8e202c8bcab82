import { assert, assertEquals, assertObjectMatch, assertThrows } from "@std/assert";
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
import {
  checkRecipe,
  paper,
  RecipeError,
  RECIPES,
  type StepSchedule,
  UNSTATED,
} from "../recipes/mod.ts";
import { recipe as recipeSchema } from "../recipes/schema/mod.ts";
import { changedBy } from "./_recipe_flags.ts";
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
    [["--rate", "1"], "has no flag --rate; did you mean --learning-rate? Its flags are"],
    [["--lr", "1"], "has no flag --lr; did you mean --learning-rate? Its flags are"],
    [["--are", "1"], "has no flag --are. Its flags are"],
    [["--unrelated=1"], "has no flag --unrelated. Its flags are"],
    [["-x"], "has no flag -x"],
    [["--toString"], "has no flag --toString"],
    [["--constructor=1"], "has no flag --constructor"],
    [["--arch", "-"], "has no flag -"],
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
  const numbers = ["007", "1e3", "0x10", "1.0", "12345678901234567890"];
  assertEquals(parseFlags(several, numbers).positionals, numbers);
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
    ...["--shortcut", "B", "--split", "900/100"],
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

Deno.test("recipeOf: the systems' recipes by name, each with a reason for every departure", () => {
  const nets = Object.keys(RECIPES).map((name) => {
    const found = recipe("--recipe", name);
    checkRecipe(found);
    assertEquals(recipeSchema.parse(found), found);
    const { departures } = found;
    assertEquals(departures.filter(({ reason }) => reason === UNSTATED), []);
    return [found.architecture.name, found.optimiser.kind, found.schedule.kind, found.batchSize];
  });
  assertEquals(nets, [
    ["resnet20", "sgd", "steps", 128],
    ["resnet20", "sgd", "steps", 128],
    ["resnet8", "sgd", "steps", 128],
    ["resnet18-cifar", "sgd", "plateau", 256],
    ["resnet34-cifar", "sgd", "plateau", 256],
    ["resnet34", "adam", "plateau", 256],
    ["resnet32", "nadam", "exponential", 128],
  ]);
  assertThrows(
    () => recipe("--recipe", "resnet18"),
    UsageError,
    "must be one of paper, paper-50k, demo",
  );
});

Deno.test("recipeOf: an optimiser brings its rate, and what the one before had is gone", () => {
  const { optimiser, schedule } = recipe("--optimiser", "adam-decay");
  assertEquals(optimiser, {
    ...{ kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
    weightDecay: 1e-4,
  });
  assertEquals(schedule.rate, 1e-3);
  const fast = recipe("--recipe", "system-c", "--optimiser", "adam-fast", "--decay", "0.01");
  assertEquals([fast.optimiser.weightDecay, fast.schedule.rate], [0.01, 0.1]);
  const strict = recipe("--recipe", "system-c", "--optimiser", "sgd-strict").schedule;
  assert(strict.kind === "plateau");
  assertEquals([strict.patience, strict.threshold, strict.rate], [1000, 1e-5, 0.1]);
  assertThrows(
    () => recipe("--optimiser", "adam", "--momentum", "0.8"),
    UsageError,
    "--momentum belongs to the optimiser sgd, and the recipe's is adam",
  );
});

Deno.test("recipeOf: a schedule's numbers, its length in epochs, what it watches", () => {
  // 45,000 images, 352 steps an epoch with its partial batch.
  const cosine =
    recipe("--recipe", "system-c-2", "--schedule", "cosine", "--epochs", "10").schedule;
  assertEquals([cosine.kind, cosine.iterations], ["cosine", 3520]);
  assert(cosine.kind === "cosine" && cosine.period === 10 && cosine.unit === "epoch");
  const watched = recipe(
    ...["--schedule", "plateau", "--watch", "validation-accuracy", "--patience", "3"],
    ...["--threshold", "0.01", "--threshold-kind", "absolute", "--cooldown", "2"],
    ...["--minimum-rate", "1e-4", "--factor", "0.5", "--early-stopping", "7"],
  );
  assertEquals(watched.schedule, {
    ...{ kind: "plateau", watched: "validation-accuracy", rate: 0.1, factor: 0.5, patience: 3 },
    ...{ threshold: 0.01, thresholdKind: "absolute", cooldown: 2, minimumRate: 1e-4 },
    iterations: 64_000,
  });
  assertEquals(watched.best, { watched: "validation-accuracy", threshold: 0, stopAfter: 7 });
  assertEquals(recipe("--keep", "best").best, { watched: "validation-loss", threshold: 0 });
  assertEquals(recipe("--recipe", "system-c", "--keep", "last").best, undefined);
  // Another value is better in its own direction, whichever way the one before was.
  const turned = recipe("--watch", "validation-accuracy", "--keep", "best", "--mode", "max");
  assertEquals(turned.best!.mode, "max");
  assertEquals(
    changedBy({ watch: "validation-loss" } as Parameters<typeof changedBy>[0], turned, "").best!
      .mode,
    undefined,
  );
  const restarts = recipe("--schedule", "restarts", "--epochs", "30").schedule;
  assertObjectMatch(restarts, { period: 10, unit: "epoch" });
  const steps = recipe("--boundaries", "100,150", "--schedule-unit", "epoch").schedule;
  assertObjectMatch(steps, { boundaries: [100, 150], unit: "epoch" });
  const refused: [string[], string][] = [
    [["--patience", "3"], "--patience belongs to the schedule plateau, and the recipe's is steps"],
    [["--epochs", "3", "--iterations", "9"], "give one"],
    [["--watch", "training-loss"], "need something that goes by the value"],
    [["--keep", "last", "--early-stopping", "3"], "give one of them"],
    [["--boundaries", "1;2"], "whole numbers with a comma"],
    [
      ["--schedule-unit", "epoch"],
      "needs --boundaries in epochs: the recipe's, 32000,48000, is in",
    ],
    [["--schedule", "cosine", "--schedule-unit", "iteration"], "needs --period in iterations"],
    [["--arch", "plain20", "--shortcut", "B"], "--shortcut B is nothing that plain20 can have"],
    [["--shortcut", "B", "--shortcut-padding", "split"], "--shortcut-padding split is nothing"],
  ];
  for (const [args, message] of refused) {
    assertThrows(() => recipe(...args), UsageError, message);
  }
  assertThrows(
    () => checkRecipe(recipe("--split", "50k", "--keep", "best")),
    RecipeError,
    "best.watched must be a value of the training",
  );
});

Deno.test("recipeOf: a length in epochs outlives another batch, split and data set", () => {
  const cosine = { kind: "cosine", rate: 0.1, minimumRate: 0, unit: "epoch" };
  const path = Deno.makeTempFileSync({ suffix: ".json" });
  // 10 epochs of 45,000 images in batches of 128 that run on: 3515.6 steps.
  const schedule = { ...cosine, period: 10, iterations: 3516 };
  Deno.writeTextFileSync(path, JSON.stringify({ schedule, batchNormImages: 64 }));
  const lengths: [string[], number, number][] = [
    // Images of an epoch, by those of a batch, times epochs; partial batches are kept.
    [["resnet18-cifar"], 176 * 200, 256],
    [["resnet18-cifar", "--batch", "128"], 352 * 200, 128],
    [["resnet18-cifar", "--dataset", "shapes10"], 36 * 200, 256],
    [["system-c-2", "--split", "50k"], 391 * 100, 128],
    [["system-c-2", "--split", "900/100", "--batch", "100"], 9 * 100, 100],
    [["finetune", "--data", "photographs", "--batch", "64"], Math.ceil(1281167 * 30 / 64), 64],
    // 10 epochs of 45,000 images: the cosine ends at its period.
    [[path, "--batch", "256"], Math.ceil(10 * 45_000 / 256), 64],
    [[path, "--batch", "32"], Math.ceil(10 * 45_000 / 32), 32],
    // The paper's length is in iterations.
    [["paper", "--batch", "256", "--split", "50k"], 64_000, 256],
    [["imagenet", "--data", "photographs", "--batch", "128"], 600_000, 32],
  ];
  try {
    for (const [args, iterations, images] of lengths) {
      const { schedule, batchNormImages } = recipe("--recipe", ...args);
      assertEquals([schedule.iterations, batchNormImages], [iterations, images], args.join(" "));
    }
    const { departures } = recipe("--recipe", "resnet18-cifar", "--batch", "128");
    assertEquals(
      departures.find(({ field }) => field === "schedule.iterations")?.reason,
      "its author states no length: 200 epochs",
    );
  } finally {
    Deno.removeSync(path);
  }
});

Deno.test("recipeOf: each preparation", () => {
  const prepared = (name: string) => {
    const { mean, std } = recipe("--preparation", name).data;
    return `${mean}, ${std}`;
  };
  assertEquals(
    ["per-pixel", "channels", "published", "per-image", "none"].map(prepared),
    [
      "per-pixel, none",
      "per-channel, per-channel",
      "published, published",
      "per-image, none",
      "none, none",
    ],
  );
});

Deno.test("recipeOf: a recipe from a file, whole or by its differences, is checked", async () => {
  const folder = await Deno.makeTempDir({ prefix: "flags-test-" });
  const path = `${folder}/mine.json`;
  const from = (value: unknown, ...args: string[]) => {
    Deno.writeTextFileSync(path, typeof value === "string" ? value : JSON.stringify(value));
    return recipe("--recipe", path, ...args);
  };
  try {
    const differing = from({
      architecture: { name: "resnet32" },
      batchSize: 64,
      batchNormImages: 64,
      departures: [{ field: "batchSize", paper: "128", here: "64", reason: "memory" }],
    });
    assertEquals(differing.name, "mine.json");
    assertEquals(differing.departures.map(({ field, reason }) => [field, reason]), [
      ["batchSize", "memory"],
      ["batchNormImages", "stated in mine.json"],
    ]);
    // A whole recipe is itself: the warm-up that the paper has for its net is not put into it.
    const { warmUp: _, ...schedule } = paper("resnet110").schedule as StepSchedule;
    const whole = from({ ...paper("resnet110"), name: "bare", schedule });
    assertEquals([whole.name, whole.schedule], ["bare", schedule]);
    assertEquals(whole.departures.map(({ field }) => field), [
      ...["schedule.warmUp.rate", "schedule.warmUp.untilTrainingErrorBelow"],
    ]);
    assertEquals(from({ batchSize: 64 }, "--arch", "resnet56").architecture.name, "resnet56");
    // Another net, with what the file has of one.
    const others = from(
      { architecture: { name: "resnet32", shortcut: "B" } },
      "--arch",
      "resnet56",
    );
    assertEquals([others.architecture.name, others.architecture.shortcut], ["resnet56", "B"]);
    const refused: [unknown, string][] = [
      [
        { architecture: null },
        "architecture must be an object with some of its fields, found null",
      ],
      [
        { architecture: "resnet32" },
        'architecture must be an object with some of its fields, found "',
      ],
      [{ architecture: { name: 32 } }, "architecture.name must be a name, found 32"],
      [{ data: null }, "data must be an object"],
      [{ batchSize: 64, departures: [null] }, "departures must be a list of objects"],
      [{ departures: { batchSize: "memory" } }, "departures must be a list of objects"],
      [{ departures: [{ field: "batchSize", reason: 3 }] }, "departures must be a list of objects"],
      [{ batchsize: 64 }, "batchsize"],
      [{ batchSize: 0 }, "batchSize"],
      [{ schedule: { kind: "cosine", rate: 0.1 } }, "schedule"],
      ["{", "must hold a recipe as JSON"],
      ["[]", "a JSON object"],
    ];
    for (const [value, message] of refused) {
      assertThrows(() => from(value), RecipeError, message);
    }
    assertThrows(() => recipe("--recipe", `${folder}/none.json`), UsageError, "found none at");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
