/**
 * The checks that every engine makes of its arguments before any work, so that
 * all engines refuse the same things in the same words.
 */
import {
  type Graph,
  parametersOf,
  type ParameterSpec,
  shapeOf,
  sizeOf,
  truncate,
  type Weights,
} from "../resnet/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  type EngineData,
  EngineError,
  type EngineOptions,
  type Probe,
  type TrainingState,
} from "./engine.ts";
import type { Labels } from "./labels.ts";
import { optimiserFaults, ruleOf } from "./optimiser.ts";

/** How many names an error lists before it only counts. */
const LISTED = 5;

function require(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new EngineError(message());
}

/** Checks what an engine is built for; few have half precision. */
export function checkOptions(options: EngineOptions, hasHalf = false): void {
  require(
    hasHalf || options.precision !== "mixed",
    () =>
      `creating an engine: this one has no mixed precision; use --precision single, or --engine webgpu`,
  );
  const { batchSize, batchNormImages, cropPadding, threads, optimiser, batchNorm } = options;
  const wholeNumber = (name: string, value: number, low: number, high = Infinity) =>
    require(
      Number.isInteger(value) && value >= low && value <= high,
      () =>
        `creating an engine: ${name} must be a whole number from ${low}${
          high < Infinity ? ` to ${high}` : ""
        }, found ${value}`,
    );
  const finite = (name: string, value: number) =>
    require(
      Number.isFinite(value) && value >= 0,
      () => `creating an engine: ${name} must be a finite number of at least 0, found ${value}`,
    );
  wholeNumber("batchSize", batchSize, 1);
  if (batchNormImages !== undefined) wholeNumber("batchNormImages", batchNormImages, 1);
  wholeNumber("cropPadding", cropPadding, 0, 127); // offsets up to 2 * padding are bytes
  if (threads !== undefined) wholeNumber("threads", threads, 1);
  for (const { field, rule, found } of optimiserFaults(optimiser)) {
    throw new EngineError(`creating an engine: optimiser.${field} must be ${rule}, found ${found}`);
  }
  finite("batchNorm.epsilon", batchNorm.epsilon);
  require(
    batchNorm.epsilon > 0,
    () =>
      `creating an engine: batchNorm.epsilon must be above 0, found 0: a channel without variance would be divided by 0`,
  );
  finite("batchNorm.momentum", batchNorm.momentum);
}

/** Checks a data set against the graph that shall see it. */
export function checkData(graph: Graph, data: EngineData): void {
  const classes = classesOf(graph, "loading data");
  const [height, width, channels] = graph.inputShape;
  for (const set of ["train", "test"] as const) {
    const images = data[set];
    const what = `loading the ${set} images`;
    require(
      images.height === height && images.width === width && images.channels === channels,
      () =>
        `${what}: "${graph.name}" takes images [${graph.inputShape.join(", ")}], found [${
          shapeOfImages(images).slice(1).join(", ")
        }]; build the graph with this inputShape`,
    );
    requireLength(`${what}: pixels`, images.pixels, shapeOfImages(images));
    requireLength(`${what}: labels`, images.labels, [images.count]);
    require(
      images.classes === classes,
      () =>
        `${what}: "${graph.name}" tells ${classes} classes apart, the data have ${images.classes}; build the graph with as many classes as the data`,
    );
    checkLabels(what, images.labels, classes);
  }
  const { scale, mean, std } = data.normalisation;
  require(
    Number.isFinite(scale) && scale > 0,
    () => `loading the normalisation: scale must be finite and above 0, found ${scale}`,
  );
  requireLength("loading the normalisation: mean", mean, graph.inputShape);
  require(
    !data.normalisation.perImage || channels <= MOST_IMAGE_MEANS,
    () =>
      `loading the normalisation: each image's own means are of at most ${MOST_IMAGE_MEANS} channels, found ${channels}`,
  );
  requireLength("loading the normalisation: std", std, [channels]);
  const bad = std.findIndex((value) => !(value > 0));
  require(
    bad < 0,
    () => `loading the normalisation: std must be above 0, found ${std[bad]} for channel ${bad}`,
  );
}

