/**
 * One net under the names that others give its layers: those of published code,
 * and generated ones without end.
 */
import type { Tensor, Weights } from "../../resnet/mod.ts";

/** A layer by its place in a residual net of the paper. */
export interface Place {
  /** What it is. */
  readonly kind: "convolution" | "norm" | "dense";
  /** Where it stands. */
  readonly part: "stem" | "block" | "shortcut" | "head";
  /** From 0; of a block's layers. */
  readonly stage: number;
  /** From 0, in its stage. */
  readonly block: number;
  /** From 0, over all stages. */
  readonly nth: number;
  /** From 0, the first or second layer of its kind in the block. */
  readonly index: number;
  /** From 0, among all layers of its kind, in the order in which they are made. */
  readonly count: number;
}

/** One way to name, order and lay out arrays. */
export interface Naming {
  /** For people. */
  readonly name: string;
  /** The path of a layer. */
  readonly path: (place: Place) => string;
  /** What stands between a path and the array's own word; `.` by default. */
  readonly separator?: string;
  /** Words for weight, bias, running_mean, running_var, num_batches_tracked, where others. */
  readonly words?: (kind: Place["kind"], array: string) => string;
  /** What stands before every name. */
  readonly prefix?: string;
  /** The order of the arrays; that of PyTorch, in which they are made, by default. */
  readonly order?: "made" | "alphabet" | "reversed alphabet" | "reversed" | "by kind";
  /** Kernels as [H, W, I, O] and [I, O], as TensorFlow and JAX have them. */
  readonly channelsLast?: boolean;
}

/**
 * Arrays under other names.
 *
 * @param weights By our names, of a residual net with blocks of two layers.
 * @param naming The names and the order.
 */
export function named(weights: Weights, naming: Naming): Map<string, Tensor> {
  const { path, separator = ".", words, prefix = "", order = "made", channelsLast } = naming;
  const places = placesOf(weights);
  const renamed = [...weights].map(([name, tensor]) => {
    const [, layer, array] = /^(.*)\.([^.]*)$/.exec(name)!;
    const place = places.get(layer)!;
    const word = words?.(place.kind, array) ?? array;
    const laid = channelsLast && tensor.shape.length > 1 ? lastFirst(tensor) : tensor;
    return { name: `${prefix}${path(place)}${separator}${word}`, tensor: laid, place };
  });
  const kinds: readonly Place["kind"][] = ["convolution", "norm", "dense"];
  const compare = (a: string, b: string) => a < b ? -1 : a > b ? 1 : 0;
  switch (order) {
    case "made":
      break;
    case "alphabet":
      renamed.sort((a, b) => compare(a.name, b.name));
      break;
    case "reversed alphabet":
      renamed.sort((a, b) => compare(b.name, a.name));
      break;
    case "reversed":
      renamed.reverse();
      break;
    case "by kind":
      renamed.sort((a, b) => kinds.indexOf(a.place.kind) - kinds.indexOf(b.place.kind));
  }
  return new Map(renamed.map(({ name, tensor }) => [name, tensor]));
}

function placesOf(weights: Weights): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  const counts = { convolution: 0, norm: 0, dense: 0 };
  const blocks: string[] = [];
  for (const name of weights.keys()) {
    const layer = name.slice(0, name.lastIndexOf("."));
    if (places.has(layer)) continue;
    const [, stage, block, own] = /^layer(\d+)\.(\d+)\.(.*)$/.exec(layer) ?? [];
    const kind = layer === "linear"
      ? "dense"
      : /conv\d$|shortcut\.0$/.test(layer)
      ? "convolution"
      : "norm";
    if (stage && !blocks.includes(`${stage}.${block}`)) blocks.push(`${stage}.${block}`);
    places.set(layer, {
      kind,
      part: kind === "dense" ? "head" : !stage ? "stem" : own[0] === "s" ? "shortcut" : "block",
      stage: stage ? Number(stage) - 1 : 0,
      block: block ? Number(block) : 0,
      nth: blocks.length - 1,
      index: own && own[0] !== "s" ? Number(own.at(-1)) - 1 : 0,
      count: counts[kind]++,
    });
  }
  return places;
}

