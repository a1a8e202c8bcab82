/** What the engine tests share: random values, states, and one test body for every engine. */
import { RandomStream } from "../../random/mod.ts";
import {
  type Graph,
  INPUT,
  inputsOf,
  type Node,
  nodeOf,
  parametersOf,
  type ParameterSpec,
  shapeOf,
  sizeOf,
  type Tensor,
  truncate,
  type Weights,
} from "../../resnet/mod.ts";
import {
  type BatchPlan,
  type ByteImages,
  type Engine,
  type EngineData,
  engineFactories,
  type EngineFactory,
  type EngineOptions,
  type Labels,
  newLabels,
  PLAIN_SGD,
  type Probe,
  type TrainingState,
} from "../../engine/mod.ts";
import { tfjsEngine } from "../../engine/tfjs/mod.ts";

/** The engine that the others are compared with. */
export const oracle = tfjsEngine;

/** Names the engines that have to run here, separated by commas. */
const REQUIRED = "RESNET_REQUIRED_ENGINES";

/**
 * Why engines that are required can't run here, by their names.
 *
 * @param required Names separated by commas.
 */
export async function missingEngines(
  required: string,
  factories: readonly EngineFactory[],
): Promise<Map<string, string>> {
  const missing = new Map<string, string>();
  for (const name of namesIn(required)) {
    const factory = factories.find((factory) => factory.name === name);
    const obstacle = factory
      ? await factory.unavailable()
      : `it is none of ${factories.map(({ name }) => name).join(", ")}`;
    if (obstacle !== undefined) missing.set(name, obstacle);
  }
  return missing;
}

function namesIn(list: string): readonly string[] {
  return list.split(",").map((name) => name.trim()).filter(Boolean);
}

// Without the permission, as in a test run without flags, nothing is required.
const { state } = await Deno.permissions.query({ name: "env", variable: REQUIRED });
const required = (state === "granted" ? Deno.env.get(REQUIRED) : undefined) ?? "";
/** Why nothing is compared with the oracle: a test run without flags is not to fetch its packages. */
const oracleObstacle = state === "granted"
  ? undefined
  : "TensorFlow.js, 280 MB, is fetched by `deno task test`, which runs it";
const missing = await missingEngines(required, engineFactories);

function isRequired({ name }: EngineFactory): boolean {
  return namesIn(required).includes(name);
}

/**
 * Why an engine is not tested here: it can't run, or it is one that nobody
 * would choose, such as a GPU's interface without a GPU, and the environment
 * does not ask for it. Its tests would take minutes without a word.
 *
 * @returns The reason, with the way to ask for it; undefined where it is tested.
 */
export async function obstacleTo(factory: EngineFactory): Promise<string | undefined> {
  if (factory === oracle && oracleObstacle) return oracleObstacle;
  const obstacle = await factory.unavailable();
  if (obstacle !== undefined || isRequired(factory) || factory === oracle) return obstacle;
  const objection = await factory.discouraged?.();
  return objection && `${objection}; ${REQUIRED}=${factory.name} asks for it`;
}

/**
 * Registers one test for every engine. Those that can't run here are reported
 * by name, and fail where the environment requires them.
 */
export async function testEveryEngine(
  name: string,
  body: (factory: EngineFactory, t: Deno.TestContext) => Promise<void>,
  factories: readonly EngineFactory[] = engineFactories,
  obstacleOf: (factory: EngineFactory) => Promise<string | undefined> = obstacleTo,
): Promise<void> {
  for (const [engine, obstacle] of missing) {
    Deno.test(`${engine}: ${name} (required, can't run: ${obstacle})`, () => {
      throw new Error(
        `${REQUIRED} requires ${engine}, which can't run here: ${obstacle}; install what it lacks, or don't require it`,
      );
    });
  }
  for (const factory of factories.filter(({ name }) => !missing.has(name))) {
    const obstacle = await obstacleOf(factory);
    Deno.test({
      name: `${factory.name}: ${name}${obstacle ? ` (not run: ${obstacle})` : ""}`,
      ignore: obstacle !== undefined,
      fn: (t) => body(factory, t),
    });
  }
}

