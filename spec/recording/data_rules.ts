/** Section 4.2 on which images come when, and of what a recorded training's errors are made. */
import {
  linesOf,
  type RecordedEvaluation,
  type RecordingLine,
  type RecordingLog,
} from "../../log/mod.ts";
import { TEST_IMAGES, TRAINING_IMAGES } from "../../paper/mod.ts";
import { number, percent } from "../../text/mod.ts";
import { defineRules, type Finding, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";
import { badImages, badLines } from "./_bad.ts";
import {
  type ObservedEvaluation,
  type ObservedImages,
  observing,
  type RecordingSubject,
} from "./subject.ts";

const ENOUGH = 48;
const notObservable = (evidence: string): Finding => ({ outcome: "not-observable", evidence });

/** Whether a loader gives its samples in the order of its data set. */
function inOrder(log: RecordingLog, loader: number | undefined): boolean | undefined {
  const line = linesOf(log.lines, "loader").find(({ id }) => id === loader);
  return line?.shuffle === undefined ? undefined : !line.shuffle;
}

/** Images come in another order than that of the data set. */
const shuffled = observing(["log", "training"], ({ log, training }) => {
  const [first] = training;
  if (first === undefined || first.labels.length < ENOUGH) {
    return notObservable("no epoch was recorded");
  }
  const order = Array.from(first.indices).some((index) => index >= 0)
    ? first.indices
    : first.images;
  const known = Array.from(order).filter((index) => index >= 0);
  const rising = known.filter((index, i) => i > 0 && index > known[i - 1]).length;
  const ascending = known.length >= ENOUGH && rising > 0.95 * (known.length - 1);
  const sequential = inOrder(log, first.loader);
  const repeated = sameOrder(training);
  const problems: string[] = [];
  if (ascending) {
    problems.push(
      `of ${number(known.length)} training images ${
        number(rising + 1)
      } stand in the order of the data set`,
    );
  } else if (sequential === true && repeated === true) {
    problems.push(
      "the loader goes through its data set from the first sample to the last, in each epoch",
    );
  } else if (sequential === true && repeated === undefined) {
    // A data set may shuffle itself: the second epoch shows it.
    return notObservable("the loader does not shuffle; whether its data set does was not seen");
  }
  return finding(problems, "the training images come in no order of the data set");
});

/** Whether the second epoch begins as the first: undefined where it can't be seen. */
function sameOrder(training: readonly ObservedImages[]): boolean | undefined {
  const [first, second] = training;
  if (second === undefined || (second.loader ?? first.loader) !== first.loader) return undefined;
  for (const what of ["indices", "images", "labels"] as const) {
    let same = 0, of = 0;
    const count = Math.min(first[what].length, second[what].length);
    for (let i = 0; i < count; i++) {
      if (first[what][i] < 0 || second[what][i] < 0) continue;
      of++;
      if (first[what][i] === second[what][i]) same++;
    }
    // Where it is not known of which loader they are, another order shows no epoch.
    if (of >= ENOUGH) return same === of || (second.loader === first.loader ? false : undefined);
  }
}

/** Each epoch has an order of its own. */
const orderOverEpochs = observing(["log", "training"], ({ log, training }) => {
  const same = sameOrder(training);
  if (same === undefined) return notObservable("no second epoch was recorded");
  const count = Math.min(training[0].images.length, training[1].images.length);
  return finding(
    same ? [`the second epoch has the order of the first, in ${number(count)} images`] : [],
    `the second epoch has another order than the first${
      inOrder(log, training[0].loader) === false ? ": the loader shuffles" : ""
    }`,
  );
});

/** Nothing is trained on that is validated or tested, and an epoch shows each image once. */
const batchesFromTraining = observing(
  ["training", "evaluations", "dataset"],
  ({ training, evaluations, dataset }) => {
    const trained = new Set(training.flatMap(({ images }) => [...images]));
    trained.delete(-1);
    if (trained.size < ENOUGH) return notObservable("which images are trained on was not seen");
    const problems: string[] = [];
    const tests = [...trained].filter((image) => image >= dataset.training).length;
    // Near copies of test images stand among the training images: a few may be taken for them.
    if (tests > 0.02 * trained.size) {
      problems.push(
        `${number(tests)} of ${number(trained.size)} images trained on are test images`,
      );
    }
    for (const evaluation of evaluations) {
      const { overlap } = evaluation;
      if (evaluation.part !== "validation" || overlap === undefined) continue;
      if (overlap.trained > 0.005 * overlap.images && overlap.trained >= 5) {
        problems.push(
          `${number(overlap.trained)} of ${
            number(overlap.images)
          } validation images are trained on`,
        );
      }
    }
    for (const { images, indices, whole, epoch } of training) {
      const order = indices.some((index) => index >= 0) ? indices : images;
      const known = Array.from(order).filter((image) => image >= 0);
      const repeats = known.length - new Set(known).size;
      if (whole && repeats > 0.01 * known.length) {
        problems.push(
          `epoch ${epoch}: ${number(repeats)} of ${number(known.length)} images came before`,
        );
      }
    }
    const checked = evaluations.some(({ part, overlap }) =>
      part === "validation" && overlap !== undefined
    );
    if (problems.length === 0 && !checked) {
      return notObservable("no validation images were seen beside the training's");
    }
    return finding(
      [...new Set(problems)],
      `${number(trained.size)} different images trained on, none of them validated or tested`,
    );
  },
);

const lastStep = ({ lines }: RecordingLog): number => linesOf(lines, "step").at(-1)?.iteration ?? 0;

const testsOf = (evaluations: readonly ObservedEvaluation[]) =>
  evaluations.filter(({ part, line }) => part === "test" && line !== undefined);

/** Where nothing but training images is evaluated, an error that is called the test's is theirs. */
function noTests(evaluations: readonly ObservedEvaluation[]): string {
  const parts = new Set(evaluations.flatMap(({ line, part }) => line === undefined ? [] : [part]));
  return parts.size === 1 && parts.has("trained")
    ? ": what was evaluated are images that are trained on"
    : "";
}

/** The test set is looked at after the last step alone. */
const testSetUnseen = observing(["log", "evaluations"], ({ log, evaluations }) => {
  const last = lastStep(log);
  const tests = testsOf(evaluations).map(({ line }) => line!)
    .filter(({ iteration }) => iteration > 0);
  const early = tests.filter(({ iteration }) => iteration < last);
  const stopped = linesOf(log.lines, "end").at(-1)?.reason !== "finished";
  if (early.length > 0) {
    const saved = linesOf(log.lines, "save").some(({ afterEvaluation, iteration }) =>
      afterEvaluation !== undefined && iteration < last
    );
    return finding([
      `the test set was scored after step ${
        early.map(({ iteration }) => number(iteration)).slice(0, 5).join(", ")
      }, and training went on${saved ? "; weights were saved behind it" : ""}`,
    ], "");
  }
  // Cut within the first epoch, an evaluation of the test set is one of each epoch or the last.
  if (tests.length === 0 || stopped) {
    return notObservable(
      tests.length === 0
        ? `no evaluation of the test set was seen${noTests(evaluations)}`
        : "the test set was scored; whether again and again was not seen",
    );
  }
  return finding([], `scored once, after step ${number(last)}`);
});

/** Of several processes one alone was recorded: what it scored may be its share. */
function ofOneProcess({ start: { worldSize = 1 } }: RecordingLog): Finding | undefined {
  return worldSize === 1
    ? undefined
    : notObservable(`what one of ${worldSize} processes scored may be its share`);
}

/** All test images are scored, each once. */
const testSetWhole = observing(["evaluations", "log"], ({ evaluations, log }) => {
  const tests = testsOf(evaluations).filter(({ line }) =>
    line!.iteration > 0 && (line!.loader === undefined || line!.exhausted !== false)
  );
  if (tests.length === 0) {
    return notObservable(`no whole evaluation of the test set was seen${noTests(evaluations)}`);
  }
  const problems = tests.flatMap(({ line }) =>
    line!.images === TEST_IMAGES && (line!.distinct ?? TEST_IMAGES) === TEST_IMAGES ? [] : [
      `${number(line!.images)} test images were scored${
        line!.distinct === undefined || line!.distinct === line!.images
          ? ""
          : `, ${number(line!.distinct)} different ones`
      }, not ${number(TEST_IMAGES)}`,
    ]
  );
  return (problems.length > 0 ? ofOneProcess(log) : undefined) ??
    finding([...new Set(problems)], `${number(TEST_IMAGES)} images`);
});

/** The error that the script says is one over images, not a mean over batches. */
const errorOverImages = observing(["log", "evaluations"], ({ log, evaluations }) => {
  const share = ofOneProcess(log);
  if (share !== undefined) return share;
  const all = linesOf(log.lines, "evaluation");
  const said: Finding[] = [];
  for (const { line, part, batchErrors = line?.batchErrors } of evaluations) {
    if (batchErrors === undefined || line?.batchImages === undefined) continue;
    const after = all.indexOf(line) + 1;
    const words = [
      ...linesOf(log.lines, "print").filter(({ afterEvaluation }) => afterEvaluation === after)
        .slice(0, 3).flatMap(({ text }) => numbersIn(text)),
      ...linesOf(log.lines, "save").filter(({ afterEvaluation }) => afterEvaluation === after)
        .flatMap(({ values = {} }) =>
          Object.values(values).flatMap((value) => numbersIn(String(value)))
        ),
    ];
    const found = compareErrors({ ...line, batchErrors }, words, part ?? "evaluated");
    if (found) said.push(found);
  }
  return said.find(({ outcome }) => outcome === "fail") ?? said[0] ??
    notObservable("no error that the script said could be compared");
});

interface SaidNumber {
  readonly value: number;
  /** Half a unit of the last digit. */
  readonly within: number;
}

function numbersIn(text: string): SaidNumber[] {
  return [...text.matchAll(/\d+\.\d+(?:e[+-]?\d+)?/gi)].slice(0, 8).map(([word]) => {
    const digits = word.includes("e") ? 6 : word.split(".")[1].length;
    return { value: Number(word), within: 0.51 * 10 ** -Math.min(digits, 9) };
  });
}

/** What was said against the errors over images, and over batches. */
function compareErrors(
  { batchErrors = [], batchImages = [], errors }: RecordedEvaluation,
  said: readonly SaidNumber[],
  part: string,
): Finding | undefined {
  const images = batchImages.reduce((sum, count) => sum + count, 0);
  const wrong = errors ?? batchErrors.reduce((sum, count) => sum + count, 0);
  const overImages = wrong / images;
  const overBatches = batchErrors.reduce((sum, count, i) => sum + count / batchImages[i], 0) /
    batchErrors.length;
  const gap = Math.abs(overImages - overBatches);
  const areAlike = gap < 1e-9;
  // A number that is rounded by more than the two differ, such as a rate of 0.1, tells neither.
  const wordFor = ({ value, within }: SaidNumber, share: number) =>
    ([["error", share], ["accuracy", 1 - share]] as const).find(([, part]) =>
      [1, 100].some((scale) =>
        Math.abs(scale * part - value) <= within && (areAlike || within < scale * gap)
      )
    )?.[0];
  const says = (share: number, other: number) => {
    for (const one of said) {
      const word = wordFor(one, share);
      if (word !== undefined && (areAlike || wordFor(one, other) === undefined)) {
        return { value: one.value, word };
      }
    }
  };
  const right = says(overImages, overBatches), mean = says(overBatches, overImages);
  if (right) {
    return finding(
      [],
      `${part}: ${right.value} was said, the ${right.word} over ${number(images)} images`,
    );
  }
  if (!mean) return undefined;
  return finding([
    `${part}: ${mean.value} was said, the mean of each batch's ${mean.word}, of ${batchErrors.length} ` +
    `batches (the last of ${batchImages.at(-1)} images); over ${number(images)} images it is ${
      percent(overImages)
    } wrong`,
  ], "");
}

/** 45,000 or 50,000 images. */
const split = observing(
  ["log", "training", "evaluations", "dataset"],
  ({ log, training, evaluations }) => {
    const sizes = training.flatMap(({ loader, whole, images }) => {
      const line = linesOf(log.lines, "loader").find(({ id }) => id === loader);
      const size = line?.reachable ?? line?.size;
      return size !== undefined ? [size] : whole ? [images.length] : [];
    });
    if (sizes.length === 0) return notObservable("how many images an epoch has was not seen");
    const [size] = sizes;
    const validation = evaluations.find(({ part, line }) =>
      part === "validation" && line?.exhausted !== false && line !== undefined
    )?.line?.images;
    const found = `${number(size)} training images${
      validation === undefined ? "" : `, ${number(validation)} for validation`
    }`;
    const right = size === TRAINING_IMAGES || size === 0.9 * TRAINING_IMAGES;
    return finding(right ? [] : [found], found);
  },
);

/** Where a rule is stated, but for those of section 4.2 alone; `all`: it holds of any training. */
const SECTIONS: Readonly<Record<string, string>> = {
  "shuffled": "all",
  "order-over-epochs": "all",
  "batches-from-training-images": "all",
  "test-set-unseen": "all",
  "error-over-images": "all",
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

const badEvaluation = (name: string, why: string, change: (line: RecordedEvaluation) => object) =>
  badImages(name, why, "test", ({ line }: ObservedEvaluation) => ({
    line: { ...line!, ...change(line!) },
  }));

/** The rules on which images come when. */
export const DATA_RULES: readonly Rule<RecordingSubject>[] = defineRules([
  rule("shuffled", "Training images are shuffled.", shuffled, [
    badImages("in order", "the loader does not shuffle", "training", ({ indices }) => ({
      indices: indices.map((_, i) => i),
    })),
    badImages("every second, in order", "a subset is not shuffled", "training", ({ indices }) => ({
      indices: indices.map((_, i) => 2 * i),
    })),
  ]),
  rule("order-over-epochs", "The order is drawn anew in each epoch.", orderOverEpochs, [
    badImages("seeded anew", "the sampler's epoch is not set", "training", ({ indices }) => ({
      indices: indices.map((_, i) => (i * 7919) % 45_000),
    })),
    badImages("one order of labels", "an array is shuffled once", "training", ({ labels }) => ({
      indices: labels.map(() => -1),
      images: labels.map(() => -1),
      labels: labels.map((_, i) => (i * i + 3 * i) % 10),
    })),
  ]),
  rule(
    "batches-from-training-images",
    "Batches hold training images alone, none that is validated or tested, and an epoch shows each once.",
    batchesFromTraining,
    [
      badImages("validation images", "two splits overlap", "validation", () => ({
        overlap: { images: 5_000, trained: 4_500 },
      })),
      badImages("test images", "all files are read into one list", "training", ({ images }) => ({
        images: images.map((image, i) => i % 6 ? image : 50_000 + i % 10_000),
      })),
    ],
  ),
  rule(
    "test-set-unseen",
    "The test set is looked at after the last step alone: nothing is chosen by it.",
    testSetUnseen,
    [
      badEvaluation("in each epoch", "the best is reported", () => ({ iteration: 352 })),
      badEvaluation("at half of the training", "to see whether it is worth going on", () => ({
        iteration: 200,
      })),
    ],
  ),
  rule("test-set-whole", "All 10,000 test images are scored, each once.", testSetWhole, [
    badEvaluation("whole batches alone", "the last batch is dropped", () => ({
      images: 9_984,
      distinct: 9_984,
    })),
    badEvaluation("some twice", "a sampler fills the last batch", () => ({ distinct: 9_900 })),
  ]),
  rule(
    "error-over-images",
    "The error is that of all images, not a mean over batches of different sizes.",
    errorOverImages,
    [
      badLines("a mean over batches", "the last batch is short", "print", () => ({
        text: "test error 10.82%",
      })),
      badLines("the same as accuracy", "the last batch is short", "print", () => ({
        text: "Accuracy: 0.8918",
      })),
      badLines("the same behind a rate", "a line says more than the error", "print", () => ({
        text: "epoch 3, lr 0.1, test error 10.82%",
      })),
    ],
  ),
  rule(
    "split",
    "45,000 images are trained on and 5,000 others are for validation (or, where the paper can be read so, all 50,000 are trained on).",
    split,
    [
      badLines("47,500", "another split", "loader", ({ id }) => id === 1 ? { size: 47_500 } : {}),
      {
        name: "a tenth of the images",
        why: "nine tenths of a smaller set are not 45,000 images",
        kind: "recording",
        spoil: (good) => ({
          ...good,
          dataset: { ...good.dataset, training: 5_000 },
          log: {
            ...good.log,
            lines: good.log.lines.map((line): RecordingLine =>
              line.type === "loader" && line.id === 1 ? { ...line, size: 4_500 } : line
            ),
          },
        }),
      },
      badLines("40,000 of 50,000", "a sampler draws of a part", "loader", ({ id }) => (
        id === 1 ? { size: 50_000, reachable: 40_000 } : {}
      )),
      badLines(
        "40,000",
        "a file is forgotten",
        "loader",
        ({ id }) => id === 1 ? { size: 40_000 } : {},
      ),
    ],
  ),
]);
