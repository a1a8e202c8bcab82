/** What the mapping of an ONNX graph and its operators share. */
import type { Constant, OnnxNode } from "./_onnx_format.ts";
import { quote } from "../text/mod.ts";
import type { NodeSpec, Shape, Tensor } from "../resnet/mod.ts";

/** What of an ONNX file its graph does not say. */
export type OnnxNoteId =
  /** Convolutions have a bias and no batch norm: it was folded into them, or never there. */
  | "batch-norm-folded"
  /** A scale and a shift a channel stand as a batch norm with mean 0 and variance 1. */
  | "affine-as-batch-norm"
  /** The model changes its input before the first layer: see `inputTransform`. */
  | "preprocessing-inside"
  /** The input is limited to a range, which is left out of the graph. */
  | "input-clipped"
  /** The last operation is a softmax, which is left out of the graph. */
  | "softmax-inside"
  /** Dropout, which does nothing outside of training, is left out of the graph. */
  | "dropout"
  /** A convolution has more zeros below and to the right than above and to the left. */
  | "padding-one-sided"
  /** The dense layer has no bias in the file; zeros stand for it. */
  | "dense-without-bias"
  /** The file leaves the size of the images open; 32x32 is taken. */
  | "input-size-open"
  /** Batch norm would take the statistics of the batch in inference too. */
  | "batch-norm-in-training-mode"
  /** Only the first of several outputs is mapped. */
  | "several-outputs";

/** Something that was seen in the file, with where. */
export interface OnnxNote {
  /** Which of the known kinds. */
  readonly id: OnnxNoteId;
  /** For people, with the names and numbers of the file. */
  readonly evidence: string;
}

/** Operations for which a node of ours stands, so that the rest of the network can be judged. */
export type OnnxDepartureId =
  /** Another activation than ReLU, for which a ReLU stands. */
  | "other-activation"
  /** A mean of windows on a shortcut, for which every second pixel stands. */
  | "average-pooled-shortcut"
  /** Channels that are copied, for which zeros stand. */
  | "copied-channels"
  /** Maps that are not averaged to one number before the last layer. */
  | "flattened-head"
  /** A sigmoid as the last operation, which is left out. */
  | "sigmoid-at-end"
  /** Convolutions over some of the channels, for which one over all stands. */
  | "grouped"
  /** Convolutions that skip pixels, for which one that does not stands. */
  | "dilated"
  /** Another normalisation, for which a batch norm stands. */
  | "group-norm"
  /** Pooling by the mean within the network, for which max pooling stands. */
  | "max-pooled-stages"
  /** Several dense layers, or one before the pooling. */
  | "hidden-dense";

/** What a node of ours stands for. */
export interface OnnxDeparture {
  /** Which of the known kinds. */
  readonly id: OnnxDepartureId;
  /** For people, with the names and numbers of the file. */
  readonly evidence: string;
}

/** A change of the input that a model makes itself: x * scale + shift. */
export interface InputTransform {
  /** [H, W, C]. */
  readonly scale: Float32Array;
  /** [H, W, C]. */
  readonly shift: Float32Array;
}

export type Axis = "N" | "H" | "W" | "C";
export const CHANNELS_FIRST: readonly Axis[] = ["N", "C", "H", "W"];
export const CHANNELS_LAST: readonly Axis[] = ["N", "H", "W", "C"];
export const VECTOR: readonly Axis[] = ["N", "C"];
export const DEFAULT_EPSILON = 1e-5;
/** x * scale + shift; one number each, [C], or for the network's input [H, W, C]. */
export interface AffineChange {
  readonly kind: "affine";
  readonly scale: Float32Array;
  readonly shift: Float32Array;
}

/** Every `stride`-th pixel, and zero channels: a shortcut of option A. */
export interface PickChange {
  readonly kind: "pick";
  /** Exporters slice height and width one after the other. */
  readonly rows: number;
  readonly columns: number;
  readonly before: number;
  readonly after: number;
  /** Where the pixels are means of windows. */
  readonly averaged?: Averaged;
}

/** A mean of windows in place of every `stride`-th pixel. */
export interface Averaged {
  /** Height and width of the window. */
  readonly window: number;
  /** For people. */
  readonly evidence: string;
}

