/**
 * How a run's images reach its engine: held by it, or read beside the training and fed to it a part
 * at a time. The rest of the loop does not know which.
 */
import {
  DataError,
  hasTopFive,
  PHOTOGRAPHS,
  type StreamedFault,
  topFiveErrors,
} from "../data/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  type Engine,
  type EngineData,
  EngineError,
  type Evaluation,
  type Labels,
  labelsAt,
  newLabels,
} from "../engine/mod.ts";
import type { ImageSample, Scores } from "../log/mod.ts";
import { quote } from "../text/mod.ts";
import {
  augmentedSample,
  type Mistake,
  mistakesIn,
  type ResponseSubject,
  sampleOf,
  SHOWN,
  surest,
} from "./_artefacts.ts";
import { requireFiniteLoss } from "./_checks.ts";
import type { Prepared } from "./_prepare.ts";
import type { PhotographFacts } from "./checkpoint.ts";

/** Training images on which the layers' responses are measured where images are large. */
const RESPONSE_PHOTOGRAPHS = 16;

/** Bytes of a mean that weights hold: in a file's header, which readers expect to be short. */
const LARGEST_MEAN = 2 ** 21;

/** A run's images and what looks at them. */
export interface Shown {
  readonly prepared: Prepared;
  readonly engine: Engine;
  /** Takes note of files that could not be read. */
  readonly leaveOut: (faults: readonly StreamedFault[]) => void;
  /** Ends an evaluation of images that are read part by part: its reason is thrown. */
  readonly signal?: AbortSignal;
}

/** How far a run has come, and whether a checkpoint was written. */
interface Progressed {
  readonly iteration: number;
  readonly saved: boolean;
}

/** What an engine is loaded with: all images, or room for as many as are fed to it at once. */
export function loadedFirst(
  { dataset, recipe }: Prepared,
): Pick<EngineData, "train" | "test"> {
  const { train, test, stream } = dataset;
  if (!stream) return { train, test };
  const room = (images: ByteImages, count: number): ByteImages => ({
    ...{ ...images, count, labels: newLabels(count, images.classes) },
    pixels: new Uint8Array(count * images.height * images.width * images.channels),
  });
  return { train: room(train, recipe.batchSize), test: room(test, stream.window) };
}

/** A batch that was fed to the engine. */
export interface FedBatch {
  /** It, as it now lies in the engine. */
  readonly plan: BatchPlan;
  /** Seconds that went by until its images were there. */
  readonly waited: number;
}

/** Feeds the engine the images of a step; undefined where it holds them. */
export async function fedBatch(
  { prepared, engine, leaveOut }: Shown,
  iteration: number,
  last: number,
): Promise<FedBatch | undefined> {
  const { dataset: { stream }, batches, normalisation } = prepared;
  if (!stream) return undefined;
  const asked = performance.now();
  const { images, shifts, faults } = await stream.batch(
    iteration,
    (next) => next <= last ? batches.plan(next).indices : undefined,
  );
  const waited = (performance.now() - asked) / 1000;
  leaveOut(faults);
  // Shifts are of pixels in 0..1, and engines take them in the scaled unit.
  engine.feed("train", images, shifts?.map((shift) => shift * 255 * normalisation.scale));
  return { plan: inTheirOrder(images.count), waited };
}

/** An evaluation, with what was evaluated. Logits are not kept: of a large set they are many. */
export interface Evaluated extends Omit<Evaluation, "logits"> {
  /** [N]. */
  readonly labels: Labels;
  /** Images whose class is not among the five likeliest, where that is counted. */
  readonly errors5: number | undefined;
  /** The wrong images of which the network was surest. */
  readonly mistakes: readonly Mistake[];
}

/** The images that are held out, or those of the test set, in test mode. */
export async function evaluated(
  { prepared, engine, leaveOut, signal }: Shown,
  set: "validation" | "test",
): Promise<Evaluated> {
  const { dataset: { name, train, test, stream }, validation } = prepared;
  const { classes } = test;
  const hasFive = hasTopFive(name, classes);
  if (!stream) {
    const isTest = set === "test";
    const found = isTest
      ? await engine.evaluate("test")
      : await engine.evaluate("train", validation);
    const indices = isTest ? Uint32Array.from(test.labels, (_, i) => i) : validation;
    const labels = labelsAt((isTest ? test : train).labels, indices);
    return {
      ...{ ...found, labels, mistakes: mistakesIn({ ...found, labels, indices }, classes) },
      errors5: hasFive ? topFiveErrors(found.logits, labels, classes) : undefined,
    };
  }
  // A folder holds out its other half, on which it is tested too.
  let [images, errors, errors5, loss] = [0, 0, 0, 0];
  let mistakes: Mistake[] = [];
  const predictions = newLabels(test.count, classes);
  const labels = newLabels(test.count, classes);
  const faults: StreamedFault[] = [];
  for await (const part of stream.tested("test")) {
    signal?.throwIfAborted();
    leaveOut(part.faults);
    faults.push(...part.faults);
    if (part.images.count === 0) continue;
    engine.feed("test", part.images);
    const found = await engine.evaluate("test");
    const own = { labels: part.images.labels, indices: part.indices };
    mistakes = surest([...mistakes, ...mistakesIn({ ...found, ...own }, classes)]);
    if (hasFive) errors5 += topFiveErrors(found.logits, own.labels, classes);
    predictions.set(found.predictions, images);
    labels.set(own.labels, images);
    images += found.images;
    errors += found.errors;
    loss += found.loss * found.images;
  }
  if (images === 0) {
    const [{ path, reason }] = faults;
    throw new DataError(
      `none of the ${faults.length} photographs to validate on can be read, ${
        quote(path)
      } for one: ${reason}`,
    );
  }
  return {
    ...{ images, errors, loss: loss / images, mistakes },
    errors5: hasFive ? errors5 : undefined,
    predictions: predictions.subarray(0, images),
    labels: labels.subarray(0, images),
  };
}

