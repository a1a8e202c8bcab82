/** A data set by its name: what is known of it, and its images. */
import type { DatasetDefinition, LoadedImages, LoadOptions } from "./definition.ts";
import { DataError } from "./errors.ts";
import type { ImageStream } from "./stream.ts";
import * as SETS from "./sets/all.ts";

/** The name of a data set of the registry. */
export type DatasetName = keyof typeof SETS;

/** What a recipe says of a set that is a folder of photographs, and so in no registry. */
export const PHOTOGRAPHS = "photographs";

/** What a recipe may train on: a set of the registry, or somebody's folder of photographs. */
export type SetName = DatasetName | typeof PHOTOGRAPHS;

/** Images to train and test on. */
export interface Dataset extends LoadedImages {
  /** As it was asked for. */
  readonly name: SetName;
  /** In label order. */
  readonly classNames: readonly string[];
  /** Sentences on what was found as the set was made, as files that were left out. */
  readonly warnings?: readonly string[];
  /** Where the images come from a part at a time: then `train` and `test` have no pixels. */
  readonly stream?: ImageStream;
}

/** The names of all data sets: those that are read from files before the built-in ones. */
export const DATASET_NAMES: readonly DatasetName[] = (Object.keys(SETS) as DatasetName[])
  .sort((a, b) => Number(SETS[a].builtIn ?? 0) - Number(SETS[b].builtIn ?? 0) || (a < b ? -1 : 1));

/**
 * What the registry says of a data set.
 *
 * @param set Its name.
 * @throws {DataError} If there is no such set.
 *
 * @example
 * ```ts
 * import { datasetNamed } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(datasetNamed("cifar10").trainingImages, 50_000);
 * assertEquals(datasetNamed("shapes10").builtIn, true);
 * ```
 */
export function datasetNamed(set: SetName): DatasetDefinition {
  if (set === PHOTOGRAPHS || !Object.hasOwn(SETS, set)) {
    throw new DataError(
      `a data set is one of ${DATASET_NAMES.join(", ")}, found ${JSON.stringify(set)}`,
    );
  }
  return SETS[set];
}

/**
 * Loads a data set: from a folder, an archive or the network, or one that this
 * program makes itself and that needs nothing.
 *
 * @param set Which.
 * @param options Where from; without a path CIFAR is taken from the cache, downloaded if need be.
 * @returns The images, verified; about a second for CIFAR-10 from a folder.
 * @throws {DataError} If there is no such set, or the data can't be had or can't be trusted.
 *
 * @example
 * ```ts
 * import { loadDataset } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const { train, test, classNames, notice } = await loadDataset("shapes10");
 * assertEquals([train.count, test.count, classNames.length], [10_000, 2_000, 10]);
 * assertEquals(notice?.includes("not CIFAR"), true);
 * ```
 */
export async function loadDataset(set: SetName, options: LoadOptions = {}): Promise<Dataset> {
  if (set === PHOTOGRAPHS) {
    throw new DataError(
      "photographs come from a folder of them, and none was given: deno task train --recipe finetune --data FOLDER",
    );
  }
  const { classNames, load } = datasetNamed(set);
  return { name: set, classNames, ...await load(options) };
}
