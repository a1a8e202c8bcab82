/** What the numeric rules look at: an engine with a network, its state and its images. */
import { BatchSource, measureNormalisation, splitImages } from "../../data/mod.ts";
import {
  type BatchNormSettings,
  type BatchPlan,
  type ByteImages,
  type Engine,
  type EngineData,
  type EngineFactory,
  freshState,
  PLAIN_SGD,
  type Probe,
  type SgdSettings,
  type StepMetrics,
  type TrainingState,
} from "../../engine/mod.ts";
import {
  architecture,
  type Graph,
  initialise,
  parametersOf,
  type Weights,
} from "../../resnet/mod.ts";
import { type Recipe, RecipeError } from "../../recipes/mod.ts";
import type { Finding, Rule } from "../rule.ts";
import { unknown } from "../subject.ts";

/**
 * An engine that can be probed, and what is claimed of it. Whatever is missing,
 * such as the optimiser behind a foreign checkpoint, makes the rules that need
 * it "not observable".
 */
export interface NumericSubject {
  /** What was claimed: the network that the engine computes. */
  readonly graph?: Graph;
  /** What was claimed: the optimiser's constants. */
  readonly optimiser?: SgdSettings;
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
  /** The state to probe. */
  readonly state?: TrainingState;
  /** The batch that step `iteration` takes. */
  readonly batchPlan?: (iteration: number) => BatchPlan;
  /** What a part of the graph gives for an input, with `state`: [N, ...output shape]. */
  readonly outputOf?: (part: Graph, probe: Probe) => Promise<Float32Array>;
}

/** A rule that probes an engine. */
export type NumericRule = Rule<NumericSubject, Promise<Finding>>;

/** A subject's parts but for its engine; what an engine can't be loaded without must be known. */
export type Claims =
  & Omit<NumericSubject, "engine" | "outputOf">
  & Required<Pick<NumericSubject, "graph" | "batchSize" | "data" | "state">>;

/** What an engine adds to claims; it is freed at the end of its scope. */
export interface Loaded extends Required<Pick<NumericSubject, "engine" | "outputOf">>, Disposable {}

/**
 * Loads an engine with a model and its images, so that the model can be probed.
 *
 * @param factory Makes the engine.
 * @param claims What is known of the model.
 * @returns The claims with an engine; rules that need what is not known are "not observable".
 * @throws {EngineError} If graph, state and images do not fit each other.
 *
 * @example A network of which nothing is known but its weights.
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { freshState, PLAIN_SGD, wasmEngine } from "../../engine/mod.ts";
 * import { architecture, initialise } from "../../resnet/mod.ts";
 * import { probeEngine } from "./rules.ts";
 * import { loadSubject } from "./subject.ts";
 *
 * const graph = architecture("resnet8", { inputShape: [8, 8, 3] });
 * const images = {
 *   count: 4, height: 8, width: 8, channels: 3, classes: 10,
 *   pixels: new Uint8Array(4 * 192).map((_, i) => i % 251), labels: Uint8Array.of(0, 1, 2, 3),
 * };
 * const normalisation = {
 *   scale: 1 / 255, mean: new Float32Array(192), std: Float32Array.of(1, 1, 1), beforePadding: true,
 * };
 * using subject = await loadSubject(wasmEngine, {
 *   graph,
 *   batchSize: 4,
 *   data: { train: images, test: images, normalisation },
 *   state: freshState(graph, PLAIN_SGD, initialise(graph, 0, "in")),
 * });
 * const judgements = await probeEngine(subject);
 * const passed = judgements.filter(({ outcome }) => outcome === "pass").map(({ id }) => id);
 * assertEquals(passed, ["batch-invariance", "negative-logits", "block-values", "shortcut-values"]);
 * ```
 */
