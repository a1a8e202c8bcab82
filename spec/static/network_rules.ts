/** Section 4.2 on the network as a whole: what the graph says of its input, stages, depth and end. */
import {
  architecture,
  buildGraph,
  consumersOf,
  depthOf,
  type Graph,
  INPUT,
  nodeOf,
  ofKind,
  shapeOf,
  withInputs,
} from "../../resnet/mod.ts";
import { edit, insertAfter, layersOf } from "../_graphs.ts";
import { badGraph, goodGraph } from "./_bad.ts";
import { doubled, pickedFirst, renamed, reordered } from "./_rewritings.ts";
import { CLASSES, namedForm, nOf, ofGraph, STAGES, text } from "./_form.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, type StaticSubject } from "../subject.ts";

const IMAGE = [32, 32, 3];

/** The rules on the network as a whole. */
export const NETWORK_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "input",
    section: "4.2",
    requirement: "The network takes images of 32x32 pixels with three channels.",
    tier: "static",
    check: ofGraph((graph) => {
      const found = text(graph.inputShape);
      return finding(
        found === text(IMAGE) ? [] : [`the input is ${found}, not ${text(IMAGE)}`],
        `the input is ${found}`,
      );
    }),
    rejects: [
      badGraph(
        "24x24 pixels",
        "earlier CIFAR nets were trained and tested on small crops",
        (graph) => buildGraph(graph.name, [24, 24, 3], graph.nodes),
      ),
      badGraph(
        "one channel",
        "the images are turned grey when they are loaded",
        (graph) => buildGraph(graph.name, [32, 32, 1], graph.nodes),
      ),
    ],
    accepts: [
      goodGraph(
        "nodes with numbers for names",
        "as exporters write them",
        (graph) => renamed(graph, "torch-jit-export", (_, i) => `node_${i}`),
      ),
    ],
  },
  {
    id: "stem",
    section: "4.2",
    requirement: "The first layer is a 3x3 convolution with 16 filters that keeps the size.",
    tier: "static",
    check: ofGraph((graph) => {
      const first = consumersOf(graph, INPUT);
      const [stem] = first;
      if (first.length !== 1 || stem.kind !== "convolution") {
        return finding(
          [`the input goes to ${first.map((node) => `${node.name} (${node.kind})`).join(", ")}`],
          "",
        );
      }
      const found = `${stem.name} is ${stem.kernel}x${stem.kernel}, stride ${stem.stride}, to ${
        text(stem.shape)
      }`;
      const { size, filters } = STAGES[0];
      const right = stem.kernel === 3 && text(stem.shape) === text([size, size, filters]);
      return finding(right ? [] : [found], found);
    }),
    rejects: [
      badGraph(
        "7x7 stem",
        "ImageNet's first layer is carried over to small images",
        (graph) =>
          edit(
            graph,
            (node) =>
              node.kind === "convolution" && node.input === INPUT
                ? { ...node, kernel: 7, padding: 3 }
                : node,
          ),
      ),
      badGraph(
        "64 filters",
        "ImageNet's ResNet-18 is taken for the paper's CIFAR net",
        () => architecture("resnet18-cifar"),
      ),
    ],
    accepts: [
      goodGraph(
        "a second ReLU behind each",
        "one in the block and one in the loop over blocks: it changes nothing",
        (graph) => doubled(graph),
      ),
    ],
  },
  {
    id: "stages",
    section: "4.2",
    requirement:
      "Then 6n 3x3 convolutions: 2n each on maps of 32x32, 16x16 and 8x8, with 16, 32 and 64 filters.",
    tier: "static",
    check: ofGraph((graph) => {
      const layers = layersOf(graph).slice(1);
      const perStage = layers.length / STAGES.length;
      const problems = layers.flatMap(({ name, kernel, shape }, i) => {
        const { size, filters } = STAGES[Math.min(2, Math.floor(i / perStage))];
        const right = kernel === 3 && text(shape) === text([size, size, filters]);
        return right ? [] : [
          `${name}, layer ${i + 1} of ${layers.length}, is ${kernel}x${kernel} to ${
            text(shape)
          }, not 3x3 to ${text([size, size, filters])}`,
        ];
      });
      if (layers.length === 0 || layers.length % 6 !== 0) {
        problems.unshift(`${layers.length} layers behind the stem are not 6n`);
      }
      return finding(problems, `3 stages of ${perStage} 3x3 layers`);
    }),
    rejects: [
      badGraph(
        "four stages of 64 to 512 filters",
        "ImageNet's widths make a net of 11 million parameters",
        () => architecture("resnet18-cifar"),
      ),
      badGraph(
        "a shorter last stage",
        "the blocks are counted over all stages and not for each",
        (graph) => dropBlock(graph, lastBlock(graph)),
      ),
      badGraph(
        "1x1 layers",
        "a bottleneck net is published as a basic one",
        (graph) =>
          edit(
            graph,
            (node) =>
              node.kind === "convolution" && node.name.endsWith("conv2")
                ? { ...node, kernel: 1, padding: 0 }
                : node,
          ),
      ),
    ],
    accepts: [
      goodGraph(
        "shortcuts before the layers that they go around",
        "an exporter writes nodes in an order of its own",
        (graph) => reordered(graph, (candidates) => candidates - 1),
      ),
    ],
  },
  {
    id: "depth",
    section: "4.2",
    requirement: "There are 6n+2 weighted layers, as many as the net's name says.",
    tier: "static",
    check: ofGraph((graph) => {
      const depth = depthOf(graph);
      const { depth: named } = namedForm(graph.name);
      const problems = Number.isInteger(nOf(graph)) && nOf(graph) >= 1
        ? []
        : [`${depth} weighted layers are not 6n+2`];
      if (named !== undefined && named !== depth) {
        problems.push(`"${graph.name}" has ${depth} weighted layers`);
      }
      return finding(problems, `${depth} weighted layers: n = ${nOf(graph)}`);
    }),
    rejects: [
      badGraph(
        "two layers less",
        "a block is lost at the end of a stage",
        (graph) => dropBlock(graph, lastBlock(graph)),
      ),
      badGraph(
        "another name",
        "the depth of the name is computed by another formula than the depth of the net",
        (graph) => ({ ...graph, name: "resnet32" }),
      ),
      badGraph(
        "another name behind the data set's",
        "the file was named by hand",
        (graph) => ({ ...graph, name: "cifar10-resnet_v1_56" }),
      ),
    ],
    accepts: [
      goodGraph(
        "the data set in the name",
        "the first number in a name is not always the depth",
        (graph) => ({ ...graph, name: "cifar10-resnet20" }),
      ),
      goodGraph(
        "a name without a depth",
        "an exporter's, or the class's",
        (graph) => ({ ...graph, name: "ResNet_32x32_v2" }),
      ),
    ],
  },
  {
    id: "subsampling",
    section: "4.2",
    requirement:
      "Convolutions with stride 2 make the maps smaller, twice; nothing is pooled before the end.",
    tier: "static",
    check: ofGraph((graph) => {
      const strided = layersOf(graph).filter((node) => node.stride !== 1);
      const problems = ofKind(graph, "max-pool").map(({ name }) => `${name} pools`);
      problems.push(
        ...strided.filter((node) => node.stride !== 2 || node.input === INPUT)
          .map((node) => `${node.name} has stride ${node.stride}`),
      );
      if (strided.length !== 2) {
        problems.push(`${strided.length} of the convolutions are strided, not 2`);
      }
      return finding(
        problems,
        strided.map(({ name, shape }) => `${name}: stride 2 to ${text(shape)}`).join(", "),
      );
    }),
    rejects: [
      badGraph(
        "max pooling behind the stem",
        "ImageNet's stem is carried over",
        (graph) =>
          insertAfter(graph, "relu1", {
            kind: "max-pool",
            name: "maxpool",
            input: "relu1",
            kernel: 3,
            stride: 2,
            padding: 1,
          }),
      ),
      badGraph(
        "a strided stem",
        "the maps are 16, 8 and 4 pixels wide",
        (graph) =>
          edit(
            graph,
            (node) =>
              node.kind === "convolution" && node.input === INPUT ? { ...node, stride: 2 } : node,
          ),
      ),
    ],
    accepts: [
      goodGraph(
        "shortcuts that pick by a window of one pixel",
        "a pooling of one pixel with stride 2 is every second pixel",
        pickedFirst,
      ),
    ],
  },
  {
    id: "head",
    section: "4.2",
    requirement:
      "The net ends with global average pooling and a 10-way fully connected layer; its outputs go to the softmax as they are.",
    tier: "static",
    check: ofGraph((graph) => {
      const last = nodeOf(graph, graph.output);
      if (last?.kind !== "dense") {
        return finding([`the last node, ${graph.output}, is of the kind ${last?.kind}`], "");
      }
      const before = nodeOf(graph, last.input);
      const problems = last.units === CLASSES ? [] : [`${last.name} has ${last.units} outputs`];
      if (before?.kind !== "global-average-pool") {
        problems.push(`${last.name} takes ${last.input} (${before?.kind})`);
      } else if (text(shapeOf(graph, before.input)) !== text([8, 8, 64])) {
        problems.push(`${before.name} pools ${text(shapeOf(graph, before.input))}, not [8, 8, 64]`);
      }
      return finding(problems, `${last.input} to ${last.name} with ${last.units} outputs`);
    }),
    rejects: [
      badGraph(
        "ReLU behind the last layer",
        "every layer gets an activation, and learning stops",
        (graph) =>
          insertAfter(graph, graph.output, { kind: "relu", name: "relu3", input: graph.output }),
      ),
      badGraph(
        "100 outputs",
        "the head of another data set is kept",
        ({ name }) => architecture(name, { classes: 100 }),
      ),
      badGraph(
        "a hidden layer",
        "a classifier of several layers is put behind the pooling",
        (graph) =>
          insertAfter(graph, "pool", { kind: "dense", name: "hidden", input: "pool", units: 64 }),
      ),
    ],
    accepts: [
      goodGraph(
        "the last layer called fc",
        "as in ImageNet's nets",
        (graph) => renamed(graph, graph.name, (name) => name === "linear" ? "fc" : name),
      ),
    ],
  },
]);

/** The name of the last block, for example `layer3.2`. */
function lastBlock(graph: Graph): string {
  return graph.nodes.findLast(({ name }) => name.endsWith(".conv1"))?.name.slice(0, -6) ?? "";
}

/** The graph without one block that keeps the shape. */
function dropBlock(graph: Graph, block: string): Graph {
  const last = `${block}.relu2`;
  const source = nodeOf(graph, `${block}.conv1`);
  const input = source?.kind === "convolution" ? source.input : "";
  return edit(graph, (node) => {
    if (node.name.startsWith(`${block}.`)) return [];
    return withInputs(node, (other) => other === last ? input : other);
  });
}
