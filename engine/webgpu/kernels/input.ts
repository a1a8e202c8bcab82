/**
 * The network's input from the stored bytes: crop of the padded image, mirrored
 * where the plan says so, normalised.
 *
 *     x[y, x, c] = (byte[y + cropY - p, x' + cropX - p, c] * scale - mean - m[c]) / std
 *
 * with x' = x, or W - 1 - x where mirrored. Outside the stored image the value
 * is 0 if the normalisation comes before the padding; else the byte is 0 and
 * the mean is that of the position (y, x) in the batch, as it is inside. m is the image's own mean
 * where the normalisation subtracts it, and 0 elsewhere.
 *
 * One vector a lane. A set that is too large for one binding lies in several
 * buffers: a dispatch for each writes the images of the batch that it holds.
 */
import { MOST_IMAGE_MEANS } from "../../_arguments.ts";
import { type ImageShape, type Kernel, PLAN, PLAN_WORDS, vectors } from "../_kernel.ts";
import { elementwise, imageLabel, storage } from "./_lanes.ts";

/** What the input is made from. */
export interface InputShape {
  /** Of a stored image, and of the network's input. */
  readonly image: ImageShape;
  /** Zeros around an image before it is cropped. */
  readonly cropPadding: number;
  /** The normalisation comes before the padding. */
  readonly beforePadding: boolean;
}

/** Positions in the set that one buffer holds. */
export interface SetPart {
  readonly first: number;
  readonly count: number;
}

/**
 * Kernel: pixels (array<u32>, bytes [count, H, W, C], the first in the lowest
 * bits), plan, normalisation (array<f32>: scale, mean [H, W, C], std [C]), x.
 */
export function inputKernel(shape: InputShape, part: SetPart): Kernel {
  const { image, cropPadding, beforePadding } = shape;
  const { height, width, channels } = image;
  const { first, count } = part;
  const row = vectors(channels);
  const size = height * width * channels;
  const word = (which: number) => `plan[image * ${PLAN_WORDS}u + ${which}u]`;
  return elementwise({
    label: `input ${imageLabel(image)} ${
      JSON.stringify({ cropPadding, beforePadding, first, count })
    }`,
    group: "input",
    perImage: height * width * row,
    declarations: [
      storage(1, "pixels", "read", "array<u32>"),
      storage(2, "plan", "read", "array<u32>"),
      storage(3, "normalisation", "read", "array<f32>"),
      storage(4, "output", "read_write"),
      `
// The channel of a pixel whose bytes begin at \`start\`, or outside the image; means at \`mean\`, and
// of the image itself at \`own\` of its plan.
fn value(channel: u32, start: u32, inside: bool, mean: u32, own: u32) -> f32 {
  if (channel >= ${channels}u${beforePadding ? " || !inside" : ""}) { return 0.0; }
  let at = start + channel;
  let byte = select(0u, (pixels[at / 4u] >> (at % 4u * 8u)) & 255u, inside);
  let scaled = f32(byte) * normalisation[0];
  let centred = scaled - normalisation[1u + mean + channel];
  let means = ${channels <= MOST_IMAGE_MEANS ? "bitcast<f32>(plan[own + channel])" : "0.0"};
  return (centred - means) / normalisation[${1 + size}u + channel];
}
`,
    ],
    body: `
  let image = i / ${height * width * row}u;
  let position = ${word(PLAN.index)} - ${first}u;  // very large where it comes before the part
  if (position >= ${count}u) { return; }
  let pixel = i / ${row}u % ${height * width}u;
  let y = pixel / ${width}u;
  let x = pixel % ${width}u;
  let mirrored = select(x, ${width - 1}u - x, ${word(PLAN.flip)} != 0u);
  // Unsigned: a negative position is a very large one.
  let source_y = y + ${word(PLAN.cropY)} - ${cropPadding}u;
  let source_x = mirrored + ${word(PLAN.cropX)} - ${cropPadding}u;
  let inside = source_y < ${height}u && source_x < ${width}u;
  let offset = select(0u, (source_y * ${width}u + source_x) * ${channels}u, inside);
  let start = position * ${size}u + offset;
  let mean = ${beforePadding ? "offset" : `pixel * ${channels}u`};
  let channel = i % ${row}u * 4u;
  let own = image * ${PLAN_WORDS}u + ${PLAN.means}u;
  output[i] = vec4f(
    value(channel, start, inside, mean, own),
    value(channel + 1u, start, inside, mean, own),
    value(channel + 2u, start, inside, mean, own),
    value(channel + 3u, start, inside, mean, own),
  );`,
  });
}
