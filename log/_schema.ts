/** Strict schemas of `log/events.ts`, made by `deno task schemas`: change them there. */
import { z } from "zod";
import {
  base64,
  classNames,
  count,
  deviceDescription,
  innerPath,
  nonNegative,
  positiveCount,
  recipe,
  seed,
  setName,
  sha256Text,
  share,
  time,
  watchedValue,
} from "../recipes/schema/mod.ts";
import type { ImageSample, LayerStatistics, RunEvent } from "./events.ts";

const engineRecord = z.strictObject({
  name: z.string(),
  reason: z.string(),
  device: deviceDescription,
});

const dataRecord = z.strictObject({
  set: setName,
  notice: z.string().optional(),
  hashes: z.record(z.string(), sha256Text),
  trainingImages: count,
  validationImages: count,
  testImages: count,
  splitHashes: z.strictObject({ training: sha256Text, validation: sha256Text }),
  mean: z.strictObject({ sha256: sha256Text, of: z.string() }),
  errorFloor: share.optional(),
  linearModelError: share.optional(),
});

const startEvent = z.strictObject({
  time,
  type: z.literal("start"),
  version: z.literal([1, 2]),
  run: z.string(),
  recipe,
  seed,
  engine: engineRecord,
  versions: z.record(z.string(), z.string()),
  revision: z.string().nullable(),
  command: z.array(z.string()),
  parameters: count,
  multiplyAdds: count,
  data: dataRecord,
  startWeights: z.strictObject({ path: z.string(), sha256: sha256Text }).optional(),
  classes: classNames,
  logEvery: count,
  stopAfter: count.optional(),
  plan: sha256Text.optional(),
});

const resumeEvent = z.strictObject({
  time,
  type: z.literal("resume"),
  iteration: count,
  engine: engineRecord,
  versions: z.record(z.string(), z.string()),
  revision: z.string().nullable(),
  command: z.array(z.string()),
  stopAfter: count.optional(),
});

const stepEvent = z.strictObject({
  time,
  iteration: count,
  type: z.literal("step"),
  steps: count,
  images: count,
  learningRate: nonNegative,
  loss: nonNegative,
  error: share,
  imagesPerSecond: nonNegative,
  waitingSeconds: nonNegative.optional(),
  computingSeconds: nonNegative.optional(),
});

const rateEvent = z.strictObject({
  time,
  type: z.literal("rate"),
  iteration: count,
  epoch: nonNegative.optional(),
  learningRate: nonNegative,
});

const fileReference = z.strictObject({ path: innerPath, sha256: sha256Text, bytes: count });

const evaluationEvent = z.strictObject({
  time,
  iteration: count,
  images: positiveCount,
  errors: count,
  error: share,
  errors5: count.optional(),
  error5: share.optional(),
  loss: nonNegative,
  type: z.literal("evaluation"),
  set: z.enum(["validation", "test"]),
  predictions: fileReference.optional(),
});

const checkpointEvent = z.strictObject({
  time,
  iteration: count,
  logSha256: sha256Text.optional(),
  type: z.literal("checkpoint"),
  file: fileReference,
});

const fileEvent = z.strictObject({
  time,
  type: z.literal("file"),
  kind: z.enum(["augmented-sample", "worst-mistakes", "layer-statistics", "split", "weights"]),
  file: fileReference,
});

const warningEvent = z.strictObject({
  time,
  iteration: count,
  type: z.literal("warning"),
  message: z.string(),
});

const warmUpEndEvent = z.strictObject({
  time,
  iteration: count,
  type: z.literal("warm-up-end"),
  trainingError: share,
});

const statisticsEvent = z.strictObject({
  time,
  iteration: count,
  type: z.literal("statistics"),
  batches: positiveCount,
});

const bestEvent = z.strictObject({
  time,
  iteration: count,
  images: positiveCount,
  errors: count,
  error: share,
  errors5: count.optional(),
  error5: share.optional(),
  loss: nonNegative,
  type: z.literal("best"),
  watched: watchedValue,
  value: nonNegative,
  file: fileReference,
});

const stopEvent = z.strictObject({
  time,
  iteration: count,
  type: z.literal("stop"),
  reason: z.string(),
});

const endEvent = z.strictObject({
  time,
  iteration: count,
  logSha256: sha256Text.optional(),
  type: z.literal("end"),
  testError: share,
  bestValidation: z.strictObject({ iteration: count, error: share }).optional(),
  stoppedEarly: z.literal(true).optional(),
  trainingSeconds: nonNegative,
  waitingSeconds: nonNegative.optional(),
  weightsSha256: sha256Text,
});

const failureEvent = z.strictObject({
  time,
  iteration: count,
  logSha256: sha256Text.optional(),
  type: z.literal("failure"),
  reason: z.string(),
  diverged: z.literal(true).optional(),
});

/** The schema of {@link RunEvent}. */
export const runEvent: z.ZodType<RunEvent> = z.discriminatedUnion("type", [
  startEvent,
  resumeEvent,
  stepEvent,
  rateEvent,
  evaluationEvent,
  checkpointEvent,
  fileEvent,
  warningEvent,
  warmUpEndEvent,
  statisticsEvent,
  bestEvent,
  stopEvent,
  endEvent,
  failureEvent,
]);

/** The schema of {@link ImageSample}. */
export const imageSample: z.ZodType<ImageSample> = z.strictObject({
  height: positiveCount,
  width: positiveCount,
  images: z.array(z.strictObject({
    pixels: base64,
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

/** The schema of {@link LayerStatistics}. */
export const layerStatistics: z.ZodType<LayerStatistics> = z.strictObject({
  images: count,
  layers: z.array(z.strictObject({ name: z.string(), std: nonNegative })),
});
