/**
 * From layers to stem, blocks and head, by their shapes.
 *
 * The order of the layers is the file's, or that of their names, or the chain
 * that their shapes make: whichever gives a net. Which batch norm belongs to
 * which convolution is told in as many ways. Of several readings the one that
 * is nearest to the paper is taken: what another reading explains is no
 * evidence against a net.
 */
import type { Tensor } from "../resnet/mod.ts";
import type { Layer } from "./_layers.ts";
import { byNames, chained } from "./_order.ts";
import { type OnShortcut, pairings, type Pairs } from "./_pairs.ts";

/** A convolution with what belongs to it. */
export interface Unit {
  readonly path: string;
  readonly filters: number;
  readonly inputs: number;
  readonly kernel: number;
  /** [O, I, H, W]. */
  readonly weight: Tensor;
  readonly bias?: Tensor;
  readonly batchNorm?: Layer;
  /** The channels before it are split in so many groups. */
  readonly groups: number;
}

/** Layers around which one shortcut goes, or would go. */
export interface Block {
  readonly layers: readonly Unit[];
  readonly projection?: Unit;
  readonly inputs: number;
  readonly filters: number;
}

/** A net that can be put together. */
export interface Net {
  readonly stem: Unit;
  readonly blocks: readonly Block[];
  /** The last layer. */
  readonly dense: Layer;
  /** Dense layers before the last. */
  readonly hidden: readonly Layer[];
  /** Numbers that the dense layers take of each channel: 1 behind global pooling. */
  readonly pixels: number;
  /** Whether each batch norm stands before its convolution. */
  readonly preActivation: boolean;
  /** Behind the last block of a pre-activation net. */
  readonly lastBatchNorm?: Layer;
  /** Batch norms that belong to no convolution. */
  readonly spare: readonly Layer[];
  /** What told the order of the layers. */
  readonly order: "file" | "names" | "shapes";
}

/** Why no net could be put together. */
export interface NoNet {
  readonly problem: string;
  /** Whether another order of the layers might give one. */
  readonly ofOrder: boolean;
}

/** Words for what stands on a shortcut. */
const SHORTCUT =
  /short|downsample|skip|proj|identity|match|adjust|(^|[._])(conv\d+_block\d+_0|res|down|residual)(?=[._]|$)|residual_conv/gi;

/**
 * Tells layers on shortcuts by their names. A word that also stands above a layer of the way
 * itself, one with a window that keeps its channels, is that of a branch, a block or a stage.
 */
export function shortcutsOf(layers: readonly Layer[]): (path: string) => boolean {
  /** A path up to and with each of its words. */
  const marks = (path: string) => {
    const own = path.replace(/residual_function|res_?(net|block|layer)\w*/gi, "");
    return [...own.matchAll(SHORTCUT)].map(({ index, 0: word }) =>
      own.slice(0, index + word.length)
    );
  };
  const others = new Set(
    layers.filter(({ kind, weight }) =>
      kind === "convolution" && weight!.shape[2] > 1 && weight!.shape[0] === weight!.shape[1]
    ).flatMap(({ path }) => marks(path)),
  );
  return (path) => marks(path).some((mark) => !others.has(mark));
}

/**
 * Puts layers together by names where they tell, and by shapes.
 *
 * @param layers In the file's order.
 * @param ordered Whether the file keeps the order in which layers were made.
 */
export function readNet(layers: readonly Layer[], ordered: boolean): Net | NoNet {
  const convolutions = layers.filter(({ kind }) => kind === "convolution");
  if (convolutions.length < 3) {
    return noNet(`${convolutions.length} convolutions make no residual net`);
  }
  const dense = layers.filter(({ kind }) => kind === "dense");
  if (dense.length === 0) return noNet("there is no dense layer");
  const odd = convolutions.find(({ weight }) => weight!.shape[2] !== weight!.shape[3]);
  if (odd) return noNet(`the kernel of ${odd.path} is not square`);

  const isOnShortcut = shortcutsOf(layers);
  const named = byNames(layers);
  const byFile = { order: "file", layers } as const;
  const byName = { order: "names", layers: named } as const;
  const orders = ordered ? [byFile, byName] : [byName, byFile];
  const chain = [...orders].flatMap(({ layers }) => {
    const found = chained(layers, isOnShortcut);
    return found ? [{ order: "shapes", layers: found } as const] : [];
  });
  let best: Net | undefined;
  // A problem that no order would solve is the one to tell.
  let problem: NoNet | undefined;
  for (const { order, layers } of [...orders, ...chain]) {
    for (const pairs of pairings(layers, isOnShortcut)) {
      const net = putTogether(layers, pairs, order, isOnShortcut);
      if ("problem" in net) problem = problem?.ofOrder === false ? problem : net;
      else if (!best || distance(net) < distance(best)) best = net;
    }
  }
  return best ?? problem!;
}

