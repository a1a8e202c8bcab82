/**
 * Where every array of a network lies in the engine's memory. All addresses are
 * bytes, fixed before the first step: nothing is allocated afterwards.
 */
import { parametersOf, type ParameterSpec, sizeOf } from "../../resnet/mod.ts";
import type { EngineOptions } from "../engine.ts";
import { type ConvolveOp, type Plan, planGraph } from "../plan.ts";
import { roundUp, storedSize } from "../_stored.ts";
import { ruleOf } from "../optimiser.ts";
import { CONTROL_BYTES } from "./_control.ts";
import { TILE_CHANNELS } from "./kernels/convolution.ts";
import { PLAN_WORDS } from "./kernels/input.ts";
import { LOSS_BYTES } from "./kernels/loss.ts";
import { COEFFICIENTS, type ImageShape } from "./kernels/normalise.ts";
import { outputsOfTap } from "./kernels/weight_gradient.ts";
import { overhang, PLACES, planeBytes, tilesOf, weightPlaneBytes } from "./kernels/winograd.ts";

/** Images in one call of the evaluation program. */
export const EVALUATION_IMAGES = 512;

/** A parameter or running statistic in memory. */
export interface StoredParameter {
  readonly spec: ParameterSpec;
  readonly address: number;
  /** Floats, channels rounded up. */
  readonly size: number;
}

/** A run of taps that all pixels of one parity share; see `kernels/convolution.ts`. */
export interface ParityClass {
  /** First input pixel, and how many, down and across. */
  readonly y: number;
  readonly x: number;
  readonly height: number;
  readonly width: number;
  /** Indices of the taps, and the place of each one's pixel in the padded gradient. */
  readonly taps: readonly number[];
  readonly places: readonly { readonly row: number; readonly column: number }[];
  /** Packed weights. */
  readonly weights: number;
}

/** Transformed weights and how many images share a matrix product; see `kernels/winograd.ts`. */
export interface StoredWinograd {
  readonly images: number;
  /** Tiles of all those images: rows of each plane. */
  readonly tiles: number;
  readonly forward: number;
  readonly backward: number;
}

/** Zeros around an image: rows above and columns to its left, rows below and columns to its right. */
export interface Padding {
  readonly before: number;
  readonly after: number;
}

/** A convolution's geometry and arrays. */
export interface StoredConvolution {
  readonly input: ImageShape;
  readonly output: ImageShape;
  readonly kernel: number;
  readonly master: number;
  readonly bias?: number;
  /** Where Winograd's algorithm is used; else the two that follow are there. */
  readonly winograd?: StoredWinograd;
  readonly packed: number;
  /** Indices of the packed taps: all 9 of a 3x3 kernel, of a group those that meet the image. */
  readonly taps: readonly number[];
  /** Of one image, pairs of an output pixel and a tap that are multiplied, for each two channels. */
  readonly products: number;
  readonly classes: readonly ParityClass[];
  /**
   * Offset in the thread's scratch of the input in its zeros; undefined where it is stored
   * and needs none.
   */
  readonly paddedInput?: number;
  readonly inputPadding: Padding;
  /** The same for the output's gradient. */
  readonly paddedGradient?: number;
  readonly gradientPadding: Padding;
  /**
   * Without Winograd's algorithm: images that are worked together, more than one where weights
   * don't stay in cache from one to the next. A group's are in scratch without zeros.
   */
  readonly images: number;
}

