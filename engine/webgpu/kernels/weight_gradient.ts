/**
 * Gradients of a convolution's weights and bias, summed over a batch:
 *
 *     dW[ky, kx, c, f] = sum over n, i, j of x[n, s i + ky - p, s j + kx - p, c] * dz[n, i, j, f]
 *     db[f] = sum over n, i, j of dz[n, i, j, f]
 *
 * with x the layer's input (zero outside the image), dz its output's gradient, s the
 * stride, p the padding. Both operands are made where they are read (`Source`).
 *
 * Registers. A lane owns all taps (beyond 3x3: those of one kernel row) for 4, 2 or 1
 * channels and 4 filters: for 3x3, 9 taps by 2 channels, 18 vectors of sums. It walks along
 * an output row, where neighbouring windows overlap: a pixel takes three loads of two
 * channels and one of four filters, 40 bytes of workgroup memory, for 72 multiply-adds.
 * With the window, 72 + 18 + 4 values and some addresses are live, below the 128 registers
 * at which 512 lanes fit a multiprocessor. A segment of up to 8 pixels is written out, so
 * that the window moves by renaming.
 *
 * Workgroup. 8 channel groups by 4 vectors of filters (for 3x3, 16 by 16 weights a tap)
 * make a stream of 32 lanes, which reads few distinct addresses at a time. 8 streams take
 * turns at the segments of a chunk: `rows` output rows of a strip of columns, or whole
 * images where those are small. In the end their sums are added by halves.
 *
 * Workgroup memory, [image][row][column][channels] of x with its halo, and of dz. Each
 * value of a chunk is made once, by `load_x` or `load_dz`: 32 values a pixel for 2,304
 * multiply-adds. Rows of x lie in a ring, so that a chunk below the last one stages only
 * rows that were not there yet.
 *
 * Grid. Tiles of weights by parts of the batch: equal runs of chunks, as many as give 256
 * workgroups, two on each multiprocessor of a large card, of which one computes while the
 * other stages. At batch 128 with 24 KiB of workgroup memory:
 *
 *     layer                     chunk       bytes    tiles x parts   floats of partials
 *     3 to 16, 32x32            8 rows      21,824   1 x 256         147k
 *     16 to 16, 32x32           4 rows      21,248   1 x 256         590k
 *     16 to 32, to 16x16        4 rows      23,104   2 x 128         590k
 *     32 to 32, 16x16           8 rows      19,712   4 x 64          590k
 *     32 to 64, to 8x8          8 rows      22,592   8 x 32          590k
 *     64 to 64, 8x8             2 images    20,992   16 x 16         590k
 */
import {
  type ImageShape,
  type Kernel,
  type KernelLimits,
  type Source,
  sourceCode,
  STEP,
  vectors,
} from "../_kernel.ts";
import { entryPoint, imageLabel, LANES, storage, sumRows } from "./_lanes.ts";
import type { ConvolutionShape } from "./convolution.ts";

/** Sums that a lane may own, in vectors of four filters. */
const LARGEST_SUMS = 18;
/** Of a stream, at most. */
const LARGEST_CHANNEL_GROUPS = 8;
/** As many as run in step on most cards. */
const STREAM_LANES = 32;
const LARGEST_SEGMENT = 8;
/** Bytes; leaves room for two workgroups in 64 KiB. */
const LARGEST_STORAGE = 24 * 1024;
const WANTED_WORKGROUPS = 256;

/** A weight gradient, whose result is a sum of partial ones. */
export interface WeightGradientKernel extends Kernel {
  /** How many gradients the kernel leaves; their sum is the batch's. */
  readonly partials: number;
}

/** How lanes, workgroup memory and the batch are divided. */
interface Division {
  /** Kernel rows and channels whose taps one lane owns. */
  readonly kernelRows: number;
  readonly laneChannels: number;
  /** Of a tile: groups of `laneChannels`, and vectors of filters. */
  readonly channelGroups: number;
  readonly filterVectors: number;
  readonly streams: number;
  /** Of a chunk: images, output rows, and segments of output pixels in a row. */
  readonly images: number;
  readonly rows: number;
  readonly segments: number;
  readonly segmentPixels: number;
  /** Columns of chunks in an image, and chunks in such a column. */
  readonly strips: number;
  readonly stripChunks: number;
  /** Of the staged input, halo included. */
  readonly inputRows: number;
  readonly inputColumns: number;
  /** Lengths of the arrays in workgroup memory. */
  readonly inputLength: number;
  readonly gradientLength: number;
  /** Of both. */
  readonly bytes: number;
}

