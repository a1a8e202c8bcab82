/**
 * Names for the nodes of a network that somebody else made: those of our
 * architectures, given by each node's place, so that the same network has the
 * same names wherever it comes from.
 */
import {
  architecture,
  buildGraph,
  consumersOf,
  depthsOf,
  type Graph,
  INPUT,
  inputsOf,
  type Node,
  nodeOf,
  type NodeSpec,
  parametersOf,
  WeightFileError,
  type Weights,
  withInputs,
} from "../resnet/mod.ts";

/** A network with its weights, under one set of names. */
export interface NamedNetwork {
  /** The network; its name is an architecture's where it is one. */
  readonly graph: Graph;
  /** Every array of the graph, in graph order. */
  readonly weights: Weights;
}

/**
 * Names nodes by their place: the stem `conv1`, `bn1`, `relu1`, blocks
 * `layer<stage>.<block>.conv<i>` and so on, their shortcuts, the head. A stage
 * ends where a block's output has another shape than the block's before.
 *
 * The graph is called as {@link architecture} calls it where it is exactly one
 * of them, `resnet20 without batch norm` where that alone is missing, and else
 * `residual net of depth D` or `plain net of depth D`, with D the weighted
 * layers on the longest way.
 *
 * @param graph Any names.
 * @param weights Every array of the graph, by the graph's names.
 *
 * @example
 * ```ts
 * import { architecture } from "../resnet/mod.ts";
 * import { buildGraph } from "../resnet/mod.ts";
 * import { initialise } from "../resnet/mod.ts";
 * import { nameByPlace } from "./naming.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet20");
 * const anonymous = buildGraph("model.onnx", graph.inputShape, graph.nodes);
 * const named = nameByPlace(anonymous, initialise(anonymous, 1, "in"));
 * assertEquals(named.graph, graph);
 * ```
 */
export function nameByPlace(graph: Graph, weights: Weights): NamedNetwork {
  const names = placeNames(graph);
  const rename = (name: string) => names.get(name) ?? name;
  const specs = graph.nodes.map((node): NodeSpec => {
    const { shape: _shape, parameters: _parameters, multiplyAdds: _multiplyAdds, ...spec } = node;
    return withInputs({ ...spec, name: rename(spec.name) }, rename);
  });
  const renamed = buildGraph(graph.name, graph.inputShape, specs);
  const before = parametersOf(graph);
  return {
    graph: { ...renamed, name: architectureName(renamed) },
    weights: new Map(
      parametersOf(renamed).map(({ name }, i) => [name, weights.get(before[i].name)!]),
    ),
  };
}

/** The name of the architecture that a graph with our names is, or a description. */
function architectureName(graph: Graph): string {
  const depth = depthsOf(graph).get(graph.output)!;
  const last = graph.nodes.find((node) => node.kind === "dense");
  const plain = !graph.nodes.some((node) => node.kind === "add");
  const forms = (depth - 2) % 6 === 0 && depth >= 8
    ? [plain ? `plain${depth}` : `resnet${depth}`]
    : [];
  if (depth === 18 || depth === 34) forms.push(`resnet${depth}`, `resnet${depth}-cifar`);
  for (const name of new Set(forms)) {
    for (const shortcut of ["A", "B"] as const) {
      for (const zeroChannels of ["append", "split"] as const) {
        const known = architecture(name, {
          shortcut,
          zeroChannels,
          classes: last?.units ?? 10,
          inputShape: graph.inputShape,
        });
        if (sameNodes(known, graph)) return name;
        if (sameNodes(withoutBatchNorm(known), graph)) return `${name} without batch norm`;
      }
    }
  }
  return `${plain ? "plain" : "residual"} net of depth ${depth}`;
}

/** Each convolution with a bias in the place of its batch norm. */
function withoutBatchNorm(graph: Graph): Graph {
  const before = new Map(
    graph.nodes.flatMap((node) => node.kind === "batch-norm" ? [[node.name, node.input]] : []),
  );
  const source = (name: string) => before.get(name) ?? name;
  const specs = graph.nodes.flatMap((node): NodeSpec[] => {
    if (node.kind === "batch-norm") return [];
    const bare = withInputs(node, source);
    return [bare.kind === "convolution" ? { ...bare, bias: true } : bare];
  });
  return buildGraph(graph.name, graph.inputShape, specs);
}

/** The order of nodes that do not depend on each other is no difference. */
function sameNodes(a: Graph, b: Graph): boolean {
  const text = (graph: Graph) =>
    graph.nodes.map((node) => JSON.stringify(node, Object.keys(node).sort())).sort().join("\n");
  return a.nodes.length === b.nodes.length && text(a) === text(b);
}

/** A run of nodes between two points at which the network is a single way. */
interface Section {
  readonly branch: readonly Node[];
  readonly shortcut: readonly Node[];
  /** The addition and the ReLU behind it, where there are. */
  readonly end: readonly Node[];
}

