/** Known-bad subjects of the static rules: one part of a good subject is another. */
import { type Graph, parametersOf, type Weights } from "../../resnet/mod.ts";
import type { BatchPlan } from "../../engine/mod.ts";
import { paper, type Recipe, type RecipeChanges } from "../../recipes/mod.ts";
import { canonicalJson } from "../../verdicts/mod.ts";
import type { KnownBad, KnownGood, Rule } from "../rule.ts";
import { finding, needing, type StaticSubject, subjectOf } from "../subject.ts";

/** A check of one field of the recipe. */
export function field<T extends string | number>(
  name: string,
  read: (recipe: Recipe) => T | undefined,
  expected: T,
): Rule<StaticSubject>["check"] {
  return needing(["recipe"], ({ recipe }) => {
    const value = read(recipe);
    return finding(
      value === expected ? [] : [`${name} is ${value ?? "none"}, not ${expected}`],
      `${name} is ${value}`,
    );
  });
}

/** A known-bad graph in place of the good one. */
export function badGraph(
  name: string,
  why: string,
  spoil: (graph: Graph) => Graph,
): KnownBad<StaticSubject> {
  return { name, why, kind: "graph", spoil: (good) => ({ ...good, graph: spoil(good.graph) }) };
}

/** An unusual graph that is right, in place of the usual one. */
export function goodGraph(
  name: string,
  why: string,
  make: (graph: Graph) => Graph,
): KnownGood<StaticSubject> {
  return { name, why, make: (good) => ({ ...good, graph: make(good.graph) }) };
}

/** A known-bad recipe in place of the good one, and nothing else. */
export function badRecipe(
  name: string,
  why: string,
  spoil: (recipe: Recipe) => object,
): KnownBad<StaticSubject> {
  return {
    name,
    why,
    kind: "recipe",
    // The types admit no such recipe of ours; a file that is read may hold it.
    spoil: (good) => ({ ...good, recipe: { ...good.recipe, ...spoil(good.recipe) } as Recipe }),
  };
}

/** What the batches follow from. */
const BATCH_FIELDS = ["split", "augmentation", "cropPadding", "order", "epochEnd"] as const;

/** Whether two recipes make the same batches from one seed. */
export function sameBatches(a: Recipe, b: Recipe): boolean {
  return a.batchSize === b.batchSize &&
    BATCH_FIELDS.every((field) => canonicalJson(a.data[field]) === canonicalJson(b.data[field]));
}

/** Unusual subjects by net and changes: several rules look at the same batches. */
const made = new Map<string, ReturnType<typeof subjectOf>>();

/** An unusual recipe that is right, and all that follows from it. */
export function goodRecipe(
  name: string,
  why: string,
  changes: RecipeChanges,
  net = "resnet20",
): KnownGood<StaticSubject> {
  const make = (good: Required<StaticSubject>) => {
    const key = JSON.stringify([net, changes]);
    // Undeclared: what the paper leaves open is no departure.
    const subject = made.get(key) ?? subjectOf({ ...paper(net, changes), departures: [] });
    made.set(key, subject);
    // The same batches are not looked at twice.
    return {
      ...subject,
      samplingSeed: good.samplingSeed,
      ...(sameBatches(subject.recipe, good.recipe) ? { batchPlan: good.batchPlan } : {}),
    };
  };
  return { name, why, make };
}

/** A known-bad schedule function in place of the good one. */
export function badRates(
  name: string,
  why: string,
  spoil: (iteration: number, warmUpEnded: boolean) => number,
): KnownBad<StaticSubject> {
  return { name, why, kind: "plan", spoil: (good) => ({ ...good, learningRate: spoil }) };
}

/** Known-bad batches in place of the good ones, from the first of them or from a later one on. */
export function badBatches(
  name: string,
  why: string,
  spoil: (plan: BatchPlan, good: Required<StaticSubject>, iteration: number) => Partial<BatchPlan>,
  { from = 1, to = Infinity } = {},
): KnownBad<StaticSubject> {
  return {
    name,
    why,
    kind: "plan",
    spoil: (good) => ({
      ...good,
      batchPlan: (iteration) => {
        const plan = good.batchPlan(iteration);
        if (iteration < from || iteration > to) return plan;
        return { ...plan, ...spoil(plan, good, iteration) };
      },
    }),
  };
}

/** Arrays that start as something else than the good ones. */
export function badArrays(
  name: string,
  why: string,
  spoil: (array: string, data: Float32Array, all: Weights) => Float32Array,
): KnownBad<StaticSubject> {
  return {
    ...{ name, why, kind: "weights" },
    spoil: (good) => {
      const all = good.initialWeights();
      const weights = new Map(
        [...all].map(([array, { shape, data }]) =>
          [array, { shape, data: spoil(array, data, all) }] as const
        ),
      );
      return { ...good, initialWeights: () => weights };
    },
  };
}

/** Kernels that start as something else than the good ones. */
export function badWeights(
  name: string,
  why: string,
  spoil: (kernel: Float32Array, shape: readonly number[]) => Float32Array,
): KnownBad<StaticSubject> {
  return {
    name,
    why,
    kind: "weights",
    spoil: (good) => ({
      ...good,
      initialWeights: () => {
        const weights = new Map(good.initialWeights());
        for (const { name, shape, role } of parametersOf(good.graph)) {
          const tensor = weights.get(name);
          if (role === "kernel" && tensor) {
            weights.set(name, { shape, data: spoil(tensor.data, shape) });
          }
        }
        return weights;
      },
    }),
  };
}
