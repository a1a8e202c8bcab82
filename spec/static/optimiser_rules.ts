/** Section 4.2 on the start and the steps: initialisation, batch size, momentum and decay. */
import { type Graph, parametersOf, sizeOf, type Weights } from "../../resnet/mod.ts";
import { BATCH_SIZE } from "../../paper/mod.ts";
import type { BatchPlan } from "../../engine/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import { badArrays, badBatches, badRecipe, badWeights, field, goodRecipe } from "./_bad.ts";
import { scanBatches } from "./_batches.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

/** A moment so far from its value is no chance: in a whole net once in 10^7 times. */
const STANDARD_ERRORS = 6;

/** The rules on the start and on each step. */
export const OPTIMISER_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "initialisation",
    section: "4.2, 3.4, [13]",
    requirement:
      "Kernels start from a normal distribution with mean 0 and variance 2 / fan (He initialisation), each from values of its own; batch normalisation starts as the identity.",
    tier: "static",
    check: needing(["graph", "recipe", "initialWeights"], ({ graph, recipe, initialWeights }) => {
      const { kind, fan } = recipe.initialisation;
      if (kind !== "he-normal") return finding([`the initialisation is ${kind}`], "");
      const weights = initialWeights();
      const { problems, last } = badKernels(graph, weights, fan);
      const start = { "bn-scale": 1, "bn-variance": 1, "bn-shift": 0, "bn-mean": 0 };
      for (const { name, role } of parametersOf(graph)) {
        if (role === "kernel" || role === "bias") continue;
        const found = weights.get(name)?.data.find((value) => value !== start[role]);
        if (found !== undefined) problems.push(`${name} has a ${found}, not ${start[role]} alone`);
      }
      return finding(problems, `variance 2 / fan-${fan} in every kernel; the last layer: ${last}`);
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
      badArrays(
        "two layers that start alike",
        "the seed is set anew for each layer",
        (name, data, all) =>
          name === "layer1.1.conv1.weight" ? all.get("layer1.0.conv1.weight")!.data : data,
      ),
      badArrays(
        "blocks that start as the identity",
        "the last scale of each block is 0, a later custom",
        (name, data) => /bn2.weight$/.test(name) ? data.map(() => 0) : data,
      ),
      badArrays(
        "shifts of 0.1",
        "so that no ReLU is dead at first",
        (name, data) => /bn\d.bias$/.test(name) ? data.map(() => 0.1) : data,
      ),
      badArrays(
        "running variances of 0",
        "all buffers are made as zeros",
        (name, data) => name.endsWith("running_var") ? data.map(() => 0) : data,
      ),
      badWeights(
        "a last layer of zeros",
        "a later custom",
        (data, shape) => shape.length === 2 ? data.map(() => 0) : data,
      ),
    ],
    accepts: [
      {
        name: "kernels alone",
        why: "a file has what was trained, and nothing of batch normalisation",
        make: (good) => ({
          ...good,
          initialWeights: () =>
            new Map([...good.initialWeights()].filter(([, { shape }]) => shape.length > 1)),
        }),
      },
      goodRecipe("fan-out", "the paper can be read so", { initialisation: { fan: "out" } }),
      {
        name: "a last layer by the library's default",
        why: "as in fb.resnet.torch: uniform up to 1 / sqrt(inputs)",
        make: (good) => ({
          ...good,
          initialWeights: () => {
            const weights = new Map(good.initialWeights());
            const name = `${good.graph.output}.weight`;
            const { shape } = weights.get(name)!;
            const random = new RandomStream(0, "probe", 0);
            const data = new Float32Array(sizeOf(shape))
              .map(() => (2 * random.uniform() - 1) / Math.sqrt(shape[1]));
            return weights.set(name, { shape, data });
          },
        }),
      },
    ],
  },
  {
    id: "batch-size",
    section: "4.2",
    requirement: "A batch has 128 images.",
    tier: "static",
    check: needing(["recipe", "batchPlan"], (subject) => {
      const { recipe, split } = subject;
      const problems = recipe.batchSize === BATCH_SIZE
        ? []
        : [`the recipe says ${recipe.batchSize}`];
      const { sizes, looked } = scanBatches(subject, recipe, split?.training);
      return finding([...problems, ...sizes], `${BATCH_SIZE} images in ${looked}`);
    }),
    rejects: [
      badRecipe("256 in the recipe", "ImageNet's batch", () => ({ batchSize: 256 })),
      badBatches("64 images", "each of two devices gets a batch", (plan) => ofSize(plan, 64)),
      badBatches(
        "twice as many after 32,000 steps",
        "the batch grows where the rate would fall",
        (plan) => ofSize(plan, 256),
        { from: 32_001 },
      ),
      badBatches(
        "a smaller last batch",
        "the schedule ends with an epoch",
        (plan) => ofSize(plan, 72),
        { from: 64_000 },
      ),
    ],
    accepts: [
      goodRecipe("72 images at the end of each epoch", "its last partial batch is kept", {
        data: { epochEnd: "keep-partial" },
      }),
    ],
  },
  {
    id: "momentum",
    section: "4.2, 3.4",
    requirement: "Training is by stochastic gradient descent with a momentum of 0.9.",
    tier: "static",
    check: field(
      "the optimiser",
      ({ optimiser: { kind, ...settings } }) =>
        "momentum" in settings ? `SGD with a momentum of ${settings.momentum}` : kind,
      "SGD with a momentum of 0.9",
    ),
    rejects: [
      badRecipe("Adam", "said to need no tuning", () => ({
        optimiser: { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 1e-4 },
      })),
      badRecipe("no momentum", "the library's default is kept", ({ optimiser }) => ({
        optimiser: { ...optimiser, momentum: 0 },
      })),
    ],
    accepts: [
      goodRecipe("Nesterov's form", "the paper names none", { optimiser: { nesterov: true } }),
    ],
  },
  {
    id: "weight-decay",
    section: "4.2, 3.4",
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
    accepts: [
      goodRecipe("kernels alone decay", "the paper can be read so", {
        optimiser: { decayed: "kernels" },
      }),
    ],
  },
]);

