/** One network with one preprocessing on as many test images as it was worth. */
import {
  type ByteImages,
  type Engine,
  type EngineFactory,
  freshState,
  type Labels,
  PLAIN_SGD,
} from "../engine/mod.ts";
import { type Graph, INPUT, nodeOf, truncate, type Weights } from "../resnet/mod.ts";
import { arrangedImages, type Preprocessing } from "./preprocessings.ts";
import type { InputTransform } from "../weights/mod.ts";

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

/**
 * Candidates of one network but for a last ReLU, which can be laid on the logits.
 */
export interface Network {
  /** Without a last ReLU. */
  readonly graph: Graph;
  readonly weights: Weights;
  readonly epsilon: number;
  /** At least one. */
  readonly candidates: readonly Trialled[];
  /** Multiply-adds for one image. */
  readonly cost: number;
}

/** What was tried, as far as it was. */
export interface Run {
  readonly network: Network;
  readonly preprocessing: Preprocessing;
  /** [images, classes]: of the first images of the test part. */
  logits: Float32Array;
  images: number;
}

/** The networks behind candidates. */
export function networksOf(candidates: readonly Trialled[]): readonly Network[] {
  const key = ({ graph, epsilon }: Trialled) =>
    JSON.stringify([withoutLastRelu(graph).nodes, epsilon]);
  return [...Map.groupBy(candidates, key).values()].map((candidates) => {
    const [{ graph: whole, weights, epsilon = 1e-5 }] = candidates;
    const graph = withoutLastRelu(whole);
    const cost = graph.nodes.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0);
    return { graph, weights, epsilon, candidates, cost };
  });
}

/** The part of a graph before a ReLU that follows its last layer; the whole where none does. */
export function withoutLastRelu(graph: Graph): Graph {
  const last = nodeOf(graph, graph.output);
  return last?.kind === "relu" ? truncate(graph, last.input) : graph;
}

/** Errors on the first images, and how surely the labels were missed. */
export interface Score {
  /** [images], 1 where the prediction is not the label. */
  readonly wrong: Uint8Array;
  readonly errors: number;
  /** Mean cross entropy, each image's at most {@linkcode MOST_LOSS}. */
  readonly loss: number;
  /** Share of the logits that are below 0, before any ReLU after the last layer. */
  readonly negativeLogits: number;
}

/** A net that is surely wrong once is not worse than one that is wrong twice. */
const MOST_LOSS = 10;

/** What a run's logits come to; behind a ReLU, where there is one, logits below 0 are 0. */
export function scoreOf({ logits, images: count }: Run, labels: Labels, relu = false): Score {
  const classes = logits.length / count;
  const wrong = new Uint8Array(count);
  let errors = 0, loss = 0, negative = 0;
  for (let image = 0; image < count; image++) {
    const row = logits.subarray(image * classes, (image + 1) * classes);
    let best = 0;
    for (let i = 1; i < classes; i++) if (row[i] > row[best]) best = i;
    // Behind a ReLU all of them may be 0: the first is then the prediction.
    if (relu && row[best] <= 0) best = 0;
    const label = labels[image];
    wrong[image] = best === label ? 0 : 1;
    errors += wrong[image];
    const most = Math.max(...row);
    const sum = row.reduce((total, logit) => total + Math.exp(logit - most), 0);
    const missed = Math.log(sum) + most - row[label];
    loss += missed < MOST_LOSS ? missed : MOST_LOSS;
    for (const logit of row) if (logit < 0) negative++;
  }
  return { wrong, errors, loss: loss / count, negativeLogits: negative / logits.length };
}

/** Images that are given to an engine at once while little is tried of much. */
const BATCH = 32;
/** Each holds some tens of megabytes. */
const MOST_ENGINES = 4;

/** Engines for runs, kept as long as there are few. */
export class Engines {
  readonly #factory: EngineFactory;
  readonly #threads: number | undefined;
  readonly #test: ByteImages;
  readonly #kept = new Map<Network, Engine>();

