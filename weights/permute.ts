/** Arrays in another order of their axes, and kernels within larger ones. */
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

/**
 * A convolution's kernel within a larger one of zeros: padding that is the same on all sides then
 * gives what uneven padding did.
 *
 * @param tensor [O, I, H, H].
 * @param size Height and width of the larger one.
 * @param offset Its rows before the kernel's first, and columns.
 *
 * @example
 * ```ts
 * import { widen } from "./permute.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { data } = widen({ shape: [1, 1, 1, 1], data: Float32Array.of(5) }, 2, 1);
 * assertEquals([...data], [0, 0, 0, 5]);
 * ```
 */
export function widen({ shape, data }: Tensor, size: number, offset: number): Tensor {
  const [filters, channels, kernel] = shape;
  const larger = new Float32Array(filters * channels * size * size);
  for (let plane = 0; plane < filters * channels; plane++) {
    for (let row = 0; row < kernel; row++) {
      const from = (plane * kernel + row) * kernel;
      const to = (plane * size + row + offset) * size + offset;
      larger.set(data.subarray(from, from + kernel), to);
    }
  }
  return { shape: [filters, channels, size, size], data: larger };
}