/** A vector of sums: of a tap and a channel among those of its lane. */
interface Sum {
  readonly ky: number;
  readonly kx: number;
  readonly part: number;
  readonly name: string;
}

/**
 * Makes the kernel of a convolution's weight gradient.
 *
 * Bindings: the activation's, the gradient's, then the partial gradients,
 * [partials][tap][C rounded up to 4][F4], all of which are written.
 *
 * @param shape The layer.
 * @param sources How x and dz are got.
 * @param batchSize The largest batch; partials depend on it, not on the step's.
 * @param limits Of the device.
 * @throws {RangeError} If one window of the input is too large for workgroup memory.
 */
export function weightGradientKernel(
  shape: ConvolutionShape,
  sources: { readonly activation: Source; readonly gradient: Source },
  batchSize: number,
  limits: KernelLimits,
): WeightGradientKernel {
  const { input, output, kernel, stride, padding } = shape;
  const bytes = Math.min(LARGEST_STORAGE, limits.maxComputeWorkgroupStorageSize);
  const division = divide(shape, batchSize, bytes);
  const { kernelRows, laneChannels, channelGroups, filterVectors } = division;
  const tiles = {
    kernelRows: kernel / kernelRows,
    channels: Math.ceil(vectors(input.channels) * 4 / (channelGroups * laneChannels)),
    filters: Math.ceil(vectors(output.channels) / filterVectors),
  };
  const workgroups = tiles.kernelRows * tiles.channels * tiles.filters;
  const chunks = Math.ceil(batchSize / division.images) * division.strips * division.stripChunks;
  const partChunks = Math.ceil(chunks / Math.ceil(WANTED_WORKGROUPS / workgroups));
  const partials = Math.ceil(chunks / partChunks);
  return {
    label: `weight gradient ${imageLabel(input)} to ${imageLabel(output)}, ` +
      `${kernel}x${kernel} stride ${stride} padding ${padding}, ${sources.activation}, ` +
      `${sources.gradient}, batch ${batchSize}, ${bytes} bytes`,
    group: "weight gradient",
    partials,
    code: code(shape, sources, division, tiles, partChunks),
    workgroups: () => [workgroups, partials, 1],
    operations: (images) =>
      2 * images * output.height * output.width * kernel ** 2 * input.channels * output.channels,
  };
}

