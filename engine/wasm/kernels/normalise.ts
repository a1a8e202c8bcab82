/**
 * Batch normalisation with ReLU and the residual addition, forward and backward.
 *
 * Over the P pixels of all n images of a batch, channel by channel:
 *
 *     mean = sum z / nP     var = sum (z - mean)^2 / nP     r = 1 / sqrt(var + epsilon)
 *     y = relu(a z + b + s)     a = gamma r     b = beta - mean a
 *
 * Backward, with g = dy where y > 0, else 0 (the gradient of s is g as well):
 *
 *     dbeta = sum g     dgamma = r sum g (z - mean)
 *     dz = a (g - dbeta / nP - (z - mean) r dgamma / nP) = A g + B z + C
 *
 * ReLU's y may have no storage: a convolution that reads it has it made in its scratch, and
 * the mask y > 0 is made of a z + b again, with the same rounding.
 *
 * Sums over a batch are taken per image (while the image is in cache), stored,
 * and added in the order of the images by every thread for itself: the result
 * does not depend on which thread did which image. Variances are combined from
 * each image's sum of squares about its own mean (Chan, Golub, LeVeque 1979),
 * which loses no digits where the mean is large.
 *
 * Coefficients of one layer, a vector of C floats each: a, b, mean, r, A, B, C.
 */
import {
  add,
  advance,
  and,
  type Code,
  div,
  equal,
  float4,
  floatOfInt,
  type FunctionReference,
  get,
  greater,
  iadd,
  imul,
  int,
  load,
  loadInt,
  type Local,
  type Module,
  mul,
  type MultiplyAdd,
  pmax,
  repeat,
  set,
  splat,
  sqrt,
  store,
  sub,
  when,
} from "../assembler.ts";
import { CONTROL } from "../_control.ts";
import { range } from "./convolution.ts";
import {
  forChannelBlocks,
  forPixels,
  inPairs,
  type Stream,
  WIDE_BLOCK_VECTORS,
} from "./_pixels.ts";

/** Vectors of C floats that one layer's coefficients take. */
export const COEFFICIENTS = 7;
const [SCALE, SHIFT, MEAN, INVERSE_STD, GRADIENT_FACTOR, VALUE_FACTOR, CONSTANT] = range(7);

/** An image in memory: channels rounded up to a multiple of 4. */
export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

const stream = (base: Local, { width, channels }: ImageShape): Stream => ({
  base,
  row: width * channels * 4,
  pixel: channels * 4,
});

/** Kernel (z, partials): sum and sum of squares about the mean of one image, 2C floats. */
export function statisticsKernel(module: Module, shape: ImageShape): FunctionReference {
  const { height, width, channels } = shape;
  return module.function(
    `statistics ${JSON.stringify(shape)}`,
    ["i32", "i32"],
    (f, z, partials) => {
      const sums = f.vectors(4);
      const means = f.vectors(4);
      const [difference] = f.vectors(1);
      return forChannelBlocks(f, channels, [z, partials], (vectors) => {
        const each = range(vectors);
        return [
          each.map((v) => set(sums[v], float4(0))),
          forPixels(
            f,
            height,
            width,
            [stream(z, shape)],
            (from) => each.map((v) => set(sums[v], add(get(sums[v]), load(from, 16 * v)))),
          ),
          each.map((v) => store(partials, get(sums[v]), 16 * v)),
          each.map((v) => [
            set(means[v], mul(get(sums[v]), float4(1 / (height * width)))),
            set(sums[v], float4(0)),
          ]),
          forPixels(f, height, width, [stream(z, shape)], (from) =>
            each.map((v) => [
              set(difference, sub(load(from, 16 * v), get(means[v]))),
              set(sums[v], add(get(sums[v]), mul(get(difference), get(difference)))),
            ])),
          each.map((v) => store(partials, get(sums[v]), channels * 4 + 16 * v)),
        ];
      });
    },
  );
}

/**
 * Kernel (coefficients, partials, gamma, beta, runningMean, runningVariance, thread):
 * the layer's forward coefficients from the partial sums or, in inference, from
 * the running statistics, which thread 0 updates when the step asks for it.
 */