function placeNames(graph: Graph): ReadonlyMap<string, string> {
  const names = new Map<string, string>();
  const taken = new Set<string>([INPUT]);
  const give = (node: Pick<Node, "name">, wanted: string) => {
    if (names.has(node.name)) return;
    let name = wanted;
    for (let i = 2; taken.has(name); i++) name = `${wanted}_${i}`;
    taken.add(name);
    names.set(node.name, name);
  };

  const sections = residualSections(graph);
  const blocks = sections.length > 0 ? sections : plainSections(graph);
  const inBlocks = new Set(
    blocks.flatMap(({ branch, shortcut, end }) => [...branch, ...shortcut, ...end]),
  );
  const first = graph.nodes.findIndex((node) => inBlocks.has(node));
  const outside = graph.nodes.map((node, i) => ({ node, stem: first < 0 || i < first }))
    .filter(({ node }) => !inBlocks.has(node));

  nameRun(outside.filter(({ stem }) => stem).map(({ node }) => node), "", 1, give);
  let stage = 0;
  let block = 0;
  let shape = "";
  for (const { branch, shortcut, end } of blocks) {
    const found = (end[0] ?? branch.at(-1)!).shape.join();
    [stage, block] = found === shape ? [stage, block + 1] : [stage + 1, 0];
    shape = found;
    const prefix = `layer${stage}.${block}.`;
    const relus = nameRun(branch, prefix, 1, give);
    const single = shortcut.length === 1 && shortcut[0].kind === "shortcut-a";
    shortcut.forEach((node, i) =>
      give(node, single ? `${prefix}shortcut` : `${prefix}shortcut.${i}`)
    );
    for (const node of end) {
      give(node, node.kind === "add" ? `${prefix}add` : `${prefix}relu${relus}`);
    }
  }
  const imagenet = graph.nodes.some((node, i) => node.kind === "max-pool" && i < first);
  for (const { node, stem } of outside) {
    if (stem) continue;
    const name = {
      "batch-norm": "bn",
      "convolution": "conv",
      "dense": imagenet ? "fc" : "linear",
      "global-average-pool": "pool",
      "relu": "relu",
      "max-pool": "maxpool",
      "shortcut-a": "shortcut",
      "add": "add",
    }[node.kind];
    give(node, name);
  }
  return names;
}

/** How nodes are called within a block or a stem; what a block has several of is numbered. */
const NAMES_IN_RUN: Readonly<
  Record<Node["kind"], { readonly name: string; readonly numbered: boolean }>
> = {
  "convolution": { name: "conv", numbered: true },
  "batch-norm": { name: "bn", numbered: true },
  "relu": { name: "relu", numbered: true },
  "add": { name: "add", numbered: false },
  "shortcut-a": { name: "shortcuta", numbered: false },
  "max-pool": { name: "maxpool", numbered: false },
  "global-average-pool": { name: "globalaveragepool", numbered: false },
  "dense": { name: "dense", numbered: false },
};

/** Numbers the nodes of each kind; returns the number of the next ReLU. */
function nameRun(
  nodes: readonly Node[],
  prefix: string,
  start: number,
  give: (node: Pick<Node, "name">, name: string) => void,
): number {
  const counts: Partial<Record<Node["kind"], number>> = {};
  for (const { kind, ...node } of nodes) {
    const count = counts[kind] = (counts[kind] ?? start - 1) + 1;
    const { name, numbered } = NAMES_IN_RUN[kind];
    give(node, `${prefix}${name}${numbered ? count : ""}`);
  }
  return (counts.relu ?? start - 1) + 1;
}

/** One section for each addition: both ways back to where they part. */
function residualSections(graph: Graph): Section[] {
  // Ways of different additions meet at the addition before, so that they are short together.
  let steps = 100 * graph.nodes.length;
  const wayBack = (name: string): Node[] => {
    const way: Node[] = [];
    for (let node = nodeOf(graph, name); node; node = nodeOf(graph, inputsOf(node)[0])) {
      if (--steps < 0) throw new WeightFileError("its additions share long ways to the input");
      way.push(node);
      if (node.kind === "add") break;
    }
    return way;
  };
  const sections: Section[] = [];
  for (const node of graph.nodes) {
    if (node.kind !== "add") continue;
    const [branch, shortcut] = node.inputs.map(wayBack);
    const onShortcut = new Set(shortcut);
    const parting = branch.find((node) => onShortcut.has(node));
    const until = (way: readonly Node[]) =>
      (parting ? way.slice(0, way.indexOf(parting)) : way).toReversed();
    const behind = consumersOf(graph, node.name);
    const relu = behind.length === 1 && behind[0].kind === "relu" ? behind : [];
    sections.push({ branch: until(branch), shortcut: until(shortcut), end: [node, ...relu] });
  }
  return sections;
}

/** Without additions, two convolutions behind the first are what would be a block. */
function plainSections(graph: Graph): Section[] {
  const sections: Node[][] = [];
  let convolutions = 0;
  for (const node of graph.nodes) {
    if (node.kind === "global-average-pool" || node.kind === "dense") break;
    if (node.kind === "convolution") {
      convolutions++;
      if (convolutions > 1 && convolutions % 2 === 0) sections.push([]);
    }
    sections.at(-1)?.push(node);
  }
  return sections.map((branch) => ({ branch, shortcut: [], end: [] }));
}
