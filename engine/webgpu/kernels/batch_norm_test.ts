import { assertAlmostEquals } from "@std/assert";
import { type ImageShape, SLOPES, STATISTICS, vectors } from "../_kernel.ts";
import { runKernel, testKernel } from "../_testing.ts";
import { imageLabel } from "./_lanes.ts";
import {
  finishGradientKernel,
  finishStatisticsKernel,
  inferenceStatisticsKernel,
} from "./batch_norm.ts";
import {
  checkKernel,
  IMAGES,
  randomRows,
  rowsOf,
  STEP_IMAGES,
  tensor,
  unwritten,
} from "./_testing.ts";
import { tilesFor, type Tiling } from "./_tiling.ts";
import { statisticsKernel } from "./normalise.ts";

/** An inverse square root and a few products away from exact; b cancels a little. */
const ROUNDING = { absolute: 1e-6, relative: 3e-6 };
const SETTINGS = { epsilon: 1e-5, momentum: 0.1 };
/** Of convolutions and of `normalise`: images together, one each, parts, and very many parts. */
const TILINGS: readonly Tiling[] = [
  { imagesPerTile: 2, tilesPerImage: 1 },
  { imagesPerTile: 1, tilesPerImage: 1 },
  { imagesPerTile: 1, tilesPerImage: 4 },
  { imagesPerTile: 1, tilesPerImage: 700 },
];

/** Two pixels of two images of one channel, in lane 0 of each row. */
const PAIR: ImageShape = { height: 1, width: 2, channels: 1 };
const lane = (...values: number[]) => rowsOf(values.length, 1, (row) => values[row]);

testKernel("batch norm of 1, 2, 3, 6, derived by hand", async () => {
  // Tiles 1, 2 and 3, 6: means 1.5 and 4.5, squares about them 0.5 and 4.5.
  // Mean 3; squares about it 0.5 + 4.5 + 2 * 1.5^2 + 2 * 1.5^2 = 14; variance 3.5, unbiased 14 / 3.
  // With epsilon 0.5, 1 / deviation = 1 / 2: a = 2 / 2, b = 1 - 3 a.
  const partials = lane(2, 1.5, 0.5, 2, 4.5, 4.5);
  const kernel = finishStatisticsKernel(PAIR, { imagesPerTile: 1, tilesPerImage: 1 }, {
    epsilon: 0.5,
    momentum: 0.1,
  });
  await checkKernel(
    kernel,
    [
      [partials, "unchanged"],
      [lane(2), "unchanged"],
      [lane(1), "unchanged"],
      [lane(10, 1), lane(0.9 * 10 + 0.1 * 3, 0.9 + 0.1 * 14 / 3)],
      [unwritten(16), "unchecked"],
    ],
    ROUNDING,
    { images: 2, updateRunning: true },
  );
  const after = await runKernel(kernel, { images: 2 }, [
    partials,
    lane(2),
    lane(1),
    lane(10, 1),
    unwritten(16),
  ]);
  [1, -2, 3, 0.5].forEach((value, row) => assertAlmostEquals(after[4][4 * row], value, 1e-6));
  [10, 1].forEach((value, row) => assertAlmostEquals(after[3][4 * row], value, 0));
});

testKernel("the gradient of batch norm of 1, 2, 3, 6, derived by hand", async () => {
  // g = 1, 0, -1, 2 and xhat = (z - 3) / 2 = -1, -0.5, 0, 1.5: sum g = 2, sum g xhat = 2, by tiles
  // 1, -1 and 1, 3. A = 2 / 2, B = -1 * 0.5 * 2 / 4, C = -1 * 2 / 4 + 0.25 * 3.
  const tiling = { imagesPerTile: 1, tilesPerImage: 1 };
  for (
    const [inference, slopes] of [[false, [1, -0.25, 0.25]], [true, [1, 0, 0]]] as const
  ) {
    await checkKernel(
      finishGradientKernel(PAIR, tiling),
      [
        [lane(1, -1, 1, 3), "unchanged"],
        [lane(2), "unchanged"],
        [lane(1, -2, 3, 0.5), "unchanged"],
        [unwritten(12), lane(...slopes)],
        [unwritten(4), lane(2)],
        [unwritten(4), lane(2)],
      ],
      ROUNDING,
      { images: 2, inference },
    );
  }
});

