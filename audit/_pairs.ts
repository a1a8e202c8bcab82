/** Which batch norm belongs to which convolution: every way in which that can be told. */
import type { Layer } from "./_layers.ts";

/** Convolutions with their batch norms. */
export interface Pairs {
  readonly of: ReadonlyMap<Layer, Layer>;
  /** Whether each batch norm stands before its convolution. */
  readonly preActivation: boolean;
  /** Batch norms of no convolution. */
  readonly rest: readonly Layer[];
}

/** Whether a layer of that name stands beside the way. */
export type OnShortcut = (path: string) => boolean;
type Couples = ReadonlyMap<Layer, Layer>;

/**
 * The pairings that names, places and shapes suggest, the surest first. Where
 * all are paired, no other is looked for.
 *
 * @param layers In the order of the net.
 * @param onShortcut Whether a layer of that name stands beside the way.
 */
export function pairings(layers: readonly Layer[], onShortcut: OnShortcut): readonly Pairs[] {
  const convolutions = layers.filter(({ kind }) => kind === "convolution");
  const batchNorms = layers.filter(({ kind }) => kind === "batch-norm");
  const ways: (() => Couples)[] = [
    () => byParent(convolutions, batchNorms, onShortcut),
    () => byWord(convolutions, batchNorms),
    () => byPlace(layers),
    () => byNumber(convolutions, batchNorms),
    () => byChannels(convolutions, batchNorms),
  ];
  const found: Pairs[] = [];
  for (const way of ways) {
    const pairs = checked(way(), batchNorms);
    // Names that say it leave no other reading.
    if (pairs.preActivation && found.length === 0 && pairs.rest.length <= 1) return [pairs];
    found.push(pairs);
    if (pairs.rest.length === 0 && pairs.of.size === convolutions.length) break;
  }
  return found;
}

const channelsOf = (norm: Layer) => Object.values(norm.statistics)[0].shape[0];

/** Takes apart what does not fit, and tells whether batch norms stand before or behind. */
function checked(couples: Couples, batchNorms: readonly Layer[]): Pairs {
  let before = 0;
  let behind = 0;
  for (const [convolution, norm] of couples) {
    const [filters, inputs] = convolution.weight!.shape;
    if (channelsOf(norm) === filters) behind++;
    if (channelsOf(norm) === inputs) before++;
  }
  // Before its convolution a batch norm has that one's inputs; the stem has none then.
  const preActivation = before > behind;
  const of = new Map([...couples].filter(([convolution, norm]) => {
    const [filters, inputs] = convolution.weight!.shape;
    return channelsOf(norm) === (preActivation ? inputs : filters);
  }));
  const used = new Set(of.values());
  return { of, preActivation, rest: batchNorms.filter((norm) => !used.has(norm)) };
}

/** Each convolution with the batch norm of the same place under the same parent. */
function byParent(
  convolutions: readonly Layer[],
  batchNorms: readonly Layer[],
  onShortcut: OnShortcut,
): Couples {
  const parent = ({ path }: Layer) => path.slice(0, Math.max(0, path.lastIndexOf(".")));
  const normsByParent = Map.groupBy(batchNorms, parent);
  const of = new Map<Layer, Layer>();
  const pair = (group: readonly Layer[], norms: readonly Layer[]) =>
    group.forEach((convolution, i) => {
      if (norms[i]) of.set(convolution, norms[i]);
    });
  for (const [name, group] of Map.groupBy(convolutions, parent)) {
    const norms = normsByParent.get(name) ?? [];
    if (norms.length === 0) continue;
    const words = group.length <= LARGEST_BLOCK ? byWord(group, norms) : new Map<Layer, Layer>();
    if (words.size === norms.length) {
      words.forEach((norm, convolution) => of.set(convolution, norm));
    } else if (norms.length >= group.length) pair(group, norms);
    else {
      // In a flat file the projections may be those that have none.
      const main = group.filter(({ path, weight }) => weight!.shape[2] > 1 && !onShortcut(path));
      pair(norms.length === main.length ? main : group, norms);
    }
  }
  return of;
}

/** Convolutions of a block; names that count over the whole net count each kind by itself. */
const LARGEST_BLOCK = 4;

/** Words for either kind, which names otherwise share: `conv1` and `bn1`. */
const CONVOLUTION = /convolution|conv2d|conv|cnn/gi;
const BATCH_NORM = /batch_?normalization|batch_?norm2d|batch_?norm|normalization|norm2d|norm|bn/gi;

/** Names that are equal but for the word of the layer's kind. */
function byWord(convolutions: readonly Layer[], batchNorms: readonly Layer[]): Couples {
  const bare = (path: string, words: RegExp) => path.toLowerCase().replace(words, "*");
  const norms = new Map(batchNorms.map((norm) => [bare(norm.path, BATCH_NORM), norm]));
  return new Map(convolutions.flatMap((convolution) => {
    const norm = norms.get(bare(convolution.path, CONVOLUTION)) ??
      norms.get(convolution.path.toLowerCase());
    return norm ? [[convolution, norm] as const] : [];
  }));
}

/** The batch norm that follows in the file, or one that the next convolution has before it. */
function byPlace(layers: readonly Layer[]): Couples {
  const sorted = layers.toSorted((a, b) => a.place - b.place);
  const behind = new Map<Layer, Layer>();
  sorted.forEach((layer, i) => {
    const next = sorted[i + 1];
    if (layer.kind === "convolution" && next?.kind === "batch-norm") behind.set(layer, next);
  });
  const before = new Map<Layer, Layer>();
  sorted.forEach((layer, i) => {
    const last = sorted[i - 1];
    if (layer.kind === "convolution" && last?.kind === "batch-norm") before.set(layer, last);
  });
  const fitting = (couples: Couples, axis: number) =>
    [...couples].filter(([{ weight }, norm]) => weight!.shape[axis] === channelsOf(norm)).length;
  return fitting(before, 1) > fitting(behind, 0) ? before : behind;
}

/** The first with the first and so on, over the whole net. */
function byNumber(convolutions: readonly Layer[], batchNorms: readonly Layer[]): Couples {
  if (convolutions.length !== batchNorms.length) return new Map();
  return new Map(convolutions.map((convolution, i) => [convolution, batchNorms[i]]));
}

/** To each convolution the next batch norm of as many channels as it has filters. */
function byChannels(convolutions: readonly Layer[], batchNorms: readonly Layer[]): Couples {
  const left = [...batchNorms];
  const of = new Map<Layer, Layer>();
  for (const convolution of convolutions) {
    const at = left.findIndex((norm) => channelsOf(norm) === convolution.weight!.shape[0]);
    if (at >= 0) of.set(convolution, left.splice(at, 1)[0]);
  }
  return of;
}