/** The largest chunk that fits, in whole rows if they do, in whole images if those do. */
function divide(
  { input, output, kernel, stride }: ConvolutionShape,
  batchSize: number,
  storageBytes: number,
): Division {
  const kernelRows = kernel <= 3 ? kernel : 1;
  const sums = kernelRows * kernel;
  const laneChannels = [4, 2].find((channels) => sums * channels <= LARGEST_SUMS) ?? 1;
  const channelGroups = Math.min(
    LARGEST_CHANNEL_GROUPS,
    vectors(input.channels) * 4 / laneChannels,
  );
  const filterVectors = Math.min(
    vectors(output.channels),
    Math.floor(STREAM_LANES / channelGroups),
  );
  const streamLanes = channelGroups * filterVectors;
  const streams = 2 ** Math.floor(Math.log2(LANES / streamLanes));
  const tile = { kernelRows, laneChannels, channelGroups, filterVectors, streams };

  const chunk = (strips: number, rows: number, images: number): Division => {
    const width = Math.ceil(output.width / strips);
    const segments = Math.ceil(width / LARGEST_SEGMENT);
    const segmentPixels = Math.ceil(width / segments);
    const stripChunks = Math.ceil(output.height / rows);
    const inputRows = (rows - 1) * stride + kernel;
    const inputColumns = (segments * segmentPixels - 1) * stride + kernel;
    const inputLength = images * inputRows * inputColumns * channelGroups;
    // The streams' sums pass through it as well, half of them at a time.
    const gradientLength = Math.max(
      images * rows * segments * segmentPixels * filterVectors,
      streams / 2 * streamLanes,
    );
    return {
      ...tile,
      images,
      rows,
      segments,
      segmentPixels,
      strips,
      stripChunks,
      inputRows,
      inputColumns,
      inputLength,
      gradientLength,
      bytes: 4 * laneChannels * inputLength + 16 * gradientLength,
    };
  };
  const largest = (count: number, chunkOf: (value: number) => Division) => {
    let value = count;
    while (value > 0 && chunkOf(value).bytes > storageBytes) value--;
    return value;
  };

  let strips = 1;
  while (chunk(strips, 1, 1).bytes > storageBytes) {
    if (++strips > output.width) {
      throw new RangeError(
        `cannot compute the weight gradient of a ${kernel}x${kernel} convolution: one window of ` +
          `its input must fit the device's ${storageBytes} bytes of workgroup memory, but takes ` +
          `${chunk(output.width, 1, 1).bytes}; use a smaller kernel or another engine`,
      );
    }
  }
  const fitting = largest(output.height, (rows) => chunk(strips, rows, 1));
  const passes = (rows: number) => {
    const { segments, stripChunks } = chunk(strips, rows, 1);
    return stripChunks * Math.ceil(rows * segments / streams);
  };
  // Streams must not wait for others' last segments; then as few chunks as can be.
  const rows = range(fitting).map((row) => fitting - row)
    .reduce((best, rows) => passes(rows) < passes(best) ? rows : best);
  const single = chunk(strips, rows, 1);
  if (strips > 1 || rows < output.height) return single;
  // Two segments for each stream, if as many images fit.
  const wanted = Math.ceil(2 * streams / (rows * single.segments));
  return chunk(1, rows, largest(Math.min(wanted, batchSize), (images) => chunk(1, rows, images)));
}