/** Addresses of everything. */
export interface Layout {
  readonly training: Plan;
  readonly inference: Plan;
  readonly threads: number;
  readonly scale: number;
  readonly beforePadding: number;
  readonly mean: number;
  readonly planWords: number;
  readonly losses: number;
  readonly logits: number;
  readonly parameters: ReadonlyMap<string, StoredParameter>;
  /** All trainable parameters: the decayed kernels first. */
  readonly weights: { readonly start: number; readonly kernelsEnd: number; readonly end: number };
  /** Of the kernels, in order, those that no image meets: their gradient stays 0. */
  readonly unmet: readonly { readonly start: number; readonly end: number }[];
  /** Bytes from a weight to what the optimiser keeps of it, for each slot. */
  readonly slotOffsets: ReadonlyMap<string, number>;
  readonly gradientOffset: number;
  readonly gradientStride: number;
  readonly convolutions: ReadonlyMap<string, StoredConvolution>;
  /** Of each batch-norm layer, by name: per image, and offset in a thread's coefficients. */
  readonly partials: ReadonlyMap<string, number>;
  readonly coefficientOffsets: ReadonlyMap<string, number>;
  readonly coefficients: number;
  readonly coefficientStride: number;
  readonly scratch: number;
  readonly scratchStride: number;
  /** Offset in a thread's scratch of a double for each class. */
  readonly lossScratch: number;
  /** Offsets in a thread's scratch of three sets of transformed tiles, and of dU, which is 0. */
  readonly tileScratch: readonly [number, number, number];
  readonly weightGradientScratch: number;
  /** Images that a thread evaluates together. */
  readonly inferenceImages: number;
  /** Each image's storage is its own: a thread runs several operations on one image. */
  readonly storage: number;
  readonly storageStride: number;
  readonly inferenceStorage: number;
  readonly inferenceStride: number;
  /** First byte after everything: the data set goes here. */
  readonly end: number;
  /** What is in use below the end, in order: first byte, and how many. The rest is never touched. */
  readonly arrays: readonly (readonly [start: number, bytes: number])[];
}

/** An activation's shape in memory; [C] counts as one pixel. */
export function storedImage(shape: readonly number[]): ImageShape {
  const [height, width, channels] = shape.length === 1 ? [1, 1, shape[0]] : shape;
  return { height, width, channels: roundUp(channels) };
}