/** In how many places a reading leaves the paper; equal readings keep their order. */
function distance({ stem, blocks, spare, preActivation, lastBatchNorm }: Net): number {
  const units = [
    stem,
    ...blocks.flatMap(({ layers, projection }) => projection ? [...layers, projection] : layers),
  ];
  const bare = units.filter(({ batchNorm }) => !batchNorm).length;
  const widths = blocks.map(({ filters }) => filters);
  const changes = widths.filter((width, i) => width !== (widths[i - 1] ?? stem.filters)).length;
  const uneven =
    blocks.flatMap(({ layers, filters }) =>
      layers.length === 2 ? layers.filter((layer) => layer.filters !== filters) : []
    ).length;
  return bare + spare.length + 2 * changes + uneven +
    (preActivation ? 3 : 0) + (lastBatchNorm ? -1 : 0);
}

function noNet(problem: string, ofOrder = false): NoNet {
  return { problem, ofOrder };
}

function putTogether(
  layers: readonly Layer[],
  { preActivation, of: batchNormOf, rest }: Pairs,
  order: Net["order"],
  isOnShortcut: OnShortcut,
): Net | NoNet {
  const convolutions = layers.filter(({ kind }) => kind === "convolution");
  const dense = layers.filter(({ kind }) => kind === "dense");
  const units = convolutions.map((layer): Unit => {
    const [filters, inputs, kernel] = layer.weight!.shape;
    const { path, bias } = layer;
    const batchNorm = batchNormOf.get(layer);
    return { path, filters, inputs, kernel, weight: layer.weight!, bias, batchNorm, groups: 1 };
  });
  const [stem, ...others] = units;
  const inside = withinBlocks(dense, convolutions);
  if (inside.length > 1) {
    return noNet(
      `${inside.length} dense layers stand within the blocks (${
        inside[0].path
      } and others): squeeze and excitation, or attention`,
    );
  }
  const found = findBlocks(stem, others, isOnShortcut);
  if ("problem" in found) return found;
  const width = found.blocks.at(-1)!.filters;
  const head = findHead(dense, width);
  if ("problem" in head) return head;
  const last = preActivation ? rest.find((norm) => channelsOf(norm) === width) : undefined;
  return {
    stem,
    blocks: found.blocks,
    ...head,
    preActivation,
    ...(last ? { lastBatchNorm: last } : {}),
    spare: rest.filter((norm) => norm !== last),
    order,
  };
}

/** Dense layers that stand beside convolutions, by their names. */
function withinBlocks(dense: readonly Layer[], convolutions: readonly Layer[]): readonly Layer[] {
  const parentOf = ({ path }: Layer) => path.slice(0, Math.max(0, path.lastIndexOf(".")));
  const parents = new Set(convolutions.map(parentOf));
  return dense.filter((layer) => /\d/.test(parentOf(layer)) && parents.has(parentOf(layer)));
}

/** The dense layers as a chain from the last block's channels to the classes. */
function findHead(
  dense: readonly Layer[],
  width: number,
): Pick<Net, "dense" | "hidden" | "pixels"> | NoNet {
  const chain: Layer[] = [];
  let left = [...dense];
  const first = left.find(({ weight }) => {
    const pixels = weight!.shape[1] / width;
    return Number.isInteger(Math.sqrt(pixels)) && pixels >= 1;
  });
  for (let next = first; next;) {
    chain.push(next);
    left = left.filter((layer) => layer !== next);
    const [units] = next.weight!.shape;
    next = left.find(({ weight }) => weight!.shape[1] === units);
  }
  if (!first || left.length > 0) {
    const [{ path, weight }] = left.length > 0 ? left : dense;
    return noNet(
      `${path} takes ${weight!.shape[1]} numbers to ${
        weight!.shape[0]
      }, and the last block gives ${width} channels`,
      // The paper's nets have one, in whatever order their layers stand.
      dense.length === 1,
    );
  }
  return {
    dense: chain.at(-1)!,
    hidden: chain.slice(0, -1),
    pixels: first.weight!.shape[1] / width,
  };
}

