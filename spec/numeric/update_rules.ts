/** Section 4.2 on the optimiser: the rules that one or two steps decide. */
import { normalisedBatch } from "../../data/mod.ts";
import { decayOf, type SgdSettings, type TrainingState } from "../../engine/mod.ts";
import { type Graph, nodeOf, parametersOf, type Weights } from "../../resnet/mod.ts";
import {
  badEngine,
  differentiating,
  measuringLoss,
  plainUpdate,
  reporting,
  smoothedLoss,
  updating,
} from "./_engine_mutants.ts";
import {
  crossEntropy,
  labelsOf,
  mapWeights,
  relativeDistance,
  short,
  shortened,
} from "../_numbers.ts";
import { goodSettings } from "./_fixture.ts";
import { begun, measure, type NumericRule, probing } from "./subject.ts";
import { defineRules } from "../rule.ts";
import { finding } from "../subject.ts";

/** The rate at which single steps are looked at: large, so that rounding stays far below. */
const RATE = 0.1;
/** Two roundings of a 32-bit number. */
const ROUNDING = 2 ** -22;
/** A loss in single precision. */
const LOSS_TOLERANCE = 1e-5;

/** The state as if no step had been taken: what the optimiser keeps is 0. */
function atRest(state: TrainingState): TrainingState {
  const slots = [...state.slots].map(([slot, arrays]) =>
    [slot, mapWeights(arrays, (data) => new Float32Array(data.length))] as const
  );
  return { ...state, slots: new Map(slots) };
}

/** The state whose last layer has no weights: nothing flows back to the layers before it. */
function withoutLastLayer(graph: Graph, state: TrainingState): TrainingState {
  return {
    ...state,
    weights: mapWeights(
      state.weights,
      (data, name) => name === `${graph.output}.weight` ? new Float32Array(data.length) : data,
    ),
  };
}

const isLinear = (graph: Graph): boolean => nodeOf(graph, graph.output)?.kind === "dense";
const NO_LINEAR = {
  outcome: "not-observable",
  evidence: "the last node is no dense layer",
} as const;

/** What one step and the next train: weights and velocities by the declared formula, as doubles. */
function declaredStep(
  { momentum, nesterov, velocityOf }: SgdSettings,
  w: number,
  v: number,
  gradient: number,
): readonly [weight: number, velocity: number] {
  if (velocityOf === "steps") {
    const step = RATE * gradient, velocity = momentum * v + step;
    return [w - (nesterov ? step + momentum * velocity : velocity), velocity];
  }
  const velocity = momentum * v + gradient;
  return [w - RATE * (nesterov ? gradient + momentum * velocity : velocity), velocity];
}

