/**
 * Batch norm's coefficients of one layer, from its tiles' partial sums.
 *
 * Forward. With n_p, m_p and M_p the count, the mean and the sum of squares
 * about it of tile p, and N the pixels of the batch (Chan, Golub, LeVeque 1979):
 *
 *     mean = m_0 + sum n_p (m_p - m_0) / N
 *     var  = sum (M_p + n_p (m_p - mean)^2) / N     r = 1 / sqrt(var + epsilon)
 *     a = gamma r     b = beta - mean a
 *
 * The running mean and variance follow mean and var N / (N - 1).
 *
 * Backward. With g the masked gradient of batch norm's output:
 *
 *     dbeta = sum g     dgamma = sum g xhat
 *     dz = a (g - dbeta / N - xhat dgamma / N) = A g + B z + C
 *     A = gamma r     B = -A r dgamma / N     C = -A dbeta / N - B mean
 *
 * In inference the statistics are constants: B = C = 0.
 *
 * Tiling. A workgroup a vector of channels; lane l adds tiles l, l + 256, ...
 * and the lanes' sums are added as a tree: eight barriers and, for 2,048 tiles,
 * eight loads in flight a lane, instead of one long chain.
 */
import type { BatchNormSettings } from "../../engine.ts";
import { type ImageShape, type Kernel, SLOPES, STATISTICS, STEP, vectors } from "../_kernel.ts";
import { entryPoint, imageLabel, LANES, storage, sumRows } from "./_lanes.ts";
import { tilesCode, type Tiling } from "./_tiling.ts";

/** Kernel: partials ("statistics"), gamma, beta, running (mean, variance), statistics. */
export function finishStatisticsKernel(
  image: ImageShape,
  tiling: Tiling,
  settings: BatchNormSettings,
): Kernel {
  const row = vectors(image.channels);
  const { epsilon, momentum } = settings;
  const partial = (which: number) => `partials[tile * ${3 * row}u + ${which * row}u + channel]`;
  const running = (which: number, value: string) => {
    const place = `running[channel + ${which * row}u]`;
    return `${place} = fma(${place}, vec4f(${float(1 - momentum)}), ${
      float(momentum)
    } * (${value}));`;
  };
  return perVector(
    `finish statistics ${imageLabel(image)} ${JSON.stringify({ tiling, epsilon, momentum })}`,
    image,
    [
      storage(1, "partials"),
      storage(2, "gamma"),
      storage(3, "beta"),
      storage(4, "running", "read_write"),
      storage(5, "statistics", "read_write"),
      sumRows({ columns: 1, rows: LANES }),
    ],
    LANES,
    `
  let origin = partials[${row}u + channel];
  var sum = vec4f();
  ${forTiles(tiling, `sum = fma(${partial(0)}, ${partial(1)} - origin, sum);`)}
  let count = ${pixelsCode(image)};
  let mean = origin + sum_rows(lane, sum) / count;
  var squares = vec4f();
  ${
      forTiles(
        tiling,
        `let difference = ${partial(1)} - mean;
    squares += fma(${partial(0)} * difference, difference, ${partial(2)});`,
      )
    }
  squares = sum_rows(lane, squares);
  if (lane > 0u) { return; }
  if (step.update_running == 1u) {
    ${running(0, "mean")}
    ${running(1, "squares / max(count - 1.0, 1.0)")}
  }
  ${storeStatistics(row, "mean", "squares / count", epsilon)}`,
  );
}

/** Kernel: gamma, beta, running (mean, variance), statistics. */
export function inferenceStatisticsKernel(
  image: ImageShape,
  { epsilon }: Pick<BatchNormSettings, "epsilon">,
): Kernel {
  const row = vectors(image.channels);
  return perVector(
    `inference statistics ${image.channels} ${JSON.stringify({ epsilon })}`,
    image,
    [
      storage(1, "gamma"),
      storage(2, "beta"),
      storage(3, "running"),
      storage(4, "statistics", "read_write"),
    ],
    1,
    `  _ = step.images;  // no kernel's layout is without the step
  ${storeStatistics(row, "running[channel]", `running[channel + ${row}u]`, epsilon)}`,
  );
}

/** Kernel: partials ("gradient"), gamma, statistics, slopes, dgamma, dbeta. */
export function finishGradientKernel(image: ImageShape, tiling: Tiling): Kernel {
  const row = vectors(image.channels);
  const partial = (which: number) => `partials[tile * ${2 * row}u + ${which * row}u + channel]`;
  const slope = (which: number) => `slopes[channel + ${which * row}u]`;
  const statistic = (which: number) => `statistics[channel + ${which * row}u]`;
  return perVector(
    `finish gradient ${imageLabel(image)} ${JSON.stringify(tiling)}`,
    image,
    [
      storage(1, "partials"),
      storage(2, "gamma"),
      storage(3, "statistics"),
      storage(4, "slopes", "read_write"),
      storage(5, "gamma_gradient", "read_write"),
      storage(6, "beta_gradient", "read_write"),
      sumRows({ columns: 1, rows: LANES }),
    ],
    LANES,
    `
  var sum = vec4f();
  var product = vec4f();
  ${forTiles(tiling, `sum += ${partial(0)};\n    product += ${partial(1)};`)}
  sum = sum_rows(lane, sum);
  product = sum_rows(lane, product);
  if (lane > 0u) { return; }
  beta_gradient[channel] = sum;
  gamma_gradient[channel] = product;
  let inverse_deviation = ${statistic(STATISTICS.inverseDeviation)};
  let a = gamma[channel] * inverse_deviation;
  let factor = select(-a / ${pixelsCode(image)}, vec4f(), step.inference == 1u);
  let b = factor * inverse_deviation * product;
  ${slope(SLOPES.a)} = a;
  ${slope(SLOPES.b)} = b;
  ${slope(SLOPES.c)} = fma(factor, sum, -b * ${statistic(STATISTICS.mean)});`,
  );
}

/** A workgroup for each vector of channels, in which `channel` is its place. */
function perVector(
  label: string,
  { channels }: ImageShape,
  declarations: readonly string[],
  lanes: number,
  body: string,
): Kernel {
  return {
    label,
    group: "batch norm",
    code: [STEP, ...declarations, entryPoint(lanes, `  let channel = group.x;\n${body}`)].join(
      "\n",
    ),
    workgroups: () => [vectors(channels), 1, 1],
    operations: () => 0,
  };
}

function forTiles(tiling: Tiling, body: string): string {
  return `
  for (var tile = lane; tile < ${tilesCode(tiling)}; tile += ${LANES}u) {
    ${body}
  }`;
}

/** N: the pixels of the batch. */
function pixelsCode({ height, width }: ImageShape): string {
  return `f32(step.images * ${height * width}u)`;
}

function storeStatistics(row: number, mean: string, variance: string, epsilon: number): string {
  const statistic = (which: number) => `statistics[channel + ${which * row}u]`;
  return `
  let inverse_deviation = inverseSqrt(${variance} + ${float(epsilon)});
  let a = gamma[channel] * inverse_deviation;
  ${statistic(STATISTICS.a)} = a;
  ${statistic(STATISTICS.b)} = fma(-${mean}, a, beta[channel]);
  ${statistic(STATISTICS.mean)} = ${mean};
  ${statistic(STATISTICS.inverseDeviation)} = inverse_deviation;`;
}

function float(value: number): string {
  return `${value}f`;
}
