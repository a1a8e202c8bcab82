import { type ImageShape, vectors } from "../_kernel.ts";
import { testKernel } from "../_testing.ts";
import { imageLabel } from "./_lanes.ts";
import {
  averagePoolGradientKernel,
  averagePoolKernel,
  maxPoolGradientKernel,
  maxPoolKernel,
  shortcutGradientKernel,
  shortcutKernel,
} from "./pool.ts";
import { checkKernel, IMAGES, randomTensor, tensor, unwritten } from "./_testing.ts";

/** Values are moved, or added once. */
const EXACT = { absolute: 0, relative: 1e-7 };
/** Sums of some terms around 1. */
const ROUNDING = { absolute: 1e-6, relative: 1e-6 };

const shape = (height: number, width: number, channels: number): ImageShape => ({
  height,
  width,
  channels,
});

/** Position in memory of a channel of the pixel at (row, column) of an image. */
function at(image: ImageShape, n: number, row: number, column: number, c: number): number {
  const pixel = (n * image.height + row) * image.width + column;
  return pixel * 4 * vectors(image.channels) + c;
}

/** Calls for every channel of every pixel of the step's images. */
function forEach(
  image: ImageShape,
  visit: (n: number, row: number, column: number, c: number) => void,
): void {
  tensor(image, (_, c, pixel, n) => {
    visit(n, Math.floor(pixel / image.width), pixel % image.width, c);
    return 0;
  });
}

/** A gradient scattered by `visit` into zeros, or into what is there. */
function scattered(
  before: Float32Array,
  image: ImageShape,
  accumulate: boolean,
  visit: (dx: Float64Array) => void,
): Float32Array {
  const dx = Float64Array.from(accumulate ? before : tensor(image, () => 0));
  visit(dx);
  return Float32Array.from(dx);
}

/** Input, output channels, stride. */
const SHORTCUTS = [
  [shape(32, 32, 16), 32, 2],
  [shape(16, 16, 32), 64, 2],
  [shape(7, 5, 5), 10, 2],
  [shape(7, 5, 5), 8, 3],
  [shape(5, 7, 4), 9, 2],
  [shape(4, 3, 6), 8, 1],
  [shape(3, 3, 8), 8, 1],
] as const;

for (const [x, filters, stride] of SHORTCUTS) {
  const y = shape(Math.ceil(x.height / stride), Math.ceil(x.width / stride), filters);

  testKernel(
    `shortcut A from ${imageLabel(x)} to ${imageLabel(y)}, stride ${stride}`,
    async () => {
      for (
        const [zeroChannels, first] of [
          ["append", 0],
          ["split", Math.floor((filters - x.channels) / 2)],
        ] as const
      ) {
        const geometry = { stride, zeroChannels };
        const input = randomTensor(x, 1);
        const output = tensor(y, () => 0);
        forEach(y, (n, row, column, c) => {
          const from = c - first;
          if (from < 0 || from >= x.channels) return;
          output[at(y, n, row, column, c)] = input[at(x, n, row * stride, column * stride, from)];
        });
        await checkKernel(shortcutKernel(x, y, geometry), [
          [input, "unchanged"],
          [unwritten(output.length), output],
        ], EXACT);

        const dy = randomTensor(y, 2), before = randomTensor(x, 3);
        for (const accumulate of [false, true]) {
          const dx = scattered(before, x, accumulate, (dx) =>
            forEach(x, (n, row, column, c) => {
              if (row % stride || column % stride) return;
              dx[at(x, n, row, column, c)] +=
                dy[at(y, n, row / stride, column / stride, c + first)];
            }));
          await checkKernel(shortcutGradientKernel(x, y, geometry, accumulate), [
            [dy, "unchanged"],
            [before, dx],
          ], EXACT);
        }
      }
    },
  );
}

/** Input, window, stride, padding. */
const WINDOWS = [
  [shape(16, 16, 16), 3, 2, 1],
  [shape(7, 5, 5), 3, 2, 1],
  [shape(7, 5, 5), 2, 2, 0],
  [shape(6, 9, 3), 3, 1, 1],
  [shape(8, 8, 4), 2, 3, 0],
  [shape(9, 8, 6), 5, 2, 2],
] as const;

for (const [x, kernel, stride, padding] of WINDOWS) {
  const extent = (of: number) => Math.floor((of + 2 * padding - kernel) / stride) + 1;
  const y = shape(extent(x.height), extent(x.width), x.channels);
  const window = { kernel, stride, padding };

  testKernel(
    `maximum of ${imageLabel(x)} over ${kernel}x${kernel}, stride ${stride}, padding ${padding}`,
    async () => {
      // Of five values, negative ones too: in most windows several pixels are the largest.
      const input = tensor(
        x,
        (() => {
          const values = randomTensor(x, 1);
          return (i) => Math.floor(2.5 * values[i]);
        })(),
      );
      const output = tensor(y, () => 0);
      const winners = new Uint32Array(output.length);
      forEach(y, (n, row, column, c) => {
        const place = at(y, n, row, column, c);
        output[place] = -Infinity;
        for (let i = row * stride - padding; i < row * stride - padding + kernel; i++) {
          for (let j = column * stride - padding; j < column * stride - padding + kernel; j++) {
            if (i < 0 || i >= x.height || j < 0 || j >= x.width) continue;
            const from = at(x, n, i, j, c);
            if (input[from] <= output[place]) continue;
            output[place] = input[from];
            winners[place] = from;
          }
        }
      });
      await checkKernel(maxPoolKernel(x, y, window), [
        [input, "unchanged"],
        [unwritten(output.length), output],
      ], EXACT);

      const dy = randomTensor(y, 2), before = randomTensor(x, 3);
      for (const accumulate of [false, true]) {
        const dx = scattered(before, x, accumulate, (dx) =>
          forEach(y, (n, row, column, c) => {
            const place = at(y, n, row, column, c);
            dx[winners[place]] += dy[place];
          }));
        await checkKernel(maxPoolGradientKernel(x, y, window, accumulate), [
          [input, "unchanged"],
          [output, "unchanged"],
          [dy, "unchanged"],
          [before, dx],
        ], ROUNDING);
      }
    },
  );
}

for (const image of [...IMAGES, shape(3, 3, 261), shape(1, 1, 7)]) {
  testKernel(`mean over the pixels of ${imageLabel(image)}`, async () => {
    const mean = shape(1, 1, image.channels);
    const pixels = image.height * image.width;
    const x = randomTensor(image, 1);
    const sums = new Float64Array(tensor(mean, () => 0));
    forEach(image, (n, row, column, c) => {
      sums[at(mean, n, 0, 0, c)] += x[at(image, n, row, column, c)];
    });
    await checkKernel(averagePoolKernel(image), [
      [x, "unchanged"],
      [unwritten(sums.length), Float32Array.from(sums, (sum) => sum / pixels)],
    ], { absolute: 1e-7, relative: 1e-6 });

    const dy = randomTensor(mean, 2), before = randomTensor(image, 3);
    for (const accumulate of [false, true]) {
      const dx = scattered(
        before,
        image,
        accumulate,
        (dx) =>
          forEach(image, (n, row, column, c) => {
            dx[at(image, n, row, column, c)] += dy[at(mean, n, 0, 0, c)] / pixels;
          }),
      );
      await checkKernel(averagePoolGradientKernel(image, accumulate), [
        [dy, "unchanged"],
        [before, dx],
      ], ROUNDING);
    }
  });
}