/** Every engine but the oracle, which can't be compared with itself. */
export const comparedEngines: readonly EngineFactory[] = engineFactories.filter(
  (factory) => factory !== oracle,
);

/** Registers one test for every engine that compares it with the oracle, where that may be fetched. */
export async function testAgainstOracle(
  name: string,
  body: (factory: EngineFactory, t: Deno.TestContext) => Promise<void>,
): Promise<void> {
  const obstacleOf = async (factory: EngineFactory) => oracleObstacle ?? await obstacleTo(factory);
  await testEveryEngine(name, body, comparedEngines, obstacleOf);
}

/** The paper's settings for a graph, with departures. */
export function optionsFor(graph: Graph, departures: Partial<EngineOptions> = {}): EngineOptions {
  return {
    graph,
    batchSize: 4,
    optimiser: { ...PLAIN_SGD, momentum: 0.9, weightDecay: 1e-4 },
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    cropPadding: 0,
    ...departures,
  };
}

/** Makes an engine, lets `use` have it and disposes of it whatever happens. */
export async function withEngine<T>(
  factory: EngineFactory,
  options: EngineOptions,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await factory.create(options);
  try {
    return await use(engine);
  } finally {
    engine.dispose();
  }
}

/** Uniform in [-1, 1); one sequence for each label. */
export function uniform(count: number, label: number): Float32Array {
  const random = new RandomStream(1, "probe", label);
  return Float32Array.from({ length: count }, () => 2 * random.uniform() - 1);
}

/** Random weights: He's bound for kernels, scales and variances in [0.5, 1.5), the rest small. */
export function randomState(graph: Graph): TrainingState {
  const random = (parameter: ParameterSpec, label: number): Tensor => {
    const { role, shape } = parameter;
    const positive = role === "bn-scale" || role === "bn-variance";
    const factor = role === "kernel" ? Math.sqrt(6 / sizeOf(shape.slice(1))) : 0.5;
    const data = uniform(sizeOf(shape), label).map((u) => (positive ? 1 : 0) + factor * u);
    return { shape, data };
  };
  const parameters = parametersOf(graph);
  const trainable = parameters.filter((parameter) => parameter.trainable);
  return {
    iteration: 0,
    weights: new Map(parameters.map((p, i) => [p.name, random(p, i)])),
    slots: new Map([[
      "velocity",
      new Map(trainable.map(({ name, shape }, i) => [
        name,
        { shape, data: uniform(sizeOf(shape), 500 + i).map((u) => 0.1 * u) },
      ])),
    ]]),
  };
}

/** The arrays of a state that a part of its graph needs. */
export function restrictState(graph: Graph, state: TrainingState): TrainingState {
  const names = new Set(parametersOf(graph).map(({ name }) => name));
  const restrict = (weights: Weights) => new Map([...weights].filter(([name]) => names.has(name)));
  const slots = [...state.slots].map(([slot, arrays]) => [slot, restrict(arrays)] as const);
  return { ...state, weights: restrict(state.weights), slots: new Map(slots) };
}

/** How far `keepFromZero` may shift a channel: a part of its standard deviation of about 1. */
const REACH = 0.4;

/**
 * Moves batch norm's shifts so that no ReLU sees a value near zero: there the
 * rounding of an engine would decide whether a gradient passes. Each channel
 * is shifted into the middle of the widest gap between its values.
 *
 * @returns The moved state and the smallest |value| that any ReLU behind a
 *   batch norm sees.
 */