/** Lays a network out. */
export function layOut(options: EngineOptions, threads: number): Layout {
  const { graph, batchSize } = options;
  const usesWinograd = (op: ConvolveOp) => options.convolution !== "direct" && suitsWinograd(op);
  const training = planGraph(graph, {
    ...{ training: true, channelMultiple: 4, recompute: true },
    masks: usesWinograd, // the transforms back mask what they write
  });
  const inference = planGraph(graph, { training: false, channelMultiple: 4, recompute: true });
  const inferenceStride = (Math.ceil(4 * inference.storage / 64) + 1) * 64;
  const mostImages = Math.max(1, Math.floor(MOST_GROUP_BYTES / (inferenceStride * threads)));
  let end = CONTROL_BYTES;
  const arrays: [start: number, bytes: number][] = [[0, end]];
  const reserve = (bytes: number): number => {
    const start = end;
    arrays.push([start, bytes]);
    // Whole cache lines, and one more, so that arrays of equal size do not
    // compete for the same cache sets.
    end = (Math.ceil((start + bytes) / 64) + 1) * 64;
    return start;
  };
  const scale = reserve(8);
  const [, , channels] = graph.inputShape;
  const mean = reserve((sizeOf(graph.inputShape) + channels) * 4);
  const planWords = reserve(PLAN_WORDS * 4 * Math.max(batchSize, EVALUATION_IMAGES));
  const losses = reserve(LOSS_BYTES * batchSize);
  const logits = reserve(4 * inference.output.size * EVALUATION_IMAGES);

  const parameters = new Map<string, StoredParameter>();
  const place = (specs: readonly ParameterSpec[]) =>
    specs.forEach((spec) => {
      const size = storedSize(spec);
      parameters.set(spec.name, { spec, address: reserve(4 * size), size });
    });
  const all = parametersOf(graph);
  const start = end;
  place(all.filter((spec) => spec.role === "kernel"));
  const kernelsEnd = end;
  place(all.filter((spec) => spec.trainable && spec.role !== "kernel"));
  const weights = { start, kernelsEnd, end };
  const gradientStride = weights.end - weights.start;
  const slotOffsets = new Map(
    ruleOf(options.optimiser).slots.map((slot) => [slot, reserve(gradientStride) - weights.start]),
  );
  const gradientOffset = end - weights.start;
  arrays.push([end, gradientStride * threads]);
  end += gradientStride * threads;
  place(all.filter((spec) => !spec.trainable));

  // Scratch: one padded image for each geometry, so that its zeros stay zeros.
  let scratchSize = 0;
  const scratchOffsets = new Map<string, number>();
  const scratchFor: ScratchFor = (use, { height, width, channels }, images) => {
    const key = [use, height, width, channels, images].join();
    const known = scratchOffsets.get(key);
    if (known !== undefined) return known;
    const offset = scratchSize;
    scratchSize += (Math.ceil(images * height * width * channels * 4 / 64) + 1) * 64;
    scratchOffsets.set(key, offset);
    return offset;
  };
  const convolutions = new Map<string, StoredConvolution>();
  for (const op of training.forward) {
    if (op.kind !== "convolve") continue;
    const gradient = training.backward.find((other) => other.forward === op)?.outputGradient;
    const isMade = gradient?.maker !== undefined;
    convolutions.set(
      op.node.name,
      layOutConvolution(
        op,
        ...[isMade, usesWinograd(op), mostImages] as const,
        ...[parameters, reserve, scratchFor] as const,
      ),
    );
  }
  const scratchBytes = (bytes: number): number => {
    const offset = scratchSize;
    scratchSize += Math.ceil(bytes / 64) * 64;
    return offset;
  };
  const lossScratch = scratchBytes(training.output.size * 8);
  const transformed = [...convolutions.values()].filter(({ winograd }) => winograd !== undefined);
  const largest = (bytes: (convolution: StoredConvolution) => number) =>
    scratchBytes(Math.max(0, ...transformed.map(bytes)));
  const tiles = ({ winograd, input, output }: StoredConvolution) =>
    PLACES * planeBytes(winograd!.tiles, Math.max(input.channels, output.channels));
  const tileScratch = [largest(tiles), largest(tiles), largest(tiles)] as const;
  const weightGradientScratch = largest(({ input, output }) =>
    PLACES * weightPlaneBytes(input.channels, output.channels)
  );
  const inferenceImages = Math.max(
    1,
    ...[...convolutions.values()].map(({ winograd, images }) => winograd?.images ?? images),
  );

  const partials = new Map<string, number>();
  const coefficientOffsets = new Map<string, number>();
  let coefficientStride = 64;
  for (const node of graph.nodes) {
    if (node.kind !== "batch-norm") continue;
    const stored = storedImage(node.shape).channels;
    partials.set(node.name, reserve(2 * stored * 4 * batchSize));
    coefficientOffsets.set(node.name, coefficientStride);
    coefficientStride += Math.ceil(COEFFICIENTS * stored * 4 / 64) * 64;
  }
  const coefficients = reserve(coefficientStride * threads);
  const scratch = reserve(scratchSize * threads);
  const storageStride = (Math.ceil(4 * training.storage / 64) + 1) * 64;
  const storage = reserve(storageStride * batchSize);
  const inferenceStorage = reserve(inferenceStride * inferenceImages * threads);
  return {
    training,
    inference,
    threads,
    scale,
    beforePadding: scale + 4,
    mean,
    planWords,
    losses,
    logits,
    parameters,
    weights,
    unmet: [...convolutions.values()].flatMap(unmetWeights).sort((a, b) => a.start - b.start),
    slotOffsets,
    gradientOffset,
    gradientStride,
    convolutions,
    partials,
    coefficientOffsets,
    coefficients,
    coefficientStride,
    scratch,
    scratchStride: scratchSize,
    lossScratch,
    tileScratch,
    weightGradientScratch,
    inferenceImages,
    storage,
    storageStride,
    inferenceStorage,
    inferenceStride,
    end,
    arrays,
  };
}

