/** The flags for what a recipe says, and recipes in files. */
import {
  Epochs,
  type OptimiserName,
  OPTIMISERS,
  paper,
  PHOTOGRAPH_RECIPES,
  type Recipe,
  type RecipeChanges,
  RecipeError,
  RECIPES,
  SCHEDULES,
  vary,
  withIterations,
  withOptimiser,
  withSchedule,
} from "../recipes/mod.ts";
import { readWholeTextSync } from "../files/mod.ts";
import { explain, recipe as recipeSchema, WATCHED_VALUES } from "../recipes/schema/mod.ts";
import {
  choice,
  type Flag,
  type FlagValues,
  integer,
  nonNegative,
  positive,
  text,
  UsageError,
} from "./_flags.ts";

const PREPARATIONS = {
  "per-pixel": { mean: "per-pixel", std: "none" },
  channels: { mean: "per-channel", std: "per-channel" },
  published: { mean: "published", std: "published" },
  imagenet: { mean: "imagenet", std: "imagenet" },
  "per-image": { mean: "per-image", std: "none" },
  none: { mean: "none", std: "none" },
} as const;

const places: Flag<readonly number[]> = {
  placeholder: "N,N",
  help: "where the rate of steps falls, in --schedule-unit",
  parse: (value) => {
    const numbers = value.split(",").map(Number);
    if (!/^\d+(,\d+)*$/.test(value)) throw new Error("whole numbers with a comma between each two");
    return numbers;
  },
};

/** Flags that change a recipe. */
export const RECIPE_FLAGS = {
  optimiser: choice(
    Object.keys(OPTIMISERS) as OptimiserName[],
    "with the library's defaults and the rate that goes with it",
  ),
  "learning-rate": positive("the first learning rate; 0.1 in the paper"),
  momentum: nonNegative("of SGD; 0.9 in the paper"),
  decay: nonNegative("weight decay; 1e-4 in the paper"),
  schedule: choice(SCHEDULES, "how the rate goes; steps in the paper"),
  "schedule-unit": choice(["iteration", "epoch"], "of boundaries and periods"),
  boundaries: places,
  factor: positive("what the rate is multiplied by where it falls"),
  period: integer("of a cosine, or of the first of several; in --schedule-unit", 1),
  "period-factor": integer("how much longer each period of restarts is than the one before", 1),
  "minimum-rate": nonNegative("the rate never falls below it"),
  watch: choice(
    WATCHED_VALUES,
    "the value that a plateau, the best weights and an early end go by",
  ),
  mode: choice(["min", "max"], "what is better of the watched value; by the value by default"),
  patience: integer("looks without a better value that a plateau lets pass", 0),
  threshold: nonNegative("how much better a plateau's value must be"),
  "threshold-kind": choice(["relative", "absolute"], "of the threshold; relative by default"),
  cooldown: integer("looks after a plateau's fall that are not counted", 0),
  "early-stopping": integer("looks without a better value at which the training ends", 1),
  keep: choice(["last", "best"], "keep the best weights too, beside the last"),
  epochs: integer("length of the training, in epochs; the schedule keeps its proportions", 1),
  "batch-norm-images": integer("images over which batch norm's statistics are taken", 1),
  statistics: choice(
    ["moving", "strict"],
    "batch norm's statistics for tests: moving averages, or strict ones after the training",
  ),
  "last-layer": choice(["he-normal", "library"], "how the last layer starts"),
  preparation: choice(
    Object.keys(PREPARATIONS) as (keyof typeof PREPARATIONS)[],
    "what is subtracted and what divides: per-pixel mean; the channels' mean and deviation, measured, published or ImageNet's; each image's own channel means; none",
  ),
} as const;

const NAMED: Readonly<Record<string, (architecture?: string) => Recipe>> = {
  ...RECIPES,
  ...PHOTOGRAPH_RECIPES,
};

/** `--recipe`. */
export const RECIPE_FLAG = text(
  `${Object.keys(NAMED).join("|")}|FILE.json`,
  "the recipe that the other flags change; paper by default",
);

/**
 * The recipe of a name or a file. A file holds a whole recipe, or what differs from the paper's.
 *
 * @throws {UsageError} If there is no such recipe.
 * @throws {RecipeError} If the file holds none: names the field, the rule and the value.
 */
