import { assertEquals } from "@std/assert";
import {
  architecture,
  buildGraph,
  type Graph,
  type NodeSpec,
  parametersOf,
  type Weights,
} from "../resnet/mod.ts";
import { nameByPlace } from "./naming.ts";

/** Arrays that can be told apart; naming does not look at their values. */
function numbered(graph: Graph): Weights {
  return new Map(
    parametersOf(graph).map(({ name, shape }, i) => [name, { shape, data: Float32Array.of(i) }]),
  );
}

/** The same network with meaningless names and its weights. */
function anonymous(graph: Graph) {
  const names = new Map(graph.nodes.map(({ name }, i) => [name, `n${i}`]));
  const rename = (name: string) => names.get(name) ?? name;
  const specs = graph.nodes.map((node): NodeSpec =>
    node.kind === "add"
      ? {
        ...node,
        name: rename(node.name),
        inputs: [rename(node.inputs[0]), rename(node.inputs[1])],
      }
      : { ...node, name: rename(node.name), input: rename(node.input) }
  );
  const weights = new Map(
    [...numbered(graph)].map(([name, tensor]) => {
      const [, node, array] = /^(.*)\.([^.]*)$/.exec(name)!;
      return [`${rename(node)}.${array}`, tensor];
    }),
  );
  return { graph: buildGraph("anonymous", graph.inputShape, specs), weights };
}

const GRAPHS: readonly Graph[] = [
  architecture("resnet20"),
  architecture("resnet20", { zeroChannels: "split", classes: 100 }),
  architecture("resnet32", { shortcut: "B" }),
  architecture("resnet110"),
  architecture("plain20"),
  architecture("resnet18-cifar"),
  architecture("resnet34"),
];

for (const graph of GRAPHS) {
  Deno.test(`${graph.name} gets its own names back, weights and all`, () => {
    const { graph: nameless, weights } = anonymous(graph);
    const named = nameByPlace(nameless, weights);
    assertEquals(named.graph, graph);
    assertEquals(named.weights, numbered(graph));
  });
}

const renamed = (specs: readonly NodeSpec[]) => {
  const graph = buildGraph("anonymous", [32, 32, 3], specs);
  return nameByPlace(graph, numbered(graph)).graph;
};

Deno.test("a net that is nearly an architecture is not called so", () => {
  const resnet20 = architecture("resnet20").nodes;
  const wider = resnet20.map((node) => node.kind === "dense" ? { ...node, units: 11 } : node);
  assertEquals(renamed(wider).name, "resnet20");
  const biased = resnet20.map((node) =>
    node.kind === "convolution" && node.name === "conv1" ? { ...node, bias: true } : node
  );
  assertEquals(renamed(biased).name, "residual net of depth 20");
  const last: NodeSpec = { kind: "relu", name: "end", input: "linear" };
  const graph = renamed([...resnet20, last]);
  assertEquals(graph.name, "residual net of depth 20");
  assertEquals(graph.output, "relu");
});

Deno.test("batch norm that is missing everywhere is said in the name", () => {
  const specs = architecture("plain8").nodes.flatMap((node): NodeSpec[] => {
    if (node.kind === "batch-norm") return [];
    if (node.kind === "convolution") return [{ ...node, bias: true }];
    return node.kind === "relu" ? [{ ...node, input: node.input.replace("bn", "conv") }] : [node];
  });
  assertEquals(renamed(specs).name, "plain8 without batch norm");
});
