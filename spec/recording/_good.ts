/** Recordings that look unusual and are right: what no rule may mind. */
import type { LineOf, RecordingLine } from "../../log/mod.ts";
import { initialise } from "../../resnet/mod.ts";
import { inProcesses } from "./_bad.ts";
import type { KnownGood } from "../rule.ts";
import type { ObservedImages, RecordingSubject } from "./subject.ts";

type Make = KnownGood<RecordingSubject>["make"];

const lines = <Type extends RecordingLine["type"]>(
  type: Type,
  change: (line: LineOf<Type>) => object,
): Make =>
(good) => ({
  ...good,
  log: {
    ...good.log,
    lines: good.log.lines.map((line) =>
      line.type === type ? { ...line, ...change(line as LineOf<Type>) } as RecordingLine : line
    ),
  },
});

const images = (change: (group: ObservedImages) => Partial<ObservedImages>): Make => (good) => ({
  ...good,
  training: good.training.map((group) => ({ ...group, ...change(group) })),
  evaluations: good.evaluations.map((group) => ({ ...group, ...change(group) })),
});

const few = (name: string): KnownGood<RecordingSubject> => ({
  name,
  why: "a recorder looks at a part of an epoch",
  make: images((group) => {
    const { batches, images, indices, labels, hashes, views } = group;
    const count = images.length * 3 / 4;
    return {
      ...{ looked: count, batches: batches.slice(0, count / 128), images: images.slice(0, count) },
      ...{ indices: indices.slice(0, count), labels: labels.slice(0, count) },
      ...{ hashes: hashes.slice(0, count), views: views.filter(({ at }) => at < count) },
    };
  }),
});

const bytes: KnownGood<RecordingSubject> = {
  name: "pixels from 0 to 255",
  why: "the paper can be read so",
  make: images(({ preparation }) => ({ preparation: { ...preparation!, scale: [1, 1, 1] } })),
};

const settings = (name: string, why: string, change: object): KnownGood<RecordingSubject> => ({
  name,
  why,
  make: lines("optimizer", ({ groups }) => ({
    groups: groups.map((group) => ({ ...group, settings: { ...group.settings, ...change } })),
  })),
});

const start = (name: string, why: string, seed: number): KnownGood<RecordingSubject> => ({
  ...{ name, why },
  make: (good) => ({ ...good, initialWeights: initialise(good.graph, seed, "in") }),
});

const unseen: KnownGood<RecordingSubject> = {
  name: "no replayed updates",
  why: "another recorder than PyTorch's measures none",
  make: lines("step", ({ checked }) => ({ checked: { ...checked, replay: undefined } })),
};

const nesterov = settings("Nesterov's form", "the paper names none", { nesterov: true });
const workers: KnownGood<RecordingSubject> = {
  name: "loaders with workers",
  why: "who loads says nothing of what",
  make: lines("loader", () => ({ workers: 4 })),
};
const withoutPrints: KnownGood<RecordingSubject> = {
  name: "a script that prints no figure",
  why: "it writes them to a file",
  make: lines("print", () => ({ text: "done" })),
};
const noise: KnownGood<RecordingSubject> = {
  name: "losses that go up and down",
  why: "each is of 128 images",
  make: lines("step", ({ iteration }) => ({ loss: 2 + (iteration % 7) / 10 })),
};

const scaled: KnownGood<RecordingSubject> = {
  name: "a loss that is multiplied, and gradients divided by as much",
  why: "16 bits hold no smaller ones",
  make: (good) =>
    lines(
      "step",
      ({ checked }) =>
        checked === undefined
          ? {}
          : { checked: { ...checked, gradientNorm: 1, backwardNorm: 1024 } },
    )(
      lines("loss", () => ({ scaled: 1024 }))(good) as Required<RecordingSubject>,
    ),
};

const triedOut: KnownGood<RecordingSubject> = {
  name: "two images of noise before the first step, in training mode",
  why: "shapes are tried out",
  make: ({ evaluations: [first, ...others], ...good }) => ({
    ...good,
    evaluations: [
      {
        ...{ ...first, part: undefined, loader: undefined, iteration: 0 },
        line: {
          ...{ ...first.line!, loader: undefined, iteration: 0, images: 2, mode: "training" },
          norms: { training: 7, evaluation: 0 },
        },
      },
      first,
      ...others,
    ],
  }),
};

const averagedByHand: KnownGood<RecordingSubject> = {
  name: "losses that are averaged by hand",
  why: "the reduction is none",
  make: lines("loss", () => ({ reduction: "none", scaled: 1 })),
};

