/**
 * The event log's lines and the files that they name, as strict schemas: an
 * unknown type or field, or a value outside its range, is refused. The types
 * are those of `train/`; the compiler checks the schemas against them.
 */
import { z } from "zod";
import { architecture, ArchitectureError } from "../resnet/mod.ts";
import type { ImageSample, LayerStatistics, RunEvent } from "./events.ts";
import type { Recipe } from "../recipes/recipe.ts";

const count = z.int().nonnegative();
const positive = z.number().positive();
const nonnegative = z.number().nonnegative();
const share = z.number().min(0).max(1);
const time = z.iso.datetime({ offset: true });
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");
const dataSet = z.enum(["cifar10", "cifar100", "shapes10"]);
const seed = z.int().min(0).max(0xffffffff);

/** What a recipe can draw from. */
const TRAINING_IMAGES = { cifar10: 50_000, cifar100: 50_000, shapes10: 10_000 } as const;
/** The plan of a batch is made at once. */
const LARGEST_BATCH = 50_000;
/** Crops are counted in a byte, to both sides. */
const MOST_PADDING = 127;

const file = z.strictObject({
  path: z.string().min(1).refine(
    (path) => !/^[/\\]|^[a-z]:|\\/i.test(path) && !path.split("/").includes(".."),
    "expected a path inside the run's folder",
  ),
  sha256,
  bytes: count,
});

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

const recipe: z.ZodType<Recipe> = z.strictObject({
  name: z.string(),
  architecture: z.strictObject({
    name: z.string().max(40).refine(isArchitecture, "expected an architecture of the module"),
    shortcut: z.enum(["A", "B"]),
    zeroChannels: z.enum(["append", "split"]),
  }),
  data: z.strictObject({
    set: dataSet,
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
    ({ set, split }) => split.training + split.validation <= TRAINING_IMAGES[set],
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

/** What a file of weights says of its run, as far as it is read again. */
export const identity: z.ZodType<{ recipe: Recipe; seed: number; classes: number }> = z.object({
  recipe,
  seed,
  classes: z.int().positive().max(10_000),
});

/** Whether a network has that name. */
export function isArchitecture(name: string): boolean {
  try {
    architecture(name);
    return true;
  } catch (error) {
    if (!(error instanceof ArchitectureError)) throw error;
    return false;
  }
}

/** What a start and a resume both say of the process. */
const process = {
  engine: z.strictObject({
    name: z.string(),
    reason: z.string(),
    device: z.strictObject({
      summary: z.string(),
      details: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    }),
  }),
  versions: z.record(z.string(), z.string()),
  revision: z.string().nullable(),
  command: z.array(z.string()),
  stopAfter: count.optional(),
};

/** What a line says of all lines before it. */
const seal = { logSha256: sha256.optional() };

/** One line of `events.jsonl`. */
export const runEvent: z.ZodType<RunEvent> = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("start"),
    time,
    version: z.literal(1),
    run: z.string(),
    recipe,
    seed,
    ...process,
    parameters: count,
    multiplyAdds: count,
    data: z.strictObject({
      set: dataSet,
      notice: z.string().optional(),
      hashes: z.record(z.string(), sha256),
      trainingImages: count,
      validationImages: count,
      testImages: count,
      splitHashes: z.strictObject({ training: sha256, validation: sha256 }),
      mean: z.strictObject({ sha256, of: z.string() }),
      errorFloor: share.optional(),
      linearModelError: share.optional(),
    }),
    startWeights: z.strictObject({ path: z.string(), sha256 }).optional(),
    classes: z.array(z.string()).min(2),
    logEvery: count,
    plan: sha256.optional(),
  }),
  z.strictObject({ type: z.literal("resume"), time, iteration: count, ...process }),
  z.strictObject({
    type: z.literal("step"),
    time,
    iteration: count,
    steps: count,
    images: count,
    learningRate: nonnegative,
    loss: nonnegative,
    error: share,
    imagesPerSecond: nonnegative,
  }),
  z.strictObject({
    type: z.literal("evaluation"),
    time,
    iteration: count,
    set: z.enum(["validation", "test"]),
    images: z.int().positive(),
    errors: count,
    error: share,
    loss: nonnegative,
    predictions: file.optional(),
  }),
  z.strictObject({ type: z.literal("checkpoint"), time, iteration: count, file, ...seal }),
  z.strictObject({
    type: z.literal("file"),
    time,
    kind: z.enum(["augmented-sample", "worst-mistakes", "layer-statistics", "split", "weights"]),
    file,
  }),
  z.strictObject({ type: z.literal("warning"), time, iteration: count, message: z.string() }),
  z.strictObject({ type: z.literal("warm-up-end"), time, iteration: count, trainingError: share }),
  z.strictObject({ type: z.literal("stop"), time, iteration: count, reason: z.string() }),
  z.strictObject({
    type: z.literal("end"),
    time,
    iteration: count,
    testError: share,
    bestValidation: z.strictObject({ iteration: count, error: share }).optional(),
    trainingSeconds: nonnegative,
    weightsSha256: sha256,
    ...seal,
  }),
  z.strictObject({
    type: z.literal("failure"),
    time,
    iteration: count,
    reason: z.string(),
    diverged: z.literal(true).optional(),
    ...seal,
  }),
]);

/** Content of an `augmented-sample` or `worst-mistakes` file. */
export const imageSample: z.ZodType<ImageSample> = z.strictObject({
  height: z.int().positive(),
  width: z.int().positive(),
  images: z.array(z.strictObject({
    pixels: z.base64(),
    index: count,
    label: count,
    prediction: count.optional(),
    confidence: share.optional(),
    labelProbability: share.optional(),
    cropY: count.optional(),
    cropX: count.optional(),
    flip: z.boolean().optional(),
  })),
});

/** Content of a `layer-statistics` file. */
export const layerStatistics: z.ZodType<LayerStatistics> = z.strictObject({
  images: count,
  layers: z.array(z.strictObject({ name: z.string(), std: nonnegative })),
});

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
