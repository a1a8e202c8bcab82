import { assertEquals } from "@std/assert";
import type { SgdSettings } from "../../optimiser.ts";
import { testKernel } from "../_testing.ts";
import { checkKernel, uniform, unwritten } from "./_testing.ts";
import { type UpdatedParameter, updateKernel, updateTable } from "./update.ts";

const SGD: SgdSettings = {
  kind: "sgd",
  momentum: 0.5,
  nesterov: false,
  weightDecay: 0.25,
  decayed: "kernels",
};
const EXACT = { absolute: 0, relative: 0 };

/** Elements of a parameter: more than one block. */
const SIZE = 300;

/**
 * Two steps at rate 1/2 from w = 1, v = 0, with the partial gradients 1/2, 1/4 and 1/4.
 * Everything is linear: element k of each parameter is k times that, exactly.
 *
 * With decay: g = 1 + 1/4, v = 1.25, w = 1 - 0.625 = 0.375; then
 *   g = 1 + 0.09375, v = 0.625 + 1.09375 = 1.71875, w = 0.375 - 0.859375.
 * With decay and Nesterov: v = 1.25, w = 1 - (1.25 + 0.625) / 2 = 0.0625; then
 *   g = 1.015625, v = 0.625 + 1.015625 = 1.640625, w = 0.0625 - (1.015625 + 0.8203125) / 2.
 * Without decay: v = 1, w = 0.5; then v = 1.5, w = -0.25.
 * Without decay, with Nesterov: v = 1, w = 1 - (1 + 0.5) / 2 = 0.25; then
 *   v = 1.5, w = 0.25 - (1 + 0.75) / 2.
 */
const BY_HAND = [
  { nesterov: false, decays: true, w: [0.375, -0.484375], v: [1.25, 1.71875] },
  { nesterov: true, decays: true, w: [0.0625, -0.85546875], v: [1.25, 1.640625] },
  { nesterov: false, decays: false, w: [0.5, -0.25], v: [1, 1.5] },
  { nesterov: true, decays: false, w: [0.25, -0.625], v: [1, 1.5] },
];

for (const { nesterov, decays, w, v } of BY_HAND) {
  const name = `${nesterov ? "Nesterov's " : ""}momentum ${decays ? "with" : "without"} decay`;
  testKernel(`two updates by hand: ${name}`, async () => {
    const times = (factor: number): Float32Array =>
      Float32Array.from({ length: SIZE }, (_, k) => k * factor);
    const parameter: UpdatedParameter = {
      ...{ weights: 0, size: SIZE, gradients: 0, partials: 3, stride: SIZE, decays },
    };
    const table = updateTable([parameter]);
    const kernel = updateKernel({ ...SGD, nesterov }, table);
    const gradients = Float32Array.of(...times(0.5), ...times(0.25), ...times(0.25));
    let [weights, momentum] = [times(1), times(0)];
    for (const step of [0, 1]) {
      [, , weights, , momentum] = await checkKernel(
        kernel,
        [
          [table, "unchanged"],
          [gradients, "unchanged"],
          [weights, times(w[step])],
          [unwritten(4), "unchanged"],
          [momentum, times(v[step])],
        ],
        EXACT,
        { scalars: [0.5] },
      );
    }
  });
}

/**
 * Where parameters lie in their buffers, with a gap before each, and what there is of them:
 * as many partials as share lanes, fewer, and far more.
 */
const PARAMETERS: readonly UpdatedParameter[] = [
  {
    ...{ weights: 64, size: 9 * 8 * 12, gradients: 128, partials: 5, stride: 900, decays: true },
    flipped: { offset: 64, taps: 9, channels: 8, filters: 12 },
  },
  { weights: 1024, size: 16, gradients: 4800, partials: 1, stride: 16, decays: false },
  {
    ...{ weights: 1088, size: 4 * 16, gradients: 4864, partials: 261, stride: 64, decays: true },
    flipped: { offset: 960, taps: 1, channels: 4, filters: 16 },
  },
  { weights: 1152, size: 257, gradients: 21632, partials: 2, stride: 320, decays: true },
];

