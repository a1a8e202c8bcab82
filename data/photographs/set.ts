/**
 * A folder of photographs as a set to train and to test on: `train/` and `val/`, each with a folder
 * for each class. Images are read, decoded and cut on other cores while a step computes, a few
 * batches ahead, and never all in memory.
 */
import { type ByteImages, newLabels } from "../../engine/mod.ts";
import { attempt, cacheFolder, isFolder, readWhole, sha256, writeWhole } from "../../files/mod.ts";
import { quote } from "../../text/mod.ts";
import { type Dataset, PHOTOGRAPHS } from "../dataset.ts";
import { DataError } from "../errors.ts";
import {
  type MeasuredNormalisation,
  normalisationOf,
  type NormalisationSettings,
} from "../normalisation.ts";
import type { ImageStream, StreamedFault, StreamedPart } from "../stream.ts";
import type { Cut, CutPhotographs } from "./_cutting.ts";
import { CuttingPool } from "./_pool.ts";
import type { PhotographAugmentation } from "./augment.ts";
import { type IndexOptions, indexPhotographs, namesOf, type PhotographIndex } from "./folder.ts";
import { AS_TORCHVISION, type ReadingRules } from "./image_file.ts";
import { resample } from "./resample.ts";
import { streamedStatistics } from "./statistics.ts";

/** Images that are read together where they are tested or measured. */
const WINDOW = 32;
/** Batches that are made or wait while one is trained on. */
const AHEAD = 2;
/** The side of what people are shown, at most. */
const THUMBNAIL = 96;
/** What the error of a folder's other half says, and what it does not. */
const TESTED_ON =
  "The photographs of val/ are validation and final test at once, as in the paper's results on ImageNet: what was chosen by their error (the best weights, when a rate falls, one of several settings) has no held-out result here.";

/** The two halves of a folder of photographs. */
export interface PhotographFolder {
  /** What is trained on. */
  readonly train: PhotographIndex;
  /** What is tested on. */
  readonly val: PhotographIndex;
}

/**
 * Makes the index of a folder with `train/` and `val/`.
 *
 * @param folder As it was given.
 * @param options What is refused, and where the indices are kept.
 * @throws {DataError} If a half is missing or can't be read, or the two have different classes.
 */
export async function indexTrainingFolder(
  folder: string,
  options: IndexOptions = {},
): Promise<PhotographFolder> {
  const half = async (name: string) => {
    const path = `${folder}/${name}`;
    if (!await isFolder(path)) {
      throw new DataError(
        `${
          quote(folder)
        } has no folder ${name}/: photographs to train on lie in ${folder}/train/CLASS/, those to test on in ${folder}/val/CLASS/`,
      );
    }
    const { index } = options;
    return await indexPhotographs(path, {
      ...options,
      ...(index === undefined ? {} : { index: `${index}.${name}` }),
    });
  };
  const train = await half("train");
  const val = await half("val");
  const missing = (one: PhotographIndex, other: PhotographIndex) =>
    one.classNames.filter((name) => !other.classNames.includes(name));
  const [untested, untrained] = [missing(train, val), missing(val, train)];
  if (untested.length + untrained.length > 0) {
    const said = (names: readonly string[], where: string) =>
      names.length === 0 ? [] : [
        `${names.slice(0, 5).map(quote).join(", ")}${
          names.length > 5 ? ` and ${names.length - 5} more` : ""
        } in ${where}/ alone`,
      ];
    throw new DataError(
      `${quote(folder)}: train/ and val/ have the same classes, found ${
        [...said(untested, "train"), ...said(untrained, "val")].join(", ")
      }`,
    );
  }
  if (train.classNames.length < 2) {
    throw new DataError(
      `${quote(folder)}: a network tells two classes or more apart, found one, ${
        quote(train.classNames[0])
      }`,
    );
  }
  return { train, val };
}

