/**
 * The numeric self-test that an engine passes before it trains, so that a
 * broken driver is an error and not a bad result.
 */
import { RandomStream } from "../random/mod.ts";
import {
  architecture,
  parametersOf,
  type ParameterSpec,
  sizeOf,
  type Weights,
} from "../resnet/mod.ts";
import { type Fingerprint, SELF_TEST_VALUES } from "./_self_test_values.ts";
import {
  type BatchPlan,
  type ByteImages,
  type Engine,
  type EngineData,
  EngineError,
  type EngineFactory,
  type TrainingState,
} from "./engine.ts";
import { type Optimiser, PLAIN_SGD } from "./optimiser.ts";

const EXPECTED = SELF_TEST_VALUES;
const SEED = EXPECTED.seed;

// The case, mirrored in bench/peers/self_test_values.py.
const GRAPH = architecture("resnet8", { inputShape: [8, 8, 3] });
const PARAMETERS = parametersOf(GRAPH);
const BATCH = 4, TRAIN = 8, TEST = 6, CLASSES = 10, PADDING = 1;
const LEARNING_RATE = 0.1;
const OPTIMISER: Optimiser = { ...PLAIN_SGD, momentum: 0.9, weightDecay: 0.01 };
const BATCH_NORM = { epsilon: 1e-5, momentum: 0.1 };
/** Which sequence of the stream "probe" fills what; parameters take 0, 1, 2, ... */
const SUBSTREAM = { input: 1000, pixels: 1001, mean: 1002, pattern: 1003, momentum: 2000 };

/**
 * Relative to an array's norm. Rounding in single precision stays below 1e-4,
 * Winograd's included; half-precision arithmetic or a lost term does not pass.
 */
const TOLERANCE = 5e-4;

/**
 * Runs a ResNet-8 on 8x8 images through an engine: inference, every gradient,
 * two training steps with augmentation, momentum and decay, and an evaluation;
 * and compares with stored values that PyTorch computed in double precision.
 *
 * @param factory Makes the engine to test; it is disposed of afterwards.
 * @throws {EngineError} If a value differs: the message names the array, the
 *   expected and the found value, and what to do.
 *
 * @example
 * ```ts
 * import { selfTest } from "./self_test.ts";
 * import { tfjsEngine } from "./tfjs/mod.ts";
 *
 * await selfTest(tfjsEngine);
 * ```
 */
export async function selfTest(factory: EngineFactory): Promise<void> {
  const engine = await factory.create({
    graph: GRAPH,
    batchSize: BATCH,
    optimiser: OPTIMISER,
    batchNorm: BATCH_NORM,
    cropPadding: PADDING,
  });
  try {
    await engine.load(data());
    await engine.importState({ iteration: 0, weights: weights(), slots: slots() });
    const compare = new Comparison(engine);
    await checkProbes(engine, compare);
    await checkSteps(engine, compare);
    await checkEvaluation(engine, compare);
  } finally {
    engine.dispose();
  }
}

async function checkProbes(engine: Engine, compare: Comparison): Promise<void> {
  const input = draws(SUBSTREAM.input, BATCH * sizeOf(GRAPH.inputShape), 0, 2);
  const inference = await engine.probe({ input, images: BATCH, mode: "inference" });
  compare.array("logits in inference mode", inference.output, EXPECTED.inference);

  const labels = labelsOf(0, BATCH);
  const found = await engine.probe({ input, images: BATCH, mode: "training", labels });
  const { loss, output, inputGradient, gradients } = EXPECTED.training;
  compare.number("loss in training mode", found.loss, loss, TOLERANCE * loss);
  compare.array("logits in training mode", found.output, output);
  compare.array("gradient of the input", found.inputGradient, inputGradient);
  compare.arrays("gradient of", found.gradients, gradients);
}

async function checkSteps(engine: Engine, compare: Comparison): Promise<void> {
  engine.step(plan(0), LEARNING_RATE);
  engine.step(plan(BATCH), LEARNING_RATE);
  const metrics = await engine.metrics();
  EXPECTED.steps.losses.forEach((loss, i) =>
    compare.number(`loss of step ${i + 1}`, metrics[i]?.loss, loss, TOLERANCE * loss)
  );
  const state = await engine.exportState();
  compare.arrays("after two steps", state.weights, EXPECTED.steps.weights);
  const velocity = state.slots.get("velocity");
  compare.arrays("after two steps the velocity of", velocity, EXPECTED.steps.momentum);
}

