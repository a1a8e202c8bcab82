/** How a kernel that leaves partial sums divides a batch's pixels. */
export interface Tiling {
  /** Images that share a tile: more than 1 where maps are small. */
  readonly imagesPerTile: number;
  /** Tiles of those images. */
  readonly tilesPerImage: number;
}

/** Partial sums that a batch of so many images leaves. */
export function tilesFor({ imagesPerTile, tilesPerImage }: Tiling, images: number): number {
  return Math.ceil(images / imagesPerTile) * tilesPerImage;
}

/** `tilesFor` in WGSL, for the images of the step. */
export function tilesCode({ imagesPerTile, tilesPerImage }: Tiling): string {
  return `((step.images + ${imagesPerTile - 1}u) / ${imagesPerTile}u * ${tilesPerImage}u)`;
}
