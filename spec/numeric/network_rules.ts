/** Section 4.2 on the network: the rules that its outputs decide. */
import {
  consumersOf,
  initialise,
  INPUT,
  nodeOf,
  ofKind,
  parametersOf,
  sizeOf,
} from "../../resnet/mod.ts";
import {
  activating,
  badEngine,
  badEpsilon,
  badNetwork,
  badShortcut,
  evaluating,
  softmax,
  starting,
  unaugmented,
} from "./_engine_mutants.ts";
import { edit, insertAfter, remove } from "../_graphs.ts";
import { first, largestDistance, mapWeights, relativeDistance, short } from "../_numbers.ts";
import { layersOn, NO_BATCH_NORM, SAME, statistics } from "./_layers.ts";
import { goodSettings } from "./_fixture.ts";
import { begun, type NumericRule, type NumericSubject, probing } from "./subject.ts";
import { defineRules } from "../rule.ts";
import { finding } from "../subject.ts";
import { badKernels } from "../static/optimiser_rules.ts";

/** What an engine's network computes, forward. */
export const NUMERIC_NETWORK_RULES: readonly NumericRule[] = defineRules([
  {
    id: "batch-invariance",
    section: "4.2, [16]",
    requirement: "At test time an image's outputs do not depend on the images beside it.",
    tier: "numeric",
    check: probing(["engine", "data", "state"], async ({ engine, data, state }) => {
      await engine.importState(state);
      const indices = first(4, data.test.count);
      const together = (await engine.evaluate("test", indices)).logits;
      const alone: number[] = [];
      for (const index of indices) {
        alone.push(...(await engine.evaluate("test", Uint32Array.of(index))).logits);
      }
      const distance = relativeDistance(alone, together);
      const evidence = `logits of ${indices.length} images alone and together differ by ${
        short(distance)
      } of their norm`;
      return finding(distance <= SAME ? [] : [evidence], evidence);
    }),
    rejects: [
      badEngine(
        "evaluation in training mode",
        "the switch to testing is forgotten",
        (good) => evaluating(good, unaugmented(good), "training"),
      ),
      badEngine("images less the batch's mean", "each batch is normalised by itself", (good) => {
        const view = unaugmented(good);
        return evaluating(good, (images, indices) => {
          const batch = view(images, indices);
          const size = batch.length / indices.length;
          const { mean } = statistics(batch, size);
          return batch.map((value, i) => value - mean[i % size]);
        });
      }),
    ],
    accepts: [goodSettings("a plain net", "it is normalised as the others are", {}, "plain8")],
  },
  {
    id: "negative-logits",
    section: "4.2",
    requirement:
      "The last layer's outputs go to the softmax as they are: some of them are negative.",
    tier: "numeric",
    check: probing(["engine", "data", "state"], async ({ engine, data, state }) => {
      await engine.importState(state);
      const indices = first(16, data.test.count);
      const { logits } = await engine.evaluate("test", indices);
      const negative = logits.filter((logit) => logit < 0).length;
      const evidence = `${negative} of ${logits.length} logits are negative, the least is ${
        short(Math.min(...logits))
      }`;
      return finding(negative > 0 ? [] : [evidence], evidence);
    }),
    rejects: [
      badEngine(
        "ReLU behind the last layer",
        "every layer gets an activation, and learning stops",
        (good) => activating(good, (row) => row.map((logit) => Math.max(0, logit))),
      ),
      badEngine(
        "softmax within the network",
        "the loss applies it a second time",
        (good) => activating(good, softmax),
      ),
    ],
    accepts: [
      goodSettings(
        "a last layer by the library's default",
        "its outputs are small, and of both signs",
        { initialisation: { lastLayer: "library" } },
      ),
    ],
  },
  {
    id: "block-values",
    section: "3.2, 3.4, 4.2",
    requirement:
      "Layer by layer: batch normalisation before the activation, and the second ReLU after the addition.",
    tier: "numeric",
    check: probing(
      ["graph", "data", "state", "batchSize", "outputOf"],
      async (
        subject:
          & Required<Pick<NumericSubject, "graph" | "data" | "state" | "batchSize" | "outputOf">>
          & Pick<NumericSubject, "batchNorm">,
      ) => {
        const { graph, state } = subject;
        const { valuesOf } = layersOn(subject, subject.batchSize);
        const problems: string[] = [], seen: string[] = [];
        const compare = (name: string, found: Float32Array, what: string, rule: Float32Array) => {
          seen.push(name);
          const distance = relativeDistance(found, rule);
          if (!(distance <= SAME)) {
            problems.push(`${name} differs from ${what} by ${short(100 * distance)}%`);
          }
        };
        /** A batch norm's output, checked against its input, scale and shift. */
        const normalised = async (name: string) => {
          const values = await valuesOf(name);
          const array = (suffix: string) => state.weights.get(`${name}.${suffix}`)!.data;
          const node = nodeOf(graph, name);
          const before = node && "input" in node && node.input !== INPUT
            ? await valuesOf(node.input)
            : undefined;
          const epsilon = subject.batchNorm?.epsilon;
          problems.push(...offNorm(name, values, array("weight"), array("bias"), before, epsilon));
          seen.push(name);
          return values;
        };
        /** The ReLU that takes a node, checked against the node's positive part. */
        const activated = async (name: string, before: Float32Array) => {
          const relu = consumersOf(graph, name).find(({ kind }) => kind === "relu");
          if (!relu) return problems.push(`no ReLU takes ${name}`);
          const positive = before.map((x) => Math.max(0, x));
          compare(relu.name, await valuesOf(relu.name), `the positive part of ${name}`, positive);
          if (!before.some((x) => x < 0)) problems.push(`nothing in ${name} is negative`);
        };

        const [stem] = ofKind(graph, "batch-norm");
        if (!stem) return NO_BATCH_NORM;
        await activated(stem.name, await normalised(stem.name));
        const [add] = ofKind(graph, "add");
        if (add) {
          const [last] = add.inputs;
          if (nodeOf(graph, last)?.kind !== "batch-norm") {
            return finding([`${add.name} adds ${last}, which is no batch normalisation`], "");
          }
          const branch = await normalised(last);
          const shortcut = await valuesOf(add.inputs[1]);
          const sum = await valuesOf(add.name);
          compare(add.name, sum, "the sum of its inputs", branch.map((x, i) => x + shortcut[i]));
          await activated(add.name, sum);
        }
        return finding(problems, `as the graph says: ${seen.join(", ")}`);
      },
    ),
    rejects: [
      badNetwork(
        "the second ReLU before the addition",
        "the branch can only add to its input",
        (graph) =>
          insertAfter(remove(graph, "layer1.0.relu2"), "layer1.0.bn2", {
            kind: "relu",
            name: "layer1.0.relu2",
            input: "layer1.0.bn2",
          }),
      ),
      badNetwork(
        "normalised behind the activation",
        "the order is convolution, ReLU, batch normalisation",
        (graph) =>
          insertAfter(remove(graph, "relu1"), "conv1", {
            kind: "relu",
            name: "relu1",
            input: "conv1",
          }),
      ),
      badEpsilon("an epsilon of 0.5", "a wrong constant is passed on", 0.5),
      badNetwork(
        "a shortcut from before the ReLU",
        "the block's input is kept too early",
        (graph) =>
          edit(
            graph,
            (node) =>
              node.kind === "add" && node.name === "layer1.0.add"
                ? { ...node, inputs: [node.inputs[0], "bn1"] }
                : node,
          ),
      ),
    ],
    accepts: [
      goodSettings("an epsilon of 0.001, declared", "Keras's default", {
        batchNorm: { epsilon: 1e-3 },
      }),
      goodSettings("a plain net", "it has no addition to look at", {}, "plain8"),
    ],
  },
  {
    id: "shortcut-values",
    section: "3.3, 4.2",
    requirement:
      "A shortcut that changes the shape hands on every second pixel unchanged, and exact zeros in the channels that are new (option A).",
    tier: "numeric",
    check: probing(
      ["graph", "data", "batchSize", "outputOf"],
      async ({ graph, data, batchSize, outputOf }) => {
        const { input, valuesOf } = layersOn({ graph, data, outputOf }, Math.min(2, batchSize));
        const problems: string[] = [], seen: string[] = [];
        for (const node of ofKind(graph, "shortcut-a")) {
          const source = node.input === INPUT ? input : await valuesOf(node.input);
          const from = nodeOf(graph, node.input)?.shape ?? graph.inputShape;
          const found = await valuesOf(node.name);
          const expected = optionA(source, from, node.shape, node.stride, node.zeroChannels);
          const wrong = found.filter((value, i) => value !== expected[i]).length;
          if (wrong > 0 || found.length !== expected.length) {
            problems.push(`${wrong} of ${expected.length} values of ${node.name} are others`);
          }
          seen.push(`${node.name}: ${node.shape[2] - from[2]} channels of zeros`);
        }
        return finding(problems, seen.join(", ") || "no shortcut changes the shape");
      },
    ),
    rejects: [
      badNetwork(
        "zero channels on both sides",
        "other code's weights are read with this one's shortcut",
        (graph) =>
          edit(
            graph,
            (node) => node.kind === "shortcut-a" ? { ...node, zeroChannels: "split" } : node,
          ),
      ),
      badShortcut(
        "average pooling",
        "the map is made smaller by pooling",
        (at) => (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4,
      ),
      badShortcut("the odd pixels", "picking starts one pixel late", (at) => at(1, 1)),
    ],
    accepts: [
      goodSettings("zero channels on both sides, declared", "as in a public implementation", {
        architecture: { zeroChannels: "split" },
      }),
    ],
  },
  {
    id: "initial-state",
    section: "4.2, [13]",
    requirement:
      "An engine starts from He's initialisation, from batch normalisation as the identity, and without momentum.",
    tier: "numeric",
    check: probing(["engine", "graph", "state", "fan"], async ({ engine, graph, state, fan }) => {
      const late = begun(state);
      if (late) return late;
      await engine.importState(state);
      const { weights, slots } = await engine.exportState();
      const { problems } = badKernels(graph, weights, fan);
      const start = { "bn-scale": 1, "bn-variance": 1, "bn-shift": 0, "bn-mean": 0, bias: 0 };
      for (const { name, role } of parametersOf(graph)) {
        const value = role === "kernel" ? undefined : start[role];
        if (value !== undefined && weights.get(name)?.data.some((w) => w !== value)) {
          problems.push(`${name} is not ${value}`);
        }
      }
      for (const [slot, arrays] of slots) {
        for (const [name, { data }] of arrays) {
          if (data.some((v) => v !== 0)) problems.push(`the ${slot} of ${name} is not 0`);
        }
      }
      const count = [...weights.values()].reduce((sum, { shape }) => sum + sizeOf(shape), 0);
      return finding(problems, `${count.toLocaleString("en-US")} values, kernels by fan-${fan}`);
    }),
    rejects: [
      badEngine(
        "initialised by the engine itself",
        "the library's default is kept",
        (good) =>
          starting(good, (state) => ({
            ...state,
            weights: mapWeights(
              state.weights,
              (data, name) => /conv/.test(name) ? data.map((w) => w / Math.sqrt(6)) : data,
            ),
          })),
      ),
      badEngine(
        "the other fan",
        "the axes of the kernels are read in another order",
        (good) =>
          starting(good, (state) => ({
            ...state,
            weights: initialise(good.graph, 0, "out"),
          })),
      ),
      badEngine(
        "momentum of the run before",
        "only the weights are made anew",
        (good) =>
          starting(good, (state) => ({
            ...state,
            slots: new Map(
              [...state.slots].map(([slot, arrays]) => [
                slot,
                mapWeights(arrays, (v) => v.map(() => 0.01)),
              ]),
            ),
          })),
      ),
      badEngine(
        "blocks that start as the identity",
        "the last scale of each block starts at 0, a later custom",
        (good) =>
          starting(good, (state) => ({
            ...state,
            weights: mapWeights(state.weights, (data, name) =>
              name.endsWith("bn2.weight") ? data.map(() => 0) : data),
          })),
      ),
    ],
    accepts: [
      goodSettings("fan-out, the last layer as libraries start it", "the paper can be read so", {
        initialisation: { fan: "out", lastLayer: "library" },
      }),
    ],
  },
]);

/** What keeps values from being normalised, channel by channel, with a scale and a shift. */
function offNorm(
  name: string,
  values: Float32Array,
  scale: Float32Array,
  shift: Float32Array,
  before?: Float32Array,
  epsilon?: number,
): string[] {
  const { mean, variance } = statistics(values, scale.length);
  const worst = largestDistance(mean, shift);
  const problems = worst <= 1e-3
    ? []
    : [`a channel's mean in ${name} is ${short(worst)} away from its shift`];
  const input = before && statistics(before, scale.length).variance;
  // What the declared constant leaves of the scale; where none is declared, no more than the scale.
  const wrong = variance.findIndex((v, c) => {
    const found = Math.sqrt(v), most = Math.abs(scale[c]);
    if (input === undefined || epsilon === undefined) return !(found <= most + 1e-3);
    const expected = most * Math.sqrt(input[c] / (input[c] + epsilon));
    return !(Math.abs(found - expected) <= 1e-3 * (1 + expected));
  });
  if (wrong >= 0) {
    problems.push(
      `channel ${wrong} of ${name} has a deviation of ${
        short(Math.sqrt(variance[wrong]))
      } and a scale of ${short(scale[wrong])}`,
    );
  }
  return problems;
}

/** Option A's shortcut in plain code: [N, ...from] to [N, ...to]. */
function optionA(
  source: Float32Array,
  [height, width, channels]: readonly number[],
  to: readonly number[],
  stride: number,
  zeroChannels: "append" | "split",
): Float32Array {
  const images = source.length / (height * width * channels);
  const result = new Float32Array(images * sizeOf(to));
  const offset = zeroChannels === "split" ? (to[2] - channels) >> 1 : 0;
  let at = 0;
  for (let n = 0; n < images; n++) {
    for (let y = 0; y < to[0]; y++) {
      for (let x = 0; x < to[1]; x++, at += to[2]) {
        const from = ((n * height + y * stride) * width + x * stride) * channels;
        result.set(source.subarray(from, from + channels), at + offset);
      }
    }
  }
  return result;
}