export async function loadSubject<Known extends Claims>(
  factory: EngineFactory,
  claims: Known,
): Promise<Known & Loaded> {
  const { graph, batchSize, data, state } = claims;
  const settings = {
    batchSize,
    // Never used where it is not known: the rules that take a step then do not run.
    optimiser: claims.optimiser ?? PLAIN_SGD,
    batchNorm: claims.batchNorm ?? { epsilon: 1e-5, momentum: 0.1 },
    cropPadding: claims.cropPadding ?? 0,
  } as const;
  const engines: Engine[] = [];
  const load = async (graph: Graph) => {
    const engine = await factory.create({ ...settings, graph });
    engines.push(engine);
    await engine.importState(restrict(state, graph));
    return engine;
  };
  const dispose = () => engines.forEach((engine) => engine.dispose());
  const parts = new Map<string, Promise<Engine>>();
  try {
    const engine = await load(graph);
    await engine.load(data);
    return {
      ...claims,
      engine,
      outputOf: async (part, probe) => {
        const key = JSON.stringify(part.nodes);
        const found = parts.get(key) ?? load(part);
        parts.set(key, found);
        return (await (await found).probe(probe)).output;
      },
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw error;
  }
}

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
 * import { wasmEngine } from "../../engine/mod.ts";
 * import { paper } from "../../recipes/mod.ts";
 * import { numericSubjectOf } from "./subject.ts";
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
): Promise<Required<NumericSubject> & Disposable> {
  const { batchSize, batchNorm, initialisation: { fan, lastLayer }, optimiser } = recipe;
  if (optimiser.kind !== "sgd") {
    throw new RecipeError(
      `probing a training needs the optimiser "sgd", found "${optimiser.kind}"`,
    );
  }
  const { cropPadding, split } = recipe.data;
  const { train } = images;
  const { name, ...options } = recipe.architecture;
  const inputShape = [train.height, train.width, train.channels];
  const graph = architecture(name, { ...options, classes: train.classes, inputShape });
  const { training } = splitImages(train.count, split, seed);
  const { normalisation } = measureNormalisation(train, training, recipe.data);
  const batches = new BatchSource({ ...recipe.data, seed, indices: training, batchSize });
  return await loadSubject(factory, {
    ...{ graph, batchSize, optimiser, batchNorm, cropPadding, fan, training },
    data: { ...images, normalisation },
    state: freshState(graph, optimiser, initialise(graph, seed, fan, lastLayer)),
    batchPlan: (iteration: number) => batches.plan(iteration),
  });
}

/** The part of a state that belongs to a part of its graph. */
function restrict(state: TrainingState, part: Graph): TrainingState {
  const names = new Set(parametersOf(part).map(({ name }) => name));
  const only = (weights: Weights) => new Map([...weights].filter(([name]) => names.has(name)));
  const slots = [...state.slots].map(([slot, arrays]) => [slot, only(arrays)] as const);
  return { ...state, weights: only(state.weights), slots: new Map(slots) };
}

/** A check that runs where all the parts that it needs are known. */
export function probing<Part extends keyof NumericSubject>(
  parts: readonly Part[],
  check: (subject: Required<Pick<NumericSubject, Part>>) => Promise<Finding>,
): NumericRule["check"] {
  // deno-lint-ignore require-await -- a promise either way
  return async (subject) =>
    unknown(subject, parts) ?? check(subject as Required<Pick<NumericSubject, Part>>);
}

/** Says that a rule on the first step can't be judged; undefined where the state is before it. */
export function begun({ iteration }: TrainingState): Finding | undefined {
  return iteration === 0 ? undefined : {
    outcome: "not-observable",
    evidence: `the state is not that before the first step, but after ${iteration} steps`,
  };
}

/** What a step at rate 0 from a state measures, whatever steps were taken before. */
export async function measure(
  engine: Engine,
  state: TrainingState,
  plan: BatchPlan,
): Promise<StepMetrics> {
  await engine.importState(state);
  await engine.metrics();
  engine.step(plan, 0);
  const [metrics] = await engine.metrics();
  return metrics;
}