async function checkEvaluation(engine: Engine, compare: Comparison): Promise<void> {
  const found = await engine.evaluate("test");
  const { loss, logits, predictions } = EXPECTED.evaluation;
  compare.number("loss of the test images", found.loss, loss, TOLERANCE * loss);
  compare.array("logits of the test images", found.logits, logits);
  predictions.forEach((prediction, n) =>
    compare.number(`prediction for test image ${n}`, found.predictions[n], prediction, 0)
  );
}

/** Compares what an engine found with what was expected. */
class Comparison {
  #engine: Engine;
  /** Long enough for every array that is projected on it. */
  #pattern = draws(
    SUBSTREAM.pattern,
    Math.max(...PARAMETERS.map(({ shape }) => sizeOf(shape))),
    0,
    1,
  );

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  arrays(
    what: string,
    found: Weights | undefined,
    expected: Readonly<Record<string, Fingerprint>>,
  ): void {
    for (const [name, fingerprint] of Object.entries(expected)) {
      this.array(`${what} ${name}`, found?.get(name)?.data, fingerprint);
    }
  }

  array(what: string, found: Float32Array | undefined, [norm, projection]: Fingerprint): void {
    let squares = 0, product = 0;
    found?.forEach((value, i) => {
      squares += value * value;
      product += value * this.#pattern[i];
    });
    this.number(`norm of ${what}`, Math.sqrt(squares), norm, TOLERANCE * norm);
    // An error vector of relative length t moves the projection by about t * norm.
    this.number(`projection of ${what}`, product, projection, TOLERANCE * norm);
  }

  number(what: string, found: number | undefined, expected: number, tolerance: number): void {
    if (found !== undefined && Math.abs(found - expected) <= tolerance) return; // false for NaN
    const { name, device } = this.#engine;
    throw new EngineError(
      `self-test of engine ${name} on ${device.summary}: ${what} must be ${expected} within ${
        tolerance.toPrecision(2)
      }, found ${found}; this device computes wrongly: update its driver or choose another engine with --engine`,
    );
  }
}

/** Uniform numbers in offset + factor * [-1, 1). */
function draws(substream: number, count: number, offset: number, factor: number): Float32Array {
  const random = new RandomStream(SEED, "probe", substream);
  return new Float32Array(count).map(() => offset + factor * (2 * random.uniform() - 1));
}

function weights(): Weights {
  const range = ({ role, shape }: ParameterSpec): [offset: number, factor: number] => {
    if (role === "kernel") return [0, Math.sqrt(6 / sizeOf(shape.slice(1)))];
    return role === "bn-scale" || role === "bn-variance" ? [1, 0.5] : [0, 0.5];
  };
  return new Map(PARAMETERS.map((parameter, i) => {
    const { name, shape } = parameter;
    return [name, { shape, data: draws(i, sizeOf(shape), ...range(parameter)) }];
  }));
}

function slots(): TrainingState["slots"] {
  const velocity: Weights = new Map(
    PARAMETERS.filter(({ trainable }) => trainable).map(({ name, shape }, i) => [
      name,
      { shape, data: draws(SUBSTREAM.momentum + i, sizeOf(shape), 0, 0.1) },
    ]),
  );
  return new Map([["velocity", velocity]]);
}

function data(): EngineData {
  const random = new RandomStream(SEED, "probe", SUBSTREAM.pixels);
  const images = (first: number, count: number): ByteImages => ({
    count,
    height: 8,
    width: 8,
    channels: 3,
    pixels: Uint8Array.from({ length: count * 8 * 8 * 3 }, () => random.word() >>> 24),
    labels: labelsOf(first, count),
    classes: CLASSES,
  });
  return {
    train: images(0, TRAIN),
    test: images(TRAIN, TEST),
    normalisation: {
      scale: 1 / 255,
      mean: draws(SUBSTREAM.mean, 8 * 8 * 3, 0.5, 0.25),
      std: Float32Array.of(1, 0.5, 0.25),
      beforePadding: true,
    },
  };
}

function labelsOf(first: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, n) => (3 * (first + n)) % CLASSES);
}

function plan(first: number): BatchPlan {
  return {
    indices: Uint32Array.from({ length: BATCH }, (_, n) => first + n),
    cropY: Uint8Array.from({ length: BATCH }, (_, n) => n % 3),
    cropX: Uint8Array.from({ length: BATCH }, (_, n) => (n + first) % 3),
    flip: Uint8Array.from({ length: BATCH }, (_, n) => n % 2),
  };
}
