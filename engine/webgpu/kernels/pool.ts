/**
 * Pooling and the parameter-free shortcut, forward and backward. A gradient
 * kernel writes dx, or adds to what is there where it accumulates.
 *
 * - Shortcut A: y[i, j, c + first] = x[s i, s j, c]; the other channels are 0.
 *   Backward: dx[s i, s j, c] = dy[i, j, c + first]; 0 at the other pixels.
 * - Maximum: y = max over the window; dy goes to the window's first maximum.
 *   Backward as a gather: a pixel adds the dy of every window in which it is the
 *   first that equals y, window after window: no two lanes write one pixel.
 * - Global average: y[c] = mean over the P pixels; dx = dy / P everywhere.
 *
 * One vector of the result a lane; a pixel's vectors, then its neighbours', lie
 * side by side. Only the global average adds over lanes: a workgroup an image
 * and up to 64 vectors of channels, whose pixels its rows of lanes share.
 */
import type { MaxPoolSpec, ShortcutASpec } from "../../../resnet/mod.ts";
import { FLAT_GROUP, flatGrid, type ImageShape, type Kernel, STEP, vectors } from "../_kernel.ts";
import {
  elementwise,
  entryPoint,
  imageLabel,
  rowsFor,
  storage,
  sumRows,
  vectorsOf,
} from "./_lanes.ts";

/** Option A's geometry; a node of the graph is one. */
export type ShortcutGeometry = Pick<ShortcutASpec, "stride" | "zeroChannels">;

/** A sliding window's geometry; a node of the graph is one. */
export type WindowGeometry = Pick<MaxPoolSpec, "kernel" | "stride" | "padding">;

/** Kernel: x, y, of the shapes given. */
export function shortcutKernel(x: ImageShape, y: ImageShape, geometry: ShortcutGeometry): Kernel {
  const { stride } = geometry;
  const channels = shiftedChannels("x", x, y, -firstChannel(x, y, geometry));
  return elementwise({
    label: `shortcut ${shortcutLabel(x, y, geometry)}`,
    group: "pool",
    perImage: vectorsOf(y),
    declarations: [
      storage(1, "x", "read", channels.type),
      storage(2, "y", "read_write"),
      channels.declaration,
    ],
    body: `${position(y)}
  let pixel = (image * ${x.height}u + row * ${stride}u) * ${x.width}u + column * ${stride}u;
  y[i] = load_x(pixel, channel);`,
  });
}

/** Kernel: dy, dx; shapes of x and y. */
export function shortcutGradientKernel(
  x: ImageShape,
  y: ImageShape,
  geometry: ShortcutGeometry,
  accumulate: boolean,
): Kernel {
  const { stride } = geometry;
  const channels = shiftedChannels("dy", y, x, firstChannel(x, y, geometry));
  return elementwise({
    label: `shortcut gradient ${shortcutLabel(x, y, geometry)}${added(accumulate)}`,
    group: "pool",
    perImage: vectorsOf(x),
    declarations: [
      storage(1, "dy", "read", channels.type),
      storage(2, "dx", "read_write"),
      channels.declaration,
    ],
    body: `${position(x)}
  if (row % ${stride}u != 0u || column % ${stride}u != 0u) {
    ${accumulate ? "" : "dx[i] = vec4f();"}
    return;
  }
  let pixel = (image * ${y.height}u + row / ${stride}u) * ${y.width}u + column / ${stride}u;
  dx[i] ${accumulate ? "+=" : "="} load_dy(pixel, channel);`,
  });
}