function code(
  { input, output, kernel, stride, padding }: ConvolutionShape,
  sources: { readonly activation: Source; readonly gradient: Source },
  division: Division,
  tiles: { readonly kernelRows: number; readonly channels: number },
  partChunks: number,
): string {
  const { kernelRows, laneChannels, channelGroups, filterVectors, streams } = division;
  const { images, rows, segments, segmentPixels, strips, stripChunks } = division;
  const { inputRows, inputColumns, inputLength, gradientLength } = division;
  const x = sourceCode(sources.activation, "x", 1, input.channels);
  const dz = sourceCode(sources.gradient, "dz", 1 + x.bindings, output.channels);
  const C4 = vectors(input.channels);
  const F4 = vectors(output.channels);
  const streamLanes = channelGroups * filterVectors;
  const lanes = streams * streamLanes;
  const tileVectors = channelGroups * laneChannels / 4;
  const stripPixels = segments * segmentPixels;
  const imageChunks = strips * stripChunks;
  // Of the input, rows and columns of padding are staged only where chunks lie anywhere in
  // an image. Else they stay the zeros that workgroup memory begins with.
  const marginRows = stripChunks === 1 ? padding : 0;
  const marginColumns = strips === 1 ? padding : 0;
  const stagedRows = stripChunks === 1 ? Math.min(input.height, inputRows - padding) : inputRows;
  const stagedColumns = strips === 1 ? Math.min(input.width, inputColumns - padding) : inputColumns;
  const keptRows = Math.max(0, kernel - stride);
  const ring = (row: string) => stripChunks === 1 ? row : `((${row}) % ${inputRows}u)`;
  const partOf = (group: number) =>
    `.${"xyzw".slice(group * laneChannels, (group + 1) * laneChannels)}`;
  const element = laneChannels === 1 ? "f32" : `vec${laneChannels}f`;
  const sums: readonly Sum[] = range(kernelRows).flatMap((ky) =>
    range(kernel).flatMap((kx) =>
      range(laneChannels).map((part) => ({ ky, kx, part, name: `sum_${ky}_${kx}_${part}` }))
    )
  );

  return `${STEP}
${x.declarations}
${dz.declarations}
${storage(1 + x.bindings + dz.bindings, "partials", "read_write")}  // [partials][tap][C][F4]

var<workgroup> x_tile: array<${element}, ${inputLength}>;  // [image][row][column][group]
var<workgroup> dz_tile: array<vec4f, ${gradientLength}>;  // [image][row][column][F4 of the tile]

${
    entryPoint(
      lanes,
      `
  let first_ky = group.x % ${tiles.kernelRows}u * ${kernelRows}u;
  let channel_tile = group.x / ${tiles.kernelRows}u % ${tiles.channels}u;
  let filter_tile = group.x / ${tiles.kernelRows * tiles.channels}u;
  let stream = lane / ${streamLanes}u;
  let c = lane % ${streamLanes}u / ${filterVectors}u;
  let f = lane % ${filterVectors}u;
  ${sums.map(({ name }) => `var ${name} = vec4f();`).join("\n  ")}

  let first = group.y * ${partChunks}u;
  let given = (step.images + ${images - 1}u) / ${images}u * ${imageChunks}u;
  let end = min(first + ${partChunks}u, given);
  for (var chunk = first; chunk < end; chunk++) {
    let image = chunk / ${imageChunks}u * ${images}u;
    let left = chunk % ${imageChunks}u / ${stripChunks}u * ${stripPixels}u;
    let top = chunk % ${stripChunks}u * ${rows}u;
    workgroupBarrier();
    let fresh = top == 0u || chunk == first;
    let kept = select(${keptRows * stagedColumns * tileVectors}u, 0u, fresh);
    // A lane meets one vector of channels in every turn.
    let vector = lane % ${tileVectors}u;
    let channel = channel_tile * ${tileVectors}u + vector;
    let x_own = channel_x(min(channel, ${C4 - 1}u));
    for (var v = lane + kept; v < ${
        images * stagedRows * stagedColumns * tileVectors
      }u; v += ${lanes}u) {
      let column = v / ${tileVectors}u % ${stagedColumns}u + ${marginColumns}u;
      let row = v / ${stagedColumns * tileVectors}u % ${stagedRows}u + ${marginRows}u;
      let n = v / ${stagedRows * stagedColumns * tileVectors}u;
      // In the padding these wrap around, beyond the image's size.
      let y = top * ${stride}u + row - ${padding}u;
      let x = left * ${stride}u + column - ${padding}u;
      var value = vec4f();
      if (y < ${input.height}u && x < ${input.width}u && channel < ${C4}u
          && image + n < step.images) {
        let pixel = ((image + n) * ${input.height}u + y) * ${input.width}u + x;
        value = read_x(pixel * ${C4}u + channel, x_own);
      }
      let slot = ${ring(`top * ${stride}u + row`)};
      let at = ((n * ${inputRows}u + slot) * ${inputColumns}u + column) * ${channelGroups}u
        + vector * ${4 / laneChannels}u;
      ${
        range(4 / laneChannels).map((g) => `x_tile[at + ${g}u] = value${partOf(g)};`).join(
          "\n      ",
        )
      }
    }
    let dz_vector = filter_tile * ${filterVectors}u + lane % ${filterVectors}u;
    let dz_own = channel_dz(min(dz_vector, ${F4 - 1}u));
    for (var v = lane; v < ${images * rows * stripPixels * filterVectors}u; v += ${lanes}u) {
      let j = v / ${filterVectors}u % ${stripPixels}u + left;
      let i = v / ${stripPixels * filterVectors}u % ${rows}u + top;
      let n = v / ${rows * stripPixels * filterVectors}u + image;
      var value = vec4f();
      if (i < ${output.height}u && j < ${output.width}u && dz_vector < ${F4}u && n < step.images) {
        let pixel = (n * ${output.height}u + i) * ${output.width}u + j;
        value = read_dz(pixel * ${F4}u + dz_vector, dz_own);
      }
      dz_tile[v] = value;
    }
    workgroupBarrier();
    for (var s = stream; s < ${images * rows * segments}u; s += ${streams}u) {
      let start = s % ${segments}u * ${segmentPixels}u;
      let row = s / ${segments}u % ${rows}u;
      let n = s / ${rows * segments}u;
      let dz_index = ((n * ${rows}u + row) * ${stripPixels}u + start) * ${filterVectors}u + f;
      let padded_row = ${stripChunks === 1 ? "row" : "(top + row)"} * ${stride}u + first_ky;
      ${
        range(kernelRows).map((ky) =>
          `let x_index_${ky} = ((n * ${inputRows}u + ${ring(`padded_row + ${ky}u`)}) * ` +
          `${inputColumns}u + start * ${stride}u) * ${channelGroups}u + c;`
        ).join("\n      ")
      }
      ${segmentCode(sums, stride, division)}
    }
  }

  for (var half = ${lanes / 2}u; half >= ${streamLanes}u; half /= 2u) {
    ${addingCode(sums, division)}
  }

  let filters = filter_tile * ${filterVectors}u + f;
  let first_channel = (channel_tile * ${channelGroups}u + c) * ${laneChannels}u;
  if (stream == 0u && filters < ${F4}u && first_channel < ${4 * C4}u) {
    let tap = group.y * ${kernel ** 2}u + first_ky * ${kernel}u;
    let at = (tap * ${4 * C4}u + first_channel) * ${F4}u + filters;
    ${
        sums.map(({ ky, kx, part, name }) =>
          `partials[at + ${((ky * kernel + kx) * 4 * C4 + part) * F4}u] = ${name};`
        ).join("\n    ")
      }
  }`,
    )
  }`;
}

