/**
 * From a recording to what the rules on recordings look at: which stored image
 * each recorded one is, how it was cut out and prepared, epoch by epoch.
 */
import type { Dataset } from "../../data/mod.ts";
import { linesOf, type LoaderLine, type Recording } from "../../log/mod.ts";
import type {
  ImageForm,
  ObservedEvaluation,
  ObservedImages,
  RecordedSet,
  RecordingSubject,
} from "../../spec/mod.ts";
import { alteredImages, type Unexplained } from "./_altered.ts";
import { type Group, groupsOf } from "./_groups.ts";
import { type PlacedView, preparationOf, restoring } from "./_preparation.ts";
import { type ObservedSample, sampleOf } from "./_samples.ts";
import { type Found, search, type SearchSpace, type Sought, WIDE_TOLERANCE } from "./_search.ts";
import {
  isTest,
  type LayoutName,
  LAYOUTS,
  PLANE,
  SIDE,
  SIZE,
  type StoredImages,
  storedImages,
} from "./_stored.ts";

/** What was looked for and found, beside what the rules look at. */
export interface Observed {
  /** For the rules. */
  readonly subject: RecordingSubject;
  /** Training images as they entered, for people to look at: a few of the first epoch. */
  readonly samples: readonly ObservedSample[];
}

/** A view counts as found where it is this much alike: rounding leaves more than 0.999. */
const EXACT = 0.99;
/** Of a group's views; with fewer, other forms are tried. */
const MOST = 0.9;
/** Fewer views have a mean that hides what they show. */
const ENOUGH_FOR_MEAN = 64;
/** Of the variance within views: stored images have no such pattern in common. */
const COMMON = 0.5;
/** Views of a group that are tried in other forms. */
const SAMPLE = 96;
/** Views of which, if half of them show stored images, a quarter of the images shows some. */
const ENOUGH_FOR_PART = 64;
/** Views that are looked at closely where nothing explains them. */
const CLOSE = 8;
const SAMPLES = 24;

/** A view that was kept. */
interface Kept {
  readonly group: number;
  /** Position among the group's images. */
  readonly at: number;
  /** [3, 32, 32]. */
  readonly pixels: Float32Array;
}

/**
 * What views are compared with, in turn: the stored images as they are; less their mean; and, of
 * views less the mean of all views, the same. Whatever was subtracted behind the crop, in whatever
 * unit, is gone from the last: of pixels that were divided once more, a mean that was not leaves
 * nothing to be seen in the others.
 */
const LOOKS = ["stored", "less-mean", "less-their-own-mean"] as const;
type Look = typeof LOOKS[number];

/** One way to see a view. */
interface Appearance extends Sought {
  readonly kept: Kept;
}

interface Placed extends PlacedView {
  readonly kept: Kept;
  readonly score: number;
}

/** A form in which images are looked for. */
interface Form {
  readonly layout: LayoutName;
  readonly axes: ImageForm["axes"];
  /** The bytes were reshaped behind the crop, and not before it. */
  readonly inView?: true;
}

const RIGHT: Form = { layout: "right", axes: "right" };
/** In the order in which they are tried, where the right one finds too little. */
const OTHER_FORMS: readonly Form[] = [
  { layout: "right", axes: "transposed" },
  { layout: "right", axes: "upside-down" },
  { layout: "planes-as-pixels", axes: "right" },
  { layout: "pixels-as-planes", axes: "right" },
  { layout: "planes-as-pixels", axes: "right", inView: true },
  { layout: "pixels-as-planes", axes: "right", inView: true },
];

/**
 * Looks at a recording.
 *
 * @param recording What was recorded.
 * @param dataset The images that it is said to be of; without it nothing is matched.
 * @param onProgress Told what is being done, for people who wait.
 */
