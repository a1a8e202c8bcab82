/**
 * Which class a network takes images for: what the command and the page in a browser both do. Files
 * are reached by `files/`, so that the same bytes give the same numbers in both.
 */
import {
  afterTransform,
  arrangedImages,
  atOwnSize,
  classesOf,
  MEASURED_PREPROCESSINGS,
  type Model,
  networkOf,
  paddingOf,
  preparationFor,
  readModel,
  type Runnable,
} from "../../audit/mod.ts";
import {
  type Dataset,
  type DatasetName,
  datasetNamed,
  loadDataset,
  PHOTOGRAPHS,
} from "../../data/mod.ts";
import {
  decodeImage,
  fitImage,
  IMAGENET_CLASSES,
  type RgbImage,
  spokenClass,
} from "../../data/photographs/mod.ts";
import {
  type ByteImages,
  freshState,
  newLabels,
  type Normalisation,
  PLAIN_SGD,
  wasmEngine,
} from "../../engine/mod.ts";
import { attempt, readWhole } from "../../files/mod.ts";
import { PAPER_DATASET } from "../../paper/mod.ts";
import { paper } from "../../recipes/mod.ts";
import { fitWeights, type ZeroChannels } from "../../resnet/mod.ts";
import { percent } from "../../text/mod.ts";
import { type Prediction, predictionPage } from "./page.ts";

/** How many classes are named. */
const TOP = 5;
/** Pixels a side of the picture for people. */
const SHOWN = 192;
/** Images that go through the network at once. */
const BATCH = 32;

/** A network that can't say anything of these images, and what to do. */
export class PredictionError extends Error {
  /** The class's name, for messages. */
  override name = "PredictionError";
}

/** How images are shown to a network. */
export interface PredictOptions {
  /** One of `PREPROCESSINGS`; the weights' own run's, else the paper's, when undefined. */
  readonly preprocess?: string;
  /** The zero channels of option A; as the weights' own run had them, else behind, when undefined. */
  readonly zeroChannels?: ZeroChannels;
  /** The images that the network was trained on; as the weights say, else CIFAR-10, when undefined. */
  readonly dataset?: DatasetName;
  /** Where those are, for a preprocessing that is measured on them. */
  readonly from?: { readonly path?: string; readonly cache?: string };
}

/** What a network takes images for. */
export interface Predicted {
  /** For a terminal. */
  readonly text: string;
  /** For programs. */
  readonly json: unknown;
  /** The same as a page. */
  readonly page: () => string;
}

/**
 * Says which class a network takes images for: the five likeliest, with their probabilities.
 *
 * @param weights Path of the network: any file that an audit reads, or a run's weights.
 * @param paths Of the images: JPEG, PNG or WebP.
 * @param options How they are shown to it.
 * @throws {PredictionError} If the network takes no such images. And what reading the files throws.
 *
 * @example
 * ```ts
 * import { assertRejects } from "@std/assert";
 * import { predict } from "./mod.ts";
 *
 * await assertRejects(() => predict("no/such.pth", ["a.png"]), Error, "could not be read");
 * ```
 */
export async function predict(
  weights: string,
  paths: readonly string[],
  options: PredictOptions = {},
): Promise<Predicted> {
  const model = await readModel(weights);
  const stated = model.identity?.recipe.architecture.zeroChannels;
  const zeroChannels = options.zeroChannels ??
    (stated === undefined || stated === "none" ? "append" : stated);
  const network = atOwnSize(model, networkOf(model, zeroChannels).network);
  const { graph } = network;
  const [height, width, channels] = graph.inputShape;
  if (channels !== 3) {
    throw new PredictionError(`${graph.name} takes images of ${channels} channels, not of three`);
  }
  const read = await Promise.all(paths.map(async (path) => {
    const bytes = await attempt("read", path, () => readWhole(path));
    const image = await decodeImage(bytes, path);
    // The image itself may be large; what is kept of it is not.
    return {
      input: fitImage(image, height, width),
      shown: fitImage(image, SHOWN, Math.round(SHOWN * width / height)),
    };
  }));
  const { classNames, normalisation, of, arranged } = await preparation(
    options,
    model,
    read.map(({ input }) => input),
  );
  const names = classNames.length === classesOf(graph)
    ? classNames
    : classesOf(graph) === IMAGENET_CLASSES.length
    ? IMAGENET_CLASSES.map(({ wnid }) => spokenClass(wnid))
    : Array.from({ length: classesOf(graph) }, (_, i) => `class ${i}`);
  const logits = await run(network, weights, arranged, normalisation);
  const predictions = paths.map((image, i): Prediction => ({
    ...{ image, top: likeliest(logits[i], names) },
    ...read[i],
  }));
  const padding = paddingOf(graph) ?? "none";
  const note = `${graph.name} with ${of}; zero channels: ${padding}`;
  return {
    text: [
      note,
      ...predictions.flatMap(({ image, top }) => [
        image,
        ...top.map(({ class: name, probability }) =>
          `${percent(probability).padStart(9)}  ${name}`
        ),
      ]),
    ].join("\n"),
    json: {
      ...{ network: graph.name, preprocess: of, zeroChannels: padding },
      predictions: predictions.map(({ image, top }) => ({ image, top })),
    },
    page: () => predictionPage(graph.name, predictions, [note]),
  };
}