/**
 * What an evaluation found, as the log has it.
 *
 * @throws {TrainingError} If its loss is not finite.
 */
export function scoresOf(
  { iteration, saved }: Progressed,
  { images, errors, loss, errors5 }: Evaluated,
): Scores {
  requireFiniteLoss({ iteration, loss }, saved, "test");
  const found = { images, errors, error: errors / images, loss };
  return errors5 === undefined ? found : { ...found, errors5, error5: errors5 / images };
}

/** What weights say of the photographs that they were trained on: no set's name tells it. */
export function photographFacts(
  { dataset: { name, classNames: classes }, recipe, normalisation, data }: Prepared,
): PhotographFacts | undefined {
  if (name !== PHOTOGRAPHS) return undefined;
  const { mean, std } = recipe.data;
  const isKnown = mean === "imagenet" && std === "imagenet" ||
    normalisation.mean.byteLength > LARGEST_MEAN;
  return { classes, ...(isKnown ? {} : { preparation: { normalisation, ...data.mean } }) };
}

/** The first images of a run as the network's input shows them. */
export async function firstBatch({ dataset, batches, recipe }: Prepared): Promise<ImageSample> {
  const { train, stream } = dataset;
  const plan = batches.plan(1);
  if (!stream) return augmentedSample(train, plan, recipe.data.cropPadding);
  const { images, indices } = await stream.batch(
    1,
    (next) => next === 1 ? plan.indices : undefined,
  );
  const small = stream.thumbnails(images);
  return sampleOf(
    small,
    Array.from(
      { length: Math.min(SHOWN, small.count) },
      (_, place) => [place, { index: indices[place], label: images.labels[place] }] as const,
    ),
  );
}

/** The wrong images of the test set of which the network was surest. */
export async function mistakesOf(
  { prepared: { dataset: { test, stream } } }: Shown,
  { mistakes }: Evaluated,
): Promise<ImageSample> {
  if (!stream) return sampleOf(test, mistakes.map((mistake) => [mistake.index, mistake] as const));
  const pictures = new Map<number, ByteImages>();
  const indices = Uint32Array.from(mistakes, ({ index }) => index);
  for await (const part of stream.tested("test", indices)) {
    const small = stream.thumbnails(part.images);
    const size = small.height * small.width * small.channels;
    part.indices.forEach((index, i) => {
      const pixels = small.pixels.subarray(i * size, (i + 1) * size);
      pictures.set(index, { ...small, count: 1, pixels });
    });
  }
  const samples = mistakes.flatMap((mistake) => {
    const picture = pictures.get(mistake.index);
    return picture ? [sampleOf(picture, [[0, mistake]])] : [];
  });
  const { height, width } = samples[0] ?? stream.thumbnails({ ...test, count: 0 });
  return { height, width, images: samples.flatMap(({ images }) => images) };
}

/** The training images on which the layers' responses are measured. */
export async function responseImages(
  { prepared: { dataset: { train, stream }, training } }: Shown,
): Promise<Pick<ResponseSubject, "images" | "indices">> {
  if (!stream) return { images: train, indices: training };
  for (let first = 0; first < training.length; first += RESPONSE_PHOTOGRAPHS) {
    const some = training.slice(first, first + RESPONSE_PHOTOGRAPHS);
    for await (const { images } of stream.tested("train", some)) {
      if (images.count > 0) return { images, indices: inTheirOrder(images.count).indices };
    }
  }
  throw new EngineError("there are no training images to measure the responses of layers on");
}

/** All images that were fed, as they are. */
function inTheirOrder(count: number): BatchPlan {
  return {
    indices: Uint32Array.from({ length: count }, (_, i) => i),
    cropY: new Uint8Array(count),
    cropX: new Uint8Array(count),
    flip: new Uint8Array(count),
  };
}