/** All that groups of images in evaluation may take: an image of 640 x 853 takes 67 MB there. */
const MOST_GROUP_BYTES = 2 ** 30;
/** Tiles that a matrix product should have at least, to pay for reading its weights. */
const PRODUCT_TILES = 16;
/** The same where the weights of all products don't stay in cache. */
const LARGE_PRODUCT_TILES = 64;
const CACHED_PRODUCTS = 2 ** 20;

/** Of multiply-adds, how many times as many the direct form must need to pay for the transforms. */
const WINOGRAD_PAYS = 2;

/** 3x3, stride 1, with pixels enough in its tiles and channels enough to pay for the transforms. */
function suitsWinograd({ kernel, stride, padding, input, output, bias }: ConvolveOp): boolean {
  if (kernel !== 3 || stride !== 1 || padding !== 1 || bias) return false;
  const [height, width, channels] = input.shape;
  const saved = kernel * kernel * height * width / (PLACES * tilesOf({ height, width }));
  return Math.min(height, width) >= 4 && saved >= WINOGRAD_PAYS && channels >= 16 &&
    output.shape[2] >= TILE_CHANNELS;
}

/** Reserves room in the scratch for so many images of a shape, the same for each use of it. */
type ScratchFor = (use: string, image: ImageShape, images: number) => number;

/** Weights beyond these bytes don't stay in cache from one image to the next. */
const CACHED_WEIGHTS = 2 ** 18;
/** Pixels that a group should have, to pay for passing over such weights, and images at most. */
const GROUP_PIXELS = 256;
const GROUP_IMAGES = 64;
/** Pixels of an image, beyond which a row fills the register tile by itself. */
const GROUPED_PIXELS = 16;

function imagesOfGroup({ height, width }: ImageShape, weightBytes: number): number {
  const pixels = height * width;
  if (weightBytes <= CACHED_WEIGHTS || pixels > GROUPED_PIXELS) return 1;
  return Math.min(GROUP_IMAGES, Math.ceil(GROUP_PIXELS / pixels));
}

/** The taps of a group's convolution that are not packed, as runs of the weights [tap][C][K]. */
function unmetWeights({ images, taps, master, input, output, kernel }: StoredConvolution) {
  if (images === 1) return [];
  const bytes = 4 * input.channels * output.channels;
  return Array.from({ length: kernel * kernel }, (_, tap) => tap)
    .filter((tap) => !taps.includes(tap))
    .map((tap) => ({ start: master + tap * bytes, end: master + (tap + 1) * bytes }));
}

