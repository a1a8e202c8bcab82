/**
 * What network a file of weights belongs to, from the names and shapes of its
 * arrays alone. These tell the kernels, widths, projections, batch norm and
 * biases; strides, activations and shortcuts without weights they do not tell,
 * so a file admits several candidates, and what was assumed is said.
 */
import { sizeOf, type Weights } from "../resnet/mod.ts";
import { type Candidate, candidatesOf, variantsOf } from "./_candidates.ts";
import type { Cause, CauseId } from "./causes.ts";
import { type Layer, readLayers, type Statistic } from "./_layers.ts";
import { type Net, type NoNet, readNet, shortcutsOf, type Unit } from "./_structure.ts";

export type { Candidate } from "./_candidates.ts";

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

/** What a file's names and shapes tell. */
export interface Identification {
  /** Every network that they admit; the paper's first. Empty where none could be built. */
  readonly candidates: readonly Candidate[];
  /** Networks that leave the paper in one thing which weights cannot show; built when asked for. */
  readonly variants: () => readonly Candidate[];
  /** Whose names the file uses, and in which layout its kernels are. */
  readonly naming: string;
  /** The arrays, counted. */
  readonly census: Census;
  /** What is not the paper's; nothing that is not observable. */
  readonly findings: readonly Cause[];
  /** Why the layers' order is not known, where it is not: then no net can be told. */
  readonly orderUnknown?: string;
  /** What was done to get at the weights, and what told the order of the layers. */
  readonly notes: readonly string[];
  /** Names of arrays that belong to no layer, such as counters of batches. */
  readonly ignored: readonly string[];
}

/** Section 4.2. */
const PAPER = { kernel: 3, widths: [16, 32, 64], classes: 10, channels: 3 } as const;

/**
 * Infers which networks a file's arrays can belong to.
 *
 * @param tensors Arrays under the file's own names, as `readModelFile` gives them.
 * @param ordered Whether they stand in the order in which the layers were made.
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
export function identify(tensors: Weights, ordered = true): Identification {
  const { layers, naming, ignored, notes, defaults } = readLayers(tensors);
  const net = readNet(layers, ordered && !isSorted(tensors));
  const census = takeCensus(layers, net);
  const known = "problem" in net ? [] : candidatesOf(net, defaults);
  return {
    candidates: known,
    variants: () => "problem" in net ? [] : variantsOf(net, defaults),
    naming,
    census,
    findings: findingsOf(net, census),
    ...("problem" in net && net.ofOrder ? { orderUnknown: net.problem } : {}),
    ignored,
    notes: [
      ...notes,
      ...("order" in net && net.order === "shapes"
        ? [
          "neither the file's order nor that of the names is the layers': their shapes gave it, and among layers of one shape it is not known",
        ]
        : []),
    ],
  };
}

/** Whether the kernels stand in the order of the alphabet, which some formats put them in. */
function isSorted(tensors: Weights): boolean {
  const names = [...tensors].flatMap(([name, { shape }]) => shape.length === 4 ? [name] : []);
  return names.every((name, i) => i === 0 || names[i - 1] <= name);
}

function takeCensus(layers: readonly Layer[], net: Net | NoNet): Census {
  const convolutions = layers.filter(({ kind }) => kind === "convolution");
  const kernels = new Map<string, KernelCount>();
  const ordered = "problem" in net
    ? convolutions.map(({ weight }) => weight!)
    : [net.stem, ...net.blocks.flatMap(unitsOf)].map(({ weight }) => weight);
  for (const weight of ordered) {
    const [filters, inputs, kernel] = weight.shape;
    const key = `${kernel},${inputs},${filters}`;
    kernels.set(key, { kernel, inputs, filters, count: (kernels.get(key)?.count ?? 0) + 1 });
  }
  const dense = layers.filter(({ kind }) => kind === "dense");
  const projections = "problem" in net
    ? convolutions.map(({ path }) => path).filter(shortcutsOf(layers)).length
    : net.blocks.filter(({ projection }) => projection).length;
  // Without a net the layer that takes the image is the one that takes the fewest channels.
  const first = "problem" in net
    ? convolutions.map(({ weight }) => weight!).sort((a, b) => a.shape[1] - b.shape[1])[0]
    : net.stem.weight;
  const last = "problem" in net ? dense.at(-1) : net.dense;
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
    classes: last?.weight?.shape[0],
  };
}

