/**
 * `shapes10`: a procedural data set that needs no download. Each image shows
 * one of ten shapes at a random place, size, tilt and colour on a textured
 * background with small distracting discs and noise. A known share of the
 * labels is wrong, so that the lowest error that any model can reach is known.
 *
 * Every value is made with the four operations, `Math.floor` and `Math.sqrt`
 * (exactly rounded by IEEE 754) from Philox: the same bytes everywhere.
 */
import type { ByteImages } from "../../engine/mod.ts";
import { sha256 } from "../../files/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import { number } from "../../text/mod.ts";
import type { DatasetDefinition, LoadedImages } from "../definition.ts";
import { DataError } from "../errors.ts";

const SIZE = 32;
const CHANNELS = 3;
const IMAGE_BYTES = SIZE * SIZE * CHANNELS;
const TRAINING_IMAGES = 10_000;
const TEST_IMAGES = 2_000;

/** The share of wrong labels in both parts: a perfect model's test error. */
const ERROR_FLOOR = 0.04;

/**
 * Test error of a linear softmax model on the pixels of seed 0, its penalty
 * chosen on held-out training images and fitted to convergence: what a network
 * must beat to have learned anything. Computed with PyTorch 2.13.0 by
 * `bench/peers/linear_model.py`.
 */
const LINEAR_MODEL_ERROR = 0.8185;

/** The registry's entry. The hashes, those of seed 0, pin every published figure. */
export const SHAPES10: DatasetDefinition = {
  title: "shapes10",
  classNames: "disc square triangle star ring cross crescent bar stripes checks".split(" "),
  trainingImages: TRAINING_IMAGES,
  testImages: TEST_IMAGES,
  split: { training: 9_000, validation: 1_000 },
  hashes: {
    "train pixels": "d57f7c536ce3320de63bbf8cfa6c9ed27181ea59d6d4218068f7680b02a1ab94",
    "train labels": "1a0a62395a1a47330094494a7a5ff1602a3e108d817c8e49a6fd4ed7b01dc3f3",
    "test pixels": "0dd1cc78d9b638df6615c7c69c9cf2e622460e524caece7c836fec8cb018e40f",
    "test labels": "05e1b3a3930c649b56651d6ddc6f3e38d44d2047c526d69fb06dafbf81d7b3a8",
  },
  builtIn: true,
  // deno-lint-ignore require-await -- async, so that an error rejects
  load: async ({ path, seed = 0 }) => {
    if (path !== undefined) {
      throw new DataError(
        `shapes10 is built in and is read from no file, found the path ${path}: leave it out, ` +
          `or choose another data set`,
      );
    }
    return made(seed);
  },
};

function made(seed: number): LoadedImages {
  const { train, test } = shapes10(seed);
  return {
    train,
    test,
    hashes: {
      "train pixels": sha256(train.pixels),
      "train labels": sha256(Uint8Array.from(train.labels)),
      "test pixels": sha256(test.pixels),
      "test labels": sha256(Uint8Array.from(test.labels)),
    },
    notice:
      `shapes10 is built-in procedural data, not CIFAR-10: ${number(train.count)} training and ` +
      `${number(test.count)} test images of ten shapes, drawn by this program from seed ${seed}. ` +
      `Results on it say nothing about the paper's figures.`,
    errorFloor: ERROR_FLOOR,
    ...(seed === 0 ? { linearModelError: LINEAR_MODEL_ERROR } : {}),
  };
}

/** Which sequence of the "shapes" stream (its `part`) draws what. */
const PARTS = {
  train: { images: TRAINING_IMAGES, drawing: 0, labelling: 1 },
  test: { images: TEST_IMAGES, drawing: 2, labelling: 3 },
} as const;

/**
 * Makes the training and the test images of a seed.
 *
 * @param seed A whole number from 0 to 2^32 - 1; 0 gives the set that published
 *   figures refer to.
 * @returns 10,000 training and 2,000 test images, [N, 32, 32, 3]. Image i shows
 *   class i mod 10; exactly 4% of each part's labels are replaced by one of the
 *   nine other classes, drawn uniformly.
 * @throws {RangeError} If the seed is not such a number.
 *
 * @example
 * ```ts
 * import { shapes10 } from "./shapes10.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { train, test } = shapes10(0);
 * assertEquals([train.count, test.count], [10_000, 2_000]);
 * assertEquals(test.labels.filter((label, i) => label !== i % 10).length, 80);
 * ```
 */
