/**
 * The recording's lines as schemas. Unknown fields are left out: later recorders
 * of the same version may add some. What is known has to be right.
 */
import { z } from "zod";
import type * as lines from "./lines.ts";

/** Longer texts, names and lists than any training has; they bound what a line can cost. */
const MOST_CHARACTERS = 4_000;
const MOST_AXES = 16;
const MOST_ITEMS = 100_000;

const count = z.int().nonnegative();
const id = z.int().positive();
const text = z.string().max(MOST_CHARACTERS);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, "expected 64 hexadecimal digits");
const shape = z.array(count).max(MOST_AXES).readonly();
const share = z.number().min(0).max(1);

/** JSON has no NaN: the format writes it, and the infinities, as texts. */
const anyNumber = z.union([
  z.number(),
  z.enum(["NaN", "Infinity", "-Infinity"]).transform((name) => Number(name)),
]);
const numbers = z.array(anyNumber).max(MOST_ITEMS).readonly();
const texts = z.array(text).max(MOST_ITEMS).readonly();
const plain = z.union([z.boolean(), z.number(), text]);

/** Little-endian words in base64; a text that was cut holds none. */
const i32 = z.string().transform((base64) => {
  const bytes = wordsOf(base64, 4);
  return bytes && new Int32Array(bytes.buffer);
});
const u64 = z.string().transform((base64) => {
  const bytes = wordsOf(base64, 8);
  return bytes && new BigUint64Array(bytes.buffer);
});

