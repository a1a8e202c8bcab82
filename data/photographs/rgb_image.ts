/** What image files become. */

/** One image of three channels. */
export interface RgbImage {
  /** H, in pixels. */
  readonly height: number;
  /** W, in pixels. */
  readonly width: number;
  /** [H, W, 3], 0..255. */
  readonly pixels: Uint8Array;
}