const logTwice: KnownGood<RecordingSubject> = {
  name: "a log-softmax of a log-softmax",
  why: "the net ends with one, and the loss has its own: it is the same",
  make: lines("loss", () => ({
    softmaxBelow: true,
    chain: ["NllLossBackward0", "LogSoftmaxBackward0", "LogSoftmaxBackward0"],
  })),
};
const inParts = (scaled: number, kept: number): KnownGood<RecordingSubject> => ({
  name: `four parts of a batch, each loss times ${scaled}, gradients times ${kept}`,
  why: "no more fits the memory",
  make: (good) =>
    lines("step", ({ checked }) => ({
      ...{ passes: 4, backwards: 4 },
      ...(checked && { checked: { ...checked, gradientNorm: kept, backwardNorm: 1 } }),
    }))(lines("loss", () => ({ scaled }))(good) as Required<RecordingSubject>),
});
const littleAndOften: KnownGood<RecordingSubject> = {
  name: "a factor of 0.97 after every 100 steps",
  why: "of EfficientNets: an exponential fall, in stairs",
  make: lines("scheduler", () => ({
    class: "torch.optim.lr_scheduler.StepLR",
    settings: { step_size: 100, gamma: 0.97 },
  })),
};
const inSteps: KnownGood<RecordingSubject> = {
  name: "milestones in steps, within a long epoch",
  why: "a set of many images",
  make: (good) =>
    lines("loader", () => ({ batches: 10_000 }))(
      lines("scheduler", ({ settings }) => ({ settings: { ...settings, milestones: [5_000] } }))(
        good,
      ) as Required<RecordingSubject>,
    ),
};
const processes: KnownGood<RecordingSubject> = {
  name: "16 images in each of 8 processes",
  why: "one of them is recorded",
  make: (good) => lines("step", () => ({ images: 16 }))({ ...good, log: inProcesses(8, good.log) }),
};
const inSequence: KnownGood<RecordingSubject> = {
  name: "a warm-up of 5 steps and then another",
  why: "the milestone of a sequence is where the next takes over",
  make: lines("scheduler", () => ({
    class: "torch.optim.lr_scheduler.SequentialLR",
    ...{ settings: { milestones: [5] }, schedulers: [2, 3] },
  })),
};

type Goods = readonly [KnownGood<RecordingSubject>, ...KnownGood<RecordingSubject>[]];

/** For each rule on recordings what it must accept. */
export const GOOD_RECORDINGS: Readonly<Record<string, KnownGood<RecordingSubject> | Goods>> = {
  shuffled: few("three quarters of what was looked at"),
  "order-over-epochs": few("three quarters of what was looked at"),
  "batches-from-training-images": workers,
  "test-set-unseen": withoutPrints,
  "test-set-whole": withoutPrints,
  "error-over-images": {
    name: "an accuracy in place of an error",
    why: "89.76% right are 10.24% wrong",
    make: lines("print", () => ({ text: "Accuracy: 0.8976" })),
  },
  split: {
    name: "all 50,000 images, none held out",
    why: "the paper can be read so",
    make: (good) => ({
      ...good,
      evaluations: good.evaluations.filter(({ part }) => part === "test"),
      log: {
        ...good.log,
        lines: good.log.lines.map((line): RecordingLine =>
          line.type === "loader" && line.id === 1 ? { ...line, size: 50_000 } : line
        ),
      },
    }),
  },
  augmentation: few("three quarters of what was looked at"),
  crop: few("three quarters of what was looked at"),
  "view-of-each-image": few("three quarters of what was looked at"),
  "views-over-epochs": few("three quarters of what was looked at"),
  "validation-view": few("three quarters of what was looked at"),
  "evaluation-view": few("three quarters of what was looked at"),
  "test-view": few("three quarters of what was looked at"),
  mean: bytes,
  scale: bytes,
  "channel-order": bytes,
  "pixel-order": bytes,
  "same-preparation": bytes,
  "data-set": few("three quarters of what was looked at"),
  labels: few("three quarters of what was looked at"),
  logits: [noise, logTwice],
  loss: [noise, scaled, averagedByHand, inParts(0.25, 1), inParts(1, 0.25)],
  optimiser: nesterov,
  momentum: nesterov,
  "weight-decay": unseen,
  "learning-rate": unseen,
  "scheduler-stepped": [unseen, inSequence, inSteps, littleAndOften],
  "gradients-cleared": unseen,
  "gradients-clipped": [noise, scaled, inParts(1, 0.25)],
  "parameters-optimised": nesterov,
  "training-mode": noise,
  "evaluation-mode": [withoutPrints, triedOut],
  "running-statistics": noise,
  "batch-size": [workers, processes],
  initialisation: start("another seed", "any will do", 12_345),
  "from-scratch": start("another seed", "any will do", 12_345),
  finite: noise,
};
