/** A folder of photographs as `train` is given it. */
import type { Dataset } from "../data/mod.ts";
import {
  AS_TORCHVISION,
  indexTrainingFolder,
  type PhotographFolder,
  photographSet,
} from "../data/photographs/mod.ts";
import type { Recipe } from "../recipes/mod.ts";
import { number } from "../text/mod.ts";
import { cacheOption } from "./_arguments.ts";
import type { FlagValues } from "./_flags.ts";
import { ProgressPrinter } from "./_progress.ts";
import type { DATA_FLAGS, PHOTOGRAPH_FLAGS } from "./_training_flags.ts";

type Flags = FlagValues<typeof PHOTOGRAPH_FLAGS & typeof DATA_FLAGS>;

/**
 * Workers that are started where nobody says how many: each takes 50 MiB, and reads for the steps
 * of several cores (`bench/photographs.ts`).
 */
const MOST_WORKERS = 16;
/** How often what goes through photographs says where it is. */
export const TOLD_EVERY = 100;

/** The two halves of `--data`. */
export async function photographsOf(flags: Flags): Promise<PhotographFolder> {
  const { broken, links, index } = flags;
  const printer = new ProgressPrinter();
  const folder = await indexTrainingFolder(flags.data!, {
    ...(broken === undefined ? {} : { broken }),
    ...(links === undefined ? {} : { links }),
    ...(index === undefined ? cacheOption() : { index }),
    onProgress: (done, of) => {
      if (done % TOLD_EVERY === 0) printer.passing(`looked at ${number(done)} of ${number(of)}`);
    },
  });
  printer.clear();
  return folder;
}

/** How many images a folder has to train and to validate on. */
export function splitOf({ train, val }: PhotographFolder): Recipe["data"]["split"] {
  return { training: train.photographs.length, validation: val.photographs.length };
}

/** The photographs as a recipe cuts them. */
export function cutBy(
  folder: PhotographFolder,
  { data: { photographs, augmentation } }: Recipe,
  flags: Flags,
  seed: number,
  printer: ProgressPrinter,
): Dataset {
  const { size, shorterSide: { least, most }, colour, testShorterSide } = photographs!;
  const { orientation = AS_TORCHVISION.orientation } = photographs!;
  const { broken } = flags;
  return photographSet(folder, {
    ...{ seed, size, testShorterSide, ...cacheOption() },
    ...(augmentation === "none" ? {} : {
      augmentation: {
        crop: augmentation === "scale-crop-flip" ? "scale" : "random-resized",
        ...{ size, shorterSide: [least, most], flip: true, colour },
      },
    }),
    ...(broken === undefined ? {} : { broken }),
    rules: { ...AS_TORCHVISION, orientation },
    onMeasured: (done, of) => {
      if (done === 0) printer.line(`measuring the mean of ${number(of)} photographs, once`);
      else if (done < of) printer.passing(`measured ${number(done)} of ${number(of)}`);
      else printer.clear();
    },
    workers: flags.workers ??
      Math.max(1, Math.min(MOST_WORKERS, navigator.hardwareConcurrency - 1)),
  });
}
