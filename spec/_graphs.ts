/** Questions that rules ask of a graph, and edits that make known-bad graphs. */
import {
  buildGraph,
  type ConvolutionSpec,
  depthsOf,
  type Graph,
  inputsOf,
  type Node,
  type NodeSpec,
  withInputs,
} from "../resnet/mod.ts";

/** A graph's convolution with what was inferred for it. */
export type Convolution = Extract<Node, ConvolutionSpec>;

/** A graph's nodes by their names, and by the names whose output they take. */
interface Index {
  readonly nodes: ReadonlyMap<string, Node>;
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
}

/** Made once for each graph: searching all nodes for each name grows with the square of the depth. */
const indexes = new WeakMap<Graph, Index>();

function indexOf(graph: Graph): Index {
  const made = indexes.get(graph);
  if (made) return made;
  const nodes = new Map(graph.nodes.map((node) => [node.name, node]));
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(inputsOf(node))) {
      const others = consumers.get(input);
      if (others) others.push(node);
      else consumers.set(input, [node]);
    }
  }
  const index = { nodes, consumers };
  indexes.set(graph, index);
  return index;
}

/** The node called `name`; undefined for the network's input. */
export function find(graph: Graph, name: string): Node | undefined {
  return indexOf(graph).nodes.get(name);
}

/** The nodes that take the output of `name`. */
export function consumersOf(graph: Graph, name: string): readonly Node[] {
  return indexOf(graph).consumers.get(name) ?? [];
}

/** The nodes of one kind. */
export function ofKind<Kind extends Node["kind"]>(
  graph: Graph,
  kind: Kind,
): readonly Extract<Node, { kind: Kind }>[] {
  return graph.nodes.filter((node): node is Extract<Node, { kind: Kind }> => node.kind === kind);
}

/** Weighted layers on the longest way from the input to the output: the paper's depth. */
export function depthOf(graph: Graph): number {
  return depthsOf(graph).get(graph.output) ?? 0;
}

/** The convolutions that take part in the longest way: all but a shortcut's 1x1 projections. */
export function layersOf(graph: Graph): readonly Convolution[] {
  return ofKind(graph, "convolution").filter((node) => node.kernel > 1);
}

/**
 * The nodes from `name` back towards the input, `name` first, as long as each
 * has one input; ends before the node `stop`.
 *
 * @returns The nodes, and the name before which the walk ended.
 */
export function walkBack(
  graph: Graph,
  name: string,
  stop: (node: Node, path: readonly Node[]) => boolean,
): { readonly path: readonly Node[]; readonly end: string } {
  const path: Node[] = [];
  let node = find(graph, name);
  while (node && node.kind !== "add" && !stop(node, path)) {
    path.push(node);
    name = node.input;
    node = find(graph, name);
  }
  return { path, end: name };
}

/** The graph with each node replaced by what `change` makes of it. */
export function edit(
  graph: Graph,
  change: (node: Node) => NodeSpec | readonly NodeSpec[],
): Graph {
  return buildGraph(graph.name, graph.inputShape, graph.nodes.flatMap(change));
}

/** The graph with `inserted` behind `name`, taking over all who took `name`. */
export function insertAfter(graph: Graph, name: string, inserted: NodeSpec): Graph {
  return edit(graph, (node) => {
    if (node.name === name) return [node, inserted];
    return withInputs(node, (input) => input === name ? inserted.name : input);
  });
}

/** The graph without `name`; who took it takes its input. */
export function remove(graph: Graph, name: string): Graph {
  const removed = find(graph, name);
  if (!removed) throw new Error(`${graph.name}: no node "${name}" to remove`);
  const [input] = inputsOf(removed);
  return edit(
    graph,
    (node) => node === removed ? [] : withInputs(node, (other) => other === name ? input : other),
  );
}
