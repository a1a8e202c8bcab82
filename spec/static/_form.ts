/** The paper's form of a CIFAR net, and which form a graph has. */
import type { AddSpec, Graph } from "../../resnet/mod.ts";
import { depthOf, walkBack } from "../_graphs.ts";

/** The three stages, in order. */
export const STAGES = [
  { size: 32, filters: 16 },
  { size: 16, filters: 32 },
  { size: 8, filters: 64 },
] as const;
/** Outputs of the last layer. */
export const CLASSES = 10;

/** The n of 6n+2, as the graph's depth has it. */
export const nOf = (graph: Graph): number => (depthOf(graph) - 2) / 6;
export const isPlain = (graph: Graph): boolean => graph.name.startsWith("plain");
/** A shape as people write it. */
export const text = (shape: readonly number[]): string => `[${shape.join(", ")}]`;

/** The block that ends with an addition. */
export function blockOf(graph: Graph, add: AddSpec) {
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
