/** Named arrays: the form in which weights travel between rooms and files. */

/** A dense array of 32-bit floats in row-major order. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Arrays by name, in a fixed order: PyTorch's names and layouts. */
export type Weights = ReadonlyMap<string, Tensor>;
