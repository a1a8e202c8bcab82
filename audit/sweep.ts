/**
 * Tells networks that names and shapes cannot tell apart, and how their images
 * were prepared, by trying: the weights err least where they are used as they
 * were trained.
 */
import {
  type ByteImages,
  type Engine,
  type EngineFactory,
  freshState,
  PLAIN_SGD,
} from "../engine/mod.ts";
import { type Graph, INPUT, truncate, type Weights } from "../resnet/mod.ts";
import type { InputTransform } from "../weights/mod.ts";
import { find } from "../spec/mod.ts";
import { comparePaired } from "./compare.ts";
import {
  arrangedImages,
  beforeTransform,
  type Preprocessing,
  preprocessings,
} from "./preprocessings.ts";

/** A network that weights may belong to. */
export interface Trialled {
  /** Tells the candidates of one sweep apart. */
  readonly name: string;
  /** What is computed. */
  readonly graph: Graph;
  /** Every array of the graph. */
  readonly weights: Weights;
  /** Batch normalisation's constant; PyTorch's 1e-5 when undefined. */
  readonly epsilon?: number;
  /** What the model itself does to its input before the graph: x * scale + shift. */
  readonly inputTransform?: InputTransform;
}

/** What is tried on what. */
export interface SweepOptions {
  /** At least one. */
  readonly candidates: readonly Trialled[];
  /** The preprocessings are measured on its training part, errors on its test part. */
  readonly data: { readonly train: ByteImages; readonly test: ByteImages };
  /** Makes the engines that compute. */
  readonly factory: EngineFactory;
  /** Worker threads, where the engine has them. */
  readonly threads?: number;
  /** Images on which everything is tried; 1,000 by default. */
  readonly screeningImages?: number;
  /** Told what is being done, for people who wait. */
  readonly onProgress?: (line: string) => void;
}

/** One candidate with one preprocessing, tested. */
export interface Trial {
  /** What was tested. */
  readonly candidate: Trialled;
  /** How its images were prepared. */
  readonly preprocessing: Preprocessing;
  /** [N], 1 where the prediction is not the label. */
  readonly wrong: Uint8Array;
  /** Sum of `wrong`. */
  readonly errors: number;
  /** N, the first images of the test part. */
  readonly images: number;
  /** Share of the logits that are below 0, before any ReLU after the last layer. */
  readonly negativeLogits: number;
}

/** A trial and how it stands to the one with the fewest errors. */
export interface RankedTrial extends Trial {
  /** `worse` where the paired test says so; `tied` with the best where it does not. */
  readonly standing: "best" | "tied" | "worse";
  /** McNemar's exact p-value against the best; 1 for the best itself. */
  readonly p: number;
}

/** What a sweep found. */
export interface Sweep {
  /** Everything, on the first images. */
  readonly screened: readonly RankedTrial[];
  /** The leaders, on all images; empty where nothing beats guessing. */
  readonly leaders: readonly RankedTrial[];
}

/** A trial on the first images is given up below this p-value: the best is the luckiest of dozens. */
const GIVEN_UP_BELOW = 0.01;
/** A leader is worse than the best on all images below this p-value. */
const WORSE_BELOW = 0.05;

/**
 * Tries every candidate with every preprocessing on some test images, and those
 * that lead there on all. Only one engine is alive at a time.
 *
 * @param options What is tried on what.
 * @returns Both rounds, best first. A difference that the paired test does not
 *   confirm is a tie.
 * @throws {EngineError} If the engine cannot compute a candidate.
 */
export async function sweep(
  options: SweepOptions,
): Promise<Sweep> {
  const { candidates, data: { train, test }, screeningImages = 1000 } = options;
  const ways = preprocessings(train);
  const all = candidates.flatMap((candidate) =>
    beforeTransform(ways, candidate.inputTransform)
      .map((preprocessing) => ({ candidate, preprocessing }))
  );
  const count = Math.min(screeningImages, test.count);
  const screened = rank(
    await runTrials(all, head(test, count), options),
    GIVEN_UP_BELOW,
  );
  if (!beatsGuessing(screened[0], test.classes)) return { screened, leaders: [] };
  const leading = screened.filter(({ standing }) => standing !== "worse");
  return {
    screened,
    leaders: count === test.count
      ? leading
      : rank(await runTrials(leading, test, options), WORSE_BELOW),
  };
}

/** The first images of a set; copies nothing. */
function head(images: ByteImages, count: number): ByteImages {
  const size = images.height * images.width * images.channels;
  return {
    ...images,
    count,
    pixels: images.pixels.subarray(0, count * size),
    labels: images.labels.subarray(0, count),
  };
}

/** Whether the error lies six standard deviations below that of guessing. */
function beatsGuessing({ errors, images }: Trial, classes: number): boolean {
  const chance = 1 - 1 / classes;
  return errors < images * chance - 6 * Math.sqrt(images * chance * (1 - chance));
}

