/**
 * How images were prepared, by the first batch norm: its running mean and variance are those of
 * the first layer's outputs on the images of the training, as they were augmented.
 */
import type { ByteImages } from "../engine/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { consumersOf, INPUT } from "../resnet/mod.ts";
import type { Preprocessing } from "./preprocessings.ts";
import { inputOf, type Network, part } from "./_runs.ts";

/** How images were cropped, as far as the first layer shows it. */
export type Border =
  /** They were not, or their border was no border of one value. */
  | "none"
  /** Out of images with a border of black pixels, prepared like the others. */
  | "black"
  /** Out of images with a border of zeros, put around them when they were prepared. */
  | "zero";

/** A preprocessing and what speaks for it. */
export interface Fit {
  /** What was done to the values. */
  readonly preprocessing: Preprocessing;
  /** The likeliest border. */
  readonly border: Border;
  /** See {@linkcode misfits}; with the likeliest border. */
  readonly misfit: number;
  /** With each border. */
  readonly byBorder: Readonly<Record<Border, number>>;
}

/** How closely is looked: images, spread over the training part, and outputs on each. */
interface Sample {
  readonly images: number;
  readonly places: number;
}

/** To tell preprocessings apart, and to tell borders apart. */
const COARSE: Sample = { images: 250, places: 16 };
const FINE: Sample = { images: 1_500, places: 32 };
/** The paper's, and everybody's. */
const PADDING = 4;
const BORDERS: readonly Border[] = ["none", "black", "zero"];
/** Statistics fit below this; the right ones have 0.001 to 0.005, the next 0.02 and more. */
export const FITS_BELOW = 0.015;

/**
 * How well preprocessings give the statistics that the first batch norm holds.
 *
 * The misfit is the mean over the filters of (m - m')^2 / v' + log(v / v')^2, with m and v of the
 * outputs here and m' and v' of the file; 0 where they are the same.
 *
 * @returns The best first; none where the first layer has no batch norm behind it.
 */
export function misfits(
  network: Network,
  ways: readonly Preprocessing[],
  train: ByteImages,
): readonly Fit[] {
  const first = firstLayer(network);
  if (!first) return [];
  const fits = ways.map((way) => fitOf(first, way, train, COARSE))
    .toSorted((a, b) => a.misfit - b.misfit);
  const [best, ...others] = fits;
  return [fitOf(first, best.preprocessing, train, FINE), ...others];
}

/** The first convolution, with what its batch norm holds. */
interface FirstLayer {
  readonly size: number;
  readonly stride: number;
  readonly padding: number;
  /** [height, width] of the outputs. */
  readonly extents: readonly [number, number];
  /** [filters, inputs, size, size]. */
  readonly kernel: Float32Array;
  readonly bias?: Float32Array;
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}

function firstLayer({ graph, weights }: Network): FirstLayer | undefined {
  const first = graph.nodes.find((node) => node.kind === "convolution" && node.input === INPUT);
  if (first?.kind !== "convolution") return undefined;
  const [norm, ...others] = consumersOf(graph, first.name);
  const mean = weights.get(`${norm?.name}.running_mean`)?.data;
  const variance = weights.get(`${norm?.name}.running_var`)?.data;
  if (norm?.kind !== "batch-norm" || others.length > 0 || !mean || !variance) return undefined;
  const { kernel: size, stride, padding, shape: [height, width] } = first;
  return {
    ...{ size, stride, padding, extents: [height, width], mean, variance },
    kernel: weights.get(`${first.name}.weight`)!.data,
    bias: weights.get(`${first.name}.bias`)?.data,
  };
}

function fitOf(
  layer: FirstLayer,
  preprocessing: Preprocessing,
  train: ByteImages,
  { images: most, places }: Sample,
): Fit {
  const count = Math.min(most, train.count);
  const images = Array.from(
    { length: count },
    (_, n) => inputOf(part(train, Math.floor(n * train.count / count), 1), preprocessing),
  );
  const black = inputOf({ ...part(train, 0, 1), pixels: new Uint8Array(images[0].length) }, {
    ...preprocessing,
    perImage: false,
  });
  const byBorder = Object.fromEntries(BORDERS.map((border) => {
    const fill = border === "black" ? black : undefined;
    return [border, misfitOf(layer, images, train, places, border !== "none", fill)];
  })) as Record<Border, number>;
  const border = BORDERS.reduce((a, b) => byBorder[b] < byBorder[a] ? b : a);
  return { preprocessing, border, misfit: byBorder[border], byBorder };
}

function misfitOf(
  { size, stride, padding, extents, kernel, bias, mean, variance }: FirstLayer,
  images: readonly Float32Array[],
  { height, width, channels }: ByteImages,
  places: number,
  cropped: boolean,
  fill: Float32Array | undefined,
): number {
  const random = new RandomStream(0, "probe", 0);
  const filters = mean.length;
  const sums = new Float64Array(filters), squares = new Float64Array(filters);
  const window = new Float32Array(channels * size * size);
  for (const input of images) {
    const [down, across, flipped] = cropped
      ? [random.below(2 * PADDING + 1), random.below(2 * PADDING + 1), random.below(2)]
      : [PADDING, PADDING, 0];
    for (let place = 0; place < places; place++) {
      const top = random.below(extents[0]) * stride - padding;
      const left = random.below(extents[1]) * stride - padding;
      for (let i = 0; i < size * size; i++) {
        const [y, x] = [top + Math.floor(i / size), left + i % size];
        const seen = y >= 0 && y < height && x >= 0 && x < width;
        const row = y + down - PADDING;
        const column = (flipped ? width - 1 - x : x) + across - PADDING;
        const stored = row >= 0 && row < height && column >= 0 && column < width;
        for (let channel = 0; channel < channels; channel++) {
          window[channel * size * size + i] = !seen
            ? 0
            : stored
            ? input[(row * width + column) * channels + channel]
            : fill?.[channel] ?? 0;
        }
      }
      for (let filter = 0; filter < filters; filter++) {
        let sum = bias?.[filter] ?? 0;
        const from = filter * window.length;
        for (let i = 0; i < window.length; i++) sum += kernel[from + i] * window[i];
        sums[filter] += sum;
        squares[filter] += sum * sum;
      }
    }
  }
  const total = images.length * places;
  let distance = 0;
  for (let filter = 0; filter < filters; filter++) {
    const found = sums[filter] / total;
    const spread = squares[filter] / total - found ** 2;
    // A filter that gives the same everywhere says nothing.
    if (!(variance[filter] > 1e-8) || !(spread > 0)) continue;
    distance += (found - mean[filter]) ** 2 / variance[filter] +
      Math.log(spread / variance[filter]) ** 2;
  }
  return distance / filters;
}
