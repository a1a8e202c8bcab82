import {
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertLessOrEqual,
  assertThrows,
  equal,
} from "@std/assert";
import { assertTensorClose } from "../../../testing/mod.ts";
import {
  type ImageShape,
  type KernelLimits,
  SLOPES,
  type Source,
  STATISTICS,
  vectors,
} from "../_kernel.ts";
import { GUARANTEED, runKernel, testKernel } from "../_testing.ts";
import {
  convolutionKernel,
  type ConvolutionShape,
  type ConvolutionTile,
  type ConvolutionVariant,
  inputGradientShape,
  tileFor,
} from "./convolution.ts";
import { tilesFor } from "./_tiling.ts";

/** What larger cards offer: other tiles than under the guaranteed limits. */
const LARGER: KernelLimits = {
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupStorageSize: 32768,
};

const plain: ConvolutionVariant = {
  source: "stored",
  bias: false,
  accumulate: false,
  epilogue: { kind: "none" },
  group: "convolution",
};

/** Height, width, channels, filters, kernel, stride and padding of a forward convolution. */
type Sizes = readonly [number, number, number, number, number, number, number];

function shapeOf([height, width, channels, filters, kernel, stride, padding]: Sizes) {
  const size = (length: number) => Math.floor((length + 2 * padding - kernel) / stride) + 1;
  const output = { height: size(height), width: size(width), channels: filters };
  return { input: { height, width, channels }, output, kernel, stride, padding, dilation: 1 };
}

/** Paper's shapes, those of larger nets, and sizes that no tile, vector or stride divides. */
const SIZES: readonly Sizes[] = [
  [32, 32, 3, 16, 3, 1, 1],
  [32, 32, 16, 16, 3, 1, 1],
  [32, 32, 16, 32, 3, 2, 1],
  [16, 16, 32, 32, 3, 1, 1],
  [16, 16, 32, 64, 3, 2, 1],
  [8, 8, 64, 64, 3, 1, 1],
  [32, 32, 16, 32, 1, 2, 0],
  [1, 1, 64, 10, 1, 1, 0],
  [7, 5, 5, 9, 3, 1, 1],
  [7, 5, 5, 9, 3, 2, 1],
  [33, 31, 6, 18, 3, 2, 1],
  [1, 1, 3, 2, 3, 1, 1],
  [9, 11, 5, 6, 2, 3, 0],
  [11, 8, 3, 5, 1, 3, 0],
  [28, 30, 3, 6, 7, 2, 3],
  [4, 4, 20, 132, 3, 1, 1],
  [1, 1, 5, 6, 3, 3, 1],
  [3, 2, 3, 5, 3, 5, 1],
];

