import { assertEquals } from "@std/assert";
import { hasTopFive, rankOf, topFiveErrors } from "./top_five.ts";

Deno.test("the images without their class among the first five are those that torch.topk leaves out", () => {
  const [images, classes] = [60, 30];
  const logits = Float32Array.from({ length: images * classes }, (_, at) => {
    const [i, k] = [Math.floor(at / classes), at % classes];
    return Math.sin(3 * i + 2 * k * k + 1);
  });
  const labels = Uint8Array.from({ length: images }, (_, i) => (3 * i * i + 5 * i) % classes);
  // PyTorch 2.13: (~(logits.topk(5, 1).indices == labels[:, None]).any(1)).sum(), of the same sines
  // in double precision, rounded to single.
  assertEquals(topFiveErrors(logits, labels, classes), 51);
});

Deno.test("of equal scores the first is likelier, and what is no number is likely nowhere", () => {
  const equal = new Float32Array(8);
  assertEquals([0, 4, 5, 7].map((label) => rankOf(equal, label)), [0, 4, 5, 7]);
  assertEquals(topFiveErrors(equal, Uint8Array.of(4), 8), 0);
  assertEquals(topFiveErrors(equal, Uint8Array.of(5), 8), 1);
  assertEquals(topFiveErrors(new Float32Array(8).fill(NaN), Uint8Array.of(0), 8), 1);
});

Deno.test("sets of few classes have no top-5 error", () => {
  assertEquals(
    [5, 6].map((classes) => hasTopFive("photographs", classes)),
    [false, true],
  );
  assertEquals([hasTopFive("cifar10", 10), hasTopFive("cifar100", 100)], [false, true]);
});
