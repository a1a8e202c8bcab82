// The graph of a real recording, and of operations that a residual net does not have.
import { assert, assertEquals } from "@std/assert";
import { type GraphLine, linesOf, parseRecording } from "../../log/mod.ts";
import { architecture, countParameters } from "../../resnet/mod.ts";
import { recordedLog } from "../../testing/files/mod.ts";
import { tracedGraph } from "./traced_graph.ts";

const { lines } = parseRecording(recordedLog());
const [line] = linesOf(lines, "graph");
const [network] = linesOf(lines, "network");

Deno.test("the operations of a recorded ResNet-8 are its graph", () => {
  const { graph, arrays, problems } = tracedGraph(line, network);
  assertEquals(problems, []);
  assertEquals(countParameters(graph!), countParameters(architecture("resnet8")));
  assertEquals(arrays.get("layer1.0.conv1.weight"), "layer1.0.conv1.weight");
});

Deno.test("an addition of one map and something else is none of two branches", () => {
  const at = line.nodes.findIndex(({ kind }) => kind === "add");
  const add = line.nodes[at];
  const [first, ...others] = Object.keys(add.arguments);
  const alone = { ...add, arguments: { [first]: add.arguments[first], [others[0]]: 1 } };
  const changed: GraphLine = { ...line, nodes: line.nodes.with(at, alone) };
  const { graph, problems } = tracedGraph(changed, network);
  // What reads a graph takes every "add" to have two inputs.
  assert(problems.length > 0 || graph!.nodes.some(({ kind }) => `${kind}` === "addition"));
});
