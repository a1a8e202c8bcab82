import { assertEquals, assertThrows } from "@std/assert";
import { assertTensorClose } from "../../../testing/mod.ts";
import { type ImageShape, SLOPES, type Source, STATISTICS, vectors } from "../_kernel.ts";
import { testKernel } from "../_testing.ts";
import { imageLabel } from "./_lanes.ts";
import {
  BATCH,
  checkKernel,
  IMAGES,
  randomRows,
  randomTensor,
  STEP_IMAGES,
  tensor,
  tilesOf,
  unwritten,
} from "./_testing.ts";
import { tilesFor, type Tiling } from "./_tiling.ts";
import {
  type Mask,
  normaliseGradientKernel,
  normaliseKernel,
  passGradientKernel,
  statisticsKernel,
} from "./normalise.ts";

/** A result is a few roundings of values around 1. */
const ROUNDING = { absolute: 1e-6, relative: 1e-6 };
/** Single-precision sums of up to some thousand terms that partly cancel. */
const SUMS = { relativeNorm: 2e-6 };

/** More vectors of channels than one workgroup has side by side. */
const WIDE: ImageShape = { height: 3, width: 3, channels: 261 };
/** An image is several tiles, which do not divide it evenly; lanes are no power of two. */
const UNEVEN: ImageShape = { height: 29, width: 23, channels: 19 };

/** One tile more than the largest batch leaves. */
const room = (tiling: Tiling, size: number) => unwritten((tilesFor(tiling, BATCH) + 1) * size);

for (const image of [...IMAGES, WIDE, UNEVEN]) {
  const { channels } = image;
  const stored = 4 * vectors(channels);
  const name = imageLabel(image);

  testKernel(`y = relu(a z + b + addend), with any part left out: ${name}`, async () => {
    const z = randomTensor(image, 1), s = randomTensor(image, 2);
    const statistics = randomRows(STATISTICS.rows, channels, 3);
    for (const variant of [0, 1, 2, 3, 4, 5, 6, 7]) {
      const [batchNorm, addend, relu] = [1, 2, 4].map((bit) => (variant & bit) !== 0);
      const y = tensor(image, (i, c) => {
        const normalised = batchNorm ? statistics[c] * z[i] + statistics[stored + c] : z[i];
        const sum = normalised + (addend ? s[i] : 0);
        return relu ? Math.max(0, sum) : sum;
      });
      await checkKernel(normaliseKernel(image, { batchNorm, addend, relu }), [
        [z, "unchanged"],
        ...batchNorm ? [[statistics, "unchanged"] as const] : [],
        ...addend ? [[s, "unchanged"] as const] : [],
        [unwritten(y.length), y],
      ], ROUNDING);
    }
  });

  testKernel(`the gradient behind each mask, and its sums: ${name}`, async () => {
    const dy = randomTensor(image, 1), z = randomTensor(image, 2);
    // Where y is 0 the mask does not hold: after ReLU, and all over a channel with a = b = 0.
    const y = randomTensor(image, 3).map((value) => Math.max(0, value));
    const statistics = randomRows(STATISTICS.rows, channels, 4);
    statistics[STATISTICS.a * stored + 1] = statistics[STATISTICS.b * stored + 1] = 0;
    const statistic = (row: number, c: number) => statistics[row * stored + c];
    const holds: Record<Mask, (i: number, c: number) => boolean> = {
      none: () => true,
      stored: (i) => y[i] > 0,
      recomputed: (i, c) => statistic(STATISTICS.a, c) * z[i] + statistic(STATISTICS.b, c) > 0,
    };
    for (const mask of ["none", "stored", "recomputed"] as const) {
      const expected = new Float64Array(2 * stored);
      const g = tensor(image, (i, c) => {
        const gradient = holds[mask](i, c) ? dy[i] : 0;
        expected[c] += gradient;
        expected[stored + c] += gradient * (z[i] - statistic(STATISTICS.mean, c)) *
          statistic(STATISTICS.inverseDeviation, c);
        return gradient;
      });
      for (const sums of mask === "none" ? [true] : [true, false]) {
        const kernel = normaliseGradientKernel(image, { mask, sums });
        const partials = room(kernel.tiling, 2 * stored);
        const found = await checkKernel(kernel, [
          [dy, mask === "none" ? "unchanged" : g],
          ...sums || mask === "recomputed"
            ? [[z, "unchanged"] as const, [statistics, "unchanged"] as const]
            : [],
          ...mask === "stored" ? [[y, "unchanged"] as const] : [],
          ...sums ? [[partials, "unchecked"] as const] : [],
        ], ROUNDING);
        if (!sums) continue;
        const tiles = tilesOf(found.at(-1)!, tilesFor(kernel.tiling, STEP_IMAGES), 2 * stored);
        const total = partials.slice(0, 2 * stored).map((_, i) =>
          tiles.reduce((sum, tile) => sum + tile[i], 0)
        );
        assertTensorClose(total, Float32Array.from(expected), SUMS, `${kernel.label}: sums`);
      }
    }
  });

  testKernel(`a tile's pixels, mean and squares about it: ${name}`, async () => {
    const z = randomTensor(image, 1).map((value) => value === 0 ? 0 : 3 + value);
    const kernel = statisticsKernel(image);
    const partials = room(kernel.tiling, 3 * stored);
    const found = await checkKernel(kernel, [[z, "unchanged"], [partials, "unchecked"]], ROUNDING);
    const tiles = tilesOf(found[1], tilesFor(kernel.tiling, STEP_IMAGES), 3 * stored);
    const expected = new Float32Array(3 * stored);
    const total = new Float32Array(3 * stored);
    for (let c = 0; c < channels; c++) {
      const values: number[] = [];
      tensor(image, (i, channel) => channel === c ? values.push(z[i]) : 0);
      expected.set(moments(values), 3 * c);
      total.set(merged(tiles.map((tile) => [0, 1, 2].map((row) => tile[row * stored + c]))), 3 * c);
    }
    assertTensorClose(total, expected, { absolute: 0, relative: 2e-6 }, kernel.label);
  });
}

