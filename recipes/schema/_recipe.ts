/** Strict schemas of `recipes/recipe.ts`, made by `deno task schemas`: change them there. */
import { z } from "zod";
import {
  architectureName,
  batchSize,
  count,
  cropPadding,
  nonNegative,
  positive,
  positiveCount,
  setName,
  share,
  watchedValue,
} from "./leaves.ts";
import type { Recipe } from "../recipe.ts";

const photographSettings = z.strictObject({
  size: positiveCount,
  shorterSide: z.strictObject({ least: positiveCount, most: positiveCount }),
  colour: nonNegative,
  testShorterSide: positiveCount,
  orientation: z.literal("upright").optional(),
});

const sgd = z.strictObject({
  kind: z.literal("sgd"),
  momentum: nonNegative,
  nesterov: z.boolean(),
  velocityOf: z.enum(["gradients", "steps"]).optional(),
  weightDecay: nonNegative,
  decayed: z.enum(["all", "kernels"]),
});

const adam = z.strictObject({
  beta1: share,
  beta2: share,
  epsilon: nonNegative,
  weightDecay: nonNegative,
  amsgrad: z.boolean().optional(),
  decayed: z.enum(["all", "kernels"]).optional(),
  kind: z.literal("adam"),
});

const adamW = z.strictObject({
  beta1: share,
  beta2: share,
  epsilon: nonNegative,
  weightDecay: nonNegative,
  amsgrad: z.boolean().optional(),
  decayed: z.enum(["all", "kernels"]).optional(),
  kind: z.literal("adamw"),
});

const nadam = z.strictObject({
  kind: z.literal("nadam"),
  beta1: share,
  beta2: share,
  epsilon: nonNegative,
  weightDecay: nonNegative,
  momentumDecay: nonNegative,
  decoupled: z.boolean().optional(),
  decayed: z.enum(["all", "kernels"]).optional(),
});

const scheduleUnit = z.enum(["iteration", "epoch"]);

const stepSchedule = z.strictObject({
  kind: z.literal("steps"),
  rate: nonNegative,
  boundaries: z.array(count),
  unit: scheduleUnit.optional(),
  factor: nonNegative,
  iterations: count,
  warmUp: z.strictObject({ rate: nonNegative, untilTrainingErrorBelow: share }).optional(),
});

const plateauSchedule = z.strictObject({
  watched: watchedValue,
  mode: z.enum(["min", "max"]).optional(),
  threshold: nonNegative,
  thresholdKind: z.enum(["relative", "absolute"]).optional(),
  every: z.strictObject({ count: positiveCount, unit: scheduleUnit }).optional(),
  kind: z.literal("plateau"),
  rate: nonNegative,
  factor: nonNegative,
  patience: count,
  cooldown: count.optional(),
  minimumRate: nonNegative,
  smallestChange: nonNegative.optional(),
  iterations: count,
});

const exponentialSchedule = z.strictObject({
  kind: z.literal("exponential"),
  rate: nonNegative,
  factor: nonNegative,
  unit: scheduleUnit.optional(),
  iterations: count,
});

const cosineSchedule = z.strictObject({
  kind: z.literal("cosine"),
  rate: nonNegative,
  minimumRate: nonNegative,
  period: positiveCount,
  unit: scheduleUnit.optional(),
  iterations: count,
});

const restartsSchedule = z.strictObject({
  kind: z.literal("restarts"),
  rate: nonNegative,
  minimumRate: nonNegative,
  period: positiveCount,
  periodFactor: positiveCount,
  unit: scheduleUnit.optional(),
  iterations: count,
});

const bestSettings = z.strictObject({
  watched: watchedValue,
  mode: z.enum(["min", "max"]).optional(),
  threshold: nonNegative,
  thresholdKind: z.enum(["relative", "absolute"]).optional(),
  every: z.strictObject({ count: positiveCount, unit: scheduleUnit }).optional(),
  stopAfter: positiveCount.optional(),
});

const departure = z.strictObject({
  field: z.string(),
  paper: z.string(),
  here: z.string(),
  reason: z.string(),
  source: z.string().optional(),
});

/** The schema of {@link Recipe}. */
export const recipe: z.ZodType<Recipe> = z.strictObject({
  name: z.string(),
  architecture: z.strictObject({
    name: architectureName,
    shortcut: z.enum(["A", "B", "none"]),
    zeroChannels: z.enum(["append", "split", "none"]),
  }),
  data: z.strictObject({
    set: setName,
    split: z.strictObject({ training: positiveCount, validation: count }),
    pixelScale: z.enum(["0..1", "0..255"]),
    mean: z.enum(["per-pixel", "per-channel", "published", "imagenet", "per-image", "none"]),
    std: z.enum(["none", "per-channel", "published", "imagenet"]),
    meanSubtracted: z.enum(["before-padding", "after-crop"]),
    augmentation: z.enum(["pad-crop-flip", "scale-crop-flip", "random-resized-crop-flip", "none"]),
    cropPadding,
    order: z.enum(["shuffled", "sequential"]),
    epochEnd: z.enum(["run-on", "keep-partial", "drop-partial"]),
    photographs: photographSettings.optional(),
  }),
  batchSize,
  batchNormImages: count,
  batchNorm: z.strictObject({
    epsilon: positive,
    momentum: share,
    runningVariance: z.literal("unbiased"),
    averages: z.enum(["moving", "strict"]).optional(),
  }),
  initialisation: z.strictObject({
    kind: z.literal("he-normal"),
    fan: z.enum(["in", "out"]),
    lastLayer: z.enum(["he-normal", "library"]).optional(),
  }),
  optimiser: z.discriminatedUnion("kind", [sgd, adam, adamW, nadam]),
  schedule: z.discriminatedUnion("kind", [
    stepSchedule,
    plateauSchedule,
    exponentialSchedule,
    cosineSchedule,
    restartsSchedule,
  ]),
  best: bestSettings.optional(),
  departures: z.array(departure),
});
