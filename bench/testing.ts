/**
 * What each way of testing gives on weights that were trained to their end: as the paper tests, and
 * in the ways in which people test otherwise, by mistake or on purpose.
 *
 * `deno task bench:testing --weights resnet20.th --preprocess imagenet --border black \
 *   --shortcut-padding split --data cifar-10-batches-bin`
 */
import { measuredBy, networkOf, PREPROCESSINGS, preprocessings, readModel } from "../audit/mod.ts";
import {
  choice,
  COMMON,
  DATA_FLAGS,
  ENGINE_FLAGS,
  type FlagValues,
  main,
  type Outcome,
  PADDING_FLAG,
  text,
  UsageError,
} from "../cli/mod.ts";
import {
  BatchSource,
  type Dataset,
  loadDataset,
  normalisedBatch,
  splitImages,
} from "../data/mod.ts";
import {
  chooseEngine,
  type Engine,
  engineFactories,
  type EngineOptions,
  freshState,
  type Normalisation,
  PLAIN_SGD,
  strictAverages,
} from "../engine/mod.ts";
import { PAPER_DATASET } from "../paper/mod.ts";
import { paper } from "../recipes/mod.ts";
import { table } from "./_table.ts";

/** Images that pass together, and over which a training step takes batch norm's statistics. */
const BATCH = 128;
/** Pixels around an image; its own place in them is offset 4, 4. */
const PADDING = 4;
/** Batches over which batch norm's statistics are averaged. */
const AVERAGED = 100;
/** Corners and centre of the padded image; each also mirrored: ten views. */
const FIVE = [[0, 0], [0, 8], [8, 0], [8, 8], [4, 4]] as const;

const FLAGS = {
  weights: text("FILE", "the weights, in any format that audit reads"),
  preprocess: choice(PREPROCESSINGS, "what the weights were trained on; per-pixel by default"),
  border: choice(["mean", "black"], "what lies around an image; mean by default, as in the paper"),
  offsets: choice(["all", "none"], "test at all 81 offsets too; all by default"),
  ...PADDING_FLAG,
  ...DATA_FLAGS,
  ...ENGINE_FLAGS,
  ...COMMON,
} as const;

const command = {
  usage: "deno task bench:testing",
  summary:
    "Tests weights that were trained to their end in every way in which people test: by the\n" +
    "statistics of each batch, without the mean, with strict averages, over ten views, moved.",
  flags: FLAGS,
} as const;

/** A way of testing, and the images that it gets wrong. */
interface Way {
  readonly way: string;
  readonly errors: number;
}

/** Logits of the test images, moved and mirrored: [N, classes]. */
type Views = (
  mode: "training" | "inference",
  y: number,
  x: number,
  mirrored: boolean,
) => Promise<Float32Array>;

function viewsOf(
  engine: Engine,
  { test }: Dataset,
  normalisation: Normalisation,
): Views {
  return async (mode, y, x, mirrored) => {
    const logits = new Float32Array(test.count * test.classes);
    for (let first = 0; first < test.count; first += BATCH) {
      const images = Math.min(BATCH, test.count - first);
      const input = normalisedBatch(
        test,
        {
          indices: Uint32Array.from({ length: images }, (_, i) => first + i),
          cropY: new Uint8Array(images).fill(y),
          cropX: new Uint8Array(images).fill(x),
          flip: new Uint8Array(images).fill(mirrored ? 1 : 0),
        },
        normalisation,
        PADDING,
      );
      logits.set((await engine.probe({ input, images, mode })).output, first * test.classes);
    }
    return logits;
  };
}

/** Images whose largest score is not their label's. */
function wrong(scores: Float32Array, { test }: Dataset): number {
  const { classes, labels } = test;
  let errors = 0;
  for (let i = 0; i < test.count; i++) {
    const own = scores.subarray(i * classes, (i + 1) * classes);
    if (own.indexOf(Math.max(...own)) !== labels[i]) errors++;
  }
  return errors;
}

/** Adds each image's softmax to the sums. */
function addSoftmax(sums: Float32Array, logits: Float32Array, classes: number): void {
  for (let at = 0; at < logits.length; at += classes) {
    const own = logits.subarray(at, at + classes);
    const most = Math.max(...own);
    const powers = own.map((z) => Math.exp(z - most));
    const sum = powers.reduce((a, b) => a + b, 0);
    powers.forEach((power, i) => sums[at + i] += power / sum);
  }
}

