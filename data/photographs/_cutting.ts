/** What a decoding worker is asked, and what it does: photographs read and cut, a few together. */
import { FileError } from "../../files/mod.ts";
import { augmentPhotograph, drawAugmentation, type PhotographAugmentation } from "./augment.ts";
import { type Photograph, readPhotograph } from "./folder.ts";
import type { ReadingRules } from "./image_file.ts";
import type { RgbImage } from "./rgb_image.ts";
import { requireResizable, viewsOf } from "./views.ts";

/** How photographs are cut. */
export type Cut =
  | {
    /** As they are trained on: drawn by (seed, iteration, place). */
    readonly kind: "train";
    readonly seed: number;
    readonly iteration: number;
    readonly augmentation: PhotographAugmentation;
  }
  | {
    /** As they are tested: the middle of the image with a shorter side. */
    readonly kind: "test";
    readonly shorterSide: number;
    readonly size: number;
  };

/** Photographs to read. */
export interface CutRequest {
  /** Their folder. */
  readonly folder: string;
  /** Which. */
  readonly photographs: readonly Photograph[];
  /** Their places in the batch: from `first` on. */
  readonly first: number;
  readonly cut: Cut;
  readonly rules: ReadingRules;
}

/** Photographs, cut: those that could be read. */
export interface CutPhotographs {
  /** [N, size, size, 3], zeros where a file could not be read. */
  readonly pixels: Uint8Array;
  /** [N, 3]. */
  readonly shifts: Float32Array;
  /** [N]: why a file could not be read. */
  readonly faults: readonly (string | undefined)[];
}

/** Reads and cuts, one after the other. */
export async function cutPhotographs(
  { folder, photographs, first, cut, rules }: CutRequest,
): Promise<CutPhotographs> {
  const size = cut.kind === "train" ? cut.augmentation.size : cut.size;
  const bytes = size * size * 3;
  const pixels = new Uint8Array(photographs.length * bytes);
  const shifts = new Float32Array(photographs.length * 3);
  const faults: (string | undefined)[] = [];
  const index = { folder, photographs, classNames: [], broken: [], passedOver: new Map() };
  for (const at of photographs.keys()) {
    faults.push(undefined);
    try {
      const image = await readPhotograph({ ...index, sha256: "" }, at, rules);
      // By the largest side that may be drawn, so that a file is always left out or never.
      const side = largestSideOf(cut);
      if (side !== undefined) requireResizable(image, side, `${folder}/${photographs[at].path}`);
      const result = cutOne(image, cut, first + at);
      pixels.set(result.image.pixels, at * bytes);
      shifts.set(result.shift, at * 3);
    } catch (error) {
      // One that is gone, or that the system does not give out any more, can't be read either.
      // Anything else is a fault of the program, and no file's.
      if (!(error instanceof FileError)) throw error;
      faults[at] = error.message;
    }
  }
  return { pixels, shifts, faults };
}

/** The largest shorter side that a whole image may be given; undefined where a part of it is cut. */
function largestSideOf(cut: Cut): number | undefined {
  if (cut.kind === "test") return cut.shorterSide;
  return cut.augmentation.crop === "scale" ? cut.augmentation.shorterSide[1] : undefined;
}

function cutOne(
  image: RgbImage,
  cut: Cut,
  place: number,
): { readonly image: RgbImage; readonly shift: readonly number[] } {
  if (cut.kind === "test") {
    const sizes = { resized: cut.shorterSide, cropped: cut.size };
    return { image: viewsOf(image, "1-crop", sizes)[0], shift: [0, 0, 0] };
  }
  const draw = drawAugmentation(cut.seed, cut.iteration, place, image, cut.augmentation);
  return { image: augmentPhotograph(image, draw, cut.augmentation.size), shift: draw.shift };
}