/** Checks images, and shifts of their channels, that are to stand in the place of loaded ones. */
export function checkFed(
  loaded: ByteImages,
  images: ByteImages,
  shifts: Float32Array | undefined,
): void {
  const what = "feeding images";
  const [found, expected] = [images, loaded].map((set) => [...shapeOfImages(set), set.classes]);
  require(
    found.slice(1).join() === expected.slice(1).join() && found[0] >= 1 && found[0] <= expected[0],
    () =>
      `${what}: the set was loaded with [N, H, W, C] and classes ${expected.join(", ")}, found ${
        found.join(", ")
      }; load a set as large as the largest part`,
  );
  requireLength(`${what}: pixels`, images.pixels, shapeOfImages(images));
  requireLength(`${what}: labels`, images.labels, [images.count]);
  checkLabels(what, images.labels, images.classes);
  if (shifts === undefined) return;
  requireLength(`${what}: shifts`, shifts, [images.count, images.channels]);
  require(
    images.channels <= MOST_IMAGE_MEANS,
    () => `${what}: shifts are of at most ${MOST_IMAGE_MEANS} channels, found ${images.channels}`,
  );
}

/** Checks a whole training state against the graph and the optimiser. */
export function checkState({ graph, optimiser }: EngineOptions, state: TrainingState): void {
  require(
    Number.isInteger(state.iteration) && state.iteration >= 0,
    () =>
      `importing a state: iteration must be a whole number of at least 0, found ${state.iteration}`,
  );
  const parameters = parametersOf(graph);
  checkWeights(graph, "weights", parameters, state.weights);
  const { slots } = ruleOf(optimiser);
  const found = [...state.slots.keys()];
  require(
    slots.length === found.length && slots.every((slot) => found.includes(slot)),
    () =>
      `importing a state: the optimiser "${optimiser.kind}" keeps ${
        slots.join(", ")
      }, the state has ${
        found.join(", ") || "nothing"
      }; go on with the optimiser that the state is of`,
  );
  const trainable = parameters.filter((parameter) => parameter.trainable);
  for (const [slot, arrays] of state.slots) checkWeights(graph, slot, trainable, arrays);
}

function checkWeights(
  graph: Graph,
  what: string,
  parameters: readonly ParameterSpec[],
  weights: Weights,
): void {
  const names = new Set(parameters.map((parameter) => parameter.name));
  const list = (label: string, found: readonly string[]) => {
    const more = found.length > LISTED ? ` and ${found.length - LISTED} more` : "";
    return found.length ? [`${label} ${found.slice(0, LISTED).join(", ")}${more}`] : [];
  };
  const faults = [
    ...list("missing are", [...names].filter((name) => !weights.has(name))),
    ...list("unexpected are", [...weights.keys()].filter((name) => !names.has(name))),
    ...list(
      "of another shape are",
      parameters.flatMap(({ name, shape }) => {
        const tensor = weights.get(name);
        if (!tensor) return [];
        const fits = tensor.shape.join() === shape.join() && tensor.data.length === sizeOf(shape);
        return fits ? [] : [
          `${name} (expected [${shape.join(", ")}], found [${
            tensor.shape.join(", ")
          }] with ${tensor.data.length} values)`,
        ];
      }),
    ),
  ];
  require(
    faults.length === 0,
    () =>
      `importing a state: ${what} must be exactly the arrays of "${graph.name}": ${
        faults.join("; ")
      }; export the state from an engine with this graph`,
  );
}

/** Channels of an image whose own means can be subtracted: a batch plan has as many places for them. */
export const MOST_IMAGE_MEANS = 4;

/** Checks a batch plan and the learning rate of its step. */
export function checkStep(
  options: EngineOptions,
  train: ByteImages,
  plan: BatchPlan,
  rate: number,
): void {
  checkPlan("a training step", options, train, plan);
  requireAllNeeded("a training step", options.graph);
  require(
    Number.isFinite(rate) && rate >= 0,
    () => `a training step: the learning rate must be finite and at least 0, found ${rate}`,
  );
}

