/**
 * The network's input from the stored bytes: crop of the padded image, mirrored
 * where the plan says so, normalised.
 *
 *     x[y, x, c] = (byte[y + cropY - p, x' + cropX - p, c] * scale - mean - m[c]) / std
 *
 * with x' = x, or W - 1 - x where mirrored. Outside the stored image the value
 * is 0 if the normalisation comes before the padding; else the byte is 0 and
 * the mean is that of the position (y, x) in the batch, as it is inside. m is the image's own mean
 * where the normalisation subtracts it, and 0, which changes no bit, elsewhere.
 */
import {
  advance,
  below,
  type Code,
  float,
  floatOfInt,
  fmul,
  fsub,
  type FunctionReference,
  get,
  iadd,
  imul,
  int,
  isub,
  loadByte,
  loadFloat,
  loadInt,
  type Module,
  repeat,
  set,
  storeFloat,
  when,
} from "../assembler.ts";
import { MOST_IMAGE_MEANS } from "../../_arguments.ts";
import { range } from "./convolution.ts";

/**
 * Words of one image in the plan: position, crop from the top and left, mirrored, label, and as
 * floats the image's own mean of each channel.
 */
export const PLAN_WORDS = 9;
export const [PLAN_INDEX, PLAN_CROP_Y, PLAN_CROP_X, PLAN_FLIP, PLAN_LABEL, PLAN_MEANS] = range(
  PLAN_WORDS,
).map((word) => 4 * word);

/** What the kernel reads besides the plan; addresses in bytes. */
export interface InputShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
  /** Channels in memory: a multiple of 4. */
  readonly storedChannels: number;
  readonly cropPadding: number;
  /** Float: the factor of a byte. */
  readonly scaleAddress: number;
  /** 1 where the normalisation comes before the padding. */
  readonly beforePaddingAddress: number;
  /** [H, W, C] means, then [C] standard deviations. */
  readonly meanAddress: number;
}

/** Kernel (images, plan, x): one image of the set at `images`, by one entry of the plan. */
export function inputKernel(module: Module, shape: InputShape): FunctionReference {
  const { height, width, channels, storedChannels, cropPadding } = shape;
  const { scaleAddress, beforePaddingAddress, meanAddress } = shape;
  return module.function(`input ${JSON.stringify(shape)}`, ["i32", "i32", "i32"], (
    f,
    images,
    plan,
    output,
  ) => {
    const [base, y, x, row, column, mirrored, pixel, mean, here] = range(9).map(() => f.i32());
    const stdAddress = meanAddress + height * width * channels * 4;
    const centred = (value: Code, c: number): Code =>
      c < MOST_IMAGE_MEANS ? fsub(value, loadFloat(plan, PLAN_MEANS + 4 * c)) : value;
    const normalised = (byte: (channel: number) => Code): Code =>
      range(channels).map((c) => [
        storeFloat(
          output,
          [
            centred(fsub(fmul(byte(c), loadFloat(int(scaleAddress))), loadFloat(mean, 4 * c)), c),
            loadFloat(int(stdAddress + 4 * c)),
            0x95,
          ],
          4 * c,
        ),
      ]);
    const position = (row: Code, column: Code) =>
      imul(iadd(imul(row, int(width)), column), int(channels));
    return [
      set(base, iadd(images, imul(loadInt(plan, PLAN_INDEX), int(height * width * channels)))),
      repeat(y, height, [
        set(row, isub(iadd(y, loadInt(plan, PLAN_CROP_Y)), int(cropPadding))),
        repeat(x, width, [
          set(mirrored, get(x)),
          when(loadInt(plan, PLAN_FLIP), set(mirrored, isub(int(width - 1), x))),
          set(column, isub(iadd(mirrored, loadInt(plan, PLAN_CROP_X)), int(cropPadding))),
          set(here, position(get(y), get(x))),
          // Unsigned comparison: a negative position is a very large one.
          when(
            [below(row, int(height)), below(column, int(width)), 0x71],
            [
              set(pixel, position(get(row), get(column))),
              when(loadInt(int(beforePaddingAddress)), set(here, get(pixel))),
              set(mean, iadd(imul(here, int(4)), int(meanAddress))),
              set(pixel, iadd(base, pixel)),
              normalised((c) => floatOfInt(loadByte(pixel, c))),
            ],
            when(
              loadInt(int(beforePaddingAddress)),
              range(channels).map((c) => storeFloat(output, float(0), 4 * c)),
              [
                set(mean, iadd(imul(here, int(4)), int(meanAddress))),
                normalised(() => float(0)),
              ],
            ),
          ),
          // The rounded-up channels share storage with other tensors: never leave them as found.
          range(storedChannels - channels).map((c) =>
            storeFloat(output, float(0), 4 * (channels + c))
          ),
          advance(output, storedChannels * 4),
        ]),
      ]),
    ];
  });
}
