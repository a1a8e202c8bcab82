import { assertAlmostEquals, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import type { ByteImages } from "../engine/mod.ts";
import { DataError } from "./errors.ts";
import { measureNormalisation, type NormalisationSettings } from "./normalisation.ts";

/** Three images of 1 x 2 pixels and three channels; the third must never be measured. */
const IMAGES: ByteImages = {
  count: 3,
  height: 1,
  width: 2,
  channels: 3,
  classes: 10,
  labels: new Uint8Array(3),
  // deno-fmt-ignore
  pixels: Uint8Array.of(
    0, 10, 50, 100, 20, 60,
    50, 30, 70, 150, 40, 80,
    255, 255, 255, 255, 255, 255,
  ),
};
const TRAINING = Uint32Array.of(0, 1);
const PAPER: NormalisationSettings = {
  pixelScale: "0..1",
  mean: "per-pixel",
  std: "none",
  meanSubtracted: "before-padding",
};
const measure = (change: Partial<NormalisationSettings>) =>
  measureNormalisation(IMAGES, TRAINING, { ...PAPER, ...change });

Deno.test("the per-pixel mean is that of the given images alone", () => {
  const { normalisation, of } = measure({});
  assertEquals(normalisation.scale, 1 / 255);
  assertEquals(
    normalisation.mean,
    Float32Array.of(25 / 255, 20 / 255, 60 / 255, 125 / 255, 30 / 255, 70 / 255),
  );
  assertEquals(normalisation.std, Float32Array.of(1, 1, 1));
  assertEquals(normalisation.beforePadding, true);
  assertEquals(of, "per-pixel mean of 2 training images");
});

Deno.test("pixels left at 0..255, and the mean subtracted after the crop", () => {
  const { normalisation } = measure({ pixelScale: "0..255", meanSubtracted: "after-crop" });
  assertEquals(normalisation.scale, 1);
  assertEquals(normalisation.mean, Float32Array.of(25, 20, 60, 125, 30, 70));
  assertEquals(normalisation.beforePadding, false);
});

Deno.test("channel statistics are over all pixels, the variance divided by their number", () => {
  const { normalisation: { mean, std }, of } = measure({
    pixelScale: "0..255",
    mean: "per-channel",
    std: "per-channel",
  });
  assertEquals(mean, Float32Array.of(75, 25, 65, 75, 25, 65));
  // NumPy 2.4.6: std([0, 100, 50, 150]) = 55.90169943749474; of 10..40 and 50..80 11.180339887.
  assertAlmostEquals(std[0], 55.90169943749474, 1e-5);
  assertAlmostEquals(std[1], 11.180339887498949, 1e-6);
  assertAlmostEquals(std[2], 11.180339887498949, 1e-6);
  assertEquals(
    of,
    "per-channel mean of 2 training images; per-channel standard deviation of 2 training images",
  );
});

Deno.test("ImageNet's constants, in the scale of the pixels", () => {
  const unit = measure({ mean: "imagenet", std: "imagenet" }).normalisation;
  assertEquals(unit.mean.subarray(3), Float32Array.of(0.485, 0.456, 0.406));
  assertEquals(unit.std, Float32Array.of(0.229, 0.224, 0.225));
  const bytes = measure({ pixelScale: "0..255", mean: "imagenet", std: "imagenet" }).normalisation;
  assertEquals(bytes.mean[0], Math.fround(0.485 * 255));
  assertEquals(bytes.std[2], Math.fround(0.225 * 255));
});

Deno.test("no mean is a mean of zeros", () => {
  const { normalisation, sha256, of } = measure({ mean: "none" });
  assertEquals(normalisation.mean, new Float32Array(6));
  // Python: hashlib.sha256(bytes(24)).hexdigest()
  assertEquals(sha256, "9d908ecfb6b256def8b49a7c504e6c889c4b0e41fe6ce3e01863dd7b61a20aa0");
  assertEquals(of, "no mean");
});

Deno.test("the hash is that of little-endian floats and tells means apart", () => {
  // Python: hashlib.sha256(struct.pack("<6f", 25, 20, 60, 125, 30, 70)).hexdigest()
  assertEquals(
    measure({ pixelScale: "0..255" }).sha256,
    "9c748f6f7b3ccf75590354c921c2e4e08d8d4c6e0f17ca923b67fd9fb287d7d7",
  );
});

Deno.test("what can't be measured is refused with the value", () => {
  const message = (images: ByteImages, indices: number[], change = {}) =>
    assertThrows(
      () => measureNormalisation(images, Uint32Array.from(indices), { ...PAPER, ...change }),
      RangeError,
    ).message;
  assertStringIncludes(message(IMAGES, []), "at least 1 training image");
  assertStringIncludes(message(IMAGES, [0, 3]), "below 3, the images in the set, found 3");
  assertThrows(
    () => measureNormalisation(IMAGES, Uint32Array.of(2), { ...PAPER, std: "per-channel" }),
    DataError,
    "channel 0 is constant",
  );
  const grey = { ...IMAGES, channels: 1, width: 6 };
  assertStringIncludes(message(grey, [0], { mean: "imagenet" }), "the images have 1");
});