export async function observe(
  recording: Recording,
  dataset?: Dataset,
  onProgress: (line: string) => void = () => {},
): Promise<Observed> {
  const { lines } = recording;
  const groups = groupsOf(lines);
  const log = { start: recording.start, lines, notes: recording.notes };
  if (dataset === undefined) {
    return { subject: { log, ...split(groups.map((group) => unmatched(group))) }, samples: [] };
  }
  const stored = storedImages(dataset.train, dataset.test);
  const kept = await keptViews(recording, groups);
  onProgress(`looking for ${kept.length} recorded images among ${stored.count} stored ones`);
  const matcher = new Matcher(kept, groups, stored);
  const placed = matcher.match();
  const loaders = new Map(linesOf(lines, "loader").map((loader) => [loader.id, loader]));
  const sets = new IndexMaps(groups, placed, loaders, stored);
  const observed = groups.map((group, i) => {
    const views = placed.filter(({ kept }) => kept.group === i);
    const looked = kept.filter((view) => view.group === i);
    const found = looked.length > 0 && views.length < looked.length / 2
      ? alteredImages(
        unexplained(looked, group, loaders, stored, sets, views),
        stored,
        storedLayout(matcher.formOf(i)),
      )
      : undefined;
    return observedImages(group, views, looked.length, matcher.formOf(i), sets, stored, found);
  });
  return {
    subject: {
      log,
      dataset: recordedSet(dataset, stored),
      ...split(withParts(observed, stored, await poolsOf(recording, loaders, sets))),
    },
    samples: samplesOf(kept, placed, observed, stored),
  };
}

type Watched = {
  readonly group: Group;
  readonly images: ObservedImages;
  readonly batchErrors?: readonly number[];
};

function unmatched(group: Group): Watched {
  const count = group.count;
  return {
    group,
    images: {
      ...common(group),
      images: new Int32Array(count).fill(-1),
      views: [],
      looked: 0,
    },
  };
}

function common(group: Group) {
  const { loader, epoch, iteration, batches, indices, labels, hashes, whole } = group;
  return {
    ...{ epoch, iteration, batches, indices, labels, hashes, whole },
    ...(loader === undefined ? {} : { loader }),
  };
}

function split(
  watched: readonly (Watched & Pick<ObservedEvaluation, "part" | "overlap">)[],
): Pick<Required<RecordingSubject>, "training" | "evaluations"> {
  return {
    training: watched.filter(({ group }) => group.phase === "training")
      .map(({ images }) => images),
    evaluations: watched.filter(({ group }) => group.phase === "evaluation")
      .map(({ group, images, part, overlap, batchErrors }) => ({
        ...images,
        ...(batchErrors === undefined ? {} : { batchErrors }),
        ...(overlap === undefined ? {} : { overlap }),
        ...(group.line === undefined ? {} : { line: group.line }),
        ...(part === undefined ? {} : { part }),
      })),
  };
}

/** Kept images of the size and channels that can be matched. */
async function keptViews(
  recording: Recording,
  groups: readonly Group[],
): Promise<readonly Kept[]> {
  const kept: Kept[] = [];
  for (const [group, { lines }] of groups.entries()) {
    let at = 0;
    for (const line of lines) {
      const images = line.file && (await recording.arrays(line.file))?.floats("images");
      if (images?.shape.length === 4 && images.shape.slice(1).join() === `3,${SIDE},${SIDE}`) {
        for (let i = 0; i < Math.min(images.shape[0], line.images); i++) {
          const pixels = images.data.subarray(i * SIZE, (i + 1) * SIZE);
          if (pixels.every(Number.isFinite)) kept.push({ group, at: at + i, pixels });
        }
      }
      at += line.images;
    }
  }
  return kept;
}

/** Finds kept views, in the form in which most of their group are found. */
class Matcher {
  readonly #stored: StoredImages;
  readonly #byGroup: readonly (readonly Kept[])[];
  /** Images that the scripts' own numbers may mean: tried before all others. */
  readonly #likely: Int32Array;
  readonly #scales: readonly number[];
  readonly #means: readonly (MeanOfViews | undefined)[];
  readonly #forms: Form[];
  readonly #placed = new Map<Kept, Placed>();

  constructor(kept: readonly Kept[], groups: readonly Group[], stored: StoredImages) {
    this.#stored = stored;
    this.#byGroup = groups.map((_, group) => kept.filter((view) => view.group === group));
    this.#likely = likelyImages(kept, groups, stored);
    this.#scales = this.#byGroup.map(scaleOf);
    this.#means = this.#byGroup.map(meanOfViews);
    this.#forms = this.#byGroup.map(() => RIGHT);
  }

  formOf(group: number): Form {
    return this.#forms[group];
  }

