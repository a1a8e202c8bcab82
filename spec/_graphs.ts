/** Questions that rules ask of a graph, and edits that make known-bad graphs. */
import {
  type AddSpec,
  buildGraph,
  type ConvolutionSpec,
  type Graph,
  inputsOf,
  type Node,
  nodeOf,
  type NodeSpec,
  ofKind,
  withInputs,
} from "../resnet/mod.ts";

/** A graph's convolution with what was inferred for it. */
export type Convolution = Extract<Node, ConvolutionSpec>;

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
  let node = nodeOf(graph, name);
  while (node && node.kind !== "add" && !stop(node, path)) {
    path.push(node);
    name = node.input;
    node = nodeOf(graph, name);
  }
  return { path, end: name };
}

/** The two inputs of an addition, told apart by what lies before them and not by their order. */
export interface Branches {
  /** Name of the input that the residual layers end with. */
  readonly branch: string;
  /** The convolutions before it, the last first; two in the paper's blocks. */
  readonly layers: readonly Convolution[];
  /** Name of the node at which the residual layers begin. */
  readonly source: string;
  /** Name of the other input. */
  readonly shortcut: string;
  /** The nodes on the shortcut, the last first; none where it is the identity itself. */
  readonly between: readonly Node[];
  /** Whether the shortcut begins where the residual layers do. */
  readonly joined: boolean;
}

/** The residual branch of an addition, and its shortcut; in either order. */
export function branchesOf(graph: Graph, { inputs }: AddSpec): Branches {
  const isLayer = (node: Node): node is Convolution => node.kind === "convolution";
  const [a, b] = ([[0, 1], [1, 0]] as const).map(([one, other]): Branches => {
    const { path, end: source } = walkBack(
      graph,
      inputs[one],
      (_, path) => path.filter(isLayer).length === 2,
    );
    const { path: between, end } = walkBack(graph, inputs[other], ({ name }) => name === source);
    return {
      ...{ branch: inputs[one], layers: path.filter(isLayer), source },
      ...{ shortcut: inputs[other], between, joined: end === source },
    };
  });
  // A shortcut that is shorter than two layers can't be taken for the branch, nor the other way.
  const rank = ({ joined, layers }: Branches) => 4 * Number(joined) + layers.length;
  return rank(b) > rank(a) ? b : a;
}

/** Graphs without their nodes that do nothing, made once for each. */
const simple = new WeakMap<Graph, Graph>();

/**
 * The same function with fewer nodes: a ReLU of what is positive already, a window of one
 * pixel that moves by one, a shortcut that changes nothing, and picking pixels
 * in two steps are other ways to write what the paper says.
 */
export function simplified(graph: Graph): Graph {
  const made = simple.get(graph);
  if (made) return made;
  let nodes = graph.nodes;
  let output = graph.output;
  for (let changed = true; changed;) {
    changed = false;
    // One walk for all of them: a graph of nothing else would take the square of its length.
    const byName = new Map<string, Node>();
    const replaced = new Map<string, string>();
    for (const given of nodes) {
      const moved = inputsOf(given).some((name) => replaced.has(name));
      const node = moved ? withInputs(given, (name) => replaced.get(name) ?? name) : given;
      const merged = mergedPick(node, byName);
      changed ||= merged !== undefined;
      if (doesNothing(node, byName, graph)) {
        replaced.set(node.name, inputsOf(node)[0]);
        changed = true;
      } else byName.set(node.name, merged ?? node);
    }
    nodes = [...byName.values()];
    output = replaced.get(output) ?? output;
  }
  // Picks that were merged into their only consumer.
  const taken = new Set([output, ...nodes.flatMap(inputsOf)]);
  nodes = nodes.filter((node) =>
    taken.has(node.name) || !(isPick(node) || node.kind === "shortcut-a")
  );
  const unchanged = nodes.length === graph.nodes.length &&
    nodes.every((n, i) => n === graph.nodes[i]);
  const result = unchanged ? graph : { ...graph, nodes, output };
  simple.set(graph, result);
  return result;
}

/** Graphs without their dropout, made once for each. */
const undropped = new WeakMap<Graph, Graph>();

/** The graph without dropout: one rule asks for it, to all others it is as if it were not there. */
export function withoutDropout(graph: Graph): Graph {
  const made = undropped.get(graph);
  if (made) return made;
  const dropped = new Map<string, string>();
  const nodes = graph.nodes.flatMap((given) => {
    const node = withInputs(given, (name) => dropped.get(name) ?? name);
    // A kind that our graphs cannot express, as a reader of foreign models may find it.
    if (node.kind as string !== "dropout") return [node];
    dropped.set(node.name, inputsOf(node)[0]);
    return [];
  });
  const output = dropped.get(graph.output) ?? graph.output;
  const result = dropped.size === 0 ? graph : { ...graph, nodes, output };
  undropped.set(graph, result);
  return result;
}

/** Whether a node picks pixels and does nothing else. */
const isPick = (node: Node): boolean =>
  node.kind === "max-pool" && node.kernel === 1 && node.padding === 0;

/** Whether a node's values are those of a ReLU, picked or with zeros beside them. */
function isPositive(node: Node | undefined, byName: ReadonlyMap<string, Node>): boolean {
  if (node?.kind === "shortcut-a" || node?.kind === "max-pool") {
    return isPositive(byName.get(node.input), byName);
  }
  return node?.kind === "relu";
}

function doesNothing(node: Node, byName: ReadonlyMap<string, Node>, graph: Graph): boolean {
  const before = "input" in node ? byName.get(node.input) : undefined;
  switch (node.kind) {
    case "relu":
      return isPositive(before, byName);
    case "max-pool":
      return isPick(node) && node.stride === 1;
    case "shortcut-a":
      return node.stride === 1 &&
        node.filters === (before?.shape ?? graph.inputShape)[2];
    default:
      return false;
  }
}

/** A shortcut or a pick that takes over the picking before it; undefined where there is none. */
function mergedPick(node: Node, byName: ReadonlyMap<string, Node>): Node | undefined {
  if (node.kind !== "shortcut-a" && !isPick(node)) return undefined;
  const before = "input" in node ? byName.get(node.input) : undefined;
  if (!before || !("input" in before) || !("stride" in node)) return undefined;
  if (before.kind === "max-pool" && isPick(before)) {
    return { ...node, input: before.input, stride: node.stride * before.stride };
  }
  if (before.kind !== "shortcut-a") return undefined;
  const stride = node.stride * before.stride;
  if (node.kind === "shortcut-a") {
    return before.zeroChannels === node.zeroChannels
      ? { ...node, input: before.input, stride }
      : undefined;
  }
  return { ...before, name: node.name, shape: node.shape, stride };
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
  const removed = nodeOf(graph, name);
  if (!removed) throw new Error(`${graph.name}: no node "${name}" to remove`);
  const [input] = inputsOf(removed);
  return edit(
    graph,
    (node) => node === removed ? [] : withInputs(node, (other) => other === name ? input : other),
  );
}