testKernel("a gradient is passed on from every source, written or added", async () => {
  for (const image of IMAGES.slice(0, 2)) {
    const { channels } = image;
    const stored = 4 * vectors(channels);
    const [first, second, before] = [1, 2, 3].map((label) => randomTensor(image, label));
    const rows = randomRows(STATISTICS.rows, channels, 4);
    const slopes = rows.slice(0, SLOPES.rows * stored);
    const value: Record<Source, (i: number, c: number) => number> = {
      "stored": (i) => first[i],
      "normalised": (i, c) => rows[c] * first[i] + rows[stored + c],
      "normalised-relu": (i, c) => Math.max(0, rows[c] * first[i] + rows[stored + c]),
      "gradient": (i, c) =>
        slopes[c] * first[i] + slopes[stored + c] * second[i] + slopes[2 * stored + c],
    };
    const bindings: Record<Source, Float32Array[]> = {
      "stored": [first],
      "normalised": [first, rows],
      "normalised-relu": [first, rows],
      "gradient": [first, second, slopes],
    };
    for (const source of ["stored", "normalised", "normalised-relu", "gradient"] as const) {
      for (const accumulate of [false, true]) {
        const after = tensor(image, (i, c) => value[source](i, c) + (accumulate ? before[i] : 0));
        await checkKernel(passGradientKernel(image, { source, accumulate }), [
          ...bindings[source].map((array) => [array, "unchanged"] as const),
          [before, after],
        ], ROUNDING);
      }
    }
  }
});

Deno.test("a gradient kernel without a mask and without sums has nothing to do", () => {
  assertThrows(
    () => normaliseGradientKernel(IMAGES[1], { mask: "none", sums: false }),
    RangeError,
    "32x32x16 needs a mask or sums, found neither",
  );
});

Deno.test("tiles are enough to fill a device at the paper's batch of 128", () => {
  assertEquals(
    IMAGES.slice(1).map((image) => tilesFor(statisticsKernel(image).tiling, 128)),
    [512, 256, 128],
  );
});

/** Count, mean and sum of squares about it. */
function moments(values: readonly number[]): number[] {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [
    values.length,
    mean,
    values.reduce((sum, value) => sum + (value - mean) ** 2, 0),
  ];
}

/** The moments of all values from those of parts (Chan, Golub, LeVeque 1979). */
function merged(parts: readonly number[][]): number[] {
  return parts.reduce(([n, mean, squares], [count, tileMean, tileSquares]) => {
    const both = n + count, difference = tileMean - mean;
    return [
      both,
      mean + difference * count / both,
      squares + tileSquares + difference ** 2 * n * count / both,
    ];
  });
}
