/**
 * Measures the test error of a weight file: of a run of ours or of anybody's.
 *
 * `deno task evaluate --weights resnet20.th --preprocess imagenet --shortcut-padding split`
 */
import { cacheOption } from "./_arguments.ts";
import {
  afterTransform,
  arrangedImages,
  blueFirst,
  classesOf,
  isOneSided,
  type Model,
  networkLike,
  networkOf,
  preparationFor,
  PREPROCESSINGS,
  type RankedTrial,
  readModel,
  type Runnable,
  searchOn,
} from "../audit/mod.ts";
import { PAPER_DATASET } from "../paper/mod.ts";
import {
  type Dataset,
  hasTopFive,
  loadDataset,
  normalisedBatch,
  PHOTOGRAPHS,
  topFiveErrors,
} from "../data/mod.ts";
import {
  type ByteImages,
  chooseEngine,
  type Engine,
  engineFactories,
  type Evaluation,
  freshState,
  type Normalisation,
  PLAIN_SGD,
  selfTest,
} from "../engine/mod.ts";
import { architecture, fitWeights, type Graph } from "../resnet/mod.ts";
import { paper } from "../recipes/mod.ts";
import { choice, COMMON, type FlagValues, text, UsageError } from "./_flags.ts";
import { CommandError, main, type Outcome } from "./_main.ts";
import { requireApart, requirePlaces } from "./_place.ts";
import { doubtsOn } from "./_doubts.ts";
import { telling } from "./_search.ts";
import { number as count, percent } from "../text/mod.ts";
import { engineLine, ProgressPrinter } from "./_progress.ts";
import { evaluateViews, requireViewFlags, VIEW_FLAGS } from "./_views.ts";
import { DATA_FLAGS, ENGINE_FLAGS, PADDING_FLAG } from "./_training_flags.ts";
import { namedGraph, shortcutOf, weightsFor } from "./_weights.ts";

/** Images that pass together. */
const BATCH = 128;

const FLAGS = {
  weights: text("FILE", "the weights, in any format that audit reads"),
  arch: text("NAME", "the network; told from the file's names and shapes by default"),
  preprocess: choice(
    [...PREPROCESSINGS, "auto"],
    "what the weights were trained on; per-pixel by default; auto: as an audit finds it",
  ),
  mode: choice(
    ["test", "train"],
    "batch norm by its running statistics, or by those of each batch, as where eval() is forgotten",
  ),
  ...PADDING_FLAG,
  ...DATA_FLAGS,
  ...VIEW_FLAGS,
  ...ENGINE_FLAGS,
  ...COMMON,
} as const;

const command = {
  usage: "deno task evaluate",
  summary: "Measures the test error of a weight file. Files of our own runs say how they were\n" +
    "trained; for others, state the preprocessing and the shortcut's padding.\n" +
    "With --view: the top-1 and top-5 error on a folder of photographs, a folder for each class;\n" +
    "of a folder with val in it, on that.",
  flags: FLAGS,
} as const;

