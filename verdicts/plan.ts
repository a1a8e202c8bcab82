/**
 * The plan of a reproduction: what is claimed, fixed before the first step. It
 * stands in this room because it is read like a run's folder and never by the
 * training: the report shows it and its hash, the verdicts and the statistical
 * rules of `spec/` hold the runs against it.
 */
import { createHash } from "node:crypto";
import { z } from "zod";
import type { DatasetName } from "../data/mod.ts";
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
  /** Of the plan's format. */
  readonly version: 1;
  /** When the plan was written: ISO 8601, before any run begins. */
  readonly written: string;
  /** Networks, each with every seed. */
  readonly architectures: readonly string[];
  /** Seeds, each once: as many runs of each network. */
  readonly seeds: readonly number[];
  /** Name of the recipe, as `--recipe` takes it. */
  readonly recipe: string;
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

/** The part of a plan that decides one network's verdict. */
export interface PlannedNet
  extends Pick<ReproductionPlan, "dataset" | "iterations" | "seeds" | "margin" | "alpha"> {
  /** The network. */
  readonly architecture: string;
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

const reproductionPlan: z.ZodType<ReproductionPlan> = z.strictObject({
  version: z.literal(1),
  written: z.iso.datetime({ offset: true }),
  architectures: z.array(name).min(1).refine(distinct, "expected each architecture once"),
  seeds: z.array(seed).min(1).refine(distinct, "expected each seed once"),
  recipe: z.string().min(1),
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
});

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
 * assertThrows(() => parsePlan('{"version":2}'), PlanError, "version");
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
  return createHash("sha256").update(canonicalJson(plan)).digest("hex");
}

/** JSON without spaces, with the fields of every object in the order of their names. */
export function canonicalJson(value: unknown): string {
  const sorted = (_: string, value: unknown) =>
    typeof value === "object" && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
      : value;
  return JSON.stringify(value, sorted) ?? "null";
}

/**
 * What a plan says of one of its networks.
 *
 * @param plan The plan.
 * @param architecture One of the plan's networks.
 * @throws {PlanError} If the plan does not have the network.
 *
 * @example
 * ```ts
 * import { plannedNet, PlanError, type ReproductionPlan } from "./plan.ts";
 * import { assertThrows } from "@std/assert";
 *
 * const plan = { architectures: ["resnet20"] } as unknown as ReproductionPlan;
 * assertThrows(() => plannedNet(plan, "resnet32"), PlanError, "resnet20");
 * ```
 */
export function plannedNet(plan: ReproductionPlan, architecture: string): PlannedNet {
  const { architectures, dataset, iterations, seeds, margin, alpha, references } = plan;
  if (!architectures.includes(architecture)) {
    throw new PlanError(
      `The plan has the networks ${
        architectures.join(", ")
      }, found a question about ${architecture}; it needs a plan of its own`,
    );
  }
  const reference = references.find((reference) => reference.architecture === architecture);
  return { architecture, dataset, iterations, seeds, margin, alpha, reference };
}

/**
 * The recipe of a network's runs, by value: what the name that the plan has
 * stands for. Fields that a recipe has gained since the plan was written have
 * the value that means what was done then.
 *
 * @param plan The plan.
 * @param net One of its networks.
 * @throws {PlanError} If the plan's recipe is not one of the module's.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { paper } from "../recipes/mod.ts";
 * import { plannedRecipe } from "./plan.ts";
 *
 * const plan = { recipe: "paper", dataset: "cifar10", iterations: 64_000 } as const;
 * assertEquals(plannedRecipe(plan, "resnet110"), paper("resnet110"));
 * ```
 */
export function plannedRecipe(
  { recipe, dataset, iterations }: Pick<ReproductionPlan, "recipe" | "dataset" | "iterations">,
  net: string,
): Recipe {
  if (!Object.hasOwn(RECIPES, recipe)) {
    throw new PlanError(
      `Reading the plan: its recipe must be one of ${
        Object.keys(RECIPES).join(", ")
      }, found "${recipe}"; plan one of these`,
    );
  }
  const planned = forDataset(RECIPES[recipe as keyof typeof RECIPES](net), dataset, "planned");
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
