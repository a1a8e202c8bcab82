/** The plan's file in a job's folder, and the runs that follow from a plan. */
import { join } from "node:path";
import {
  canonicalJson,
  type ClaimName,
  claimsOf,
  parsePlan,
  PlanError,
  planHash,
  plannedRecipe,
  recipesOf,
  type ReproductionPlan,
} from "../verdicts/mod.ts";
import { PHOTOGRAPHS } from "../data/mod.ts";
import { architecture } from "../resnet/mod.ts";
import { table6Reference, TABLE_6_MARGIN } from "../spec/mod.ts";
import { departuresOf, isOpen, RECIPES } from "../recipes/mod.ts";
import { attempt, openOwn, readWholeText, writeWhole } from "../files/mod.ts";
import { ReproductionError } from "./errors.ts";

/** The plan's name in a job's folder. */
export const PLAN_FILE = "plan.json";
/** The folder of the runs in a job's folder. */
export const RUNS_FOLDER = "runs";
const LOCK_FILE = "job.lock";

/** What is asked for: fields of the plan; the others have defaults in a new plan. */
export type PlanRequest = Partial<ReproductionPlan>;

/** The plan by which a job's runs are done. */
export interface SettledPlan {
  /** The plan, as its file has it. */
  readonly plan: ReproductionPlan;
  /** By which it is known, see `planHash`. */
  readonly sha256: string;
  /** Whether it was written now. */
  readonly isNew: boolean;
}

/** One run of a plan. */
export interface PlannedRun extends ClaimName {
  /** Its place in the plan, from 0: recipe by recipe, network by network, each with every seed. */
  readonly index: number;
  /**
   * Of its folder: `<architecture>-seed<seed>`, or `<architecture>-<recipe>-seed<seed>` where the
   * plan has several recipes.
   */
  readonly name: string;
  /** The seed. */
  readonly seed: number;
}

/**
 * The runs of a plan, in their order.
 *
 * @param plan The plan.
 * @returns One a network, recipe and seed.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import type { ReproductionPlan } from "../verdicts/mod.ts";
 * import { plannedRuns } from "./planned.ts";
 *
 * const nets = { architectures: ["resnet20", "resnet32"], seeds: [0, 1] };
 * const plan = { ...nets, recipe: "paper" } as unknown as ReproductionPlan;
 * assertEquals(plannedRuns(plan).map(({ name }) => name), [
 *   "resnet20-seed0", "resnet20-seed1", "resnet32-seed0", "resnet32-seed1",
 * ]);
 * ```
 */
export function plannedRuns(plan: ReproductionPlan): readonly PlannedRun[] {
  const several = recipesOf(plan).length > 1;
  return claimsOf(plan).flatMap((claim) => plan.seeds.map((seed) => ({ ...claim, seed })))
    .map(({ architecture, recipe, seed }, index) => ({
      index,
      name: `${several ? `${architecture}-${recipe}` : architecture}-seed${seed}`,
      ...{ architecture, recipe, seed },
    }));
}

/**
 * The run at a place of a plan: what an array job's index picks.
 *
 * @param plan The plan.
 * @param index From 0.
 * @throws {ReproductionError} If the plan has fewer runs.
 */
export function plannedRun(plan: ReproductionPlan, index: number): PlannedRun {
  const runs = plannedRuns(plan);
  if (!(index in runs)) {
    throw new ReproductionError(
      `Choosing a run of the plan: it has ${runs.length}, from index 0 to ${
        runs.length - 1
      }, found ${index}; start as many processes as it has runs`,
    );
  }
  return runs[index];
}

/**
 * The plan of a job: the one that its folder holds, or a new one, written before
 * anything else. A plan is never changed. Processes that start at the same time
 * settle on one.
 *
 * @param folder The job's folder; it is made where a new plan is written.
 * @param request Fields that are asked for; a plan that is there must have the same.
 * @param dataHashes SHA-256 of each source file of a data set, by name, for a new plan.
 * @returns The plan and its hash.
 * @throws {ReproductionError} If the plan that is there differs; the message names the fields.
 * @throws {PlanError} If the plan that is there, or is asked for, is none.
 * @throws {ArchitectureError | RecipeError} If there is no such network, or no such length.
 */
export async function settlePlan(
  folder: string,
  request: PlanRequest,
  dataHashes: (set: ReproductionPlan["dataset"]) => Promise<ReproductionPlan["dataHashes"]>,
): Promise<SettledPlan> {
  const asked = canonical(request);
  const kept = await readPlan(folder);
  if (kept) return settled(kept, asked, folder);
  const plan = await newPlan(asked, dataHashes);
  await attempt("write", folder, () => Deno.mkdir(folder, { recursive: true }));
  return await withJobLock(folder, async () => {
    const other = await readPlan(folder);
    if (other) return settled(other, asked, folder);
    const text = JSON.stringify(plan, null, 2) + "\n";
    await writeWhole(join(folder, PLAN_FILE), text);
    return { plan, sha256: planHash(plan), isNew: true };
  });
}