for (const image of IMAGES) {
  const { channels, height, width } = image;
  const stored = 4 * vectors(channels);
  const pixels = STEP_IMAGES * height * width;

  testKernel(`statistics from tiles of any number: ${imageLabel(image)}`, async () => {
    const gamma = randomRows(1, channels, 1), beta = randomRows(1, channels, 2);
    const running = randomRows(2, channels, 3);
    for (const tiling of TILINGS) {
      const tiles = tilesFor(tiling, STEP_IMAGES);
      const counts = spread(pixels, tiles);
      const random = randomRows(2 * tiles, channels, 4);
      const part = (tile: number, which: number, c: number) =>
        counts[tile] && random[(2 * tile + which) * stored + c];
      const partials = rowsOf(3 * (tiles + 1), channels, (row, c) => {
        const tile = Math.floor(row / 3);
        if (tile === tiles) return NaN;
        const [count, mean, squares] = [counts[tile], part(tile, 0, c), part(tile, 1, c)];
        return [count, mean, Math.abs(squares) * count][row % 3];
      });
      const at = (tile: number, row: number, c: number) => partials[(3 * tile + row) * stored + c];
      const over = (value: (tile: number) => number) =>
        counts.reduce((sum, _, tile) => sum + value(tile), 0);
      const means = rowsOf(
        1,
        channels,
        (_, c) => over((tile) => counts[tile] * at(tile, 1, c)) / pixels,
      );
      const squares = rowsOf(
        1,
        channels,
        (_, c) => over((tile) => at(tile, 2, c) + counts[tile] * (at(tile, 1, c) - means[c]) ** 2),
      );
      const inverse = (c: number) => 1 / Math.sqrt(squares[c] / pixels + SETTINGS.epsilon);
      const expected = rowsOf(STATISTICS.rows, channels, (row, c) => {
        const a = gamma[c] * inverse(c);
        return [a, beta[c] - means[c] * a, means[c], inverse(c)][row];
      });
      // Lanes beyond C see a variance of 0.
      for (let c = channels; c < stored; c++) {
        expected[STATISTICS.inverseDeviation * stored + c] = 1 / Math.sqrt(SETTINGS.epsilon);
      }
      const batch = (row: number, c: number) => row === 0 ? means[c] : squares[c] / (pixels - 1);
      const followed = rowsOf(
        2,
        channels,
        (row, c) => 0.9 * running[row * stored + c] + 0.1 * batch(row, c),
      );
      for (const updateRunning of [true, false]) {
        await checkKernel(
          finishStatisticsKernel(image, tiling, SETTINGS),
          [
            [partials, "unchanged"],
            [gamma, "unchanged"],
            [beta, "unchanged"],
            [running, updateRunning ? followed : "unchanged"],
            [unwritten(expected.length), expected],
          ],
          ROUNDING,
          { updateRunning },
        );
      }
    }
  });

  testKernel(`slopes from tiles of any number: ${imageLabel(image)}`, async () => {
    const gamma = randomRows(1, channels, 1);
    const statistics = randomRows(STATISTICS.rows, channels, 2);
    for (const tiling of TILINGS) {
      const tiles = tilesFor(tiling, STEP_IMAGES);
      const random = randomRows(2 * tiles, channels, 3);
      const partials = rowsOf(
        2 * (tiles + 1),
        channels,
        (row, c) => row < 2 * tiles ? random[row * stored + c] : NaN,
      );
      const total = (which: number) =>
        rowsOf(1, channels, (_, c) => {
          let sum = 0;
          for (let tile = 0; tile < tiles; tile++) sum += random[(2 * tile + which) * stored + c];
          return sum;
        });
      const [dbeta, dgamma] = [total(0), total(1)];
      for (const inference of [false, true]) {
        const slopes = rowsOf(SLOPES.rows, channels, (row, c) => {
          const [mean, inverse] = [STATISTICS.mean, STATISTICS.inverseDeviation].map(
            (which) => statistics[which * stored + c],
          );
          const a = gamma[c] * inverse;
          if (row === SLOPES.a) return a;
          if (inference) return 0;
          const b = -a * inverse * dgamma[c] / pixels;
          return row === SLOPES.b ? b : -a * dbeta[c] / pixels - b * mean;
        });
        await checkKernel(
          finishGradientKernel(image, tiling),
          [
            [partials, "unchanged"],
            [gamma, "unchanged"],
            [statistics, "unchanged"],
            [unwritten(slopes.length), slopes],
            [unwritten(stored), dgamma],
            [unwritten(stored), dbeta],
          ],
          { relativeNorm: 3e-6 },
          { inference },
        );
      }
    }
  });

  testKernel(`statistics of inference: ${imageLabel(image)}`, async () => {
    const gamma = randomRows(1, channels, 1), beta = randomRows(1, channels, 2);
    const running = randomRows(2, channels, 3).map(Math.abs);
    const expected = rowsOf(STATISTICS.rows, channels, (row, c) => {
      const inverse = 1 / Math.sqrt(running[stored + c] + SETTINGS.epsilon);
      const a = gamma[c] * inverse;
      return [a, beta[c] - running[c] * a, running[c], inverse][row];
    });
    for (let c = channels; c < stored; c++) {
      expected[STATISTICS.inverseDeviation * stored + c] = 1 / Math.sqrt(SETTINGS.epsilon);
    }
    await checkKernel(inferenceStatisticsKernel(image, SETTINGS), [
      [gamma, "unchanged"],
      [beta, "unchanged"],
      [running, "unchanged"],
      [unwritten(expected.length), expected],
    ], ROUNDING);
  });
}