/** Zeros around the image. */
export interface PadChange {
  readonly kind: "pad";
  /** Top, left, bottom, right. */
  readonly pads: Pads;
}

export type Pads = readonly [number, number, number, number];
export type Change = AffineChange | PickChange | PadChange;

/** A tensor that depends on the input: a node's output, and what is still to be done to it. */
export class Activation {
  constructor(
    readonly node: string,
    /** Of the node, [H, W, C] or [C]. */
    readonly shape: Shape,
    /** In the order of the file's tensor. */
    readonly axes: readonly Axis[],
    readonly change?: Change,
  ) {}

  with(parts: { axes?: readonly Axis[]; change?: Change }): Activation {
    return new Activation(this.node, this.shape, parts.axes ?? this.axes, parts.change);
  }

  /** Of the file's tensor, with -1 for the batch. */
  extents(): number[] {
    const [height, width, channels] = this.shape.length === 3 ? this.shape : [1, 1, this.shape[0]];
    const size = { N: -1, H: height, W: width, C: channels };
    if (this.change?.kind === "pick") {
      const { rows, columns, before, after } = this.change;
      size.H = Math.ceil(height / rows);
      size.W = Math.ceil(width / columns);
      size.C += before + after;
    } else if (this.change?.kind === "pad") {
      const [top, left, bottom, right] = this.change.pads;
      size.H += top + bottom;
      size.W += left + right;
    }
    return this.axes.map((axis) => size[axis]);
  }
}

/** A tensor of zeros whose batch is not known. */
export class Zeros {
  constructor(readonly extents: readonly number[]) {}
}

/** Channels taken together in groups, between the operations of a group norm. */
export class Grouped {
  constructor(readonly x: Activation, readonly normalised: boolean) {}
}

/** Undefined where the value comes from an operation that could not be mapped. */
export type Value = Constant | Activation | Zeros | Grouped | undefined;

/** Why one operation can't be mapped. */
export class Unmappable extends Error {}

/** A convolution's window where the padding differs from side to side. */
export interface OneSided {
  readonly kernel: number;
  readonly padding: number;
  /** Where the file's kernel begins in the larger one. */
  readonly offset: number;
}

export type WithoutName<Spec> = Spec extends NodeSpec ? Omit<Spec, "name"> : never;

/** What a handler of one operator sees and may do. */
export interface Operation {
  readonly node: OnnxNode;
  readonly inputs: readonly Value[];
  /** Whether the output of the operation is the network's. */
  readonly isLast: boolean;
  readonly settle: (value: Activation) => Activation;
  readonly emit: (
    spec: WithoutName<NodeSpec>,
    arrays: Readonly<Record<string, Tensor>>,
  ) => Activation;
  readonly addBias: (input: number, shift: Float32Array) => boolean;
  readonly depth: (node: string) => number;
  readonly note: (id: OnnxNoteId, evidence: string) => void;
  /** Says that a node only stands for what the file has. */
  readonly departs: (id: OnnxDepartureId, evidence: string) => void;
  /** Says that a node's output is what an activation of that kind gives, or a norm. */
  readonly standIn: (node: string, as: "activation" | "norm") => void;
  /** Whether a node is such a stand-in. */
  readonly standsFor: (node: string) => "activation" | "norm" | undefined;
  /** What a node takes. */
  readonly inputOf: (node: string) => string | undefined;
  /** What a node is. */
  readonly kindOf: (node: string) => NodeSpec["kind"] | undefined;
  readonly epsilon: (epsilon: number) => void;
  readonly oneSided: (node: string, window: OneSided) => void;
  readonly withoutBias: (node: string) => void;
}

export function describe({ operator, domain, name }: OnnxNode): string {
  return `${domain ? `${domain}.` : ""}${operator}${name ? ` ${quote(name)}` : ""}`;
}

export function isConstant(value: Value): value is Constant {
  return value !== undefined && !(value instanceof Activation) && !(value instanceof Zeros) &&
    !(value instanceof Grouped);
}

export function floats({ shape, data }: Constant): Tensor {
  return { shape, data: data instanceof Float32Array ? data : Float32Array.from(data) };
}

export function vector(data: Float32Array): Tensor {
  return { shape: [data.length], data };
}