/** Numbers in -1..1, the same for the same seed. */
function numbers(count: number, seed: number): Float32Array {
  let state = seed * 2654435761 >>> 0;
  return Float32Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Rows of [channels] numbers, rounded up to vectors with zeros. */
function padded(rows: number, channels: number, seed: number): Float32Array {
  const row = 4 * vectors(channels);
  const values = numbers(rows * row, seed);
  return values.map((value, i) => i % row < channels ? value : 0);
}

function tensor(images: number, { height, width, channels }: ImageShape, seed: number) {
  return padded(images * height * width, channels, seed);
}

/** [taps][C rounded up][F rounded up], zero beyond C and F. */
function weightsOf({ input, output, kernel }: ConvolutionShape): Float32Array {
  const rows = 4 * vectors(input.channels), row = 4 * vectors(output.channels);
  return padded(kernel ** 2 * rows, output.channels, 3)
    .map((value, i) => Math.floor(i / row) % rows < input.channels ? value : 0);
}

/** A source's buffers, and the values that it stands for, in double precision. */
function sourceOf(source: Source, images: number, shape: ImageShape) {
  const row = 4 * vectors(shape.channels);
  const stored = tensor(images, shape, 1), second = tensor(images, shape, 2);
  const rows = padded(4, shape.channels, 4);
  const at = (place: number, i: number) => rows[place * row + i % row];
  const values = Float64Array.from(stored, (value, i) => {
    const normalised = at(STATISTICS.a, i) * value + at(STATISTICS.b, i);
    switch (source) {
      case "stored":
        return value;
      case "normalised":
        return normalised;
      case "normalised-relu":
        return Math.max(0, normalised);
      case "gradient":
        return at(SLOPES.a, i) * value + at(SLOPES.b, i) * second[i] + at(SLOPES.c, i);
    }
  });
  const buffers = {
    "stored": [stored],
    "normalised": [stored, rows],
    "normalised-relu": [stored, rows],
    "gradient": [stored, second, rows.subarray(0, SLOPES.rows * row)],
  }[source];
  return { buffers, values };
}

/** The definition, tap by tap: every input pixel scattered to the outputs that it takes part in. */
function convolve(
  shape: ConvolutionShape,
  images: number,
  x: Float64Array,
  w: Float32Array,
): Float64Array {
  const { input, output, kernel, stride, padding, dilation } = shape;
  const C = 4 * vectors(input.channels), F = 4 * vectors(output.channels);
  const z = new Float64Array(images * output.height * output.width * F);
  for (let image = 0; image < images; image++) {
    for (let i = 0; i < input.height; i++) {
      for (let j = 0; j < input.width; j++) {
        const pixel = ((image * input.height + i) * input.width + j) * C;
        for (let tap = 0; tap < kernel ** 2; tap++) {
          const y = (i * dilation + padding - Math.floor(tap / kernel)) / stride;
          const column = (j * dilation + padding - tap % kernel) / stride;
          if (!Number.isInteger(y) || y < 0 || y >= output.height) continue;
          if (!Number.isInteger(column) || column < 0 || column >= output.width) continue;
          const to = ((image * output.height + y) * output.width + column) * F;
          for (let c = 0; c < input.channels; c++) {
            for (let f = 0; f < output.channels; f++) {
              z[to + f] += x[pixel + c] * w[(tap * C + c) * F + f];
            }
          }
        }
      }
    }
  }
  return z;
}

/** Written where a kernel must not write, and read where it must not read. */
const POISON = 1e30;

interface Case {
  readonly shape: ConvolutionShape;
  readonly variant?: Partial<ConvolutionVariant>;
  readonly limits?: KernelLimits;
  readonly tile?: ConvolutionTile;
  readonly images?: number;
  /** Images that the buffers have room for, more than `images`. */
  readonly room?: number;
}

/** Runs a case and compares all that it writes with double precision. */
async function check(
  { shape, variant: changes, limits = GUARANTEED, tile, images = 2, room = images }: Case,
): Promise<Float32Array[]> {
  const variant = { ...plain, ...changes };
  const { bias, accumulate, epilogue } = variant;
  const { input, output } = shape;
  const F = 4 * vectors(output.channels);
  const imageSize = output.height * output.width * F;
  const limit = (values: Float32Array, size: number) =>
    values.fill(POISON, values.length / room * images, size);
  const source = sourceOf(variant.source, room, input);
  for (const buffer of source.buffers) {
    if (buffer.length === source.values.length) limit(buffer, buffer.length);
  }
  const weights = weightsOf(shape);
  const biases = padded(1, output.channels, 5);
  const before = tensor(room, output, 6);
  limit(before, before.length);
  const z = tensor(room, output, 7), y = tensor(room, output, 8).map((v) => Math.max(0, v));
  limit(z, z.length);
  limit(y, y.length);
  const statistics = padded(STATISTICS.rows, output.channels, 9);
  const at = (row: number, i: number) => statistics[row * F + i % F];

  const kernel = convolutionKernel(shape, variant, limits, tile);
  const tiles = tilesFor(kernel.tiling, images);
  const partialRows = { none: 0, statistics: 3, gradient: 2 }[epilogue.kind];
  // One tile more than is written.
  const partials = new Float32Array((tiles + 1) * partialRows * F).fill(POISON);
  const buffers: Float32Array[] = [...source.buffers, weights];
  if (bias) buffers.push(biases);
  const outputPlace = buffers.push(before) - 1;
  if (epilogue.kind === "gradient") {
    buffers.push(z, statistics);
    if (epilogue.mask === "stored") buffers.push(y);
  }
  if (epilogue.kind !== "none") buffers.push(partials);
  const results = await runKernel(kernel, { images }, buffers);

  const x = source.values.subarray(0, source.values.length / room * images);
  const expected = convolve(shape, images, x, weights).map((value, i) => {
    value += (bias ? biases[i % F] : 0) + (accumulate ? before[i] : 0);
    if (epilogue.kind !== "gradient") return value;
    const kept = {
      none: 1,
      stored: y[i],
      recomputed: at(STATISTICS.a, i) * z[i] + at(STATISTICS.b, i),
    }[epilogue.mask] > 0;
    return kept ? value : 0;
  });
  const written = results[outputPlace];
  assertTensorClose(
    written.subarray(0, images * imageSize),
    Float32Array.from(expected),
    { relativeNorm: 2e-6 },
    kernel.label,
  );
  results.forEach((result, i) => {
    if (i === outputPlace || buffers[i] === partials) return;
    assertEquals(result, buffers[i], `${kernel.label}: binding ${i + 1} changed`);
  });
  assertEquals(new Set(written.subarray(images * imageSize)).size, room > images ? 1 : 0);
  if (room > images) assertEquals(written.at(-1), Math.fround(POISON));
  if (epilogue.kind !== "none") {
    const found = results.at(-1)!;
    const used = tiles * partialRows * F;
    assertEquals(new Set(found.subarray(used)), new Set([Math.fround(POISON)]));
    comparePartials(kernel.label, found.subarray(0, used), expected, F, (i) => {
      const inverseDeviation = at(STATISTICS.inverseDeviation, i);
      return epilogue.kind === "gradient"
        ? (z[i] - at(STATISTICS.mean, i)) * inverseDeviation
        : undefined;
    });
  }
  return results;
}

/** Sums of all tiles together against sums over all pixels. */
function comparePartials(
  label: string,
  found: Float32Array,
  values: Float64Array,
  F: number,
  normalised: (i: number) => number | undefined,
) {
  const sums = new Float64Array(F), products = new Float64Array(F);
  values.forEach((value, i) => sums[i % F] += value);
  if (normalised(0) !== undefined) {
    values.forEach((value, i) => products[i % F] += value * normalised(i)!);
    const total = new Float64Array(2 * F);
    found.forEach((value, i) => total[i % (2 * F)] += value);
    const expected = Float32Array.from([...sums, ...products]);
    assertTensorClose(Float32Array.from(total), expected, { relativeNorm: 1e-5 }, label);
    return;
  }
  // Chan's rule for merging two sets, from the sums: M2 + count (mean - total mean)^2.
  const pixels = values.length / F;
  const totals = new Float64Array(3 * F);
  values.forEach((value, i) => products[i % F] += (value - sums[i % F] / pixels) ** 2);
  for (let at = 0; at < found.length; at += 3 * F) {
    for (let f = 0; f < F; f++) {
      const [count, mean, m2] = [0, F, 2 * F].map((row) => found[at + row + f]);
      totals[f] += count;
      totals[F + f] += count * mean;
      totals[2 * F + f] += m2 + count * (mean - sums[f] / pixels) ** 2;
    }
  }
  const row = (i: number) => Float32Array.from(totals.subarray(i * F, (i + 1) * F));
  assertEquals(row(0), new Float32Array(F).fill(pixels), label);
  assertTensorClose(row(1), Float32Array.from(sums), { relativeNorm: 1e-5 }, `${label}: sums`);
  assertTensorClose(row(2), Float32Array.from(products), { relativeNorm: 1e-5 }, `${label}: M2`);
}

const name = (sizes: Sizes) => {
  const [height, width, channels, filters, kernel, stride] = sizes;
  return `${kernel}x${kernel} stride ${stride}, ${channels} to ${filters}, on ${height}x${width}`;
};

for (const sizes of SIZES) {
  testKernel(`convolution ${name(sizes)}: forward and input gradient`, async () => {
    const shape = shapeOf(sizes);
    const gradient = inputGradientShape(shape);
    const forward = { epilogue: { kind: "statistics" } } as const;
    const backward = {
      epilogue: { kind: "gradient", mask: "recomputed" },
      group: "input gradient",
    } as const;
    for (const [of, variant] of [[shape, forward], [gradient, backward]] as const) {
      await check({ shape: of, variant, images: 3 });
      const [tile, larger] = [GUARANTEED, LARGER].map((it) => tileFor(of, variant.epilogue, it));
      if (!equal(tile, larger)) await check({ shape: of, variant, limits: LARGER });
    }
  });
}

const ODD = shapeOf([7, 5, 5, 9, 3, 1, 1]);

for (const source of ["normalised", "normalised-relu", "gradient"] as const) {
  testKernel(`convolution: pads what the source "${source}" gives, not what it reads`, async () => {
    await check({ shape: ODD, variant: { source } });
    await check({ shape: inputGradientShape(shapeOf([7, 5, 5, 9, 3, 2, 1])), variant: { source } });
  });
}

for (const mask of ["none", "stored", "recomputed"] as const) {
  testKernel(`convolution: bias, accumulation, and a gradient masked by "${mask}"`, async () => {
    const epilogue = { kind: "gradient", mask } as const;
    await check({ shape: ODD, variant: { bias: true, accumulate: true, epilogue } });
  });
}

testKernel("convolution: bias and accumulation alone", async () => {
  await check({ shape: ODD, variant: { bias: true } });
  await check({ shape: ODD, variant: { accumulate: true } });
});

testKernel("convolution: images beyond the step's take no part", async () => {
  const shape = shapeOf([8, 8, 6, 8, 3, 1, 1]);
  for (const epilogue of [{ kind: "statistics" }, { kind: "gradient", mask: "stored" }] as const) {
    assertGreater(tileFor(shape, epilogue, GUARANTEED).images, 1);
    for (const images of [1, 5]) {
      await check({ shape, variant: { epilogue, accumulate: true }, images, room: 8 });
    }
  }
});

testKernel("convolution: statistics keep their digits far from zero", async () => {
  // 1x1 weights of 1 and a bias of 4096: z = x + 4096, in multiples of 1/1024.
  const shape = shapeOf([8, 8, 1, 1, 1, 1, 0]);
  const variant = { ...plain, bias: true, epilogue: { kind: "statistics" } } as const;
  const kernel = convolutionKernel(shape, variant, GUARANTEED);
  assertEquals(tilesFor(kernel.tiling, 1), 1);
  const x = new Float32Array(64 * 4), w = new Float32Array(16);
  for (let i = 0; i < 64; i++) x[4 * i] = (i - 31.5) / 512;
  w[0] = 1;
  const bias = Float32Array.of(4096, 0, 0, 0);
  const results = await runKernel(kernel, { images: 1 }, [
    x,
    w,
    bias,
    new Float32Array(64 * 4),
    new Float32Array(12),
  ]);
  // Squared odd multiples of 1/1024 from 1 to 63, twice: 2 * 43680 / 2^20.
  assertEquals(
    results[4],
    Float32Array.of(64, 64, 64, 64, 4096, 0, 0, 0, 2 * 43680 / 2 ** 20, 0, 0, 0),
  );
});

testKernel("convolution: other tiles than the chosen give the same result", async () => {
  const epilogue = { kind: "statistics" } as const;
  const shape = shapeOf([9, 10, 9, 14, 3, 1, 1]);
  const uneven = { rows: 2, filters: 3, columns: 4, blocks: 2, images: 1, teams: 1, chunk: 3 };
  await check({ shape, variant: { epilogue }, tile: uneven });
  const single = { rows: 1, filters: 1, columns: 1, blocks: 1, images: 1, teams: 1, chunk: 1 };
  await check({ shape, variant: { epilogue }, tile: single });
  const gradient = inputGradientShape(shapeOf([9, 10, 4, 7, 5, 3, 2]));
  const dilated = { rows: 3, filters: 1, columns: 6, blocks: 2, images: 1, teams: 1, chunk: 1 };
  await check({ shape: gradient, variant: { epilogue }, tile: dilated });
  assertThrows(
    () => convolutionKernel(gradient, plain, GUARANTEED, { ...dilated, columns: 4 }),
    RangeError,
    'found {"rows":3,"filters":1,"columns":4,',
  );
});

testKernel("convolution: the same input gives the same bits", async () => {
  const item: Case = {
    shape: shapeOf([16, 16, 16, 16, 3, 1, 1]),
    variant: { source: "normalised-relu", epilogue: { kind: "statistics" } },
  };
  assertEquals(await check(item), await check(item));
});

Deno.test("convolution: an input gradient's shape, weights reversed and swapped, is the adjoint", () => {
  for (const sizes of [SIZES[8], SIZES[9], SIZES[12], SIZES[13], [6, 8, 2, 3, 5, 2, 0] as const]) {
    const shape = shapeOf(sizes);
    const { input, output, kernel } = shape;
    const C = 4 * vectors(input.channels), F = 4 * vectors(output.channels);
    const x = Float64Array.from(tensor(2, input, 1)), g = Float64Array.from(tensor(2, output, 2));
    const w = weightsOf(shape);
    const reversed = w.map((_, i) => {
      const tap = kernel ** 2 - 1 - Math.floor(i / (C * F)), f = Math.floor(i / C) % F, c = i % C;
      return w[(tap * C + c) * F + f];
    });
    const z = convolve(shape, 2, x, w), dx = convolve(inputGradientShape(shape), 2, g, reversed);
    const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i], 0);
    assertEquals(dx.length, x.length);
    assertAlmostEquals(dot(dx, x), dot(z, g), 1e-10);
    assertGreater(Math.abs(dot(z, g)), 0.1);
  }
});