export function shapes10(seed: number): { train: ByteImages; test: ByteImages } {
  return { train: part(seed, "train"), test: part(seed, "test") };
}

function part(seed: number, name: keyof typeof PARTS): ByteImages {
  const { images, drawing, labelling } = PARTS[name];
  const pixels = new Uint8Array(images * IMAGE_BYTES);
  const labels = new Uint8Array(images);
  const classes = SHAPES10.classNames.length;
  for (let i = 0; i < images; i++) {
    labels[i] = i % classes;
    const random = new RandomStream(seed, "shapes", i, drawing);
    draw(random, SHAPES[labels[i]], pixels.subarray(i * IMAGE_BYTES, (i + 1) * IMAGE_BYTES));
  }
  const random = new RandomStream(seed, "shapes", 0, labelling);
  const order = random.shuffle(Uint32Array.from(labels, (_, i) => i));
  for (const i of order.subarray(0, images * ERROR_FLOOR)) {
    labels[i] = (labels[i] + 1 + random.below(classes - 1)) % classes;
  }
  return { count: images, height: SIZE, width: SIZE, channels: CHANNELS, pixels, labels, classes };
}

/**
 * Signed distance to a shape's edge, about exact near it, negative inside.
 * Coordinates are in units of the shape's radius.
 */
type Shape = (x: number, y: number) => number;

const box = (x: number, y: number, halfWidth: number, halfHeight: number): number =>
  Math.max(Math.abs(x) - halfWidth, Math.abs(y) - halfHeight);
const distance = (x: number, y: number): number => Math.sqrt(x * x + y * y);
/** Negative in every other band of the given width; a band is centred on 0. */
const bands = (x: number, width: number): number => {
  const phase = x / (2 * width) + 0.25;
  return (Math.abs(phase - Math.floor(phase) - 0.5) - 0.25) * -2 * width;
};

/** cos and sin of 72 and 144 degrees: the directions of a pentagram's lines. */
const COS_72 = 0.30901699437494745, SIN_72 = 0.9510565162951535;
const COS_144 = -0.8090169943749475, SIN_144 = 0.5877852522924731;
const SIN_60 = 0.8660254037844386;
const TAN_30 = 0.5773502691896257;

/** In label order. */
const SHAPES: readonly Shape[] = [
  // disc
  (x, y) => distance(x, y) - 0.95,
  // square
  (x, y) => box(x, y, 0.85, 0.85),
  // triangle
  (x, y) => Math.max(y, SIN_60 * x - 0.5 * y, -SIN_60 * x - 0.5 * y) - 0.55,
  // star: within at least four of the five half-planes of a pentagram's lines,
  // so the second largest of the five distances decides.
  (x, y) => {
    let largest = -Infinity, second = -Infinity;
    for (
      const d of [
        y,
        SIN_72 * x + COS_72 * y,
        -SIN_72 * x + COS_72 * y,
        SIN_144 * x + COS_144 * y,
        -SIN_144 * x + COS_144 * y,
      ]
    ) {
      if (d > largest) {
        second = largest;
        largest = d;
      } else if (d > second) second = d;
    }
    return second - 0.38;
  },
  // ring
  (x, y) => Math.abs(distance(x, y) - 0.75) - 0.25,
  // cross
  (x, y) => Math.min(box(x, y, 1, 0.32), box(x, y, 0.32, 1)),
  // crescent: a disc without another one
  (x, y) => Math.max(distance(x, y) - 1, 0.8 - distance(x - 0.55, y)),
  // bar
  (x, y) => box(x, y, 1.1, 0.35),
  // stripes
  (x, y) => Math.max(box(x, y, 1, 1), bands(x, 0.4)),
  // checks: the exclusive or of two sets of bands
  (x, y) => {
    const a = bands(x, 0.6), b = bands(y, 0.6);
    return Math.max(box(x, y, 0.9, 0.9), Math.min(a, b), -Math.max(a, b));
  },
];

const MIN_RADIUS = 8, MAX_RADIUS = 10.5;
/** Farthest that a shape's centre lies from the image's. */
const MAX_SHIFT = 4;
/** Least distance of the shape's colour from the background's (sum over the channels, 0..765). */
const MIN_CONTRAST = 240;
const DISTRACTORS = 2, MIN_DISTRACTOR = 1.2, MAX_DISTRACTOR = 2.6;
/** Knots of the background's texture on each side, and how far it moves a channel. */
const KNOTS = 5;
const TEXTURE = 25;
/** Half-width of the uniform noise on each byte. */
const NOISE = 12;

