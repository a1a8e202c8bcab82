/** From the arrays of a file to layers, whatever the library and its naming. */
import { permuteAxes } from "../weights/mod.ts";
import type { Tensor, Weights } from "../resnet/mod.ts";

/** Arrays that one layer owns, in our layouts. */
export interface Layer {
  /** The part of the names that the arrays share. */
  readonly path: string;
  /** Told by the number of axes of its arrays. */
  readonly kind: "convolution" | "batch-norm" | "dense";
  /** [O, I, H, W] or [O, I]. */
  readonly weight?: Tensor;
  /** Of a convolution or a dense layer. */
  readonly bias?: Tensor;
  /** Batch norm's, as far as they are there. */
  readonly statistics: Readonly<Partial<Record<Statistic, Tensor>>>;
}

/** Batch norm's four arrays, by PyTorch's names. */
export type Statistic = "weight" | "bias" | "running_mean" | "running_var";

/** What was made of a file's arrays. */
export interface Layers {
  /** In the order of their names, the stem first and the head last. */
  readonly layers: readonly Layer[];
  /** How names and layouts are written, for people. */
  readonly naming: string;
  /** Names of arrays that belong to no layer. */
  readonly ignored: readonly string[];
}

type Role = "kernel" | "bias" | "scale" | "shift" | "mean" | "variance";

/** The last part of a name, in every library's words. */
const ROLES: Readonly<Record<string, Role>> = {
  weight: "kernel",
  kernel: "kernel",
  bias: "bias",
  gamma: "scale",
  scale: "scale",
  beta: "shift",
  running_mean: "mean",
  moving_mean: "mean",
  mean: "mean",
  running_var: "variance",
  moving_variance: "variance",
  var: "variance",
};

/** Extents that a window has; channels are rarely so few. */
const WINDOWS = [1, 3, 5, 7, 9, 11];

/** Groups arrays by layer and brings them into our layouts. */
export function readLayers(tensors: Weights): Layers {
  const groups = new Map<string, Partial<Record<Role, Tensor>>>();
  const ignored: string[] = [];
  const suffixes = new Set<string>();
  const prefix = commonPrefix([...tensors.keys()]);
  for (const [name, tensor] of tensors) {
    const parts = partsOf(name.slice(prefix.length));
    const last = parts.pop() ?? "";
    const role = Object.hasOwn(ROLES, last) ? ROLES[last] : undefined;
    if (!role || tensor.shape.length === 0) {
      ignored.push(name);
      continue;
    }
    suffixes.add(last);
    // Files of Keras repeat a layer's name: conv2d/conv2d/kernel:0.
    const path = parts.filter((part, i) => part !== parts[i - 1] || /^\d+$/.test(part)).join(".");
    const group = groups.get(path) ?? {};
    group[role] = tensor;
    groups.set(path, group);
  }
  const kernels = [...groups.values()].flatMap(({ kernel }) =>
    kernel?.shape.length === 4 ? [kernel.shape] : []
  );
  const votes = (height: number, width: number) =>
    kernels.filter((shape) => shape[height] === shape[width] && WINDOWS.includes(shape[height]))
      .length;
  const channelsLast = votes(0, 1) > votes(2, 3);
  const layers = [...groups].flatMap(([path, group]) => {
    const layer = layerOf(path, group, channelsLast);
    if (!layer) ignored.push(...Object.keys(group).map((role) => `${prefix}${path} (${role})`));
    return layer ? [layer] : [];
  });
  layers.sort((a, b) => comparePaths(a.path, b.path));
  return { layers, naming: namingOf(layers, prefix, channelsLast, suffixes), ignored };
}

/** A name's parts; Keras ends names with the number of the output, ":0". */
function partsOf(name: string): string[] {
  return name.replace(/:\d+$/, "").split(/[./]/);
}

/** The parts with which every name begins, such as `module.`. */
function commonPrefix(names: readonly string[]): string {
  const [first = ""] = names;
  let prefix = "";
  for (const [separator] of first.matchAll(/^[^./]*[./]|[^./]+[./]/g)) {
    const longer = prefix + separator;
    if (!names.every((name) => name.startsWith(longer))) break;
    prefix = longer;
  }
  // A single layer's own name is no prefix.
  return names.length > 4 ? prefix : "";
}

function layerOf(
  path: string,
  group: Partial<Record<Role, Tensor>>,
  channelsLast: boolean,
): Layer | undefined {
  const { kernel, bias, mean, variance } = group;
  const rank = kernel?.shape.length;
  if (kernel && rank === 4) {
    const weight = channelsLast ? permuteAxes(kernel, [3, 2, 0, 1]) : kernel;
    return { path, kind: "convolution", weight, bias, statistics: {} };
  }
  if (kernel && rank === 2) {
    const weight = channelsLast ? permuteAxes(kernel, [1, 0]) : kernel;
    return { path, kind: "dense", weight, bias, statistics: {} };
  }
  const scale = group.scale ?? (rank === 1 ? kernel : undefined);
  const shift = group.shift ?? bias;
  const arrays = { weight: scale, bias: shift, running_mean: mean, running_var: variance };
  const known = Object.entries(arrays).filter(([, tensor]) => tensor !== undefined);
  if (known.length < 2 || (rank !== undefined && rank !== 1)) return undefined;
  return { path, kind: "batch-norm", statistics: Object.fromEntries(known) };
}

/** Words that stand at a net's beginning and end, wherever the alphabet puts them. */
const FIRST = /^(stem|init\w*|input\w*|first\w*|pre\w*|root)$/;
const LAST =
  /^(linear|fc|classifier|head|dense|logits|output|predictions|final\w*|post\w*|norm|bn)$/;

/** In the order of names, with numbers in them as numbers. */
function comparePaths(a: string, b: string): number {
  const [x, y] = [a, b].map((path) => path.split("."));
  const place = (part: string | undefined) =>
    part === undefined ? 0 : FIRST.test(part) ? -1 : LAST.test(part) ? 1 : 0;
  const difference = place(x[0]) - place(y[0]);
  if (difference !== 0) return difference;
  return new Intl.Collator("en", { numeric: true }).compare(a, b);
}

function namingOf(
  layers: readonly Layer[],
  prefix: string,
  channelsLast: boolean,
  suffixes: ReadonlySet<string>,
): string {
  const has = (pattern: RegExp) => layers.some(({ path }) => pattern.test(path));
  const style = suffixes.has("gamma") || suffixes.has("moving_mean")
    ? "Keras's or TensorFlow's names"
    : has(/residual_function/)
    ? "weiaicunzai's names"
    : has(/\bdownsample\b/) || (has(/^layer1\.0\.conv1$/) && has(/^fc$/))
    ? "torchvision's or timm's names"
    : has(/^layer1\.0\.conv1$/) && has(/^linear$/)
    ? "the names of akamaster, kuangliu and this project"
    : "names of their own";
  return [
    style,
    ...(prefix ? [`all behind "${prefix}"`] : []),
    channelsLast ? "kernels as [H, W, I, O]" : "kernels as [O, I, H, W]",
  ].join(", ");
}
