/**
 * What network a file of weights belongs to, from the names and shapes of its
 * arrays alone. These tell the kernels, widths, projections, batch norm and
 * biases; strides, activations and shortcuts without weights they do not tell,
 * so a file admits several candidates, and what was assumed is said.
 */
import {
  buildGraph,
  type Graph,
  INPUT,
  type NodeSpec,
  parametersOf,
  sizeOf,
  type Tensor,
  type Weights,
  type ZeroChannels,
} from "../resnet/mod.ts";
import { nameByPlace } from "../weights/mod.ts";
import { type Layer, readLayers, type Statistic } from "./_layers.ts";
import { type Block, isOnShortcut, type Net, readNet } from "./_structure.ts";

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
}

/** Convolutions of one size. */
export interface KernelCount {
  /** Height and width of the window. */
  readonly kernel: number;
  /** Channels in. */
  readonly inputs: number;
  /** Channels out. */
  readonly filters: number;
  /** How many there are. */
  readonly count: number;
}

/** Consecutive blocks of one width. */
export interface Stage {
  /** Channels out of each block. */
  readonly filters: number;
  /** Blocks in the stage. */
  readonly blocks: number;
  /** Convolutions in the blocks, without projections. */
  readonly layers: number;
}

/** What the arrays are, counted. */
export interface Census {
  /** Trainable parameters; running statistics and what was ignored never count. */
  readonly parameters: number;
  /** Convolutions by size, the first first. */
  readonly kernels: readonly KernelCount[];
  /** All convolutions, projections too. */
  readonly convolutions: number;
  /** 1x1 convolutions on shortcuts. */
  readonly projections: number;
  /** Batch norms. */
  readonly batchNorms: number;
  /** Convolutions with a bias. */
  readonly biases: number;
  /** Weighted layers on the longest way: without projections. */
  readonly depth: number;
  /** The first convolution. */
  readonly stem?: { readonly kernel: number; readonly filters: number };
  /** Empty where the arrays form no blocks. */
  readonly stages: readonly Stage[];
  /** Outputs of the last dense layer. */
  readonly classes?: number;
}

/** What is observable and not the paper's. */
export type WeightFindingId =
  /** The first convolution is no 3x3 convolution with 16 filters. */
  | "stem-7x7"
  | "stem-kernel"
  | "stem-filters"
  | "image-channels"
  /** Three stages of equally many blocks with 16, 32 and 64 filters; depth 6n+2. */
  | "stages"
  | "widths"
  | "blocks-per-stage"
  | "depth"
  | "bottleneck"
  | "kernel-size"
  /** Shortcuts have weights. */
  | "projection"
  | "projection-without-batch-norm"
  /** Batch norm behind every convolution, and no bias there. */
  | "batch-norm-missing"
  | "batch-norm-incomplete"
  | "pre-activation"
  | "convolution-bias"
  /** The last layer. */
  | "classes"
  | "head-missing"
  /** The arrays are no residual net that could be put together. */
  | "unknown-structure";

/** A departure from the paper that names and shapes show. */
export interface WeightFinding {
  /** Which of the known kinds. */
  readonly id: WeightFindingId;
  /** The names and numbers on which it rests, as one sentence for people. */
  readonly evidence: string;
}

/** What a file's names and shapes tell. */
export interface Identification {
  /** Every network that they admit; the paper's first. Empty where none could be built. */
  readonly candidates: readonly Candidate[];
  /** Whose names the file uses, and in which layout its kernels are. */
  readonly naming: string;
  /** The arrays, counted. */
  readonly census: Census;
  /** What is not the paper's; nothing that is not observable. */
  readonly findings: readonly WeightFinding[];
  /** Names of arrays that belong to no layer, such as counters of batches. */
  readonly ignored: readonly string[];
}

/** Section 4.2. */
const PAPER = { kernel: 3, widths: [16, 32, 64], classes: 10, channels: 3 } as const;
const IMAGE = 32;

/**
 * Infers which networks a file's arrays can belong to.
 *
 * @param tensors Arrays under the file's own names, as `decodeWeights` gives them.
 * @returns Candidates whose weights are in our names and layouts, and what was
 *   seen; never an error, since what is unknown is a finding too.
 *
 * @example Names and shapes of ResNet-20 admit a plain net as well.
 * ```ts
 * import { architecture, initialise } from "../resnet/mod.ts";
 * import { identify } from "./identify.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { candidates, census } = identify(initialise(architecture("resnet20"), 1, "in"));
 * assertEquals(census.depth, 20);
 * assertEquals(candidates.map(({ graph }) => graph.name).slice(0, 3), ["resnet20", "resnet20", "plain20"]);
 * ```
 */