/** How the photographs of a folder are shown to a network. */
export interface PhotographSetOptions {
  /** Of the run: decides what is drawn. */
  readonly seed: number;
  /** How they are cut to be trained on; as they are tested when undefined. */
  readonly augmentation?: PhotographAugmentation;
  /** Side of what the network sees, in pixels. */
  readonly size: number;
  /** The shorter side of the image whose middle is tested. */
  readonly testShorterSide: number;
  /** What is done with a file that is damaged within: the training ends, or it is left out. */
  readonly broken?: "refuse" | "skip";
  /** How files are read; as torchvision does when undefined. */
  readonly rules?: ReadingRules;
  /** Workers that read and decode; 0 for none. */
  readonly workers: number;
  /** Where what was measured is kept; the user's cache folder when undefined. */
  readonly cache?: string;
  /** Called before the photographs are measured, with 0, and after each part of them. */
  readonly onMeasured?: (done: number, of: number) => void;
}

/**
 * A folder's photographs as a data set.
 *
 * @param folder Its halves.
 * @param options How they are cut, and by how many workers.
 * @returns A set whose images come as a stream, which is to be disposed of.
 */
export function photographSet(
  { train, val }: PhotographFolder,
  options: PhotographSetOptions,
): Dataset {
  const { size } = options;
  const classes = train.classNames.length;
  const outline = ({ photographs }: PhotographIndex): ByteImages => {
    const labels = newLabels(photographs.length, classes);
    photographs.forEach(({ label }, i) => labels[i] = label);
    return {
      ...{ count: photographs.length, height: size, width: size, channels: 3 },
      ...{ pixels: new Uint8Array(), labels, classes },
    };
  };
  return {
    name: PHOTOGRAPHS,
    classNames: train.classNames,
    hashes: { "train": train.sha256, "val": val.sha256 },
    notice: TESTED_ON,
    warnings: [
      ...Object.entries({ train, val }).flatMap(([half, { broken }]) =>
        broken.length === 0 ? [] : [
          `left out: ${broken.length} ${
            broken.length === 1 ? "file" : "files"
          } of ${half}/ that can't be read: ${namesOf(broken)}`,
        ]
      ),
      ...trainedOn(train, val),
    ],
    train: outline(train),
    test: outline(val),
    stream: new PhotographStream({ train, test: val }, options),
  };
}

/** Photographs that are tested on, and are trained on as well: files with the same bytes. */
function trainedOn(train: PhotographIndex, val: PhotographIndex): string[] {
  const known = new Map(train.photographs.map(({ sha256, path }) => [sha256, path]));
  const both = val.photographs.filter(({ sha256 }) => known.has(sha256));
  if (both.length === 0) return [];
  const [{ path, sha256 }] = both;
  return [
    `trained and tested on: ${both.length} of the ${val.photographs.length} photographs of val/ ${
      both.length === 1 ? "is" : "are"
    } in train/ too, byte for byte: ${quote(`val/${path}`)} is ${
      quote(`train/${known.get(sha256)}`)
    }${
      both.length > 1 ? ", and others" : ""
    }. Their part of the error says nothing of new photographs`,
  ];
}

class PhotographStream implements ImageStream {
  readonly window = WINDOW;
  readonly #indices: Readonly<Record<"train" | "test", PhotographIndex>>;
  readonly #options: PhotographSetOptions;
  readonly #pool: CuttingPool;
  /** By iteration: those that were asked for, or will be. */
  readonly #batches = new Map<number, Promise<StreamedPart>>();

  constructor(
    indices: Readonly<Record<"train" | "test", PhotographIndex>>,
    options: PhotographSetOptions,
  ) {
    this.#indices = indices;
    this.#options = options;
    this.#pool = new CuttingPool(options.workers);
  }