export function forwardCoefficientsKernel(
  module: Module,
  shape: ImageShape,
  settings: { readonly epsilon: number; readonly momentum: number },
): FunctionReference {
  const { height, width, channels } = shape;
  const pixels = height * width;
  const name = `forward coefficients ${JSON.stringify([shape, settings])}`;
  const types = Array<"i32">(7).fill("i32");
  return module.function(
    name,
    types,
    (f, coefficients, partials, gamma, beta, runningMean, runningVariance, thread) => {
      const [mean, variance, squares, n, inverse, term, scale] = f.vectors(7);
      const [vector, image, from] = [f.i32(), f.i32(), f.i32()];
      const overImages = (body: Code): Code => [
        set(from, get(partials)),
        set(image, int(0)),
        repeatCount(image, loadInt(int(CONTROL.images)), [body, advance(from, 2 * channels * 4)]),
      ];
      const running = (pointer: Local, value: Code): Code =>
        store(
          pointer,
          add(
            mul(load(pointer), float4(1 - settings.momentum)),
            mul(value, float4(settings.momentum)),
          ),
        );
      return [
        set(n, splat(floatOfInt(imul(loadInt(int(CONTROL.images)), int(pixels))))),
        repeat(vector, channels / 4, [
          when(loadInt(int(CONTROL.inference)), [
            set(mean, load(runningMean)),
            set(variance, load(runningVariance)),
          ], [
            set(mean, float4(0)),
            overImages(set(mean, add(get(mean), load(from)))),
            set(mean, div(get(mean), get(n))),
            set(squares, float4(0)),
            overImages([
              set(term, sub(mul(load(from), float4(1 / pixels)), get(mean))),
              set(
                squares,
                add(
                  get(squares),
                  add(load(from, channels * 4), mul(mul(get(term), get(term)), float4(pixels))),
                ),
              ),
            ]),
            set(variance, div(get(squares), get(n))),
            when([equal(thread, int(0)), loadInt(int(CONTROL.updateRunning)), 0x71], [
              running(runningMean, get(mean)),
              // Unbiased: divided by one less, by at least one.
              running(
                runningVariance,
                div(get(squares), pmax(sub(get(n), float4(1)), float4(1))),
              ),
            ]),
          ]),
          set(inverse, div(float4(1), sqrt(add(get(variance), float4(settings.epsilon))))),
          set(scale, mul(load(gamma), get(inverse))),
          store(coefficients, get(scale), SCALE * channels * 4),
          store(
            coefficients,
            sub(load(beta), mul(get(mean), get(scale))),
            SHIFT * channels * 4,
          ),
          store(coefficients, get(mean), MEAN * channels * 4),
          store(coefficients, get(inverse), INVERSE_STD * channels * 4),
          [coefficients, partials, gamma, beta, runningMean, runningVariance].map((pointer) =>
            advance(pointer, 16)
          ),
        ]),
      ];
    },
  );
}

/** Which parts of y = relu(a z + b + s) a layer has. */
export interface NormaliseParts {
  readonly affine: boolean;
  readonly addend: boolean;
  readonly relu: boolean;
}

/** Kernel (z, addend, y, coefficients): the normalised image, its rows `outputRow` bytes apart. */
export function normaliseKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ImageShape,
  outputRow: number,
  parts: NormaliseParts,
): FunctionReference {
  const { height, width, channels } = shape;
  return module.function(
    `normalise ${JSON.stringify([shape, outputRow, parts])}`,
    ["i32", "i32", "i32", "i32"],
    (f, z, addend, y, coefficients) => {
      const scales = f.vectors(WIDE_BLOCK_VECTORS);
      const shifts = f.vectors(WIDE_BLOCK_VECTORS);
      const results = f.vectors(2);
      return forChannelBlocks(f, channels, [z, addend, y, coefficients], (vectors) => {
        const each = range(vectors);
        const streams = [
          stream(z, shape),
          stream(addend, shape),
          { ...stream(y, shape), row: outputRow },
        ];
        return [
          parts.affine
            ? each.map((v) => [
              set(scales[v], load(coefficients, SCALE * channels * 4 + 16 * v)),
              set(shifts[v], load(coefficients, SHIFT * channels * 4 + 16 * v)),
            ])
            : [],
          forPixels(f, height, width, streams, (from, other, to) =>
            inPairs(each, (v, side) => {
              const input = load(from, 16 * v);
              const affine = parts.affine
                ? multiplyAdd(input, get(scales[v]), get(shifts[v]))
                : input;
              const sum = parts.addend ? add(affine, load(other, 16 * v)) : affine;
              return [
                set(results[side], parts.relu ? pmax(sum, float4(0)) : sum),
                store(to, get(results[side]), 16 * v),
              ];
            })),
        ];
      }, WIDE_BLOCK_VECTORS);
    },
  );
}