export function identify(tensors: Weights): Identification {
  const { layers, naming, ignored } = readLayers(tensors);
  const net = readNet(layers);
  const census = takeCensus(layers, net);
  const findings = findingsOf(net, census);
  const known = "problem" in net ? [] : candidatesOf(net);
  return { candidates: known, naming, census, findings, ignored };
}

function takeCensus(layers: readonly Layer[], net: ReturnType<typeof readNet>): Census {
  const convolutions = layers.filter(({ kind }) => kind === "convolution");
  const kernels = new Map<string, KernelCount>();
  for (const { weight } of convolutions) {
    const [filters, inputs, kernel] = weight!.shape;
    const key = `${kernel},${inputs},${filters}`;
    kernels.set(key, { kernel, inputs, filters, count: (kernels.get(key)?.count ?? 0) + 1 });
  }
  const dense = layers.filter(({ kind }) => kind === "dense");
  const projections = "problem" in net
    ? convolutions.filter(({ path }) => isOnShortcut(path)).length
    : net.blocks.filter(({ projection }) => projection).length;
  const first = convolutions[0]?.weight;
  return {
    parameters: layers.reduce((sum, layer) => sum + trainableOf(layer), 0),
    kernels: [...kernels.values()],
    convolutions: convolutions.length,
    projections,
    batchNorms: layers.filter(({ kind }) => kind === "batch-norm").length,
    biases: convolutions.filter(({ bias }) => bias).length,
    depth: convolutions.length - projections + dense.length,
    stem: first && { kernel: first.shape[2], filters: first.shape[0] },
    stages: "problem" in net ? [] : stagesOf(net),
    classes: dense.at(-1)?.weight?.shape[0],
  };
}

function trainableOf({ weight, bias, statistics }: Layer): number {
  return [weight, bias, statistics.weight, statistics.bias]
    .reduce((sum, tensor) => sum + (tensor ? sizeOf(tensor.shape) : 0), 0);
}

function stagesOf({ blocks }: Net): Stage[] {
  const stages: Stage[] = [];
  for (const { filters, layers } of blocks) {
    const last = stages.at(-1);
    const before = last?.filters === filters ? stages.pop()! : { filters, blocks: 0, layers: 0 };
    stages.push({
      filters,
      blocks: before.blocks + 1,
      layers: before.layers + layers.length,
    });
  }
  return stages;
}

function findingsOf(net: ReturnType<typeof readNet>, census: Census): WeightFinding[] {
  const findings: WeightFinding[] = [];
  const find = (wrong: boolean, id: WeightFindingId, evidence: string) => {
    if (wrong) findings.push({ id, evidence });
  };
  const { stem, classes, kernels } = census;
  if (stem) {
    const found =
      `the first convolution is ${stem.kernel}x${stem.kernel} with ${stem.filters} filters`;
    find(stem.kernel === 7, "stem-7x7", found);
    find(stem.kernel !== 7 && stem.kernel !== PAPER.kernel, "stem-kernel", found);
    find(stem.filters !== PAPER.widths[0], "stem-filters", found);
    find(
      kernels[0].inputs !== PAPER.channels,
      "image-channels",
      `the first convolution takes ${kernels[0].inputs} channels, not 3`,
    );
  }
  find(
    classes !== undefined && classes !== PAPER.classes,
    "classes",
    `the last layer has ${classes} outputs, not 10`,
  );
  find(
    census.convolutions > 0 && classes === undefined,
    "head-missing",
    "there is no dense layer",
  );
  if ("problem" in net) {
    findings.push({ id: "unknown-structure", evidence: net.problem });
    return findings;
  }

  const { stages } = census;
  const widths = stages.map(({ filters }) => filters);
  const blocks = stages.map((stage) => stage.blocks);
  find(widths.length !== 3, "stages", `${widths.length} widths: ${widths.join(", ")}`);
  find(
    widths.join() !== PAPER.widths.join(),
    "widths",
    `the blocks have ${widths.join(", ")} filters, not 16, 32, 64`,
  );
  find(
    new Set(blocks).size > 1,
    "blocks-per-stage",
    `${blocks.join(", ")} blocks of each width, where the paper has n of each`,
  );
  find(
    (census.depth - 2) % 6 !== 0,
    "depth",
    `${census.depth} weighted layers are not 6n+2`,
  );
  const bottlenecks = net.blocks.filter(({ layers }) => layers.length === 3).length;
  find(
    bottlenecks > 0,
    "bottleneck",
    `${bottlenecks} blocks of ${
      net.blocks[0].layers.map(({ kernel }) => `${kernel}x${kernel}`).join(", ")
    } convolutions, where the paper's are of two 3x3`,
  );
  const odd = bottlenecks > 0
    ? undefined
    : net.blocks.flatMap(({ layers }) => layers).find(({ kernel }) => kernel !== PAPER.kernel);
  find(odd !== undefined, "kernel-size", `${odd?.path} is ${odd?.kernel}x${odd?.kernel}, not 3x3`);

  const projections = net.blocks.flatMap(({ projection }) => projection ?? []);
  const bare = projections.filter(({ batchNorm }) => !batchNorm);
  const pathsOf = (units: readonly { readonly path: string }[]) =>
    units.slice(0, 3).map(({ path }) => path).join(", ") + (units.length > 3 ? ", ..." : "");
  find(
    projections.length > 0,
    "projection",
    `${projections.length} shortcuts have a convolution: ${pathsOf(projections)}`,
  );
  const units = [net.stem, ...net.blocks.flatMap(({ layers }) => layers)];
  const normed = units.filter(({ batchNorm }) => batchNorm).length;
  find(
    bare.length > 0 && normed > 0,
    "projection-without-batch-norm",
    `no batch norm stands behind ${pathsOf(bare)}`,
  );
  // The stem of a pre-activation net has none, and that is said once.
  const without = net.preActivation ? [] : units.filter(({ batchNorm }) => !batchNorm);
  find(
    without.length > 0,
    "batch-norm-missing",
    `${without.length} of ${units.length} convolutions have no batch norm: ${pathsOf(without)}`,
  );
  find(
    net.preActivation,
    "pre-activation",
    "each batch norm has the channels that its convolution takes, so it stands before it",
  );
  const incomplete = [...units, ...projections]
    .filter(({ batchNorm }) => batchNorm && Object.keys(batchNorm.statistics).length < 4);
  find(
    incomplete.length > 0,
    "batch-norm-incomplete",
    `the batch norms of ${incomplete.length} convolutions lack ${
      missingOf(incomplete[0]?.batchNorm)
    }`,
  );
  find(
    census.biases > 0,
    "convolution-bias",
    `${census.biases} of ${census.convolutions} convolutions have a bias`,
  );
  return findings;
}

