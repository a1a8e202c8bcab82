/**
 * What a network makes of photographs, view by view: read, cut, and run a part at a time, so that
 * a million of them take no more memory than a hundred, but for their index.
 */
import {
  type BatchNormSettings,
  type ByteImages,
  type Engine,
  EngineError,
  type EngineFactory,
  type EngineOptions,
  freshState,
  newLabels,
  type Normalisation,
  PLAIN_SGD,
} from "../../engine/mod.ts";
import { FileError } from "../../files/mod.ts";
import { quote } from "../../text/mod.ts";
import { type Graph, resized, shapeOf, type Weights } from "../../resnet/mod.ts";
import type { ChannelStatistics } from "../normalisation.ts";
import { type PhotographIndex, readPhotograph } from "./folder.ts";
import { AS_TORCHVISION, type ReadingRules } from "./image_file.ts";
import type { RgbImage } from "./rgb_image.ts";
import { largestSide, requireResizable, type ViewName, type ViewSizes, viewsOf } from "./views.ts";

/** Photographs that are in memory together, and images that pass through a network together. */
const PART = 32;
/** Engines that are kept, one for each size of an image. */
const ENGINES = 2;

/** A network and how it is shown photographs. */
export interface Scoring {
  /** The network, made for images of any size; it is run on every size that a view has. */
  readonly graph: Graph;
  /** Its arrays. */
  readonly weights: Weights;
  /** Batch norm's constants. */
  readonly batchNorm: BatchNormSettings;
  /**
   * What is subtracted and what divides: of each channel, or, in images of the size of a mean image,
   * of each pixel. From images of other sizes the means of its channels are subtracted.
   */
  readonly normalisation: ChannelStatistics | Normalisation;
  /** What it is shown of each photograph. */
  readonly view: ViewName;
  /** The views' sizes; the paper's when undefined. */
  readonly sizes?: ViewSizes;
  /** What runs it. */
  readonly factory: EngineFactory;
  /** Its threads, convolutions and precision, where they are chosen. */
  readonly engine?: Pick<EngineOptions, "threads" | "convolution" | "precision">;
  /** How files are read; as torchvision does when undefined. */
  readonly rules?: ReadingRules;
  /** What is done with a file that is damaged within: the first is an error, or all are told of. */
  readonly broken?: "refuse" | "skip";
}

/** What a network makes of one photograph. */
export interface PhotographScores {
  /** Its place in the index's photographs. */
  readonly place: number;
  /** [classes]: the mean of the views' softmax scores. */
  readonly scores: Float64Array;
  /** Of each view, [classes]. */
  readonly logits: readonly Float32Array[];
  /** Why it has no scores, where it could not be read: then the rest is empty. */
  readonly fault?: string;
}

/**
 * Runs a network on photographs, in their order.
 *
 * @param index Which photographs.
 * @param scoring The network and the view.
 * @param time Told of the milliseconds spent on reading and on computing, part by part.
 * @throws {FileError} If a file is damaged, where that is refused.
 * @throws {EngineError} If an image is too large for the engine.
 *
 * Source: section 3.4; the views' softmax scores are averaged as its authors' README states.
 */
export async function* scorePhotographs(
  index: PhotographIndex,
  scoring: Scoring,
  time: (waited: number, computed: number) => void = () => {},
): AsyncGenerator<PhotographScores> {
  using engines = new Engines(scoring);
  const { rules = AS_TORCHVISION, broken = "refuse", view, sizes } = scoring;
  for (let first = 0; first < index.photographs.length; first += PART) {
    const began = performance.now();
    const end = Math.min(first + PART, index.photographs.length);
    const views: { place: number; view: number; image: RgbImage }[] = [];
    const faults = new Map<number, string>();
    for (let place = first; place < end; place++) {
      try {
        const image = await readPhotograph(index, place, rules);
        const { path } = index.photographs[place];
        requireResizable(image, largestSide(view, sizes), `${index.folder}/${path}`);
        viewsOf(image, view, sizes).forEach((image, view) => views.push({ place, view, image }));
      } catch (error) {
        if (broken === "refuse" || !(error instanceof FileError)) throw error;
        faults.set(place, error.message);
      }
    }
    const read = performance.now();
    const logits = new Map<number, Float32Array[]>();
    const shapes = Map.groupBy(views, ({ image }) => `${image.height} x ${image.width}`);
    for (const same of shapes.values()) {
      let engine: Engine;
      try {
        engine = await engines.engineFor(same[0].image);
      } catch (error) {
        if (!(error instanceof EngineError)) throw error;
        const [{ place, image: { height, width } }] = same;
        const { path } = index.photographs[place];
        const reason = `${quote(path)}, shown as ${height} x ${width} pixels: ${error.message}`;
        if (broken === "refuse") throw new EngineError(reason, { cause: error });
        same.forEach(({ place }) => faults.set(place, reason));
        continue;
      }
      // What fails from here on is no file's fault.
      const found = await engines.run(engine, same.map(({ image }) => image));
      same.forEach(({ place, view }, i) => {
        const all = logits.get(place) ?? [];
        all[view] = found[i];
        logits.set(place, all);
      });
    }
    time(read - began, performance.now() - read);
    for (let place = first; place < end; place++) {
      const fault = faults.get(place);
      const own = logits.get(place) ?? [];
      yield {
        ...{
          place,
          scores: fault === undefined ? meanScores(own) : new Float64Array(),
          logits: own,
        },
        ...(fault === undefined ? {} : { fault }),
      };
    }
  }
}

