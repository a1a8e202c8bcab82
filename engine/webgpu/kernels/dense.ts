/**
 * The dense layer, on rows [N, C] of an activation:
 *
 *     y[n, f] = b[f] + sum over c of x[n, c] W[c, f]
 *     dx[n, c] = sum over f of dy[n, f] W[c, f]
 *     dW[c, f] = sum over n of x[n, c] dy[n, f]     db[f] = sum over n of dy[n, f]
 *
 * W is [C rounded up to 4][F4] and b [F4], in vectors of four units. A lane makes one vector
 * of y or dx, and lanes side by side share their reads of W. For dW a workgroup takes four
 * channels by four units, its lanes different images, whose sums are added as a tree; the
 * workgroups of the first channels also leave db.
 */
import { type Kernel, type Source, sourceCode, STEP, vectors } from "../_kernel.ts";
import { elementwise, entryPoint, storage, sumRows } from "./_lanes.ts";

/** Sizes of a dense layer; in memory both are rounded up to a multiple of 4. */
export interface DenseShape {
  /** C: numbers that go in. */
  readonly channels: number;
  /** F: numbers that come out. */
  readonly units: number;
}

/** Lanes that share the images of a weight gradient. */
const IMAGE_LANES = 64;

/** Kernel: x's bindings, W, b, y. */
export function denseKernel(shape: DenseShape, source: Source): Kernel {
  const { C4, F4 } = sizes(shape);
  const x = sourceCode(source, "x", 1, shape.channels);
  return {
    ...elementwise({
      label: `${labelOf(shape)}, ${source}`,
      group: "dense",
      perImage: F4,
      declarations: [
        x.declarations,
        storage(1 + x.bindings, "weights"),
        storage(2 + x.bindings, "bias"),
        storage(3 + x.bindings, "y", "read_write"),
      ],
      body: `
  let n = i / ${F4}u;
  let f = i % ${F4}u;
  var sum = bias[f];
  for (var c = 0u; c < ${C4}u; c++) {
    let x = load_x(n * ${C4}u + c, c);
    ${
        ["x", "y", "z", "w"].map((part, row) =>
          `sum = fma(vec4f(x.${part}), weights[(4u * c + ${row}u) * ${F4}u + f], sum);`
        ).join("\n    ")
      }
  }
  y[i] = sum;`,
    }),
    operations: operationsOf(shape),
  };
}

/** Kernel: dy, W, dx; dx is added to what is there with `accumulate`. */
export function denseInputGradientKernel(shape: DenseShape, accumulate: boolean): Kernel {
  const { C4, F4 } = sizes(shape);
  return {
    ...elementwise({
      label: `${labelOf(shape)}, input gradient${accumulate ? " added" : ""}`,
      group: "dense",
      perImage: C4,
      declarations: [storage(1, "dy"), storage(2, "weights"), storage(3, "dx", "read_write")],
      body: `
  let n = i / ${C4}u;
  let c = i % ${C4}u;
  var sum = ${accumulate ? "dx[i]" : "vec4f()"};
  for (var f = 0u; f < ${F4}u; f++) {
    let gradient = dy[n * ${F4}u + f];
    sum += vec4f(${
        [0, 1, 2, 3].map((row) => `
      dot(gradient, weights[(4u * c + ${row}u) * ${F4}u + f]),`).join("")
      }
    );
  }
  dx[i] = sum;`,
    }),
    operations: operationsOf(shape),
  };
}

/** Kernel: x's bindings, dy, dW, db. */
export function denseWeightGradientKernel(shape: DenseShape, source: Source): Kernel {
  const { C4, F4 } = sizes(shape);
  const x = sourceCode(source, "x", 1, shape.channels);
  const parts = ["x", "y", "z", "w"];
  return {
    label: `${labelOf(shape)}, weight gradient, ${source}`,
    group: "dense",
    workgroups: () => [C4, F4, 1],
    operations: operationsOf(shape),
    code: [
      STEP,
      x.declarations,
      storage(1 + x.bindings, "dy"),
      storage(2 + x.bindings, "weight_gradient", "read_write"),
      storage(3 + x.bindings, "bias_gradient", "read_write"),
      sumRows({ columns: 1, rows: IMAGE_LANES }),
      entryPoint(
        IMAGE_LANES,
        `
  let c = group.x;
  let f = group.y;
  var sum = vec4f();
  ${parts.map((part) => `var sum_${part} = vec4f();`).join("\n  ")}
  for (var n = lane; n < step.images; n += ${IMAGE_LANES}u) {
    let x = load_x(n * ${C4}u + c, c);
    let gradient = dy[n * ${F4}u + f];
    sum += gradient;
    ${
          parts.map((part) => `sum_${part} = fma(vec4f(x.${part}), gradient, sum_${part});`)
            .join("\n    ")
        }
  }
  ${parts.map((part) => `sum_${part} = sum_rows(lane, sum_${part});`).join("\n  ")}
  sum = sum_rows(lane, sum);
  if (lane > 0u) { return; }
  ${
          parts.map((part, row) =>
            `weight_gradient[(4u * c + ${row}u) * ${F4}u + f] = sum_${part};`
          ).join("\n  ")
        }
  if (c == 0u) { bias_gradient[f] = sum; }`,
      ),
    ].join("\n"),
  };
}

function sizes({ channels, units }: DenseShape): { C4: number; F4: number } {
  return { C4: vectors(channels), F4: vectors(units) };
}

function labelOf({ channels, units }: DenseShape): string {
  return `dense ${channels} to ${units}`;
}

function operationsOf({ channels, units }: DenseShape): (images: number) => number {
  return (images) => 2 * images * channels * units;
}
