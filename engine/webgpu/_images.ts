/** Image sets on the device: bytes, in as many buffers as the size of a binding asks for. */
import { sizeOf } from "../../resnet/mod.ts";
import type { ByteImages, Normalisation } from "../engine.ts";
import { roundUp } from "../_stored.ts";
import type { Launch } from "./_program.ts";
import { type Storage, type StorageSlice, whole } from "./_storage.ts";
import { inputKernel } from "./kernels/input.ts";

/** A part of a set in a buffer of its own. */
export interface SetPart {
  readonly slice: StorageSlice;
  /** Position of its first image, and how many there are. */
  readonly first: number;
  readonly count: number;
}

/** An image set on the device. */
export interface StoredSet {
  readonly parts: readonly SetPart[];
  /** Writes the batch that the batch plan names to the network's input. */
  readonly launches: readonly Launch[];
}

/** Divides a set into parts of at most `limit` bytes. */
export function storeSet(
  name: string,
  images: ByteImages,
  limit: number,
  settings: {
    readonly cropPadding: number;
    readonly normalisation: StorageSlice;
    readonly beforePadding: boolean;
    readonly batchPlan: StorageSlice;
    readonly input: StorageSlice;
  },
): StoredSet {
  const { count, height, width, channels } = images;
  const bytes = height * width * channels;
  const most = Math.max(1, Math.floor((limit - 3) / bytes));
  const parts: SetPart[] = [];
  for (let first = 0; first < count; first += most) {
    const held = Math.min(most, count - first);
    const storage: Storage = {
      label: `${name} images ${first} to ${first + held - 1}`,
      bytes: Math.ceil(held * bytes / 4) * 4,
    };
    parts.push({ slice: whole(storage), first, count: held });
  }
  const { cropPadding, normalisation, beforePadding, batchPlan, input } = settings;
  const floats = roundUp(channels) * height * width;
  const launches = parts.map(({ slice, first, count }): Launch => ({
    // Of the set, only the images of the batch.
    bytes: (1 + bytes / (4 * floats)) * input.size,
    kernel: inputKernel({ image: { height, width, channels }, cropPadding, beforePadding }, {
      first,
      count,
    }),
    slices: [slice, batchPlan, normalisation, input],
  }));
  return { parts, launches };
}

/** The words of a part's pixels. */
export function wordsOf(
  { pixels, height, width, channels }: ByteImages,
  part: SetPart,
): Uint32Array {
  const bytes = height * width * channels;
  const padded = new Uint8Array(part.slice.size);
  padded.set(pixels.subarray(part.first * bytes, (part.first + part.count) * bytes));
  return new Uint32Array(padded.buffer);
}

/** What `inputKernel` reads of a normalisation: scale, mean, standard deviation. */
export function normalisationValues({ scale, mean, std }: Normalisation): Float32Array {
  const values = new Float32Array(1 + mean.length + std.length);
  values[0] = scale;
  values.set(mean, 1);
  values.set(std, 1 + mean.length);
  return values;
}

/** Floats of `normalisationValues`. */
export function normalisationSize(inputShape: readonly number[]): number {
  return 1 + sizeOf(inputShape) + inputShape[inputShape.length - 1];
}
