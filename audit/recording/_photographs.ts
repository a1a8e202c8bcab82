/** Whether what was recorded is a training on photographs, as what entered the network says. */
import type { Dataset } from "../../data/mod.ts";
import { linesOf, type NetworkLine, type Recording } from "../../log/mod.ts";

/** Sides of images that no set of small images has; its own are of 28 and 32. */
const SMALLEST = 64;
/** Sets of small images, which scripts enlarge for nets that are made for photographs. */
const SMALL_SETS = /cifar|mnist|svhn/i;

/** What there is to say of images that are larger than CIFAR-10's. */
export interface LargeImages {
  /** Height and width before the network. */
  readonly size: string;
  /** Whether they are photographs; else they are enlarged images of a small set. */
  readonly photographs: boolean;
  /** Why they are taken for enlarged ones. */
  readonly why?: string;
}

/**
 * Looks at the size of the images that entered.
 *
 * @param network The network that is trained.
 * @param dataset What the images are said to be of.
 * @returns Undefined where they are small, or not seen.
 */
export function largeImages(
  { lines }: Recording,
  network: NetworkLine | undefined,
  dataset: Dataset | undefined,
): LargeImages | undefined {
  const [, channels, height = 0, width = 0] = network?.input.shape ?? [];
  if (channels !== 3 || Math.min(height, width) < SMALLEST) return undefined;
  const size = `${height}x${width}`;
  if (dataset !== undefined) {
    return { size, photographs: false, why: `--data says that they are ${dataset.name}'s` };
  }
  const sets = linesOf(lines, "loader").flatMap(({ datasets }) => datasets);
  const small = sets.find((set) => SMALL_SETS.test(set.class));
  if (small !== undefined) {
    return { size, photographs: false, why: `the data set is a ${small.class}` };
  }
  // A folder of CIFAR's images as files: so many, in so many classes, are no photographs by chance.
  const classes = network?.output?.shape.at(-1);
  return sets.some((set) => set.size === 50_000) && (classes === 10 || classes === 100)
    ? { size, photographs: false, why: `there are 50,000 in ${classes} classes, as in CIFAR` }
    : { size, photographs: true };
}
