/**
 * A recipe as a strict schema: an unknown field, or a value outside its range, is refused.
 *
 * @module
 */
import { z } from "zod";
import { DATASET_NAMES, type DatasetName, datasetNamed } from "../../data/mod.ts";
import { isArchitecture } from "../../resnet/mod.ts";
import type { Recipe } from "../recipe.ts";

const count = z.int().nonnegative();
const positive = z.number().positive();
const nonnegative = z.number().nonnegative();
const share = z.number().min(0).max(1);
/** The name of a data set of the registry. */
export const datasetName: z.ZodType<DatasetName> = z.enum(DATASET_NAMES);

/** The plan of a batch is made at once. */
const LARGEST_BATCH = 50_000;
/** Crops are counted in a byte, to both sides. */
const MOST_PADDING = 127;

const sgd = z.strictObject({
  kind: z.literal("sgd"),
  momentum: nonnegative,
  nesterov: z.boolean(),
  weightDecay: nonnegative,
  decayed: z.enum(["all", "kernels"]),
});

const adam = z.strictObject({
  kind: z.literal("adam"),
  beta1: share,
  beta2: share,
  epsilon: nonnegative,
  weightDecay: nonnegative,
});

const stepSchedule = z.strictObject({
  kind: z.literal("steps"),
  rate: nonnegative,
  boundaries: z.array(count),
  factor: nonnegative,
  iterations: count,
  warmUp: z.strictObject({ rate: nonnegative, untilTrainingErrorBelow: share }).optional(),
});

const plateauSchedule = z.strictObject({
  kind: z.literal("plateau"),
  rate: nonnegative,
  factor: nonnegative,
  patienceEpochs: nonnegative,
  threshold: nonnegative,
  minimumRate: nonnegative,
  iterations: count,
  stopAfterEpochsWithoutImprovement: nonnegative.optional(),
});

/** The schema of {@link Recipe}. */
export const recipeSchema: z.ZodType<Recipe> = z.strictObject({
  name: z.string(),
  architecture: z.strictObject({
    name: z.string().max(40).refine(isArchitecture, "expected an architecture of the module"),
    shortcut: z.enum(["A", "B"]),
    zeroChannels: z.enum(["append", "split"]),
  }),
  data: z.strictObject({
    set: datasetName,
    split: z.strictObject({ training: z.int().positive(), validation: count }),
    pixelScale: z.enum(["0..1", "0..255"]),
    mean: z.enum(["per-pixel", "per-channel", "imagenet", "none"]),
    std: z.enum(["none", "per-channel", "imagenet"]),
    meanSubtracted: z.enum(["before-padding", "after-crop"]),
    augmentation: z.enum(["pad-crop-flip", "none"]),
    cropPadding: count.max(MOST_PADDING),
    order: z.enum(["shuffled", "sequential"]),
    epochEnd: z.enum(["run-on", "keep-partial", "drop-partial"]),
  }).refine(
    ({ set, split }) => split.training + split.validation <= datasetNamed(set).trainingImages,
    "expected no more images in the split than the set has",
  ),
  batchSize: z.int().positive().max(LARGEST_BATCH),
  batchNormImages: count,
  batchNorm: z.strictObject({
    epsilon: positive,
    momentum: share,
    runningVariance: z.literal("unbiased"),
  }),
  initialisation: z.strictObject({ kind: z.literal("he-normal"), fan: z.enum(["in", "out"]) }),
  optimiser: z.discriminatedUnion("kind", [sgd, adam]),
  schedule: z.discriminatedUnion("kind", [stepSchedule, plateauSchedule]),
  departures: z.array(z.strictObject({
    field: z.string(),
    paper: z.string(),
    here: z.string(),
    reason: z.string(),
    source: z.string().optional(),
  })),
}).refine(
  ({ data, batchSize }) => data.epochEnd !== "drop-partial" || batchSize <= data.split.training,
  "expected one whole batch in an epoch that drops its partial batch",
);

/**
 * The first thing that a schema has against a value, in words: where, what was
 * expected, and what was found.
 */
export function explain(error: z.ZodError, value: unknown): string {
  const [issue] = error.issues;
  let found = value;
  for (const key of issue.path) found = (found as Record<PropertyKey, unknown> | null)?.[key];
  const where = issue.path.length > 0 ? `${issue.path.join(".")}: ` : "";
  const shown = JSON.stringify(found) ?? "nothing";
  return `${where}${issue.message}; found ${
    shown.length > 80 ? `${shown.slice(0, 80)}...` : shown
  }`;
}
