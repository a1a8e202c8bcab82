/** A data set by its name: images, class names, and what identifies them. */
import type { ByteImages } from "../engine/mod.ts";
import { sha256 } from "../files/mod.ts";
import { CIFAR10, CIFAR100, type CifarOptions, loadCifar } from "./cifar.ts";
import { DataError } from "./errors.ts";
import {
  shapes10,
  SHAPES10_CLASSES,
  SHAPES10_ERROR_FLOOR,
  SHAPES10_LINEAR_MODEL_ERROR,
} from "./shapes10.ts";

/** The data sets that {@linkcode loadDataset} knows. */
export type DatasetName = "cifar10" | "cifar100" | "shapes10";

/** Images to train and test on. */
export interface Dataset {
  /** As it was asked for. */
  readonly name: DatasetName;
  /** The training part, of which a split may hold some back: [N, 32, 32, 3]. */
  readonly train: ByteImages;
  /** The test part: 10,000 images of CIFAR, 2,000 of shapes10. */
  readonly test: ByteImages;
  /** In label order. */
  readonly classNames: readonly string[];
  /** SHA-256 of each source file, or of the generated pixels and labels, by name. */
  readonly hashes: Readonly<Record<string, string>>;
  /** To be shown with every result on built-in data, so that nobody takes it for CIFAR. */
  readonly notice?: string;
  /** Built-in data: the share of wrong test labels, the error of a perfect model. */
  readonly errorFloor?: number;
  /** Built-in data of seed 0: the test error of a linear softmax model on the pixels. */
  readonly linearModelError?: number;
}

/** Where a data set comes from. */
export interface LoadOptions extends CifarOptions {
  /** shapes10: the seed that it is made from; 0 when undefined. Not a run's seed. */
  readonly seed?: number;
}

/**
 * Loads a data set: CIFAR-10 or CIFAR-100 from a folder, an archive or the
 * network, or the built-in `shapes10`, which needs nothing.
 *
 * @param set Which.
 * @param options Where from; without a path CIFAR is taken from the cache, downloaded if need be.
 * @returns The images, verified; about a second for CIFAR-10 from a folder.
 * @throws {DataError} If the data can't be had or can't be trusted; see {@linkcode loadCifar}.
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
export async function loadDataset(set: DatasetName, options: LoadOptions = {}): Promise<Dataset> {
  switch (set) {
    case "cifar10":
    case "cifar100": {
      const format = set === "cifar10" ? CIFAR10 : CIFAR100;
      return { name: set, classNames: format.classNames, ...await loadCifar(format, options) };
    }
    case "shapes10":
      return builtIn(options);
    default:
      throw new DataError(
        `a data set is cifar10, cifar100 or shapes10, found ${JSON.stringify(set)}`,
      );
  }
}

function builtIn({ path, seed = 0 }: LoadOptions): Dataset {
  if (path !== undefined) {
    throw new DataError(
      `shapes10 is built in and is read from no file, found the path ${path}: leave it out, ` +
        `or choose cifar10 or cifar100`,
    );
  }
  const { train, test } = shapes10(seed);
  return {
    name: "shapes10",
    train,
    test,
    classNames: SHAPES10_CLASSES,
    hashes: {
      "train pixels": sha256(train.pixels),
      "train labels": sha256(train.labels),
      "test pixels": sha256(test.pixels),
      "test labels": sha256(test.labels),
    },
    notice: `shapes10 is built-in procedural data, not CIFAR-10: ${train.count} training and ` +
      `${test.count} test images of ten shapes, drawn by this program from seed ${seed}. ` +
      `Results on it say nothing about the paper's figures.`,
    errorFloor: SHAPES10_ERROR_FLOOR,
    ...(seed === 0 ? { linearModelError: SHAPES10_LINEAR_MODEL_ERROR } : {}),
  };
}
