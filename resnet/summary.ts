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
  /** Numbers that it gives for one image. */
  readonly activations: number;
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
  /**
   * Numbers that all nodes give for one image: what a training keeps that keeps every output for
   * its backward pass. Engines that compute several nodes at once keep fewer.
   */
  readonly activations: number;
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
 *   activations: 32 * 32 * 16,
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
      activations: sizeOf(shape),
    })),
    weightedLayers: depthsOf(graph).get(graph.output)!,
    parameters: countParameters(graph),
    multiplyAdds: countMultiplyAdds(graph),
    activations: graph.nodes.reduce((sum, { shape }) => sum + sizeOf(shape), 0),
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
 * layer   kind                 output  parameters  multiply-adds  activations
 * pool    global-average-pool       2           0              0            2
 * linear  dense                     3           9              6            3
 * total                                         9              6            5`,
 * );
 * ```
 */
export function formatSummary(summary: Summary): string {
  const rows = summary.rows.map((row) => [row.name, row.kind, ...figures(row)]);
  return formatted(summary, ["layer", "kind"], rows);
}

/** Bytes of a 32-bit float. */
const FLOAT_BYTES = 4;

/**
 * A summary block by block, for a terminal: layers whose names begin alike are a block, and equal
 * blocks that follow each other are one line. Below it the memory that the activations of a batch
 * take as 32-bit floats, without a line feed at its end.
 *
 * @param summary Of any network.
 * @param batchSize Images a batch.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { formatBlocks, summarise } from "./summary.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const text = formatBlocks(summarise(architecture("resnet32")), 128);
 * assertStringIncludes(text, "layer2.1 to layer2.4");
 * ```
 */
export function formatBlocks(summary: Summary, batchSize: number): string {
  const lines = foldBlocks(summary.rows).map(({ blocks, rows }) => {
    const [first] = blocks;
    const total = (field: "parameters" | "multiplyAdds" | "activations") =>
      rows.reduce((sum, row) => sum + row[field], 0);
    const { shape } = rows[rows.length - 1];
    const name = blocks.length > 1 ? `${first} to ${blocks[blocks.length - 1]}` : first;
    const kinds = rows.length / blocks.length > 1
      ? `${blocks.length > 1 ? `${blocks.length} blocks of ` : ""}${
        rows.length / blocks.length
      } layers`
      : rows[0].kind;
    return [
      name,
      kinds,
      ...figures({
        ...{ shape, parameters: total("parameters") },
        ...{ multiplyAdds: total("multiplyAdds"), activations: total("activations") },
      }),
    ];
  });
  const bytes = summary.activations * FLOAT_BYTES * batchSize;
  return `${formatted(summary, ["part", "what"], lines)}

Every layer's output for a batch of ${batchSize}: ${
    (bytes / 1e6).toLocaleString("en-US", { maximumFractionDigits: 0 })
  } MB as 32-bit floats.`;
}

interface Fold {
  /** Names of equal blocks, in order. */
  readonly blocks: string[];
  /** The rows of all of them. */
  readonly rows: SummaryRow[];
}

function foldBlocks(rows: readonly SummaryRow[]): readonly Fold[] {
  const blocks: Fold[] = [];
  for (const row of rows) {
    const [, prefix] = /^(.+?\.\d+)\./.exec(row.name) ?? [];
    const last = blocks.at(-1);
    if (prefix !== undefined && last?.blocks[0] === prefix) last.rows.push(row);
    else blocks.push({ blocks: [prefix ?? row.name], rows: [row] });
  }
  const isBlock = ({ blocks, rows }: Fold) => rows[0].name !== blocks[0];
  /** All but the names. */
  const signature = ({ rows }: Fold) => JSON.stringify(rows.map(({ name: _, ...row }) => row));
  const folds: Fold[] = [];
  let before: string | undefined;
  for (const block of blocks) {
    const mine = isBlock(block) ? signature(block) : undefined;
    if (mine !== undefined && mine === before) {
      folds[folds.length - 1].blocks.push(...block.blocks);
      folds[folds.length - 1].rows.push(...block.rows);
    } else folds.push({ blocks: [...block.blocks], rows: [...block.rows] });
    before = mine;
  }
  return folds;
}

type Figures = Pick<SummaryRow, "parameters" | "multiplyAdds" | "activations">;

/** Shape and counts of a line. */
function figures({ shape, ...row }: Figures & Pick<SummaryRow, "shape">): string[] {
  return [shape.join("x"), ...counts(row)];
}

/** A title, and rows under a header with the totals below; the first two columns are words. */
function formatted(
  summary: Summary,
  words: readonly [string, string],
  rows: readonly (readonly string[])[],
): string {
  const { name, inputShape, weightedLayers } = summary;
  const cells = [
    [...words, "output", "parameters", "multiply-adds", "activations"],
    ...rows,
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

function counts(row: Figures): string[] {
  return [row.parameters, row.multiplyAdds, row.activations]
    .map((count) => count.toLocaleString("en-US"));
}
