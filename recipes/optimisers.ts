/** Optimisers and schedules by name, each with the library's defaults; a recipe may take any. */
import { Epochs } from "./epochs.ts";
import type { Adam, Recipe, Sgd } from "./recipe.ts";
import { type RecipeChanges, vary } from "./recipes.ts";

/** An optimiser's settings, and the rate that goes with them. */
export interface NamedOptimiser {
  /** In one line. */
  readonly help: string;
  /** Its settings. */
  readonly optimiser: Recipe["optimiser"];
  /** The first learning rate. */
  readonly rate: number;
  /** What of a plateau schedule goes with it. */
  readonly plateau?: { readonly patience: number; readonly threshold: number };
}

const SGD: Sgd = {
  kind: "sgd",
  momentum: 0.9,
  nesterov: false,
  weightDecay: 1e-4,
  decayed: "all",
};
const ADAM: Adam = {
  kind: "adam",
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
};

/** The name of an optimiser's settings. */
export type OptimiserName =
  | "sgd"
  | "sgd-strict"
  | "nesterov"
  | "caffe"
  | "adam"
  | "adam-decay"
  | "adam-fast"
  | "amsgrad"
  | "adamw"
  | "nadam";

/**
 * The optimisers by name.
 *
 * Source: `torch.optim` of PyTorch 2.13 for the defaults of Adam, AdamW and NAdam; Caffe's
 * `SGDSolver`; the paper for SGD. `adam-decay`, `adam-fast` and `sgd-strict` are what the author of
 * the ResNet-34 with ImageNet's stem compared.
 */
export const OPTIMISERS: Readonly<Record<OptimiserName, NamedOptimiser>> = {
  sgd: { help: "the paper's: 0.1, momentum 0.9, decay 1e-4", optimiser: SGD, rate: 0.1 },
  "sgd-strict": {
    help: "with a plateau's patience of 1,000 and threshold of 1e-5",
    ...{ optimiser: SGD, rate: 0.1, plateau: { patience: 1000, threshold: 1e-5 } },
  },
  nesterov: {
    help: "with Nesterov's momentum",
    ...{ optimiser: { ...SGD, nesterov: true }, rate: 0.1 },
  },
  caffe: {
    help: "with Caffe's momentum",
    optimiser: { ...SGD, velocityOf: "steps" } satisfies Sgd,
    rate: 0.1,
  },
  adam: { help: "1e-3", optimiser: ADAM, rate: 1e-3 },
  "adam-decay": {
    help: "with 1e-4 of the weights in the gradient",
    ...{ optimiser: { ...ADAM, weightDecay: 1e-4 }, rate: 1e-3 },
  },
  "adam-fast": { help: "at 0.1", optimiser: ADAM, rate: 0.1 },
  amsgrad: { help: "1e-3", optimiser: { ...ADAM, amsgrad: true }, rate: 1e-3 },
  adamw: {
    help: "1e-3, decoupled decay 0.01",
    optimiser: { ...ADAM, kind: "adamw", weightDecay: 0.01 },
    rate: 1e-3,
  },
  nadam: {
    help: "2e-3",
    optimiser: { ...ADAM, kind: "nadam", momentumDecay: 0.004 },
    rate: 2e-3,
  },
};

/**
 * A recipe with another optimiser, at the rate that goes with it.
 *
 * @param recipe The recipe to start from.
 * @param name Which.
 * @param reason Why, for the departures.
 *
 * @example
 * ```ts
 * import { paper } from "./recipes.ts";
 * import { withOptimiser } from "./optimisers.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { optimiser, schedule } = withOptimiser(paper("resnet20"), "nadam");
 * assertEquals([optimiser.kind, schedule.rate], ["nadam", 0.002]);
 * ```
 */
export function withOptimiser(recipe: Recipe, name: OptimiserName, reason?: string): Recipe {
  const { optimiser, rate, plateau } = OPTIMISERS[name];
  const more = recipe.schedule.kind === "plateau" ? plateau : undefined;
  // Whole, in two steps: what the optimiser before it had must not be left in it.
  const departures = recipe.departures.filter(({ field }) => !field.startsWith("optimiser."));
  const bare = { ...recipe, optimiser, departures };
  return vary(bare, { schedule: { rate, ...more } } as RecipeChanges, reason);
}

/** The kinds of schedule. */
export const SCHEDULES = ["steps", "plateau", "exponential", "cosine", "restarts"] as const;

/** One of {@link SCHEDULES}. */
export type ScheduleName = typeof SCHEDULES[number];

/**
 * A recipe with a schedule of another kind, of the same first rate and length: steps at half and
 * three quarters, as in the paper; the numbers of PyTorch's classes; a cosine over the whole length.
 *
 * @param recipe The recipe to start from.
 * @param kind Which.
 * @param reason Why, for the departures.
 *
 * @example
 * ```ts
 * import { paper } from "./recipes.ts";
 * import { withSchedule } from "./optimisers.ts";
 * import { assertObjectMatch } from "@std/assert";
 *
 * const { schedule } = withSchedule(paper("resnet20"), "cosine");
 * assertObjectMatch(schedule, { kind: "cosine", period: 183, unit: "epoch", iterations: 64_000 });
 * ```
 */
export function withSchedule(recipe: Recipe, kind: ScheduleName, reason?: string): Recipe {
  if (recipe.schedule.kind === kind) return recipe;
  const { rate, iterations } = recipe.schedule;
  const epochs = new Epochs(recipe);
  const schedules: { readonly [kind in ScheduleName]: Recipe["schedule"] } = {
    steps: {
      ...{ kind: "steps", rate, factor: 0.1, iterations },
      boundaries: [...new Set([0.5, 0.75].map((share) => Math.round(share * iterations)))]
        .filter((place) => place > 0 && place < iterations),
    },
    plateau: {
      ...{ kind: "plateau", watched: "validation-loss", rate, factor: 0.1, patience: 10 },
      ...{ threshold: 1e-4, minimumRate: 0, iterations },
    },
    exponential: { kind: "exponential", rate, factor: 0.95, unit: "epoch", iterations },
    cosine: {
      ...{ kind: "cosine", rate, minimumRate: 0, unit: "epoch", iterations },
      period: Math.max(1, Math.ceil(epochs.of(iterations))),
    },
    restarts: {
      ...{ kind: "restarts", rate, minimumRate: 0, period: 10, periodFactor: 1, unit: "epoch" },
      iterations,
    },
  };
  const departures = recipe.departures.filter(({ field }) =>
    !field.startsWith("schedule.") || field === "schedule.iterations"
  );
  return vary({ ...recipe, departures }, { schedule: schedules[kind] }, reason);
}