Deno.test("convolution: tiles stay within the limits that they are made for", () => {
  const large: Sizes[] = [
    [112, 112, 64, 64, 3, 1, 1],
    [224, 224, 3, 64, 7, 2, 3],
    [4, 4, 512, 512, 3, 1, 1],
    [64, 64, 3, 8, 11, 4, 2],
  ];
  for (const limits of [GUARANTEED, LARGER]) {
    for (const sizes of [...SIZES, ...large]) {
      for (const shape of [shapeOf(sizes), inputGradientShape(shapeOf(sizes))]) {
        const epilogue = { kind: "statistics" } as const;
        const { code } = convolutionKernel(shape, { ...plain, epilogue }, limits);
        const memory = [...code.matchAll(/var<workgroup> \w+: (.*);/g)].map(([, type]) =>
          16 * [...type.matchAll(/, (\d+)>/g)].reduce((product, [, n]) => product * Number(n), 1)
        );
        // Sums go through the memory of pixels.
        assertEquals(memory.length, 2);
        assertLessOrEqual(memory[0] + memory[1], limits.maxComputeWorkgroupStorageSize);
        const invocations = Number(code.match(/@workgroup_size\((\d+)\)/)![1]);
        assertLessOrEqual(invocations, limits.maxComputeInvocationsPerWorkgroup);
      }
    }
  }
});