/** What a layer's gradient passes on its way to z. */
export interface MaskParts {
  readonly affine: boolean;
  /** How y > 0 is known: y is read, or made again as a z + b. */
  readonly relu: "stored" | "recomputed" | "none";
}

/** A vector of a gradient, the values that its mask needs, and the sums that it adds to. */
export interface MaskVector {
  readonly gradient: Local;
  readonly y: Code;
  readonly z: Code;
  readonly mean: Local;
  readonly scale: Local;
  readonly shift: Local;
  readonly sum: Local;
  readonly product: Local;
}

/** Statements that mask a gradient and add it, and its product with z - mean, to the sums. */
export function maskVector(
  multiplyAdd: MultiplyAdd,
  { affine, relu }: MaskParts,
  { gradient, y, z, mean, scale, shift, sum, product }: MaskVector,
): Code[] {
  const output = relu === "stored" ? y : multiplyAdd(z, get(scale), get(shift));
  return [
    ...(relu === "none" ? [] : [set(gradient, and(get(gradient), greater(output, float4(0))))]),
    ...(affine
      ? [
        set(sum, add(get(sum), get(gradient))),
        set(product, multiplyAdd(get(gradient), sub(z, get(mean)), get(product))),
      ]
      : []),
  ];
}

/** Code that loads the coefficients by which gradients are masked. */
export function loadMaskCoefficients(
  { affine, relu }: MaskParts,
  channels: number,
  { mean, scale, shift }: Pick<MaskVector, "mean" | "scale" | "shift">,
  coefficients: Local,
  offset = 0,
): Code {
  const coefficient = (which: number) => load(coefficients, which * channels * 4 + offset);
  return [
    affine ? set(mean, coefficient(MEAN)) : [],
    relu === "recomputed" ? [set(scale, coefficient(SCALE)), set(shift, coefficient(SHIFT))] : [],
  ];
}

/**
 * Kernel (dy, y, z, partials, coefficients): masks dy by ReLU in place and, with
 * batch norm, stores sum g and sum g (z - mean) of one image, 2C floats.
 */
export function maskKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ImageShape,
  parts: MaskParts,
): FunctionReference {
  const { height, width, channels } = shape;
  return module.function(
    `mask ${JSON.stringify([shape, parts])}`,
    ["i32", "i32", "i32", "i32", "i32"],
    (f, dy, y, z, partials, coefficients) => {
      const sums = f.vectors(WIDE_BLOCK_VECTORS);
      const products = f.vectors(WIDE_BLOCK_VECTORS);
      const means = f.vectors(WIDE_BLOCK_VECTORS);
      const masked = f.vectors(2);
      const [scales, shifts] = [f.vectors(WIDE_BLOCK_VECTORS), f.vectors(WIDE_BLOCK_VECTORS)];
      return forChannelBlocks(f, channels, [dy, y, z, partials, coefficients], (vectors) => {
        const each = range(vectors);
        const streams = [dy, y, z].map((base) => stream(base, shape));
        return [
          each.map((v) => [
            set(sums[v], float4(0)),
            set(products[v], float4(0)),
            loadMaskCoefficients(
              parts,
              channels,
              { mean: means[v], scale: scales[v], shift: shifts[v] },
              coefficients,
              16 * v,
            ),
          ]),
          forPixels(
            f,
            height,
            width,
            streams,
            (gradients, outputs, inputs) =>
              inPairs(each, (v, side) => [
                set(masked[side], load(gradients, 16 * v)),
                ...maskVector(multiplyAdd, parts, {
                  gradient: masked[side],
                  y: load(outputs, 16 * v),
                  z: load(inputs, 16 * v),
                  mean: means[v],
                  scale: scales[v],
                  shift: shifts[v],
                  sum: sums[v],
                  product: products[v],
                }),
                parts.relu === "none" ? [] : store(gradients, get(masked[side]), 16 * v),
              ]),
          ),
          parts.affine
            ? [
              each.map((v) => store(partials, get(sums[v]), 16 * v)),
              each.map((v) => store(partials, get(products[v]), channels * 4 + 16 * v)),
            ]
            : [],
        ];
      }, WIDE_BLOCK_VECTORS);
    },
  );
}

/**
 * Kernel (coefficients, partials, dgamma, dbeta, thread): the layer's backward
 * coefficients from the partial sums; thread 0 stores the parameters' gradients.
 * Running statistics are constants, so that in inference B and C are 0.
 */
