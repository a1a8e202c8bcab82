/** A network module by module, with parameters and FLOPs as fvcore counts them. */
import { type Graph, type Node, type Shape, sizeOf } from "./graph.ts";

/** One module: a node, or all nodes whose names begin with its name. */
export interface ModuleRow {
  /** Dotted; "model" for the whole. */
  readonly name: string;
  /** 0 for the whole. */
  readonly depth: number;
  /** Trainable parameters. */
  readonly parameters: number;
  /** One for a multiply-add; see {@linkcode moduleTable}. */
  readonly flops: number;
}

/** What is counted. */
export interface CountingMode {
  /** Images that pass together; 1 when undefined. */
  readonly images?: number;
  /** In training, batch norm takes its own statistics: 5 an element, else 2. */
  readonly training?: boolean;
}

/** Deepest modules that are shown, as by fvcore's `flop_count_table`. */
const DEEPEST = 3;

/**
 * Parameters and FLOPs of each module, as `fvcore.nn.FlopCountAnalysis` counts them: one for a
 * multiply-add of a convolution or a dense layer, 2 an element for batch norm, or 5 in training,
 * one an element that an average pooling reads, and nothing for ReLU, additions and max pooling.
 *
 * Source: fvcore 0.1.5, `fvcore/nn/flop_count.py`.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { moduleTable } from "./module_table.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const [model] = moduleTable(architecture("resnet34"));
 * // Convolutions and the dense layer, batch norm, and the pooling of 1x1x512.
 * assertEquals(model.flops, 74_765_312 + 152_576 + 512);
 * ```
 */
export function moduleTable(graph: Graph, mode: CountingMode = {}): readonly ModuleRow[] {
  const shapes = new Map<string, Shape>([["input", graph.inputShape]]);
  for (const { name, shape } of graph.nodes) shapes.set(name, shape);
  const rows = new Map<string, ModuleRow>();
  for (const node of graph.nodes) {
    const parameters = node.parameters.filter(({ trainable }) => trainable)
      .reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    const flops = flopsOf(node, shapes, mode);
    const parts = node.name.split(".");
    for (let depth = 0; depth <= Math.min(parts.length, DEEPEST); depth++) {
      const name = depth === 0 ? "model" : parts.slice(0, depth).join(".");
      const before = rows.get(name) ?? { name, depth, parameters: 0, flops: 0 };
      rows.set(name, {
        ...before,
        parameters: before.parameters + parameters,
        flops: before.flops + flops,
      });
    }
  }
  return [...rows.values()];
}

function flopsOf(
  node: Node,
  shapes: ReadonlyMap<string, Shape>,
  { images = 1, training = false }: CountingMode,
): number {
  switch (node.kind) {
    case "batch-norm":
      return images * sizeOf(node.shape) * (training ? 5 : 2);
    case "global-average-pool":
      return images * sizeOf(shapes.get(node.input)!);
    default:
      return images * node.multiplyAdds;
  }
}

/**
 * A module table for a terminal, in the form of `fvcore.nn.flop_count_table`, without a line feed
 * at its end.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { formatModuleTable, moduleTable } from "./module_table.ts";
 * import { assertStringIncludes } from "@std/assert";
 *
 * const table = formatModuleTable(moduleTable(architecture("resnet34")));
 * assertStringIncludes(table, "| model                | 21.29M               | 74.918M  |");
 * ```
 */
export function formatModuleTable(rows: readonly ModuleRow[]): string {
  const cells = [
    ["module", "#parameters or shape", "#flops"],
    ...rows.map(({ name, depth, parameters, flops }) => [
      " ".repeat(depth) + name,
      parameters > 0 ? inWords(parameters) : "",
      flops > 0 ? inWords(flops) : "",
    ]),
  ];
  const widths = cells[0].map((_, i) => Math.max(...cells.map((row) => row[i].length)) + 1);
  const lines = cells.map((row) => `| ${row.map((cell, i) => cell.padEnd(widths[i])).join("| ")}|`);
  const rule = `|:${widths.map((width) => "-".repeat(width)).join("|:")}|`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

/** Three decimals of thousands, millions or thousands of millions, without zeros at the end. */
function inWords(count: number): string {
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "K"]] as const) {
    // fvcore turns to the next unit at a tenth of it for counts of 10^8 and more.
    const turns = unit === 1e9 ? 1e8 : unit;
    if (count >= turns) return `${Number((count / unit).toFixed(3))}${letter}`;
  }
  return String(count);
}