export async function keepFromZero(
  graph: Graph,
  state: TrainingState,
  input: Float32Array,
  images: number,
  mode: Probe["mode"] = "training",
): Promise<{ state: TrainingState; margin: number }> {
  const weights = new Map(state.weights);
  const moved = { ...state, weights };
  const probe: Probe = { input, images, mode };
  for (const node of graph.nodes) {
    const shift = node.kind === "relu" ? shiftBefore(graph, node) : undefined;
    if (!shift) continue;
    const values = await valuesOf(graph, moved, inputsOf(node)[0], probe);
    const old = weights.get(shift)!;
    const channels = old.data.length;
    weights.set(shift, {
      shape: old.shape,
      data: old.data.map((value, c) => {
        const channel = values.filter((_, i) => i % channels === c).sort();
        return value - middleOfWidestGap(channel);
      }),
    });
  }
  let margin = Infinity;
  for (const node of graph.nodes) {
    if (node.kind !== "relu" || !shiftBefore(graph, node)) continue;
    const values = await valuesOf(graph, moved, inputsOf(node)[0], probe);
    margin = values.reduce((smallest, value) => Math.min(smallest, Math.abs(value)), margin);
  }
  return { state: moved, margin };
}

/** Name of the batch-norm shift that moves what a ReLU sees, on the residual branch of an addition. */
function shiftBefore(graph: Graph, node: Node): string | undefined {
  const [input] = inputsOf(node);
  const before = nodeOf(graph, input);
  if (before?.kind === "add") return shiftBefore(graph, before);
  return before?.kind === "batch-norm" ? `${before.name}.bias` : undefined;
}

/** A node's output, by the oracle. */
async function valuesOf(
  graph: Graph,
  state: TrainingState,
  name: string,
  probe: Probe,
): Promise<Float32Array> {
  return (await probeOnce(oracle, truncate(graph, name), state, probe)).output;
}

function middleOfWidestGap(sorted: Float32Array): number {
  let middle = 0, widest = 0;
  for (let i = 1; i < sorted.length; i++) {
    const gap = sorted[i] - sorted[i - 1], centre = (sorted[i] + sorted[i - 1]) / 2;
    if (gap > widest && Math.abs(centre) < REACH) [middle, widest] = [centre, gap];
  }
  return middle;
}

/** One probe of a fresh engine with a state. */
export async function probeOnce(
  factory: EngineFactory,
  graph: Graph,
  state: TrainingState,
  probe: Probe,
): Promise<Awaited<ReturnType<Engine["probe"]>>> {
  const options = optionsFor(graph, { batchSize: probe.images });
  return await withEngine(factory, options, async (engine) => {
    await engine.importState(restrictState(graph, state));
    return await engine.probe(probe);
  });
}

/** Number of values of a graph's input or output for some images. */
export function sizeFor(graph: Graph, of: "input" | "output", images: number): number {
  return images * sizeOf(shapeOf(graph, of === "input" ? INPUT : graph.output));
}

/** Random bytes with labels in turn, of a graph's image size and classes. */
export function randomImages(graph: Graph, count: number, label: number): ByteImages {
  const [height, width, channels] = graph.inputShape;
  const [classes] = shapeOf(graph, graph.output);
  return {
    count,
    height,
    width,
    channels,
    classes,
    pixels: Uint8Array.from(uniform(count * sizeOf(graph.inputShape), label), (u) => 128 + 128 * u),
    labels: newLabels(count, classes).map((_, n) => (3 * n + 1) % classes) as Labels,
  };
}

/** Random images, a per-pixel mean and unequal deviations. */
export function randomData(graph: Graph, train = 8, test = 7): EngineData {
  const [, , channels] = graph.inputShape;
  return {
    train: randomImages(graph, train, 4000),
    test: randomImages(graph, test, 4001),
    normalisation: {
      scale: 1 / 255,
      mean: uniform(sizeOf(graph.inputShape), 4002).map((u) => 0.5 + 0.25 * u),
      std: Float32Array.from({ length: channels }, (_, c) => 1 / (2 + c)),
      beforePadding: true,
    },
  };
}

/** Images with crops that go through every offset, every second image mirrored. */
export function planFor(indices: readonly number[], cropPadding: number): BatchPlan {
  const offset = (n: number) => n % (2 * cropPadding + 1);
  return {
    indices: Uint32Array.from(indices),
    cropY: Uint8Array.from(indices, (index) => offset(index)),
    cropX: Uint8Array.from(indices, (index) => offset(2 * index + 1)),
    flip: Uint8Array.from(indices, (index) => index % 2),
  };
}
