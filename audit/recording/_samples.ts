/** A few training images for people to look at: as they entered, beside what is stored. */
import type { ImageForm, Preparation } from "../../spec/mod.ts";
import type { PlacedView } from "./_preparation.ts";
import { bytesOf, LAYOUTS, PLANE, SIDE, SIZE, type StoredImages } from "./_stored.ts";

/** One training image as it entered, and what it is. */
export interface ObservedSample {
  /** Position among the images of its epoch. */
  readonly at: number;
  /** The label that it was trained with; -1: not known. */
  readonly label: number;
  /** [32, 32, 3]: what entered, brought back to bytes. */
  readonly entered: Uint8Array;
  /** `undone`: by what was found to be done to values; `stretched`: from lowest to highest. */
  readonly how: "undone" | "stretched";
  /** The stored image that it is, where it was found. */
  readonly found?: {
    /** Number of the image. */
    readonly image: number;
    /** As in `ObservedView`. */
    readonly y: number;
    readonly x: number;
    readonly flip: boolean;
    /** The class that is stored with it. */
    readonly label: number;
    /** [32, 32, 3]. */
    readonly pixels: Uint8Array;
  };
}

/** What a sample is made of. */
export interface SampleSource {
  readonly at: number;
  readonly label: number;
  /** [3, 32, 32], as they entered. */
  readonly pixels: Float32Array;
  readonly placed?: PlacedView;
}

/**
 * Makes a sample.
 *
 * @param source The view.
 * @param form How the views of its epoch lie.
 * @param preparation What was found to be done to their values.
 */
export function sampleOf(
  { at, label, pixels, placed }: SampleSource,
  form: ImageForm | undefined,
  preparation: Preparation | undefined,
  stored: StoredImages,
): ObservedSample {
  const isPlain = form?.layout === "right" && form.axes === "right";
  const undone = isPlain && preparation && undo(pixels, placed, preparation, stored);
  return {
    ...{ at, label, entered: interleaved(undone || stretched(pixels)) },
    how: undone ? "undone" : "stretched",
    ...(placed === undefined ? {} : {
      found: {
        ...{ image: placed.image, y: placed.y, x: placed.x, flip: placed.flip },
        label: stored.labels[placed.image],
        pixels: bytesOf(stored, placed.image).slice(),
      },
    }),
  };
}

/** v = scale (p - zero), solved for p; undefined where `zero` is not known for all pixels. */
function undo(
  pixels: Float32Array,
  placed: PlacedView | undefined,
  { kind, scale, zero, subtracted }: Preparation,
  stored: StoredImages,
): Float32Array | undefined {
  if (kind === "constants" && zero !== undefined) {
    return pixels.map((value, at) => {
      const c = Math.floor(at / PLANE);
      return value / scale[c] + zero[c];
    });
  }
  if (kind !== "per-pixel" || placed === undefined) return undefined;
  const { y, x, flip, channels } = placed;
  return pixels.map((value, at) => {
    const c = Math.floor(at / PLANE), r = Math.floor(at / SIDE) % SIDE, s = at % SIDE;
    const row = r + y, column = (flip ? SIDE - 1 - s : s) + x;
    const inside = row >= 0 && row < SIDE && column >= 0 && column < SIDE;
    // Around the image, a border of zeros is the mean: any grey may stand for it.
    const mean = subtracted === "after-crop"
      ? stored.mean[LAYOUTS.right[channels[c] * PLANE + r * SIDE + s]]
      : inside
      ? stored.mean[LAYOUTS.right[channels[c] * PLANE + row * SIDE + column]]
      : 128;
    return value / scale[c] + mean;
  });
}

function stretched(pixels: Float32Array): Float32Array {
  let low = Infinity, high = -Infinity;
  for (const value of pixels) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return pixels.map((value) => 255 * (value - low) / (high - low || 1));
}

/** [32, 32, 3] bytes of [3, 32, 32] numbers. */
function interleaved(pixels: Float32Array): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  for (let at = 0; at < SIZE; at++) {
    const value = Math.round(pixels[at]);
    bytes[at % PLANE * 3 + Math.floor(at / PLANE)] = Math.min(255, Math.max(0, value));
  }
  return bytes;
}