/** What a training step does with a loss. */
export const NUMERIC_UPDATE_RULES: readonly NumericRule[] = defineRules([
  {
    id: "loss",
    section: "4.2",
    requirement:
      "The loss is the softmax cross entropy, averaged over the batch: ln 10 where all ten outputs are equal.",
    tier: "numeric",
    check: probing(
      ["engine", "graph", "data", "state", "batchPlan"],
      async ({ engine, graph, data, state, batchPlan }) => {
        if (!isLinear(graph)) return NO_LINEAR;
        const plan = batchPlan(1);
        const labels = labelsOf(data.train, plan.indices);
        const { classes } = data.train;
        const problems: string[] = [], seen: string[] = [];
        // Without weights the logits are the biases: first equal ones, then irregular ones.
        for (const rise of [0, 1]) {
          const biases = Float32Array.from({ length: classes }, (_, k) => rise * Math.sqrt(k));
          const flat = withoutLastLayer(graph, state);
          const weights = mapWeights(
            flat.weights,
            (values, name) => name === `${graph.output}.bias` ? biases : values,
          );
          const { loss } = await measure(engine, { ...flat, weights }, plan);
          const logits = Float32Array.from(
            { length: labels.length * classes },
            (_, i) => biases[i % classes],
          );
          const expected = crossEntropy(logits, labels);
          seen.push(`${loss.toFixed(5)} for ${expected.toFixed(5)}`);
          if (!(Math.abs(loss - expected) <= LOSS_TOLERANCE * expected)) {
            problems.push(
              `${rise === 0 ? "equal logits" : "logits of 0, 1, 1.41, 1.73, ..."} have the loss ${
                loss.toFixed(5)
              }, not ${expected.toFixed(5)}`,
            );
          }
        }
        return finding(problems, `losses of known logits: ${seen.join(", ")}`);
      },
    ),
    rejects: [
      badEngine(
        "summed over the batch",
        "the rate then depends on the batch size",
        (good) => reporting(good, (step) => ({ ...step, loss: step.loss * step.images })),
      ),
      badEngine(
        "labels smoothed",
        "a later custom",
        (good) => measuringLoss(good, "training", smoothedLoss),
      ),
      badEngine(
        "the penalty within the loss",
        "weight decay is added to what is reported",
        (good) =>
          reporting(good, (step, weights) => {
            let squares = 0;
            for (const { data } of weights.values()) {
              squares += data.reduce((sum, w) => sum + w * w, 0);
            }
            return { ...step, loss: step.loss + good.optimiser.weightDecay / 2 * squares };
          }),
      ),
    ],
    accepts: [
      goodSettings(
        "a last layer by the library's default",
        "the loss of equal outputs is the same",
        { initialisation: { lastLayer: "library" } },
      ),
    ],
  },
  {
    id: "gradient",
    section: "4.2",
    requirement:
      "The gradient of every array is that of the loss: a step along it changes the loss as fast as it says.",
    tier: "numeric",
    check: probing(
      ["engine", "graph", "data", "state", "cropPadding", "batchPlan"],
      async ({ engine, graph, data, state, cropPadding, batchPlan }) => {
        const late = begun(state);
        if (late) return late;
        const plan = shortened(batchPlan(1), GRADIENT_IMAGES);
        const labels = labelsOf(data.train, plan.indices);
        const input = normalisedBatch(data.train, plan, data.normalisation, cropPadding);
        const forward = { input, images: labels.length, mode: "training" } as const;
        await engine.importState(state);
        const { gradients } = await engine.probe({ ...forward, labels });
        const lossAt = async (name: string, direction: Float32Array, distance: number) => {
          const weights = mapWeights(
            state.weights,
            (values, other) =>
              other === name ? values.map((w, i) => w + distance * direction[i]) : values,
          );
          await engine.importState({ ...state, weights });
          return crossEntropy((await engine.probe(forward)).output, labels);
        };
        const problems: string[] = [];
        let worst = 0;
        const trainable = parametersOf(graph).filter((parameter) => parameter.trainable);
        for (const { name } of trainable) {
          const gradient = gradients?.get(name)?.data ?? new Float32Array();
          const norm = Math.hypot(...gradient);
          if (!(norm > 0 && norm < Infinity)) {
            problems.push(`the gradient of ${name} has the norm ${norm}`);
            continue;
          }
          const direction = gradient.map((g) => g / norm);
          const distance = LOSS_CHANGE / norm;
          const slope = (await lossAt(name, direction, distance) -
            await lossAt(name, direction, -distance)) / (2 * distance);
          worst = Math.max(worst, Math.abs(slope / norm - 1));
          if (!(Math.abs(slope / norm - 1) <= SLOPE_TOLERANCE)) {
            problems.push(
              `along the gradient of ${name} the loss rises by ${short(slope)}, not by ${
                short(norm)
              }`,
            );
          }
        }
        return finding(
          problems,
          `the slopes along ${trainable.length} gradients are theirs within ${short(100 * worst)}%`,
        );
      },
    ),
    rejects: [
      badEngine(
        "summed over the batch",
        "the rate then depends on the batch size",
        (good) =>
          differentiating(
            good,
            (gradients, images) => mapWeights(gradients, (data) => data.map((g) => g * images)),
          ),
      ),
      badEngine(
        "one layer left out",
        "its backward pass was never written",
        (good) =>
          differentiating(
            good,
            (gradients) =>
              mapWeights(gradients, (data, name) =>
                name === "layer1.0.conv2.weight" ? new Float32Array(data.length) : data),
          ),
      ),
      badEngine(
        "a kernel turned around",
        "the backward pass takes the mirrored window",
        (good) =>
          differentiating(
            good,
            (gradients) =>
              mapWeights(gradients, (data, name) =>
                name === "conv1.weight" ? mirrored(data, 9) : data),
          ),
      ),
    ],
    accepts: [goodSettings("a plain net", "no gradient goes around its layers", {}, "plain8")],
  },
  {
    id: "update",
    section: "4.2",
    requirement:
      "A first step moves every weight by the learning rate times the gradient with its decay; a rate of 0 moves none.",
    tier: "numeric",
    check: probing(
      ["engine", "graph", "optimiser", "data", "state", "batchPlan"],
      async ({ engine, graph, optimiser, data, state, batchPlan }) => {
        const plan = batchPlan(1), start = atRest(state);
        const weightsAfter = async (rate: number) => {
          await engine.importState(start);
          engine.step(plan, rate);
          return (await engine.exportState()).weights;
        };
        await engine.importState(start);
        const { gradients } = await engine.probe({
          // The engine's own, bit for bit: a ReLU on the brink would move the gradient by 1%.
          input: await engine.augmented(plan),
          images: plan.indices.length,
          mode: "training",
          labels: labelsOf(data.train, plan.indices),
        });
        const still = await weightsAfter(0), after = await weightsAfter(RATE);
        const problems: string[] = [];
        let worst = 0;
        const trainable = parametersOf(graph).filter((parameter) => parameter.trainable);
        for (const parameter of trainable) {
          const { name } = parameter;
          const before = state.weights.get(name)!.data;
          if (still.get(name)!.data.some((w, i) => w !== before[i])) {
            problems.push(`${name} moves in a step of rate 0`);
          }
          const gradient = gradients!.get(name)!.data, decay = decayOf(optimiser, parameter);
          const moved = Array.from(after.get(name)!.data, (w, i) => w - before[i]);
          const expected = Array.from(before, (w, i) => {
            const [next] = declaredStep(optimiser, w, 0, gradient[i] + decay * w);
            return next - w;
          });
          const distance = relativeDistance(moved, expected);
          worst = Math.max(worst, distance);
          if (!(distance <= UPDATE_TOLERANCE)) {
            problems.push(
              `${name} moves by ${short(Math.hypot(...moved))} in a step of rate ${RATE}, not by ${
                short(Math.hypot(...expected))
              }`,
            );
          }
        }
        return finding(
          problems,
          `${trainable.length} arrays move by ${RATE} times their gradients within ${
            short(100 * worst)
          }%`,
        );
      },
    ),
    rejects: [
      badEngine(
        "a tenth of the rate",
        "the schedule is applied a second time",
        (good) => updating(good, (step) => plainUpdate({ ...step, rate: step.rate / 10 })),
      ),
      badEngine(
        "summed over the batch",
        "the loss is not averaged",
        (good) =>
          updating(
            good,
            (step) => plainUpdate({ ...step, gradient: step.gradient * good.batchSize }),
          ),
      ),
      badEngine(
        "one layer that never learns",
        "it is not handed to the optimiser",
        (good) =>
          updating(
            good,
            (step) =>
              step.name === "conv1.weight" ? [step.velocity, step.weight] : plainUpdate(step),
          ),
      ),
      badEngine(
        "gradients clipped",
        "each is kept within 0.001",
        (good) =>
          updating(
            good,
            (step) =>
              plainUpdate({ ...step, gradient: Math.max(-0.001, Math.min(0.001, step.gradient)) }),
          ),
      ),
      badEngine(
        "a floor under the rate",
        "the optimiser refuses a rate of 0",
        (good) =>
          updating(good, (step) => plainUpdate({ ...step, rate: Math.max(1e-3, step.rate) })),
      ),
    ],
    accepts: [
      goodSettings("Caffe's momentum, declared", "a first step is the same", {
        optimiser: { velocityOf: "steps" },
      }),
    ],
  },
  {
    id: "zero-gradient-step",
    section: "4.2",
    requirement:
      "Where the gradient is 0, a step leaves w (1 - rate x decay), and the next one goes on with the declared momentum.",
    tier: "numeric",
    check: probing(
      ["engine", "graph", "optimiser", "state", "batchPlan"],
      async ({ engine, graph, optimiser, state, batchPlan }) => {
        if (!isLinear(graph)) return NO_LINEAR;
        const start = withoutLastLayer(graph, atRest(state));
        const states: Weights[] = [];
        let next = start;
        for (let iteration = 1; iteration <= 2; iteration++) {
          await engine.importState(next);
          engine.step(batchPlan(iteration), RATE);
          const left = await engine.exportState();
          states.push(left.weights);
          // The last layer has a gradient of its own: it is emptied again.
          next = withoutLastLayer(graph, left);
        }
        const problems: string[] = [];
        let shrunk = 0, arrays = 0;
        for (const parameter of parametersOf(graph)) {
          const { name, trainable, role } = parameter;
          if (!trainable || name.startsWith(`${graph.output}.`)) continue;
          const before = start.weights.get(name)!.data, decay = decayOf(optimiser, parameter);
          const wrong = [0, 0];
          before.forEach((w, i) => {
            const [first, velocity] = declaredStep(optimiser, w, 0, decay * w);
            const [second] = declaredStep(optimiser, first, velocity, decay * first);
            [first, second].forEach((expected, k) => {
              const found = states[k].get(name)!.data[i];
              if (!(Math.abs(found - expected) <= ROUNDING * Math.abs(w))) wrong[k]++;
            });
          });
          arrays++;
          if (role === "kernel" && shrunk === 0) {
            shrunk = shrinkage(before, states[0].get(name)!.data);
          }
          const step = wrong.findIndex((count) => count > 0);
          if (step >= 0) {
            const from = step === 0 ? before : states[0].get(name)!.data;
            problems.push(
              `step ${step + 1} takes ${
                short(shrinkage(from, states[step].get(name)!.data))
              } of ${name}, not ${short(declaredShrinkage(optimiser, decay, step))}`,
            );
          }
        }
        return finding(
          problems,
          `the first step takes ${short(shrunk)} of a kernel, the rate ${RATE} times the decay; ` +
            `${arrays} arrays follow the declared momentum in the second`,
        );
      },
    ),
    rejects: [
      badEngine(
        "no weight decay",
        "the library's default is kept",
        (good) => updating(good, (step) => plainUpdate({ ...step, decay: 0 })),
      ),
      badEngine(
        "twice the decay",
        "the penalty has no factor of one half",
        (good) => updating(good, (step) => plainUpdate({ ...step, decay: 2 * step.decay })),
      ),
      badEngine(
        "decay beside the momentum",
        "a later optimiser's decoupled decay",
        (good) =>
          updating(good, (step) => {
            const [velocity, weight] = plainUpdate({ ...step, decay: 0 });
            return [velocity, weight - step.rate * step.decay * step.weight];
          }),
      ),
      badEngine(
        "new gradients times 1 - momentum",
        "velocity as an average",
        (good) =>
          updating(good, ({ weight, velocity, gradient, rate, momentum, decay }) => {
            const v = momentum * velocity + (1 - momentum) * (gradient + decay * weight);
            return [v, weight - rate * v];
          }),
      ),
      badEngine(
        "Nesterov's momentum, undeclared",
        "a flag of the optimiser",
        (good) =>
          updating(good, (step) => {
            const [v] = plainUpdate(step);
            const gradient = step.gradient + step.decay * step.weight;
            return [v, step.weight - step.rate * (gradient + step.momentum * v)];
          }),
      ),
      badEngine(
        "momentum that is lost",
        "the optimiser is made anew for each step",
        (good) => updating(good, (step) => plainUpdate({ ...step, velocity: 0 })),
      ),
    ],
    accepts: [
      goodSettings("Nesterov's momentum, declared", "the paper names no form", {
        optimiser: { nesterov: true },
      }),
      goodSettings("kernels alone decay", "the paper can be read so", {
        optimiser: { decayed: "kernels" },
      }),
    ],
  },
]);

