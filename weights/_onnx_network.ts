/** From the operations of a file to what is read from it: a network, or why there is none. */
import type { Contents } from "./format.ts";
import type { OnnxFile } from "./_onnx_format.ts";
import { mapOnnx } from "./_onnx_mapping.ts";
import type { OnnxModel } from "./onnx_model.ts";
import { nameByPlace } from "./naming.ts";
import { type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

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

/** What operations and their arrays come to. */
export function contentsOf(file: OnnxFile): Contents {
  try {
    const network = networkOf(file);
    return { tensors: network.weights, network, ordered: true };
  } catch (error) {
    if (!(error instanceof OnnxOperatorError)) throw error;
    return { tensors: error.weights, unmapped: error.operators, ordered: true };
  }
}

/** ResNet-32 of PyTorch's newer exporter has 355, ResNet-1202 would have about 10,000. */
const MOST_NODES = 20_000;

/** Operators that compute with whole numbers and scales. */
const QUANTISED = /Quantize|^QLinear|Integer$/;

/** The network that operations are, under our names. */
export function networkOf(file: OnnxFile): OnnxModel {
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