/** The channels of a batch norm. */
export function channelsOf(layer: Layer): number {
  return Object.values(layer.statistics)[0].shape[0];
}

function findBlocks(
  stem: Unit,
  others: readonly Unit[],
  isOnShortcut: OnShortcut,
): { blocks: readonly Block[] } | NoNet {
  const small = others.filter(({ path, kernel }) => kernel === 1 && !isOnShortcut(path)).length;
  const large = others.filter(({ kernel }) => kernel > 1).length;
  // A bottleneck has two 1x1 layers to one of 3x3, a projection none or one to two.
  const bottleneck = small >= 1.5 * large;
  const isProjection = (unit: Unit, next: Unit | undefined, position: number) =>
    (isOnShortcut(unit.path) && (unit.kernel === 1 || unit.inputs !== unit.filters)) ||
    (unit.kernel === 1 && (!bottleneck || (position === 0 && next?.kernel === 1)));
  const main: Unit[] = [];
  const projections: Unit[] = [];
  const perBlock = bottleneck ? 3 : 2;
  others.forEach((unit, i) => {
    const next = others.slice(i + 1).find(({ path }) => !isOnShortcut(path));
    (isProjection(unit, next, main.length % perBlock) ? projections : main).push(unit);
  });
  if (main.length === 0 || main.length % perBlock !== 0) {
    return noNet(`${main.length} convolutions behind the stem are no blocks of ${perBlock}`);
  }

  const blocks: Block[] = [];
  let width = stem.filters;
  for (let i = 0; i < main.length; i += perBlock) {
    const inputs = width;
    const layers: Unit[] = [];
    for (const unit of main.slice(i, i + perBlock)) {
      const groups = width / unit.inputs;
      if (groups > 1 && unit.inputs === 1) {
        return noNet(`${unit.path} looks at each channel by itself: a net of another kind`);
      }
      if (!Number.isInteger(groups) || (groups > 1 && unit.kernel === 1)) {
        return noNet(
          `${unit.path} takes ${unit.inputs} channels, and the layer before it gives ${width}`,
          true,
        );
      }
      layers.push({ ...unit, groups });
      width = unit.filters;
    }
    blocks.push({ layers, inputs, filters: width });
  }
  return withProjections(blocks, projections);
}

/** Gives each projection to its block: by the name, or to the next one that it fits. */
function withProjections(
  blocks: readonly Block[],
  projections: readonly Unit[],
): { blocks: readonly Block[] } | NoNet {
  const parents = blocks.map(({ layers }) => commonParent(layers.map(({ path }) => path)));
  const given = new Map<number, Unit>();
  let from = 0;
  for (const projection of projections) {
    const fits = (block: Block, i: number) =>
      !given.has(i) && block.inputs === projection.inputs && block.filters === projection.filters;
    const named = parents.findIndex((parent, i) =>
      parent !== "" && projection.path.startsWith(`${parent}.`) && fits(blocks[i], i)
    );
    // Widths alone tell the block where it changes them, and the order among equals.
    const changing = blocks.findIndex((block, i) =>
      i >= from && fits(block, i) &&
      (projection.inputs === projection.filters || block.inputs !== block.filters)
    );
    const at = named >= 0 ? named : changing;
    if (at < 0) {
      return noNet(
        `${projection.path}, from ${projection.inputs} to ${projection.filters} channels, is on no block's shortcut`,
        true,
      );
    }
    if (named < 0) from = at + 1;
    given.set(at, projection);
  }
  return { blocks: blocks.map((block, i) => ({ ...block, projection: given.get(i) })) };
}

function commonParent(paths: readonly string[]): string {
  const parts = paths.map((path) => path.split("."));
  let length = 0;
  while (parts.every((part) => length < part.length - 1 && part[length] === parts[0][length])) {
    length++;
  }
  // Inside of `layer1.0.residual_function` the block is `layer1.0`.
  const common = parts[0].slice(0, length);
  while (common.length > 0 && !/\d/.test(common.at(-1)!)) common.pop();
  return common.join(".");
}
