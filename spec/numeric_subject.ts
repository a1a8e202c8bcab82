/** What the numeric rules look at: an engine with a network, its state and its images. */
import { BatchSource, measureNormalisation, splitImages } from "../data/mod.ts";
import type {
  BatchNormSettings,
  BatchPlan,
  ByteImages,
  Engine,
  EngineData,
  EngineFactory,
  Probe,
  SgdSettings,
  TrainingState,
} from "../engine/engine.ts";
import {
  architecture,
  type Graph,
  initialise,
  parametersOf,
  type Weights,
  zeros,
} from "../resnet/mod.ts";
import { type Recipe, RecipeError } from "../train/mod.ts";
import type { Finding, Rule } from "./rule.ts";

/**
 * An engine that can be probed, and what is claimed of it. Whatever is missing,
 * such as the optimiser behind a foreign checkpoint, makes the rules that need
 * it "not observable".
 */
export interface NumericSubject {
  /** What was claimed: the network that the engine computes. */
  readonly graph?: Graph;
  /** What was claimed: the optimiser's constants. */
  readonly sgd?: SgdSettings;
  /** What was claimed: batch normalisation's constants. */
  readonly batchNorm?: BatchNormSettings;
  /** What was claimed: zeros around an image before it is cropped. */
  readonly cropPadding?: number;
  /** What was claimed: the fan of the initialisation. */
  readonly fan?: "in" | "out";
  /** The engine, loaded with `data`. A rule imports the state that it starts from. */
  readonly engine?: Engine;
  /** The largest batch that the engine takes. */
  readonly batchSize?: number;
  /** What the engine was loaded with. */
  readonly data?: EngineData;
  /** Positions in `data.train` of the images that are trained on. */
  readonly training?: Uint32Array;
  /** The state to probe; for the rules on training that before the first step. */
  readonly state?: TrainingState;
  /** The batch that step `iteration` takes. */
  readonly batchPlan?: (iteration: number) => BatchPlan;
  /** What a part of the graph gives for an input, with `state`: [N, ...output shape]. */
  readonly outputOf?: (part: Graph, probe: Probe) => Promise<Float32Array>;
}

/** A rule that probes an engine. */
export type NumericRule = Rule<NumericSubject, Promise<Finding>>;

/** A subject of which everything is known; frees its engines at the end of its scope. */
export interface LoadedSubject extends Required<NumericSubject>, Disposable {}

/**
 * The subject that a recipe of ours makes on an engine, with the same data
 * code, initialisation and settings as the training loop.
 *
 * @param factory Makes the engine that is probed.
 * @param recipe Any recipe with SGD; its split must fit the images.
 * @param images What the engine is loaded with; they decide the network's input shape.
 * @param seed The seed of the split, the initialisation and the batches.
 * @returns A subject of which every part is known.
 * @throws {RecipeError} If the optimiser is another than SGD.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { wasmEngine } from "../engine/mod.ts";
 * import { paper } from "../train/mod.ts";
 * import { numericSubjectOf } from "./numeric_subject.ts";
 *
 * const images = {
 *   count: 4, height: 8, width: 8, channels: 3, classes: 10,
 *   pixels: new Uint8Array(4 * 192).map((_, i) => i % 251), labels: Uint8Array.of(0, 1, 2, 3),
 * };
 * const small = { data: { split: { training: 4, validation: 0 } }, batchSize: 2 };
 * using subject = await numericSubjectOf(wasmEngine, paper("resnet8", small), {
 *   train: images, test: images,
 * });
 * assertEquals((await subject.engine.evaluate("test")).logits.length, 40);
 * ```
 */
export async function numericSubjectOf(
  factory: EngineFactory,
  recipe: Recipe,
  images: { readonly train: ByteImages; readonly test: ByteImages },
  seed = 0,
): Promise<LoadedSubject> {
  const { batchSize, batchNorm, initialisation: { fan }, optimiser: sgd } = recipe;
  if (sgd.kind !== "sgd") {
    throw new RecipeError(`probing a training needs the optimiser "sgd", found "${sgd.kind}"`);
  }
  const { cropPadding, split } = recipe.data;
  const { train } = images;
  const { name, ...options } = recipe.architecture;
  const inputShape = [train.height, train.width, train.channels];
  const graph = architecture(name, { ...options, classes: train.classes, inputShape });
  const { training } = splitImages(train.count, split, seed);
  const { normalisation } = measureNormalisation(train, training, recipe.data);
  const batches = new BatchSource({ ...recipe.data, seed, indices: training, batchSize });
  const state = { iteration: 0, weights: initialise(graph, seed, fan), momentum: zeros(graph) };
  const data = { ...images, normalisation };

  const settings = { batchSize, sgd, batchNorm, cropPadding };
  const engine = await factory.create({ ...settings, graph });
  const parts = new Map<string, Engine>();
  await engine.load(data);
  return {
    ...{ graph, ...settings, fan, engine, data, training, state },
    batchPlan: (iteration) => batches.plan(iteration),
    outputOf: async (part, probe) => {
      const key = JSON.stringify(part.nodes);
      const found = parts.get(key) ?? await factory.create({ ...settings, graph: part });
      if (!parts.has(key)) {
        parts.set(key, found);
        await found.importState(restrict(state, part));
      }
      return (await found.probe(probe)).output;
    },
    [Symbol.dispose]: () => [engine, ...parts.values()].forEach((engine) => engine.dispose()),
  };
}

/** The part of a state that belongs to a part of its graph. */
function restrict(state: TrainingState, part: Graph): TrainingState {
  const names = new Set(parametersOf(part).map(({ name }) => name));
  const only = (weights: Weights) => new Map([...weights].filter(([name]) => names.has(name)));
  return { ...state, weights: only(state.weights), momentum: only(state.momentum) };
}

/** A check that runs where all the parts that it needs are known. */
export function probing<Part extends keyof NumericSubject>(
  parts: readonly Part[],
  check: (subject: Required<Pick<NumericSubject, Part>>) => Promise<Finding>,
): (subject: NumericSubject) => Promise<Finding> {
  return (subject) => {
    const missing = parts.filter((part) => subject[part] === undefined);
    return missing.length > 0
      ? Promise.resolve({
        outcome: "not-observable",
        evidence: `not known: ${missing.join(", ")}`,
      })
      : check(subject as Required<Pick<NumericSubject, Part>>);
  };
}
