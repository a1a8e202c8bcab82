import {
  assert,
  assertEquals,
  assertGreater,
  assertLess,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import { assertTensorClose } from "../../../testing/mod.ts";
import { type ImageShape, type KernelLimits, type Source, vectors } from "../_kernel.ts";
import { GUARANTEED, testKernel } from "../_testing.ts";
import { randomOperand } from "./_operand_fixture.ts";
import { checkKernel, unwritten } from "./_testing.ts";
import type { ConvolutionShape } from "./convolution.ts";
import { biasGradientKernel, weightGradientKernel } from "./weight_gradient.ts";

/** Single-precision sums of up to some thousand terms. */
const SUMS = { relativeNorm: 1e-6 };

/** What larger cards offer: larger chunks than under the guaranteed limits. */
const LARGER: KernelLimits = { ...GUARANTEED, maxComputeWorkgroupStorageSize: 32768 };

/** Height, width, channels, filters, kernel, stride, padding. */
type Sizes = readonly [number, number, number, number, number, number, number];

function shapeOf([height, width, channels, filters, kernel, stride, padding]: Sizes) {
  const size = (length: number) => Math.floor((length + 2 * padding - kernel) / stride) + 1;
  return {
    input: { height, width, channels },
    output: { height: size(height), width: size(width), channels: filters },
    ...{ kernel, stride, padding, dilation: 1 },
  };
}

/** The definition in double precision, [tap][C rounded up][F rounded up]. */
function weightGradient(
  { input, output, kernel, stride, padding }: ConvolutionShape,
  x: Float64Array,
  dz: Float64Array,
  images: number,
): Float32Array {
  const C = 4 * vectors(input.channels), F = 4 * vectors(output.channels);
  const dw = new Float64Array(kernel ** 2 * C * F);
  for (let n = 0; n < images; n++) {
    for (let i = 0; i < output.height; i++) {
      for (let j = 0; j < output.width; j++) {
        const pixel = (n * output.height + i) * output.width + j;
        for (let tap = 0; tap < kernel ** 2; tap++) {
          const y = stride * i + Math.floor(tap / kernel) - padding;
          const column = stride * j + tap % kernel - padding;
          if (y < 0 || y >= input.height || column < 0 || column >= input.width) continue;
          const inputPixel = (n * input.height + y) * input.width + column;
          for (let c = 0; c < input.channels; c++) {
            for (let f = 0; f < output.channels; f++) {
              dw[(tap * C + c) * F + f] += x[inputPixel * C + c] * dz[pixel * F + f];
            }
          }
        }
      }
    }
  }
  return Float32Array.from(dw);
}

interface Case {
  readonly shape: ConvolutionShape;
  readonly activation?: Source;
  readonly gradient?: Source;
  readonly limits?: KernelLimits;
  readonly batch?: number;
  /** Of the step. */
  readonly images?: number;
}

/** Runs a case, compares the sum of its partials with the definition, and returns them. */
async function check(
  { shape, activation = "stored", gradient = "stored", limits = GUARANTEED, ...sizes }: Case,
): Promise<Float32Array[]> {
  const { batch = 2, images = batch } = sizes;
  const x = randomOperand(activation, shape.input, images, batch, 1);
  const dz = randomOperand(gradient, shape.output, images, batch, 2);
  const kernel = weightGradientKernel(shape, { activation, gradient }, batch, limits);
  const expected = weightGradient(shape, x.values, dz.values, images);
  const operands = [...x.buffers, ...dz.buffers];
  const found = await checkKernel(
    kernel,
    [
      ...operands.map((buffer) => [buffer, "unchanged"] as const),
      [unwritten(kernel.partials * expected.length), "unchecked"],
    ],
    SUMS,
    { images },
  );
  const all = found[operands.length];
  const partials = Array.from(
    { length: kernel.partials },
    (_, p) => all.subarray(p * expected.length, (p + 1) * expected.length),
  );
  const sum = expected.map((_, i) => partials.reduce((sum, partial) => sum + partial[i], 0));
  assertTensorClose(sum, expected, SUMS, kernel.label);
  // What rounding up adds is zero exactly, in every partial.
  for (const partial of partials) {
    for (let i = 0; i < expected.length; i++) {
      const C = 4 * vectors(shape.input.channels), F = 4 * vectors(shape.output.channels);
      if (i % F >= shape.output.channels || Math.floor(i / F) % C >= shape.input.channels) {
        assertEquals(partial[i], 0, `${kernel.label}: element ${i} lies beyond the layer`);
      }
    }
  }
  return partials;
}

const SIZES: readonly Sizes[] = [
  // The paper's.
  [32, 32, 3, 16, 3, 1, 1],
  [32, 32, 16, 16, 3, 1, 1],
  [32, 32, 16, 32, 3, 2, 1],
  [16, 16, 32, 32, 3, 1, 1],
  [16, 16, 32, 64, 3, 2, 1],
  [8, 8, 64, 64, 3, 1, 1],
  // Larger nets'.
  [32, 32, 16, 32, 1, 2, 0],
  [8, 8, 36, 68, 1, 1, 0],
  [4, 4, 132, 20, 3, 1, 1],
  [1, 1, 64, 32, 3, 1, 1],
  [46, 38, 3, 20, 7, 2, 3],
  // Rows that no workgroup holds whole.
  [5, 300, 18, 17, 3, 1, 1],
  [12, 150, 9, 20, 5, 2, 2],
  // Nothing divides anything; windows that leave rows out, and such that lie in the padding.
  [7, 5, 5, 9, 3, 1, 1],
  [33, 31, 6, 18, 3, 2, 1],
  [9, 11, 5, 6, 2, 3, 0],
  [11, 8, 3, 5, 1, 3, 0],
  [1, 1, 3, 2, 3, 1, 2],
  [6, 7, 11, 5, 3, 1, 0],
  [13, 9, 7, 3, 11, 1, 5],
];

for (const sizes of SIZES) {
  testKernel(`the weight gradient is its definition's: ${sizes}`, async () => {
    await check({ shape: shapeOf(sizes) });
  });
}

/** So many tiles of weights that a part is several chunks, which share rows of the input. */
const RUNS: readonly Sizes[] = [
  [32, 32, 64, 60, 3, 1, 1],
  [35, 31, 64, 64, 3, 2, 1],
  [9, 150, 48, 68, 3, 1, 0],
  [23, 60, 20, 20, 5, 1, 2],
  [30, 9, 132, 132, 1, 2, 0],
];

for (const sizes of RUNS) {
  testKernel(`the weight gradient of chunks in a row: ${sizes}`, async () => {
    const partials = await check({ shape: shapeOf(sizes), batch: 3 });
    const larger = await check({ shape: shapeOf(sizes), batch: 3, images: 2, limits: LARGER });
    assertLess(Math.max(partials.length, larger.length), 20);
  });
}

for (const gradient of ["stored", "gradient"] as const) {
  for (const activation of ["stored", "normalised", "normalised-relu"] as const) {
    // The shift b of the normalisation must not reach the padding.
    testKernel(`the weight gradient of ${activation} and ${gradient}`, async () => {
      await check({ shape: shapeOf([7, 6, 6, 10, 3, 1, 1]), activation, gradient });
      await check({ shape: shapeOf([16, 16, 17, 5, 3, 2, 1]), activation, gradient });
    });
  }
}

testKernel("images beyond the step's leave their partials zero", async () => {
  for (const sizes of [[16, 16, 4, 4, 3, 1, 1], [3, 3, 4, 4, 3, 1, 1]] as const) {
    for (const images of [1, 3, 6]) {
      const partials = await check({ shape: shapeOf(sizes), batch: 40, images });
      const empty = partials.filter((partial) => partial.every((value) => value === 0));
      assert(empty.length > 0 && empty.length < partials.length, `${empty.length} empty partials`);
    }
  }
});

Deno.test("partials depend on the shape and the batch, and fill a large card", () => {
  const sources = { activation: "stored", gradient: "stored" } as const;
  const paper: readonly Sizes[] = [
    [32, 32, 16, 16, 3, 1, 1],
    [16, 16, 32, 32, 3, 1, 1],
    [8, 8, 64, 64, 3, 1, 1],
  ];
  for (const limits of [GUARANTEED, LARGER]) {
    const kernels = paper.map((sizes) =>
      weightGradientKernel(shapeOf(sizes), sources, 128, limits)
    );
    assertEquals(kernels.map(({ partials }) => partials), [256, 64, 16]);
    for (const kernel of kernels) {
      const [x, y, z] = kernel.workgroups(1);
      assertEquals([x * y * z, y], [256, kernel.partials]);
      assertEquals(kernel.workgroups(128), [x, y, z]);
      // 128 images, 1,024 pixels of 16 channels (as many products at each depth), 9 taps.
      assertEquals(kernel.operations(128), 2 * 128 * 1024 * 16 * 16 * 9);
    }
  }
  const large = weightGradientKernel(shapeOf([4, 4, 512, 512, 3, 1, 1]), sources, 128, GUARANTEED);
  assertEquals(large.partials, 1);
});

Deno.test("a weight gradient's label tells kernels of different code apart", () => {
  const variants = [
    ...[[8, 8, 4, 4, 3, 1, 1], [8, 8, 4, 4, 3, 1, 0], [8, 8, 4, 4, 3, 2, 1]] as const,
    ...[[8, 8, 4, 5, 3, 1, 1], [8, 8, 5, 4, 3, 1, 1], [9, 8, 4, 4, 3, 1, 1]] as const,
  ].map((sizes) => ({ shape: shapeOf(sizes), batch: 8, limits: GUARANTEED as KernelLimits }));
  const kernels = [
    ...variants,
    { ...variants[0], batch: 999 },
    { ...variants[0], limits: LARGER },
  ].flatMap(({ shape, batch, limits }) =>
    (["stored", "gradient"] as const).map((gradient) =>
      weightGradientKernel(shape, { activation: "stored", gradient }, batch, limits)
    )
  );
  assertGreater(new Set(kernels.map(({ code }) => code)).size, 12);
  for (const [i, kernel] of kernels.entries()) {
    for (const other of kernels.slice(0, i)) {
      if (kernel.code !== other.code) assertNotEquals(kernel.label, other.label);
    }
  }
});

Deno.test("a window that workgroup memory can't hold is refused", () => {
  assertThrows(
    () =>
      weightGradientKernel(
        shapeOf([40, 40, 8, 8, 31, 1, 15]),
        { activation: "stored", gradient: "stored" },
        1,
        GUARANTEED,
      ),
    RangeError,
    "31x31 convolution: one window of its input must fit the device's 16384 bytes",
  );
});

const OUTPUTS: readonly ImageShape[] = [
  { height: 32, width: 32, channels: 16 },
  { height: 7, width: 5, channels: 9 },
  { height: 1, width: 1, channels: 3 },
];

for (const image of OUTPUTS) {
  const { height, width, channels } = image;
  testKernel(
    `the bias gradient is the sum over pixels: ${height}x${width}x${channels}`,
    async () => {
      const [images, batch] = [3, 5];
      for (const source of ["stored", "gradient"] as const) {
        const dz = randomOperand(source, image, images, batch, 3);
        const stored = 4 * vectors(channels);
        const db = new Float64Array(stored);
        for (let i = 0; i < images * height * width * stored; i++) db[i % stored] += dz.values[i];
        await checkKernel(
          biasGradientKernel(image, source),
          [
            ...dz.buffers.map((buffer) => [buffer, "unchanged"] as const),
            [unwritten(stored), Float32Array.from(db)],
          ],
          SUMS,
          { images },
        );
      }
    },
  );
}
