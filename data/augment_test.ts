import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { BatchPlan, ByteImages } from "../engine/mod.ts";
import { augmentedPixels, normalisedBatch } from "./augment.ts";

/** Two images of 2 x 3 pixels and two channels; the second channel is the first plus 100. */
const IMAGES: ByteImages = {
  count: 2,
  height: 2,
  width: 3,
  channels: 2,
  classes: 10,
  labels: new Uint8Array(2),
  // deno-fmt-ignore
  pixels: Uint8Array.of(
    1, 101, 2, 102, 3, 103,
    4, 104, 5, 105, 6, 106,
    7, 107, 8, 108, 9, 109,
    10, 110, 11, 111, 12, 112,
  ),
};

const plan = (index: number, cropY: number, cropX: number, flip: number): BatchPlan => ({
  indices: Uint32Array.of(index),
  cropY: Uint8Array.of(cropY),
  cropX: Uint8Array.of(cropX),
  flip: Uint8Array.of(flip),
});
const firstChannel = (values: Uint8Array | Float32Array) =>
  [...values].filter((_, i) => i % 2 === 0);

Deno.test("crops of the padded image, and their mirror images", () => {
  const crop = (...view: Parameters<typeof plan>) =>
    firstChannel(augmentedPixels(IMAGES, plan(...view), 1));
  assertEquals(crop(0, 1, 1, 0), [1, 2, 3, 4, 5, 6]);
  assertEquals(crop(0, 1, 1, 1), [3, 2, 1, 6, 5, 4]);
  // Rows 0-1 and columns 0-2 of the padded image: its border above and to the left.
  assertEquals(crop(1, 0, 0, 0), [0, 0, 0, 0, 7, 8]);
  assertEquals(crop(1, 0, 0, 1), [0, 0, 0, 8, 7, 0]);
  // Its border below and to the right.
  assertEquals(crop(1, 2, 2, 0), [11, 12, 0, 0, 0, 0]);
});

Deno.test("channels stay together", () => {
  assertEquals(
    [...augmentedPixels(IMAGES, plan(0, 1, 2, 1), 1)],
    [0, 0, 3, 103, 2, 102, 0, 0, 6, 106, 5, 105],
  );
});

Deno.test("normalised before padding: the mean of the stored place, and a border of 0", () => {
  const normalisation = {
    scale: 0.5,
    mean: Float32Array.of(1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0),
    std: Float32Array.of(2, 1),
    beforePadding: true,
  };
  const batch = normalisedBatch(IMAGES, plan(1, 1, 2, 1), normalisation, 1);
  // Mirrored columns [border, 2, 1]: (9 / 2 - 3) / 2, (8 / 2 - 2) / 2; (12 / 2 - 6) / 2, ...
  assertEquals(firstChannel(batch), [0, 0.75, 1, 0, 0, 0.25]);
  assertEquals([...batch].slice(2, 4), [0.75, 54.5]);
});

Deno.test("normalised after the crop: the mean of the place in the input, also in the border", () => {
  const normalisation = {
    scale: 1,
    mean: Float32Array.of(1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0),
    std: Float32Array.of(2, 1),
    beforePadding: false,
  };
  const batch = normalisedBatch(IMAGES, plan(1, 1, 2, 1), normalisation, 1);
  // Mirrored bytes [0, 9, 8; 0, 12, 11] less [1, 2, 3; 4, 5, 6], halved.
  assertEquals(firstChannel(batch), [-0.5, 3.5, 2.5, -2, 3.5, 2.5]);
});

Deno.test("the images given stay as they were", () => {
  const before = IMAGES.pixels.slice();
  augmentedPixels(IMAGES, plan(0, 0, 2, 1), 1).fill(9);
  assertEquals(IMAGES.pixels, before);
});

Deno.test("plans and means that don't fit are refused with the value", () => {
  const message = (wrong: BatchPlan) =>
    assertThrows(() => augmentedPixels(IMAGES, wrong, 1), RangeError).message;
  assertStringIncludes(message(plan(2, 0, 0, 0)), "indices must be at most 1, found 2");
  assertStringIncludes(message(plan(0, 3, 0, 0)), "cropY must be at most 2, found 3");
  assertStringIncludes(message(plan(0, 0, 4, 0)), "cropX must be at most 2, found 4");
  assertStringIncludes(message(plan(0, 0, 0, 2)), "flip must be at most 1, found 2");
  assertStringIncludes(message({ ...plan(0, 0, 0, 0), flip: new Uint8Array(2) }), "flip 2");
  const short = {
    scale: 1,
    mean: new Float32Array(2),
    std: new Float32Array(2),
    beforePadding: true,
  };
  assertStringIncludes(
    assertThrows(() => normalisedBatch(IMAGES, plan(0, 0, 0, 0), short, 1), RangeError).message,
    "found 2 and 2",
  );
});