/** A batch of another size, with the same draws again and again where it is larger. */
function ofSize(plan: BatchPlan, size: number): BatchPlan {
  const cut = (list: Uint8Array) =>
    Uint8Array.from({ length: size }, (_, i) => list[i % list.length]);
  return {
    indices: Uint32Array.from({ length: size }, (_, i) => plan.indices[i % plan.indices.length]),
    ...{ cropY: cut(plan.cropY), cropX: cut(plan.cropX), flip: cut(plan.flip) },
  };
}

/** A distribution with mean 0. */
interface Start {
  readonly name: string;
  readonly std: number;
  /** Moments of a value of standard deviation 1: the fourth and the eighth. */
  readonly fourth: number;
  readonly eighth: number;
}

const NORMAL = { fourth: 3, eighth: 105 } as const;
const UNIFORM = { fourth: 9 / 5, eighth: 9 } as const;

/** How the last layer may start: as the others, or as libraries' layers do by themselves. */
function lastLayerStarts(inputs: number, outputs: number): readonly Start[] {
  return [
    // Torch's nn.Linear, which fb.resnet.torch leaves as it is, and PyTorch's.
    { name: "uniform up to 1 / sqrt(inputs)", std: 1 / Math.sqrt(3 * inputs), ...UNIFORM },
    // Keras's Dense.
    {
      name: "uniform up to sqrt(6 / (inputs + outputs))",
      ...{ std: Math.sqrt(2 / (inputs + outputs)), ...UNIFORM },
    },
  ];
}

/**
 * Kernels whose mean, variance or kurtosis lies further than six standard
 * errors from those of the normal distribution with mean 0 and variance 2 / fan;
 * the last layer may be as libraries start it, which the paper leaves open.
 *
 * @param ofLast Over which fan the last layer's variance may go: `same`, or `either`, as where
 *   somebody calls a library's function with one mode for convolutions and its default for the rest.
 * @returns What is wrong, and how the last layer starts.
 */
export function badKernels(
  graph: Graph,
  weights: Weights,
  fan: "in" | "out",
  ofLast: "same" | "either" = "same",
): { readonly problems: string[]; readonly last: string } {
  let last = "as the others";
  const seen = new Map<string, string>();
  const kernels = parametersOf(graph).filter(({ role }) => role === "kernel");
  const problems = kernels.flatMap(({ name, shape }): string[] => {
    const data = weights.get(name)?.data;
    if (data === undefined) return [`${name} has no initial weights`];
    const beginning = data.subarray(0, 16).join(), twin = seen.get(beginning);
    seen.set(beginning, name);
    if (twin !== undefined) return [`${name} begins with the values of ${twin}`];
    const [outputs, inputs, ...window] = shape; // [O, I, H, W] or [O, I]
    const std = Math.sqrt(2 / (sizeOf(window) * (fan === "in" ? inputs : outputs)));
    const found = deviations(data, { name: `sqrt(2 / fan-${fan})`, std, ...NORMAL });
    if (found.length === 0 || window.length > 0) return found.map((what) => `${name}: ${what}`);
    const otherStd = Math.sqrt(2 / (fan === "in" ? outputs : inputs));
    const otherFan: Start = { name: last, std: otherStd, ...NORMAL };
    const other = [...lastLayerStarts(inputs, outputs), ...(ofLast === "same" ? [] : [otherFan])]
      .find((start) => deviations(data, start).length === 0);
    if (other) last = other.name;
    return other ? [] : found.map((what) => `${name}: ${what}`);
  });
  return { problems, last };
}

/** In what values differ from a distribution. */
function deviations(data: Float32Array, { name, std, fourth, eighth }: Start): string[] {
  let sum = 0, squares = 0, fourthPowers = 0;
  for (const w of data) {
    const z = w / std, square = z * z;
    sum += z;
    squares += square;
    fourthPowers += square * square;
  }
  // Standard errors of the sample moments of N values.
  const n = data.length;
  const moments = [
    { what: "mean", found: sum / n, expected: 0, error: Math.sqrt(1 / n) },
    { what: "variance", found: squares / n, expected: 1, error: Math.sqrt((fourth - 1) / n) },
    {
      what: "fourth moment",
      ...{
        found: fourthPowers / n,
        expected: fourth,
        error: Math.sqrt((eighth - fourth ** 2) / n),
      },
    },
  ];
  return moments.filter(({ found, expected, error }) =>
    !(Math.abs(found - expected) <= STANDARD_ERRORS * error)
  ).map(({ what, found, expected }) =>
    `in units of ${name} its ${what} is ${found.toFixed(3)}, not ${expected}`
  );
}
