import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { philox, RandomStream, type Words } from "./philox.ts";

Deno.test("philox gives the published known answers", () => {
  // Random123 1.14.0, tests/kat_vectors, the three lines "philox4x32 10":
  // counter, key, answer.
  const vectors: readonly (readonly [Words, readonly [number, number], Words])[] = [
    [[0, 0, 0, 0], [0, 0], [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]],
    [
      [0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff],
      [0xffffffff, 0xffffffff],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
    ],
    [
      [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344],
      [0xa4093822, 0x299f31d0],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ],
  ];
  for (const [counter, key, answer] of vectors) assertEquals(philox(key, counter), answer);
});

Deno.test("a stream's words are those of its key and counter", () => {
  // Computed by a Python program written from the paper (SC'11, section 4):
  // key [7, 3], counter [0, 0, 0, 0]; key [2^32 - 1, 6], counter [0, 0, 9, 4].
  const shuffle = new RandomStream(7, "shuffle", 0);
  assertEquals(
    Array.from({ length: 4 }, () => shuffle.word()),
    [865107294, 3452369154, 112919602, 3509640119],
  );
  const probe = new RandomStream(0xffffffff, "probe", 9, 4);
  assertEquals(
    Array.from({ length: 4 }, () => probe.word()),
    [4021942895, 1226670272, 3442877323, 2027932244],
  );
});

Deno.test("streams that differ in seed, use, sequence or part share no words", () => {
  const streams = [
    new RandomStream(1, "shuffle", 0),
    new RandomStream(2, "shuffle", 0),
    new RandomStream(1, "augmentation", 0),
    new RandomStream(1, "shuffle", 1),
    new RandomStream(1, "shuffle", 0, 1),
  ];
  const words = streams.flatMap((stream) => Array.from({ length: 100 }, () => stream.word()));
  // Among 500 uniform 32-bit words one pair agrees by chance once in 34,000 seeds.
  assertEquals(new Set(words).size, 500);
});

Deno.test("a seed that is no 32-bit whole number is refused", () => {
  for (const seed of [-1, 0.5, 2 ** 32, NaN]) {
    assertThrows(() => new RandomStream(seed, "shuffle", 0), RangeError, String(seed));
  }
});

/** Mean of f over n draws. */
function mean(n: number, draw: () => number, f: (x: number) => number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += f(draw());
  return sum / n;
}

Deno.test("uniform has the moments of the uniform distribution", () => {
  const random = new RandomStream(11, "probe", 1);
  const n = 100_000;
  const draw = () => random.uniform();
  // Tolerances are four standard errors: sqrt(1/12 / n), sqrt(1/180 / n).
  assertAlmostEquals(mean(n, draw, (u) => u), 1 / 2, 4 * Math.sqrt(1 / 12 / n));
  assertAlmostEquals(mean(n, draw, (u) => (u - 0.5) ** 2), 1 / 12, 4 * Math.sqrt(1 / 180 / n));
});

Deno.test("uniform stays in [0, 1)", () => {
  const random = new RandomStream(12, "probe", 1);
  for (let i = 0; i < 10_000; i++) {
    const u = random.uniform();
    assert(u >= 0 && u < 1, `${u}`);
  }
});

Deno.test("normal has the first four moments of the normal distribution", () => {
  const random = new RandomStream(13, "probe", 2);
  const n = 100_000;
  const draw = () => random.normal();
  // The variance of x^k is E[x^2k] - E[x^k]^2: 1, 2, 15 and 96.
  [[1, 0, 1], [2, 1, 2], [3, 0, 15], [4, 3, 96]].forEach(([power, expected, variance]) => {
    const tolerance = 4 * Math.sqrt(variance / n);
    assertAlmostEquals(mean(n, draw, (x) => x ** power), expected, tolerance);
  });
});

Deno.test("the two normals of a Box-Muller pair are uncorrelated", () => {
  const random = new RandomStream(14, "probe", 3);
  const n = 50_000;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += random.normal() * random.normal();
  assertAlmostEquals(sum / n, 0, 4 / Math.sqrt(n));
});

Deno.test("below draws every value equally often", () => {
  const random = new RandomStream(15, "probe", 4);
  const counts = new Array<number>(10).fill(0);
  const n = 100_000;
  for (let i = 0; i < n; i++) counts[random.below(10)]++;
  const chiSquare = counts.reduce((sum, count) => sum + (count - n / 10) ** 2 / (n / 10), 0);
  // The 99.9% point of chi-square with 9 degrees of freedom.
  assert(chiSquare < 27.88, `chi-square is ${chiSquare}`);
});

Deno.test("below has no bias where the bound does not divide 2^32", () => {
  // Words modulo 3 x 2^30 without rejection would fall below 2^30 half of the time.
  const random = new RandomStream(16, "probe", 5);
  const bound = 3 * 2 ** 30;
  const n = 30_000;
  const low = mean(n, () => random.below(bound), (x) => x < 2 ** 30 ? 1 : 0);
  assertAlmostEquals(low, 1 / 3, 4 * Math.sqrt(2 / 9 / n));
});

Deno.test("below takes bounds from 1 to 2^32", () => {
  const random = new RandomStream(18, "probe", 7);
  assertEquals(random.below(1), 0);
  assert(random.below(2 ** 32) < 2 ** 32);
  for (const bound of [0, -1, 1.5, NaN, 2 ** 32 + 1]) {
    assertThrows(() => random.below(bound), RangeError, `found ${bound}`);
  }
});

Deno.test("shuffle permutes, and puts every value anywhere equally often", () => {
  const random = new RandomStream(17, "probe", 6);
  const n = 24_000;
  const orders = new Map<string, number>();
  for (let i = 0; i < n; i++) {
    const order = random.shuffle(Uint32Array.of(0, 1, 2, 3)).join("");
    orders.set(order, (orders.get(order) ?? 0) + 1);
  }
  assertEquals(orders.size, 24);
  const chiSquare = [...orders.values()].reduce((sum, k) => sum + (k - n / 24) ** 2 / (n / 24), 0);
  // The 99.9% point of chi-square with 23 degrees of freedom.
  assert(chiSquare < 49.73, `chi-square is ${chiSquare}`);
});
