/** From the arrays of a file to layers, whatever the library and its naming. */
import { permuteAxes } from "../weights/mod.ts";
import type { Tensor, Weights } from "../resnet/mod.ts";

/** Arrays that one layer owns, in our layouts. */
export interface Layer {
  /** The part of the names that the arrays share. */
  readonly path: string;
  /** Told by the number of axes of its arrays. */
  readonly kind: "convolution" | "batch-norm" | "dense";
  /** The place of its first array in the file. */
  readonly place: number;
  /** [O, I, H, W] or [O, I]. */
  readonly weight?: Tensor;
  /** Of a convolution or a dense layer. */
  readonly bias?: Tensor;
  /** Batch norm's, as far as they are there. */
  readonly statistics: Readonly<Partial<Record<Statistic, Tensor>>>;
  /** How often batch norm's statistics were updated, where the file counts it. */
  readonly updates?: number;
}

/** Batch norm's four arrays, by PyTorch's names. */
export type Statistic = "weight" | "bias" | "running_mean" | "running_var";

/** What was made of a file's arrays. */
export interface Layers {
  /** In the file's order. */
  readonly layers: readonly Layer[];
  /** How names and layouts are written, for people. */
  readonly naming: string;
  /** Names of arrays that belong to no layer. */
  readonly ignored: readonly string[];
  /** What was computed to get at the weights, such as a mask that was applied. */
  readonly notes: readonly string[];
  /** How libraries compute that keep kernels as these are; where it is not as PyTorch does. */
  readonly defaults?: Defaults;
}

/** TensorFlow's padding, and batch norm's constant where it is not PyTorch's. */
export interface Defaults {
  readonly epsilon?: number;
}

/** Batch norm's constant in Keras. */
const KERAS_EPSILON = 1e-3;

type Role =
  | "kernel"
  | "length"
  | "bias"
  | "scale"
  | "shift"
  | "mean"
  | "variance"
  | "updates"
  | "mask";

/** The last words of a name, in every library's; those of several words first. */
const ROLES: readonly (readonly [RegExp, Role])[] = [
  [/num_batches_tracked/, "updates"],
  [/(running|moving|batch|population|ema)_?(mean|avg|average)/, "mean"],
  [/(running|moving|batch|population|ema)_?(variance|var|sigma2)/, "variance"],
  [/weight_?mask/, "mask"],
  // Weight normalisation: each filter's length, and its direction.
  [/parametrizations[./]weight[./]original0|weight_g/, "length"],
  [/parametrizations[./]weight[./]original1|weight_v/, "kernel"],
  [/weight_?orig|parametrizations[./]weight[./]original|weights?|kernels?|filters?|w/, "kernel"],
  [/bias_?orig|biases|bias|b/, "bias"],
  [/gamma|scale|gain/, "scale"],
  [/beta|shift|offset/, "shift"],
  [/mean|mu/, "mean"],
  [/variance|var/, "variance"],
];
/** A role at the end of a name, behind a separator or a small letter before a large one. */
const ENDINGS = ROLES.map(([words, role]) =>
  [
    new RegExp(`^(?:(.*?)[./_:|-])?(?:${words.source})$`, "i"),
    new RegExp(
      `^(.*[a-z0-9])(?:${
        words.source.replace(/[a-z]+/g, (word) => word[0].toUpperCase() + word.slice(1))
      })$`,
    ),
    role,
  ] as const
);

/** Extents that a window has; channels are rarely so few. */
const WINDOWS = [1, 3, 5, 7, 9, 11];

interface Group {
  readonly path: string;
  readonly place: number;
  readonly arrays: Partial<Record<Role, Tensor>>;
}

/** Groups arrays by layer and brings them into our layouts. */
export function readLayers(tensors: Weights): Layers {
  const groups = new Map<string, Group>();
  const ignored: string[] = [];
  const suffixes = new Set<string>();
  const prefix = commonPrefix([...tensors.keys()]);
  let place = 0;
  for (const [name, tensor] of tensors) {
    place++;
    const found = roleOf(name.slice(prefix.length), tensor);
    if (!found) {
      ignored.push(name);
      continue;
    }
    suffixes.add(found.ending);
    const path = pathOf(found.path);
    let key = path;
    while (groups.get(key)?.arrays[found.role]) key += "'";
    const group = groups.get(key) ?? { path, place, arrays: {} };
    groups.set(key, group);
    group.arrays[found.role] = tensor;
  }
  const layouts = layoutOf(
    [...groups.values()].flatMap(({ arrays: { kernel } }) =>
      kernel?.shape.length === 4 ? [kernel.shape] : []
    ),
  );
  const notes: string[] = [];
  const layers = [...groups.values()].flatMap((group) => {
    const found = layersOf(masked(lengthened(group, notes), notes), layouts);
    if (found.length === 0) {
      ignored.push(...Object.keys(group.arrays).map((role) => `${prefix}${group.path} (${role})`));
    }
    return found;
  });
  return {
    layers,
    naming: namingOf(layers, prefix, layouts, suffixes),
    ignored,
    notes: [...new Set(notes)],
    ...(layouts === "OIHW" ? {} : {
      defaults: [...suffixes].some((suffix) => /^moving_/i.test(suffix))
        ? { epsilon: KERAS_EPSILON }
        : {},
    }),
  };
}