/** [O, I, H, W] as [H, W, I, O]; [O, I] as [I, O]. */
function lastFirst({ shape, data }: Tensor): Tensor {
  const [outputs, inputs, height = 1, width = 1] = shape;
  const moved = new Float32Array(data.length);
  let at = 0;
  for (let pixel = 0; pixel < height * width; pixel++) {
    for (let input = 0; input < inputs; input++) {
      for (let output = 0; output < outputs; output++) {
        moved[at++] = data[(output * inputs + input) * height * width + pixel];
      }
    }
  }
  const window = shape.length === 4 ? [height, width] : [];
  return { shape: [...window, inputs, outputs], data: moved };
}

const numbered = (word: string, count: number) => count === 0 ? word : `${word}_${count}`;
const KERAS = (kind: Place["kind"], array: string) =>
  kind === "norm"
    ? {
      weight: "gamma:0",
      bias: "beta:0",
      running_mean: "moving_mean:0",
      running_var: "moving_variance:0",
    }[array] ?? array
    : { weight: "kernel:0", bias: "bias:0" }[array] ?? array;
const FLAX = (kind: Place["kind"], array: string) =>
  kind === "norm"
    ? { weight: "scale", bias: "bias", running_mean: "mean", running_var: "var" }[array] ?? array
    : { weight: "kernel", bias: "bias" }[array] ?? array;

/** Names in the form of torchvision's, with words for the parts. */
const like = (
  { stem = ["conv1", "bn1"], shortcut = "downsample", head = "fc" }: {
    readonly stem?: readonly [string, string];
    readonly shortcut?: string;
    readonly head?: string;
  } = {},
) =>
({ kind, part, stage, block, index }: Place): string => {
  const at = kind === "norm" ? 1 : 0;
  if (part === "head") return head;
  if (part === "stem") return stem[at];
  const own = part === "shortcut" ? `${shortcut}.${at}` : `${["conv", "bn"][at]}${index + 1}`;
  return `layer${stage + 1}.${block}.${own}`;
};

