/** From layers in the order of their names to stem, blocks and head, by their shapes. */
import type { Tensor } from "../resnet/mod.ts";
import type { Layer } from "./_layers.ts";

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
  readonly dense: Layer;
  /** Whether each batch norm stands before its convolution. */
  readonly preActivation: boolean;
  /** Behind the last block of a pre-activation net. */
  readonly lastBatchNorm?: Layer;
}

/** Why no net could be put together. */
export interface NoNet {
  readonly problem: string;
}

/** Words for what stands on a shortcut. */
const SHORTCUT =
  /shortcut|downsample|skip|proj|identity|match|(^|\.)conv\d+_block\d+_0_|residual_conv/i;

/** Whether the layer stands on a shortcut by its name. */
export function isOnShortcut(path: string): boolean {
  return SHORTCUT.test(path.replace(/residual_function/g, ""));
}

/** Puts layers together by names where they tell, and by shapes. */
export function readNet(layers: readonly Layer[]): Net | NoNet {
  const of = (kind: Layer["kind"]) => layers.filter((layer) => layer.kind === kind);
  const [convolutions, batchNorms, dense] = [of("convolution"), of("batch-norm"), of("dense")];
  if (convolutions.length < 3) {
    return { problem: `${convolutions.length} convolutions make no residual net` };
  }
  if (dense.length !== 1) return { problem: `there are ${dense.length} dense layers, not 1` };
  const odd = convolutions.find(({ weight }) => weight!.shape[2] !== weight!.shape[3]);
  if (odd) return { problem: `the kernel of ${odd.path} is not square` };

  const { preActivation, of: batchNormOf, rest } = pairBatchNorms(convolutions, batchNorms);
  const units = convolutions.map((layer): Unit => {
    const [filters, inputs, kernel] = layer.weight!.shape;
    const { path, bias } = layer;
    return {
      path,
      filters,
      inputs,
      kernel,
      weight: layer.weight!,
      bias,
      batchNorm: batchNormOf.get(layer),
    };
  });
  const [stem, ...others] = units;
  const found = findBlocks(stem, others);
  if ("problem" in found) return found;
  const width = found.blocks.at(-1)!.filters;
  const [units0, channels] = dense[0].weight!.shape;
  if (channels !== width) {
    return {
      problem: `${
        dense[0].path
      } takes ${channels} channels to ${units0}, and the last block gives ${width}`,
    };
  }
  if (rest.length > (preActivation ? 1 : 0)) {
    return { problem: `${rest.length} batch norms belong to no convolution: ${rest[0].path}` };
  }
  return {
    stem,
    blocks: found.blocks,
    dense: dense[0],
    preActivation,
    lastBatchNorm: rest[0],
  };
}

/** The channels of a batch norm. */
export function channelsOf(layer: Layer): number {
  return Object.values(layer.statistics)[0].shape[0];
}

interface Pairs {
  readonly of: ReadonlyMap<Layer, Layer>;
  readonly preActivation: boolean;
  /** Batch norms of no convolution. */
  readonly rest: readonly Layer[];
}

/** Each convolution with the batch norm of the same place under the same parent. */
function pairBatchNorms(convolutions: readonly Layer[], batchNorms: readonly Layer[]): Pairs {
  const parent = ({ path }: Layer) => path.slice(0, Math.max(0, path.lastIndexOf(".")));
  const byParent = Map.groupBy(convolutions, parent);
  const normsByParent = Map.groupBy(batchNorms, parent);
  const of = new Map<Layer, Layer>();
  let before = 0;
  let behind = 0;
  const pair = (group: readonly Layer[], norms: readonly Layer[]) => {
    group.forEach((convolution, i) => {
      const norm = norms[i];
      if (!norm) return;
      const [filters, inputs] = convolution.weight!.shape;
      if (channelsOf(norm) === filters) behind++;
      if (channelsOf(norm) === inputs) before++;
      of.set(convolution, norm);
    });
  };
  for (const [name, group] of byParent) {
    const norms = normsByParent.get(name) ?? [];
    if (norms.length === 0) continue;
    if (norms.length >= group.length) pair(group, norms);
    else {
      // In a flat file the projections may be those that have none.
      const main = group.filter(({ path, weight }) => weight!.shape[2] > 1 && !isOnShortcut(path));
      pair(norms.length === main.length ? main : group, norms);
    }
  }
  // Before its convolution a batch norm has that one's inputs; the stem has none then.
  const preActivation = before > behind;
  for (const [convolution, norm] of of) {
    const [filters, inputs] = convolution.weight!.shape;
    if (channelsOf(norm) !== (preActivation ? inputs : filters)) of.delete(convolution);
  }
  const used = new Set(of.values());
  return { of, preActivation, rest: batchNorms.filter((norm) => !used.has(norm)) };
}

function findBlocks(stem: Unit, others: readonly Unit[]): { blocks: readonly Block[] } | NoNet {
  const small = others.filter(({ path, kernel }) => kernel === 1 && !isOnShortcut(path)).length;
  const large = others.filter(({ kernel }) => kernel > 1).length;
  // A bottleneck has two 1x1 layers to one of 3x3, a projection none or one to two.
  const bottleneck = small >= 1.5 * large;
  const isProjection = (unit: Unit, next: Unit | undefined, position: number) =>
    isOnShortcut(unit.path) ||
    (unit.kernel === 1 && (!bottleneck || (position === 0 && next?.kernel === 1)));
  const main: Unit[] = [];
  const projections: Unit[] = [];
  const perBlock = bottleneck ? 3 : 2;
  others.forEach((unit, i) => {
    const next = others.slice(i + 1).find(({ path }) => !isOnShortcut(path));
    (isProjection(unit, next, main.length % perBlock) ? projections : main).push(unit);
  });
  if (main.length === 0 || main.length % perBlock !== 0) {
    return { problem: `${main.length} convolutions behind the stem are no blocks of ${perBlock}` };
  }

  const blocks: Block[] = [];
  let width = stem.filters;
  for (let i = 0; i < main.length; i += perBlock) {
    const layers = main.slice(i, i + perBlock);
    const inputs = width;
    for (const { path, inputs, filters } of layers) {
      if (inputs !== width) {
        return {
          problem:
            `${path} takes ${inputs} channels, and the layer before it by its name gives ${width}`,
        };
      }
      width = filters;
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
    const named = parents.findIndex((parent) =>
      parent !== "" && projection.path.startsWith(`${parent}.`)
    );
    // Widths alone tell the block where it changes them, and the order among equals.
    const changing = blocks.findIndex((block, i) =>
      i >= from && fits(block, i) &&
      (projection.inputs === projection.filters || block.inputs !== block.filters)
    );
    const at = named >= 0 ? named : changing;
    if (at < 0 || !fits(blocks[at], at)) {
      return {
        problem:
          `${projection.path}, from ${projection.inputs} to ${projection.filters} channels, is on no block's shortcut`,
      };
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
