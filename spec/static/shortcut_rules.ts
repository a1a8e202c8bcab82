/** Sections 3.3 and 4.2 on the shortcuts, and on what they cost. */
import { architecture, countParameters, ofKind, shapeOf } from "../../resnet/mod.ts";
import { branchesOf, edit, insertAfter, remove } from "../_graphs.ts";
import { badGraph, goodGraph } from "./_bad.ts";
import { CLASSES, isPlain, namedForm, nOf, ofGraph, text } from "./_form.ts";
import { explicitIdentities, pickedFirst, swapped } from "./_rewritings.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, type StaticSubject } from "../subject.ts";

/** Trainable parameters of the net with 6n+2 layers and parameter-free shortcuts, layer by layer. */
function expectedParameters(n: number): number {
  const layer = (channels: number, filters: number) => 9 * channels * filters + 2 * filters;
  return layer(3, 16) + 2 * n * layer(16, 16) +
    layer(16, 32) + (2 * n - 1) * layer(32, 32) +
    layer(32, 64) + (2 * n - 1) * layer(64, 64) +
    64 * CLASSES + CLASSES;
}

/** The rules on the shortcuts. */
export const SHORTCUT_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "shortcuts",
    section: "4.2",
    requirement:
      "A residual net has 3n shortcuts, each around a pair of 3x3 layers; a plain net has none.",
    tier: "static",
    check: ofGraph((graph) => {
      const adds = ofKind(graph, "add");
      // A net without shortcuts is plain unless it is called residual, and one with some is not.
      const plain = namedForm(graph.name).plain ?? isPlain(graph);
      const expected = plain ? 0 : 3 * nOf(graph);
      const problems = adds.flatMap((add) => {
        const { layers, joined, shortcut, source } = branchesOf(graph, add);
        const kernels = layers.map(({ kernel }) => kernel);
        if (kernels.join() !== "3,3") {
          return [`${add.name} is around layers of the kernels ${kernels.join(", ")}`];
        }
        return joined ? [] : [
          `the shortcut to ${add.name} comes from ${shortcut}, its layers from ${source}`,
        ];
      });
      if (adds.length !== expected) {
        problems.push(
          Number.isInteger(expected)
            ? `${adds.length} shortcuts, not ${expected}`
            : `${adds.length} shortcuts, where the layers behind the stem are no pairs`,
        );
      }
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
      badGraph(
        "a residual net without shortcuts",
        "they are left out when the net is rebuilt from its weights",
        ({ name }) => ({ ...architecture(name.replace("resnet", "plain")), name }),
      ),
    ],
    accepts: [
      goodGraph("the shortcut added first", "x + f(x) for f(x) + x", (graph) => swapped(graph)),
      goodGraph("a plain net that is not called so", "a file's name says nothing", () => ({
        ...architecture("plain20"),
        name: "net",
      })),
    ],
  },
  {
    id: "identity",
    section: "4.2",
    requirement:
      "Every shortcut is the identity, with every second pixel and zero channels where the shape changes (option A).",
    tier: "static",
    check: ofGraph((graph) => {
      const problems = ofKind(graph, "add").flatMap((add) => {
        const { source, between: shortcut } = branchesOf(graph, add);
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
      badGraph(
        "a projection on the first addend",
        "option B with the shortcut written first",
        ({ name }) => swapped(architecture(name, { shortcut: "B" })),
      ),
    ],
    accepts: [
      goodGraph("the shortcut added first", "x + f(x) for f(x) + x", (graph) => swapped(graph)),
      goodGraph(
        "picked in two steps",
        "every second pixel first, then the zero channels",
        (graph) => swapped(pickedFirst(graph)),
      ),
      goodGraph(
        "ReLU behind option A",
        "what it picks is positive already",
        (graph) =>
          ofKind(graph, "shortcut-a").reduce(
            (changed, { name }) =>
              insertAfter(changed, name, { kind: "relu", name: `${name}.relu`, input: name }),
            graph,
          ),
      ),
      goodGraph(
        "identities as nodes of their own",
        "a module that hands on what it gets",
        explicitIdentities,
      ),
    ],
  },
  {
    id: "parameters",
    section: "4.2, Table 6",
    requirement: "A residual net has exactly the parameters of its plain counterpart.",
    tier: "static",
    check: ofGraph((graph) => {
      const count = countParameters(graph);
      const grouped = (value: number): string => value.toLocaleString("en-US");
      const n = nOf(graph);
      const expected = expectedParameters(n);
      const problem = Number.isInteger(n) && n > 0
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
    accepts: [
      goodGraph("a plain net that is not called so", "it has the same layers", () => ({
        ...architecture("plain20"),
        name: "baseline",
      })),
    ],
  },
]);