function wordsOf(base64: string, size: number): Uint8Array<ArrayBuffer> | undefined {
  try {
    const bytes = Uint8Array.fromBase64(base64);
    return bytes.length % size === 0 ? bytes : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
}

const line = { time: z.iso.datetime({ offset: true }) };
const placed = { ...line, iteration: count, site: id.optional() };
const file = z.object({
  // The recorder writes into one flat folder.
  path: z.string().max(200).regex(/^[\w-][\w.-]*$/, "expected the name of a file in the folder"),
  sha256,
  bytes: count,
});
const mode = z.enum(["training", "evaluation", "mixed"]);
const phase = z.enum(["training", "evaluation"]);
const norms = z.object({ training: count, evaluation: count }).optional();
const perId = z.record(z.string().regex(/^\d{1,9}$/), count);

const group = z.looseObject({
  learningRate: anyNumber.optional(),
  count,
  names: texts,
}).transform(({ learningRate, count, names, ...settings }): lines.RecordedGroup => ({
  ...{ learningRate, count, names, settings },
}));

const replay = z.object({
  parameter: text,
  group: count,
  elements: count,
  updateNorm: anyNumber,
  predicted: anyNumber.optional(),
  gram: numbers.refine((gram) => gram.length === 10, "expected 10 inner products"),
});

const schemas = {
  start: z.object({
    type: z.literal("start"),
    ...line,
    version: z.literal(1),
    recorder: z.object({ name: text, version: text }),
    framework: z.object({ name: text, version: text }),
    versions: z.record(z.string(), text),
    platform: text,
    script: z.object({ name: text, sha256 }).optional(),
    command: texts,
    devices: texts,
    stopAfter: count.optional(),
    worldSize: id.optional(),
    seed: text,
  }) satisfies z.ZodType<lines.RecordingStart>,
  site: z.object({
    type: z.literal("site"),
    ...line,
    id,
    file: text,
    line: count,
    function: text,
    code: text,
    calls: text,
  }) satisfies z.ZodType<lines.SiteLine>,
  loader: z.object({
    type: z.literal("loader"),
    ...placed,
    id,
    datasets: z.array(z.object({
      id,
      class: text,
      size: count.optional(),
      attributes: z.record(z.string(), plain),
      transform: text.optional(),
      transforms: text.optional(),
      ignoresTransform: z.boolean().optional(),
    })).max(100).readonly(),
    size: count.optional(),
    batches: count.optional(),
    batchSize: count.optional(),
    dropLast: z.boolean(),
    shuffle: z.boolean().optional(),
    sampler: text,
    workers: count,
    workerInit: z.boolean().optional(),
    composed: z.boolean(),
    indices: file.optional(),
    indicesLeftOut: z.boolean().optional(),
    reachable: count.optional(),
  }) satisfies z.ZodType<lines.LoaderLine>,
  epoch: z.object({
    type: z.literal("epoch"),
    ...placed,
    border: z.enum(["begin", "end"]),
    loader: id,
    epoch: id,
    batches: count.optional(),
    images: count.optional(),
    distinct: count.optional(),
    exhausted: z.boolean().optional(),
    cut: z.boolean().optional(),
    order: sha256.optional(),
  }) satisfies z.ZodType<lines.EpochLine>,
  network: z.object({
    type: z.literal("network"),
    ...placed,
    id,
    class: text,
    wrappers: texts,
    copyOf: id.optional(),
    parameters: z.array(z.object({ name: text, shape, trainable: z.boolean() })).max(MOST_ITEMS)
      .readonly(),
    trainable: count,
    frozen: count,
    norms: z.array(z.object({
      class: text,
      eps: z.number().optional(),
      momentum: z.union([z.number(), z.literal("cumulative")]).optional(),
      tracked: z.boolean(),
      names: texts,
    })).max(MOST_ITEMS).readonly(),
    dropouts: z.array(z.object({ class: text, p: anyNumber })).max(MOST_ITEMS).readonly()
      .optional(),
    input: z.object({ shape, dtype: text }),
    output: z.object({ shape, dtype: text }).optional(),
    autocast: text.optional(),
  }) satisfies z.ZodType<lines.NetworkLine>,
  graph: z.object({
    type: z.literal("graph"),
    ...placed,
    network: id,
    phase,
    mode: mode.optional(),
    images: count,
    inputs: z.array(count).max(MOST_ITEMS).readonly(),
    outputs: z.array(count).max(MOST_ITEMS).readonly(),
    cut: z.boolean().optional(),
    nodes: z.array(z.object({
      op: text,
      kind: text,
      module: text.optional(),
      moduleClass: text.optional(),
      arguments: z.record(z.string(), z.unknown()),
      outputs: z.array(z.object({ value: count, shape })).max(1_000).readonly(),
    })).max(20_000).readonly(),
  }) satisfies z.ZodType<lines.GraphLine>,
  loss: z.object({
    type: z.literal("loss"),
    ...placed,
    function: text.optional(),
    reduction: text.optional(),
    weight: numbers.optional(),
    labelSmoothing: z.number().optional(),
    targets: text.optional(),
    calls: count,
    chain: texts,
    softmaxBelow: z.boolean(),
    penalty: z.boolean().optional(),
    scaled: anyNumber.optional(),
  }) satisfies z.ZodType<lines.LossLine>,
  optimizer: z.object({
    type: z.literal("optimizer"),
    ...placed,
    id,
    class: text,
    defaults: z.record(z.string(), z.unknown()),
    groups: z.array(group).max(MOST_ITEMS).readonly(),
    foreign: count,
    resumed: z.boolean().optional(),
  }) satisfies z.ZodType<lines.OptimizerLine>,
  scheduler: z.object({
    type: z.literal("scheduler"),
    ...placed,
    id,
    class: text,
    optimizer: id.optional(),
    settings: z.record(z.string(), z.unknown()),
    schedulers: z.array(id).max(1_000).readonly().optional(),
  }) satisfies z.ZodType<lines.SchedulerLine>,
  "scheduler-step": z.object({
    type: z.literal("scheduler-step"),
    ...placed,
    scheduler: id,
    call: count,
    argument: anyNumber.optional(),
    stepsSince: count,
    place: z.enum(["batch", "epoch"]),
    before: numbers,
    after: numbers,
    lastEpoch: anyNumber.optional(),
  }) satisfies z.ZodType<lines.SchedulerStepLine>,
  batch: z.object({
    type: z.literal("batch"),
    ...placed,
    phase,
    network: id,
    loader: id.optional(),
    epoch: id.optional(),
    batch: count.optional(),
    images: count,
    mode: mode.optional(),
    norms,
    range: numbers.optional(),
    indices: i32.optional(),
    hashes: u64.optional(),
    labels: i32.optional(),
    loss: anyNumber.optional(),
    errors: count.optional(),
    file: file.optional(),
  }) satisfies z.ZodType<lines.BatchLine>,
  step: z.object({
    type: z.literal("step"),
    ...placed,
    steps: count,
    optimizer: id.optional(),
    images: count,
    passes: count,
    learningRate: anyNumber,
    rates: numbers.optional(),
    loss: anyNumber.optional(),
    error: share.optional(),
    seconds: z.number().optional(),
    waitSeconds: z.number().optional(),
    mode: mode.optional(),
    norms,
    loader: id.optional(),
    epoch: id.optional(),
    backwards: count,
    cleared: z.boolean().optional(),
    clips: z.array(z.object({
      kind: z.enum(["norm", "value"]),
      max: anyNumber,
      norm: anyNumber.optional(),
    })).max(MOST_ITEMS).readonly().optional(),
    skipped: z.boolean().optional(),
    checked: z.object({
      gradientNorm: anyNumber.optional(),
      backwardNorm: anyNumber.optional(),
      withoutGradient: count.optional(),
      nonFinite: count.optional(),
      replay: z.array(replay).max(1_000).readonly().optional(),
    }).optional(),
  }) satisfies z.ZodType<lines.RecordedStep>,
  evaluation: z.object({
    type: z.literal("evaluation"),
    ...placed,
    network: id,
    loader: id.optional(),
    epoch: id.optional(),
    number: count,
    images: count,
    distinct: count.optional(),
    errors: count.optional(),
    loss: anyNumber.optional(),
    batchImages: numbers.optional(),
    batchErrors: numbers.optional(),
    predictions: i32.optional(),
    mode: mode.optional(),
    norms,
    exhausted: z.boolean().optional(),
  }) satisfies z.ZodType<lines.RecordedEvaluation>,
  parameters: z.object({
    type: z.literal("parameters"),
    ...placed,
    unheld: texts,
    frozen: texts,
    unchanged: texts,
    withoutGradient: texts,
    buffersUnchanged: texts,
    schedulerCalls: perId,
    foreign: count,
  }) satisfies z.ZodType<lines.ParametersLine>,
  transform: z.object({
    type: z.literal("transform"),
    ...placed,
    class: text,
    text,
    changed: z.boolean(),
    used: z.boolean().optional(),
  }) satisfies z.ZodType<lines.TransformLine>,
  save: stored("save"),
  load: stored("load"),
  print: z.object({
    type: z.literal("print"),
    ...placed,
    text,
    afterEvaluation: count.optional(),
  }) satisfies z.ZodType<lines.PrintLine>,
  file: z.object({
    type: z.literal("file"),
    ...line,
    kind: z.enum(["weights-start", "weights-end"]),
    network: id.optional(),
    file,
  }) satisfies z.ZodType<lines.RecordedFile>,
  warning: z.object({ type: z.literal("warning"), ...placed, message: text }) satisfies z.ZodType<
    lines.RecordedWarning
  >,
  stop: z.object({ type: z.literal("stop"), ...placed }) satisfies z.ZodType<lines.RecordedStop>,
  end: ended("end"),
  failure: ended("failure"),
};

function stored<const Type extends "save" | "load">(type: Type) {
  return z.object({
    type: z.literal(type),
    ...placed,
    name: text,
    values: z.record(z.string(), plain).optional(),
    afterEvaluation: count.optional(),
  }) satisfies z.ZodType<lines.StoreLine>;
}

function ended<const Type extends "end" | "failure">(type: Type) {
  return z.object({
    type: z.literal(type),
    ...placed,
    reason: text,
    optimizerSteps: perId,
    schedulerCalls: perId,
    evaluations: count,
  }) satisfies z.ZodType<lines.RecordedEnd>;
}

/** The schema of each known type of line. */
export const LINES: ReadonlyMap<string, z.ZodType<lines.RecordingLine>> = new Map(
  Object.entries(schemas),
);
