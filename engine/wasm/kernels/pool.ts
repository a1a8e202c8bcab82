/**
 * Pooling and the parameter-free shortcut, forward and backward, one image at a
 * time. Gradients are added into dx: kernels whose target is fresh zero it first.
 *
 * - Shortcut A: y[i, j, c + first] = x[s i, s j, c]; the other channels are 0.
 * - Maximum: y = max over the window, NaN where one of them is; dy goes to the window's first maximum.
 * - Global average: y[c] = mean over the pixels; dx = dy / P everywhere.
 */
import {
  add,
  advance,
  and,
  below,
  bitselect,
  type Code,
  equalLanes,
  fadd,
  fillZero,
  float4,
  type FunctionBuilder,
  type FunctionReference,
  get,
  iadd,
  imul,
  int,
  isub,
  load,
  loadFloat,
  type Local,
  max,
  type Module,
  mul,
  repeat,
  set,
  store,
  storeFloat,
  when,
} from "../assembler.ts";
import { range } from "./convolution.ts";
import type { ImageShape } from "./normalise.ts";
import { forChannelBlocks, forPixels } from "./_pixels.ts";

/** Option A's shortcut between images in memory. */
export interface ShortcutShape {
  readonly inputWidth: number;
  readonly inputHeight: number;
  /** In memory, and without the padding of channels. */
  readonly inputChannels: number;
  readonly channels: number;
  readonly output: ImageShape;
  readonly stride: number;
  /** First output channel that the input's go to. */
  readonly first: number;
}

/** Kernel (x, y). */
export function shortcutKernel(module: Module, shape: ShortcutShape): FunctionReference {
  return module.function(`shortcut ${JSON.stringify(shape)}`, ["i32", "i32"], (f, x, y) => [
    fillZero(y, int(imageBytes(shape.output))),
    forShortcut(f, shape, x, y, {
      vector: (input, output) => store(output, load(input)),
      scalar: (input, output) => storeFloat(output, loadFloat(input)),
    }),
  ]);
}

/** Kernel (dy, dx). */
export function shortcutGradientKernel(
  module: Module,
  shape: ShortcutShape,
  accumulate: boolean,
): FunctionReference {
  const name = `shortcut gradient ${JSON.stringify([shape, accumulate])}`;
  const bytes = shape.inputHeight * shape.inputWidth * shape.inputChannels * 4;
  return module.function(name, ["i32", "i32"], (f, dy, dx) => [
    accumulate ? [] : fillZero(dx, int(bytes)),
    forShortcut(f, shape, dx, dy, {
      vector: (input, output) => store(input, add(load(input), load(output))),
      scalar: (input, output) => storeFloat(input, fadd(loadFloat(input), loadFloat(output))),
    }),
  ]);
}

/** Visits the channels that the shortcut joins: whole vectors where they line up. */
function forShortcut(
  f: FunctionBuilder,
  shape: ShortcutShape,
  input: Local,
  output: Local,
  move: Record<"vector" | "scalar", (input: Local, output: Local) => Code>,
): Code {
  const { stride, channels, first, inputWidth, inputChannels, output: out } = shape;
  const aligned = channels % 4 === 0 && first % 4 === 0;
  const [index, from, to] = [f.i32(), f.i32(), f.i32()];
  const streams = [
    {
      base: input,
      row: stride * inputWidth * inputChannels * 4,
      pixel: stride * inputChannels * 4,
    },
    { base: output, row: out.width * out.channels * 4, pixel: out.channels * 4 },
  ];
  return forPixels(f, out.height, out.width, streams, (x, y) => [
    set(from, get(x)),
    set(to, iadd(y, int(first * 4))),
    repeat(index, aligned ? channels / 4 : channels, [
      aligned ? move.vector(from, to) : move.scalar(from, to),
      advance(from, aligned ? 16 : 4),
      advance(to, aligned ? 16 : 4),
    ]),
  ]);
}

