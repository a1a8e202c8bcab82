import { assert, assertAlmostEquals, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { sha256 } from "../../files/mod.ts";
import {
  augmentPhotograph,
  colourShift,
  drawAugmentation,
  PAPER_AUGMENTATION,
  type PhotographDraw,
  TORCHVISION_AUGMENTATION,
} from "./augment.ts";
import type { RgbImage } from "./rgb_image.ts";
import { streamedStatistics } from "./statistics.ts";
import { viewsOf } from "./views.ts";

function pattern(height: number, width: number): RgbImage {
  const pixels = Uint8Array.from({ length: height * width * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return (x * 7 + y * 13 + c * 29 + (x * y) % 31) % 256;
  });
  return { height, width, pixels };
}

const NONE = [0, 0, 0] as const;

/** torchvision 0.29 on Pillow 13.0: crop, hflip and resized_crop of the pattern of 37 x 50. */
const CUTS: readonly (readonly [PhotographDraw, string])[] = [
  [
    { cut: { shorterSide: 40, top: 3, left: 11 }, mirrored: false, shift: NONE },
    "0f173ea8cd5fc110",
  ],
  [
    { cut: { shorterSide: 40, top: 3, left: 11 }, mirrored: true, shift: NONE },
    "00e659f9e44729ca",
  ],
  [
    { cut: { part: { top: 4, left: 7, height: 20, width: 31 } }, mirrored: false, shift: NONE },
    "d4f25c7d530ab441",
  ],
];

Deno.test("a crop of a scaled image, its mirror and a stretched part have torchvision's bytes", () => {
  for (const [draw, expected] of CUTS) {
    const found = augmentPhotograph(pattern(37, 50), draw, 32);
    assertEquals([found.height, found.width], [32, 32]);
    assertEquals(sha256(found.pixels).slice(0, 16), expected);
  }
});

Deno.test("colours are shifted as NumPy has it", () => {
  // NumPy 2: components @ (alphas * eigenvalues).
  const expected = [
    [[0.1, -0.2, 0.05], [-0.0149571145, -0.01279863, -0.0099862845]],
    [[-0.03, 0.11, 0.2], [0.0055510531, 0.003047814, 0.0027494136]],
  ];
  for (const [alphas, shift] of expected) {
    colourShift(alphas).forEach((value, c) => assertAlmostEquals(value, shift[c], 1e-12));
  }
});

Deno.test("what is drawn depends on seed, iteration and place alone, and covers its ranges", () => {
  const image = { height: 300, width: 500 };
  const small = { ...PAPER_AUGMENTATION, size: 20, shorterSide: [20, 23] as const };
  const drawn = Array.from(
    { length: 4000 },
    (_, i) => drawAugmentation(5, 1 + Math.floor(i / 40), i % 40, image, small),
  );
  assertEquals(drawAugmentation(5, 3, 7, image, small), drawn[2 * 40 + 7]);
  const keys = new Set(drawn.map((draw) => JSON.stringify(draw)));
  assertEquals(keys.size, drawn.length);
  const other = drawAugmentation(6, 1, 0, image, small);
  assert(!keys.has(JSON.stringify(other)));
  const cuts = drawn.map(({ cut }) => cut as { shorterSide: number; top: number; left: number });
  for (const side of [20, 21, 22, 23]) {
    const own = cuts.filter(({ shorterSide }) => shorterSide === side);
    assert(Math.abs(own.length - 1000) < 120, `${own.length} of side ${side}`);
    assertEquals(new Set(own.map(({ top }) => top)).size, side - 20 + 1);
    assertEquals(Math.max(...own.map(({ left }) => left)), Math.trunc(side * 5 / 3) - 20);
  }
  const share = drawn.filter(({ mirrored }) => mirrored).length / drawn.length;
  assert(Math.abs(share - 0.5) < 0.04, `${share} are mirrored`);
  // The variance of red: the sum of (component x eigenvalue x 0.1)^2.
  const variance = drawn.reduce((sum, { shift: [red] }) => sum + red * red, 0) / drawn.length;
  const expected = 0.01 *
    ((0.5675 * 0.2175) ** 2 + (0.7192 * 0.0188) ** 2 + (0.4009 * 0.0045) ** 2);
  assert(Math.abs(variance / expected - 1) < 0.1, `${variance} for ${expected}`);
});

Deno.test("torchvision's crop takes 8 to 100% of the area, and fits every image", () => {
  for (const [height, width] of [[300, 500], [10, 400], [400, 10], [1, 1]]) {
    for (let i = 0; i < 200; i++) {
      const { cut, shift } = drawAugmentation(1, 1, i, { height, width }, TORCHVISION_AUGMENTATION);
      assertEquals(shift.map(Math.abs), [0, 0, 0]);
      const { part } = cut as {
        part: { top: number; left: number; height: number; width: number };
      };
      assert(part.top >= 0 && part.left >= 0 && part.height >= 1 && part.width >= 1);
      assert(part.top + part.height <= height && part.left + part.width <= width);
      if (height !== 300) continue;
      const [area, ratio] = [part.height * part.width / (height * width), part.width / part.height];
      assert(area > 0.078 && area <= 1 && ratio > 0.74 && ratio < 1.36, `${area}, ${ratio}`);
    }
  }
});

Deno.test("a crop larger than the image is refused", () => {
  const wrong = { ...PAPER_AUGMENTATION, shorterSide: [200, 480] as const };
  const image = { height: 300, width: 300 };
  assertThrows(() => drawAugmentation(0, 1, 0, image, wrong), RangeError, "found 200 to 480");
});

Deno.test("means and deviations of a stream are NumPy's of all", async () => {
  const crops = [pattern(37, 50), pattern(50, 37)].flatMap((image) =>
    viewsOf(image, "1-crop", { resized: 32, cropped: 27 })
  );
  const { mean, std, perPixel, images } = await streamedStatistics(crops);
  assertEquals(images, 2);
  const near = (found: ArrayLike<number>, expected: readonly number[], most: number) =>
    expected.forEach((value, i) => assertAlmostEquals(found[i], value, most));
  near(mean, [0.4963689179375454, 0.4940961295354905, 0.49217300088759786], 1e-12);
  near(std, [0.26013673014013516, 0.25948166591461, 0.2552681675359241], 1e-12);
  near([0, 1, 2, 500, 2186].map((i) => perPixel[i]), [
    ...[0.5529411764705883, 0.6666666666666666, 0.7803921568627451],
    ...[0.2235294117647059, 0.3588235294117647],
  ], 1e-7);
  await assertRejects(() => streamedStatistics([]), RangeError, "found none");
  await assertRejects(
    () => streamedStatistics([pattern(2, 3), pattern(3, 2)]),
    RangeError,
    "3 x 2",
  );
});
