/** A network as a table: shapes, parameters and multiply-adds, node by node. */
import {
  countMultiplyAdds,
  countParameters,
  depthsOf,
  type Graph,
  type Node,
  type Shape,
  sizeOf,
} from "./graph.ts";

/** One node of a network. */
export interface SummaryRow {
  /** The node's name. */
  readonly name: string;
  /** What the node does. */
  readonly kind: Node["kind"];
  /** Output shape of one image: [H, W, C] or [C]. */
  readonly shape: Shape;
  /** Trainable parameters. */
  readonly parameters: number;
  /** For one image; convolutions and dense layers alone. */
  readonly multiplyAdds: number;
}

/** A network's rows and totals. */
export interface Summary {
  /** The network's name. */
  readonly name: string;
  /** [H, W, C] of an input image. */
  readonly inputShape: Shape;
  /** The nodes in graph order. */
  readonly rows: readonly SummaryRow[];
  /**
   * Depth as the paper counts it: convolutions and dense layers on the longest
   * path, so that a projection beside a block does not count.
   */
  readonly weightedLayers: number;
  /** Trainable parameters in all. */
  readonly parameters: number;
  /** Multiply-adds in all, for one image. */
  readonly multiplyAdds: number;
}

/**
 * Sums a network up.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { summarise } from "./summary.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { weightedLayers, parameters, rows } = summarise(architecture("resnet32"));
 * assertEquals(weightedLayers, 32);
 * assertEquals(parameters, 464_154);
 * assertEquals(rows[0], {
 *   name: "conv1",
 *   kind: "convolution",
 *   shape: [32, 32, 16],
 *   parameters: 3 * 3 * 3 * 16,
 *   multiplyAdds: 32 * 32 * 3 * 3 * 3 * 16,
 * });
 * ```
 */
export function summarise(graph: Graph): Summary {
  return {
    name: graph.name,
    inputShape: graph.inputShape,
    rows: graph.nodes.map(({ name, kind, shape, parameters, multiplyAdds }) => ({
      name,
      kind,
      shape,
      parameters: parameters
        .filter(({ trainable }) => trainable)
        .reduce((sum, { shape }) => sum + sizeOf(shape), 0),
      multiplyAdds,
    })),
    weightedLayers: depthsOf(graph).get(graph.output)!,
    parameters: countParameters(graph),
    multiplyAdds: countMultiplyAdds(graph),
  };
}

/**
 * A summary as an aligned table for a terminal, without a line feed at its end.
 *
 * @example
 * ```ts
 * import { buildGraph } from "./graph.ts";
 * import { formatSummary, summarise } from "./summary.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = buildGraph("tiny", [4, 4, 2], [
 *   { kind: "global-average-pool", name: "pool", input: "input" },
 *   { kind: "dense", name: "linear", input: "pool", units: 3 },
 * ]);
 * assertEquals(
 *   formatSummary(summarise(graph)),
 *   `tiny: 1 weighted layer, input 4x4x2
 *
 * layer   kind                 output  parameters  multiply-adds
 * pool    global-average-pool       2           0              0
 * linear  dense                     3           9              6
 * total                                         9              6`,
 * );
 * ```
 */
export function formatSummary(summary: Summary): string {
  const { name, inputShape, weightedLayers, rows } = summary;
  const cells = [
    ["layer", "kind", "output", "parameters", "multiply-adds"],
    ...rows.map((row) => [row.name, row.kind, row.shape.join("x"), ...counts(row)]),
    ["total", "", "", ...counts(summary)],
  ];
  const widths = cells[0].map((_, column) => Math.max(...cells.map((row) => row[column].length)));
  const lines = cells.map((row) =>
    row.map((cell, column) =>
      column < 2 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])
    ).join("  ")
  );
  const layers = `${weightedLayers} weighted ${weightedLayers === 1 ? "layer" : "layers"}`;
  return `${name}: ${layers}, input ${inputShape.join("x")}\n\n${lines.join("\n")}`;
}

function counts(row: Pick<SummaryRow, "parameters" | "multiplyAdds">): string[] {
  return [row.parameters, row.multiplyAdds].map((count) => count.toLocaleString("en-US"));
}
