/** Named arrays: the form in which weights travel between rooms and files. */
import { quote } from "../text/mod.ts";
import { architecture } from "./architectures.ts";
import { type Graph, parametersOf } from "./graph.ts";

/** A dense array of 32-bit floats in row-major order. */
export interface Tensor {
  /** Extents, the slowest first. */
  readonly shape: readonly number[];
  /** The values in row-major order. */
  readonly data: Float32Array;
}

/** Arrays by name, in a fixed order: PyTorch's names and layouts. */
export type Weights = ReadonlyMap<string, Tensor>;

/** A file of weights that is malformed, is refused, or does not fit the network. */
export class WeightFileError extends Error {
  /** The class's name, for messages. */
  override name = "WeightFileError";
}

/**
 * Takes from a file's arrays exactly those of a network, under the network's
 * names and in its order.
 *
 * The wrappers' prefixes `module.`, `_orig_mod.` and `model.` are removed,
 * `num_batches_tracked` is ignored, and `downsample.` and `fc.` (torchvision)
 * mean the same as `shortcut.` and `linear.` (the common CIFAR nets).
 *
 * @param graph The network that the weights are for.
 * @param weights Arrays as a file holds them.
 * @param source Name of the file, for messages.
 * @returns Every array of the graph, in graph order; the data is not copied.
 * @throws {WeightFileError} If an array is missing, unexpected, ambiguous, of
 *   another shape, or holds a value that is not a finite number.
 *
 * @example A checkpoint that was saved from a wrapped model.
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { initialise } from "./initialise.ts";
 * import { fitWeights } from "./weights.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet20");
 * const weights = initialise(graph, 1, "in");
 * const wrapped = new Map([...weights].map(([name, tensor]) => [`module.${name}`, tensor]));
 * assertEquals([...fitWeights(graph, wrapped, "wrapped.th").keys()], [...weights.keys()]);
 * ```
 */
export function fitWeights(graph: Graph, weights: Weights, source: string): Weights {
  const found = byCanonicalName(weights, source);
  const problems = differences(graph, found);
  if (problems.length > 0) {
    throw new WeightFileError(
      `${source} does not fit ${graph.name}: ${problems.join("; ")}. ${advice(found)}`,
    );
  }
  const fitted = new Map<string, Tensor>();
  for (const { name, shape } of parametersOf(graph)) {
    const { data } = found.get(canonicalName(name))!.tensor;
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      throw new WeightFileError(
        `${source}: every weight must be a finite number, but element ${bad} of ${quote(name)} is ${
          data[bad]
        }; the training that wrote the file diverged, so take an earlier checkpoint`,
      );
    }
    fitted.set(name, { shape, data });
  }
  return fitted;
}

/**
 * A file's arrays with another last layer: what a training begins with that is to tell other
 * classes apart than the weights do.
 *
 * @param graph The network that is trained; its last layer may have any number of units.
 * @param weights Arrays as a file holds them, of the same network but for the last layer.
 * @param initial The graph's arrays as a training from nothing has them, of which the last layer
 *   is taken; `initialise` makes them.
 * @param source Name of the file, for messages.
 * @returns Every array of the graph, in graph order; the data is not copied.
 * @throws {WeightFileError} If the arrays before the last layer are not the network's.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { initialise } from "./initialise.ts";
 * import { withNewHead } from "./weights.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const thousand = initialise(architecture("resnet18", { classes: 1000 }), 1, "in");
 * const two = architecture("resnet18", { classes: 2 });
 * const start = withNewHead(two, thousand, initialise(two, 2, "in"), "resnet18.pth");
 * assertEquals(start.get("conv1.weight"), thousand.get("conv1.weight"));
 * assertEquals(start.get("fc.weight")?.shape, [2, 512]);
 * ```
 */
export function withNewHead(
  graph: Graph,
  weights: Weights,
  initial: Weights,
  source: string,
): Weights {
  const head = graph.nodes.findLast(({ kind }) => kind === "dense")?.name;
  const isOfHead = (name: string) => canonicalName(name).startsWith(canonicalName(`${head}.`));
  const kept = [...weights].filter(([name]) => !isOfHead(name));
  const drawn = [...initial].filter(([name]) => isOfHead(name));
  return fitWeights(graph, new Map([...kept, ...drawn]), source);
}