async function evaluate(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  if (flags.weights === undefined) {
    throw new UsageError(`${command.usage} needs --weights FILE. See ${command.usage} --help`);
  }
  requireViewFlags(flags);
  await requirePlaces(flags.html);
  await requireApart([flags.weights, ...(flags.classes ? [flags.classes] : [])], flags.html);
  const model = await readModel(flags.weights);
  const { file, identity } = model;
  const stated = (identity?.recipe ?? paper("resnet20")).architecture.zeroChannels;
  const asked = flags["shortcut-padding"] ?? (stated === "none" ? "append" : stated);
  if (flags.view !== undefined) {
    return await evaluateViews(flags, model, networkFor(flags, model, asked));
  }
  const printer = new ProgressPrinter();
  const set = flags.dataset ?? identity?.recipe.data.set ?? PAPER_DATASET;
  if (set === PHOTOGRAPHS) {
    throw new CommandError(
      `${flags.weights} was trained on photographs. Say which to test it on, and what of each: --data FOLDER --view 1-crop`,
    );
  }
  const dataset = await loadDataset(set, {
    ...(flags.data === undefined ? cacheOption() : { path: flags.data }),
    onProgress: (progress) => printer.download(progress),
  });
  const given = flags.arch === undefined
    ? networkOf(model, asked).network
    : namedNetwork(flags.arch, model, dataset.test, asked);
  const auto = flags.preprocess === "auto"
    ? await foundBy(dataset, model, flags.arch === undefined ? undefined : given, flags)
    : undefined;
  const network = auto?.candidate ?? given;
  const { graph, inputTransform } = network;
  const fitted = fitWeights(graph, network.weights, flags.weights);
  const weights = auto?.preprocessing.channels === "BGR" ? blueFirst(graph, fitted) : fitted;
  const classes = classesOf(graph);
  if (classes !== dataset.test.classes) {
    throw new CommandError(
      `${flags.weights} tells ${classes} classes apart, ${set} has ${dataset.test.classes}. Choose another --dataset`,
    );
  }
  expectInput(graph, dataset.test, flags.weights);
  const arch = graph.name;
  const measured = preparationFor(dataset, identity, auto?.preprocessing.id ?? flags.preprocess);
  const optionA = graph.nodes.find((node) => node.kind === "shortcut-a");
  const zeroChannels = optionA?.zeroChannels ?? "none";
  printer.line(
    `${arch} with ${measured.of}; zero channels: ${zeroChannels}${
      isOneSided(graph) ? "; padded as TensorFlow pads (--preprocess auto tries PyTorch's too)" : ""
    }`,
  );
  if (identity && !flags.preprocess && measured.sha256 !== identity.meanSha256) {
    printer.line("warning: the mean measured on this data is not the one of the weights' training");
  }

  const { factory, reason } = await chooseEngine(flags.engine ?? "auto", engineFactories);
  await selfTest(factory);
  const { batchNorm } = identity?.recipe ?? paper("resnet20");
  const engine = await factory.create({
    ...{ graph, batchSize: BATCH, optimiser: PLAIN_SGD, cropPadding: 0 },
    batchNorm: { ...batchNorm, epsilon: network.epsilon ?? batchNorm.epsilon },
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
    ...(flags.convolution === undefined ? {} : { convolution: flags.convolution }),
    ...(flags.precision === undefined ? {} : { precision: flags.precision }),
  });
  try {
    printer.line(engineLine(engine, flags.verbose ? reason : ""));
    const tested = arrangedImages(dataset.test, measured.way ?? {});
    const normalisation = inputTransform
      ? afterTransform(measured.normalisation, inputTransform)
      : measured.normalisation;
    await engine.load({ train: dataset.train, test: tested, normalisation });
    await engine.importState(freshState(graph, PLAIN_SGD, weights));
    const { images, errors, loss, logits } = flags.mode === "train"
      ? await inTrainingMode(engine, tested, normalisation)
      : await engine.evaluate("test");
    const error = errors / images;
    const errors5 = hasTopFive(set, classes)
      ? topFiveErrors(logits, tested.labels, classes)
      : undefined;
    const top5 = errors5 === undefined ? {} : { errors5, error5: errors5 / images };
    const doubts = doubtsOn({ errors, images, classes, graph, set });
    return {
      text: [
        ...(dataset.notice ? [dataset.notice] : []),
        `${percent(error)} (${count(errors)} of ${count(images)} wrong)${
          errors5 === undefined ? "" : `, ${percent(errors5 / images)} not among the first five`
        }`,
        ...(flags.mode === "train"
          ? [`with batch norm by the statistics of each batch of ${BATCH}, as in training`]
          : []),
        ...(auto ? [`found: ${auto.candidate.name}; ${auto.preprocessing.name}`] : doubts),
      ].join("\n"),
      json: {
        ...{ error, errors, ...top5, images, loss, mode: flags.mode ?? "test" },
        ...{ dataset: set, notice: dataset.notice },
        architecture: { name: arch, shortcut: shortcutOf(graph), zeroChannels, classes },
        ...(doubts.length > 0 ? { doubts } : {}),
        ...{ preprocess: measured.of, engine: engine.name, device: engine.device },
        weights: {
          path: flags.weights,
          format: file.format,
          sha256: model.sha256,
        },
      },
    };
  } finally {
    engine.dispose();
  }
}