function rank(trials: readonly Trial[], worseBelow: number): RankedTrial[] {
  const [best, ...others] = trials.toSorted((a, b) => a.errors - b.errors);
  return [
    { ...best, standing: "best", p: 1 },
    ...others.map((trial): RankedTrial => {
      const { p } = comparePaired(trial.wrong, best.wrong);
      return { ...trial, standing: p < worseBelow ? "worse" : "tied", p };
    }),
  ];
}

type Planned = Pick<Trial, "candidate" | "preprocessing">;

async function runTrials(
  planned: readonly Planned[],
  test: ByteImages,
  options: SweepOptions,
): Promise<Trial[]> {
  const trials: Trial[] = [];
  const rounds = Map.groupBy(planned, (trial) => keyOf(trial));
  let done = 0;
  for (const round of rounds.values()) {
    options.onProgress?.(
      `${round[0].candidate.name} with ${round[0].preprocessing.name}, ${test.count} images: ` +
        `${++done} of ${rounds.size}`,
    );
    trials.push(...await runRound(round, test, options));
  }
  return trials;
}

/**
 * Trials that one engine can do: the same network but for a last ReLU, which
 * can be laid on the logits, and the same normalisation but for the channels,
 * which can be exchanged in the first layer.
 */
function keyOf({ candidate, preprocessing }: Planned): string {
  const { nodes } = withoutLastRelu(candidate.graph);
  return JSON.stringify([nodes, candidate.epsilon, preprocessing.name]);
}

async function runRound(
  round: readonly Planned[],
  test: ByteImages,
  { factory, threads }: SweepOptions,
): Promise<Trial[]> {
  const [{ candidate: { graph, weights, epsilon = 1e-5 }, preprocessing }] = round;
  const { normalisation } = preprocessing;
  const tested = withoutLastRelu(graph);
  const engine = await factory.create({
    graph: tested,
    batchSize: 1,
    optimiser: PLAIN_SGD,
    batchNorm: { epsilon, momentum: 0.1 },
    cropPadding: 0,
    ...(threads === undefined ? {} : { threads }),
  });
  try {
    // Nothing is trained, but an engine takes a training part.
    const shown = arrangedImages(test, preprocessing);
    await engine.load({ train: head(test, 1), test: shown, normalisation });
    const logits = new Map<string, Float32Array>();
    const trials: Trial[] = [];
    for (const { candidate, preprocessing } of round) {
      const { channels } = preprocessing;
      const found = logits.get(channels) ??
        await logitsOf(engine, tested, channels === "RGB" ? weights : blueFirst(tested, weights));
      logits.set(channels, found);
      trials.push({
        candidate,
        preprocessing,
        ...score(found, test, candidate.graph.output !== tested.output),
      });
    }
    return trials;
  } finally {
    engine.dispose();
  }
}

async function logitsOf(engine: Engine, graph: Graph, weights: Weights): Promise<Float32Array> {
  await engine.importState(freshState(graph, PLAIN_SGD, weights));
  return (await engine.evaluate("test")).logits;
}

function score(
  logits: Float32Array,
  { labels }: ByteImages,
  lastRelu: boolean,
): Pick<Trial, "wrong" | "errors" | "images" | "negativeLogits"> {
  const classes = logits.length / labels.length;
  const wrong = Uint8Array.from(labels, (label, image) => {
    const row = logits.subarray(image * classes, (image + 1) * classes);
    const largest = row.reduce((a, b) => Math.max(a, b));
    // Behind a ReLU all of them may be 0: the first is then the prediction.
    const prediction = lastRelu && largest <= 0 ? 0 : row.indexOf(largest);
    return prediction === label ? 0 : 1;
  });
  return {
    wrong,
    errors: wrong.reduce((sum, value) => sum + value, 0),
    images: labels.length,
    negativeLogits: logits.reduce((sum, value) => sum + (value < 0 ? 1 : 0), 0) / logits.length,
  };
}

/** The part of a graph before a ReLU that follows its last layer; the whole where none does. */
export function withoutLastRelu(graph: Graph): Graph {
  const last = find(graph, graph.output);
  return last?.kind === "relu" ? truncate(graph, last.input) : graph;
}

/** The weights of the network that gives for images as they are what it gave for BGR ones. */
function blueFirst(graph: Graph, weights: Weights): Weights {
  const changed = new Map(weights);
  for (const node of graph.nodes) {
    if (node.kind !== "convolution" || node.input !== INPUT) continue;
    const name = `${node.name}.weight`;
    const { shape, data } = weights.get(name)!;
    const [, inputs, height, width] = shape; // [O, I, H, W]
    const plane = height * width;
    const swapped = data.map((_, i) => {
      const input = Math.floor(i / plane) % inputs;
      return data[i + (inputs - 1 - 2 * input) * plane];
    });
    changed.set(name, { shape, data: swapped });
  }
  return changed;
}