interface Prepared {
  readonly classNames: readonly string[];
  readonly normalisation: Normalisation;
  readonly of: string;
  /** The images, as bytes of one array. */
  readonly arranged: ByteImages;
}

/** How the images become the network's input. */
async function preparation(
  { preprocess, dataset: asked, from = {} }: PredictOptions,
  { identity, subject, classes, preparation: own }: Model,
  inputs: readonly RgbImage[],
): Promise<Prepared> {
  const set = asked ?? identity?.recipe.data.set ?? PAPER_DATASET;
  if (set === PHOTOGRAPHS && classes && own && preprocess === undefined) {
    const arranged = joined(inputs, classes.length);
    return { classNames: classes, ...own, arranged };
  }
  if (set === PHOTOGRAPHS && classes && (preprocess ?? identity?.recipe.data.mean) === "imagenet") {
    const images = joined(inputs, classes.length);
    const constants = { train: images } as Dataset;
    const { normalisation, of, way } = preparationFor(constants, identity, "imagenet");
    return { classNames: classes, normalisation, of, arranged: arrangedImages(images, way ?? {}) };
  }
  if (set === PHOTOGRAPHS) {
    throw new PredictionError(
      `${subject.target} ${
        classes
          ? `was trained on photographs with another preparation${
            own ? ", which it holds: leave out --preprocess" : ", which it does not hold"
          }`
          : "was trained on photographs, whose classes it does not name. Test it on a folder of them: deno task evaluate --weights FILE --data FOLDER --view 1-crop"
      }`,
    );
  }
  const { classNames } = datasetNamed(set);
  const images = joined(inputs, classNames.length);
  const isConstant = preprocess !== undefined && !MEASURED_PREPROCESSINGS.includes(preprocess);
  // Constants are the same whatever the images are.
  const dataset: Pick<Dataset, "train"> = isConstant
    ? { train: images }
    : await loadDataset(set, from);
  const { height, width } = dataset.train;
  if (height !== images.height || width !== images.width) {
    throw new PredictionError(
      `${subject.target} takes images of ${images.height}x${images.width}, and those of ${set} are ${height}x${width}, so that its mean does not fit. Say --preprocess with constants`,
    );
  }
  const { normalisation, of, way } = preparationFor(dataset as Dataset, identity, preprocess);
  return { classNames, normalisation, of, arranged: arrangedImages(images, way ?? {}) };
}

function joined(inputs: readonly RgbImage[], classes: number): ByteImages {
  const [{ height, width }] = inputs;
  const size = height * width * 3;
  const pixels = new Uint8Array(inputs.length * size);
  inputs.forEach((image, i) => pixels.set(image.pixels, i * size));
  const labels = newLabels(inputs.length, classes);
  return { count: inputs.length, height, width, channels: 3, pixels, labels, classes };
}

/** What the network gives for each image. */
async function run(
  { graph, weights, epsilon, inputTransform }: Runnable["network"],
  path: string,
  { count, height, width, pixels }: ByteImages,
  measured: Normalisation,
): Promise<readonly Float32Array[]> {
  const { scale, mean, std } = inputTransform ? afterTransform(measured, inputTransform) : measured;
  const size = height * width * 3;
  const values = Float32Array.from(
    pixels,
    (byte, i) => (byte * scale - mean[i % size]) / std[i % 3],
  );
  const { batchNorm } = paper("resnet20");
  const engine = await wasmEngine.create({
    ...{ graph, batchSize: Math.min(BATCH, count), optimiser: PLAIN_SGD, cropPadding: 0 },
    batchNorm: { ...batchNorm, epsilon: epsilon ?? batchNorm.epsilon },
  });
  try {
    await engine.importState(freshState(graph, PLAIN_SGD, fitWeights(graph, weights, path)));
    const logits: Float32Array[] = [];
    for (let at = 0; at < count; at += BATCH) {
      const images = Math.min(BATCH, count - at);
      const input = values.slice(at * size, (at + images) * size);
      const { output } = await engine.probe({ input, images, mode: "inference" });
      const classes = output.length / images;
      for (let i = 0; i < images; i++) logits.push(output.slice(i * classes, (i + 1) * classes));
    }
    return logits;
  } finally {
    engine.dispose();
  }
}

function likeliest(logits: Float32Array, names: readonly string[]): Prediction["top"] {
  const most = Math.max(...logits);
  const exponentials = Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value, label) => ({
    label,
    class: names[label],
    // No more digits than the logits have: the next ones depend on whose exponential it is.
    probability: Number((value / sum).toPrecision(7)),
  }))
    .toSorted((a, b) => b.probability - a.probability)
    .slice(0, TOP);
}
