/** From bytes to the network's input, straight from the contract's formula. */
import type { BatchPlan, ByteImages, Normalisation } from "../engine.ts";

/**
 * Crops, mirrors and normalises the images of a plan.
 *
 * @param shifts Of all images, [N, C], scaled.
 * @returns [N, H, W, C].
 */
export function networkInput(
  images: ByteImages,
  plan: BatchPlan,
  { scale, mean, std, beforePadding, perImage }: Normalisation,
  padding: number,
  shifts?: Float32Array,
): Float32Array {
  const { height, width, channels } = images;
  const input = new Float32Array(plan.indices.length * height * width * channels);
  let next = 0;
  plan.indices.forEach((index, n) => {
    const own = Float64Array.from(
      { length: channels },
      (_, c) => -(shifts?.[index * channels + c] ?? 0),
    );
    for (let i = 0; perImage && i < height * width * channels; i++) {
      own[i % channels] += images.pixels[index * height * width * channels + i] * scale /
        (height * width);
    }
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const sourceY = y + plan.cropY[n] - padding;
        const sourceX = (plan.flip[n] ? width - 1 - x : x) + plan.cropX[n] - padding;
        const inside = sourceY >= 0 && sourceY < height && sourceX >= 0 && sourceX < width;
        for (let c = 0; c < channels; c++) {
          const source = (sourceY * width + sourceX) * channels + c;
          const byte = inside ? images.pixels[index * height * width * channels + source] : 0;
          const position = beforePadding ? source : (y * width + x) * channels + c;
          const isZeroBorder = beforePadding && !inside;
          input[next++] = isZeroBorder ? 0 : (byte * scale - mean[position] - own[c]) / std[c];
        }
      }
    }
  });
  return input;
}
