/** Section 4.2 on the network: the rules that a graph alone decides. */
import {
  type AddSpec,
  architecture,
  buildGraph,
  countParameters,
  type Graph,
  INPUT,
  type Node,
  shapeOf,
} from "../resnet/mod.ts";
import {
  consumersOf,
  depthOf,
  edit,
  find,
  insertAfter,
  layersOf,
  ofKind,
  remove,
  walkBack,
} from "./_graphs.ts";
import { defineRules, type KnownBad, type Rule } from "./rule.ts";
import { finding, needing, type StaticSubject } from "./subject.ts";

const IMAGE = [32, 32, 3];
/** The three stages, in order. */
const STAGES = [
  { size: 32, filters: 16 },
  { size: 16, filters: 32 },
  { size: 8, filters: 64 },
] as const;
const CLASSES = 10;
/** Max pooling is left to the rule on subsampling. */
const KINDS: readonly Node["kind"][] = [
  "convolution",
  "batch-norm",
  "relu",
  "add",
  "shortcut-a",
  "max-pool",
  "global-average-pool",
  "dense",
];

/** Trainable parameters of the net with 6n+2 layers and parameter-free shortcuts, layer by layer. */
function expectedParameters(n: number): number {
  const layer = (channels: number, filters: number) => 9 * channels * filters + 2 * filters;
  return layer(3, 16) + 2 * n * layer(16, 16) +
    layer(16, 32) + (2 * n - 1) * layer(32, 32) +
    layer(32, 64) + (2 * n - 1) * layer(64, 64) +
    64 * CLASSES + CLASSES;
}

/** The n of 6n+2, as the graph's depth has it. */
const nOf = (graph: Graph): number => (depthOf(graph) - 2) / 6;
const isPlain = (graph: Graph): boolean => graph.name.startsWith("plain");
const text = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** The block that ends with an addition. */
function blockOf(graph: Graph, add: AddSpec) {
  // The residual branch goes back over two convolutions, and starts where they do.
  const { path: branch, end: source } = walkBack(
    graph,
    add.inputs[0],
    (_, path) => path.filter((node) => node.kind === "convolution").length === 2,
  );
  const shortcut = walkBack(graph, add.inputs[1], (node) => node.name === source);
  return {
    layers: branch.filter((node) => node.kind === "convolution"),
    /** The name of the node from which branch and shortcut part. */
    source,
    joined: shortcut.end === source,
    /** The nodes on the shortcut; none where it is the identity itself. */
    shortcut: shortcut.path,
  };
}

/** A known-bad graph in place of the good one. */
function badGraph(
  name: string,
  why: string,
  spoil: (graph: Graph) => Graph,
): KnownBad<StaticSubject> {
  return { name, why, kind: "graph", spoil: (good) => ({ ...good, graph: spoil(good.graph) }) };
}