/**
 * The network and the preprocessing with which the weights err least.
 *
 * @throws {CommandError} If nothing that is tried does better than guessing.
 */
async function foundBy(
  dataset: Dataset,
  { subject }: Model,
  network: Runnable["network"] | undefined,
  flags: FlagValues<typeof FLAGS>,
): Promise<RankedTrial> {
  const { variants: _, ...rest } = subject;
  const asked = network === undefined ? subject : {
    ...rest,
    candidates: [{ name: network.graph.name, graph: network.graph, assumptions: [], network }],
  };
  const { engine, threads } = flags;
  const found = await telling((told) =>
    searchOn(dataset, asked, { engine, threads, told, finish: false })
  );
  const [best] = found?.leaders ?? [];
  if (best) return best;
  throw new CommandError(
    `--preprocess auto: none of the networks and preprocessings that are known does better than guessing with ${subject.target}. deno task audit says what can be told of it`,
  );
}

/** What a network in training mode makes of the images, in batches of their own order. */
async function inTrainingMode(
  engine: Engine,
  images: ByteImages,
  normalisation: Normalisation,
): Promise<Omit<Evaluation, "predictions">> {
  let errors = 0, loss = 0;
  const all = new Float32Array(images.count * images.classes);
  for (let first = 0; first < images.count; first += BATCH) {
    const size = Math.min(BATCH, images.count - first);
    const zeros = new Uint8Array(size);
    const input = normalisedBatch(
      images,
      {
        indices: Uint32Array.from({ length: size }, (_, i) => first + i),
        ...{ cropY: zeros, cropX: zeros, flip: zeros },
      },
      normalisation,
      0,
    );
    const { output } = await engine.probe({ input, images: size, mode: "training" });
    const classes = output.length / size;
    all.set(output, first * classes);
    for (let i = 0; i < size; i++) {
      const logits = output.subarray(i * classes, (i + 1) * classes);
      const most = Math.max(...logits);
      const label = images.labels[first + i];
      if (logits.indexOf(most) !== label) errors++;
      loss += Math.log(logits.reduce((sum, z) => sum + Math.exp(z - most), 0)) + most -
        logits[label];
    }
  }
  return { images: images.count, errors, loss: loss / images.count, logits: all };
}

/** The network of a file that is tested on photographs: for images of 224 where nothing else is said. */
function networkFor(
  { arch }: FlagValues<typeof FLAGS>,
  model: Model,
  zeroChannels: "append" | "split",
): Runnable["network"] {
  if (arch === undefined) return networkOf(model, zeroChannels).network;
  return namedNetwork(arch, model, { height: 224, width: 224, channels: 3 }, zeroChannels);
}

/** The network that the user says it is, with the options that the weights show. */
function namedNetwork(
  name: string,
  model: Model,
  { height, width, channels }: Pick<ByteImages, "height" | "width" | "channels">,
  zeroChannels: "append" | "split",
): Runnable["network"] {
  const [like] = model.subject.candidates;
  const shape = [height, width, channels];
  const graph = like
    ? namedGraph(name, like.graph, zeroChannels, shape)
    : architecture(name, { zeroChannels, inputShape: shape });
  const told = networkLike(model, graph);
  if (told) return told;
  const epsilon = like?.network?.epsilon;
  return {
    graph,
    weights: weightsFor(graph, model),
    ...(epsilon === undefined ? {} : { epsilon }),
  };
}

function expectInput(graph: Graph, images: ByteImages, source: string): void {
  const { height, width, channels } = images;
  const shape = [height, width, channels].join("x");
  if (graph.inputShape.join("x") !== shape) {
    throw new CommandError(
      `${source} takes images of ${
        graph.inputShape.join("x")
      }, and those of the data set are ${shape}. Choose another --dataset, or test on photographs: --view 1-crop --data FOLDER`,
    );
  }
}

if (import.meta.main) await main(command, evaluate);
