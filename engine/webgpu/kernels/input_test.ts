import { type ImageShape, PLAN, PLAN_WORDS, vectors } from "../_kernel.ts";
import { testKernel } from "../_testing.ts";
import { imageLabel } from "./_lanes.ts";
import { checkKernel, STEP_IMAGES, tensor, uniform, unwritten } from "./_testing.ts";
import { inputKernel } from "./input.ts";

/** A product, a difference and a quotient; the difference cancels. */
const ROUNDING = { absolute: 1e-6, relative: 1e-6 };

const IMAGES: readonly (readonly [ImageShape, cropPadding: number])[] = [
  [{ height: 32, width: 32, channels: 3 }, 4],
  [{ height: 7, width: 5, channels: 5 }, 2],
  [{ height: 3, width: 4, channels: 1 }, 0],
];

/** Images of the set. */
const COUNT = 7;

/** Positions in the set, crops from the top and left, mirrored: corners, edges and inside. */
function plansFor(padding: number): number[][] {
  return [
    [6, 0, 2 * padding, 1],
    [2, 2 * padding, padding, 0],
    [3, padding, 0, 1],
  ];
}

for (const [image, cropPadding] of IMAGES) {
  for (const beforePadding of [true, false]) {
    const { height, width, channels } = image;
    const size = height * width * channels;
    const order = beforePadding ? "before" : "after";

    testKernel(
      `crops of ${imageLabel(image)}, normalised ${order} padding by ${cropPadding}`,
      async () => {
        const bytes = Uint8Array.from(
          uniform(COUNT * size, 1),
          (value) => Math.floor(128 * (value + 1)),
        );
        const scale = 1 / 255;
        const mean = uniform(size, 2).map((value) => 0.5 + 0.2 * value);
        const std = uniform(channels, 3).map((value) => 0.3 + 0.1 * value);
        const normalisation = Float32Array.of(scale, ...mean, ...std);
        const plan = new Uint32Array((STEP_IMAGES + 2) * PLAN_WORDS);
        const own = new Float32Array(plan.buffer);
        plansFor(cropPadding).forEach(([index, cropY, cropX, flip], n) => {
          plan[n * PLAN_WORDS + PLAN.index] = index;
          plan[n * PLAN_WORDS + PLAN.cropY] = cropY;
          plan[n * PLAN_WORDS + PLAN.cropX] = cropX;
          plan[n * PLAN_WORDS + PLAN.flip] = flip;
          own.subarray(n * PLAN_WORDS + PLAN.means).set([0.25 * n, -0.125, 0.5]);
        });
        const expected = tensor(image, (_, c, pixel, n) => {
          const [index, cropY, cropX, flip] = plansFor(cropPadding)[n];
          const y = Math.floor(pixel / width), x = pixel % width;
          const row = y + cropY - cropPadding;
          const column = (flip ? width - 1 - x : x) + cropX - cropPadding;
          const outside = row < 0 || row >= height || column < 0 || column >= width;
          const from = (row * width + column) * channels + c;
          if (outside && beforePadding) return 0;
          const byte = outside ? 0 : bytes[index * size + from];
          const image = channels > 4 ? 0 : [0.25 * n, -0.125, 0.5][c];
          const place = beforePadding ? from : pixel * channels + c;
          return (byte * scale - mean[place] - image) / std[c];
        });

        const parts = [{ first: 0, count: COUNT }, { first: 0, count: 3 }, { first: 3, count: 4 }];
        for (const part of parts) {
          const stored = height * width * 4 * vectors(channels);
          const here = expected.map((value, i) => {
            const index = plansFor(cropPadding)[Math.floor(i / stored)]?.[0] ?? NaN;
            return index >= part.first && index < part.first + part.count ? value : NaN;
          });
          const words = new Uint32Array(Math.ceil(part.count * size / 4));
          new Uint8Array(words.buffer).set(
            bytes.subarray(part.first * size, (part.first + part.count) * size),
          );
          await checkKernel(inputKernel({ image, cropPadding, beforePadding }, part), [
            [words, "unchanged"],
            [plan, "unchanged"],
            [normalisation, "unchanged"],
            [unwritten(expected.length), here],
          ], ROUNDING);
        }
      },
    );
  }
}