async function testing(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  if (flags.weights === undefined) throw new UsageError(`${command.usage} needs --weights FILE`);
  const asked = flags["shortcut-padding"] ?? "append";
  const { network } = networkOf(await readModel(flags.weights), asked);
  const set = flags.dataset ?? PAPER_DATASET;
  const dataset = await loadDataset(set, flags.data === undefined ? {} : { path: flags.data });
  const { data, batchNorm } = paper("resnet20");
  const { training } = splitImages(dataset.train.count, data.split, 0);
  const ways = preprocessings(dataset.train, training);
  const prepared = (id: string): Normalisation => ({
    ...measuredBy(ways.find((way) => way.id === id)!).normalisation,
    beforePadding: flags.border !== "black",
  });
  const normalisation = prepared(flags.preprocess ?? "per-pixel");
  const { factory, reason } = await chooseEngine(flags.engine ?? "auto", engineFactories);
  const options: EngineOptions = {
    ...{ graph: network.graph, batchSize: BATCH, optimiser: PLAIN_SGD, cropPadding: PADDING },
    batchNorm: { ...batchNorm, epsilon: network.epsilon ?? batchNorm.epsilon },
    ...(flags.threads === undefined ? {} : { threads: flags.threads }),
  };
  const state = freshState(network.graph, PLAIN_SGD, network.weights);
  const engine = await factory.create(options);
  try {
    await engine.load({ train: dataset.train, test: dataset.test, normalisation });
    await engine.importState(state);
    const view = viewsOf(engine, dataset, normalisation);
    const rows: Way[] = [];
    const add = (way: string, scores: Float32Array) => {
      rows.push({ way, errors: wrong(scores, dataset) });
      console.error(`${way}: ${rows.at(-1)!.errors}`);
    };
    add("the single view, as the paper tests", await view("inference", PADDING, PADDING, false));
    add(
      `batch norm by the statistics of each batch of ${BATCH}`,
      await view("training", PADDING, PADDING, false),
    );
    const bare = viewsOf(engine, dataset, prepared("none"));
    add("nothing subtracted or divided", await bare("inference", PADDING, PADDING, false));
    add("mirrored", await view("inference", PADDING, PADDING, true));

    const { classes, count } = dataset.test;
    const sums = new Float32Array(count * classes);
    for (const [y, x] of FIVE) {
      for (const mirrored of [false, true]) {
        addSoftmax(sums, await view("inference", y, x, mirrored), classes);
      }
    }
    add("ten views, softmax averaged", sums);

    const batches = new BatchSource({ ...data, seed: 0, indices: training, batchSize: BATCH });
    const plans = Array.from({ length: AVERAGED }, (_, i) => batches.plan(i + 1));
    const averaged = await strictAverages({
      ...{ factory, options, state, plans },
      data: { train: dataset.train, test: dataset.test, normalisation },
    });
    await engine.importState(averaged.state);
    add(
      `strict averages over ${AVERAGED} batches of training views`,
      await view("inference", PADDING, PADDING, false),
    );
    await engine.importState(state);

    const offsets: number[][] = [];
    for (let y = 0; flags.offsets !== "none" && y <= 2 * PADDING; y++) {
      const row: number[] = [];
      for (let x = 0; x <= 2 * PADDING; x++) {
        row.push(wrong(await view("inference", y, x, false), dataset));
      }
      offsets.push(row);
      console.error(`row ${y}: ${row.join(" ")}`);
    }
    const share = (errors: number) => `${(100 * errors / count).toFixed(2)}%`;
    return {
      text: [
        `${network.graph.name} on ${set}, ${
          flags.preprocess ?? "per-pixel"
        }; engine ${factory.name}: ${reason}`,
        table([
          ["way", "wrong", "error"],
          ...rows.map(({ way, errors }) => [way, String(errors), share(errors)]),
        ]),
        ...(offsets.length === 0 ? [] : [
          `error by offset, rows from the top of the padded image, its own place in the middle\n` +
          table(offsets.map((row) => row.map(share))),
        ]),
      ].join("\n\n"),
      json: { architecture: network.graph.name, set, images: count, ways: rows, offsets },
    };
  } finally {
    engine.dispose();
  }
}

if (import.meta.main) await main(command, testing);