export function recipeFrom(asked: string, architecture: string | undefined): Recipe {
  if (Object.hasOwn(NAMED, asked)) return NAMED[asked](architecture);
  if (!asked.endsWith(".json")) {
    throw new UsageError(
      `--recipe must be one of ${
        Object.keys(NAMED).join(", ")
      }, or a file that ends in .json; found "${asked}"`,
    );
  }
  const value = readJson(asked);
  const { departures: stated, changes } = partsOf(asked, value);
  const whole = recipeSchema.safeParse({ ...value, departures: [] });
  const net = architecture ?? changes.architecture?.name;
  const base = whole.success ? whole.data : paper(net ?? "resnet20");
  const named = typeof changes.name === "string" ? {} : { name: asked.replace(/^.*[\\/]/, "") };
  const laidOver = vary(
    vary({ ...base, departures: stated }, { ...(whole.success ? {} : changes), ...named }),
    architecture === undefined ? {} : { architecture: { name: architecture } },
  );
  // The file's own reasons first; where it has none, that it says so.
  const changed = vary(laidOver, {}, `stated in ${asked.replace(/^.*[\\/]/, "")}`);
  const { data, error } = recipeSchema.safeParse(changed);
  if (error) throw new RecipeError(`the recipe in "${asked}": ${explain(error, changed)}`);
  return data;
}

/**
 * What can be laid over a recipe; its values are checked when it has been.
 *
 * @throws {RecipeError} If a part of it has another form than a recipe's.
 */
