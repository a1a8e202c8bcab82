/** Section 3.4 on batch normalisation: the rules that its outputs and its statistics decide. */
import { normalisedBatch } from "../../data/mod.ts";
import { type BatchNormSpec, type Graph, type Node, ofKind, truncate } from "../../resnet/mod.ts";
import {
  averaging,
  badEngine,
  badEpsilon,
  evaluating,
  measuringLoss,
  starting,
  unaugmented,
} from "./_engine_mutants.ts";
import {
  centred,
  crossEntropy,
  first,
  mapWeights,
  relativeDistance,
  short,
  shortened,
} from "../_numbers.ts";
import { NO_BATCH_NORM, SAME, statistics } from "./_layers.ts";
import { goodSettings } from "./_fixture.ts";
import { measure, type NumericRule, probing } from "./subject.ts";
import { defineRules } from "../rule.ts";
import { finding } from "../subject.ts";

/** Of a statistic: rounding stays below 1e-5; n / (n - 1) is 1.008 for 2 images of 8x8 pixels. */
const STATISTIC_TOLERANCE = 1e-3;

/** Of what is added to a variance as small as itself; rounding stays below 1e-4. */
const EPSILON_TOLERANCE = 0.02;
/** Of logits: rounding stays below 1e-5, an epsilon that is 10% off is 2% in each layer. */
const TESTED_TOLERANCE = 1e-3;

/** A known-bad engine that adds another epsilon where it tests. */
function testedWithEpsilon(name: string, why: string, epsilon: number) {
  return badEngine(name, why, (good) =>
    starting(good, (state) => ({
      ...state,
      weights: mapWeights(state.weights, (data, array) =>
        array.endsWith(".running_var")
          ? data.map((variance) =>
            variance + epsilon - good.batchNorm.epsilon
          )
          : data),
    })));
}

/** The first and the last batch-norm node. */
function outerBatchNorms(graph: Graph): readonly (Node & BatchNormSpec)[] {
  const all = ofKind(graph, "batch-norm");
  return all.length > 1 ? [all[0], all[all.length - 1]] : all;
}

