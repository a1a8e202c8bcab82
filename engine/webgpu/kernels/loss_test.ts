import { assertAlmostEquals, assertEquals } from "@std/assert";
import { PLAN, PLAN_WORDS, vectors } from "../_kernel.ts";
import { testKernel } from "../_testing.ts";
import { lossKernel } from "./loss.ts";
import { checkKernel, tensor, uniform, unwritten } from "./_testing.ts";

/** Metrics of three steps: only the asked-for slot is written. */
const SLOTS = 3;

/** Softmax cross entropy in double precision, and the gradient in memory's layout. */
function reference(logits: Float32Array, labels: readonly number[], classes: number) {
  const stored = 4 * vectors(classes);
  let loss = 0, errors = 0;
  const gradient = Float32Array.from(logits, () => NaN);
  labels.forEach((label, n) => {
    const z = Array.from(logits.subarray(n * stored, n * stored + classes));
    const largest = Math.max(...z);
    const exponentials = z.map((value) => Math.exp(value - largest));
    const sum = exponentials.reduce((a, b) => a + b);
    // Without the largest's 1, of which a small loss would be a small difference.
    const others = exponentials.reduce((a, b, k) => k === z.indexOf(largest) ? a : a + b, 0);
    loss += Math.log1p(others) + largest - z[label];
    if (z.indexOf(largest) !== label) errors++;
    const notLabel = exponentials.reduce((a, b, k) => k === label ? a : a + b, 0);
    for (let k = 0; k < stored; k++) {
      const share = k === label ? -notLabel : exponentials[k] ?? 0;
      gradient[n * stored + k] = share / sum / labels.length;
    }
  });
  return { loss, errors, gradient };
}

/** A batch plan with these labels, and nothing that the loss should read. */
function planOf(labels: readonly number[], batch: number): Uint32Array {
  const plan = new Uint32Array(batch * PLAN_WORDS).fill(0xffffffff);
  labels.forEach((label, n) => plan[n * PLAN_WORDS + PLAN.label] = label);
  return plan;
}

async function check(
  logits: Float32Array,
  labels: readonly number[],
  classes: number,
  { relativeLoss = 1e-6, relative = 3e-6 } = {},
): Promise<void> {
  const expected = reference(logits, labels, classes);
  const metrics = unwritten(2 * SLOTS);
  const batch = logits.length / (4 * vectors(classes));
  const found = await checkKernel(
    lossKernel(classes),
    [
      [logits, "unchanged"],
      [planOf(labels, batch), "unchanged"],
      [unwritten(logits.length), expected.gradient],
      [metrics, "unchecked"],
    ],
    { absolute: 1e-12, relative },
    { images: labels.length, slot: 1 },
  );
  const [before0, before1, loss, errors, after0, after1] = found[3];
  assertEquals([before0, before1, after0, after1], [NaN, NaN, NaN, NaN]);
  assertEquals(errors, expected.errors);
  assertAlmostEquals(loss / expected.loss, 1, relativeLoss);
}

const logitsOf = (images: number, classes: number, scale: number, label: number) => {
  const image = { height: 1, width: 1, channels: classes };
  const values = uniform((images + 1) * 4 * vectors(classes), label);
  return tensor(image, (i) => scale * values[i], images, images + 1);
};

for (const [images, classes] of [[1, 10], [5, 10], [128, 10], [300, 7], [33, 100]]) {
  testKernel(`softmax cross entropy of ${images} images, ${classes} classes`, async () => {
    const labels = Array.from({ length: images }, (_, n) => (n * 7 + 3) % classes);
    await check(logitsOf(images, classes, 3, 1), labels, classes);
  });
}

testKernel("one class leaves no loss, no error and no gradient", async () => {
  const logits = logitsOf(2, 1, 1, 5);
  await checkKernel(
    lossKernel(1),
    [
      [logits, "unchanged"],
      [planOf([0, 0], 3), "unchanged"],
      [unwritten(12), Float32Array.of(0, 0, 0, 0, 0, 0, 0, 0, NaN, NaN, NaN, NaN)],
      [unwritten(2), Float32Array.of(0, 0)],
    ],
    { absolute: 0, relative: 0 },
    { images: 2 },
  );
});

testKernel("the loss of 1,024 images keeps six digits", async () => {
  const labels = Array.from({ length: 1024 }, (_, n) => n % 10);
  await check(logitsOf(1024, 10, 4, 2), labels, 10);
});

testKernel("a good network's small losses keep their digits", async () => {
  // The label's logit is 12 or so above the others: losses around 1e-5.
  const labels = Array.from({ length: 64 }, (_, n) => n % 10);
  const logits = logitsOf(64, 10, 1, 3);
  labels.forEach((label, n) => logits[n * 12 + label] += 12);
  await check(logits, labels, 10);
});

testKernel("logits of 1,000 and more overflow nothing", async () => {
  const logits = logitsOf(6, 10, 1, 4);
  for (let n = 0; n < 6; n++) {
    for (let k = 0; k < 10; k++) logits[n * 12 + k] = 1000 * (k % 3) - 5000 * (n % 2);
  }
  await check(logits, [0, 2, 5, 8, 1, 4], 10);
});

testKernel("of equal logits the first is the prediction", async () => {
  const logits = tensor({ height: 1, width: 1, channels: 10 }, () => 0.25, 3, 4);
  // Loss log(10) each; the prediction is class 0: one error.
  const [, , gradient, metrics] = await checkKernel(
    lossKernel(10),
    [
      [logits, "unchanged"],
      [planOf([0, 0, 9], 4), "unchanged"],
      [unwritten(48), "unchecked"],
      [unwritten(2), Float32Array.of(3 * Math.LN10, 1)],
    ],
    { absolute: 0, relative: 1e-6 },
    { images: 3 },
  );
  assertEquals(metrics[1], 1);
  assertAlmostEquals(gradient[0], -0.9 / 3, 1e-7);
  assertAlmostEquals(gradient[1], 0.1 / 3, 1e-7);
});