function layOutConvolution(
  op: ConvolveOp,
  isGradientMade: boolean,
  useWinograd: boolean,
  mostImages: number,
  parameters: ReadonlyMap<string, StoredParameter>,
  reserve: (bytes: number) => number,
  scratchFor: ScratchFor,
): StoredConvolution {
  const { kernel, stride, padding } = op;
  const input = storedImage(op.input.shape);
  const output = storedImage(op.output.shape);
  const tapBytes = 4 * input.channels * output.channels;
  const images = useWinograd
    ? 1
    : Math.min(mostImages, imagesOfGroup(output, kernel * kernel * tapBytes));
  /** A group leaves out what reads zeros alone. */
  const meets = (first: number, count: number, extent: number) =>
    images === 1 || (first < extent && first + count > 0);

  // The parity classes of the input gradient along one axis: which taps, and
  // which output pixel each meets, relative to the class's own counter.
  const along = (extent: number) =>
    Array.from({ length: Math.min(stride, extent) }, (_, first) => ({
      first,
      count: Math.ceil((extent - first) / stride),
      taps: Array.from({ length: kernel }, (_, k) => k)
        .filter((k) => (first + padding - k) % stride === 0)
        .map((k) => ({ k, place: (first + padding - k) / stride })),
    }));
  const down = along(input.height);
  const across = along(input.width);
  const reach = (axis: typeof down, extent: number) => {
    const places = axis.flatMap(({ taps, count }) =>
      taps.map(({ place }) => ({ low: place, high: place + count - 1 }))
    );
    return {
      before: Math.max(0, ...places.map(({ low }) => -low)),
      after: Math.max(0, ...places.map(({ high }) => high - (extent - 1))),
    };
  };
  const reaches = [reach(down, output.height), reach(across, output.width)];
  const before = images > 1 ? 0 : Math.max(...reaches.map((reach) => reach.before));
  const after = images > 1 ? 0 : Math.max(...reaches.map((reach) => reach.after));
  const classes = down.flatMap((rows) =>
    across.map((columns): ParityClass => {
      const pairs = rows.taps.flatMap((row) => columns.taps.map((column) => ({ row, column })))
        .filter(({ row, column }) =>
          meets(row.place, rows.count, output.height) &&
          meets(column.place, columns.count, output.width)
        );
      return {
        y: rows.first,
        x: columns.first,
        height: rows.count,
        width: columns.count,
        taps: pairs.map(({ row, column }) => row.k * kernel + column.k),
        places: pairs.map(({ row, column }) => ({
          row: row.place + before,
          column: column.place + before,
        })),
        weights: useWinograd ? 0 : reserve(tapBytes * pairs.length),
      };
    })
  );
  const inZeros = (use: string, image: ImageShape, { before, after }: Padding): number => {
    const [height, width] = [image.height, image.width].map((size) => before + size + after);
    const { channels } = image;
    return scratchFor(`${use} ${before} ${after}`, { height, width, channels }, images);
  };
  const tiles = tilesOf(output);
  const transformedBytes = PLACES * weightPlaneBytes(input.channels, output.channels);
  const productTiles = transformedBytes > CACHED_PRODUCTS ? LARGE_PRODUCT_TILES : PRODUCT_TILES;
  const groupImages = Math.min(mostImages, Math.max(1, Math.ceil(productTiles / tiles)));
  const beyond = useWinograd ? overhang(output) : 0;
  const inputPadding = images > 1
    ? { before: 0, after: 0 }
    : { before: padding, after: padding + beyond };
  const gradientPadding = { before, after: after + beyond };
  const outputsAlong = (tap: number, input: number, output: number) =>
    images === 1 ? output : outputsOfTap(tap, { stride, padding, input, output }).count;
  const met = Array.from(
    { length: kernel * kernel },
    (_, tap) =>
      outputsAlong(Math.floor(tap / kernel), input.height, output.height) *
      outputsAlong(tap % kernel, input.width, output.width),
  );
  const taps = [...met.keys()].filter((tap) => met[tap] > 0);
  const needsGradientScratch = isGradientMade || before + after > 0 || images > 1;
  return {
    input,
    output,
    master: parameters.get(`${op.node.name}.weight`)!.address,
    bias: parameters.get(`${op.node.name}.bias`)?.address,
    winograd: !useWinograd ? undefined : {
      images: groupImages,
      tiles: groupImages * tiles,
      forward: reserve(transformedBytes),
      backward: reserve(transformedBytes),
    },
    packed: useWinograd ? 0 : reserve(tapBytes * taps.length),
    kernel,
    taps,
    products: met.reduce((sum, count) => sum + count),
    classes,
    paddedInput: padding === 0 && !op.input.maker && images === 1
      ? undefined
      : inZeros("input", input, inputPadding),
    inputPadding,
    paddedGradient: needsGradientScratch ? inZeros("gradient", output, gradientPadding) : undefined,
    gradientPadding,
    images,
  };
}

/** Largest batch, below the options' own, whose layout stays within `limit` bytes; 0 if none. */
export function largestBatch(
  options: EngineOptions,
  threads: number,
  limit: number,
): number {
  // Not by a division: arrays are padded, and scratch grows by steps.
  let [fits, fails] = [0, options.batchSize];
  while (fails - fits > 1) {
    const batchSize = Math.floor((fits + fails) / 2);
    if (layOut({ ...options, batchSize }, threads).end <= limit) fits = batchSize;
    else fails = batchSize;
  }
  return fits;
}