/**
 * Reads a job's plan.
 *
 * @param folder The job's folder.
 * @returns The plan; undefined where there is none yet.
 * @throws {PlanError} If the file holds no plan.
 */
export async function readPlan(folder: string): Promise<ReproductionPlan | undefined> {
  let text: string;
  try {
    text = await readWholeText(join(folder, PLAN_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  try {
    return parsePlan(text);
  } catch (error) {
    if (!(error instanceof PlanError)) throw error;
    throw new PlanError(`"${join(folder, PLAN_FILE)}": ${error.message}`, { cause: error });
  }
}

/**
 * Does something that only one process at a time does in a job's folder. The
 * others wait; the operating system frees the lock when the process ends.
 *
 * @param folder The job's folder.
 * @param work What is done.
 * @returns What the work returned.
 */
export async function withJobLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  using file = await openOwn(join(folder, LOCK_FILE));
  await file.lock(true);
  return await work();
}

async function newPlan(
  request: PlanRequest,
  dataHashes: (set: ReproductionPlan["dataset"]) => Promise<ReproductionPlan["dataHashes"]>,
): Promise<ReproductionPlan> {
  const { architectures = ["resnet20"], recipe = "paper" } = request;
  // Each is refused by its name, before anything is downloaded.
  for (const name of architectures) architecture(name);
  const claims = claimsOf({ architectures, recipe });
  const { dataset, iterations } = conditionsOf(claims, request);
  for (const claim of claims) plannedRecipe({ dataset, iterations }, claim);
  const plan: ReproductionPlan = {
    ...{ written: new Date().toISOString() },
    ...{ architectures, seeds: [0, 1, 2, 3, 4], iterations, dataset },
    dataHashes: request.dataHashes ?? await dataHashes(dataset),
    tests: { equivalence: "tost", difference: "two-sided-t" },
    ...{ margin: TABLE_6_MARGIN, alpha: 0.05 },
    references: architectures.flatMap((name) => {
      const ofNet = claims.filter(({ architecture }) => architecture === name);
      return ofNet.every(isReading) ? table6Reference(name) ?? [] : [];
    }),
    ...request,
    ...{ recipe, version: typeof recipe === "string" ? 1 : 2 },
  };
  return parsePlan(JSON.stringify(plan));
}

/** Whether a recipe is the paper's in all that the paper decides: others have no figure to meet. */
function isReading({ architecture, recipe }: ClaimName): boolean {
  const own = RECIPES[recipe as keyof typeof RECIPES](architecture);
  return departuresOf(own).every(({ field }) => isOpen(own, field));
}

/** Data set and length as they are asked for, or as all of the recipes have them by themselves. */
function conditionsOf(
  claims: readonly ClaimName[],
  { dataset, iterations }: PlanRequest,
): Pick<ReproductionPlan, "dataset" | "iterations"> {
  const own = claims.map((claim) => {
    const { architecture, recipe } = claim;
    // Refuses a name that is none in the plan's own words.
    plannedRecipe({ dataset: "cifar10", iterations: 1 }, claim);
    const { data, schedule } = RECIPES[recipe as keyof typeof RECIPES](architecture);
    const own = dataset ?? data.set;
    if (own === PHOTOGRAPHS) {
      throw new ReproductionError(`a plan is of a data set by its name, found ${recipe} on ${own}`);
    }
    return {
      dataset: own,
      iterations: iterations ?? schedule.iterations,
    };
  });
  const other = own.findIndex((one) => canonicalJson(one) !== canonicalJson(own[0]));
  if (other < 0) return own[0];
  const said = (at: number) =>
    `${claims[at].architecture} by ${claims[at].recipe} takes ${own[at].iterations} iterations on ${
      own[at].dataset
    }`;
  throw new ReproductionError(
    `Planning: all runs of a plan have one data set and one length, found that ${said(0)} and ${
      said(other)
    }; say which with --dataset and --iterations, or plan them apart`,
  );
}

/** A request as a plan has it: one recipe by its name, several as a list. */
function canonical({ recipe, ...others }: PlanRequest): PlanRequest {
  if (recipe === undefined) return others;
  return { ...others, recipe: recipe.length === 1 ? recipe[0] : recipe };
}

function settled(plan: ReproductionPlan, request: PlanRequest, folder: string): SettledPlan {
  const fields = Object.keys(request) as (keyof ReproductionPlan)[];
  const differing = fields.filter((field) =>
    request[field] !== undefined && canonicalJson(plan[field]) !== canonicalJson(request[field])
  ).map((field) =>
    `  ${field}: ${JSON.stringify(plan[field])} planned, ${
      JSON.stringify(request[field])
    } asked for`
  );
  if (differing.length === 0) return { plan, sha256: planHash(plan), isNew: false };
  throw new ReproductionError(
    `the job in "${folder}" goes by its plan, which was fixed before the first step; these fields differ:\n${
      differing.join("\n")
    }\nAsk for the same, or choose another folder with --out`,
  );
}