/** The rules that a graph alone decides. */
export const ARCHITECTURE_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "input",
    section: "4.2",
    requirement: "The network takes images of 32x32 pixels with three channels.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
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
  },
  {
    id: "stem",
    section: "4.2",
    requirement: "The first layer is a 3x3 convolution with 16 filters that keeps the size.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
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
  },
  {
    id: "stages",
    section: "4.2",
    requirement:
      "Then 6n 3x3 convolutions: 2n each on maps of 32x32, 16x16 and 8x8, with 16, 32 and 64 filters.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
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
  },
  {
    id: "depth",
    section: "4.2",
    requirement: "There are 6n+2 weighted layers, as many as the net's name says.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
      const depth = depthOf(graph);
      const named = /\d+/.exec(graph.name)?.[0];
      const problems = Number.isInteger(nOf(graph)) && nOf(graph) >= 1
        ? []
        : [`${depth} weighted layers are not 6n+2`];
      if (named !== undefined && Number(named) !== depth) {
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
    ],
  },
  {
    id: "subsampling",
    section: "4.2",
    requirement:
      "Convolutions with stride 2 make the maps smaller, twice; nothing is pooled before the end.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
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
  },
  {
    id: "head",
    section: "4.2",
    requirement:
      "The net ends with global average pooling and a 10-way fully connected layer; its outputs go to the softmax as they are.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
      const last = find(graph, graph.output);
      if (last?.kind !== "dense") {
        return finding([`the last node, ${graph.output}, is of the kind ${last?.kind}`], "");
      }
      const before = find(graph, last.input);
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
  },
  {
    id: "shortcuts",
    section: "4.2",
    requirement:
      "A residual net has 3n shortcuts, each around a pair of 3x3 layers; a plain net has none.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
      const adds = ofKind(graph, "add");
      const expected = isPlain(graph) ? 0 : 3 * nOf(graph);
      const problems = adds.flatMap((add) => {
        const block = blockOf(graph, add);
        const kernels = block.layers.map((node) => "kernel" in node ? node.kernel : 0);
        if (kernels.join() !== "3,3") {
          return [`${add.name} is around layers of the kernels ${kernels.join(", ")}`];
        }
        return block.joined ? [] : [
          `the shortcut to ${add.name} comes from ${
            add.inputs[1]
          }, its layers from ${block.source}`,
        ];
      });
      if (adds.length !== expected) problems.push(`${adds.length} shortcuts, not ${expected}`);
      return finding(problems, `${adds.length} shortcuts`);
    }),
    rejects: [
      badGraph(
        "one shortcut less",
        "the strided blocks have no shortcut",
        (graph) => remove(remove(graph, "layer2.0.add"), "layer2.0.shortcut"),
      ),
      badGraph(
        "a shortcut from the block before",
        "the variable that holds the block's input is set too early or too late",
        (graph) =>
          edit(
            graph,
            (node) =>
              node.kind === "add" && node.name === "layer1.1.add"
                ? { ...node, inputs: [node.inputs[0], "relu1"] }
                : node,
          ),
      ),
      badGraph(
        "a shortcut around a single layer",
        "the addition stands behind every layer",
        (graph) =>
          insertAfter(graph, "layer1.0.bn1", {
            kind: "add",
            name: "layer1.0.add1",
            inputs: ["layer1.0.bn1", "relu1"],
          }),
      ),
      badGraph(
        "a plain net with a shortcut",
        "the control is no control",
        () =>
          insertAfter(architecture("plain20"), "layer1.0.bn2", {
            kind: "add",
            name: "layer1.0.add",
            inputs: ["layer1.0.bn2", "relu1"],
          }),
      ),
    ],
  },
  {
    id: "identity",
    section: "4.2",
    requirement:
      "Every shortcut is the identity, with every second pixel and zero channels where the shape changes (option A).",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
      const problems = ofKind(graph, "add").flatMap((add) => {
        const { source, shortcut } = blockOf(graph, add);
        const changes = text(shapeOf(graph, source)) !== text(add.shape);
        const [node] = shortcut;
        const right = changes
          ? shortcut.length === 1 && node.kind === "shortcut-a" && node.stride === 2
          : shortcut.length === 0;
        return right ? [] : [
          `the shortcut to ${add.name} is ${
            shortcut.map(({ name, kind }) => `${name} (${kind})`).reverse().join(", ")
          }`,
        ];
      });
      const a = ofKind(graph, "shortcut-a");
      return finding(
        problems,
        `${a.length} shortcuts change the shape, by option A${
          a.length > 0 ? ` with zero channels by "${a[0].zeroChannels}"` : ""
        }`,
      );
    }),
    rejects: [
      badGraph(
        "projections",
        "option B adds 2,752 parameters that the plain net does not have",
        ({ name }) => architecture(name, { shortcut: "B" }),
      ),
      badGraph(
        "projections without batch normalisation",
        "a 1x1 convolution alone on the shortcut",
        ({ name }) =>
          ["layer2.0.shortcut.1", "layer3.0.shortcut.1"]
            .reduce(remove, architecture(name, { shortcut: "B" })),
      ),
      badGraph(
        "batch normalisation on a shortcut",
        "the identity is scaled",
        (graph) =>
          edit(
            graph,
            (node) =>
              node.kind === "add" && node.name === "layer1.1.add"
                ? [
                  { kind: "batch-norm", name: "layer1.1.scale", input: node.inputs[1] },
                  { ...node, inputs: [node.inputs[0], "layer1.1.scale"] },
                ]
                : node,
          ),
      ),
    ],
  },
  {
    id: "parameters",
    section: "4.2, Table 6",
    requirement: "A residual net has exactly the parameters of its plain counterpart.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
      const count = countParameters(graph);
      const grouped = (value: number): string => value.toLocaleString("en-US");
      const n = nOf(graph);
      const expected = expectedParameters(n);
      const problem = Number.isInteger(n)
        ? `${grouped(count)} trainable parameters, not ${grouped(expected)}`
        : `${grouped(count)} trainable parameters, and no plain counterpart: the depth is not 6n+2`;
      return finding(
        count === expected ? [] : [problem],
        `${grouped(count)} trainable parameters`,
      );
    }),
    rejects: [
      badGraph(
        "projections",
        "option B adds 2,752 parameters at any depth",
        ({ name }) => architecture(name, { shortcut: "B" }),
      ),
      badGraph(
        "a layer without batch normalisation",
        "it is forgotten once",
        (graph) => remove(graph, "layer1.0.bn1"),
      ),
      badGraph(
        "convolutions with bias",
        "the library's default is kept",
        (graph) => edit(graph, (node) => "bias" in node ? { ...node, bias: true } : node),
      ),
    ],
  },
  {
    id: "batch-norm",
    section: "4.2, 3.4",
    requirement:
      "Batch normalisation comes right after each convolution and before the activation, and nowhere else.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
      const convolutions = ofKind(graph, "convolution");
      const problems = convolutions.flatMap(({ name }) => {
        const kinds = consumersOf(graph, name).map((node) => node.kind).join(", ");
        return kinds === "batch-norm" ? [] : [`${name} goes to ${kinds || "nothing"}`];
      });
      problems.push(
        ...ofKind(graph, "batch-norm")
          .filter((node) => find(graph, node.input)?.kind !== "convolution")
          .map((node) => `${node.name} normalises ${node.input}`),
      );
      return finding(problems, `${convolutions.length} convolutions, each with its own`);
    }),
    rejects: [
      badGraph("one is missing", "it is forgotten once", (graph) => remove(graph, "layer1.0.bn1")),
      badGraph(
        "behind the activation",
        "the order is convolution, ReLU, batch normalisation",
        (graph) =>
          edit(graph, (node) => {
            if (node.name === "bn1") return { kind: "relu", name: "bn1", input: "conv1" };
            if (node.name === "relu1") return { kind: "batch-norm", name: "relu1", input: "bn1" };
            return node;
          }),
      ),
    ],
  },
  {
    id: "activation",
    section: "3.2, 4.2",
    requirement:
      "ReLU follows each batch normalisation, but at a block's end, where it comes after the addition.",
    tier: "static",
    check: needing(["graph"], ({ graph }) => {
      const consumers = (name: string) =>
        consumersOf(graph, name).map((node) => `${node.name} (${node.kind})`).join(", ");
      const goesTo = (name: string, ...kinds: Node["kind"][]) => {
        const [consumer, ...others] = consumersOf(graph, name);
        return others.length === 0 && kinds.includes(consumer?.kind)
          ? []
          : [`${name} goes to ${consumers(name)}`];
      };
      const problems = ofKind(graph, "batch-norm").flatMap(({ name }) =>
        goesTo(name, "relu", "add")
      );
      for (const add of ofKind(graph, "add")) {
        const branch = find(graph, add.inputs[0])?.kind;
        if (branch !== "batch-norm") problems.push(`${add.name} adds the output of ${branch}`);
        problems.push(...goesTo(add.name, "relu"));
      }
      return finding(problems, `${ofKind(graph, "relu").length} ReLU`);
    }),
    rejects: [
      badGraph(
        "the second ReLU before the addition",
        "the branch can only add to its input",
        (graph) =>
          insertAfter(remove(graph, "layer1.0.relu2"), "layer1.0.bn2", {
            kind: "relu",
            name: "layer1.0.relu2",
            input: "layer1.0.bn2",
          }),
      ),
      badGraph(
        "no ReLU after the addition",
        "a later paper's order of layers is mixed in",
        (graph) => remove(graph, "layer1.0.relu2"),
      ),
      badGraph(
        "no ReLU within a block",
        "two layers in a row are linear",
        (graph) => remove(graph, "layer1.0.relu1"),
      ),
    ],
  },
  {
    id: "no-bias",
    section: "4.2",
    requirement: "Convolutions have no bias; the shift of batch normalisation has its place.",
    tier: "static",
    check: needing(["graph"], ({ graph }) =>
      finding(
        ofKind(graph, "convolution").filter((node) => node.bias)
          .map(({ name }) => `${name} has a bias`),
        "none has a bias",
      )),
    rejects: [
      badGraph(
        "every convolution with bias",
        "the library's default is kept",
        (graph) => edit(graph, (node) => "bias" in node ? { ...node, bias: true } : node),
      ),
      badGraph(
        "projections with bias",
        "the shortcut's convolutions are written apart from the others",
        ({ name }) =>
          edit(
            architecture(name, { shortcut: "B" }),
            (node) =>
              node.kind === "convolution" && node.kernel === 1 ? { ...node, bias: true } : node,
          ),
      ),
    ],
  },
  {
    id: "no-dropout",
    section: "4.2, 3.4",
    requirement: "There is no dropout, nor any other kind of layer than those that are named.",
    tier: "static",
    check: needing(["graph"], ({ graph }) =>
      finding(
        graph.nodes.filter(({ kind }) => !KINDS.includes(kind))
          .map(({ name, kind }) => `${name} is of the kind ${kind}`),
        [...new Set(graph.nodes.map(({ kind }) => kind))].join(", "),
      )),
    rejects: [
      badGraph(
        "dropout before the last layer",
        "carried over from nets without batch normalisation",
        (graph) => insertForeign(graph, "pool", "dropout"),
      ),
      badGraph(
        "channel attention in a block",
        "a later net is published under the paper's name",
        (graph) => insertForeign(graph, "layer1.0.bn2", "squeeze-and-excitation"),
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
  const source = find(graph, `${block}.conv1`);
  const input = source?.kind === "convolution" ? source.input : "";
  return edit(graph, (node) => {
    if (node.name.startsWith(`${block}.`)) return [];
    return node.kind !== "add" && node.input === last ? { ...node, input } : node;
  });
}

/** A layer of a kind that our graphs cannot express, as a reader of foreign models may find it. */
function insertForeign(graph: Graph, after: string, kind: string): Graph {
  const name = `${after}.${kind}`;
  const stand = insertAfter(graph, after, { kind: "relu", name, input: after });
  const nodes = stand.nodes.map((node) => node.name === name ? { ...node, kind } as Node : node);
  return { ...stand, nodes };
}
