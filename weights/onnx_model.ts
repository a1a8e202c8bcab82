/** What is read from an ONNX file. */
import type { NamedNetwork } from "./naming.ts";
import type { InputTransform, OnnxDeparture, OnnxNote } from "./_onnx_values.ts";

/** A network read from an ONNX file. */
export interface OnnxModel extends NamedNetwork {
  /** What the graph does not say; at most one note of each kind. */
  readonly notes: readonly OnnxNote[];
  /** Operations that a node of ours only stands for: what they are, and where. */
  readonly departures: readonly OnnxDeparture[];
  /**
   * A network that computes exactly what the file does. It differs from `graph`
   * only where a note says `padding-one-sided`: there it has a larger kernel
   * with zeros, so that the padding is the same on all sides. Undefined where
   * there are `departures`.
   */
  readonly executable?: NamedNetwork;
  /** What to do with an image before it is given to the graph, where the model does it itself. */
  readonly inputTransform?: InputTransform;
  /** Batch norm's constant, if the model has a batch norm. */
  readonly epsilon?: number;
  /** The exporter's name for itself. */
  readonly producer: string;
}
