/**
 * Reads residual networks from ONNX files, as the exporters of PyTorch
 * (torch.onnx.export, both of them), tf2onnx and Keras write them, and maps
 * their operations to the nodes of our graph.
 */
import type { Format } from "./format.ts";
import { type OnnxFile, readOnnxFile } from "./_onnx_format.ts";
import { mapOnnx } from "./_onnx_mapping.ts";
import type { OnnxModel } from "./onnx_model.ts";
import { nameByPlace } from "./naming.ts";
import { type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

export type { OnnxModel } from "./onnx_model.ts";
export type {
  InputTransform,
  OnnxDeparture,
  OnnxDepartureId,
  OnnxNote,
  OnnxNoteId,
} from "./_onnx_values.ts";

/** A model with operations that no node of our graph is. */
export class OnnxOperatorError extends WeightFileError {
  /** The class's name, for messages. */
  override name = "OnnxOperatorError";
  /** What could not be mapped, each with where and why. */
  readonly operators: readonly string[];
  /** The arrays of the file under its own names, for looking at them without the graph. */
  readonly weights: Weights;

  /**
   * An error that names the first operators.
   *
   * @param operators At least one.
   * @param weights The file's arrays.
   */
  constructor(operators: readonly string[], weights: Weights) {
    const shown = operators.slice(0, 5).join("; ");
    const more = operators.length > 5 ? `; and ${operators.length - 5} more` : "";
    super(
      `the model has operations that no residual network of the known kinds has: ${shown}${more}. Audit the file of its weights alone, or export the model without them`,
    );
    this.operators = operators;
    this.weights = weights;
  }
}

/** A model with its operations. */
export const onnx: Format = {
  id: "onnx",
  title: "an ONNX file",
  recognises: ({ bytes }) => isOnnx(bytes),
  read: async ({ bytes, beside }) => {
    const file = readOnnxFile(bytes);
    for (const part of file.parts.keys()) file.parts.set(part, await beside(part));
    try {
      const network = networkOf(file);
      return { tensors: network.weights, network, ordered: true };
    } catch (error) {
      if (!(error instanceof OnnxOperatorError)) throw error;
      return { tensors: error.weights, unmapped: error.operators, ordered: true };
    }
  },
};

/** ResNet-32 of PyTorch's newer exporter has 355, ResNet-1202 would have about 10,000. */
const MOST_NODES = 20_000;

/** Whether bytes begin as an ONNX file does: with a version of the format. */
export function isOnnx(bytes: Uint8Array): boolean {
  // Field 1 as a number; versions from 3 (2017) to 13 (2025) exist.
  return bytes[0] === 0x08 && bytes[1] >= 1 && bytes[1] < 64;
}

/**
 * Reads a network from an ONNX file. No code of the file is run; memory stays
 * below 512 MiB above the file's own size.
 *
 * @param bytes The whole file, with the weights inside.
 * @returns The network under our names; images are [N, H, W, C].
 * @throws {OnnxOperatorError} If operations have no counterpart in our graph.
 * @throws {WeightFileError} If the file is malformed or its weights lie in
 *   other files.
 *
 * @example A text is no ONNX file.
 * ```ts
 * import { decodeOnnx } from "./onnx.ts";
 * import { WeightFileError } from "../resnet/mod.ts";
 * import { assertThrows } from "@std/assert";
 *
 * assertThrows(() => decodeOnnx(new TextEncoder().encode("a text")), WeightFileError);
 * ```
 */
export function decodeOnnx(bytes: Uint8Array): OnnxModel {
  if (!isOnnx(bytes)) {
    throw new WeightFileError(
      "not an ONNX file: it does not begin with a version of the format; export the model with torch.onnx.export or tf2onnx",
    );
  }
  return networkOf(readOnnxFile(bytes));
}

/** Operators that compute with whole numbers and scales. */
const QUANTISED = /Quantize|^QLinear|Integer$/;

function networkOf(file: OnnxFile): OnnxModel {
  const quantised = file.nodes.find(({ operator }) => QUANTISED.test(operator));
  if (quantised) {
    throw new WeightFileError(
      `the model is quantised (${quantised.operator} and others): its weights are whole numbers with scales, which are not those that were trained; give the file of the float model that it was made from`,
    );
  }
  if (file.nodes.length > MOST_NODES) {
    throw new WeightFileError(
      `an ONNX graph of at most ${MOST_NODES} operations is read, this one has ${file.nodes.length}`,
    );
  }
  const mapped = mapOnnx(file);
  if ("problems" in mapped) throw new OnnxOperatorError(mapped.problems, weightsOf(file));
  const { network, executable, ...rest } = mapped;
  const named = nameByPlace(network.graph, network.weights);
  return {
    ...named,
    ...rest,
    ...(executable
      ? {
        executable: executable === network
          ? named
          : nameByPlace(executable.graph, executable.weights),
      }
      : {}),
    producer: file.producer,
  };
}

function weightsOf(file: OnnxFile): Weights {
  const weights = new Map<string, Tensor>();
  for (const { name, read } of file.tensors) {
    const { shape, data } = read();
    if (data instanceof Float32Array) weights.set(name, { shape, data });
  }
  return weights;
}