/** Checks a batch plan. */
export function checkPlan(
  what: string,
  options: EngineOptions,
  train: ByteImages,
  plan: BatchPlan,
): void {
  const images = plan.indices.length;
  require(
    images >= 1 && images <= options.batchSize,
    () =>
      `${what}: a batch has 1 to ${options.batchSize} images (the engine's batchSize), found ${images}`,
  );
  for (const field of ["cropY", "cropX", "flip"] as const) {
    requireLength(`${what}: ${field}`, plan[field], [images]);
    const limit = field === "flip" ? 1 : 2 * options.cropPadding;
    const bad = plan[field].findIndex((value) => value > limit);
    require(
      bad < 0,
      () => `${what}: ${field}[${bad}] must be 0 to ${limit}, found ${plan[field][bad]}`,
    );
  }
  checkIndices(what, train, plan.indices);
}

/** Checks positions in a set of images. */
export function checkIndices(what: string, images: ByteImages, indices: Uint32Array): void {
  require(indices.length > 0, () => `${what}: needs at least one image, found no indices`);
  const bad = indices.findIndex((index) => index >= images.count);
  require(
    bad < 0,
    () =>
      `${what}: indices[${bad}] must be below ${images.count}, the number of images, found ${
        indices[bad]
      }`,
  );
}

/** Checks the values that a probe runs on. */
export function checkProbe(options: EngineOptions, probe: Probe): void {
  const { graph, batchSize } = options;
  const what = `probing "${graph.name}"`;
  const { images, upstream, labels } = probe;
  require(
    Number.isInteger(images) && images >= 1 && images <= batchSize,
    () => `${what}: a probe has 1 to ${batchSize} images (the engine's batchSize), found ${images}`,
  );
  requireLength(`${what}: input`, probe.input, [images, ...graph.inputShape]);
  require(
    probe.mode === "training" || probe.mode === "inference",
    () => `${what}: mode must be "training" or "inference", found "${probe.mode}"`,
  );
  require(
    !(upstream && labels),
    () => `${what}: takes upstream or labels, found both; leave one out`,
  );
  if (upstream || labels) requireAllNeeded(what, graph);
  if (upstream) {
    const shape = [images, ...shapeOf(graph, graph.output)];
    requireLength(`${what}: upstream`, upstream, shape);
  }
  if (labels) {
    requireLength(`${what}: labels`, labels, [images]);
    checkLabels(what, labels, classesOf(graph, what));
  }
}

/**
 * A layer without a way to the output has no gradient. Frameworks differ in whether its weights
 * decay all the same, so that no result would be the right one.
 */
function requireAllNeeded(what: string, graph: Graph): void {
  const needed = new Set(truncate(graph, graph.output).nodes);
  const idle = graph.nodes.find((node) => !needed.has(node));
  require(
    idle === undefined,
    () =>
      `${what}: the output of "${graph.name}", "${graph.output}", does not depend on "${idle?.name}"; ` +
      `leave it out: truncate(graph, graph.output)`,
  );
}

function checkLabels(what: string, labels: Labels, classes: number): void {
  const bad = labels.findIndex((label) => label >= classes);
  require(
    bad < 0,
    () => `${what}: labels[${bad}] must be below ${classes}, found ${labels[bad]}`,
  );
}

function requireLength(
  what: string,
  array: ArrayLike<number>,
  shape: readonly number[],
): void {
  require(
    array.length === sizeOf(shape),
    () =>
      `${what} must hold [${shape.join(", ")}] = ${sizeOf(shape)} values, found ${array.length}`,
  );
}

function classesOf(graph: Graph, what: string): number {
  const shape = shapeOf(graph, graph.output);
  require(
    shape.length === 1,
    () =>
      `${what}: a loss needs an output [classes], and "${graph.name}" ends in "${graph.output}" with [${
        shape.join(", ")
      }]; end the graph in a dense layer`,
  );
  return shape[0];
}

function shapeOfImages(images: ByteImages): readonly number[] {
  return [images.count, images.height, images.width, images.channels];
}
