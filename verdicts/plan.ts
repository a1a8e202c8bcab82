/**
 * The plan of a reproduction: what is claimed, fixed before the first step. It
 * stands in this room because it is read like a run's folder and never by the
 * training: the report shows it and its hash, the verdicts and the statistical
 * rules of `spec/` hold the runs against it.
 */
import { z } from "zod";
import type { DatasetName } from "../data/mod.ts";
import { sha256 } from "../files/mod.ts";
import { forDataset, type Recipe, RECIPES, withIterations } from "../recipes/mod.ts";
import { datasetName, explain } from "../recipes/schema/mod.ts";
import { isArchitecture } from "../resnet/mod.ts";

/** How far results of equal trainings with different seeds lie apart, as somebody published it. */
export interface Spread {
  /** Sample standard deviation of the test error, a share (0.0016 is 0.16 points). */
  readonly standardDeviation: number;
  /** Runs from which it was estimated, 2 or more. */
  readonly runs: number;
  /** Where it was published. */
  readonly source: string;
}

/** A published test error, and under which conditions it was measured. */
export interface Reference {
  /** Where it was published, for example `Table 6`. */
  readonly source: string;
  /** The network, as `architecture()` takes it. */
  readonly architecture: string;
  /** What it was trained and tested on. */
  readonly dataset: DatasetName;
  /** Steps of the training. */
  readonly iterations: number;
  /** Images that were tested. */
  readonly testImages: number;
  /** The error, a share; the mean where it is of several runs. */
  readonly error: number;
  /** Runs behind the error. */
  readonly runs: number;
  /** The spread between runs; of these very runs where the error is of several. */
  readonly spread: Spread;
}

/** What a reproduction is going to do and to claim. */
export interface ReproductionPlan {
  /** Of the plan's format: 2 where there are several recipes, else 1. */
  readonly version: 1 | 2;
  /** When the plan was written: ISO 8601, before any run begins. */
  readonly written: string;
  /** Networks, each with every recipe and seed. */
  readonly architectures: readonly string[];
  /** Seeds, each once: as many runs of each claim. */
  readonly seeds: readonly number[];
  /**
   * Name of the recipe, as `--recipe` takes it. Of several each is a claim of its own on each
   * network, with its own runs: two readings of the paper, for example.
   */
  readonly recipe: string | readonly string[];
  /** Steps of each run. */
  readonly iterations: number;
  /** What is trained and tested on. */
  readonly dataset: DatasetName;
  /** SHA-256 of each source file of the data set, by name. */
  readonly dataHashes: Readonly<Record<string, string>>;
  /** The tests of three or more runs: two one-sided t tests, and a two-sided one. */
  readonly tests: { readonly equivalence: "tost"; readonly difference: "two-sided-t" };
  /** The most that a mean error may lie from the reference, to either side; a share. */
  readonly margin: number;
  /** Level of each test. */
  readonly alpha: number;
  /** What each network is compared with; none for a network without a published figure. */
  readonly references: readonly Reference[];
}

/** What is claimed of: a network, trained by a recipe. */
export interface ClaimName {
  /** The network. */
  readonly architecture: string;
  /** Name of the recipe. */
  readonly recipe: string;
}

/** The part of a plan that decides one claim's verdict. */
export interface PlannedClaim
  extends
    ClaimName,
    Pick<ReproductionPlan, "dataset" | "iterations" | "seeds" | "margin" | "alpha"> {
  /** What it is compared with, if with anything. */
  readonly reference?: Reference;
}

/** A plan that is none: where, the rule, and what was found. */
export class PlanError extends Error {
  /** The class's name, for messages. */
  override name = "PlanError";
}

const seed = z.int().min(0).max(0xffffffff);
const whole = z.int().positive();
const name = z.string().min(1).refine(isArchitecture, "expected an architecture of the module");
const distinct = (values: readonly unknown[]) => new Set(values).size === values.length;