/** Kernel: x, y, of the shapes given. */
export function maxPoolKernel(x: ImageShape, y: ImageShape, window: WindowGeometry): Kernel {
  return elementwise({
    label: `max pool ${windowLabel(x, y, window)}`,
    group: "pool",
    perImage: vectorsOf(y),
    declarations: [
      storage(1, "x"),
      storage(2, "y", "read_write"),
      `
// NaN where one of them is; by its bits, since compilers may take a comparison for \`max\`.
fn larger(a: vec4f, b: vec4f) -> vec4f {
  let is_nan = (bitcast<vec4u>(b) & vec4u(0x7fffffffu)) > vec4u(0x7f800000u);
  return select(a, b, (b > a) | is_nan);
}`,
    ],
    body: `${position(y)}
  var maximum = vec4f(-0x1.fffffep+127f);
  ${forTaps(x, window, "row", "column", "maximum = larger(maximum, x[tap]);")}
  y[i] = maximum;`,
  });
}

/** Kernel: x, y, dy, dx; shapes of x and y. */
export function maxPoolGradientKernel(
  x: ImageShape,
  y: ImageShape,
  window: WindowGeometry,
  accumulate: boolean,
): Kernel {
  const { kernel, stride, padding } = window;
  // The windows that hold a row or column: from the first that reaches it to the last.
  const windows = (variable: string, at: string, extent: number) =>
    `for (
      var ${variable} = (max(${at} + ${padding + stride}u, ${kernel}u) - ${kernel}u) / ${stride}u;
      ${variable} < min((${at} + ${padding}u) / ${stride}u + 1u, ${extent}u);
      ${variable}++
    )`;
  const vector = `((image * ${y.height}u + window_y) * ${y.width}u + window_x) * ${
    vectors(y.channels)
  }u + channel`;
  const earlier = "is_first &= (x[tap] != y[window]) | vec4<bool>(tap >= i);";
  return elementwise({
    label: `max pool gradient ${windowLabel(x, y, window)}${added(accumulate)}`,
    group: "pool",
    perImage: vectorsOf(x),
    declarations: [
      storage(1, "x"),
      storage(2, "y"),
      storage(3, "dy"),
      storage(4, "dx", "read_write"),
    ],
    body: `${position(x)}
  var sum = vec4f();
  ${windows("window_y", "row", y.height)} {
    ${windows("window_x", "column", y.width)} {
      let window = ${vector};
      var is_first = x[i] == y[window];
      ${forTaps(x, window, "window_y", "window_x", earlier)}
      sum += select(vec4f(), dy[window], is_first);
    }
  }
  dx[i] ${accumulate ? "+=" : "="} sum;`,
  });
}

/** Kernel: x, y [N, C4]. */
export function averagePoolKernel(image: ImageShape): Kernel {
  const pixels = image.height * image.width;
  const row = vectors(image.channels);
  const lanes = rowsFor(row, pixels);
  const { columns, rows, blocks } = lanes;
  const code = [
    STEP,
    storage(1, "x"),
    storage(2, "y", "read_write"),
    sumRows(lanes),
    entryPoint(
      columns * rows,
      `
  let image = ${FLAT_GROUP};
  if (image >= step.images) { return; }
  let channel = group.z * ${columns}u + lane % ${columns}u;
  let end = select(0u, ${pixels}u, channel < ${row}u);  // lanes beyond the channels read nothing
  var sum = vec4f();
  for (var pixel = lane / ${columns}u; pixel < end; pixel += ${rows}u) {
    sum += x[(image * ${pixels}u + pixel) * ${row}u + channel];
  }
  sum = sum_rows(lane, sum);
  if (lane < ${columns}u && channel < ${row}u) { y[image * ${row}u + channel] = sum / ${pixels}f; }`,
    ),
  ].join("\n");
  return {
    label: `average pool ${imageLabel(image)}`,
    group: "pool",
    code,
    workgroups: (images) => {
      const [x, y] = flatGrid(images);
      return [x, y, blocks];
    },
    operations: () => 0,
  };
}

/** Kernel: dy [N, C4], dx. */
export function averagePoolGradientKernel(image: ImageShape, accumulate: boolean): Kernel {
  const pixels = image.height * image.width;
  const row = vectors(image.channels);
  return elementwise({
    label: `average pool gradient ${imageLabel(image)}${added(accumulate)}`,
    group: "pool",
    perImage: vectorsOf(image),
    declarations: [storage(1, "dy"), storage(2, "dx", "read_write")],
    body: `let share = dy[i / ${pixels * row}u * ${row}u + i % ${row}u] / ${pixels}f;
  dx[i] ${accumulate ? "+=" : "="} share;`,
  });
}