function missingOf(batchNorm: Layer | undefined): string {
  const names: readonly Statistic[] = ["weight", "bias", "running_mean", "running_var"];
  return names.filter((name) => !batchNorm?.statistics[name]).join(", ");
}

/** Shortcuts without weights, where the width changes. */
type Shortcuts = ZeroChannels | "identity" | "none";

const SHORTCUT_NAMES: Readonly<Record<Shortcuts, string>> = {
  append: "option A with zero channels appended",
  split: "option A with zero channels on both sides",
  identity: "identity shortcuts",
  none: "no shortcuts",
};

function candidatesOf(net: Net): Candidate[] {
  const changing = net.blocks.filter((block) => block.inputs !== block.filters);
  const projected = net.blocks.filter(({ projection }) => projection);
  const bare = changing.filter(({ projection }) => !projection);
  // Fewer channels than before: no zeros can make up for that.
  const shrinks = bare.some((block) => block.filters < block.inputs);
  const shortcuts: Shortcuts[] = shrinks
    ? []
    : bare.length > 0
    ? ["append", "split"]
    : ["identity"];
  if (projected.length === 0) shortcuts.push("none");
  return [false, true].flatMap((finalRelu) =>
    shortcuts.map((shortcut) => candidateOf(net, shortcut, finalRelu))
  );
}

function candidateOf(net: Net, shortcuts: Shortcuts, finalRelu: boolean): Candidate {
  const built = new NetBuilder();
  const output = built.net(net, shortcuts);
  const build = (specs: readonly NodeSpec[]) => {
    const graph = buildGraph("weights", [IMAGE, IMAGE, net.stem.inputs], specs);
    const weights = new Map(parametersOf(graph).map(({ name }) => [name, built.weights.get(name)]));
    const named = nameByPlace(graph, weights as Weights);
    return {
      graph: named.graph,
      weights: new Map([...named.weights].filter(([, tensor]) => tensor !== undefined)),
    };
  };
  const plain = build(built.specs);
  const { graph, weights } = finalRelu
    ? build([...built.specs, { kind: "relu", name: "final-relu", input: output }])
    : plain;
  const projections = net.blocks.filter(({ projection }) => projection);
  const bare = projections.some(({ projection }) => !projection?.batchNorm);
  const shortcutText = projections.length > 0
    ? `projections${bare ? " without batch norm" : ""}${
      shortcuts === "identity" ? "" : ` and ${SHORTCUT_NAMES[shortcuts]}`
    }`
    : SHORTCUT_NAMES[shortcuts];
  return {
    name: [
      plain.graph.name,
      shortcutText,
      ...(finalRelu ? ["ReLU after the last layer"] : []),
    ].join(", "),
    graph,
    weights,
    assumptions: assumptionsOf(net, shortcuts, finalRelu),
  };
}

