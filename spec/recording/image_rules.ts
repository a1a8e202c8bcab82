/** Section 4.2 on the images, as they entered somebody's network. */
import { linesOf, type RecordingLog } from "../../log/mod.ts";
import { number, percent } from "../../text/mod.ts";
import { defineRules, type Finding, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";
import { badImages } from "./_bad.ts";
import {
  classInWords,
  type ObservedEvaluation,
  type ObservedImages,
  type ObservedView,
  observing,
  type Preparation,
  type RecordedSet,
  type RecordingSubject,
} from "./subject.ts";

/** Fewer views say nothing of how often something happens. */
const ENOUGH = 48;
/** Two views of an image are alike once in 162 times; far above it is no chance. */
const ALIKE = 0.25;
/** So many standard deviations from a fair coin are no chance. */
const DEVIATIONS = 6;

const isWhole = ({ y, x }: ObservedView): boolean => y === 0 && x === 0;
const isPlain = (view: ObservedView): boolean => isWhole(view) && !view.flip;
const notObservable = (evidence: string): Finding => ({ outcome: "not-observable", evidence });
const viewsOf = (groups: readonly ObservedImages[]) => groups.flatMap(({ views }) => views);

/** Operations on an image's values that leave each where it is. */
const ON_VALUES = new Set(["add", "subtract", "multiply", "divide", "mean"]);

/**
 * A rule that accuses nobody by what entered the network, where the network itself does more to it:
 * to its values, or to their places, in `what` the rule looks at.
 */
function asEntered(
  what: "values" | "places",
  check: Rule<RecordingSubject>["check"],
): Rule<RecordingSubject>["check"] {
  return (subject) => {
    const { onImages = [] } = subject;
    const found = check(subject);
    return found.outcome === "fail" &&
        onImages.some((kind) => what === "values" || !ON_VALUES.has(kind))
      ? notObservable(
        `the network changes its images itself (${onImages.slice(0, 6).join(", ")}): what its ` +
          "first convolution gets was not seen",
      )
      : found;
  };
}

/** How many of the training images that were kept could be found. */
function matched(training: readonly ObservedImages[]): string {
  const looked = training.reduce((sum, group) => sum + group.looked, 0);
  return `of ${number(looked)} training images looked at, ${
    number(viewsOf(training).length)
  } were found among the stored ones`;
}

/** Whether crops explain so few of the images that these may be another cutting's by chance. */
function unexplained(training: readonly ObservedImages[]): boolean {
  const looked = training.reduce((sum, group) => sum + group.looked, 0);
  return viewsOf(training).length < Math.max(ENOUGH, looked / 2);
}

function augments(views: readonly ObservedView[]): boolean {
  return views.some((view) => !isWhole(view));
}

/** Training images are crops of what is padded, and mirror images. */
const augmentation = observing(["training"], ({ training }) => {
  const views = viewsOf(training);
  const altered = training.find(({ altered }) => altered?.kind === "resized");
  if (unexplained(training)) {
    return altered
      ? { outcome: "pass", evidence: "parts of images are enlarged: see crop" }
      : notObservable(matched(training));
  }
  const whole = views.filter(isWhole).length, flipped = views.filter(({ flip }) => flip).length;
  const found = `of ${number(views.length)} training images matched, ${
    number(whole)
  } stand at offset (0, 0), ${number(flipped)} are mirrored`;
  const problems: string[] = [];
  if (whole > 0.9 * views.length && flipped < 0.05 * views.length) {
    problems.push(`${found}: no augmentation reaches the network`);
  } else if (whole > 0.9 * views.length && altered === undefined) {
    problems.push(`${found}: no image is cropped at random`);
  } else if (flipped === 0) problems.push(`${found}: no image is mirrored`);
  else if (whole > 0.25 * views.length) problems.push(`${found}: many images are not cropped`);
  else {
    const away = Math.abs(flipped - views.length / 2) / Math.sqrt(views.length / 4);
    if (away > DEVIATIONS && !sameInBatch(training)) {
      problems.push(`${found}: not half of them`);
    }
    const ended = training.find(({ views }) => views.length >= ENOUGH && views.every(isPlain));
    if (ended) problems.push(`epoch ${ended.epoch} has no augmentation: ${found}`);
  }
  return finding(problems, found);
});

/** The transforms that the data sets of the training's loader name and call. */
function transformsOf({ lines }: RecordingLog, training: readonly ObservedImages[]): string[] {
  const loaders = linesOf(lines, "loader").filter(({ id }) =>
    training.some(({ loader }) => loader === id)
  );
  const calling = loaders.flatMap(({ datasets }) => datasets)
    .filter(({ ignoresTransform }) => ignoresTransform !== true);
  return calling.flatMap(({ transform = "" }) =>
    [...transform.matchAll(/\b([A-Z]\w+)\(/g)].map(([, name]) => name)
  );
}

const USUAL_TRANSFORMS = new Set([
  ...["Compose", "ToTensor", "ToPILImage", "PILToTensor", "ToImage", "ToDtype", "Normalize"],
  ...["ConvertImageDtype", "RandomCrop", "Pad", "RandomHorizontalFlip"],
]);

/** The crop is of the padded image, each offset equally likely. */
const crop = observing(["training", "log"], ({ training, log }) => {
  const altered = training.find(({ altered }) => altered?.kind === "resized")?.altered;
  if (altered) {
    const [low, high] = altered.sides ?? [0, 0];
    return finding([
      `${altered.found} of ${altered.tried} images that were looked at closely are parts of stored images, ${low} to ${high} pixels a side, enlarged to 32x32`,
    ], "");
  }
  const views = viewsOf(training);
  const changed = training.find(({ altered }) => altered?.kind === "changed")?.altered;
  const others = transformsOf(log, training).filter((name) => !USUAL_TRANSFORMS.has(name));
  // Where no image was looked at, a transform's name alone speaks against nobody.
  const looked = training.some((group) => group.looked > 0);
  if (unexplained(training) && (changed !== undefined || looked && others.length > 0)) {
    return finding([
      [
        `${matched(training)} as crops`,
        ...changed === undefined ? [] : [
          `${changed.found} of ${changed.tried} others that were looked at closely are their stored images, changed`,
        ],
        ...others.length === 0 ? [] : [`the data set's transform names ${others.join(", ")}`],
      ].join("; "),
    ], "");
  }
  if (unexplained(training)) return notObservable(matched(training));
  if (!augments(views)) return notObservable("no image is cropped");
  const problems: string[] = [];
  let unequal = false;
  for (const [axis, name] of [["y", "down"], ["x", "across"]] as const) {
    const values = views.map((view) => view[axis]);
    const low = Math.min(...values), high = Math.max(...values);
    // Of 400 draws from nine none is missing but for chance of 1e-20.
    if (low < -4 || high > 4 || (views.length > 400 && (low > -4 || high < 4))) {
      problems.push(`offsets ${name} are from ${low} to ${high}, not from -4 to 4`);
    }
    const counts = Array.from({ length: 9 }, (_, i) => values.filter((v) => v === i - 4).length);
    const mean = views.length / 9;
    const chiSquared = counts.reduce((sum, count) => sum + (count - mean) ** 2 / mean, 0);
    // The 1 - 1e-9 quantile of chi-squared with 8 degrees of freedom (SciPy 1.17.1).
    if (problems.length === 0 && chiSquared > 59.8 && !sameInBatch(training)) {
      unequal = true;
      problems.push(`offsets ${name} are not equally likely: ${counts.join(", ")} times`);
    }
  }
  // Which views are found may depend on where they stand: a mean of few images hides some.
  const count = training.reduce((sum, group) => sum + group.looked, 0);
  if (unequal && views.length < 0.9 * count) {
    return notObservable(`${matched(training)}: where the others stand is not known`);
  }
  return finding(
    problems,
    `${new Set(views.map(({ y, x }) => `${y},${x}`)).size} of 81 offsets in ${
      number(views.length)
    } views`,
  );
});

/** Views of each batch that holds several. */
function byBatch({ batches, views }: ObservedImages): readonly (readonly ObservedView[])[] {
  const result: ObservedView[][] = [];
  let begin = 0, from = 0;
  for (const size of batches) {
    const of: ObservedView[] = [];
    while (from < views.length && views[from].at < begin + size) of.push(views[from++]);
    if (of.length >= 8) result.push(of);
    begin += size;
  }
  return result;
}

function sameInBatch(training: readonly ObservedImages[]): boolean {
  const batches = training.flatMap(byBatch);
  const same = batches.filter((views) =>
    views.every(({ y, x, flip }) => y === views[0].y && x === views[0].x && flip === views[0].flip)
  );
  return same.length >= 2 && same.length > 0.8 * batches.length;
}

/** One crop and one mirroring for each image, not for the batch. */
const viewOfEachImage = observing(["training"], ({ training }) => {
  const views = viewsOf(training);
  if (unexplained(training)) return notObservable(matched(training));
  if (views.every(isPlain)) return notObservable("no image is cropped or mirrored");
  const batches = training.flatMap(byBatch);
  const kinds = batches.map((of) => new Set(of.map(({ y, x, flip }) => `${y},${x},${flip}`)).size);
  if (sameInBatch(training)) {
    const [first] = batches[0];
    return finding([
      `all images of a batch have one offset and one mirroring, in ${
        kinds.filter((count) => count === 1).length
      } of ${batches.length} batches; in the first (${first.y}, ${first.x})${
        first.flip ? ", mirrored" : ""
      }`,
    ], "");
  }
  return finding([], `up to ${Math.max(...kinds)} different views in a batch`);
});

/** Another view in each epoch. */
const viewsOverEpochs = observing(["training", "log"], ({ training, log }) => {
  const views = viewsOf(training);
  if (views.length >= ENOUGH && !augments(views)) return notObservable("no image is cropped");
  // Images that are mirrored alone repeat by half, and others wholly: no mistake of the views'.
  if (
    views.length < ENOUGH &&
    !transformsOf(log, training).some((name) => /^Random\w*Crop$/.test(name))
  ) return notObservable("whether images are cropped at random was not seen");
  const said: string[] = [];
  for (
    const [what, shares] of [
      ["images have the values that they had in the epoch before", repeatedHashes(training)],
      [
        "images have the crop that the image at the same place of the epoch before had",
        repeatedPlaces(training),
      ],
      [
        "images have the crop that the image at the same place of another batch has",
        repeatedBatches(training),
      ],
    ] as const
  ) {
    if (shares.of < ENOUGH) continue;
    const text = `${number(shares.same)} of ${number(shares.of)} ${what}`;
    if (shares.same > ALIKE * shares.of) return finding([text], "");
    said.push(text);
  }
  return said.length < 1 || repeatedHashes(training).of < ENOUGH &&
      repeatedPlaces(training).of < ENOUGH
    ? notObservable("no second epoch was recorded")
    : finding([], said.join("; "));
});

interface Share {
  readonly same: number;
  readonly of: number;
}

/** Images of an epoch with the values of an epoch before: by index where there is one. */
function repeatedHashes(training: readonly ObservedImages[]): Share {
  const before = new Map<number, bigint>();
  const all = new Set<bigint>();
  let same = 0, of = 0;
  for (const { hashes, indices, views } of training) {
    // Unaugmented epochs say nothing here: another rule names them.
    if (views.length >= ENOUGH && !augments(views)) continue;
    const seen: [number, bigint][] = [];
    hashes.forEach((hash, i) => {
      if (hash === 0n) return;
      const index = indices[i];
      if (index >= 0) {
        const earlier = before.get(index);
        if (earlier !== undefined) of++;
        if (earlier === hash) same++;
      } else if (all.size > 0) {
        of++;
        if (all.has(hash)) same++;
      }
      seen.push([index, hash]);
    });
    for (const [index, hash] of seen) {
      if (index >= 0) before.set(index, hash);
      // Without its index an image may be any of those before, as where batches are kept and given again.
      all.add(hash);
    }
  }
  return { same, of };
}

const sameView = (a: ObservedView, b: ObservedView): boolean =>
  a.y === b.y && a.x === b.x && a.flip === b.flip;

/** Workers with equal seeds give the k-th image of each epoch the same crop. */
function repeatedPlaces(training: readonly ObservedImages[]): Share {
  let same = 0, of = 0;
  training.slice(1).forEach((group, i) => {
    if (unexplained([group]) || unexplained([training[i]])) return;
    const before = new Map(training[i].views.map((view) => [view.at, view]));
    for (const view of group.views) {
      const earlier = before.get(view.at);
      if (earlier === undefined) continue;
      of++;
      if (sameView(view, earlier)) same++;
    }
  });
  return { same, of };
}

/** Workers with equal seeds give their batches the same crops. */
function repeatedBatches(training: readonly ObservedImages[]): Share {
  let best: Share = { same: 0, of: 0 };
  for (const group of training) {
    if (sameInBatch([group]) || unexplained([group])) continue;
    const batches = byBatch(group);
    for (const distance of [1, 2, 3, 4]) {
      let same = 0, of = 0;
      batches.slice(distance).forEach((views, i) => {
        views.slice(0, batches[i].length).forEach((view, k) => {
          of++;
          if (sameView(view, batches[i][k])) same++;
        });
      });
      if (of > 0 && same / of > best.same / Math.max(1, best.of)) best = { same, of };
    }
  }
  return best;
}

/** Whole images, not mirrored, in an evaluation. */
function wholeViews(part: "validation" | "test"): Rule<RecordingSubject>["check"] {
  return observing(["evaluations"], ({ evaluations }) => {
    const of = evaluations.filter((one) => one.part === part && one.views.length >= ENOUGH);
    if (of.length === 0) {
      const altered = evaluations.find((one) => one.part === part && one.altered);
      return altered?.altered?.kind === "resized"
        ? finding([`parts of ${part} images are enlarged`], "")
        : notObservable(`no ${part} images were recorded`);
    }
    const views = viewsOf(of);
    const moved = views.filter((view) => !isPlain(view)).length;
    const found = `${number(views.length - moved)} of ${number(views.length)} ${part} images ` +
      `are whole and not mirrored`;
    return finding(moved > 0.02 * views.length ? [found] : [], found);
  });
}

/** Images of an evaluation that is made again, with the values that they had before. */
const evaluationView = observing(["evaluations"], ({ evaluations }) => {
  const before = new Map<string, bigint>();
  let same = 0, of = 0;
  for (const { loader, indices, hashes } of evaluations) {
    hashes.forEach((hash, i) => {
      if (loader === undefined || indices[i] < 0 || hash === 0n) return;
      const place = `${loader} ${indices[i]}`;
      const earlier = before.get(place);
      if (earlier !== undefined) of++;
      if (earlier === hash) same++;
      before.set(place, hash);
    });
  }
  if (of < ENOUGH) return notObservable("no evaluation was recorded twice");
  return finding(
    same < 0.98 * of
      ? [
        `of ${number(of)} images that were evaluated again ${
          number(of - same)
        } had other values: something is drawn at random in their transform`,
      ]
      : [],
    `${number(same)} of ${number(of)} images that were evaluated again had the same values`,
  );
});

/** Values of the data sets whose constants are copied: mean and deviation, 0 to 1. */
const CONSTANTS: readonly (readonly [string, readonly number[], readonly number[]])[] = [
  ["ImageNet", [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]],
  ["CIFAR-10", [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]],
  ["CIFAR-10 (with the mean of each image's own deviation)", [0.4914, 0.4822, 0.4465], [
    ...[0.2023, 0.1994, 0.201],
  ]],
  ["CIFAR-100", [0.5071, 0.4867, 0.4408], [0.2675, 0.2565, 0.2761]],
  ["SVHN", [0.4377, 0.4438, 0.4728], [0.198, 0.201, 0.197]],
  ["MNIST", [0.1307, 0.1307, 0.1307], [0.3081, 0.3081, 0.3081]],
];

/** What was subtracted and divided by, in words. */
export function preparationInWords(
  { kind, zero, scale, own, ownDeviation, meanDistance }: Preparation,
): string {
  const deviation = scale.map((value) => 1 / (255 * value));
  const list = (values: readonly number[]) =>
    values.map((v) => Number(v.toPrecision(3))).join(", ");
  switch (kind) {
    case "per-pixel":
      return `the per-pixel mean is subtracted (${
        Number((meanDistance ?? 0).toPrecision(2))
      } bytes from that of the training part)`;
    case "per-image":
      return `${
        own === "channel"
          ? "each image's own channel means are"
          : own === "image"
          ? "each image's own mean is"
          : "something that differs from image to image is"
      } subtracted${ownDeviation ? ", and it is divided by something of its own" : ""}`;
    case "constants": {
      const mean = (zero ?? []).map((value) => value / 255);
      const known = nameOfConstants(mean, deviation);
      return `channel constants: mean ${list(mean)}, divided by ${list(deviation)}${
        known ? ` (${known})` : ""
      }`;
    }
    default:
      return "the values are no straight lines of the stored ones";
  }
}

function nameOfConstants(
  mean: readonly number[],
  deviation: readonly number[],
): string | undefined {
  const near = (a: readonly number[], b: readonly number[]) =>
    a.every((value, c) => Math.abs(value - b[c]) < 0.004);
  if (near(mean, [0, 0, 0]) && near(deviation, [1, 1, 1])) return "pixels in 0..1, no mean";
  if (near(mean, [0.5, 0.5, 0.5]) && near(deviation, [0.5, 0.5, 0.5])) return "pixels in -1..1";
  for (const [name, m, s] of CONSTANTS) {
    for (const blueFirst of [false, true]) {
      const order = (values: readonly number[]) => blueFirst ? values.toReversed() : values;
      const how = blueFirst ? ", blue first" : "";
      if (near(mean, order(m)) && near(deviation, order(s))) return `those of ${name}${how}`;
      const twice = m.map((value, c) => value + value * s[c]);
      if (near(mean, order(twice)) && near(deviation, order(s.map((v) => v * v)))) {
        return `those of ${name}${how}, twice`;
      }
    }
  }
}

/** The preparation of most training images. */
function ofTraining(training: readonly ObservedImages[]): Preparation | undefined {
  return training.map(({ preparation }) => preparation).find((one) => one !== undefined);
}

/** The per-pixel mean is subtracted, and nothing else is done to the values. */
const mean = observing(["training"], ({ training }) => {
  const preparation = ofTraining(training);
  if (preparation === undefined) return notObservable(matched(training));
  if (preparation.kind === "unknown") return notObservable(preparationInWords(preparation));
  const { kind, scale, meanDistance = 0, meanRatio = 1 } = preparation;
  const words = preparationInWords(preparation);
  const alike = scale.every((value) => Math.abs(value / scale[0] - 1) < 0.01);
  const problems = kind === "per-pixel"
    ? [
      ...Math.abs(meanRatio - 1) > 0.2
        ? [
          `the per-pixel mean that is subtracted is ${
            Number(meanRatio.toPrecision(3))
          } times that of the training part: it is in another unit than the pixels`,
        ]
        : meanDistance > 3
        ? [
          `a per-pixel mean is subtracted that is ${
            meanDistance.toFixed(1)
          } bytes from that of the training part`,
        ]
        : [],
      ...alike ? [] : ["channels are divided by different numbers"],
    ]
    : [words];
  return finding(problems, words);
});

/** Pixels in 0 to 1, or 0 to 255, or divided by about a deviation. */
const scale = observing(["training"], ({ training, evaluations = [] }) => {
  // A mean in another unit, subtracted before the crop, hides training images; whole ones show it.
  const preparation = ofTraining(training) ?? ofTraining(evaluations);
  if (preparation === undefined || preparation.kind === "unknown") {
    return notObservable(matched(training));
  }
  if (preparation.kind === "per-image") return notObservable("it differs from image to image");
  const byte = preparation.scale.map(Math.abs);
  const found = `one byte is ${Number(byte[0].toPrecision(3))}`;
  const small = byte.some((value) => value < 0.2 / 255), large = byte.some((value) => value > 10);
  return finding(
    small
      ? [
        `${found}, where it is 1/255 for pixels in 0..1: the range of all pixels is ${
          Number((255 * byte[0]).toPrecision(2))
        }, they were divided once too often`,
      ]
      : large
      ? [`${found}: the values are larger than bytes`]
      : [],
    found,
  );
});

const channelOrder = observing(["training"], ({ training }) => {
  const of = training.filter(({ views }) => views.length >= ENOUGH);
  if (of.length === 0) return notObservable(matched(training));
  const blue = of.filter(({ form }) => form?.channels === "BGR");
  return finding(
    blue.length > 0 ? ["the first channel of the network's input is the stored blue one"] : [],
    "red, green, blue",
  );
});

const FORMS = {
  "planes-as-pixels":
    "the file's planes of red, green and blue were reshaped to pixels of three values",
  "pixels-as-planes": "pixels of three values were reshaped to planes",
} as const;

const pixelOrder = observing(["training"], ({ training }) => {
  const of = training.filter(({ views }) => views.length >= ENOUGH);
  if (of.length === 0) return notObservable(matched(training));
  const problems = of.flatMap(({ form, views }) => {
    const count = number(views.length);
    if (form === undefined) return [];
    return [
      ...form.layout === "right"
        ? []
        : [`${FORMS[form.layout]}: ${count} images were found only so`],
      ...form.axes === "right" ? [] : [`${count} images are ${form.axes}`],
    ];
  });
  return finding([...new Set(problems)].slice(0, 1), "as they are stored");
});

/** Images that are tested are prepared as those that are trained on, and those alike in each epoch. */
const samePreparation = observing(["training", "evaluations"], ({ training, evaluations }) => {
  const one = ofTraining(training);
  const later = one &&
    training.slice(1).find(({ preparation, views }) =>
      preparation !== undefined && views.length >= 2 * ENOUGH &&
      difference(one, preparation) !== undefined
    );
  if (later !== undefined) {
    return finding([
      `training images of epoch ${later.epoch}: ${
        preparationInWords(later.preparation!)
      }; before it ${preparationInWords(one!)}: stored images seem to be changed in place`,
    ], "");
  }
  const others = evaluations.filter(({ preparation }) => preparation !== undefined);
  if (one === undefined || others.length === 0) {
    return notObservable("the preparation of training and of test images was not seen");
  }
  const problems = others.flatMap((other) => {
    const why = difference(one, other.preparation!) ?? otherForm(training, other);
    return why === undefined ? [] : [`${other.part ?? "evaluated"} images: ${why}`];
  });
  return finding([...new Set(problems)], `alike in training and ${others.length} evaluations`);
});

function difference(a: Preparation, b: Preparation): string | undefined {
  if (a.kind === "unknown" || b.kind === "unknown") return undefined;
  const words = `${preparationInWords(b)}; in training ${preparationInWords(a)}`;
  if (a.kind !== b.kind) return words;
  if (a.kind === "per-image") return undefined;
  if (a.scale.some((value, c) => Math.abs(value / b.scale[c] - 1) > 0.02)) return words;
  const zeros = a.zero?.some((value, c) => Math.abs(value - b.zero![c]) > 2);
  return zeros ? words : undefined;
}

function otherForm(training: readonly ObservedImages[], { form }: ObservedEvaluation) {
  const own = training.find((group) => group.form !== undefined)?.form;
  if (own === undefined || form === undefined) return undefined;
  return own.layout === form.layout && own.axes === form.axes && own.channels === form.channels
    ? undefined
    : `${form.channels}, ${form.layout}, ${form.axes}; in training ${own.channels}, ${own.layout}, ${own.axes}`;
}

/** The images are CIFAR-10's. */
const dataSet = observing(["training", "dataset"], (subject) => {
  const { dataset, evaluations = [] } = subject;
  // Where more than crops is done to training images, those that are evaluated tell.
  const training: readonly ObservedImages[] = unexplained(subject.training)
    ? evaluations
    : subject.training;
  const looked = training.reduce((sum, group) => sum + group.looked, 0);
  const found = viewsOf(training).length;
  if (looked < ENOUGH || found < looked / 2) return notObservable(matched(subject.training));
  const name = dataset.name === "cifar10" ? [] : [`the images are those of ${dataset.name}`];
  return finding(
    name,
    `${
      training === evaluations
        ? `${number(found)} of ${number(looked)} evaluated images are`
        : matched(training)
    } of CIFAR-10 (${percent(found / looked)})`,
  );
});

/** The stored class, or the same exchange of classes in all images. */
const labels = observing(["training", "dataset"], ({ training, evaluations = [], dataset }) => {
  const trained = pairs(training, dataset), tested = pairs(evaluations, dataset);
  if (trained.length < ENOUGH) return notObservable("labels and images were not seen together");
  const right = trained.filter(([stored, given]) => stored === given).length;
  const found = `${number(right)} of ${number(trained.length)} training images have the label ` +
    "that is stored with them";
  if (right > 0.95 * trained.length) return finding([], found);
  const name = (label: number) => classInWords(label, dataset.classNames);
  const order = classesGiven(trained);
  if (order === undefined) {
    const [stored, given, image] = trained.find(([stored, given]) => stored !== given)!;
    return finding([
      `${found}: image ${number(image)} of class ${name(stored)} is trained as ${name(given)}`,
    ], "");
  }
  const classes = new Set(order.values()).size;
  if (classes < order.size) {
    return finding([
      `${found}: their ${order.size} classes are trained as ${classes}, such as CIFAR-100's coarse ` +
      "ones",
    ], "");
  }
  const agreeing = tested.filter(([stored, given]) => order.get(stored) === given).length;
  if (tested.length < ENOUGH) {
    return notObservable(`${found}; the classes have another order, whose test was not seen`);
  }
  return agreeing > 0.95 * tested.length
    ? finding([], `the classes have another order, the same in training and tests`)
    : finding([
      `${found}: class ${
        [...order].find(([stored, given]) => stored !== given)!.map(name).join(" is trained as ")
      }, and tested as it is stored`,
    ], "");
});

function pairs(
  groups: readonly ObservedImages[],
  { labels }: RecordedSet,
): (readonly [stored: number, given: number, image: number])[] {
  return groups.flatMap((group) =>
    Array.from(group.images).flatMap((image, i) =>
      image < 0 || group.labels[i] < 0 ? [] : [[labels[image], group.labels[i], image] as const]
    )
  );
}

/** The one class that each stored class is given as; undefined where there is none. */
function classesGiven(
  all: readonly (readonly [stored: number, given: number, image: number])[],
): ReadonlyMap<number, number> | undefined {
  const order = new Map<number, number>();
  for (const [stored, of] of Map.groupBy(all, ([stored]) => stored)) {
    const counts = [...Map.groupBy(of, ([, given]) => given)]
      .toSorted((a, b) => b[1].length - a[1].length);
    if (counts[0][1].length < 0.95 * of.length) return undefined;
    order.set(stored, counts[0][0]);
  }
  return order;
}

/** Where a rule is stated, but for those of section 4.2 alone; `all`: it holds of any training. */
const SECTIONS: Readonly<Record<string, string>> = {
  "view-of-each-image": "all",
  "views-over-epochs": "all",
  "evaluation-view": "all",
  "mean": "4.2, 3.4",
  "scale": "all",
  "channel-order": "all",
  "pixel-order": "all",
  "same-preparation": "all",
  "labels": "all",
};

const rule = (
  id: string,
  requirement: string,
  check: Rule<RecordingSubject>["check"],
  rejects: Rule<RecordingSubject>["rejects"],
): Rule<RecordingSubject> => ({
  id,
  section: SECTIONS[id] ?? "4.2",
  requirement,
  tier: "recording",
  check,
  rejects,
});

const views = (change: (view: ObservedView, i: number) => Partial<ObservedView>) =>
(
  group: ObservedImages,
) => ({
  views: group.views.map((view, i) => ({ ...view, ...change(view, i) })),
});
const prepared = (change: Partial<Preparation>) => (group: ObservedImages) => ({
  preparation: { ...group.preparation!, ...change },
});

/** The rules on the images of a recording. */
export const IMAGE_RULES: readonly Rule<RecordingSubject>[] = defineRules([
  rule(
    "augmentation",
    "Training images are crops of the padded image or of its mirror image: the augmentation reaches the network.",
    asEntered("places", augmentation),
    [
      badImages(
        "none",
        "a transform is set on a Subset, which ignores it",
        "training",
        views(() => ({ y: 0, x: 0, flip: false })),
      ),
      badImages(
        "no flip",
        "half of the augmentation is forgotten",
        "training",
        views(() => ({ flip: false })),
      ),
      badImages(
        "no crop",
        "half of the augmentation is forgotten",
        "training",
        views(() => ({ y: 0, x: 0 })),
      ),
    ],
  ),
  rule(
    "crop",
    "The crop is of 32x32 pixels of the image with 4 pixels padded on each side, each offset equally likely.",
    asEntered("places", crop),
    [
      badImages("turned", "RandomRotation behind it", "training", () => ({
        views: [],
        altered: { kind: "changed", tried: 8, found: 8 },
      })),
      badImages("resized", "RandomResizedCrop in its place", "training", () => ({
        views: [],
        altered: { kind: "resized", tried: 8, found: 8, sides: [12, 30] },
      })),
      badImages(
        "offsets to 3",
        "the bound is exclusive",
        "training",
        views(({ y, x }) => ({ y: Math.min(y, 3), x: Math.min(x, 3) })),
      ),
      badImages(
        "more often in the middle",
        "a normal distribution",
        "training",
        views(({ y }, i) => ({ y: i % 2 ? y : 0 })),
      ),
    ],
  ),
  rule(
    "view-of-each-image",
    "Each image has a crop and a mirroring of its own.",
    asEntered("places", viewOfEachImage),
    [
      badImages(
        "one a batch",
        "the batch's tensor is cropped",
        "training",
        views(({ at }) => ({ y: Math.floor(at / 128) % 9 - 4, x: 2, flip: at % 256 < 128 })),
      ),
      badImages(
        "one for all",
        "it is drawn before the loop",
        "training",
        views(() => ({ y: 3, x: -1, flip: true })),
      ),
    ],
  ),
  rule(
    "views-over-epochs",
    "The crop and the mirroring are drawn anew each time.",
    asEntered("places", viewsOverEpochs),
    [
      badImages("cached", "augmented before the loop", "training", ({ indices }) => ({
        hashes: BigUint64Array.from(indices, (index) => BigInt(index) + 1n),
      })),
      badImages(
        "equal seeds",
        "workers are seeded alike in each epoch",
        "training",
        views(({ at }) => ({ y: at % 9 - 4, x: at % 7 - 3, flip: at % 2 > 0 })),
      ),
    ],
  ),
  rule(
    "validation-view",
    "Validation looks at whole images, not mirrored.",
    wholeViews("validation"),
    [
      badImages(
        "cropped",
        "it shares the training's transform",
        "validation",
        views((_, i) => ({ y: i % 9 - 4 })),
      ),
      badImages(
        "mirrored",
        "it shares the training's transform",
        "validation",
        views((_, i) => ({ flip: i % 2 > 0 })),
      ),
    ],
  ),
  rule("test-view", "Tests look at the single view of the original image.", wholeViews("test"), [
    badImages(
      "cropped",
      "a crop in the test's transform",
      "test",
      views((_, i) => ({ y: i % 9 - 4 })),
    ),
    badImages(
      "mirrored",
      "a mirroring in the test's transform",
      "test",
      views((_, i) => ({ flip: i % 2 > 0 })),
    ),
  ]),
  rule(
    "evaluation-view",
    "An image that is evaluated again enters as it did before: nothing is drawn at random.",
    evaluationView,
    [
      badImages("cropped", "the training's transform", "validation", ({ hashes, iteration }) => ({
        hashes: hashes.map((hash) => iteration === 0 ? hash : hash + 1n),
      })),
      badImages("half of them mirrored", "a flip is left in", "test", ({ hashes, iteration }) => ({
        hashes: hashes.map((hash, i) => i % 2 === 0 || iteration === 0 ? hash : hash + 1n),
      })),
    ],
  ),
  rule(
    "mean",
    "The per-pixel mean is subtracted; nothing else is done to the values.",
    asEntered("values", mean),
    [
      badImages(
        "each image's own",
        "a library's function",
        "training",
        prepared({ kind: "per-image", own: "channel" }),
      ),
      badImages(
        "ImageNet's constants",
        "copied from other code",
        "training",
        prepared({
          kind: "constants",
          zero: [0.485, 0.456, 0.406].map((value) => 255 * value),
          scale: [0.229, 0.224, 0.225].map((value) => 1 / 255 / value),
        }),
      ),
      badImages("of other images", "the test's mean", "training", prepared({ meanDistance: 8 })),
      badImages(
        "in another unit",
        "the mean of bytes, of pixels in 0..1",
        "training",
        prepared({ meanDistance: 30_000, meanRatio: 255 }),
      ),
    ],
  ),
  rule(
    "scale",
    "Pixels are in 0..1, or in 0..255, or divided by about their deviation.",
    asEntered("values", scale),
    [
      badImages(
        "divided twice",
        "by the loader and by the script",
        "training",
        prepared({ scale: [1, 1, 1].map(() => 1 / 255 ** 2) }),
      ),
      badImages("multiplied", "by 255, of bytes", "training", prepared({ scale: [255, 255, 255] })),
    ],
  ),
  rule("channel-order", "The channels are red, green, blue.", asEntered("places", channelOrder), [
    badImages("blue first", "OpenCV's order", "training", ({ form }) => ({
      form: { ...form!, channels: "BGR" },
    })),
    badImages("blue first, transposed", "two mistakes", "training", ({ form }) => ({
      form: { ...form!, channels: "BGR", axes: "transposed" },
    })),
  ]),
  rule(
    "pixel-order",
    "Rows, columns and channels are those of the stored image.",
    asEntered("places", pixelOrder),
    [
      badImages("reshaped", "where axes had to be exchanged", "training", ({ form }) => ({
        form: { ...form!, layout: "planes-as-pixels" },
      })),
      badImages("transposed", "a file of MATLAB", "training", ({ form }) => ({
        form: { ...form!, axes: "transposed" },
      })),
    ],
  ),
  rule(
    "same-preparation",
    "Images are prepared alike in each epoch, and tested as they are trained on.",
    asEntered("values", samePreparation),
    [
      badImages(
        "not normalised",
        "the test's transform lacks it",
        "test",
        prepared({
          kind: "constants",
          zero: [0, 0, 0],
        }),
      ),
      badImages("another scale", "bytes in one place", "test", prepared({ scale: [1, 1, 1] })),
      badImages(
        "divided once more in the second epoch",
        "stored images are changed in place",
        "training",
        (group) =>
          group.epoch === 1 ? {} : prepared({ scale: [1, 1, 1].map(() => 1 / 255 ** 2) })(group),
      ),
    ],
  ),
  rule("data-set", "The images are those of CIFAR-10.", dataSet, [
    {
      name: "CIFAR-100",
      why: "the files look alike",
      kind: "recording",
      spoil: (good) => ({ ...good, dataset: { ...good.dataset, name: "cifar100" } }),
    },
    {
      name: "built-in images",
      why: "a demonstration",
      kind: "recording",
      spoil: (good) => ({ ...good, dataset: { ...good.dataset, name: "shapes10" } }),
    },
  ]),
  rule("labels", "Each image has its own label.", labels, [
    badImages("moved", "labels in another order than images", "training", ({ labels }) => ({
      labels: labels.map((_, i) => labels[(i + 1) % labels.length]),
    })),
    badImages("the next class", "training counts classes from 1", "training", ({ labels }) => ({
      labels: labels.map((label) => (label + 1) % 10),
    })),
    badImages("coarse classes", "classes are put together", "training", ({ labels }) => ({
      labels: labels.map((label) => label >> 1),
    })),
  ]),
]);