testKernel("an update of many parameters, some with flipped kernels", async () => {
  const sgd: SgdSettings = { ...SGD, momentum: 0.9, weightDecay: 1e-4, decayed: "all" };
  const rate = Math.fround(0.1);
  const gradients = unwritten(22400), flipped = unwritten(1024);
  const weights = unwritten(1472), momentum = unwritten(1472);
  const expected = {
    weights: weights.slice(),
    momentum: momentum.slice(),
    flipped: flipped.slice(),
  };
  PARAMETERS.forEach((parameter, i) => {
    const { size, partials, stride, decays } = parameter;
    weights.set(uniform(size, 4 * i), parameter.weights);
    momentum.set(uniform(size, 4 * i + 1), parameter.weights);
    for (let p = 0; p < partials; p++) {
      gradients.set(uniform(size, 1000 * i + p + 50), parameter.gradients + p * stride);
    }
    for (let k = 0; k < size; k++) {
      const place = parameter.weights + k;
      let g = decays ? sgd.weightDecay * weights[place] : 0;
      for (let p = 0; p < partials; p++) g += gradients[parameter.gradients + p * stride + k];
      const v = sgd.momentum * momentum[place] + g;
      expected.momentum[place] = v;
      expected.weights[place] = weights[place] - rate * v;
    }
    if (!parameter.flipped) return;
    const { offset, taps, channels, filters } = parameter.flipped;
    for (let tap = 0; tap < taps; tap++) {
      for (let c = 0; c < channels; c++) {
        for (let f = 0; f < filters; f++) {
          expected.flipped[offset + ((taps - 1 - tap) * filters + f) * channels + c] =
            expected.weights[parameter.weights + (tap * channels + c) * filters + f];
        }
      }
    }
  });
  const table = updateTable(PARAMETERS);
  const found = await checkKernel(
    updateKernel(sgd, table),
    [
      [table, "unchanged"],
      [gradients, "unchanged"],
      // What lies between parameters stays as it is: NaN.
      [weights, expected.weights],
      [flipped, expected.flipped],
      [momentum, expected.momentum],
    ],
    // Sums of up to 261 values below 1, which partly cancel.
    { absolute: 5e-6, relative: 1e-6 },
    { scalars: [0.1] },
  );
  // The copy's bits are the weights', not only close to them.
  const { weights: first, flipped: copy } = PARAMETERS[0];
  const { offset, channels, filters } = copy!;
  const [tap, c, f] = [2, 5, 7];
  assertEquals(
    found[3][offset + (6 * filters + f) * channels + c],
    found[2][first + (tap * channels + c) * filters + f],
  );
});

testKernel("zeros that rounding up added stay zero", async () => {
  const parameter: UpdatedParameter = {
    ...{ weights: 0, size: 8, gradients: 0, partials: 40, stride: 8, decays: true },
  };
  const table = updateTable([parameter]);
  const kernel = updateKernel({ ...SGD, nesterov: true }, table);
  const rounded = Float32Array.of(1, 2, 3, 4, 5, 0, 0, 0);
  const gradients = Float32Array.from({ length: 40 * 8 }, (_, i) => rounded[i % 8] / 8);
  // g = 5 + 1/4 = 5.25, v = 5.25 + 1/2 = 5.75, w = 1 - (5.25 + 2.875) / 4, times the element.
  await checkKernel(
    kernel,
    [
      [table, "unchanged"],
      [gradients, "unchanged"],
      [rounded, rounded.map((value) => value * -1.03125)],
      [unwritten(4), "unchanged"],
      [rounded, rounded.map((value) => value * 5.75)],
    ],
    EXACT,
    { scalars: [0.25] },
  );
});

Deno.test("updates of more blocks than one dimension of a grid holds", () => {
  const size = 70_000 * 256;
  const kernel = updateKernel(
    SGD,
    updateTable([{ weights: 0, size, gradients: 0, partials: 1, stride: size, decays: true }]),
  );
  assertEquals(kernel.workgroups(1), [35_000, 2, 1]);
});
