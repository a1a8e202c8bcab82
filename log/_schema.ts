/**
 * The event log's lines and the files that they name, as strict schemas: an
 * unknown type or field, or a value outside its range, is refused. The types
 * are those of `events.ts`; the compiler checks the schemas against them.
 */
import { z } from "zod";
import type { ImageSample, LayerStatistics, RunEvent } from "./events.ts";
import type { Recipe } from "../recipes/mod.ts";
import { datasetName, recipeSchema as recipe } from "../recipes/schema/mod.ts";

const count = z.int().nonnegative();
const nonnegative = z.number().nonnegative();
const share = z.number().min(0).max(1);
const time = z.iso.datetime({ offset: true });
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");
const seed = z.int().min(0).max(0xffffffff);

const file = z.strictObject({
  path: z.string().min(1).refine(
    (path) => !/^[/\\]|^[a-z]:|\\/i.test(path) && !path.split("/").includes(".."),
    "expected a path inside the run's folder",
  ),
  sha256,
  bytes: count,
});

/** What a file of weights says of its run, as far as it is read again. */
export const identity: z.ZodType<{ recipe: Recipe; seed: number; classes: number }> = z.object({
  recipe,
  seed,
  classes: z.int().positive().max(10_000),
});

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
      set: datasetName,
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
