/** Random operands of kernels, as each kind of source has them in memory. */
import { type ImageShape, SLOPES, type Source, STATISTICS, vectors } from "../_kernel.ts";
import { randomRows, tensor, uniform } from "./_testing.ts";

/** An operand's buffers, for the bindings of its source, and the values it stands for. */
export interface Operand {
  readonly buffers: readonly Float32Array[];
  /** [batch, H, W, C4 * 4] in double precision; NaN beyond the step's images. */
  readonly values: Float64Array;
}

/** A random operand; values that a kernel must not read are NaN. */
export function randomOperand(
  source: Source,
  image: ImageShape,
  images: number,
  batch: number,
  label: number,
): Operand {
  const stored = 4 * vectors(image.channels);
  const count = batch * image.height * image.width * stored;
  const random = (part: number) => {
    const values = uniform(count, 4 * label + part);
    return tensor(image, (i) => values[i], images, batch);
  };
  const first = random(0);
  const valuesFrom = (value: (i: number, channel: number) => number) =>
    Float64Array.from(first, (_, i) => value(i, i % stored));
  switch (source) {
    case "stored":
      return { buffers: [first], values: Float64Array.from(first) };
    case "normalised":
    case "normalised-relu": {
      const rows = randomRows(STATISTICS.rows, image.channels, 4 * label + 1);
      const row = (which: number, channel: number) => rows[which * stored + channel];
      const values = valuesFrom((i, c) => row(STATISTICS.a, c) * first[i] + row(STATISTICS.b, c));
      const relu = source === "normalised-relu";
      return {
        buffers: [first, rows],
        values: relu ? values.map((value) => value < 0 ? 0 : value) : values,
      };
    }
    case "gradient": {
      const z = random(1);
      const rows = randomRows(SLOPES.rows, image.channels, 4 * label + 2);
      const row = (which: number, channel: number) => rows[which * stored + channel];
      return {
        buffers: [first, z, rows],
        values: valuesFrom((i, c) =>
          row(SLOPES.a, c) * first[i] + row(SLOPES.b, c) * z[i] + row(SLOPES.c, c)
        ),
      };
    }
  }
}
