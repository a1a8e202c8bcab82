/**
 * What the rules on recordings look at: the lines that a recorder wrote of
 * somebody's training, and what the images that it kept turned out to be.
 */
import type { Labels } from "../../engine/mod.ts";
import type { RecordedEvaluation, RecordingLog } from "../../log/mod.ts";
import type { Graph, Weights } from "../../resnet/mod.ts";
import type { Finding } from "../rule.ts";
import { unknown } from "../subject.ts";

/** A training that was recorded. What is missing makes the rules that need it "not observable". */
export interface RecordingSubject {
  /** Every line. */
  readonly log?: RecordingLog;
  /** Whether it is on photographs, the matter of section 3.4; on CIFAR-10 where undefined. */
  readonly photographs?: boolean;
  /** The data set among whose images those of the recording were looked for. */
  readonly dataset?: RecordedSet;
  /** What was trained on, by epoch. */
  readonly training?: readonly ObservedImages[];
  /** What was evaluated. */
  readonly evaluations?: readonly ObservedEvaluation[];
  /** The network that was trained, as its operations say. */
  readonly graph?: Graph;
  /**
   * What the network does to its images before its first convolution, where they are trained on:
   * kinds of operations. What entered is then not what that layer gets.
   */
  readonly onImages?: readonly string[];
  /** Its arrays before the first step, by the graph's names. */
  readonly initialWeights?: Weights;
}

/** A data set as far as rules need it. */
export interface RecordedSet {
  /** For people. */
  readonly name: string;
  /** Images in the training part; images of the test part are numbered from there on. */
  readonly training: number;
  /** Images in the test part. */
  readonly test: number;
  /** Class of each image of both parts. */
  readonly labels: Labels;
  /** The classes' names, where they are known. */
  readonly classNames?: readonly string[];
  /** In bytes, by channel. */
  readonly mean: readonly number[];
  /** In bytes, by channel. */
  readonly deviation: readonly number[];
}

/** A class as people know it: `6 (frog)`, or its number alone. */
export function classInWords(label: number, names: readonly string[] = []): string {
  return Object.hasOwn(names, label) ? `${label} (${names[label]})` : `${label}`;
}

/** Images of one epoch, or of one evaluation. */
export interface ObservedImages {
  /** The loader's id; undefined where there is none. */
  readonly loader?: number;
  /** From 1. */
  readonly epoch: number;
  /** Steps before its first pass. */
  readonly iteration: number;
  /** Images in each batch, in order; what follows has one entry an image. */
  readonly batches: readonly number[];
  /** Number of the stored image; -1: not known. */
  readonly images: Int32Array;
  /** Position in the script's own data set; -1: not known. */
  readonly indices: Int32Array;
  /** -1: not known. */
  readonly labels: Int32Array;
  /** Equal images have equal ones; 0: not known. */
  readonly hashes: BigUint64Array;
  /** Whether all that the epoch delivered is here, from its beginning to its end. */
  readonly whole: boolean;
  /** Those whose pixels were kept and found. */
  readonly views: readonly ObservedView[];
  /** Images whose pixels were kept. */
  readonly looked: number;
  /** How most of them lie before the network. */
  readonly form?: ImageForm;
  /** What was done to their values. */
  readonly preparation?: Preparation;
  /** Where they are no plain crops: what they are. */
  readonly altered?: AlteredImages;
}

/** Images that were evaluated together. */
export interface ObservedEvaluation extends ObservedImages {
  /** What the recorder says of it; undefined where the recording ends before. */
  readonly line?: RecordedEvaluation;
  /** Wrong images of each batch by the stored labels, where the recorder saw none. */
  readonly batchErrors?: readonly number[];
  /** Which images they are. */
  readonly part?: "test" | "validation" | "trained";
  /** How many of its images are trained on, as far as both are known. */
  readonly overlap?: { readonly images: number; readonly trained: number };
}

/** An image as it entered the network. */
export interface ObservedView {
  /** Position among the images of its epoch. */
  readonly at: number;
  /** Number of the stored image. */
  readonly image: number;
  /** The view's row r is the image's row r + y: -4 to 4 in the paper. */
  readonly y: number;
  /** The view's column c, mirrored back, is the image's column c + x. */
  readonly x: number;
  /** Mirrored left to right. */
  readonly flip: boolean;
}

/** How an image's numbers lie before the network. */
export interface ImageForm {
  /** `planes-as-pixels`, `pixels-as-planes`: bytes were reshaped where axes had to be exchanged. */
  readonly layout: "right" | "planes-as-pixels" | "pixels-as-planes";
  /** Rows and columns are exchanged, or up and down. */
  readonly axes: "right" | "transposed" | "upside-down";
  /** Which comes first. */
  readonly channels: "RGB" | "BGR";
}

/** Images that were changed in other ways than by a crop and a mirroring. */
export interface AlteredImages {
  /** `resized`: parts that were enlarged; `changed`: known images with other values or places. */
  readonly kind: "resized" | "changed" | "not-found";
  /** Images that were tried. */
  readonly tried: number;
  /** Those that are so. */
  readonly found: number;
  /** Side of the enlarged parts in pixels: smallest and largest. */
  readonly sides?: readonly [number, number];
}

/** What became of bytes p before the network: v = scale (p - zero), by channel. */
export interface Preparation {
  /**
   * `constants`: one zero a channel for all images; `per-pixel`: one a pixel;
   * `per-image`: it differs from image to image; `unknown`: no straight line.
   */
  readonly kind: "constants" | "per-pixel" | "per-image" | "unknown";
  /** Views that say so. */
  readonly images: number;
  /** By channel of the network's input. */
  readonly scale: readonly number[];
  /** Share of the deviation that is not explained. */
  readonly residual: number;
  /** Of `constants`: the byte that becomes 0, by channel of the network's input. */
  readonly zero?: readonly number[];
  /** Of `per-pixel`: where it is taken; undefined where the views can't tell. */
  readonly subtracted?: "before-padding" | "after-crop";
  /** Of `per-pixel`: distance from the mean of the training part, in bytes. */
  readonly meanDistance?: number;
  /** Of `per-pixel`: how many times the training part's mean it is; 1 where it is right. */
  readonly meanRatio?: number;
  /** Of `per-image`: what of the image's own is subtracted. */
  readonly own?: "channel" | "image" | "neither";
  /** Of `per-image`: whether it is divided by something of the image's own. */
  readonly ownDeviation?: boolean;
  /** What stands around the image. */
  readonly border?: "zero" | "black" | "mirrored" | "repeated" | "other";
}

/** A check that runs where all the parts that it needs are known. */
export function observing<Part extends keyof RecordingSubject>(
  parts: readonly Part[],
  check: (subject: Required<Pick<RecordingSubject, Part>> & RecordingSubject) => Finding,
): (subject: RecordingSubject) => Finding {
  return (subject) =>
    unknown(subject, parts) ??
      check(subject as Required<Pick<RecordingSubject, Part>> & RecordingSubject);
}