export function backwardCoefficientsKernel(module: Module, shape: ImageShape): FunctionReference {
  const { height, width, channels } = shape;
  return module.function(
    `backward coefficients ${JSON.stringify(shape)}`,
    ["i32", "i32", "i32", "i32", "i32"],
    (f, coefficients, partials, dgamma, dbeta, thread) => {
      const [sum, product, n, scale, inverse, factor] = f.vectors(6);
      const [vector, image, from] = [f.i32(), f.i32(), f.i32()];
      const at = (which: number) => which * channels * 4;
      return [
        set(
          n,
          splat(floatOfInt(imul(loadInt(int(CONTROL.images)), int(height * width)))),
        ),
        repeat(vector, channels / 4, [
          set(sum, float4(0)),
          set(product, float4(0)),
          set(from, get(partials)),
          set(image, int(0)),
          repeatCount(image, loadInt(int(CONTROL.images)), [
            set(sum, add(get(sum), load(from))),
            set(product, add(get(product), load(from, channels * 4))),
            advance(from, 2 * channels * 4),
          ]),
          set(scale, load(coefficients, at(SCALE))),
          set(inverse, load(coefficients, at(INVERSE_STD))),
          set(product, mul(get(product), get(inverse))),
          when(equal(thread, int(0)), [
            // To those of the parts before; else to zeros, as the update left them.
            store(dgamma, add(load(dgamma), get(product))),
            store(dbeta, add(load(dbeta), get(sum))),
          ]),
          store(coefficients, get(scale), at(GRADIENT_FACTOR)),
          when(loadInt(int(CONTROL.inference)), [
            store(coefficients, float4(0), at(VALUE_FACTOR)),
            store(coefficients, float4(0), at(CONSTANT)),
          ], [
            // B = -a r dgamma / nP; C = -a dbeta / nP - B mean.
            set(
              factor,
              sub(float4(0), div(mul(mul(get(scale), get(inverse)), get(product)), get(n))),
            ),
            store(coefficients, get(factor), at(VALUE_FACTOR)),
            store(
              coefficients,
              sub(
                sub(float4(0), div(mul(get(scale), get(sum)), get(n))),
                mul(get(factor), load(coefficients, at(MEAN))),
              ),
              at(CONSTANT),
            ),
          ]),
          [coefficients, partials, dgamma, dbeta].map((pointer) => advance(pointer, 16)),
        ]),
      ];
    },
  );
}

/**
 * Kernel (g, z, dz, coefficients): dz = A g + B z + C, into an image whose rows
 * are `outputRow` bytes apart (a padded one), or added to what is there.
 */
export function normaliseGradientKernel(
  module: Module,
  multiplyAdd: MultiplyAdd,
  shape: ImageShape,
  outputRow: number,
  accumulate: boolean,
): FunctionReference {
  const { height, width, channels } = shape;
  return module.function(
    `normalise gradient ${JSON.stringify([shape, outputRow, accumulate])}`,
    ["i32", "i32", "i32", "i32"],
    (f, g, z, dz, coefficients) => {
      const factors = f.vectors(WIDE_BLOCK_VECTORS);
      const values = f.vectors(WIDE_BLOCK_VECTORS);
      const constants = f.vectors(WIDE_BLOCK_VECTORS);
      const results = f.vectors(2);
      return forChannelBlocks(f, channels, [g, z, dz, coefficients], (vectors) => {
        const each = range(vectors);
        const streams = [
          stream(g, shape),
          stream(z, shape),
          { ...stream(dz, shape), row: outputRow },
        ];
        const coefficient = (which: number, v: number) =>
          load(coefficients, which * channels * 4 + 16 * v);
        return [
          each.map((v) => [
            set(factors[v], coefficient(GRADIENT_FACTOR, v)),
            set(values[v], coefficient(VALUE_FACTOR, v)),
            set(constants[v], coefficient(CONSTANT, v)),
          ]),
          forPixels(f, height, width, streams, (gradient, value, to) =>
            inPairs(each, (v, side) => {
              const inner = multiplyAdd(load(value, 16 * v), get(values[v]), get(constants[v]));
              const result = multiplyAdd(load(gradient, 16 * v), get(factors[v]), inner);
              return [
                set(results[side], accumulate ? add(load(to, 16 * v), result) : result),
                store(to, get(results[side]), 16 * v),
              ];
            })),
        ];
      }, WIDE_BLOCK_VECTORS);
    },
  );
}

/** for (; i < count; i++) with a count known only at run time, at least 1. */
function repeatCount(i: Local, count: Code, body: Code): Code {
  return [[0x03, 0x40, body, set(i, iadd(i, int(1))), get(i), count, 0x49, 0x0d, 0, 0x0b]];
}