function partsOf(
  asked: string,
  { departures = [], ...changes }: Record<string, unknown>,
): { readonly departures: Recipe["departures"]; readonly changes: RecipeChanges } {
  const require = (field: string, value: unknown, holds: boolean, rule: string) => {
    if (holds) return;
    throw new RecipeError(
      `the recipe in "${asked}": ${field} must be ${rule}, found ${
        JSON.stringify(value).slice(0, 80)
      }`,
    );
  };
  for (const [part, own] of Object.entries(paper("resnet20"))) {
    const value = changes[part];
    if (value !== undefined && typeof own === "object") {
      require(part, value, isObject(value), "an object with some of its fields");
    }
  }
  const { name } = (changes.architecture ?? {}) as { name?: unknown };
  require("architecture.name", name, name === undefined || typeof name === "string", "a name");
  const areStated = Array.isArray(departures) &&
    departures.every((departure) =>
      isObject(departure) && typeof departure.field === "string" &&
      typeof departure.reason === "string"
    );
  require("departures", departures, areStated, "a list of objects with a field and a reason each");
  return { departures: departures as Recipe["departures"], changes };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readJson(path: string): Record<string, unknown> {
  let content: string;
  try {
    content = readWholeTextSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError(`--recipe must name a file that is there, found none at "${path}"`);
  }
  try {
    const value = JSON.parse(content);
    if (isObject(value)) return value;
  } catch (error) {
    throw new RecipeError(`"${path}" must hold a recipe as JSON (${(error as Error).message})`);
  }
  throw new RecipeError(
    `"${path}" must hold a recipe, a JSON object; found ${content.slice(0, 40)}`,
  );
}

/**
 * A recipe as the flags change it.
 *
 * @throws {UsageError} If a flag belongs to another optimiser or schedule than the recipe has.
 */
export function changedBy(
  flags: FlagValues<typeof RECIPE_FLAGS> & { readonly iterations?: number },
  recipe: Recipe,
  reason: string,
): Recipe {
  if (flags.epochs !== undefined && flags.iterations !== undefined) {
    throw new UsageError("--epochs and --iterations both say how long the training is: give one");
  }
  const { "batch-norm-images": batchNormImages, statistics, "last-layer": lastLayer } = flags;
  recipe = vary(recipe, {
    ...(batchNormImages === undefined ? {} : { batchNormImages }),
    ...(statistics ? { batchNorm: { averages: statistics } } : {}),
    ...(lastLayer ? { initialisation: { lastLayer } } : {}),
  }, reason);
  if (flags.preparation) recipe = vary(recipe, { data: PREPARATIONS[flags.preparation] }, reason);
  // First of all the length: another schedule's own numbers are not made for the one before.
  const length = flags.iterations ??
    (flags.epochs === undefined ? undefined : new Epochs(recipe).end(flags.epochs));
  if (length !== undefined) recipe = withIterations(recipe, length, reason);
  if (flags.schedule) recipe = withSchedule(recipe, flags.schedule, reason);
  if (flags.optimiser) recipe = withOptimiser(recipe, flags.optimiser, reason);
  const { optimiser, schedule } = recipe;
  requireNumbersOfUnit(flags, schedule);
  const settings: Record<string, unknown> = {
    ...given(flags, { decay: "weightDecay" }),
    ...belonging(flags, { momentum: "momentum" }, optimiser, "optimiser"),
  };
  const rates: Record<string, unknown> = {
    ...given(flags, { "learning-rate": "rate" }),
    ...belonging(
      flags,
      {
        ...{ "schedule-unit": "unit", boundaries: "boundaries", factor: "factor" },
        ...{ period: "period", "period-factor": "periodFactor", "minimum-rate": "minimumRate" },
        ...{ patience: "patience", threshold: "threshold", "threshold-kind": "thresholdKind" },
        cooldown: "cooldown",
      },
      schedule,
      "schedule",
    ),
    ...(schedule.kind === "plateau" ? watchedBy(flags) : {}),
  };
  recipe = vary(recipe, { optimiser: settings, schedule: rates } as RecipeChanges, reason);
  return withBest(flags, recipe, reason);
}

/** `--keep` and `--early-stopping`, by `--watch`. */
function withBest(
  flags: FlagValues<typeof RECIPE_FLAGS>,
  recipe: Recipe,
  reason: string,
): Recipe {
  const { keep, "early-stopping": stopAfter, watch, mode } = flags;
  if (keep === "last") {
    if (stopAfter !== undefined) {
      throw new UsageError(
        "--early-stopping keeps the best weights, found --keep last: give one of them",
      );
    }
    return vary(recipe, { best: undefined }, reason);
  }
  const wanted = keep === "best" || stopAfter !== undefined || recipe.best !== undefined;
  if (!wanted) {
    if ((watch || mode) && recipe.schedule.kind !== "plateau") {
      throw new UsageError(
        "--watch and --mode need something that goes by the value: --schedule plateau, --keep best or --early-stopping",
      );
    }
    return recipe;
  }
  return vary(recipe, {
    best: {
      ...(recipe.best ?? { watched: "validation-loss", threshold: 0 }),
      ...watchedBy(flags),
      ...(stopAfter === undefined ? {} : { stopAfter }),
    },
  }, reason);
}

/** `--watch` and `--mode`. Which way another value is better is not what it was of the one before. */
function watchedBy({ watch, mode }: FlagValues<typeof RECIPE_FLAGS>): Record<string, unknown> {
  return {
    ...(watch ? { watched: watch, mode: undefined } : {}),
    ...(mode ? { mode } : {}),
  };
}

/** Numbers of epochs are none of iterations. */
function requireNumbersOfUnit(
  { "schedule-unit": unit, boundaries, period }: FlagValues<typeof RECIPE_FLAGS>,
  schedule: Recipe["schedule"],
): void {
  if (unit === undefined || !("boundaries" in schedule || "period" in schedule)) return;
  const { unit: had = "iteration" } = schedule;
  if (unit === had) return;
  const [flag, value, found] = "boundaries" in schedule
    ? ["--boundaries", boundaries, schedule.boundaries.join(",")]
    : ["--period", period, schedule.period];
  if (value !== undefined) return;
  throw new UsageError(
    `--schedule-unit ${unit} needs ${flag} in ${unit}s: the recipe's, ${found}, is in ${had}s`,
  );
}

/** The values of flags by the fields that they set. */
function given(
  flags: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, string>>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).filter(([flag]) => flags[flag] !== undefined)
      .map(([flag, field]) => [field, flags[flag]]),
  );
}

/** Which flags the kinds of an optimiser or a schedule take; by the fields that they set. */
const TAKEN: Readonly<Record<string, readonly string[]>> = {
  sgd: ["momentum"],
  steps: ["unit", "boundaries", "factor"],
  plateau: ["factor", "minimumRate", "patience", "threshold", "thresholdKind", "cooldown"],
  exponential: ["unit", "factor"],
  cosine: ["unit", "period", "minimumRate"],
  restarts: ["unit", "period", "periodFactor", "minimumRate"],
};

/** The same, where the optimiser or schedule has such fields. */
function belonging(
  flags: Readonly<Record<string, unknown>>,
  fields: Readonly<Record<string, string>>,
  { kind }: { readonly kind: string },
  what: string,
): Record<string, unknown> {
  const values = given(flags, fields);
  for (const [flag, field] of Object.entries(fields)) {
    if (field in values && !TAKEN[kind]?.includes(field)) {
      const kinds = Object.keys(TAKEN).filter((kind) => TAKEN[kind].includes(field));
      throw new UsageError(
        `--${flag} belongs to the ${what} ${kinds.join(", ")}, and the recipe's is ${kind}`,
      );
    }
  }
  return values;
}