/** Names of public code and libraries. */
export const PUBLISHED_NAMINGS: readonly Naming[] = [
  { name: "akamaster", path: like({ shortcut: "shortcut", head: "linear" }), prefix: "module." },
  { name: "kuangliu", path: like({ shortcut: "shortcut", head: "linear" }) },
  { name: "torchvision", path: like() },
  { name: "timm", path: like() },
  { name: "chenyaofo", path: like() },
  { name: "bearpaw", path: like(), prefix: "module." },
  { name: "huyvnphan", path: like(), prefix: "model." },
  { name: "compiled", path: like(), prefix: "_orig_mod." },
  { name: "averaged", path: like(), prefix: "ema.module." },
  {
    name: "weiaicunzai",
    path: ({ kind, part, stage, block, index }) => {
      const at = kind === "norm" ? 1 : 0;
      if (part === "head") return "fc";
      if (part === "stem") return `conv1.${at}`;
      const own = part === "shortcut" ? `shortcut.${at}` : `residual_function.${3 * index + at}`;
      return `conv${stage + 2}_x.${block}.${own}`;
    },
  },
  {
    name: "transformers",
    path: ({ kind, part, stage, block, index }) => {
      const own = kind === "norm" ? "normalization" : "convolution";
      if (part === "head") return "classifier.1";
      if (part === "stem") return `resnet.embedder.embedder.${own}`;
      const layer = part === "shortcut" ? "shortcut" : `layer.${index}`;
      return `resnet.encoder.stages.${stage}.layers.${block}.${layer}.${own}`;
    },
  },
  {
    name: "open_lth",
    path: ({ kind, part, nth, index }) => {
      const at = kind === "norm" ? 1 : 0;
      if (part === "head") return "fc";
      if (part === "stem") return ["conv", "bn"][at];
      return `blocks.${nth}.${
        part === "shortcut" ? `shortcut.${at}` : `${["conv", "bn"][at]}${index + 1}`
      }`;
    },
  },
  {
    name: "Flax",
    path: ({ kind, part, nth, index }) => {
      const collection = "params";
      const own = kind === "norm" ? "BatchNorm" : "Conv";
      if (part === "head") return `${collection}/Dense_0`;
      if (part === "stem") return `${collection}/${own}_0`;
      return `${collection}/ResNetBlock_${nth}/${own}_${part === "shortcut" ? 2 : index}`;
    },
    separator: "/",
    words: FLAX,
    order: "alphabet",
    channelsLast: true,
  },
  {
    name: "Keras",
    path: ({ kind, count }) =>
      kind === "dense"
        ? "dense/dense"
        : kind === "norm"
        ? numbered("batch_normalization", count)
        : numbered("conv2d", count),
    separator: "/",
    words: KERAS,
    order: "alphabet",
    channelsLast: true,
  },
  {
    name: "blocks by their width",
    path: ({ kind, part, stage, block, index }) => {
      const at = kind === "norm" ? 1 : 0;
      if (part === "head") return "output";
      if (part === "stem") return ["conv1", "bn1"][at];
      const width = [16, 32, 64][stage];
      const parent = block === 0 && stage > 0
        ? `single_conv${width}block`
        : `conv${width}blocks.${stage > 0 ? block - 1 : block}`;
      return `${parent}.${
        part === "shortcut" ? `skip.${at}` : `${["conv", "bn"][at]}${index + 1}`
      }`;
    },
  },
  {
    name: "numbers of a Sequential",
    path: ({ kind, part, nth, index }) => {
      const at = kind === "norm" ? 1 : 0;
      if (part === "head") return "99";
      if (part === "stem") return `${at}`;
      return part === "shortcut"
        ? `${nth + 3}.shortcut.${at}`
        : `${nth + 3}.left.${3 * index + at}`;
    },
  },
  {
    name: "stages as words",
    path: ({ kind, part, stage, block, index }) => {
      const at = kind === "norm" ? 1 : 0;
      if (part === "head") return "classifier";
      if (part === "stem") return ["stem.conv", "stem.norm"][at];
      const own = part === "shortcut"
        ? ["proj", "proj_norm"][at]
        : `${["conv", "norm"][at]}${index}`;
      return `${["low", "mid", "high"][stage]}.${block}.${own}`;
    },
  },
  ...["residual", "res", "residual_branch.res", "skip_branch"].map((branch): Naming => ({
    name: `a branch called ${branch}`,
    path: (place) => {
      const { kind, part, stage, block, index } = place;
      return part === "block"
        ? `layer${stage + 1}.${block}.${branch}.${3 * index + (kind === "norm" ? 1 : 0)}`
        : like()(place);
    },
  })),
  ...["downsample_stage", "residual_block", "identity_block", "stage_with_projections"].map((
    word,
  ): Naming => ({
    name: `stages called ${word}`,
    path: (place) => {
      const path = like({ shortcut: "shortcut" })(place);
      // The first has nothing to change.
      return place.stage > 0 ? path.replace(/^layer/, word) : path;
    },
  })),
];

/** Ways to write each part of a name; the first item of a pair is the convolution's word. */
const PARTS = {
  prefix: ["", "", "", "module.", "model.", "net.", "backbone.", "_orig_mod.module."],
  stem: [
    ...[["conv1", "bn1"], ["stem.conv", "stem.bn"], ["stem.0", "stem.1"], ["init_conv", "init_bn"]],
    ...[["conv_in", "norm_in"], ["first.conv", "first.norm"], ["features.0", "features.1"]],
    ...[["input_layer.0", "input_layer.1"], ["c0", "n0"], ["pre.0", "pre.1"]],
  ],
  stage: [
    ...["layer1 layer2 layer3", "stage0 stage1 stage2", "group1 group2 group3", "low mid high"],
    ...["conv2_x conv3_x conv4_x", "stages.0 stages.1 stages.2", "body.0 body.1 body.2"],
    ...["res16 res32 res64", "block_a block_b block_c", "first second third", "s1 s2 s3"],
    ...[
      "early middle late",
      "encoder.stage_1 encoder.stage_2 encoder.stage_3",
      "x y z",
      "l1 l2 l3",
    ],
  ].map((words) => words.split(" ")),
  block: [
    ...[".{0}", "_{0}", ".block{1}", "_block{1}", ".unit{0}", ".b{a}", ".{a}", ".layers.{0}"],
    ...["-{1}", ".res{02}"],
  ],
  layer: [
    ...[["conv{1}", "bn{1}"], ["conv{0}", "norm{0}"], ["body.{c}", "body.{n}"], ["c{1}", "b{1}"]],
    ...[["conv_{a}", "bn_{a}"], ["convolution{1}", "batchnorm{1}"], ["left.{c}", "left.{n}"]],
    ...[["conv{1}.conv", "conv{1}.bn"], ["{1}.conv2d", "{1}.batch_norm"]],
    ...[["cnn{1}", "cnn{1}_bn"], ["main.{c}", "main.{n}"], ["branch.{0}.0", "branch.{0}.1"]],
  ],
  shortcut: [
    ...[["shortcut.0", "shortcut.1"], ["downsample.0", "downsample.1"], ["skip.conv", "skip.bn"]],
    ...[["proj", "proj_bn"], ["identity.0", "identity.1"], ["adjust.0", "adjust.1"]],
  ],
  head: ["fc", "linear", "classifier", "head.fc", "output", "dense", "logits", "last", "final.0"],
  words: [
    undefined,
    undefined,
    FLAX,
    (kind: Place["kind"], array: string) =>
      kind === "norm"
        ? {
          weight: "gamma",
          bias: "beta",
          running_mean: "moving_mean",
          running_var: "moving_variance",
        }[array] ?? array
        : { weight: "kernel", bias: "bias" }[array] ?? array,
  ],
  joint: [".", ".", ".", "/", "_"],
  order: ["made", "made", "alphabet", "reversed alphabet", "reversed", "by kind"],
} as const;

