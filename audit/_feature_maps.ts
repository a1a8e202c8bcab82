/** A network layer by layer, for reports. */
import { type Graph, inputsOf } from "../resnet/mod.ts";
import type { Judgement } from "../spec/mod.ts";
import type { FeatureMap, NetworkLayer } from "./report.ts";

/** The outputs of every layer that changes or pools the maps, in order. */
export function featureMaps(graph: Graph): FeatureMap[] {
  return graph.nodes.flatMap((node): FeatureMap[] => {
    const { name: layer, shape } = node;
    switch (node.kind) {
      case "convolution": {
        const what = `${node.kernel}x${node.kernel} convolution`;
        return [{
          layer,
          shape,
          what: node.stride === 1 ? what : `${what}, stride ${node.stride}`,
        }];
      }
      case "max-pool":
        return [{ layer, shape, what: `max pooling, stride ${node.stride}` }];
      case "global-average-pool":
        return [{ layer, shape, what: "global average pooling" }];
      case "dense":
        return [{ layer, shape, what: "fully connected" }];
      case "batch-norm":
      case "relu":
      case "add":
      case "shortcut-a":
        return [];
      default:
        // The graph of a recording has operations that none of these is, under their own kinds.
        node satisfies never;
        return [];
    }
  });
}

/** Every layer of a network, and which rules the evidence says it breaks. */
export function networkLayers(graph: Graph, judgements: readonly Judgement[]): NetworkLayer[] {
  const failed = judgements.filter(({ outcome }) => outcome === "fail").map(({ id, evidence }) => ({
    id,
    // Names as they stand in sentences; "add" alone may be a word.
    named: new Set(evidence.match(/[\w./:-]*[\w]/g) ?? []),
  }));
  return graph.nodes.map((node) => {
    const { name, kind, shape } = node;
    const telling = /[\d._/:-]/.test(name);
    const breaks = telling ? failed.filter(({ named }) => named.has(name)).map(({ id }) => id) : [];
    return { name, kind, inputs: inputsOf(node), shape, ...(breaks.length > 0 ? { breaks } : {}) };
  });
}
