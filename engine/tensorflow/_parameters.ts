/**
 * All trainable parameters as one vector, so that one fused operation updates them all and one
 * other takes them apart: an operation of TensorFlow costs tens of microseconds to start.
 *
 * Within the vector a convolution's kernel is [height, width, in, out], as TensorFlow has it; all
 * others are as PyTorch has them.
 */
import {
  type Graph,
  parametersOf,
  type ParameterSpec,
  sizeOf,
  type Tensor,
  type Weights,
} from "../../resnet/mod.ts";
import { permuteAxes } from "../../weights/mod.ts";

/** [O, I, H, W] to [H, W, I, O]. */
const TO_TENSORFLOW = [2, 3, 1, 0];
/** And back. */
const TO_PYTORCH = [3, 2, 0, 1];

/** A parameter's place in the vector. */
export interface Place {
  readonly spec: ParameterSpec;
  /** The shape that operations take. */
  readonly shape: readonly number[];
  readonly size: number;
}

/** The order of the trainable parameters in the vector: the graph's. */
export function placesOf(graph: Graph): Place[] {
  return parametersOf(graph).filter(({ trainable }) => trainable).map((spec) => ({
    spec,
    shape: isKernel(spec) ? TO_TENSORFLOW.map((axis) => spec.shape[axis]) : spec.shape,
    size: sizeOf(spec.shape),
  }));
}

/** Whether a parameter is a convolution's kernel: the only arrays with four axes. */
function isKernel({ shape }: ParameterSpec): boolean {
  return shape.length === TO_TENSORFLOW.length;
}

/** The vector of a state's arrays. */
export function gather(places: readonly Place[], weights: Weights): Float32Array {
  const vector = new Float32Array(places.reduce((sum, { size }) => sum + size, 0));
  let offset = 0;
  for (const { spec, size } of places) {
    const tensor = weights.get(spec.name)!;
    vector.set(isKernel(spec) ? permuteAxes(tensor, TO_TENSORFLOW).data : tensor.data, offset);
    offset += size;
  }
  return vector;
}

/** The arrays of a vector, copied. */
export function scatter(places: readonly Place[], vector: Float32Array): Weights {
  let offset = 0;
  return new Map(places.map((place) => {
    const data = vector.slice(offset, offset + place.size);
    offset += place.size;
    return [place.spec.name, asPyTorch(place, data)];
  }));
}

/** A parameter's or its gradient's values in PyTorch's layout. */
export function asPyTorch({ spec, shape }: Place, data: Float32Array): Tensor {
  return isKernel(spec) ? permuteAxes({ shape, data }, TO_PYTORCH) : { shape: spec.shape, data };
}