const reference: z.ZodType<Reference> = z.strictObject({
  source: z.string().min(1),
  architecture: name,
  dataset: datasetName,
  iterations: whole,
  testImages: whole,
  error: z.number().gt(0).lt(1),
  runs: whole,
  spread: z.strictObject({
    standardDeviation: z.number().gt(0).lt(1),
    runs: z.int().min(2),
    source: z.string().min(1),
  }),
}).refine(
  ({ runs, spread }) => runs === 1 || spread.runs === runs,
  "expected the spread of the runs that the error is of",
);

const fields = {
  written: z.iso.datetime({ offset: true }),
  architectures: z.array(name).min(1).refine(distinct, "expected each architecture once"),
  seeds: z.array(seed).min(1).refine(distinct, "expected each seed once"),
  iterations: whole,
  dataset: datasetName,
  dataHashes: z.record(
    z.string(),
    z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits"),
  ),
  tests: z.strictObject({
    equivalence: z.literal("tost"),
    difference: z.literal("two-sided-t"),
  }),
  margin: z.number().gt(0).lt(1),
  alpha: z.number().gt(0).lt(0.5),
  references: z.array(reference).refine(
    (references) => distinct(references.map(({ architecture }) => architecture)),
    "expected one reference for an architecture",
  ),
};

const reproductionPlan: z.ZodType<ReproductionPlan> = z.discriminatedUnion("version", [
  z.strictObject({ version: z.literal(1), recipe: z.string().min(1), ...fields }),
  z.strictObject({
    version: z.literal(2),
    recipe: z.array(z.string().min(1)).min(2).refine(distinct, "expected each recipe once"),
    ...fields,
  }),
]);

/**
 * Reads a plan strictly.
 *
 * @param text The plan's file, JSON.
 * @throws {PlanError} On text that is not JSON, an unknown or missing field, or a
 *   value outside its range: an unknown architecture, a seed that comes twice, a
 *   margin that is no share.
 *
 * @example
 * ```ts
 * import { parsePlan, PlanError } from "./plan.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => parsePlan('{"version":0}'), PlanError, "version");
 * ```
 */
export function parsePlan(text: string): ReproductionPlan {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PlanError(
      `Reading the plan: expected JSON (${
        (error as Error).message
      }); give the file as it was written`,
    );
  }
  const { data, error } = reproductionPlan.safeParse(value);
  if (data) return data;
  throw new PlanError(
    `Reading the plan: ${
      explain(error, value)
    }; runs that are under way need the plan as it was written, others a new one`,
  );
}

/**
 * The hash by which a plan is known: neither the order of its fields nor the
 * file's spaces change it, any other edit does.
 *
 * @param plan The plan.
 * @returns SHA-256 of the plan's JSON without spaces, with the fields of every
 *   object in the order of their names: 64 hexadecimal digits.
 *
 * @example
 * ```ts
 * import { planHash } from "./plan.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const plan = { margin: 0.005, alpha: 0.05 } as Parameters<typeof planHash>[0];
 * const reordered = { alpha: 0.05, margin: 0.005 } as typeof plan;
 * assertEquals(planHash(plan), planHash(reordered));
 * ```
 */
export function planHash(plan: ReproductionPlan): string {
  return sha256(canonicalJson(plan));
}