function assumptionsOf(net: Net, shortcuts: Shortcuts, finalRelu: boolean): string[] {
  const assumptions = [
    `images of ${IMAGE}x${IMAGE} pixels`,
    "stride 2 where a block's filters change, but for the first block",
    net.preActivation
      ? "ReLU behind each batch norm"
      : "ReLU behind each batch norm and after each addition, not before the batch norm",
    `${finalRelu ? "a" : "no"} ReLU after the last layer`,
    "global average pooling before the last layer",
  ];
  if (net.stem.kernel > 3) {
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

/** Nodes and weights of a net, under names that only have to differ. */
class NetBuilder {
  readonly specs: NodeSpec[] = [];
  readonly weights = new Map<string, Tensor | undefined>();

  /** Returns the name of the last node. */
  net(net: Net, shortcuts: Shortcuts): string {
    const { stem, blocks, dense } = net;
    const large = stem.kernel > 3;
    let x = this.unit(stem, INPUT, large ? 2 : 1);
    if (!net.preActivation) x = this.relu(x);
    if (large) x = this.node({ kind: "max-pool", input: x, kernel: 3, stride: 2, padding: 1 });
    blocks.forEach((block, i) => {
      const stride = i > 0 && block.inputs !== block.filters ? 2 : 1;
      x = this.block(block, x, stride, shortcuts, net.preActivation);
    });
    if (net.lastBatchNorm) x = this.relu(this.batchNorm(net.lastBatchNorm, x));
    x = this.node({ kind: "global-average-pool", input: x });
    const units = dense.weight!.shape[0];
    x = this.node({ kind: "dense", input: x, units });
    this.weights.set(`${x}.weight`, dense.weight);
    this.weights.set(
      `${x}.bias`,
      dense.bias ?? { shape: [units], data: new Float32Array(units) },
    );
    return x;
  }

  private block(
    { layers, projection, filters, inputs }: Block,
    input: string,
    stride: number,
    shortcuts: Shortcuts,
    preActivation: boolean,
  ): string {
    const strided = layers.findIndex(({ kernel }) => kernel > 1);
    let x = input;
    layers.forEach((layer, i) => {
      const step = i === strided ? stride : 1;
      if (preActivation) {
        if (layer.batchNorm) x = this.batchNorm(layer.batchNorm, x);
        x = this.convolution(layer, this.relu(x), step);
      } else {
        x = this.unit(layer, x, step);
        if (i < layers.length - 1) x = this.relu(x);
      }
    });
    if (shortcuts === "none") return preActivation ? x : this.relu(x);
    let shortcut = input;
    if (projection) shortcut = this.unit(projection, input, stride);
    else if (filters !== inputs) {
      const zeroChannels = shortcuts === "split" ? "split" : "append";
      shortcut = this.node({ kind: "shortcut-a", input, filters, stride, zeroChannels });
    }
    const sum = this.node({ kind: "add", inputs: [x, shortcut] });
    return preActivation ? sum : this.relu(sum);
  }

  /** A convolution and the batch norm behind it, where there is one. */
  private unit(unit: Block["layers"][number], input: string, stride: number): string {
    const x = this.convolution(unit, input, stride);
    return unit.batchNorm ? this.batchNorm(unit.batchNorm, x) : x;
  }

  private convolution(unit: Block["layers"][number], input: string, stride: number): string {
    const { filters, kernel, weight, bias } = unit;
    const name = this.node({
      kind: "convolution",
      input,
      filters,
      kernel,
      stride,
      padding: (kernel - 1) / 2,
      bias: bias !== undefined,
    });
    this.weights.set(`${name}.weight`, weight);
    this.weights.set(`${name}.bias`, bias);
    return name;
  }

  private batchNorm({ statistics }: Layer, input: string): string {
    const name = this.node({ kind: "batch-norm", input });
    for (const [suffix, tensor] of Object.entries(statistics)) {
      this.weights.set(`${name}.${suffix}`, tensor);
    }
    return name;
  }

  private relu(input: string): string {
    return this.node({ kind: "relu", input });
  }

  private node(
    spec: NodeSpec extends infer S ? S extends NodeSpec ? Omit<S, "name"> : never : never,
  ) {
    const name = `${spec.kind}-${this.specs.length}`;
    this.specs.push({ ...spec, name } as NodeSpec);
    return name;
  }
}