  match(): readonly Placed[] {
    for (const images of this.#likely.length > 0 ? [this.#likely, undefined] : [undefined]) {
      for (const form of new Set(this.#forms)) {
        const views = this.#byGroup.filter((_, group) => this.#forms[group] === form).flat();
        this.#search(views, form, images);
      }
      const poor = this.#byGroup.flatMap((views, group) =>
        views.length > 0 && this.#share(views) < 0.5 ? [group] : []
      );
      if (poor.length > 0) this.#tryOtherForms(poor, images);
    }
    return this.#byGroup.flat().flatMap((view) => this.#placed.get(view) ?? []);
  }

  /**
   * In every other form. Those that are looked for among the same pixels are looked for together:
   * going through all images is what takes time.
   */
  #tryOtherForms(poor: readonly number[], images: Int32Array | undefined): void {
    const views = poor.flatMap((group) => this.#byGroup[group].slice(0, SAMPLE));
    const found = new Map(OTHER_FORMS.map((form) => [form, new Set<Kept>()]));
    for (const [layout, forms] of Map.groupBy(OTHER_FORMS, storedLayout)) {
      for (const [lessMean, looks] of Map.groupBy(LOOKS, (look) => look !== "stored")) {
        const sought = forms.flatMap((form) =>
          looks.flatMap((look) =>
            views.flatMap((kept, view) =>
              this.#appearances({ kept, view }, form, look).map((one) => ({ ...one, form }))
            )
          )
        );
        const space = { stored: this.#stored, layout, lessMean };
        for (const one of searchWhereFound(sought, space, images)) {
          const { form, kept } = sought[one.sought];
          found.get(form)!.add(kept);
        }
      }
    }
    for (const group of poor) {
      const sample = this.#byGroup[group].slice(0, SAMPLE);
      const right = OTHER_FORMS.find((form) =>
        sample.filter((view) => found.get(form)!.has(view)).length >= sample.length / 2
      );
      if (right === undefined) continue;
      this.#forms[group] = right;
      // The sample decides; the others are of the same form.
      this.#search(this.#byGroup[group], right, images);
    }
  }

  #share(views: readonly Kept[]): number {
    return views.filter((view) => this.#placed.has(view)).length / views.length;
  }

  /**
   * In every look in turn, for what is not found yet.
   *
   * @param these Images to search; all by default.
   */
  #search(views: readonly Kept[], form: Form, these: Int32Array | undefined): void {
    const images = these === undefined ? {} : { images: these };
    const groups = new Set(views.map(({ group }) => group));
    for (const look of LOOKS) {
      const left = [...groups].filter((group) =>
        this.#share(views.filter((view) => view.group === group)) < MOST
      );
      const open = views.filter((view) => left.includes(view.group) && !this.#placed.has(view));
      const sought = open.flatMap((kept, view) => this.#appearances({ kept, view }, form, look));
      if (sought.length === 0) continue;
      const lessMean = look !== "stored";
      const space = { stored: this.#stored, layout: storedLayout(form), lessMean };
      this.#take(sought, searchWhereFound(sought, space, these), form);
    }
    // Where some are found, they tell what was done to all.
    for (const group of groups) {
      const all = views.filter((view) => view.group === group);
      const placed = all.flatMap((view) => this.#placed.get(view) ?? []);
      if (placed.length > MOST * all.length) continue;
      const restored = restoring(placed, this.#stored, storedLayout(form));
      if (restored === undefined) continue;
      const sought = all.filter((view) => !this.#placed.has(view)).map((kept, view) => ({
        ...{ kept, view, pixels: restored(righted(kept.pixels, form)) },
      }));
      const space = {
        stored: this.#stored,
        layout: storedLayout(form),
        lessMean: false,
        ...images,
      };
      this.#take(sought, search(sought, space, EXACT), form);
    }
  }

  /** What a view may look like. */
  #appearances(
    { kept, view }: Pick<Appearance, "kept" | "view">,
    form: Form,
    look: Look,
  ): readonly Appearance[] {
    const mean = this.#means[kept.group];
    if (look === "less-their-own-mean") {
      return mean === undefined ? [] : [{
        ...{ view, kept, tolerance: WIDE_TOLERANCE },
        pixels: righted(kept.pixels.map((value, at) => value - mean.pixels[at]), form),
      }];
    }
    // They would all be alike one another, and none a stored image.
    if (mean !== undefined && mean.common > COMMON) return [];
    const pixels = righted(kept.pixels, form);
    if (look === "stored") return [{ view, pixels, kept }];
    // The mean may have been subtracted where the view is, behind the crop: as the view's pixels
    // lie, or as they ought to.
    const restored = [...new Set([LAYOUTS[form.layout], LAYOUTS.right])].map((of) => ({
      ...{ view, kept },
      pixels: righted(this.#withMean(kept, of, this.#scales[kept.group]), form),
    }));
    return [{ view, pixels, kept }, ...restored];
  }

  /** Keeps what was found, where it is better than what was found before. */
  #take(sought: readonly Appearance[], all: readonly Found[], form: Form): void {
    for (const found of all) {
      const { kept } = sought[found.sought];
      if (found.score > (this.#placed.get(kept)?.score ?? 0)) {
        this.#placed.set(kept, this.#place(kept, found, form));
      }
    }
  }

  #place(kept: Kept, found: Found, form: Form): Placed {
    const { image, y, x, flip, channels, score } = found;
    return { image, y, x, flip, channels, score, kept, pixels: righted(kept.pixels, form) };
  }

  /** A view to which the training part's per-pixel mean is added, in bytes. */
  #withMean({ pixels }: Kept, layout: Uint16Array, scale: number): Float64Array {
    const { mean } = this.#stored;
    const bytes = new Float64Array(SIZE);
    for (let at = 0; at < SIZE; at++) bytes[at] = pixels[at] / scale + mean[layout[at]];
    return bytes;
  }
}

/**
 * Searches a part of the images first, and the others for those groups alone of which anything was
 * found in it: of views that show stored images, all but a few groups have some in any part.
 *
 * @param sought Views of several groups.
 * @param images Images to search, all of them; where undefined, all that are stored.
 */
function searchWhereFound(
  sought: readonly Appearance[],
  space: SearchSpace,
  images: Int32Array | undefined,
): readonly Found[] {
  if (images !== undefined) return search(sought, { ...space, images }, EXACT);
  const [part, others] = partsOf(space.stored.count);
  const first = search(sought, { ...space, images: part }, EXACT);
  const kept = Map.groupBy(new Set(sought.map((one) => one.kept)), ({ group }) => group);
  const found = new Set(first.map((one) => sought[one.sought].kept.group));
  const left = sought.flatMap(({ kept: { group } }, at) =>
    found.has(group) || kept.get(group)!.length < ENOUGH_FOR_PART ? [at] : []
  );
  const rest = search(left.map((at) => sought[at]), { ...space, images: others }, EXACT);
  return [...first, ...rest.map((one) => ({ ...one, sought: left[one.sought] }))];
}

/** A quarter of the images, drawn so that no order or stride of theirs matters, and the others. */
function partsOf(count: number): readonly [Int32Array, Int32Array] {
  const isFirst = (image: number) => Math.imul(image, 0x9e3779b1) >>> 30 === 0;
  const all = Int32Array.from({ length: count }, (_, image) => image);
  return [all.filter(isFirst), all.filter((image) => !isFirst(image))];
}

/** The images that have the numbers of the script's own data set, of either part. */
function likelyImages(
  kept: readonly Kept[],
  groups: readonly Group[],
  { count, parts: [train] }: StoredImages,
): Int32Array {
  const images = new Set<number>();
  for (const { group, at } of kept) {
    const index = groups[group].indices[at];
    for (const image of index < 0 ? [] : [index, index + train.count]) {
      if (image < count) images.add(image);
    }
  }
  return Int32Array.from(images);
}

/** What a group's views have in common. */
interface MeanOfViews {
  /** [3, 32, 32]. */
  readonly pixels: Float64Array;
  /** Its share of the variance within the channels of the views. */
  readonly common: number;
}

/** The mean of a group's views at each place; undefined where they are too few. */
function meanOfViews(views: readonly Kept[]): MeanOfViews | undefined {
  if (views.length < ENOUGH_FOR_MEAN) return undefined;
  const mean = new Float64Array(SIZE);
  let all = 0;
  for (const { pixels } of views) {
    for (let at = 0; at < SIZE; at++) mean[at] += pixels[at] / views.length;
    all += varianceWithin(pixels) / views.length;
  }
  return { pixels: mean, common: all > 0 ? varianceWithin(mean) / all : 0 };
}

/** Variance of the pixels of a view about the means of its channels. */
function varianceWithin(pixels: Float32Array | Float64Array): number {
  let variance = 0;
  for (let begin = 0; begin < SIZE; begin += PLANE) {
    let mean = 0;
    for (let at = begin; at < begin + PLANE; at++) mean += pixels[at] / PLANE;
    for (let at = begin; at < begin + PLANE; at++) variance += (pixels[at] - mean) ** 2 / SIZE;
  }
  return variance;
}

/** What one byte is in the views: 1, 1/255, or 1/255 divided once more. */
function scaleOf(views: readonly Kept[]): number {
  let sum = 0, square = 0, count = 0;
  for (const { pixels } of views.slice(0, 64)) {
    for (const value of pixels) {
      sum += value;
      square += value * value;
    }
    count += pixels.length;
  }
  const deviation = Math.sqrt(square / count - (sum / count) ** 2);
  // Images less their mean have a deviation of about 60 bytes.
  const distance = (scale: number) => Math.abs(Math.log(deviation / 60 / scale));
  return [1, 1 / 255, 1 / 255 ** 2].toSorted((a, b) => distance(a) - distance(b))[0];
}

/** The layout of the stored images among which views of a form are looked for. */
function storedLayout({ layout, inView }: Form): Uint16Array {
  return LAYOUTS[inView ? "right" : layout];
}

/** The pixels with their axes brought back. */
function righted<T extends Float32Array | Float64Array>(
  pixels: T,
  { axes, layout, inView }: Form,
): T {
  const result = pixels.slice() as T;
  if (inView) {
    const bytes = pixels.slice() as T; // [H, W, C]
    for (let at = 0; at < SIZE; at++) bytes[LAYOUTS[layout][at]] = pixels[at];
    for (let at = 0; at < SIZE; at++) result[at] = bytes[LAYOUTS.right[at]];
    return result;
  }
  if (axes === "right") return pixels;
  for (let at = 0; at < SIZE; at++) {
    const c = Math.floor(at / PLANE), y = Math.floor(at / SIDE) % SIDE, x = at % SIDE;
    result[at] = pixels[
      c * PLANE + (axes === "transposed" ? x * SIDE + y : (SIDE - 1 - y) * SIDE + x)
    ];
  }
  return result;
}

/** Which stored image an index of a script's own data set is. */
class IndexMaps {
  readonly #offsets = new Map<number, number>();
  readonly #setOf = new Map<number, number>();

