/** Other ways to write the same network: what a rule must not mind. */
import {
  buildGraph,
  type Graph,
  INPUT,
  inputsOf,
  nodeOf,
  type NodeSpec,
  ofKind,
  withInputs,
} from "../../resnet/mod.ts";
import { edit } from "../_graphs.ts";

/** Another name for the whole, and for each node. */
export function renamed(
  graph: Graph,
  name: string,
  nameOf: (node: string, place: number) => string,
): Graph {
  const names = new Map([[INPUT, INPUT]]);
  graph.nodes.forEach((node, i) => names.set(node.name, nameOf(node.name, i)));
  const of = (old: string) => names.get(old)!;
  return buildGraph(
    name,
    graph.inputShape,
    graph.nodes.map((node) => ({ ...withInputs(node, of), name: of(node.name) })),
  );
}

/** Additions with the shortcut first, where `chosen` says so. */
export function swapped(graph: Graph, chosen: (place: number) => boolean = () => true): Graph {
  let place = 0;
  return edit(graph, (node) => {
    if (node.kind !== "add" || !chosen(place++)) return node;
    return { ...node, inputs: [node.inputs[1], node.inputs[0]] };
  });
}

/** A second ReLU behind each that is chosen: it changes nothing. */
export function doubled(graph: Graph, chosen: (place: number) => boolean = () => true): Graph {
  const relus = ofKind(graph, "relu").filter((_, place) => chosen(place));
  const second = new Map(relus.map(({ name }) => [name, `${name}.again`]));
  const of = (name: string) => second.get(name) ?? name;
  return buildGraph(
    graph.name,
    graph.inputShape,
    graph.nodes.flatMap((node): NodeSpec[] => {
      const taking = withInputs(node, of);
      const again = second.get(node.name);
      return again ? [taking, { kind: "relu", name: again, input: node.name }] : [taking];
    }),
  );
}

/** Option A in two steps: every second pixel by a window of one, then the zero channels. */
export function pickedFirst(graph: Graph): Graph {
  return edit(graph, (node) => {
    if (node.kind !== "shortcut-a") return node;
    const { stride, input } = node, name = `${node.name}.pick`;
    return [
      { kind: "max-pool", name, input, kernel: 1, stride, padding: 0 },
      { ...node, input: name, stride: 1 },
    ];
  });
}

/** Identity shortcuts as nodes of their own that hand on what they get. */
export function explicitIdentities(graph: Graph): Graph {
  return edit(graph, (node) => {
    if (node.kind !== "add") return node;
    const [branch, shortcut] = node.inputs;
    const source = nodeOf(graph, shortcut);
    if (source?.kind !== "relu") return node;
    const name = `${node.name}.identity`;
    return [{
      ...{ kind: "shortcut-a", name, input: shortcut, stride: 1 },
      ...{ filters: source.shape[2], zeroChannels: "append" },
    }, { ...node, inputs: [branch, name] }];
  });
}

/** The nodes in another order in which each comes behind what it takes; `next` picks among them. */
export function reordered(graph: Graph, next: (candidates: number) => number): Graph {
  const left = [...graph.nodes], done = new Set([INPUT]), order: NodeSpec[] = [];
  while (left.length > 0) {
    // The output stays the last.
    const ready = left.filter((node) =>
      inputsOf(node).every((input) => done.has(input)) &&
      (left.length === 1 || node.name !== graph.output)
    );
    const [node] = left.splice(left.indexOf(ready[next(ready.length)]), 1);
    order.push(node);
    done.add(node.name);
  }
  return buildGraph(graph.name, graph.inputShape, order);
}