/** What an array is to its layer, by its name's end; undefined where that says nothing. */
function roleOf(
  name: string,
  { shape }: Tensor,
): { readonly path: string; readonly role: Role; readonly ending: string } | undefined {
  // A file may hold an array without elements; a layer has none.
  if (shape.includes(0)) return undefined;
  // Keras ends names with the number of the output.
  const bare = name.replace(/:\d+$/, "");
  for (const [separated, joined, role] of ENDINGS) {
    const match = separated.exec(bare) ?? joined.exec(bare);
    if (!match) continue;
    const rank = shape.length;
    const fits = role === "updates"
      ? rank === 0
      : role === "kernel" || role === "mask" || role === "length"
      ? rank > 0
      : rank === 1;
    if (!fits) continue;
    const path = match[1] ?? "";
    return { path, role, ending: bare.slice(path.length).replace(/^[./_:|-]/, "") };
  }
  // Kernels are told by their axes, whatever they are called.
  const rank = shape.length;
  return rank === 4 || rank === 2 ? { path: bare, role: "kernel", ending: "" } : undefined;
}

/** Flax keeps statistics apart from parameters, under the same path. */
const COLLECTION = /^(params|batch_stats|state|variables)[./](?=.)/;

/** A layer's path with dots, each part once: Keras repeats them, conv2d/conv2d/kernel:0. */
function pathOf(path: string): string {
  const parts = path.replace(COLLECTION, "").split(/[./]/);
  return parts.filter((part, i) => part !== parts[i - 1] || /^\d+$/.test(part)).join(".");
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

/** The order of a kernel's axes. */
type Layout = "OIHW" | "HWIO" | "OHWI";

const LAYOUTS: Readonly<
  Record<Layout, readonly [window: readonly [number, number], permutation: readonly number[]]>
> = {
  OIHW: [[2, 3], [0, 1, 2, 3]],
  HWIO: [[0, 1], [3, 2, 0, 1]],
  OHWI: [[1, 2], [0, 3, 1, 2]],
};

/** The layout in which most kernels have a window. */
function layoutOf(kernels: readonly (readonly number[])[]): Layout {
  const votes = ([height, width]: readonly [number, number]) =>
    kernels.filter((shape) => shape[height] === shape[width] && WINDOWS.includes(shape[height]))
      .length;
  return (Object.keys(LAYOUTS) as Layout[])
    .reduce((best, layout) => votes(LAYOUTS[layout][0]) > votes(LAYOUTS[best][0]) ? layout : best);
}

/** Gives the filters of a layer under weight normalisation their lengths. */
function lengthened(group: Group, notes: string[]): Group {
  const { kernel, length, ...rest } = group.arrays;
  if (!kernel || !length || length.data.length !== kernel.shape[0]) return group;
  notes.push("layers are under weight normalisation, which was applied to their weights");
  const size = kernel.data.length / kernel.shape[0];
  const norms = length.data.map((_, filter) =>
    Math.sqrt(
      kernel.data.subarray(filter * size, (filter + 1) * size).reduce((sum, w) => sum + w * w, 0),
    )
  );
  const data = kernel.data.map((value, i) => {
    const filter = Math.floor(i / size);
    return value * length.data[filter] / norms[filter];
  });
  return { ...group, arrays: { ...rest, kernel: { shape: kernel.shape, data } } };
}

/** Applies the mask of a pruned layer. */
function masked(group: Group, notes: string[]): Group {
  const { kernel, mask, ...rest } = group.arrays;
  if (!kernel || !mask || mask.shape.join() !== kernel.shape.join()) return group;
  notes.push("layers are pruned by masks, which were applied to their weights");
  const data = kernel.data.map((value, i) => value * mask.data[i]);
  return { ...group, arrays: { ...rest, kernel: { shape: kernel.shape, data } } };
}

function layersOf({ path, place, arrays }: Group, layout: Layout): Layer[] {
  const { kernel, mean, variance, updates } = arrays;
  const rank = kernel?.shape.length;
  const layers: Layer[] = [];
  let { bias, scale, shift } = arrays;
  if (kernel && rank === 4) {
    const weight = layout === "OIHW" ? kernel : permuteAxes(kernel, LAYOUTS[layout][1]);
    layers.push({ path, place, kind: "convolution", weight, bias, statistics: {} });
    bias = undefined;
  } else if (kernel && rank === 2) {
    // A bias tells outputs from inputs; without one the layout of the kernels does.
    const [rows, columns] = kernel.shape;
    const transposed = bias && rows !== columns
      ? bias.shape[0] === columns && bias.shape[0] !== rows
      : layout === "HWIO";
    const weight = transposed ? permuteAxes(kernel, [1, 0]) : kernel;
    layers.push({ path, place, kind: "dense", weight, bias, statistics: {} });
    bias = undefined;
  } else if (rank === 1) scale ??= kernel;
  else if (rank !== undefined) return [];
  shift ??= bias;
  const statistics = { weight: scale, bias: shift, running_mean: mean, running_var: variance };
  const known = Object.entries(statistics).filter(([, tensor]) => tensor?.shape.length === 1);
  if (known.length >= 2) {
    layers.push({
      ...{ path, place, kind: "batch-norm", statistics: Object.fromEntries(known) },
      ...(updates ? { updates: updates.data[0] } : {}),
    });
  }
  return layers;
}

function namingOf(
  layers: readonly Layer[],
  prefix: string,
  layout: Layout,
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
    `kernels as [${[...layout].join(", ")}]`,
  ].join(", ");
}
