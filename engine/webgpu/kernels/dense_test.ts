import { vectors } from "../_kernel.ts";
import { testKernel } from "../_testing.ts";
import { randomOperand } from "./_operand_fixture.ts";
import { checkKernel, rowsOf, uniform, unwritten } from "./_testing.ts";
import {
  denseInputGradientKernel,
  denseKernel,
  type DenseShape,
  denseWeightGradientKernel,
} from "./dense.ts";

/** Single-precision sums of up to some hundred terms. */
const SUMS = { relativeNorm: 1e-6 };

/** The paper's, one where nothing divides anything, and a larger net's. */
const SHAPES: readonly DenseShape[] = [
  { channels: 64, units: 10 },
  { channels: 3, units: 5 },
  { channels: 258, units: 101 },
];

/** More images than the lanes of a weight gradient. */
const IMAGES = 70;
const BATCH = 72;

for (const shape of SHAPES) {
  const { channels, units } = shape;
  const C = 4 * vectors(channels), F = 4 * vectors(units);
  const name = `${channels} to ${units}`;
  const row = (channels: number) => ({ height: 1, width: 1, channels });
  const values = uniform(channels * units, 1);
  // [C rounded up][F rounded up]
  const weights = new Float32Array(C * F);
  for (let c = 0; c < channels; c++) {
    for (let f = 0; f < units; f++) weights[c * F + f] = values[c * units + f];
  }
  /** [BATCH][channels rounded up]; `beyond` where the step has no image. */
  const rows = (channels: number, value: (n: number, channel: number) => number, beyond = NaN) =>
    rowsOf(BATCH, channels, (n, channel) => n < IMAGES ? value(n, channel) : beyond)
      .map((v, i) => i < IMAGES * 4 * vectors(channels) ? v : beyond);

  for (const source of ["stored", "normalised-relu", "gradient"] as const) {
    const x = randomOperand(source, row(channels), IMAGES, BATCH, 2);
    const operand = x.buffers.map((buffer) => [buffer, "unchanged"] as const);

    testKernel(`a dense layer: ${name}, ${source}`, async () => {
      const random = uniform(units, 3);
      const bias = rowsOf(1, units, (_, f) => random[f]);
      const y = rows(units, (n, f) => {
        let sum = bias[f];
        for (let c = 0; c < channels; c++) sum += x.values[n * C + c] * weights[c * F + f];
        return sum;
      });
      await checkKernel(
        denseKernel(shape, source),
        [
          ...operand,
          [weights, "unchanged"],
          [bias, "unchanged"],
          // Rows beyond the step's images stay as they are: NaN.
          [unwritten(y.length), y],
        ],
        { absolute: 2e-5, relative: 1e-6 },
        { images: IMAGES },
      );
    });

    testKernel(`a dense layer's weight and bias gradient: ${name}, ${source}`, async () => {
      const dy = randomOperand("stored", row(units), IMAGES, BATCH, 4);
      const dw = new Float64Array(C * F), db = new Float64Array(F);
      for (let n = 0; n < IMAGES; n++) {
        for (let f = 0; f < units; f++) {
          const gradient = dy.values[n * F + f];
          db[f] += gradient;
          for (let c = 0; c < channels; c++) dw[c * F + f] += x.values[n * C + c] * gradient;
        }
      }
      await checkKernel(
        denseWeightGradientKernel(shape, source),
        [
          ...operand,
          [dy.buffers[0], "unchanged"],
          [unwritten(C * F), Float32Array.from(dw)],
          [unwritten(F), Float32Array.from(db)],
        ],
        SUMS,
        { images: IMAGES },
      );
    });
  }

  testKernel(`a dense layer's input gradient, written and added: ${name}`, async () => {
    const dy = randomOperand("stored", row(units), IMAGES, BATCH, 5);
    const random = uniform(BATCH * C, 6);
    const before = rows(channels, (n, c) => random[n * C + c]);
    for (const accumulate of [false, true]) {
      const dx = rows(channels, (n, c) => {
        let sum = accumulate ? before[n * C + c] : 0;
        for (let f = 0; f < units; f++) sum += dy.values[n * F + f] * weights[c * F + f];
        return sum;
      });
      await checkKernel(
        denseInputGradientKernel(shape, accumulate),
        [
          [dy.buffers[0], "unchanged"],
          [weights, "unchanged"],
          [accumulate ? before : unwritten(dx.length), dx],
        ],
        { absolute: 2e-5, relative: 1e-6 },
        { images: IMAGES },
      );
    }
  });
}