/** What an engine's batch normalisation computes. */
export const BATCH_NORM_RULES: readonly NumericRule[] = defineRules([
  {
    id: "batch-statistics",
    section: "4.2, [16]",
    requirement:
      "Batch normalisation goes by the batch's own statistics in training, and by the running ones in testing.",
    tier: "numeric",
    check: probing(
      ["engine", "data", "state", "batchPlan"],
      async ({ engine, data, state, batchPlan }) => {
        if (![...state.weights.keys()].some((name) => name.endsWith(".running_var"))) {
          return NO_BATCH_NORM;
        }
        const other = mapWeights(state.weights, (values, name) => {
          if (name.endsWith(".running_mean")) return values.map((mean) => mean + 0.5);
          return name.endsWith(".running_var") ? values.map((variance) => 3 * variance) : values;
        });
        const indices = first(4, data.test.count);
        const found: { training: number; logits: Float32Array }[] = [];
        for (const weights of [state.weights, other]) {
          const { loss } = await measure(engine, { ...state, weights }, batchPlan(1));
          await engine.importState({ ...state, weights });
          const { logits } = await engine.evaluate("test", indices);
          found.push({ training: loss, logits });
        }
        const training = Math.abs(found[1].training / found[0].training - 1);
        const testing = relativeDistance(found[1].logits, found[0].logits);
        const problems = training <= SAME ? [] : [
          `other running statistics change a training step's loss by ${short(100 * training)}%`,
        ];
        if (!(testing > SAME)) problems.push("other running statistics do not change test logits");
        return finding(
          problems,
          `other running statistics change a training step's loss by ${
            short(100 * training)
          }% and test logits by ${short(100 * testing)}%`,
        );
      },
    ),
    rejects: [
      badEngine(
        "trained with running statistics",
        "the network stays in test mode",
        (good) => measuringLoss(good, "inference", crossEntropy),
      ),
      badEngine(
        "tested with the batch's statistics",
        "the network stays in training mode",
        (good) => evaluating(good, unaugmented(good), "training"),
      ),
    ],
    accepts: [
      goodSettings("statistics that move by a hundredth", "declared", {
        batchNorm: { momentum: 0.01 },
      }),
    ],
  },
  {
    id: "running-statistics",
    section: "4.2, [16]",
    requirement:
      "Each step moves the running statistics by the declared momentum towards the batch's mean and unbiased variance.",
    tier: "numeric",
    check: probing(
      ["engine", "graph", "batchNorm", "data", "state", "cropPadding", "batchPlan", "outputOf"],
      async (subject) => {
        const { engine, graph, batchNorm, data, state, cropPadding, batchPlan, outputOf } = subject;
        const nodes = outerBatchNorms(graph);
        if (nodes.length === 0) return NO_BATCH_NORM;
        // Few values, so that the correction n / (n - 1) shows.
        const plan = shortened(batchPlan(1), 2);
        await engine.importState(state);
        engine.step(plan, 0);
        const { weights } = await engine.exportState();
        const input = normalisedBatch(data.train, plan, data.normalisation, cropPadding);
        const problems: string[] = [], seen: string[] = [];
        for (const node of nodes) {
          const part = truncate(graph, node.input);
          const values = await outputOf(part, {
            input,
            images: plan.indices.length,
            mode: "training",
          });
          const { mean, variance, count } = statistics(values, node.shape[node.shape.length - 1]);
          const batch = {
            running_mean: mean,
            running_var: variance.map((v) => v * count / (count - 1)),
          };
          for (const [suffix, statistic] of Object.entries(batch)) {
            const name = `${node.name}.${suffix}`;
            const old = state.weights.get(name)!.data, found = weights.get(name)!.data;
            const moved = Array.from(found, (value, c) => value - old[c]);
            const expected = Array.from(statistic, (s, c) => batchNorm.momentum * (s - old[c]));
            const distance = relativeDistance(moved, expected);
            seen.push(`${name} over ${count} values: ${short(distance)}`);
            if (!(distance <= STATISTIC_TOLERANCE)) {
              problems.push(
                `${name} moves by ${short(moved[0])} in its first channel, not by ${
                  short(expected[0])
                }`,
              );
            }
          }
        }
        return finding(problems, `relative differences from the formula, ${seen.join(", ")}`);
      },
    ),
    rejects: [
      badEngine(
        "the biased variance",
        "the variance that normalises is also kept",
        (good) => averaging(good, (old, batch, bias) => 0.9 * old + 0.1 * batch * bias),
      ),
      badEngine(
        "the share of the old and the new exchanged",
        "another library's momentum of 0.9 means the opposite",
        (good) => averaging(good, (old, batch) => 0.1 * old + 0.9 * batch),
      ),
      badEngine(
        "the last batch's statistics",
        "nothing is averaged",
        (good) => averaging(good, (_, batch) => batch),
      ),
      badEngine(
        "never moved",
        "the statistics are not part of what a step updates",
        (good) => averaging(good, (old) => old),
      ),
      badEngine(
        "a momentum of 0.101",
        "a constant of another program",
        (good) => averaging(good, (old, batch) => 0.899 * old + 0.101 * batch),
      ),
      badEngine(
        "a momentum of 0.099",
        "a constant of another program",
        (good) => averaging(good, (old, batch) => 0.901 * old + 0.099 * batch),
      ),
    ],
    accepts: [
      goodSettings("statistics that move by a hundredth", "declared", {
        batchNorm: { momentum: 0.01 },
      }),
    ],
  },
  {
    id: "batch-norm-epsilon",
    section: "4.2, [16]",
    requirement:
      "Batch normalisation adds the declared epsilon to the variance, no more and no less, in training and in testing.",
    tier: "numeric",
    check: probing(
      ["engine", "graph", "batchNorm", "data", "state", "cropPadding", "outputOf"],
      async ({ engine, graph, batchNorm: { epsilon }, data, state, cropPadding, outputOf }) => {
        const [node] = ofKind(graph, "batch-norm");
        if (!node) return NO_BATCH_NORM;
        const problems: string[] = [];
        // In training: images so faint that the variance is about epsilon.
        const plan = centred(first(4, data.train.count), cropPadding);
        const images = plan.indices.length;
        const whole = normalisedBatch(data.train, plan, data.normalisation, cropPadding);
        const before = truncate(graph, node.input), behind = truncate(graph, node.name);
        const scale = state.weights.get(`${node.name}.weight`)!.data;
        const deviationsOf = async (part: Graph, input: Float32Array) =>
          statistics(await outputOf(part, { input, images, mode: "training" }), scale.length)
            .variance;
        const bright = Array.from(await deviationsOf(before, whole)).sort((a, b) => a - b);
        const faintness = Math.sqrt(epsilon / bright[bright.length >> 1]);
        const faint = whole.map((value) => value * faintness);
        const variance = await deviationsOf(before, faint);
        const found = await deviationsOf(behind, faint);
        const told = [...scale.keys()].filter((c) =>
          scale[c] !== 0 && variance[c] > epsilon / 10 && variance[c] < 10 * epsilon
        );
        if (told.length === 0) {
          return {
            outcome: "not-observable",
            evidence: `no channel before ${node.name} has a variance of about epsilon`,
          };
        }
        // found = scale^2 variance / (variance + epsilon)
        const added = told.map((c) => variance[c] * (scale[c] ** 2 / found[c] - 1))
          .sort((a, b) => a - b)[told.length >> 1];
        if (!(Math.abs(added / epsilon - 1) <= EPSILON_TOLERANCE)) {
          problems.push(`in training ${node.name} adds ${short(added)}, not ${short(epsilon)}`);
        }
        // In testing: other variances with the scales that make up for them change nothing.
        const logits: Float32Array[] = [];
        const faintVariances = new Map(state.weights);
        for (const { name } of ofKind(graph, "batch-norm")) {
          const old = state.weights.get(`${name}.running_var`)!;
          const weight = state.weights.get(`${name}.weight`)!;
          const data = weight.data.map((w, c) =>
            w * Math.sqrt(2 * epsilon / (old.data[c] + epsilon))
          );
          faintVariances.set(`${name}.running_var`, { ...old, data: old.data.map(() => epsilon) });
          faintVariances.set(`${name}.weight`, { ...weight, data });
        }
        for (const weights of [state.weights, faintVariances]) {
          await engine.importState({ ...state, weights });
          logits.push((await engine.evaluate("test", first(4, data.test.count))).logits);
        }
        const distance = relativeDistance(logits[1], logits[0]);
        if (!(distance <= TESTED_TOLERANCE)) {
          problems.push(
            `in testing variances of ${short(epsilon)}, and scales that make up for them, change ` +
              `the logits by ${short(100 * distance)}%: another epsilon is added`,
          );
        }
        return finding(
          problems,
          `in training ${node.name} adds ${short(added)}; in testing the logits follow ${
            short(epsilon)
          } to ${short(100 * distance)}%`,
        );
      },
    ),
    rejects: [
      badEpsilon("1e-3 for 1e-5 in training", "another library's default", 1e-3),
      badEpsilon("a tenth more in training", "a constant of another program", 1.1e-5),
      badEpsilon("a tenth less in training", "a constant of another program", 0.9e-5),
      badEpsilon("none in training", "the variance is taken to be large enough", 0),
      testedWithEpsilon("1e-3 for 1e-5 in testing", "another library's default", 1e-3),
      testedWithEpsilon("a tenth more in testing", "a constant of another program", 1.1e-5),
      testedWithEpsilon("a tenth less in testing", "a constant of another program", 0.9e-5),
    ],
    accepts: [goodSettings("an epsilon of 0.001, declared", "Keras's default", {
      batchNorm: { epsilon: 1e-3 },
    })],
  },
]);
