/**
 * How the kernel engines keep numbers: channels last and rounded up to a vector
 * of four, kernels as [tap][channels][filters]; and the score of their logits.
 */
import {
  type Graph,
  parametersOf,
  type ParameterSpec,
  sizeOf,
  type Weights,
} from "../resnet/mod.ts";
import type { ByteImages, Evaluation, Normalisation } from "./engine.ts";
import { type Labels, newLabels } from "./labels.ts";

/** Channels in memory: whole vectors of four. */
export function roundUp(channels: number): number {
  return Math.ceil(channels / 4) * 4;
}

/** Floats that a parameter takes. */
export function storedSize({ shape, role }: ParameterSpec): number {
  if (role !== "kernel") return roundUp(shape[0]);
  const [filters, channels, ...window] = shape;
  return sizeOf(window) * roundUp(channels) * roundUp(filters);
}

/**
 * What is subtracted from the channels of each image, scaled: [N, C]; its own means, where they
 * are, and what is added to it, with the other sign. Undefined where nothing is.
 */
export function imageMeans(
  images: ByteImages,
  { scale, perImage }: Pick<Normalisation, "scale" | "perImage">,
  shifts?: Float32Array,
): Float32Array | undefined {
  const own = perImage ? ownMeans(images, scale) : undefined;
  return shifts?.map((shift, i) => (own?.[i] ?? 0) - shift) ?? own;
}

function ownMeans(
  { count, height, width, channels, pixels }: ByteImages,
  scale: number,
): Float32Array {
  const means = new Float32Array(count * channels);
  const size = height * width * channels;
  for (let n = 0; n < count; n++) {
    for (let c = 0; c < channels; c++) {
      let sum = 0;
      for (let i = n * size + c; i < (n + 1) * size; i += channels) sum += pixels[i];
      means[n * channels + c] = sum / (height * width) * scale;
    }
  }
  return means;
}

/** What {@linkcode placesOf} found: a state is moved in and out many times. */
const knownPlaces = new WeakMap<ParameterSpec, Uint32Array>();

/** Where each element of a parameter lies in its storage, in the order of a file's layout. */
export function placesOf(spec: ParameterSpec): Uint32Array {
  const known = knownPlaces.get(spec);
  if (known) return known;
  const { shape, role } = spec;
  const places = Uint32Array.from({ length: sizeOf(shape) }, (_, i) => i);
  knownPlaces.set(spec, places);
  if (role !== "kernel") return places;
  const [filters, channels, ...window] = shape;
  const taps = sizeOf(window);
  const [storedFilters, storedChannels] = [roundUp(filters), roundUp(channels)];
  let file = 0;
  for (let k = 0; k < filters; k++) {
    for (let c = 0; c < channels; c++) {
      for (let tap = 0; tap < taps; tap++) {
        places[file++] = (tap * storedChannels + c) * storedFilters + k;
      }
    }
  }
  return places;
}

/** Writes a parameter's values, in a file's order, to its storage; the rest of it is 0. */
export function toStored(spec: ParameterSpec, values: Float32Array, stored: Float32Array): void {
  stored.fill(0);
  const places = placesOf(spec);
  for (let i = 0; i < places.length; i++) stored[places[i]] = values[i];
}

/** The parameters of a graph that are wanted, in its order, from their storage. */
export function fromStored(
  graph: Graph,
  wanted: (spec: ParameterSpec) => boolean,
  storedOf: (spec: ParameterSpec) => Float32Array,
): Weights {
  return new Map(
    parametersOf(graph).filter(wanted).map((spec) => {
      const stored = storedOf(spec);
      const places = placesOf(spec);
      const data = new Float32Array(places.length);
      for (let i = 0; i < places.length; i++) data[i] = stored[places[i]];
      return [spec.name, { shape: spec.shape, data }];
    }),
  );
}

/** Copies pixels of `channels` values to pixels of rounded-up ones, or back. */
export function copyPixels(
  from: Float32Array,
  fromChannels: number,
  to: Float32Array,
  toChannels: number,
): void {
  const channels = Math.min(fromChannels, toChannels);
  for (let i = 0, j = 0; i < from.length && j < to.length; i += fromChannels, j += toChannels) {
    to.set(from.subarray(i, i + channels), j);
  }
}

/** Loss in double precision, predictions and errors from logits. */
export function score(logits: Float32Array, labels: Labels, classes: number): Evaluation {
  const images = labels.length;
  const predictions = newLabels(images, classes);
  let loss = 0, errors = 0;
  for (let i = 0; i < images; i++) {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    let best = 0;
    for (let k = 1; k < classes; k++) if (row[k] > row[best]) best = k;
    predictions[i] = best;
    if (best !== labels[i]) errors++;
    let sum = 0;
    for (let k = 0; k < classes; k++) sum += Math.exp(row[k] - row[best]);
    loss += Math.log(sum) - (row[labels[i]] - row[best]);
  }
  return { images, loss: loss / images, errors, logits, predictions };
}
