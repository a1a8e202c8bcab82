/**
 * The numeric self-test that an engine passes before it trains, so that a
 * broken driver is an error and not a bad result.
 */
import { sizeOf, type Weights } from "../resnet/mod.ts";
import {
  BATCH,
  data,
  draws,
  firstState,
  GRAPH,
  labelsOf,
  LEARNING_RATE,
  OPTIONS,
  PARAMETERS,
  plan,
  SUBSTREAM,
} from "./_self_test_case.ts";
import { type Fingerprint, SELF_TEST_VALUES } from "./_self_test_values.ts";
import { type Engine, EngineError, type EngineFactory } from "./engine.ts";

const EXPECTED = SELF_TEST_VALUES;

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
  const engine = await factory.create(OPTIONS);
  try {
    await engine.load(data());
    await engine.importState(firstState());
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