testKernel("a mean of 1,000 leaves the digits of a variance of 1", async () => {
  const image = { height: 16, width: 16, channels: 4 };
  const { tiling, ...kernel } = statisticsKernel(image);
  // 999 and 1,001 in turn, two to one in the second image.
  const z = tensor(image, (i, _, __, n) => 1000 + (n === 1 && i % 12 < 4 || i % 8 < 4 ? -1 : 1));
  const values = Array.from(z.filter((value) => value > 0), (value) => value - 1000);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const [, partials] = await runKernel(kernel, { images: STEP_IMAGES }, [
    z,
    unwritten(tilesFor(tiling, STEP_IMAGES) * 12),
  ]);
  const [, , , , statistics] = await runKernel(
    finishStatisticsKernel(image, tiling, { epsilon: 1e-9, momentum: 0.1 }),
    { images: STEP_IMAGES },
    [
      partials,
      new Float32Array(4).fill(1),
      new Float32Array(4),
      new Float32Array(8),
      unwritten(16),
    ],
  );
  for (const c of [0, 1, 2, 3]) {
    assertAlmostEquals(statistics[4 * STATISTICS.mean + c], 1000 + mean, 1e-4);
    const found = 1 / statistics[4 * STATISTICS.inverseDeviation + c] ** 2;
    assertAlmostEquals(found / variance, 1, 1e-6);
  }
});

testKernel("one value has a running variance of 0, not of 0 / 0", async () => {
  const image = { height: 1, width: 1, channels: 1 };
  const kernel = finishStatisticsKernel(image, TILINGS[1], { epsilon: 1, momentum: 0.25 });
  await checkKernel(
    kernel,
    [
      [lane(1, 5, 0), "unchanged"],
      [lane(1), "unchanged"],
      [lane(0), "unchanged"],
      [lane(1, 1), lane(0.75 + 0.25 * 5, 0.75)],
      [unwritten(16), "unchecked"],
    ],
    ROUNDING,
    { images: 1, updateRunning: true },
  );
});

/** So many pixels over tiles, unevenly: some have none. */
function spread(pixels: number, tiles: number): number[] {
  const most = Math.ceil(1.5 * pixels / tiles);
  return Array.from({ length: tiles }, (_, tile) => {
    const count = tile === tiles - 1 ? pixels : Math.min(pixels, most);
    pixels -= count;
    return count;
  });
}
