/** Sections 3.4 and 4.2 on the layers: normalisation, activation, biases, and no other kind. */
import {
  architecture,
  consumersOf,
  type Graph,
  type Node,
  nodeOf,
  ofKind,
} from "../../resnet/mod.ts";
import { branchesOf, edit, insertAfter, remove } from "../_graphs.ts";
import { badGraph, goodGraph } from "./_bad.ts";
import { ofGraph } from "./_form.ts";
import { doubled, renamed, reordered, swapped } from "./_rewritings.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

/** Which kinds of node the nets have; max pooling is left to the rule on subsampling. */
const HAS_KIND: Readonly<Record<Node["kind"], boolean>> = {
  "convolution": true,
  "batch-norm": true,
  "relu": true,
  "add": true,
  "shortcut-a": true,
  "max-pool": true,
  "global-average-pool": true,
  "dense": true,
};

/** The rules on single layers. */
export const LAYER_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "batch-norm",
    section: "4.2, 3.4",
    requirement:
      "Batch normalisation comes right after each convolution and before the activation, and nowhere else.",
    tier: "static",
    check: ofGraph((graph) => {
      const convolutions = ofKind(graph, "convolution");
      const problems = convolutions.flatMap(({ name }) => {
        const kinds = consumersOf(graph, name).map((node) => node.kind).join(", ");
        return kinds === "batch-norm" ? [] : [`${name} goes to ${kinds || "nothing"}`];
      });
      problems.push(
        ...ofKind(graph, "batch-norm")
          .filter((node) => nodeOf(graph, node.input)?.kind !== "convolution")
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
    accepts: [
      goodGraph(
        "nodes in another order",
        "an exporter writes the shortcut before the layers",
        (graph) => reordered(graph, (candidates) => candidates - 1),
      ),
    ],
  },
  {
    id: "activation",
    section: "3.2, 4.2",
    requirement:
      "ReLU follows each batch normalisation, but at a block's end, where it comes after the addition.",
    tier: "static",
    check: ofGraph((graph) => {
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
        const branch = nodeOf(graph, branchesOf(graph, add).branch)?.kind;
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
      badGraph(
        "a sum without ReLU, the shortcut first",
        "the order of the addends hides it",
        (graph) => swapped(remove(graph, "layer1.0.relu2")),
      ),
    ],
    accepts: [
      goodGraph("the shortcut added first", "x + f(x) for f(x) + x", (graph) => swapped(graph)),
      goodGraph(
        "a second ReLU behind each",
        "it changes nothing",
        (graph) => doubled(graph),
      ),
    ],
  },
  {
    id: "no-bias",
    section: "4.2",
    requirement: "Convolutions have no bias; the shift of batch normalisation has its place.",
    tier: "static",
    check: ofGraph((graph) =>
      finding(
        ofKind(graph, "convolution").filter((node) => node.bias)
          .map(({ name }) => `${name} has a bias`),
        "none has a bias",
      )
    ),
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
    accepts: [
      goodGraph(
        "a last layer with bias, called conv_out",
        "the fully connected layer has one, whatever it is called",
        (graph) => renamed(graph, graph.name, (name) => name === "linear" ? "conv_out" : name),
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
        graph.nodes.filter(({ kind }) => !HAS_KIND[kind])
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
    accepts: [
      goodGraph(
        "a ReLU called dropout",
        "names of nodes say nothing",
        (graph) => renamed(graph, graph.name, (name) => name === "relu1" ? "dropout" : name),
      ),
    ],
  },
]);

/** A layer of a kind that our graphs cannot express, as a reader of foreign models may find it. */
function insertForeign(graph: Graph, after: string, kind: string): Graph {
  const name = `${after}.${kind}`;
  const stand = insertAfter(graph, after, { kind: "relu", name, input: after });
  const nodes = stand.nodes.map((node) => node.name === name ? { ...node, kind } as Node : node);
  return { ...stand, nodes };
}