/** Each slope takes two forward passes. */
const GRADIENT_IMAGES = 4;
/** How far the loss is moved to measure its slope: far above rounding, near enough to be straight. */
const LOSS_CHANGE = 0.0005;
/** Measured at up to 1e-2; the nearest mutant is at a factor. */
const SLOPE_TOLERANCE = 0.05;
/** An engine may differentiate a step by other kernels than a probe; mutants are at a factor. */
const UPDATE_TOLERANCE = 0.02;

/** The part of an array's norm that a step took away. */
function shrinkage(before: Float32Array, after: Float32Array): number {
  let product = 0, square = 0;
  before.forEach((w, i) => {
    product += w * (w - after[i]);
    square += w * w;
  });
  return product / square;
}

/** What {@link shrinkage} is by the declared formula. */
function declaredShrinkage(optimiser: SgdSettings, decay: number, step: number): number {
  const [first, velocity] = declaredStep(optimiser, 1, 0, decay);
  return step === 0
    ? 1 - first
    : 1 - declaredStep(optimiser, first, velocity, decay * first)[0] / first;
}

/** Windows of `taps` values, each turned around. */
function mirrored(kernel: Float32Array, taps: number): Float32Array {
  return kernel.map((_, i) => kernel[i - i % taps + taps - 1 - i % taps]);
}
