import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import type { ByteImages, Normalisation } from "../engine/mod.ts";
import { beforeTransform, MEASURED_PREPROCESSINGS, preprocessings } from "./preprocessings.ts";

/** Images that get brighter from top to bottom, as photographs get darker. */
const train: ByteImages = {
  ...{ count: 1000, height: 32, width: 32, channels: 3, classes: 10 },
  pixels: new Uint8Array(1000 * 3072).map((_, i) => 2 * (Math.floor(i / 96) % 32) + 90 + i % 7),
  labels: new Uint8Array(1000),
};
const WAYS = preprocessings(train);

const named = (name: string) =>
  WAYS.find((way) => way.name === name && way.channels === "RGB")!.normalisation;

/** A byte of blue at the image's position 100, as the network sees it. */
function blue(byte: number, { scale, mean, std }: Normalisation): number {
  return (byte * scale - mean[302]) / std[2];
}

Deno.test("constants are those of the published code, worked by hand", () => {
  // ImageNet's blue: mean 0.406, standard deviation 0.225; CIFAR-10's: 0.4465, 0.2616.
  const table: [string, number][] = [
    ["mean and standard deviation of ImageNet", (0.8 - 0.406) / 0.225],
    ["mean and standard deviation of CIFAR-10", (0.8 - 0.4465) / 0.2616],
    ["mean and standard deviation of ImageNet, twice", ((0.8 - 0.406) / 0.225 - 0.406) / 0.225],
    ["mean and standard deviation of CIFAR-10, twice", ((0.8 - 0.4465) / 0.2616 - 0.4465) / 0.2616],
    ["pixels in 0..1", 0.8],
    ["pixels in -1..1", 0.6],
    ["none: pixels in 0..255", 204],
  ];
  for (const [name, expected] of table) {
    assertAlmostEquals(blue(204, named(name)), expected, 1e-5);
  }
});

Deno.test("only the per-pixel means are the paper's, whatever the range", () => {
  const paper = WAYS.filter(({ perPixelMean, channels }) => perPixelMean && channels === "RGB");
  assertEquals(paper.map(({ name }) => name), [
    "per-pixel mean of 900 images",
    "per-pixel mean of all 1,000 images",
    "per-pixel mean of all 1,000 images, 0..255",
  ]);
});

Deno.test("what a model does to its input comes after the preprocessing", () => {
  const scale = new Float32Array(3072).map((_, i) => [2, 3, 4][i % 3]);
  const shift = new Float32Array(3072).map((_, i) => i / 3072);
  const after = beforeTransform(WAYS, { scale, shift });
  assertEquals(after.length, WAYS.filter(({ channels }) => channels === "RGB").length);
  const found = after.find(({ name }) => name.startsWith("pixels in -1..1"))!;
  assertAlmostEquals(blue(204, found.normalisation), 4 * 0.6 + 302 / 3072, 1e-5);
});

Deno.test("a model that subtracts the per-pixel mean itself is the paper's on pixels in 0..1", () => {
  const { mean } = named("per-pixel mean of all 1,000 images");
  const transform = {
    scale: new Float32Array(3072).fill(1),
    shift: mean.map((value) => -value),
  };
  const fitting = beforeTransform(WAYS, transform).filter(({ perPixelMean }) => perPixelMean);
  assertEquals(fitting.map(({ name }) => name), [
    // On pixels in 0..255 the model's own mean is 255 times too small to matter.
    "per-pixel mean of all 1,000 images, 0..255, then what the model does itself",
    "pixels in 0..1, then what the model does itself",
  ]);
});

Deno.test("a scale that differs from pixel to pixel is refused", () => {
  const scale = new Float32Array(3072).map((_, i) => 1 + i);
  assertThrows(
    () => beforeTransform(WAYS, { scale, shift: new Float32Array(3072) }),
    RangeError,
    "differs from pixel to pixel",
  );
});

Deno.test("what is measured follows the images, and constants follow none", () => {
  const imagesOf = (value: number): ByteImages => ({
    ...{ count: 20, height: 4, width: 4, channels: 3, classes: 2, labels: new Uint8Array(20) },
    pixels: Uint8Array.from({ length: 20 * 48 }, (_, i) => (i * value) % 256),
  });
  const [some, others] = [imagesOf(7), imagesOf(11)].map((images) => preprocessings(images));
  some.forEach(({ id, normalisation }, i) => {
    const isSame = JSON.stringify(normalisation) === JSON.stringify(others[i].normalisation);
    assertEquals(isSame, !MEASURED_PREPROCESSINGS.includes(id), id);
  });
});
