import { assertEquals, assertLess, assertStringIncludes, assertThrows } from "@std/assert";
import type { BatchPlan } from "../engine/mod.ts";
import { BatchSource } from "./batches.ts";
import { splitImages } from "./split.ts";

const upTo = (count: number) => Uint32Array.from({ length: count }, (_, i) => i);
const PAPER = {
  seed: 1,
  batchSize: 128,
  cropPadding: 4,
  augmentation: "pad-crop-flip",
  order: "shuffled",
  epochEnd: "run-on",
} as const;
const SMALL = {
  ...PAPER,
  seed: 7,
  indices: Uint32Array.of(0, 10, 20, 30, 40, 50, 60, 70, 80, 90),
  batchSize: 4,
};

/** [index, cropY, cropX, flip] of each image. */
const rows = (plan: BatchPlan) =>
  Array.from(plan.indices, (index, j) => [index, plan.cropY[j], plan.cropX[j], plan.flip[j]]);

Deno.test("plans are those of an independent implementation", () => {
  // python3 bench/peers/batch_plan.py
  assertEquals(rows(new BatchSource(SMALL).plan(3)), [
    [60, 5, 3, 1],
    [40, 3, 6, 0],
    [40, 3, 3, 0],
    [60, 3, 3, 0],
  ]);
  assertEquals(rows(new BatchSource({ ...SMALL, epochEnd: "keep-partial" }).plan(6)), [
    [80, 3, 1, 0],
    [30, 4, 4, 0],
  ]);
  assertEquals(rows(new BatchSource({ ...SMALL, epochEnd: "drop-partial" }).plan(5)), [
    [90, 3, 0, 1],
    [50, 8, 0, 1],
    [40, 8, 6, 0],
    [70, 1, 6, 1],
  ]);
  const plain = { cropPadding: 2, augmentation: "none", order: "sequential" } as const;
  assertEquals(rows(new BatchSource({ ...SMALL, ...plain }).plan(3)), [
    [80, 2, 2, 0],
    [90, 2, 2, 0],
    [0, 2, 2, 0],
    [10, 2, 2, 0],
  ]);
  const { training } = splitImages(50_000, { training: 45_000, validation: 5_000 }, 1);
  const last = rows(new BatchSource({ ...PAPER, indices: training }).plan(64_000));
  assertEquals(last.length, 128);
  assertEquals([last[0], last[1], last[127]], [
    [4611, 3, 4, 1],
    [25890, 8, 8, 0],
    [13260, 7, 4, 1],
  ]);
});

Deno.test("any order of access gives the same plans", () => {
  const forward = new BatchSource(SMALL);
  const plans = Array.from({ length: 20 }, (_, i) => forward.plan(i + 1));
  const backward = new BatchSource(SMALL);
  for (const i of [19, 0, 7, 18, 3, 12, 5, 19, 1]) assertEquals(backward.plan(i + 1), plans[i]);
});

Deno.test("an epoch visits every image once, whatever its end", () => {
  const indices = upTo(45_000);
  const visits = (epochEnd: "run-on" | "keep-partial" | "drop-partial", iterations: number) => {
    const source = new BatchSource({ ...PAPER, indices, epochEnd, augmentation: "none" });
    return Array.from({ length: iterations }, (_, i) => [...source.plan(i + 1).indices]).flat();
  };
  const kept = visits("keep-partial", 352);
  assertEquals([kept.length, new Set(kept).size], [45_000, 45_000]);
  const dropped = visits("drop-partial", 351);
  assertEquals([dropped.length, new Set(dropped).size], [44_928, 44_928]);
  const first = visits("run-on", 352).slice(0, 45_000);
  assertEquals(first, kept);
});

Deno.test("batches per epoch: 351.5625, 352 or 351 of 45,000; 391 of 50,000", () => {
  const of = (count: number, epochEnd: "run-on" | "keep-partial" | "drop-partial") =>
    new BatchSource({ ...PAPER, indices: upTo(count), epochEnd }).batchesPerEpoch;
  assertEquals(of(45_000, "run-on"), 351.5625);
  assertEquals(of(45_000, "keep-partial"), 352);
  assertEquals(of(45_000, "drop-partial"), 351);
  assertEquals(of(50_000, "keep-partial"), 391);
});

Deno.test("run-on batches are full, also where one spans several epochs", () => {
  const source = new BatchSource({ ...SMALL, batchSize: 25, order: "sequential" });
  const tens = [...SMALL.indices];
  assertEquals([...source.plan(2).indices], [...tens.slice(5), ...tens, ...tens]);
});

Deno.test("the same image gets all 162 views, equally often", () => {
  const draws = 162 * 200;
  const source = new BatchSource({ ...PAPER, indices: Uint32Array.of(5) });
  const counts = new Map<string, number>();
  for (let iteration = 1; iteration * 128 <= draws; iteration++) {
    for (const [, ...view] of rows(source.plan(iteration))) {
      counts.set(view.join(), (counts.get(view.join()) ?? 0) + 1);
    }
  }
  assertEquals(counts.size, 162);
  const total = Math.floor(draws / 128) * 128;
  const expected = total / 162;
  const chiSquared = counts.values().reduce((sum, n) => sum + (n - expected) ** 2 / expected, 0);
  // 99.99% quantile of chi-squared with 161 degrees of freedom (PyTorch 2.13.0: gammainc, bisected).
  assertLess(chiSquared, 236.428);
});

Deno.test("seeds, epochs and iterations differ", () => {
  const first = (seed: number, iteration: number) =>
    rows(new BatchSource({ ...SMALL, seed, batchSize: 10 }).plan(iteration)).join();
  assertEquals(new Set([first(7, 1), first(8, 1), first(7, 2)]).size, 3);
});

Deno.test("the caller's list stays as it was and may change afterwards", () => {
  const indices = upTo(10);
  const source = new BatchSource({ ...SMALL, indices });
  const before = source.plan(1);
  assertEquals(indices, upTo(10));
  indices.fill(3);
  assertEquals(source.plan(1), before);
  assertEquals(source.plan(4).indices.some((index) => index !== 3), true);
});

Deno.test("settings and iterations out of range are refused with the value", () => {
  const message = (change: object) =>
    assertThrows(() => new BatchSource({ ...SMALL, ...change }), RangeError).message;
  assertStringIncludes(message({ indices: new Uint32Array() }), "found 0");
  assertStringIncludes(message({ batchSize: 0 }), "batch size");
  assertStringIncludes(message({ batchSize: 1.5 }), "found 1.5");
  assertStringIncludes(message({ cropPadding: 128 }), "0 to 127, found 128");
  assertStringIncludes(message({ batchSize: 11, epochEnd: "drop-partial" }), "at least 11 images");
  assertStringIncludes(message({ seed: -1 }), "found -1");
  const source = new BatchSource(SMALL);
  for (const iteration of [0, -1, 1.5, 2 ** 32]) {
    assertStringIncludes(
      assertThrows(() => source.plan(iteration), RangeError).message,
      `found ${iteration}`,
    );
  }
});
