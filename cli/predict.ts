/**
 * Says which class a network takes images for.
 *
 * `deno task predict --weights runs/resnet20-cifar10-seed0/weights.safetensors photo.jpg`
 */
import { cacheOption } from "./_arguments.ts";
import {
  afterTransform,
  arrangedImages,
  MEASURED_PREPROCESSINGS,
  PREPROCESSINGS,
} from "../audit/mod.ts";
import { type Dataset, datasetNamed, loadDataset } from "../data/mod.ts";
import { decodeImage, fitImage, type RgbImage } from "../data/photographs/mod.ts";
import {
  type ByteImages,
  freshState,
  newLabels,
  type Normalisation,
  PLAIN_SGD,
  wasmEngine,
} from "../engine/mod.ts";
import { attempt, readWhole, writeWhole } from "../files/mod.ts";
import { PAPER_DATASET } from "../paper/mod.ts";
import { paper } from "../recipes/mod.ts";
import { type Prediction, predictionPage } from "../reports/mod.ts";
import { fitWeights } from "../resnet/mod.ts";
import { percent } from "../text/mod.ts";
import { choice, COMMON, type FlagValues, text, UsageError } from "./_flags.ts";
import { CommandError, main, type Outcome } from "./_main.ts";
import { preparationFor } from "./_preprocess.ts";
import { DATA_FLAGS, PADDING_FLAG } from "./_training_flags.ts";
import {
  classesOf,
  type Model,
  networkOf,
  paddingOf,
  readModel,
  type Runnable,
} from "./_weights.ts";

/** How many classes are named. */
const TOP = 5;
/** Pixels a side of the picture for people. */
const SHOWN = 192;
/** Images that go through the network at once. */
const BATCH = 32;

const FLAGS = {
  weights: text("FILE", "the network: any file that audit reads, or a run's weights.safetensors"),
  preprocess: choice(
    PREPROCESSINGS,
    "what the weights were trained on; a run's own says, else per-pixel",
  ),
  html: text("FILE", "write a page with the images as well"),
  ...PADDING_FLAG,
  ...DATA_FLAGS,
  data: text(
    "PATH",
    "folder or .tar.gz archive of the data set's binary version; the cache's by default",
  ),
  ...COMMON,
} as const;

const command = {
  usage: "deno task predict",
  summary:
    "Says which class a network takes images for: the five likeliest, with their probabilities.\n" +
    "JPEG, PNG and WebP files are read. Of each the largest square in its middle is taken and made as\n" +
    "small as the network's input by a weighted mean (Pillow's BILINEAR). A preprocessing that is\n" +
    "measured on training images needs the data set that the network was trained on.",
  positional: "IMAGE...",
  flags: FLAGS,
} as const;

async function predict(flags: FlagValues<typeof FLAGS>, ...paths: string[]): Promise<Outcome> {
  if (flags.weights === undefined || paths.length === 0) {
    throw new UsageError(
      `${command.usage} needs --weights FILE and an image. See ${command.usage} --help`,
    );
  }
  const model = await readModel(flags.weights);
  const stated = model.identity?.recipe.architecture.zeroChannels;
  const zeroChannels = flags["shortcut-padding"] ??
    (stated === undefined || stated === "none" ? "append" : stated);
  const { network } = networkOf(model, zeroChannels);
  const { graph } = network;
  const [height, width, channels] = graph.inputShape;
  if (channels !== 3) {
    throw new CommandError(`${graph.name} takes images of ${channels} channels, not of three`);
  }
  const read = await Promise.all(paths.map(async (path) => {
    const bytes = await attempt("read", path, () => readWhole(path));
    return await decodeImage(bytes, path);
  }));
  const inputs = read.map((image) => fitImage(image, height, width));
  const { classNames, normalisation, of, arranged } = await preparation(flags, model, inputs);
  const names = classNames.length === classesOf(graph)
    ? classNames
    : Array.from({ length: classesOf(graph) }, (_, i) => `class ${i}`);
  const logits = await run(network, flags.weights, arranged, normalisation);
  const predictions = paths.map((image, i): Prediction => ({
    ...{ image, top: likeliest(logits[i], names), input: inputs[i] },
    shown: fitImage(read[i], SHOWN, Math.round(SHOWN * width / height)),
  }));
  const note = `${graph.name} with ${of}; zero channels: ${paddingOf(graph) ?? "none"}`;
  const { html } = flags;
  if (html !== undefined) {
    const page = predictionPage(graph.name, predictions, [note]);
    await attempt("write", html, () => writeWhole(html, page));
  }
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
      ...{ network: graph.name, preprocess: of, zeroChannels: paddingOf(graph) ?? "none" },
      predictions: predictions.map(({ image, top }) => ({ image, top })),
    },
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
  flags: FlagValues<typeof FLAGS>,
  { identity, subject }: Model,
  inputs: readonly RgbImage[],
): Promise<Prepared> {
  const set = flags.dataset ?? identity?.recipe.data.set ?? PAPER_DATASET;
  const { classNames } = datasetNamed(set);
  const { preprocess } = flags;
  const images = joined(inputs, classNames.length);
  const isConstant = preprocess !== undefined && !MEASURED_PREPROCESSINGS.includes(preprocess);
  // Constants are the same whatever the images are.
  const dataset: Pick<Dataset, "train"> = isConstant ? { train: images } : await trainingSet();
  const { height, width } = dataset.train;
  if (height !== images.height || width !== images.width) {
    throw new CommandError(
      `${subject.target} takes images of ${images.height}x${images.width}, and those of ${set} are ${height}x${width}, so that its mean does not fit. Say --preprocess with constants`,
    );
  }
  const { normalisation, of, way } = preparationFor(
    dataset as Dataset,
    identity,
    preprocess,
  );
  return { classNames, normalisation, of, arranged: arrangedImages(images, way ?? {}) };

  async function trainingSet(): Promise<Dataset> {
    return await loadDataset(set, flags.data === undefined ? cacheOption() : { path: flags.data });
  }
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
    probability: value / sum,
  }))
    .toSorted((a, b) => b.probability - a.probability)
    .slice(0, TOP);
}

if (import.meta.main) await main(command, predict);
