/** What section 3.4 states of ImageNet: the facts that a recipe for photographs is made of. */

/** Images of ImageNet 2012: those to train on, and those of its validation, on which it is tested. */
export const IMAGENET_IMAGES = { training: 1_281_167, validation: 50_000 } as const;

/** The nets of Table 1 that are built here. */
export const IMAGENET_NETS: readonly string[] = ["resnet18", "resnet34"];

/** How images are cut: shorter side drawn from a range, then a square. In pixels. */
export const IMAGENET_CROPS = {
  size: 224,
  shorterSide: { least: 256, most: 480 },
  testShorterSide: 256,
} as const;
