/**
 * The architectures by name: the paper's CIFAR nets (section 4.2), their plain
 * controls, and the ImageNet block layout with a CIFAR or an ImageNet stem.
 */
import { buildGraph, type Graph, type NodeSpec, type Shape, type ZeroChannels } from "./graph.ts";

/** Everything that decides a network's graph. */
export interface Architecture {
  /** For example `resnet32`, `plain20`, `resnet34-cifar`, `resnet34`. */
  readonly name: string;
  /** Shortcut where the width changes: parameter-free (A), 1x1 projection with BN (B), or no shortcuts. */
  readonly shortcut: "A" | "B" | "none";
  /** Where option A puts its zero channels; none for B and plain nets. */
  readonly zeroChannels: ZeroChannels | "none";
  /** Outputs of the last layer. */
  readonly classes: number;
  /** [H, W, C] of an input image. */
  readonly inputShape: Shape;
}

/** The legal forms of an architecture's name, for messages and help. */
export const ARCHITECTURE_FORMS =
  "resnet<D> and plain<D> with D = 6n+2 (resnet20, resnet32, resnet44, resnet56, resnet110, resnet1202, plain20, ...), resnet18-cifar, resnet34-cifar, resnet18, resnet34";

/** A name that no architecture has. */
export class ArchitectureError extends Error {
  /** The class's name, for messages. */
  override name = "ArchitectureError";
}

/** A name in a file must not ask for a graph that fills the memory. */
const MOST_LAYERS = 10_000;

const IMAGENET_BLOCKS: Readonly<Record<number, readonly number[]>> = {
  18: [2, 2, 2, 2],
  34: [3, 4, 6, 3],
};

/**
 * The graph of an architecture.
 *
 * @param name One of {@link ARCHITECTURE_FORMS}.
 * @param options Departures from the paper's defaults: shortcut A with appended
 *   zero channels, 10 classes, 32x32x3 images. `resnet18`/`34` always use B, and
 *   plain nets none: see {@linkcode shortcutsOf}.
 * @throws {ArchitectureError} If the name has none of the legal forms.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { countParameters } from "./graph.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(countParameters(architecture("resnet32")), 464_154);
 * ```
 */
export function architecture(
  name: string,
  options: Partial<Omit<Architecture, "name">> = {},
): Graph {
  const full: Architecture = {
    name,
    classes: 10,
    inputShape: [32, 32, 3],
    ...options,
    ...shortcutsOf(name, { shortcut: "A", zeroChannels: "append", ...options }),
  };
  const match = /^(resnet|plain)(\d+)(-cifar)?$/.exec(name);
  const depth = Number(match?.[2]);
  if (match && match[1] === "resnet" && depth in IMAGENET_BLOCKS) {
    return imagenetLayout(full, IMAGENET_BLOCKS[depth], match[3] !== undefined);
  }
  if (!match || match[3]) {
    throw new ArchitectureError(
      `unknown architecture "${name}"${meantBy(name)}; the legal forms are ${ARCHITECTURE_FORMS}`,
    );
  }
  if (depth < 8 || (depth - 2) % 6 !== 0) {
    const below = Math.max(8, Math.floor((depth - 2) / 6) * 6 + 2);
    throw new ArchitectureError(
      `"${name}": a CIFAR net of the paper has depth 6n+2 with n of 1 or more, and ${depth} is not; the nearest are ${below} and ${
        below + 6
      }. The legal forms are ${ARCHITECTURE_FORMS}`,
    );
  }
  if (depth > MOST_LAYERS) {
    throw new ArchitectureError(
      `"${name}": nets of up to ${MOST_LAYERS} layers are built, and this has ${depth}; the paper's deepest has 1202`,
    );
  }
  return cifarNet(full, (depth - 2) / 6);
}

/** Other capitals, marks between, letters that look like digits: what people mostly mistype. */
function meantBy(name: string): string {
  const [, kind, depth] = /^(resnet|plain)([\dol]+)$/.exec(
    name.toLowerCase().replace(/[-_ ]/g, ""),
  ) ?? [];
  if (kind === undefined) return "";
  return ` (did you mean ${kind}${depth.replaceAll("o", "0").replaceAll("l", "1")}?)`;
}

/**
 * The shortcuts that a net has by its name: a plain net none, ImageNet's layouts
 * projections, every other net those that are asked for.
 *
 * @param name An architecture's name.
 * @param asked Option A or B, and where option A's zero channels would stand.
 * @returns What the graph has; `zeroChannels` is `none` where nothing is option A.
 *
 * @example
 * ```ts
 * import { shortcutsOf } from "./architectures.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const asked = { shortcut: "A", zeroChannels: "split" } as const;
 * assertEquals(shortcutsOf("resnet20", asked), asked);
 * assertEquals(shortcutsOf("resnet34", asked), { shortcut: "B", zeroChannels: "none" });
 * assertEquals(shortcutsOf("plain20", asked), { shortcut: "none", zeroChannels: "none" });
 * ```
 */
