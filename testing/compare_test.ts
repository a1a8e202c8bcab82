import { assertThrows } from "@std/assert";
import { assertTensorClose } from "./compare.ts";

const of = (...values: number[]) => Float32Array.from(values);
const EXACT = { absolute: 0, relative: 0 };

Deno.test("accepts values within the tolerance of each element", () => {
  assertTensorClose(of(1, -2), of(1, -2), EXACT, "x");
  assertTensorClose(of(1.5, 10.5), of(1, 10), { absolute: 0.5, relative: 0 }, "x");
  assertTensorClose(of(10.5), of(10), { absolute: 0, relative: 0.05 }, "x");
});

Deno.test("names the worst element by its index and difference", () => {
  const shape = [2, 3];
  assertThrows(
    () =>
      assertTensorClose(
        { shape, data: of(0, 0, 0, 0.25, 0, 2) },
        { shape, data: of(0, 0, 0, 0, 0, 1) },
        EXACT,
        "weight",
      ),
    Error,
    "weight: 2 of 6 elements differ by more than 0 + 0 * |expected|; worst at [1, 2]: expected 1, found 2, difference 1.00",
  );
});

Deno.test("NaN equals NaN and nothing else, an infinity itself", () => {
  assertTensorClose(of(NaN, Infinity), of(NaN, Infinity), EXACT, "x");
  for (const tolerance of [{ absolute: 1e9, relative: 1 }, { relativeNorm: 1e9 }]) {
    assertThrows(() => assertTensorClose(of(NaN), of(1), tolerance, "x"), Error, "worst at [0]");
    assertThrows(() => assertTensorClose(of(1), of(NaN), tolerance, "x"), Error, "worst at [0]");
    assertThrows(() => assertTensorClose(of(Infinity), of(-Infinity), tolerance, "x"), Error);
  }
});

Deno.test("compares by the norm of the difference", () => {
  // ||(0.3, 0.4)|| = 0.5 of ||(3, 4)|| = 5.
  assertTensorClose(of(3.3, 4.4), of(3, 4), { relativeNorm: 0.1001 }, "x");
  assertThrows(
    () => assertTensorClose(of(3.3, 4.4), of(3, 4), { relativeNorm: 0.0999 }, "x"),
    Error,
    "||actual - expected|| is 0.500",
  );
  assertThrows(() => assertTensorClose(of(1e-9), of(0), { relativeNorm: 1 }, "x"), Error);
  assertTensorClose(of(1e-9), of(0), { relativeNorm: 1, absolute: 1e-8 }, "x");
});

Deno.test("refuses other shapes and missing tensors", () => {
  assertThrows(
    () =>
      assertTensorClose(
        { shape: [2, 1], data: of(1, 2) },
        { shape: [1, 2], data: of(1, 2) },
        EXACT,
        "x",
      ),
    Error,
    "x: expected the shape [1, 2], found [2, 1]",
  );
  assertThrows(() => assertTensorClose(undefined, of(1), EXACT, "x"), Error, "actual");
});
