/** Sample images as they stand in a page. */
import { encode } from "fast-png";
import type { ImageSample } from "../../log/mod.ts";

/** A `data:` URI of one image as PNG. */
export function pngUri(
  { height, width }: Pick<ImageSample, "height" | "width">,
  pixels: ImageSample["images"][number]["pixels"] | Uint8Array,
): string {
  const data = typeof pixels === "string" ? Uint8Array.fromBase64(pixels) : pixels; // [H, W, C]
  return `data:image/png;base64,${encode({ width, height, channels: 3, data }).toBase64()}`;
}