Deno.test("convolution: the paper's layers give a large card 1,024 warps", () => {
  for (const sizes of [SIZES[1], SIZES[3], SIZES[5]]) {
    const kernel = convolutionKernel(shapeOf(sizes), plain, LARGER);
    const [x, y, z] = kernel.workgroups(128);
    const invocations = Number(kernel.code.match(/@workgroup_size\((\d+)\)/)![1]);
    assertEquals(x * y * z * invocations / 32, 1024);
  }
});

Deno.test("convolution: operations are the paper's multiply-adds, forward and backward", () => {
  const shape = shapeOf(SIZES[2]);
  const operations = 2 * 16 * 16 * 32 * 16 * 9 * 128;
  assertEquals(convolutionKernel(shape, plain, GUARANTEED).operations(128), operations);
  const gradient = convolutionKernel(inputGradientShape(shape), plain, GUARANTEED);
  assertEquals(gradient.operations(128), operations);
});

Deno.test("convolution: refuses what no tile can hold", () => {
  const limits = { maxComputeInvocationsPerWorkgroup: 256, maxComputeWorkgroupStorageSize: 1024 };
  const shape = shapeOf([32, 32, 16, 16, 7, 1, 3]);
  assertThrows(
    () => convolutionKernel(shape, plain, limits),
    RangeError,
    'no tile fits {"maxComputeInvocationsPerWorkgroup":256,"maxComputeWorkgroupStorageSize":1024}',
  );
  assertThrows(
    () => convolutionKernel({ ...ODD, stride: 2, dilation: 3 }, plain, GUARANTEED),
    RangeError,
    "one of stride and dilation must be 1, found 2 and 3",
  );
});
