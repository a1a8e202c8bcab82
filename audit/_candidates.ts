/** Networks that a file's arrays admit: graphs for what names and shapes do not tell. */
import {
  buildGraph,
  type Graph,
  INPUT,
  type NodeSpec,
  parametersOf,
  type Tensor,
  type Weights,
} from "../resnet/mod.ts";
import { nameByPlace, widen } from "../weights/mod.ts";
import type { CauseId } from "./causes.ts";
import type { Defaults, Layer } from "./_layers.ts";
import type { Block, Net, Unit } from "./_structure.ts";

/** A network that a file's names and shapes admit. */
export interface Candidate {
  /** For people: the net, its shortcuts, and whether a ReLU follows the last layer. */
  readonly name: string;
  /** Under our names. */
  readonly graph: Graph;
  /** The graph's arrays in its names, order and layouts, as far as the file has them. */
  readonly weights: Weights;
  /** What names and shapes do not tell and this candidate takes for granted. */
  readonly assumptions: readonly string[];
  /** In what it leaves the paper, where weights cannot show it: it is tried on images alone. */
  readonly departs?: CauseId;
  /**
   * What computes it, where other than `graph` and `weights`: TensorFlow's padding of windows with
   * a stride, which is on one side alone, as larger kernels with zeros, and batch norm's constant.
   */
  readonly run?: {
    readonly graph: Graph;
    readonly weights: Weights;
    readonly epsilon?: number;
  };
}

const IMAGE = 32;

/** Shortcuts without weights, where the width changes. */
type Shortcuts = "append" | "split" | "identity" | "none" | "average" | "max" | "missing";

/** All that weights do not tell. */
interface Choice {
  readonly shortcuts: Shortcuts;
  readonly finalRelu: boolean;
  readonly departs?: CauseId;
  /** Where weights are laid out as another library's than PyTorch. */
  readonly way?: Way;
}

/** How layers compute whose arrays do not tell it. */
interface Way extends Defaults {
  /** Whether windows with a stride take zeros at their end alone. */
  readonly oneSided: boolean;
}

const SHORTCUT_NAMES: Readonly<Record<Shortcuts, string>> = {
  append: "option A with zero channels appended",
  split: "option A with zero channels on both sides",
  identity: "identity shortcuts",
  none: "no shortcuts",
  average: "average-pooled shortcuts",
  max: "max-pooled shortcuts",
  missing: "no shortcut where the shape changes",
};

/** What weights cannot show, and trials can. */
const VARIANTS: readonly (readonly [CauseId, string])[] = [
  ["relu-missing-after-addition", "no ReLU after the additions"],
  ["relu-before-addition", "ReLU before the additions"],
  ["batch-norm-after-addition", "batch norm behind the additions"],
  ["batch-norm-after-relu", "batch norm behind the ReLUs"],
  ["relu-missing-stem", "no ReLU after the first layer"],
  ["pooled-stem", "max pooling after the first layer"],
  ["stride-at-second", "stride at the second convolution"],
  ["shortcut-around-one", "shortcuts around single layers"],
  ["stem-padding", "first layer padded by 2"],
];

/**
 * The networks that a net's arrays admit by the paper's choices; the paper's own first.
 *
 * @param defaults How the library computes that lays kernels out so, which is then tried first.
 */
export function candidatesOf(net: Net, defaults?: Defaults): Candidate[] {
  const { residual } = shortcutsOf(net);
  const projected = net.blocks.some(({ projection }) => projection);
  const open = projected ? residual : [...residual, "none" as const];
  return waysOf(net, defaults).flatMap((way) =>
    [false, true].flatMap((finalRelu) =>
      open.map((shortcuts) => candidateOf(net, { shortcuts, finalRelu, way }))
    )
  );
}

function waysOf({ stem }: Net, defaults: Defaults | undefined): (Way | undefined)[] {
  // Keras's own large nets pad by layers before the windows, as PyTorch does.
  return defaults === undefined || isLarge(stem)
    ? [undefined]
    : [true, false].map((oneSided) => ({ ...defaults, oneSided }));
}