/** Adds a segment's products: each value is loaded before its first use. */
function segmentCode(sums: readonly Sum[], stride: number, division: Division): string {
  const { laneChannels, channelGroups, filterVectors, segmentPixels } = division;
  const lines: string[] = [];
  const loaded = new Set<string>();
  for (const j of range(segmentPixels)) {
    lines.push(`let dz_${j} = dz_tile[dz_index + ${j * filterVectors}u];`);
    for (const { ky, kx, part, name } of sums) {
      const column = j * stride + kx;
      const x = `x_${ky}_${column}`;
      if (!loaded.has(x)) {
        lines.push(`let ${x} = x_tile[x_index_${ky} + ${column * channelGroups}u];`);
        loaded.add(x);
      }
      const scalar = laneChannels === 1 ? x : `${x}.${"xyzw"[part]}`;
      lines.push(`${name} = fma(vec4f(${scalar}), dz_${j}, ${name});`);
    }
  }
  return lines.join("\n      ");
}

/** Adds the sums of lanes `half` and above to those of lanes below, through `dz_tile`. */
function addingCode(sums: readonly Sum[], division: Division): string {
  const { channelGroups, filterVectors, streams, gradientLength } = division;
  const together = Math.floor(2 * gradientLength / (streams * channelGroups * filterVectors));
  return range(Math.ceil(sums.length / together)).flatMap((round) => {
    const some = sums.slice(round * together, (round + 1) * together);
    return [
      "workgroupBarrier();",
      "if (lane >= half && lane < 2u * half) {",
      ...some.map(({ name }, k) => `  dz_tile[${k}u * half + lane - half] = ${name};`),
      "}",
      "workgroupBarrier();",
      "if (lane < half) {",
      ...some.map(({ name }, k) => `  ${name} += dz_tile[${k}u * half + lane];`),
      "}",
    ];
  }).join("\n    ");
}

/**
 * Makes the kernel of a convolution's bias gradient: a workgroup for each vector of
 * filters, whose lanes take pixels in turn.
 *
 * Bindings: the gradient's, then db, [F4].
 *
 * @param image The convolution's output.
 * @param gradient How dz is got.
 */
export function biasGradientKernel(image: ImageShape, gradient: Source): Kernel {
  const { height, width, channels } = image;
  const dz = sourceCode(gradient, "dz", 1, channels);
  const F4 = vectors(channels);
  return {
    label: `bias gradient ${imageLabel(image)}, ${gradient}`,
    group: "weight gradient",
    workgroups: () => [F4, 1, 1],
    operations: (images) => images * height * width * channels,
    code: [
      STEP,
      dz.declarations,
      storage(1 + dz.bindings, "db", "read_write"),
      sumRows({ columns: 1, rows: LANES }),
      entryPoint(
        LANES,
        `
  let f = group.x;
  let own = channel_dz(f);
  var sum = vec4f();
  for (var pixel = lane; pixel < step.images * ${height * width}u; pixel += ${LANES}u) {
    sum += read_dz(pixel * ${F4}u + f, own);
  }
  sum = sum_rows(lane, sum);
  if (lane == 0u) { db[f] = sum; }`,
      ),
    ].join("\n"),
  };
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
