/** Known-bad subjects of the static rules: one part of a good subject is another. */
import { type Graph, parametersOf } from "../../resnet/mod.ts";
import type { BatchPlan } from "../../engine/mod.ts";
import type { Recipe } from "../../recipes/mod.ts";
import type { KnownBad, Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

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

/** A known-bad schedule function in place of the good one. */
export function badRates(
  name: string,
  why: string,
  spoil: (iteration: number, warmUpEnded: boolean) => number,
): KnownBad<StaticSubject> {
  return { name, why, kind: "plan", spoil: (good) => ({ ...good, learningRate: spoil }) };
}

/** Known-bad batches in place of the good ones. */
export function badBatches(
  name: string,
  why: string,
  spoil: (good: BatchPlan, good1: BatchPlan) => Partial<BatchPlan>,
): KnownBad<StaticSubject> {
  return {
    name,
    why,
    kind: "plan",
    spoil: (good) => ({
      ...good,
      batchPlan: (iteration) => {
        const plan = good.batchPlan(iteration);
        return { ...plan, ...spoil(plan, good.batchPlan(1)) };
      },
    }),
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