/** The networks that leave the paper in one thing which only trials on images can tell. */
export function variantsOf(net: Net, library?: Defaults): Candidate[] {
  if (net.preActivation) return [];
  const { residual, changes } = shortcutsOf(net);
  const [way] = waysOf(net, library);
  const ofShortcuts: Choice[] = changes && residual.length > 0
    ? [
      { shortcuts: "average", finalRelu: false, departs: "average-pooled-shortcut", way },
      { shortcuts: "max", finalRelu: false, departs: "max-pooled-shortcut", way },
      { shortcuts: "missing", finalRelu: false, departs: "shortcut-missing", way },
    ]
    : [];
  const others = VARIANTS.flatMap(([departs]) =>
    residual.map((shortcuts): Choice => ({ shortcuts, finalRelu: false, departs, way }))
  );
  return [...ofShortcuts, ...others].map((choice) => candidateOf(net, choice));
}

/** The shortcuts that a residual net may have, and whether some change the shape without weights. */
function shortcutsOf(
  { blocks }: Net,
): { readonly residual: Shortcuts[]; readonly changes: boolean } {
  const bare = blocks.filter((block) => block.inputs !== block.filters && !block.projection);
  // Fewer channels than before: no zeros can make up for that.
  const shrinks = bare.some((block) => block.filters < block.inputs);
  const changes = bare.length > 0;
  return { residual: shrinks ? [] : changes ? ["append", "split"] : ["identity"], changes };
}

function candidateOf(net: Net, choice: Choice): Candidate {
  const { shortcuts, finalRelu, departs, way } = choice;
  const build = (oneSided: boolean, withRelu: boolean) => {
    const built = new NetBuilder(choice, oneSided);
    const output = built.net(net);
    const specs = withRelu
      ? [...built.specs, { kind: "relu", name: "final-relu", input: output } as const]
      : built.specs;
    const graph = buildGraph("weights", [IMAGE, IMAGE, net.stem.inputs], specs);
    const weights = new Map(parametersOf(graph).map(({ name }) => [name, built.weights.get(name)]));
    const named = nameByPlace(graph, weights as Weights);
    return {
      graph: named.graph,
      weights: new Map([...named.weights].filter(([, tensor]) => tensor !== undefined)),
    };
  };
  const plain = build(false, false);
  const { graph, weights } = finalRelu ? build(false, true) : plain;
  const run = way && build(way.oneSided, finalRelu);
  const projections = net.blocks.filter(({ projection }) => projection);
  const bare = projections.some(({ projection }) => !projection?.batchNorm);
  const shortcutText = projections.length > 0
    ? `projections${bare ? " without batch norm" : ""}${
      shortcuts === "identity" ? "" : ` and ${SHORTCUT_NAMES[shortcuts]}`
    }`
    : SHORTCUT_NAMES[shortcuts];
  const variant = VARIANTS.find(([id]) => id === departs)?.[1];
  return {
    name: [
      plain.graph.name,
      shortcutText,
      ...(finalRelu ? ["ReLU after the last layer"] : []),
      ...(variant ? [variant] : []),
      ...(way ? [`padded as ${way.oneSided ? "TensorFlow" : "PyTorch"} pads`] : []),
    ].join(", "),
    graph,
    weights,
    ...(run
      ? {
        run: {
          ...{ ...run, graph: { ...run.graph, name: graph.name } },
          ...(way.epsilon === undefined ? {} : { epsilon: way.epsilon }),
        },
      }
      : {}),
    assumptions: assumptionsOf(net, choice),
    ...(departs ? { departs } : {}),
  };
}

function assumptionsOf(net: Net, { shortcuts, finalRelu, way }: Choice): string[] {
  const assumptions = [
    `images of ${IMAGE}x${IMAGE} pixels`,
    "stride 2 where a block's filters change, but for the first block",
    net.preActivation
      ? "ReLU behind each batch norm"
      : "ReLU behind each batch norm and after each addition, not before the batch norm",
    `${finalRelu ? "a" : "no"} ReLU after the last layer`,
    "global average pooling before the last layer",
  ];
  if (way) {
    assumptions.push(
      way.oneSided
        ? 'windows with a stride are padded at their end alone, TensorFlow\'s "same"'
        : "windows with a stride are padded on all sides, as PyTorch's are",
    );
  }
  if (way?.epsilon !== undefined) {
    assumptions.push(`batch norm adds ${way.epsilon} to the variance, as Keras's does`);
  }
  if (isLarge(net.stem)) {
    assumptions.push(
      "the first convolution has stride 2 and 3x3 max pooling of stride 2 behind it",
    );
  }
  if (net.blocks[0].layers.length === 3) {
    assumptions.push("a bottleneck's stride at its 3x3 layer, where the later literature has it");
  }
  if (!net.blocks.some(({ projection }) => projection)) {
    assumptions.push(SHORTCUT_NAMES[shortcuts]);
  }
  const units = [net.stem, ...net.blocks.flatMap(({ layers }) => layers)];
  if (units.some(({ batchNorm }) => batchNorm && Object.keys(batchNorm.statistics).length < 4)) {
    assumptions.push("arrays of batch norm that the file lacks: the net cannot be run");
  }
  return assumptions;
}