  async batch(
    iteration: number,
    plan: (iteration: number) => Uint32Array | undefined,
  ): Promise<StreamedPart> {
    for (const earlier of this.#batches.keys()) {
      if (earlier < iteration) this.#batches.delete(earlier);
    }
    const { seed, augmentation } = this.#options;
    for (let next = iteration; next <= iteration + AHEAD; next++) {
      const indices = this.#batches.has(next) ? undefined : plan(next);
      if (!indices) continue;
      const made = this.#read(
        "train",
        indices,
        augmentation ? { kind: "train", seed, iteration: next, augmentation } : this.#asTested(),
      );
      // Told of when it is asked for.
      made.catch(() => {});
      this.#batches.set(next, made);
    }
    const part = await this.#batches.get(iteration)!;
    this.#batches.delete(iteration);
    if (part.images.count === 0) {
      const { folder } = this.#indices.train;
      throw new DataError(
        `none of the ${part.faults.length} photographs of ${
          quote(folder)
        } that step ${iteration} ` +
          `trains on can be read: ${namesOf(part.faults)}`,
      );
    }
    return part;
  }

  async *tested(set: "train" | "test", indices?: Uint32Array): AsyncGenerator<StreamedPart> {
    const all = indices ??
      Uint32Array.from(this.#indices[set].photographs, (_, index) => index);
    const part = (first: number) =>
      first < all.length
        ? this.#read(set, all.subarray(first, first + WINDOW), this.#asTested())
        : undefined;
    let next = part(0);
    for (let first = WINDOW; next; first += WINDOW) {
      const read = await next;
      // While whoever asked computes.
      next = part(first);
      next?.catch(() => {});
      yield read;
    }
  }

  thumbnails(images: ByteImages): ByteImages {
    const side = Math.min(THUMBNAIL, images.height);
    const bytes = images.height * images.width * 3;
    const pixels = new Uint8Array(images.count * side * side * 3);
    for (let i = 0; i < images.count; i++) {
      const image = { ...images, pixels: images.pixels.subarray(i * bytes, (i + 1) * bytes) };
      pixels.set(resample(image, side, side).pixels, i * side * side * 3);
    }
    return { ...images, height: side, width: side, pixels };
  }

  async measure(
    settings: NormalisationSettings,
    signal?: AbortSignal,
  ): Promise<MeasuredNormalisation> {
    const { size } = this.#options;
    const shape = { height: size, width: size, channels: 3 };
    const all = this.#indices.train.photographs.length;
    const isMeasured = settings.mean.startsWith("per-") && settings.mean !== "per-image" ||
      settings.std === "per-channel";
    // Those that could be read; what was kept before says no number.
    const { perPixel, mean, std, images: count = all } = isMeasured
      ? await this.#statistics(signal)
      : { perPixel: new Float32Array(size * size * 3), mean: [0, 0, 0], std: [1, 1, 1] };
    return normalisationOf(
      shape,
      {
        pixels: Float64Array.from(perPixel, (value) => value * 255 * count),
        channelMean: (channel) => mean[channel] * 255,
        channelDeviation: (channel) => std[channel] * 255,
      },
      count,
      settings,
    );
  }

  [Symbol.dispose](): void {
    this.#pool[Symbol.dispose]();
  }

  /** Of all training images as they are tested; kept, since it takes as long as an epoch. */
  async #statistics(signal?: AbortSignal): Promise<
    {
      readonly perPixel: Float32Array;
      readonly mean: number[];
      readonly std: number[];
      readonly images?: number;
    }
  > {
    const { cache = cacheFolder(), size, testShorterSide, rules } = this.#options;
    const { sha256 } = this.#indices.train;
    const { orientation, transparency } = rules ?? AS_TORCHVISION;
    const read = transparency === AS_TORCHVISION.transparency
      ? orientation
      : `${orientation}-${transparency}`;
    const file = `${cache}/photographs/mean-${sha256}-${size}-${testShorterSide}-${read}.json`;
    try {
      const kept = JSON.parse(new TextDecoder().decode(await readWhole(file)));
      const perPixel = new Float32Array(Uint8Array.fromBase64(kept.perPixel).buffer);
      if (perPixel.length === size * size * 3) return { ...kept, perPixel };
    } catch (error) {
      if (error instanceof Deno.errors.NotCapable) throw error;
      // None is there, or it is damaged: it is measured.
    }
    const measured = await streamedStatistics(this.#trained(signal));
    const { perPixel, mean, std, images } = measured;
    const kept = {
      ...{ mean: [...mean], std: [...std], images },
      perPixel: new Uint8Array(perPixel.buffer).toBase64(),
    };
    await attempt("write", cache, () => Deno.mkdir(`${cache}/photographs`, { recursive: true }));
    await writeWhole(file, JSON.stringify(kept));
    return { ...kept, perPixel };
  }

  async *#trained(signal?: AbortSignal) {
    const { onMeasured } = this.#options;
    const { length } = this.#indices.train.photographs;
    let done = 0, read = 0;
    let first: StreamedFault | undefined;
    onMeasured?.(done, length);
    for await (const { images, faults } of this.tested("train")) {
      signal?.throwIfAborted();
      read += images.count;
      first ??= faults[0];
      onMeasured?.(done += images.count + faults.length, length);
      const bytes = images.height * images.width * 3;
      for (let i = 0; i < images.count; i++) {
        yield { ...images, pixels: images.pixels.subarray(i * bytes, (i + 1) * bytes) };
      }
    }
    if (read > 0 || first === undefined) return;
    throw new DataError(
      `none of the ${length} photographs of ${quote(this.#indices.train.folder)} can be read: ` +
        `${quote(first.path)} (${first.reason}), and so on`,
    );
  }

  #asTested(): Cut {
    const { testShorterSide: shorterSide, size } = this.#options;
    return { kind: "test", shorterSide, size };
  }

  async #read(set: "train" | "test", indices: Uint32Array, cut: Cut): Promise<StreamedPart> {
    const { folder, photographs, classNames } = this.#indices[set];
    const { rules = AS_TORCHVISION, broken = "refuse" } = this.#options;
    const asked = Array.from(indices, (index) => photographs[index]);
    const found = await this.#pool.cut({ folder, photographs: asked, first: 0, cut, rules });
    const faults: StreamedFault[] = found.faults.flatMap((reason, i) =>
      reason === undefined ? [] : [{ path: asked[i].path, reason }]
    );
    if (faults.length > 0 && broken === "refuse") {
      const first = asked[found.faults.findIndex((fault) => fault !== undefined)];
      const full = `${folder}/${first.path}`;
      // A training goes on with the files that it began with alone.
      const isAsIndexed = await readWhole(full).then((now) => sha256(now) === first.sha256)
        .catch(() => false);
      throw new DataError(
        `${faults[0].reason}. ${
          isAsIndexed
            ? "A training that has begun goes on without such files: --broken skip"
            : "Put it back as it was when the folder was looked at"
        }`,
      );
    }
    const read = Array.from(indices.keys()).filter((i) => found.faults[i] === undefined);
    const { size } = this.#options;
    const labels = newLabels(read.length, classNames.length);
    read.forEach((i, at) => labels[at] = asked[i].label);
    const { pixels, shifts } = faults.length === 0 ? found : only(found, read, size * size * 3);
    return {
      images: {
        ...{ count: read.length, height: size, width: size, channels: 3 },
        ...{ pixels, labels, classes: classNames.length },
      },
      indices: Uint32Array.from(read, (i) => indices[i]),
      ...(cut.kind === "train" && cut.augmentation.colour > 0 ? { shifts } : {}),
      faults,
    };
  }
}

/** Those at some places. */
function only(
  { pixels, shifts }: CutPhotographs,
  places: readonly number[],
  bytes: number,
): Pick<CutPhotographs, "pixels" | "shifts"> {
  const kept = {
    pixels: new Uint8Array(places.length * bytes),
    shifts: new Float32Array(places.length * 3),
  };
  places.forEach((from, to) => {
    kept.pixels.set(pixels.subarray(from * bytes, (from + 1) * bytes), to * bytes);
    kept.shifts.set(shifts.subarray(from * 3, (from + 1) * 3), to * 3);
  });
  return kept;
}
