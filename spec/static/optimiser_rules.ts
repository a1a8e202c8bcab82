/** Section 4.2 on the start and the steps: initialisation, batch size, momentum and decay. */
import { type Graph, parametersOf, sizeOf, type Weights } from "../../resnet/mod.ts";
import { BATCH_SIZE } from "../../paper/mod.ts";
import { badBatches, badRecipe, badWeights, field } from "./_bad.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

/** The rules on the start and on each step. */
export const OPTIMISER_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "initialisation",
    section: "4.2, [13]",
    requirement:
      "Kernels start from a normal distribution with mean 0 and variance 2 / fan (He initialisation).",
    tier: "static",
    check: needing(["graph", "recipe", "initialWeights"], ({ graph, recipe, initialWeights }) => {
      const { kind, fan } = recipe.initialisation;
      if (kind !== "he-normal") return finding([`the initialisation is ${kind}`], "");
      const problems = badKernels(graph, initialWeights(), fan);
      return finding(problems, `variance 2 / fan-${fan} in every kernel`);
    }),
    rejects: [
      badRecipe("Glorot's", "the library's default is kept", () => ({
        initialisation: { kind: "glorot-uniform", fan: "in" },
      })),
      badWeights(
        "half of the variance",
        "2 / (fan-in + fan-out)",
        (data) => data.map((w) => w * Math.SQRT1_2),
      ),
      badWeights(
        "0.01 everywhere",
        "the custom of earlier nets",
        (data, shape) => data.map((w) => 0.01 * w * Math.sqrt(sizeOf(shape.slice(1)) / 2)),
      ),
      badWeights(
        "uniform values",
        "the right variance from another distribution",
        (data, shape) =>
          data.map((_, i) =>
            (2 * ((i * 0.6180339887498949) % 1) - 1) * Math.sqrt(6 / sizeOf(shape.slice(1)))
          ),
      ),
    ],
  },
  {
    id: "batch-size",
    section: "4.2",
    requirement: "A batch has 128 images.",
    tier: "static",
    check: needing(["recipe", "batchPlan"], ({ recipe, batchPlan }) => {
      const found = batchPlan(1).indices.length;
      const problems = found === BATCH_SIZE ? [] : [`the first batch has ${found} images`];
      if (recipe.batchSize !== BATCH_SIZE) problems.push(`the recipe says ${recipe.batchSize}`);
      return finding(problems, `${found} images`);
    }),
    rejects: [
      badRecipe("256 in the recipe", "ImageNet's batch", () => ({ batchSize: 256 })),
      badBatches("64 images", "each of two devices gets a batch", (plan) => ({
        indices: plan.indices.slice(0, 64),
      })),
    ],
  },
  {
    id: "momentum",
    section: "4.2",
    requirement: "Training is by stochastic gradient descent with a momentum of 0.9.",
    tier: "static",
    check: field(
      "the momentum",
      ({ optimiser }) => optimiser.kind === "sgd" ? optimiser.momentum : optimiser.kind,
      0.9 as string | number,
    ),
    rejects: [
      badRecipe("Adam", "said to need no tuning", () => ({
        optimiser: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4 },
      })),
      badRecipe("no momentum", "the library's default is kept", ({ optimiser }) => ({
        optimiser: { ...optimiser, momentum: 0 },
      })),
    ],
  },
  {
    id: "weight-decay",
    section: "4.2",
    requirement: "The weight decay is 0.0001.",
    tier: "static",
    check: field("the weight decay", ({ optimiser }) => optimiser.weightDecay, 0.0001),
    rejects: [
      badRecipe("none", "the library's default is kept", ({ optimiser }) => ({
        optimiser: { ...optimiser, weightDecay: 0 },
      })),
      badRecipe("twice as much", "the penalty has no factor of one half", ({ optimiser }) => ({
        optimiser: { ...optimiser, weightDecay: 0.0002 },
      })),
      badRecipe("five times as much", "wide nets' value is carried over", ({ optimiser }) => ({
        optimiser: { ...optimiser, weightDecay: 0.0005 },
      })),
    ],
  },
]);

/**
 * Kernels whose mean, variance or kurtosis lies further than six standard
 * errors from those of the normal distribution with mean 0 and variance 2 / fan.
 */
export function badKernels(graph: Graph, weights: Weights, fan: "in" | "out"): string[] {
  return parametersOf(graph).filter(({ role }) => role === "kernel").flatMap(({ name, shape }) => {
    const data = weights.get(name)?.data;
    if (data === undefined) return [`${name} has no initial weights`];
    const [outputs, inputs, ...window] = shape; // [O, I, H, W] or [O, I]
    const std = Math.sqrt(2 / (sizeOf(window) * (fan === "in" ? inputs : outputs)));
    let sum = 0, squares = 0, fourthPowers = 0;
    for (const w of data) {
      const z = w / std, square = z * z;
      sum += z;
      squares += square;
      fourthPowers += square * square;
    }
    // Standard errors of the sample moments of N values of a standard normal distribution.
    const n = data.length;
    const moments = [
      { what: "mean", found: sum / n, expected: 0, error: Math.sqrt(1 / n) },
      { what: "variance", found: squares / n, expected: 1, error: Math.sqrt(2 / n) },
      { what: "fourth moment", found: fourthPowers / n, expected: 3, error: Math.sqrt(96 / n) },
    ];
    return moments.filter(({ found, expected, error }) =>
      !(Math.abs(found - expected) <= 6 * error)
    )
      .map(({ what, found, expected }) =>
        `${name}: in units of sqrt(2 / fan-${fan}) its ${what} is ${
          found.toFixed(3)
        }, not ${expected}`
      );
  });
}