  constructor(
    groups: readonly Group[],
    placed: readonly Placed[],
    loaders: ReadonlyMap<number, LoaderLine>,
    { parts: [train] }: StoredImages,
  ) {
    const votes = new Map<number, number[]>();
    for (const { id, datasets, composed } of loaders.values()) {
      const set = datasets.at(composed ? -1 : 0)?.id;
      if (set !== undefined) this.#setOf.set(id, set);
    }
    for (const { kept, image } of placed) {
      const { loader, indices } = groups[kept.group];
      const set = loader === undefined ? undefined : this.#setOf.get(loader);
      if (set === undefined || indices[kept.at] < 0) continue;
      const differences = votes.get(set) ?? [];
      votes.set(set, differences);
      differences.push(image - indices[kept.at]);
    }
    for (const [set, differences] of votes) {
      // Its own order is the files', or it is another that the recording does not tell.
      for (const offset of [0, train.count]) {
        const agreeing = differences.filter((difference) => difference === offset).length;
        if (differences.length >= 16 && agreeing > 0.97 * differences.length) {
          this.#offsets.set(set, offset);
        }
      }
    }
  }

  /** What is added to an index; undefined where the order is not known. */
  offsetOf(loader: number | undefined): number | undefined {
    const set = loader === undefined ? undefined : this.#setOf.get(loader);
    return set === undefined ? undefined : this.#offsets.get(set);
  }
}

function observedImages(
  group: Group,
  views: readonly Placed[],
  looked: number,
  form: Form,
  maps: IndexMaps,
  stored: StoredImages,
  altered: ObservedImages["altered"],
): Watched {
  const images = new Int32Array(group.count).fill(-1);
  const offset = maps.offsetOf(group.loader);
  if (offset !== undefined) {
    group.indices.forEach((index, at) => {
      if (index >= 0 && index + offset < stored.count) images[at] = index + offset;
    });
  }
  for (const { kept, image } of views) images[kept.at] = image;
  // The few that are found among others are those by chance: of them nothing follows for all.
  const preparation = views.length < looked / 2
    ? undefined
    : preparationOf(views, stored, storedLayout(form));
  const blueFirst = views.filter(({ channels }) => channels[0] === 2).length > views.length / 2;
  const batchErrors = errorsInOrder(group, images, stored);
  return {
    group,
    ...(batchErrors === undefined ? {} : { batchErrors }),
    images: {
      ...common(group),
      images,
      views: views.map(({ kept: { at }, image, y, x, flip }) => ({ at, image, y, x, flip })),
      looked,
      ...(views.length === 0 ? {} : {
        form: {
          ...{ layout: form.layout, axes: form.axes },
          channels: blueFirst ? "BGR" : "RGB",
        } satisfies ImageForm,
      }),
      ...(preparation === undefined ? {} : { preparation }),
      ...(altered === undefined ? {} : { altered }),
    },
  };
}

/** So many images in the stored order are no chance. */
const IN_ORDER = 48;

/**
 * Wrong images of each batch of an evaluation whose labels never reached the framework: where the
 * images that were found follow one another as they are stored, so do the others.
 */
function errorsInOrder(
  { line }: Group,
  images: Int32Array,
  stored: StoredImages,
): readonly number[] | undefined {
  const { predictions, batchImages, images: count = 0 } = line ?? {};
  const first = images.findIndex((image) => image >= 0);
  if (predictions?.length !== count || batchImages === undefined || first < 0) return undefined;
  const begin = images[first] - first;
  const found = images.filter((image) => image >= 0);
  const inOrder = images.every((image, at) => image < 0 || image === begin + at);
  if (!inOrder || found.length < IN_ORDER || begin < 0 || begin + count > stored.count) {
    return undefined;
  }
  let at = 0;
  return batchImages.map((size) => {
    let wrong = 0;
    for (const end = at + size; at < end; at++) {
      if (predictions[at] !== stored.labels[begin + at]) wrong++;
    }
    return wrong;
  });
}

/** A few views that nothing explains, with the images that they may show. */
function unexplained(
  looked: readonly Kept[],
  group: Group,
  loaders: ReadonlyMap<number, LoaderLine>,
  stored: StoredImages,
  maps: IndexMaps,
  found: readonly Placed[],
): readonly Unexplained[] {
  const known = new Set(found.map(({ kept }) => kept));
  const open = looked.filter((view) => !known.has(view));
  const [train, test] = stored.parts;
  const loader = group.loader === undefined ? undefined : loaders.get(group.loader);
  // A data set as long as a part is taken to be in its order: a wrong image would not be alike.
  const size = loader?.datasets.at(loader.composed ? -1 : 0)?.size;
  const offset = maps.offsetOf(group.loader) ??
    (size === train.count ? 0 : size === test.count ? train.count : undefined);
  const withIndex = offset !== undefined && group.indices[open[0].at] >= 0;
  // Of one label all, so that images are gone through once.
  const counts = Map.groupBy(open, ({ at }) => group.labels[at]);
  const [label, alike] = [...counts].toSorted((a, b) => b[1].length - a[1].length)[0];
  const ofLabel = Array.from(stored.labels.keys()).filter((image) =>
    stored.labels[image] === label
  );
  const scale = scaleOf(looked);
  return (withIndex ? open : alike).slice(0, CLOSE).map(({ at, pixels }) => ({
    appearances: [
      pixels,
      Float64Array.from(pixels, (value, k) => value / scale + stored.mean[LAYOUTS.right[k]]),
    ],
    candidates: withIndex ? [group.indices[at] + offset] : ofLabel,
  }));
}

/** The stored images that each loader can draw, where its indices are known. */
async function poolsOf(
  recording: Recording,
  loaders: ReadonlyMap<number, LoaderLine>,
  maps: IndexMaps,
): Promise<ReadonlyMap<number, ReadonlySet<number>>> {
  const pools = new Map<number, ReadonlySet<number>>();
  for (const { id, indices, indicesLeftOut, size = 0 } of loaders.values()) {
    const offset = maps.offsetOf(id);
    if (offset === undefined || size > 1_000_000 || indicesLeftOut === true) continue;
    const drawn = indices && (await recording.arrays(indices))?.integers("indices");
    if (indices !== undefined && drawn === undefined) continue;
    const all = drawn ?? Float64Array.from({ length: size }, (_, i) => i);
    pools.set(id, new Set(Array.from(all, (index) => index + offset)));
  }
  return pools;
}

/** A set that is this much within another is a part of it. */
const PART = 0.98;

/**
 * Which images an evaluation is of, and how many of them are trained on: test
 * images, or training images that are all trained on, or others.
 */
function withParts(
  observed: readonly Watched[],
  stored: StoredImages,
  pools: ReadonlyMap<number, ReadonlySet<number>>,
): readonly (Watched & Pick<ObservedEvaluation, "part" | "overlap">)[] {
  const training = observed.filter(({ group }) => group.phase === "training");
  const seen = new Set(training.flatMap(({ images }) => [...images.images]));
  const pooled = training.flatMap(({ group }) =>
    group.loader === undefined ? [] : pools.get(group.loader) ?? []
  );
  const trained = pooled.length > 0 ? new Set(pooled.flatMap((pool) => [...pool])) : undefined;
  const longest = Math.max(...training.map(({ group }) => group.whole ? group.count : 0));
  const partOf = ({ group, images }: Watched): Pick<ObservedEvaluation, "part" | "overlap"> => {
    const known = [...images.images].filter((image) => image >= 0);
    if (known.length === 0) return {};
    const test = known.filter((image) => isTest(stored, image)).length;
    if (test > known.length / 2) return { part: "test" };
    const pool = group.loader === undefined ? undefined : pools.get(group.loader);
    const of = pool !== undefined && trained !== undefined ? [...pool] : known;
    const among = pool !== undefined && trained !== undefined ? trained : seen;
    const overlap = { images: of.length, trained: of.filter((image) => among.has(image)).length };
    const isTraining = overlap.trained > PART * overlap.images ||
      (group.line !== undefined && longest > 0 && group.line.images >= 0.9 * longest);
    return isTraining ? { part: "trained" } : { part: "validation", overlap };
  };
  // Without its images, an evaluation is what another on the same loader, or as long, was.
  const parts = new Map<string, ReturnType<typeof partOf>>();
  return observed.map((one) => {
    if (one.group.phase === "training") return one;
    const { loader, line, count } = one.group;
    const key = `${loader} ${loader === undefined ? line?.images ?? count : ""}`;
    const found = partOf(one);
    const part = found.part === undefined ? parts.get(key) : found;
    if (part === undefined) return one;
    parts.set(key, part);
    return { ...one, ...part };
  });
}

function recordedSet(
  { name, classNames, train, test }: Dataset,
  { labels }: StoredImages,
): RecordedSet {
  const channels = [0, 1, 2].map((c) => {
    let sum = 0, square = 0;
    for (let at = c; at < train.pixels.length; at += 3) {
      const value = train.pixels[at];
      sum += value;
      square += value * value;
    }
    const count = train.pixels.length / 3;
    return { mean: sum / count, deviation: Math.sqrt(square / count - (sum / count) ** 2) };
  });
  return {
    name,
    ...{ training: train.count, test: test.count, labels, classNames },
    mean: channels.map(({ mean }) => mean),
    deviation: channels.map(({ deviation }) => deviation),
  };
}

/** The first kept views of the training, found or not. */
function samplesOf(
  kept: readonly Kept[],
  placed: readonly Placed[],
  observed: readonly Watched[],
  stored: StoredImages,
): readonly ObservedSample[] {
  const found = new Map(placed.map((view) => [view.kept, view]));
  return kept.filter((view) => observed[view.group].group.phase === "training").slice(0, SAMPLES)
    .map((view) => {
      const { group, images } = observed[view.group];
      return sampleOf(
        { at: view.at, label: group.labels[view.at], pixels: view.pixels, placed: found.get(view) },
        images.form,
        images.preparation,
        stored,
      );
    });
}
