import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { comparePaired } from "./compare.ts";

/** Trials that disagree on so many images, behind some on which both are wrong, or right. */
function trials(onlyFirst: number, onlySecond: number): [Uint8Array, Uint8Array] {
  const both = [1, 1, 1, 0, 0];
  const first = [...both, ...Array(onlyFirst).fill(1), ...Array(onlySecond).fill(0)];
  const second = [...both, ...Array(onlyFirst).fill(0), ...Array(onlySecond).fill(1)];
  return [Uint8Array.from(first), Uint8Array.from(second)];
}

Deno.test("McNemar's exact p-values are those of SciPy", () => {
  // SciPy 1.17.1: scipy.stats.binomtest(onlyFirst, onlyFirst + onlySecond, 0.5).pvalue
  const table = [
    [3, 7, 0.34375],
    [1, 9, 0.021484375],
    [12, 30, 0.007915897334896727],
    [53, 49, 0.7666042612518518],
    [100, 127, 0.08417904579043024],
    [4000, 4200, 0.027972423571324654],
    [0, 1, 1],
    [5, 5, 1],
  ];
  for (const [onlyFirst, onlySecond, p] of table) {
    const found = comparePaired(...trials(onlyFirst, onlySecond));
    assertEquals([found.onlyFirst, found.onlySecond], [onlyFirst, onlySecond]);
    assertAlmostEquals(found.p, p, 1e-9);
  }
});

Deno.test("without a disagreement there is no difference; a thousand to none are certain", () => {
  assertEquals(comparePaired(...trials(0, 0)).p, 1);
  assertEquals(comparePaired(...trials(0, 1000)).p < 1e-200, true);
});

Deno.test("trials of other images are refused", () => {
  assertThrows(
    () => comparePaired(new Uint8Array(3), new Uint8Array(4)),
    RangeError,
    "found 3 and 4",
  );
});
