/** The stored images, and the orders in which people bring their bytes before a network. */
import { type ByteImages, type Labels, newLabels } from "../../engine/mod.ts";

/** Both parts of a data set, under one numbering: the training part first. */
export interface StoredImages {
  /** The parts, in order. */
  readonly parts: readonly [train: ByteImages, test: ByteImages];
  /** Images in both parts. */
  readonly count: number;
  /** Of each image. */
  readonly labels: Labels;
  /** [H, W, C], the mean of the training part, 0 to 255. */
  readonly mean: Float64Array;
}

/** Height and width of the images that can be matched. */
export const SIDE = 32;
/** Pixels of one channel. */
export const PLANE = SIDE * SIDE;
/** Numbers of one image. */
export const SIZE = 3 * PLANE;

/**
 * Where the value of channel c, row y, column x lies among an image's bytes
 * [H, W, C]; position c * PLANE + y * SIDE + x.
 */
export type Layout = Uint16Array;

/** Ways to bring an image's bytes into the order [C, H, W], right and wrong. */
export const LAYOUTS = {
  /** The axes are exchanged, as is right. */
  right: layout((c, y, x) => (y * SIDE + x) * 3 + c),
  /** Bytes of planes, [C, H, W], are taken for pixels, [H, W, C]. */
  "planes-as-pixels": layout((c, y, x) => {
    const at = (y * SIDE + x) * 3 + c; // Among planes.
    return (at % PLANE) * 3 + Math.floor(at / PLANE);
  }),
  /** Bytes of pixels, [H, W, C], are taken for planes, [C, H, W]. */
  "pixels-as-planes": layout((c, y, x) => c * PLANE + y * SIDE + x),
} as const;

/** A name of {@linkcode LAYOUTS}. */
export type LayoutName = keyof typeof LAYOUTS;

function layout(place: (c: number, y: number, x: number) => number): Layout {
  const table = new Uint16Array(SIZE);
  for (let at = 0; at < SIZE; at++) {
    table[at] = place(Math.floor(at / PLANE), Math.floor(at / SIDE) % SIDE, at % SIDE);
  }
  return table;
}

/** Both parts of a data set with what matching needs of them. */
export function storedImages(train: ByteImages, test: ByteImages): StoredImages {
  const labels = newLabels(train.count + test.count, train.classes);
  labels.set(train.labels);
  labels.set(test.labels, train.count);
  const mean = new Float64Array(SIZE);
  for (let i = 0; i < train.count * SIZE; i += SIZE) {
    for (let k = 0; k < SIZE; k++) mean[k] += train.pixels[i + k];
  }
  for (let k = 0; k < SIZE; k++) mean[k] /= train.count;
  return { parts: [train, test], count: labels.length, labels, mean };
}

/** The bytes [H, W, C] of an image. */
export function bytesOf({ parts: [train, test] }: StoredImages, image: number): Uint8Array {
  const [part, at] = image < train.count ? [train, image] : [test, image - train.count];
  return part.pixels.subarray(at * SIZE, (at + 1) * SIZE);
}

/** Whether an image is of the test part. */
export function isTest({ parts: [train] }: StoredImages, image: number): boolean {
  return image >= train.count;
}