/** A window that slides over an image; what is outside does not take part. */
export interface WindowShape {
  readonly input: ImageShape;
  readonly output: ImageShape;
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/** Kernel (x, y). */
export function maxPoolKernel(module: Module, shape: WindowShape): FunctionReference {
  return module.function(`max pool ${JSON.stringify(shape)}`, ["i32", "i32"], (f, x, y) => {
    const [maximum] = f.vectors(1);
    const vector = f.i32();
    return repeat(vector, shape.output.channels / 4, [
      forWindows(f, shape, x, [y], {
        before: () => set(maximum, float4(-Infinity)),
        tap: (input) => set(maximum, max(get(maximum), load(input))),
        after: (output) => store(output, get(maximum)),
      }),
      advance(x, 16),
      advance(y, 16),
    ]);
  });
}

/** Kernel (x, y, dy, dx). */
export function maxPoolGradientKernel(
  module: Module,
  shape: WindowShape,
  accumulate: boolean,
): FunctionReference {
  const name = `max pool gradient ${JSON.stringify([shape, accumulate])}`;
  return module.function(name, ["i32", "i32", "i32", "i32"], (f, x, y, dy, dx) => {
    const [maximum, gradient, taken, hit] = f.vectors(4);
    const [vector, target] = [f.i32(), f.i32()];
    return [
      accumulate ? [] : fillZero(dx, int(imageBytes(shape.input))),
      repeat(vector, shape.output.channels / 4, [
        forWindows(f, shape, x, [y, dy], {
          before: (output, outputGradient) => [
            set(maximum, load(output)),
            set(gradient, load(outputGradient)),
            set(taken, float4(0)),
          ],
          tap: (input) => [
            // Lanes where this tap is the maximum and none before it was.
            set(hit, equalLanes(load(input), get(maximum))),
            set(hit, bitselect(float4(0), get(hit), get(taken))),
            set(taken, bitselect(get(hit), get(taken), get(hit))),
            set(target, iadd(dx, isub(input, x))),
            store(target, add(load(target), and(get(gradient), get(hit)))),
          ],
          after: () => [],
        }),
        [x, y, dy, dx].map((pointer) => advance(pointer, 16)),
      ]),
    ];
  });
}

interface WindowCode {
  readonly before: (...outputs: Local[]) => Code;
  readonly tap: (input: Local) => Code;
  readonly after: (...outputs: Local[]) => Code;
}

function forWindows(
  f: FunctionBuilder,
  shape: WindowShape,
  input: Local,
  outputs: readonly Local[],
  code: WindowCode,
): Code {
  const { kernel, stride, padding, output } = shape;
  const { height, width, channels } = shape.input;
  const [y, x, ky, kx, row, column, tap] = range(7).map(() => f.i32());
  const pixels = outputs.map(() => f.i32());
  return [
    outputs.map((base, i) => set(pixels[i], get(base))),
    repeat(y, output.height, [
      repeat(x, output.width, [
        code.before(...pixels),
        repeat(ky, kernel, [
          repeat(kx, kernel, [
            set(row, isub(iadd(imul(y, int(stride)), ky), int(padding))),
            set(column, isub(iadd(imul(x, int(stride)), kx), int(padding))),
            // Unsigned comparison: a negative position is a very large one.
            when([below(row, int(height)), below(column, int(width)), 0x71], [
              set(
                tap,
                iadd(input, imul(iadd(imul(row, int(width)), column), int(channels * 4))),
              ),
              code.tap(tap),
            ]),
          ]),
        ]),
        code.after(...pixels),
        pixels.map((pixel) => advance(pixel, output.channels * 4)),
      ]),
    ]),
  ];
}

/** Kernel (x, y): the mean over an image's pixels. */
export function averageKernel(module: Module, shape: ImageShape): FunctionReference {
  const { height, width, channels } = shape;
  return module.function(`average ${JSON.stringify(shape)}`, ["i32", "i32"], (f, x, y) => {
    const sums = f.vectors(4);
    return forChannelBlocks(f, channels, [x, y], (vectors) => {
      const each = range(vectors);
      return [
        each.map((v) => set(sums[v], float4(0))),
        forPixels(
          f,
          height,
          width,
          [rows(x, shape)],
          (from) => each.map((v) => set(sums[v], add(get(sums[v]), load(from, 16 * v)))),
        ),
        each.map((v) => store(y, mul(get(sums[v]), float4(1 / (height * width))), 16 * v)),
      ];
    });
  });
}

/** Kernel (dy, dx). */
export function averageGradientKernel(
  module: Module,
  shape: ImageShape,
  accumulate: boolean,
): FunctionReference {
  const { height, width, channels } = shape;
  const name = `average gradient ${JSON.stringify([shape, accumulate])}`;
  return module.function(name, ["i32", "i32"], (f, dy, dx) => {
    const shares = f.vectors(4);
    return forChannelBlocks(f, channels, [dy, dx], (vectors) => {
      const each = range(vectors);
      return [
        each.map((v) => set(shares[v], mul(load(dy, 16 * v), float4(1 / (height * width))))),
        forPixels(
          f,
          height,
          width,
          [rows(dx, shape)],
          (to) =>
            each.map((v) =>
              store(to, accumulate ? add(load(to, 16 * v), get(shares[v])) : get(shares[v]), 16 * v)
            ),
        ),
      ];
    });
  });
}

/** Kernel (from, to): copies an image's gradient, or adds it to what is there. */
export function addImageKernel(
  module: Module,
  floats: number,
  accumulate: boolean,
): FunctionReference {
  return module.function(`add image ${floats} ${accumulate}`, ["i32", "i32"], (f, from, to) => {
    const i = f.i32();
    return repeat(i, floats / 4, [
      store(to, accumulate ? add(load(to), load(from)) : load(from)),
      advance(from, 16),
      advance(to, 16),
    ]);
  });
}

/** Kernel (dz, db): adds an image's gradient, with rows `row` bytes apart, pixel by pixel. */
export function biasGradientKernel(
  module: Module,
  shape: ImageShape,
  row: number,
): FunctionReference {
  const { height, width, channels } = shape;
  const name = `bias gradient ${JSON.stringify([shape, row])}`;
  return module.function(name, ["i32", "i32"], (f, dz, db) => {
    const sums = f.vectors(4);
    return forChannelBlocks(f, channels, [dz, db], (vectors) => {
      const each = range(vectors);
      const gradient = { base: dz, row, pixel: channels * 4 };
      return [
        each.map((v) => set(sums[v], load(db, 16 * v))),
        forPixels(
          f,
          height,
          width,
          [gradient],
          (from) => each.map((v) => set(sums[v], add(get(sums[v]), load(from, 16 * v)))),
        ),
        each.map((v) => store(db, get(sums[v]), 16 * v)),
      ];
    });
  });
}

function rows(base: Local, { width, channels }: ImageShape) {
  return { base, row: width * channels * 4, pixel: channels * 4 };
}

function imageBytes({ height, width, channels }: ImageShape): number {
  return height * width * channels * 4;
}
