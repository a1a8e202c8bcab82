import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { wilsonInterval } from "./statistics.ts";

// statsmodels 0.15.0: proportion_confint(errors, images, alpha=1 - confidence, method="wilson").
const REFERENCE = [
  [751, 10_000, 0.95, 0.07009603941996534, 0.08043028239543562],
  [0, 10_000, 0.95, 0, 0.00038399837067659573],
  [10_000, 10_000, 0.95, 0.9996160016293234, 1],
  [1, 10, 0.99, 0.011851503411032943, 0.5072317712328935],
  [643, 10_000, 0.9, 0.060382067979096475, 0.06845362930856799],
  [5, 20, 0.95, 0.11186170140766569, 0.468700877618744],
] as const;

Deno.test("Wilson intervals are those of statsmodels", () => {
  for (const [errors, images, confidence, lower, upper] of REFERENCE) {
    const interval = wilsonInterval(errors, images, confidence);
    assertAlmostEquals(interval.lower, lower, 1e-12);
    assertAlmostEquals(interval.upper, upper, 1e-12);
    assertEquals(interval.confidence, confidence);
  }
});

Deno.test("a Wilson interval of no or all errors ends exactly there", () => {
  for (const images of [1, 3, 7, 999, 10_000]) {
    assertEquals(wilsonInterval(0, images).lower, 0);
    assertEquals(wilsonInterval(images, images).upper, 1);
    assert(wilsonInterval(0, images).upper < 1);
  }
});

Deno.test("a Wilson interval refuses counts and confidences that are none", () => {
  for (
    const [errors, images] of [[-1, 10], [11, 10], [1.5, 10], [0, 0], [NaN, 10], [0, Infinity]]
  ) {
    assertThrows(() => wilsonInterval(errors, images), RangeError);
  }
  for (const confidence of [0, 1, -0.5, NaN]) {
    assertThrows(() => wilsonInterval(1, 10, confidence), RangeError, `${confidence}`);
  }
});
