/** Arrays in another order of their axes. */
import { rowMajorStrides } from "./_elements.ts";
import type { Tensor } from "../resnet/mod.ts";

/**
 * A dense copy of an array with its axes in another order.
 *
 * @param tensor Row-major, as all tensors here.
 * @param permutation Each axis once: axis i of the result is axis `permutation[i]` of the tensor.
 *
 * @example A dense kernel of Keras, [in, out], as PyTorch has it.
 * ```ts
 * import { permuteAxes } from "./permute.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const kernel = { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) };
 * const transposed = permuteAxes(kernel, [1, 0]);
 * assertEquals(transposed, { shape: [3, 2], data: Float32Array.of(1, 4, 2, 5, 3, 6) });
 * ```
 */
export function permuteAxes({ shape, data }: Tensor, permutation: readonly number[]): Tensor {
  const strides = rowMajorStrides(shape);
  const extents = permutation.map((axis) => shape[axis]);
  const permuted = new Float32Array(data.length);
  const index = extents.map(() => 0);
  let from = 0;
  for (let i = 0; i < data.length; i++) {
    permuted[i] = data[from];
    for (let axis = extents.length - 1; axis >= 0; axis--) {
      const stride = strides[permutation[axis]];
      from += stride;
      if (++index[axis] < extents[axis]) break;
      from -= stride * extents[axis];
      index[axis] = 0;
    }
  }
  return { shape: extents, data: permuted };
}