  constructor(factory: EngineFactory, threads: number | undefined, test: ByteImages) {
    this.#factory = factory;
    this.#threads = threads;
    this.#test = test;
  }

  /** Takes runs on to as many of the first test images. */
  async extend(
    runs: readonly Run[],
    images: number,
    onNetwork: (network: Network) => void,
  ): Promise<void> {
    for (const [network, group] of Map.groupBy(runs, ({ network }) => network)) {
      const waiting = group.filter((run) => run.images < images);
      if (waiting.length === 0) continue;
      onNetwork(network);
      const engine = await this.#engineOf(network);
      for (const run of waiting) {
        const parts = [run.logits];
        for (let from = run.images; from < images; from += BATCH) {
          const count = Math.min(BATCH, images - from);
          const input = inputOf(part(this.#test, from, count), run.preprocessing);
          parts.push((await engine.probe({ input, images: count, mode: "inference" })).output);
        }
        run.logits = joined(parts);
        run.images = images;
      }
    }
  }

  /** Takes one run over the whole test part, as tests are. */
  async finish(run: Run): Promise<void> {
    const { network: { graph, weights }, preprocessing } = run;
    const test = this.#test;
    const engine = await this.#create(run.network, 1);
    try {
      await engine.load({
        // Nothing is trained, but an engine takes a training part.
        train: part(test, 0, 1),
        test: arrangedImages(test, preprocessing),
        normalisation: preprocessing.normalisation,
      });
      const arrays = preprocessing.channels === "RGB" ? weights : blueFirst(graph, weights);
      await engine.importState(freshState(graph, PLAIN_SGD, arrays));
      run.logits = (await engine.evaluate("test")).logits;
      run.images = test.count;
    } finally {
      engine.dispose();
    }
  }

  /** Frees all engines. */
  dispose(): void {
    for (const engine of this.#kept.values()) engine.dispose();
    this.#kept.clear();
  }

  async #engineOf(network: Network): Promise<Engine> {
    const kept = this.#kept.get(network);
    if (kept) return kept;
    const [oldest] = this.#kept;
    if (oldest && this.#kept.size >= MOST_ENGINES) {
      oldest[1].dispose();
      this.#kept.delete(oldest[0]);
    }
    const engine = await this.#create(network, BATCH);
    this.#kept.set(network, engine);
    const { graph, weights } = network;
    await engine.importState(freshState(graph, PLAIN_SGD, weights));
    return engine;
  }

  #create({ graph, epsilon }: Network, batchSize: number): Promise<Engine> {
    return this.#factory.create({
      ...{ graph, batchSize, optimiser: PLAIN_SGD, cropPadding: 0 },
      batchNorm: { epsilon, momentum: 0.1 },
      ...(this.#threads === undefined ? {} : { threads: this.#threads }),
    });
  }
}

/** Some of a set's images, one after the other; copies nothing. */
export function part(images: ByteImages, from: number, count: number): ByteImages {
  const size = images.height * images.width * images.channels;
  return {
    ...images,
    count,
    pixels: images.pixels.subarray(from * size, (from + count) * size),
    labels: images.labels.subarray(from, from + count),
  };
}

/** [N, H, W, C]: images as the network sees them. */
export function inputOf(images: ByteImages, way: Preprocessing): Float32Array {
  const { pixels, channels } = arrangedImages(images, way);
  const { scale, mean, std } = way.normalisation;
  const input = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i++) {
    const channel = i % channels;
    const value = (pixels[i] * scale - mean[i % mean.length]) / std[channel];
    input[way.channels === "RGB" ? i : i + channels - 1 - 2 * channel] = value;
  }
  return input;
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const values of parts) {
    all.set(values, at);
    at += values.length;
  }
  return all;
}

/**
 * The weights of the network that gives for images as they are what it gave for BGR ones.
 *
 * @param graph The network.
 * @param weights Its arrays.
 */
export function blueFirst(graph: Graph, weights: Weights): Weights {
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