export function shortcutsOf(
  name: string,
  { shortcut, zeroChannels }: Pick<Architecture, "shortcut" | "zeroChannels">,
): Pick<Architecture, "shortcut" | "zeroChannels"> {
  if (name.startsWith("plain")) return { shortcut: "none", zeroChannels: "none" };
  if (shortcut === "B" || IMAGENET_NAME.test(name)) return { shortcut: "B", zeroChannels: "none" };
  // A net that has shortcuts has the paper's where none are named.
  return { shortcut: "A", zeroChannels: zeroChannels === "none" ? "append" : zeroChannels };
}

const IMAGENET_NAME = /^resnet(18|34)(-cifar)?$/;

/** Section 4.2: 3x3 stem, three stages of 2n layers with 16, 32 and 64 filters. */
function cifarNet(options: Architecture, n: number): Graph {
  const specs: NodeSpec[] = [
    ...convBn("conv1", "bn1", "input", 16, 3, 1),
    { kind: "relu", name: "relu1", input: "bn1" },
  ];
  const blocks = [n, n, n].flatMap((count, stage) =>
    Array.from({ length: count }, (_, i): Block => ({
      name: `layer${stage + 1}.${i}`,
      filters: [16, 32, 64][stage],
      stride: stage > 0 && i === 0 ? 2 : 1,
    }))
  );
  const last = appendBlocks(specs, blocks, 16, "relu1", options);
  specs.push(
    { kind: "global-average-pool", name: "pool", input: last },
    { kind: "dense", name: "linear", input: "pool", units: options.classes },
  );
  return buildGraph(options.name, options.inputShape, specs);
}

/** Table 1's 18 and 34 layer nets, with the 7x7 stem or a 3x3 one for 32x32 images. */
function imagenetLayout(
  options: Architecture,
  counts: readonly number[],
  cifarStem: boolean,
): Graph {
  const specs: NodeSpec[] = cifarStem ? convBn("conv1", "bn1", "input", 64, 3, 1) : [
    {
      kind: "convolution",
      name: "conv1",
      input: "input",
      filters: 64,
      kernel: 7,
      stride: 2,
      padding: 3,
      bias: false,
    },
    { kind: "batch-norm", name: "bn1", input: "conv1" },
  ];
  specs.push({ kind: "relu", name: "relu1", input: "bn1" });
  if (!cifarStem) {
    specs.push({
      kind: "max-pool",
      name: "maxpool",
      input: "relu1",
      kernel: 3,
      stride: 2,
      padding: 1,
    });
  }
  const blocks = counts.flatMap((count, stage) =>
    Array.from({ length: count }, (_, i): Block => ({
      name: `layer${stage + 1}.${i}`,
      filters: 64 << stage,
      stride: stage > 0 && i === 0 ? 2 : 1,
    }))
  );
  const last = appendBlocks(specs, blocks, 64, cifarStem ? "relu1" : "maxpool", options);
  specs.push(
    { kind: "global-average-pool", name: "pool", input: last },
    { kind: "dense", name: cifarStem ? "linear" : "fc", input: "pool", units: options.classes },
  );
  return buildGraph(options.name, options.inputShape, specs);
}

interface Block {
  readonly name: string;
  readonly filters: number;
  readonly stride: number;
}

/** Two 3x3 layers a block, the shortcut around them, ReLU after the addition. */
function appendBlocks(
  specs: NodeSpec[],
  blocks: readonly Block[],
  stemFilters: number,
  input: string,
  { shortcut: option, zeroChannels }: Pick<Architecture, "shortcut" | "zeroChannels">,
): string {
  let width = stemFilters;
  for (const { name, filters, stride } of blocks) {
    specs.push(
      ...convBn(`${name}.conv1`, `${name}.bn1`, input, filters, 3, stride),
      { kind: "relu", name: `${name}.relu1`, input: `${name}.bn1` },
      ...convBn(`${name}.conv2`, `${name}.bn2`, `${name}.relu1`, filters, 3, 1),
    );
    let sum = `${name}.bn2`;
    if (option !== "none") {
      let shortcut = input;
      if (stride !== 1 || width !== filters) {
        if (option === "A" && zeroChannels !== "none") {
          shortcut = `${name}.shortcut`;
          specs.push({ kind: "shortcut-a", name: shortcut, input, filters, stride, zeroChannels });
        } else {
          shortcut = `${name}.shortcut.1`;
          specs.push(...convBn(`${name}.shortcut.0`, shortcut, input, filters, 1, stride));
        }
      }
      sum = `${name}.add`;
      specs.push({ kind: "add", name: sum, inputs: [`${name}.bn2`, shortcut] });
    }
    specs.push({ kind: "relu", name: `${name}.relu2`, input: sum });
    input = `${name}.relu2`;
    width = filters;
  }
  return input;
}

function convBn(
  convolution: string,
  batchNorm: string,
  input: string,
  filters: number,
  kernel: number,
  stride: number,
): NodeSpec[] {
  const padding = (kernel - 1) / 2;
  return [
    {
      kind: "convolution",
      name: convolution,
      input,
      filters,
      kernel,
      stride,
      padding,
      bias: false,
    },
    { kind: "batch-norm", name: batchNorm, input: convolution },
  ];
}

/** Whether a network has that name. */
export function isArchitecture(name: string): boolean {
  try {
    architecture(name);
    return true;
  } catch (error) {
    if (!(error instanceof ArchitectureError)) throw error;
    return false;
  }
}