/** Draws one image into its bytes, [32, 32, 3]. */
function draw(random: RandomStream, shape: Shape, bytes: Uint8Array): void {
  const between = (low: number, high: number) => low + (high - low) * random.uniform();
  const colour = () => [random.below(256), random.below(256), random.below(256)];

  const background = colour();
  let foreground = colour();
  const contrast = () =>
    foreground.reduce((sum, value, c) => sum + Math.abs(value - background[c]), 0);
  while (contrast() < MIN_CONTRAST) foreground = colour();

  const knots = Float64Array.from(
    { length: (KNOTS + 1) ** 2 * CHANNELS },
    () => between(-TEXTURE, TEXTURE),
  );
  const centreX = SIZE / 2 + between(-MAX_SHIFT, MAX_SHIFT);
  const centreY = SIZE / 2 + between(-MAX_SHIFT, MAX_SHIFT);
  const radius = between(MIN_RADIUS, MAX_RADIUS);
  const [cos, sin] = direction(random);
  const distractors = Array.from({ length: DISTRACTORS }, () => ({
    x: between(0, SIZE),
    y: between(0, SIZE),
    radius: between(MIN_DISTRACTOR, MAX_DISTRACTOR),
    colour: colour(),
  }));

  const pixel = new Float64Array(CHANNELS);
  let noise = 0, noiseLeft = 0;
  for (let row = 0, at = 0; row < SIZE; row++) {
    for (let column = 0; column < SIZE; column++) {
      const x = column + 0.5, y = row + 0.5;
      texture(knots, x, y, pixel);
      for (let c = 0; c < CHANNELS; c++) pixel[c] += background[c];
      for (const disc of distractors) {
        paint(pixel, disc.colour, disc.radius - distance(x - disc.x, y - disc.y));
      }
      const dx = (x - centreX) / radius, dy = (y - centreY) / radius;
      paint(pixel, foreground, -radius * shape(cos * dx + sin * dy, cos * dy - sin * dx));
      for (let c = 0; c < CHANNELS; c++) {
        if (noiseLeft-- === 0) {
          noise = random.word();
          noiseLeft = 3;
        }
        const offset = ((noise & 0xff) / 127.5 - 1) * NOISE;
        noise >>>= 8;
        bytes[at++] = Math.max(0, Math.min(255, Math.floor(pixel[c] + offset)));
      }
    }
  }
}

/**
 * Cosine and sine of an angle between -30 and 30 degrees, without trigonometry:
 * the direction of a point drawn within a sector of the unit disc.
 */
function direction(random: RandomStream): [number, number] {
  for (;;) {
    const x = random.uniform(), y = TAN_30 * (2 * random.uniform() - 1);
    const length = distance(x, y);
    if (length > 0.01 && length <= 1 && Math.abs(y) <= TAN_30 * x) return [x / length, y / length];
  }
}

/** Blends a colour over a pixel; `inside` is the depth within the edge in pixels. */
function paint(pixel: Float64Array, colour: readonly number[], inside: number): void {
  const opacity = Math.max(0, Math.min(1, inside + 0.5));
  if (opacity === 0) return;
  for (let c = 0; c < CHANNELS; c++) pixel[c] += opacity * (colour[c] - pixel[c]);
}

/** Bilinear interpolation of the texture's knots, [KNOTS + 1, KNOTS + 1, 3], into `pixel`. */
function texture(knots: Float64Array, x: number, y: number, pixel: Float64Array): void {
  const u = x * KNOTS / SIZE, v = y * KNOTS / SIZE;
  const column = Math.floor(u), row = Math.floor(v);
  const fx = u - column, fy = v - row;
  for (let c = 0; c < CHANNELS; c++) {
    const at = (row * (KNOTS + 1) + column) * CHANNELS + c;
    const below = at + (KNOTS + 1) * CHANNELS;
    const upper = knots[at] + fx * (knots[at + CHANNELS] - knots[at]);
    const lower = knots[below] + fx * (knots[below + CHANNELS] - knots[below]);
    pixel[c] = upper + fy * (lower - upper);
  }
}