/** JSON without spaces, with the fields of every object in the order of their names. */
export function canonicalJson(value: unknown): string {
  const sorted = (_: string, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
      : value;
  return JSON.stringify(value, sorted) ?? "null";
}

/** Names of a plan's recipes. */
export function recipesOf({ recipe }: Pick<ReproductionPlan, "recipe">): readonly string[] {
  return typeof recipe === "string" ? [recipe] : recipe;
}

/**
 * What a plan claims of: each recipe with every network, in the plan's order.
 *
 * @param plan The plan.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { claimsOf } from "./plan.ts";
 *
 * const claims = claimsOf({ architectures: ["resnet20"], recipe: ["paper", "paper-50k"] });
 * assertEquals(claims, [
 *   { architecture: "resnet20", recipe: "paper" },
 *   { architecture: "resnet20", recipe: "paper-50k" },
 * ]);
 * ```
 */
export function claimsOf(
  plan: Pick<ReproductionPlan, "architectures" | "recipe">,
): readonly ClaimName[] {
  return recipesOf(plan).flatMap((recipe) =>
    plan.architectures.map((architecture) => ({ architecture, recipe }))
  );
}

/**
 * A claim for people.
 *
 * @param plan Its plan.
 * @param claim Which.
 * @returns The network's name; with the recipe's where the plan has several.
 */
export function claimInWords(
  plan: Pick<ReproductionPlan, "recipe">,
  { architecture, recipe }: ClaimName,
): string {
  return recipesOf(plan).length > 1 ? `${architecture} by ${recipe}` : architecture;
}

/**
 * What a plan says of one of its claims.
 *
 * @param plan The plan.
 * @param claim One of the plan's networks, and one of its recipes.
 * @throws {PlanError} If the plan does not have the claim.
 *
 * @example
 * ```ts
 * import { plannedClaim, PlanError, type ReproductionPlan } from "./plan.ts";
 * import { assertThrows } from "@std/assert";
 *
 * const plan = { architectures: ["resnet20"], recipe: "paper" } as unknown as ReproductionPlan;
 * const other = { architecture: "resnet32", recipe: "paper" };
 * assertThrows(() => plannedClaim(plan, other), PlanError, "resnet20");
 * ```
 */
export function plannedClaim(
  plan: ReproductionPlan,
  { architecture, recipe }: ClaimName,
): PlannedClaim {
  const { architectures, dataset, iterations, seeds, margin, alpha, references } = plan;
  if (!isPlanned(plan, { architecture, recipe })) {
    throw new PlanError(
      `The plan has the networks ${architectures.join(", ")} by ${
        recipesOf(plan).join(", ")
      }, found a question about ${architecture} by ${recipe}; it needs a plan of its own`,
    );
  }
  const reference = references.find((reference) => reference.architecture === architecture);
  return { architecture, recipe, dataset, iterations, seeds, margin, alpha, reference };
}

/** Whether a plan has a claim. */
export function isPlanned(
  plan: Pick<ReproductionPlan, "architectures" | "recipe">,
  { architecture, recipe }: ClaimName,
): boolean {
  return plan.architectures.includes(architecture) && recipesOf(plan).includes(recipe);
}

/**
 * The recipe of a claim's runs, by value: what the name that the plan has
 * stands for. Fields that a recipe has gained since the plan was written have
 * the value that means what was done then.
 *
 * @param plan The plan.
 * @param claim One of its networks and recipes.
 * @throws {PlanError} If the recipe is not one of the module's.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { paper } from "../recipes/mod.ts";
 * import { plannedRecipe } from "./plan.ts";
 *
 * const plan = { dataset: "cifar10", iterations: 64_000 } as const;
 * const claim = { architecture: "resnet110", recipe: "paper" };
 * assertEquals(plannedRecipe(plan, claim), paper("resnet110"));
 * ```
 */
export function plannedRecipe(
  { dataset, iterations }: Pick<ReproductionPlan, "dataset" | "iterations">,
  { architecture, recipe }: ClaimName,
): Recipe {
  if (!Object.hasOwn(RECIPES, recipe)) {
    throw new PlanError(
      `Reading the plan: its recipe must be one of ${
        Object.keys(RECIPES).join(", ")
      }, found "${recipe}"; plan one of these`,
    );
  }
  const named = RECIPES[recipe as keyof typeof RECIPES](architecture);
  const planned = forDataset(named, dataset, "planned");
  return planned.schedule.iterations === iterations
    ? planned
    : withIterations(planned, iterations, "planned");
}

/**
 * Whether two recipes train the same: their departures and reasons are words
 * that follow from the other fields.
 *
 * @example
 * ```ts
 * import { assert } from "@std/assert";
 * import { paper } from "../recipes/mod.ts";
 * import { sameRecipe } from "./plan.ts";
 *
 * assert(!sameRecipe(paper("resnet20"), paper("resnet20", { batchSize: 64 })));
 * ```
 */
export function sameRecipe(a: Recipe, b: Recipe): boolean {
  const fields = ({ departures: _, ...fields }: Recipe) => canonicalJson(fields);
  return fields(a) === fields(b);
}
