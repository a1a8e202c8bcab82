/**
 * The gradients of a batch whose parts pass one after the other:
 *
 *     total = gradient + total of the parts before, and the same into gradient
 *
 * so that after the last part the update finds the sum where it finds any gradient. One float a
 * lane; the gradients' partial sums stay apart.
 */
import { FLAT_GROUP, flatGrid, type Kernel, STEP } from "../_kernel.ts";
import { entryPoint, LANES, storage } from "./_lanes.ts";

/** Kernel: gradients, totals (both array<f32> of `floats`). */
export function addPartKernel(floats: number): Kernel {
  return {
    label: `add part ${floats}`,
    group: "update",
    workgroups: () => flatGrid(Math.ceil(floats / LANES)),
    operations: () => 0,
    code: [
      STEP,
      storage(1, "gradients", "read_write", "array<f32>"),
      storage(2, "totals", "read_write", "array<f32>"),
      entryPoint(
        LANES,
        `
  let i = ${FLAT_GROUP} * ${LANES}u + lane;
  if (i >= ${floats}u) { return; }
  var sum = gradients[i];
  if (step.part > 0u) { sum += totals[i]; }
  totals[i] = sum;
  gradients[i] = sum;`,
      ),
    ].join("\n"),
  };
}