/** Over the whole net, each kind by itself: flat names without blocks. */
const FLAT: readonly (readonly [string, string, string])[] = [
  ["conv{1}", "bn{1}", "fc"],
  ["conv2d_{0}", "batch_norm_{0}", "dense"],
  ["c{02}", "n{02}", "out"],
  ["layers.{c}", "layers.{n}", "layers.999"],
  ["convs.{0}", "bns.{0}", "linear"],
  ["conv_list.{0}", "norm_list.{0}", "classifier"],
  ["w{02}.conv", "w{02}.bn", "w99.fc"],
];

/**
 * A generated naming.
 *
 * @param pick A number from 0 to below its argument, anew each time.
 */
export function generatedNaming(pick: (count: number) => number): Naming {
  const one = <T>(list: readonly T[]): T => list[pick(list.length)];
  const order = one(PARTS.order);
  const words = one(PARTS.words);
  const prefix = one(PARTS.prefix);
  if (pick(5) === 0) {
    const [convolution, norm, head] = one(FLAT);
    return {
      ...{ name: `${prefix}${convolution}, ${norm}, ${head}; ${order}`, prefix, order, words },
      path: ({ kind, count }) =>
        kind === "dense" ? head : filled(kind === "norm" ? norm : convolution, count, kind),
    };
  }
  const [stem, stage, block, layer, shortcut, head] = [
    ...[one(PARTS.stem), one(PARTS.stage), one(PARTS.block), one(PARTS.layer)],
    ...[one(PARTS.shortcut), one(PARTS.head)],
  ] as const;
  const joint = one(PARTS.joint);
  const joined = (path: string) => path.replaceAll(".", joint);
  return {
    name: [
      `${prefix}${stem[0]}`,
      `${(stage as string[])[0]}${block}.${layer[0]}`,
      `${layer[1]}`,
      `${head}; joined by ${joint}; ${order}`,
    ].join(", "),
    ...{ prefix, order, words, separator: joint === "/" ? "/" : "." },
    path: (place) => {
      const { kind, part, index } = place;
      const at = kind === "norm" ? 1 : 0;
      if (part === "head") return joined(head as string);
      if (part === "stem") return joined(stem[at]);
      const own = part === "shortcut" ? shortcut[at] as string : filled(layer[at], index, kind);
      return joined(
        `${(stage as string[])[place.stage]}${filled(block as string, place.block, kind)}.${own}`,
      );
    },
  };
}

/** A pattern with a number in it, from 0 or from 1, as a letter, or among those of a Sequential. */
function filled(pattern: string, number: number, kind: Place["kind"]): string {
  return pattern
    .replace("{0}", String(number))
    .replace("{1}", String(number + 1))
    .replace("{02}", String(number).padStart(2, "0"))
    .replace("{a}", String.fromCharCode(97 + number))
    .replace(/\{[cn]\}/, String(3 * number + (kind === "norm" ? 1 : 0)));
}