const known = new WeakMap<Tensor, Tensor>();

/** A kernel behind one more row and column of zeros; made once for all candidates. */
function widened(weight: Tensor): Tensor {
  const made = known.get(weight) ?? widen(weight, weight.shape[2] + 1, 1);
  known.set(weight, made);
  return made;
}

/** Whether a first layer is ImageNet's. */
const isLarge = (stem: Unit) => stem.kernel > 5;

/** Nodes and weights of a net, under names that only have to differ. */
class NetBuilder {
  readonly specs: NodeSpec[] = [];
  readonly weights = new Map<string, Tensor | undefined>();
  readonly #choice: Choice;
  /** Whether windows with a stride take zeros at their end alone. */
  readonly #oneSided: boolean;
  /** Height and width of what a block takes. */
  #extent = IMAGE;

  constructor(choice: Choice, oneSided: boolean) {
    this.#choice = choice;
    this.#oneSided = oneSided;
  }

  /** Returns the name of the last node. */
  net(net: Net): string {
    const { stem, blocks, dense, pixels, hidden } = net;
    const { departs } = this.#choice;
    const large = isLarge(stem);
    let x = this.#layer(stem, INPUT, large ? 2 : 1, {
      relu: !net.preActivation && departs !== "relu-missing-stem",
      padding: departs === "stem-padding" ? 2 : undefined,
    });
    if (departs === "stem-padding") this.#extent += 2;
    if (large || departs === "pooled-stem") {
      this.#extent = Math.ceil(this.#extent / 2);
      x = this.#node({ kind: "max-pool", input: x, kernel: 3, stride: 2, padding: 1 });
    }
    blocks.forEach((block, i) => {
      const stride = i > 0 && block.inputs !== block.filters ? 2 : 1;
      x = net.preActivation ? this.#preActivated(block, x, stride) : this.#block(block, x, stride);
      this.#extent = Math.ceil(this.#extent / stride);
    });
    if (net.lastBatchNorm) x = this.#relu(this.#batchNorm(net.lastBatchNorm, x));
    x = this.#node({ kind: "global-average-pool", input: x });
    const units = dense.weight!.shape[0];
    x = this.#node({ kind: "dense", input: x, units });
    // Of another head only the classes are told.
    const fits = pixels === 1 && hidden.length === 0;
    this.weights.set(`${x}.weight`, fits ? dense.weight : undefined);
    this.weights.set(
      `${x}.bias`,
      dense.bias ?? { shape: [units], data: new Float32Array(units) },
    );
    return x;
  }

  #block({ layers, projection, filters, inputs }: Block, input: string, stride: number): string {
    const { departs, shortcuts } = this.#choice;
    const first = layers.findIndex(({ kernel }) => kernel > 1);
    const strided = departs === "stride-at-second" && layers.length === 2 ? 1 : first;
    const last = layers.length - 1;
    let x = input;
    layers.forEach((layer, i) => {
      const isLast = i === last;
      x = this.#layer(layer, x, i === strided ? stride : 1, {
        relu: isLast ? departs === "relu-before-addition" : true,
        withoutNorm: isLast && departs === "batch-norm-after-addition",
      });
      if (departs === "shortcut-around-one" && layer.inputs === layer.filters && !isLast) {
        x = this.#node({ kind: "add", inputs: [x, input] });
      }
    });
    if (shortcuts === "none") return this.#relu(x);
    const changes = inputs !== filters;
    let sum = x;
    if (!(changes && shortcuts === "missing")) {
      const way = projection
        ? this.#layer(projection, input, stride, { relu: false })
        : changes
        ? this.#shortcut(input, inputs, filters, stride)
        : input;
      sum = this.#node({ kind: "add", inputs: [x, way] });
    }
    const { batchNorm } = layers[last];
    if (departs === "batch-norm-after-addition" && batchNorm) sum = this.#batchNorm(batchNorm, sum);
    return departs === "relu-missing-after-addition" || departs === "relu-before-addition"
      ? sum
      : this.#relu(sum);
  }

  /** The shortcut to more channels and fewer pixels. */
  #shortcut(input: string, inputs: number, filters: number, stride: number): string {
    const { shortcuts } = this.#choice;
    if (shortcuts === "max") {
      const pooled = this.#node({ kind: "max-pool", input, kernel: 2, stride, padding: 0 });
      return this.#node({
        ...{ kind: "shortcut-a", input: pooled, filters, stride: 1, zeroChannels: "append" },
      });
    }
    if (shortcuts === "average") {
      // The mean of four pixels as a convolution: the taps of a 3x3 kernel that begin at the pixel.
      const data = new Float32Array(filters * inputs * 9);
      for (let channel = 0; channel < inputs; channel++) {
        for (const tap of [4, 5, 7, 8]) data[(channel * inputs + channel) * 9 + tap] = 0.25;
      }
      const name = this.#node({
        ...{ kind: "convolution", input, filters, kernel: 3, stride, padding: 1, bias: false },
      });
      this.weights.set(`${name}.weight`, { shape: [filters, inputs, 3, 3], data });
      return name;
    }
    const zeroChannels = shortcuts === "split" ? "split" : "append";
    return this.#node({ kind: "shortcut-a", input, filters, stride, zeroChannels });
  }

  #preActivated({ layers, projection, filters, inputs }: Block, input: string, stride: number) {
    const { shortcuts } = this.#choice;
    const strided = layers.findIndex(({ kernel }) => kernel > 1);
    let x = input;
    layers.forEach((layer, i) => {
      if (layer.batchNorm) x = this.#batchNorm(layer.batchNorm, x);
      x = this.#convolution(layer, this.#relu(x), i === strided ? stride : 1);
    });
    if (shortcuts === "none") return x;
    const way = projection
      ? this.#layer(projection, input, stride, { relu: false })
      : filters !== inputs
      ? this.#shortcut(input, inputs, filters, stride)
      : input;
    return this.#node({ kind: "add", inputs: [x, way] });
  }

  /** A convolution, its batch norm and its ReLU. */
  #layer(
    unit: Unit,
    input: string,
    stride: number,
    { relu, withoutNorm, padding }: {
      readonly relu: boolean;
      readonly withoutNorm?: boolean;
      readonly padding?: number;
    },
  ): string {
    let x = this.#convolution(unit, input, stride, padding);
    const norm = withoutNorm ? undefined : unit.batchNorm;
    const late = this.#choice.departs === "batch-norm-after-relu";
    if (late && relu) x = this.#relu(x);
    if (norm) x = this.#batchNorm(norm, x);
    return relu && !late ? this.#relu(x) : x;
  }

  #convolution(unit: Unit, input: string, stride: number, padding?: number): string {
    const { filters, kernel, weight, bias, groups } = unit;
    // Of an even extent a window takes k - 2 zeros, the larger half behind; of an odd one k - 1.
    const wider = this.#oneSided && stride > 1 && kernel > 1 && this.#extent % 2 === 0;
    const name = this.#node({
      kind: "convolution",
      input,
      filters,
      kernel: wider ? kernel + 1 : kernel,
      stride,
      padding: padding ?? (kernel - 1) / 2,
      bias: bias !== undefined,
    });
    // The graph has no groups: such a net is judged and not run.
    this.weights.set(
      `${name}.weight`,
      groups > 1 ? undefined : wider ? widened(weight) : weight,
    );
    this.weights.set(`${name}.bias`, bias);
    return name;
  }

  #batchNorm({ statistics }: Layer, input: string): string {
    const name = this.#node({ kind: "batch-norm", input });
    for (const [suffix, tensor] of Object.entries(statistics)) {
      this.weights.set(`${name}.${suffix}`, tensor);
    }
    return name;
  }

  #relu(input: string): string {
    return this.#node({ kind: "relu", input });
  }

  #node(
    spec: NodeSpec extends infer S ? S extends NodeSpec ? Omit<S, "name"> : never : never,
  ): string {
    const name = `${spec.kind}-${this.specs.length}`;
    this.specs.push({ ...spec, name } as NodeSpec);
    return name;
  }
}