/**
 * Arrays under the names that torchvision's and timm's nets have, where the network is one of
 * ImageNet's layouts: `downsample.` for `shortcut.`. The CIFAR nets that others publish have
 * `shortcut.`, and keep it.
 *
 * @param graph The network.
 * @param weights Every array of the graph.
 * @returns The arrays, in the same order; torchvision's `load_state_dict` takes them as they are.
 *
 * @example
 * ```ts
 * import { architecture } from "./architectures.ts";
 * import { initialise } from "./initialise.ts";
 * import { underTorchvisionsNames } from "./weights.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet18", { classes: 1000 });
 * const names = [...underTorchvisionsNames(graph, initialise(graph, 1, "in")).keys()];
 * assertEquals(names.filter((name) => name.includes("shortcut")), []);
 * assertEquals(names.includes("layer2.0.downsample.0.weight"), true);
 * ```
 */
export function underTorchvisionsNames(graph: Graph, weights: Weights): Weights {
  if (!graph.nodes.some(({ kind }) => kind === "max-pool")) return weights;
  return new Map(
    [...weights].map(([name, tensor]) => [name.replace(".shortcut.", ".downsample."), tensor]),
  );
}

/** An array and the name that its file gives it. */
interface Found {
  readonly name: string;
  readonly tensor: Tensor;
}

function canonicalName(name: string): string {
  return name
    .replace(/^(?:(?:module|_orig_mod|model)\.)+/, "")
    .replace(/\.downsample\./, ".shortcut.")
    .replace(/^fc\./, "linear.");
}

function byCanonicalName(weights: Weights, source: string): Map<string, Found> {
  const found = new Map<string, Found>();
  for (const [name, tensor] of weights) {
    const canonical = canonicalName(name);
    if (canonical.endsWith(".num_batches_tracked")) continue;
    const other = found.get(canonical);
    if (other) {
      throw new WeightFileError(
        `${source}: ${quote(other.name)} and ${quote(name)} are two names of one array, ${
          quote(canonical)
        }; save the state of a single model`,
      );
    }
    found.set(canonical, { name, tensor });
  }
  return found;
}

/** What keeps arrays from being a network's; empty where they are. */
function differences(graph: Graph, found: ReadonlyMap<string, Found>): string[] {
  const missing: string[] = [];
  const misshapen: string[] = [];
  const expected = new Set<string>();
  for (const { name, shape } of parametersOf(graph)) {
    const canonical = canonicalName(name);
    expected.add(canonical);
    const tensor = found.get(canonical)?.tensor;
    if (!tensor) missing.push(quote(name));
    else if (tensor.shape.join() !== shape.join()) {
      misshapen.push(
        `${quote(name)} (expected [${shape.join(", ")}], found [${tensor.shape.join(", ")}])`,
      );
    }
  }
  const unexpected = [...found].filter(([canonical]) => !expected.has(canonical))
    .map(([, { name }]) => quote(name));
  return [
    ...listed("missing", missing),
    ...listed("unexpected", unexpected),
    ...listed("of another shape", misshapen),
  ];
}

/** At most this many arrays of each kind are named in a message. */
const LISTED = 3;

function listed(what: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const rest = items.length - LISTED;
  const names = items.slice(0, LISTED).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
  return [`${items.length} ${items.length === 1 ? "array" : "arrays"} ${what}: ${names}`];
}

/** Which architectures have exactly these arrays, as something to do next. */
function advice(found: ReadonlyMap<string, Found>): string {
  const n = [...found.keys()].filter((name) => /^layer1\.\d+\.conv1\.weight$/.test(name)).length;
  // ResNet-1202 has n = 200: a file with more blocks is no net of the paper.
  const cifar = n >= 1 && n <= 200 ? [`resnet${6 * n + 2}`, `plain${6 * n + 2}`] : [];
  const names = new Set([
    ...cifar,
    "resnet18-cifar",
    "resnet34-cifar",
    "resnet18",
    "resnet34",
  ]);
  const classes = Math.max(1, found.get("linear.bias")?.tensor.shape[0] ?? 10);
  const fitting: string[] = [];
  for (const name of names) {
    const shortcut = (["A", "B"] as const).find((shortcut) =>
      differences(architecture(name, { shortcut, classes }), found).length === 0
    );
    if (shortcut) fitting.push(shortcut === "A" ? name : `${name} with shortcut B`);
  }
  return fitting.length > 0
    ? `Its arrays are those of ${
      fitting.join(" or ")
    } with ${classes} classes: choose that by --arch`
    : "Its arrays are those of no architecture here: choose the file or --arch that belongs to it";
}