/**
 * The mean of the softmax scores of several views.
 *
 * @param logits Of each view, [classes].
 * @returns [classes], in double precision; they add up to 1.
 *
 * @example
 * ```ts
 * import { meanScores } from "./scores.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const views = [Float32Array.of(0, 0), Float32Array.of(0, Math.log(3))];
 * assertEquals(meanScores(views).map((score) => Math.round(1000 * score)), Float64Array.of(375, 625));
 * ```
 */
export function meanScores(logits: readonly Float32Array[]): Float64Array {
  const mean = new Float64Array(logits[0].length);
  for (const view of logits) {
    const most = view.reduce((a, b) => Math.max(a, b), -Infinity);
    const sum = view.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
    view.forEach((logit, k) => mean[k] += Math.exp(logit - most) / sum / logits.length);
  }
  return mean;
}

/** The network for each size of an image, the latest of them. */
class Engines implements Disposable {
  readonly #scoring: Scoring;
  readonly #classes: number;
  readonly #engines = new Map<string, Engine>();

  constructor(scoring: Scoring) {
    this.#scoring = scoring;
    this.#classes = shapeOf(scoring.graph, scoring.graph.output)[0];
  }

  /** Logits of images of one size, by the engine for it. */
  async run(engine: Engine, images: readonly RgbImage[]): Promise<Float32Array[]> {
    const logits: Float32Array[] = [];
    for (let first = 0; first < images.length; first += PART) {
      engine.feed("test", joined(images.slice(first, first + PART), this.#classes));
      const { logits: found, images: count } = await engine.evaluate("test");
      for (let i = 0; i < count; i++) {
        logits.push(found.slice(i * this.#classes, (i + 1) * this.#classes));
      }
    }
    return logits;
  }

  /** The engine for images of a size, loaded. */
  async engineFor({ height, width }: RgbImage): Promise<Engine> {
    const size = `${height} x ${width}`;
    const known = this.#engines.get(size);
    if (known) {
      // The latest stand last.
      this.#engines.delete(size);
      this.#engines.set(size, known);
      return known;
    }
    if (this.#engines.size === ENGINES) {
      const [[oldest, engine]] = this.#engines;
      engine.dispose();
      this.#engines.delete(oldest);
    }
    const { graph, batchNorm, factory } = this.#scoring;
    const fitting = resized(graph, [height, width, 3]);
    const engine = await factory.create({
      ...{ graph: fitting, batchSize: 1, optimiser: PLAIN_SGD, cropPadding: 0, batchNorm },
      ...this.#scoring.engine,
    });
    try {
      await this.#load(engine, fitting);
    } catch (error) {
      engine.dispose();
      throw error;
    }
    this.#engines.set(size, engine);
    return engine;
  }

  async #load(engine: Engine, fitting: Graph): Promise<void> {
    const { weights, normalisation } = this.#scoring;
    const [height, width] = fitting.inputShape;
    const room = (count: number): ByteImages => ({
      ...{ count, height, width, channels: 3, pixels: new Uint8Array(count * height * width * 3) },
      ...{ labels: newLabels(count, this.#classes), classes: this.#classes },
    });
    await engine.load({
      ...{ train: room(1), test: room(PART) },
      normalisation: normalisationFor(normalisation, height, width),
    });
    await engine.importState(freshState(fitting, PLAIN_SGD, weights));
  }

  [Symbol.dispose](): void {
    for (const engine of this.#engines.values()) engine.dispose();
  }
}

/** A normalisation for images of a size; mean images are square. */
function normalisationFor(
  given: ChannelStatistics | Normalisation,
  height: number,
  width: number,
): Normalisation {
  const length = height * width * 3;
  const { mean, std } = given;
  const rest = "scale" in given ? given : { scale: 1 / 255, beforePadding: true };
  if (mean instanceof Float32Array && mean.length === length && height === width) {
    return { ...rest, mean, std: Float32Array.from(std) };
  }
  const sums = [0, 0, 0];
  mean.forEach((value, i) => sums[i % 3] += value);
  const means = sums.map((sum) => sum / (mean.length / 3));
  return {
    ...rest,
    mean: Float32Array.from({ length }, (_, i) => means[i % 3]),
    std: Float32Array.from(std),
  };
}

/** Images of one size as a set. Their labels are not looked at. */
function joined(images: readonly RgbImage[], classes: number): ByteImages {
  const [{ height, width }] = images;
  const pixels = new Uint8Array(images.length * height * width * 3);
  images.forEach((image, i) => pixels.set(image.pixels, i * height * width * 3));
  const labels = newLabels(images.length, classes);
  return { count: images.length, height, width, channels: 3, pixels, labels, classes };
}