function unitsOf({ layers, projection }: Net["blocks"][number]): readonly Unit[] {
  return projection ? [...layers, projection] : layers;
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

function findingsOf(net: Net | NoNet, census: Census): Cause[] {
  const findings: Cause[] = [];
  const find = (wrong: boolean, id: CauseId, evidence: string) => {
    if (wrong) findings.push({ id, evidence });
  };
  const { stem, classes, kernels } = census;
  if (stem) {
    const found =
      `the first convolution is ${stem.kernel}x${stem.kernel} with ${stem.filters} filters`;
    find(stem.kernel === 7, "stem-7x7", found);
    find(stem.kernel !== 7 && stem.kernel !== PAPER.kernel, "stem-kernel", found);
    find(stem.filters !== PAPER.widths[0], "stem-filters", found);
    const channels = Math.min(...kernels.map(({ inputs }) => inputs));
    find(
      channels !== PAPER.channels,
      "image-channels",
      `the first convolution takes ${channels} channels, not 3`,
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
    find(!net.ofOrder, "unknown-structure", net.problem);
    return findings;
  }
  findForm(net, census, find);
  findNorms(net, census, find);
  findHead(net, find);
  return findings;
}

type Find = (wrong: boolean, id: CauseId, evidence: string) => void;

function findForm({ blocks, dense: _, ...net }: Net, census: Census, find: Find): void {
  const { stages } = census;
  const widths = stages.map(({ filters }) => filters);
  const perStage = stages.map((stage) => stage.blocks);
  find(widths.length !== 3, "stages", `${widths.length} widths: ${widths.join(", ")}`);
  find(
    widths.join() !== PAPER.widths.join(),
    "widths",
    `the blocks have ${widths.join(", ")} filters, not 16, 32, 64`,
  );
  find(
    new Set(perStage).size > 1,
    "blocks-per-stage",
    `${perStage.join(", ")} blocks of each width, where the paper has n of each`,
  );
  const depth = census.depth - net.hidden.length;
  find((depth - 2) % 6 !== 0, "depth", `${depth} weighted layers are not 6n+2`);
  const layers = blocks.flatMap((block) => block.layers);
  const bottlenecks = blocks.filter((block) => block.layers.length === 3).length;
  find(
    bottlenecks > 0,
    "bottleneck",
    `${bottlenecks} blocks of ${
      blocks[0].layers.map(({ kernel }) => `${kernel}x${kernel}`).join(", ")
    } convolutions, where the paper's are of two 3x3`,
  );
  const odd = bottlenecks > 0 ? [] : layers.filter(({ kernel }) => kernel !== PAPER.kernel);
  find(
    odd.length > 0,
    "kernel-size",
    `${odd[0]?.path} is ${odd[0]?.kernel}x${odd[0]?.kernel}, not 3x3`,
  );
  const thin = bottlenecks > 0
    ? []
    : blocks.filter((block) => block.layers[0].filters !== block.filters);
  find(
    thin.length > 0,
    "thinned",
    `${thin[0]?.layers[0].path} has ${thin[0]?.layers[0].filters} filters in a block of ${
      thin[0]?.filters
    }${thin.length > 1 ? `, and so have ${thin.length - 1} more` : ""}`,
  );
  const grouped = layers.filter(({ groups }) => groups > 1);
  find(
    grouped.length > 0,
    "grouped",
    `${grouped[0]?.path} takes ${grouped[0]?.inputs} of ${
      (grouped[0]?.inputs ?? 0) * (grouped[0]?.groups ?? 0)
    } channels: ${grouped[0]?.groups} groups${
      grouped.length > 1 ? `, and so do ${grouped.length - 1} more` : ""
    }`,
  );
}

function findNorms(net: Net, census: Census, find: Find): void {
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
  // A pre-activation net has none there.
  find(
    bare.length > 0 && normed > 0 && !net.preActivation,
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
  find(
    net.spare.length > 0,
    "batch-norm-spare",
    `${net.spare.length} batch norms belong to no convolution: ${pathsOf(net.spare)}`,
  );
  const incomplete = [...units, ...projections]
    .filter(({ batchNorm }) => batchNorm && Object.keys(batchNorm.statistics).length < 4);
  find(
    incomplete.length > 0,
    "batch-norm-incomplete",
    `the normalisations of ${incomplete.length} convolutions lack ${
      missingOf(incomplete[0]?.batchNorm)
    }: group norm has none, nor has batch norm that does not track them`,
  );
  find(
    census.biases > 0,
    "convolution-bias",
    `${census.biases} of ${census.convolutions} convolutions have a bias`,
  );
}

function findHead({ dense, hidden, pixels, blocks }: Net, find: Find): void {
  const { filters } = blocks.at(-1)!;
  const [{ path, weight }] = [...hidden, dense];
  const side = Math.sqrt(pixels);
  find(
    pixels > 1,
    "flattened-head",
    `${path} takes ${
      weight!.shape[1]
    } numbers: maps of ${side}x${side} pixels and ${filters} channels, where the paper averages each map`,
  );
  find(
    hidden.length > 0,
    "hidden-dense",
    `${hidden.length + 1} dense layers follow each other: ${
      [...hidden, dense].map(({ path }) => path).join(", ")
    }`,
  );
  find(
    dense.bias === undefined,
    "dense-without-bias",
    `${dense.path} has no bias`,
  );
}

function missingOf(batchNorm: Layer | undefined): string {
  const names: readonly Statistic[] = ["weight", "bias", "running_mean", "running_var"];
  return names.filter((name) => !batchNorm?.statistics[name]).join(", ");
}