/** WGSL: where vector `i` of a tensor is: `image`, `row`, `column` and `channel`, a vector's place. */
function position({ height, width, channels }: ImageShape): string {
  const count = vectors(channels);
  return `
  let channel = i % ${count}u;
  let column = i / ${count}u % ${width}u;
  let row = i / ${count * width}u % ${height}u;
  let image = i / ${count * width * height}u;`;
}

/** WGSL: `body` for each vector `tap` of x in the window at (y, x), row by row, none in the padding. */
function forTaps(
  input: ImageShape,
  { kernel, stride, padding }: WindowGeometry,
  y: string,
  x: string,
  body: string,
): string {
  const range = (at: string, extent: number) => {
    const start = `${at} * ${stride}u`;
    return {
      begin: `max(${start}, ${padding}u) - ${padding}u`,
      end: `clamp(${start} + ${kernel}u, ${padding}u, ${extent + padding}u) - ${padding}u`,
    };
  };
  const [rows, columns] = [range(y, input.height), range(x, input.width)];
  return `
  for (var tap_y = ${rows.begin}; tap_y < ${rows.end}; tap_y++) {
    for (var tap_x = ${columns.begin}; tap_x < ${columns.end}; tap_x++) {
      let tap = ((image * ${input.height}u + tap_y) * ${input.width}u + tap_x) * ${
    vectors(input.channels)
  }u + channel;
      ${body}
    }
  }`;
}

/**
 * WGSL of `fn load_NAME(pixel, vector) -> vec4f`: the channels from 4 vector + shift
 * on of `from`, 0 where it has no such channel or `to` has not those that they are for.
 * By whole vectors where they line up, else channel by channel.
 */
function shiftedChannels(name: string, from: ImageShape, to: ImageShape, shift: number) {
  const row = vectors(from.channels);
  const signature = `fn load_${name}(pixel: u32, vector: u32) -> vec4f`;
  // Lanes of `from` beyond its channels hold 0: only those of `to` might not become so.
  if (shift % 4 === 0 && to.channels % 4 === 0) {
    return {
      type: "array<vec4f>",
      declaration: `
${signature} {
  let place = i32(vector) + ${shift / 4};
  if (place < 0 || place >= ${row}) { return vec4f(); }
  return ${name}[pixel * ${row}u + u32(place)];
}`,
    };
  }
  const lane = (n: number) => `channel_of_${name}(pixel, i32(vector * 4u) + ${n})`;
  return {
    type: "array<f32>",
    declaration: `
fn channel_of_${name}(pixel: u32, channel: i32) -> f32 {
  let place = channel + ${shift};
  if (place < 0 || place >= ${from.channels} || channel >= ${to.channels}) { return 0.0; }
  return ${name}[pixel * ${4 * row}u + u32(place)];
}
${signature} { return vec4f(${[0, 1, 2, 3].map(lane).join(", ")}); }`,
  };
}

/** The first output channel that the input's go to. */
function firstChannel(x: ImageShape, y: ImageShape, { zeroChannels }: ShortcutGeometry): number {
  return zeroChannels === "split" ? Math.floor((y.channels - x.channels) / 2) : 0;
}

function added(accumulate: boolean): string {
  return accumulate ? " added" : "";
}

function shortcutLabel(x: ImageShape, y: ImageShape, geometry: ShortcutGeometry): string {
  const { stride, zeroChannels } = geometry;
  return `${imageLabel(x)} ${imageLabel(y)} ${JSON.stringify({ stride, zeroChannels })}`;
}

function windowLabel(x: ImageShape, y: ImageShape, window: WindowGeometry): string {
  const { kernel, stride, padding } = window;
  return `${imageLabel(x)} ${imageLabel(y)} ${JSON.stringify({ kernel, stride, padding })}`;
}
