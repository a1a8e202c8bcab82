/** Section 4.2 on what was done: the rules that the event log of a run decides. */
import { CIFAR10, DataError, splitFromManifest, splitImages, splitManifest } from "../data/mod.ts";
import { architecture, countParameters, initialise } from "../resnet/mod.ts";
import { paper, type Recipe, vary, WARM_UP_WINDOW, withIterations } from "../recipes/mod.ts";
import {
  finalTestOf,
  type LoggedRun,
  type LogSubject,
  type NamedFile,
  type RunEvent,
  type RunStore,
  type StartEvent,
  type UntimedEvent,
} from "../log/mod.ts";
import { DATASET, type Fault, faultyEnd, faultyResume, faultyRun } from "./_loop_mutants.ts";
import { BATCH_SIZE, ITERATIONS, paperRate, TRAINING_IMAGES } from "../paper/mod.ts";
import { close } from "./_numbers.ts";
import { number } from "../text/mod.ts";
import { defineRules, type Finding, type KnownBad, type Rule } from "./rule.ts";
import { finding, reading } from "./subject.ts";
import { judgeDepartures } from "./training_rules.ts";

const TEST_IMAGES = 10_000;
const CLASSES = 10;
const WARM_UP_RATE = 0.01;
const WARM_UP_BOUND = 0.8;
/** A test error below it is better than any net of this form without other data reaches. */
const TOO_GOOD = 0.03;
/** A residual net of the paper that ends above it has not learnt. */
const TOO_BAD = 0.2;
/** A net that is not trained yet errs nine times in ten; after this many steps it still does often. */
const EARLY_STEPS = 1_000;
const EARLY_ERROR = 0.2;

/**
 * SHA-256 of CIFAR-10's per-pixel mean, [32, 32, 3], as 32-bit floats, over images that a split
 * must leave out. Computed with NumPy 2.4.6 from the published files: exact sums, divided in
 * double precision, rounded once.
 */
const MEANS_OF: Readonly<Record<string, string>> = {
  b979c4599e91415f01fa80b3913cb685cf821a0f2c0ad2758ac475b7aaed0c35: "all 50,000 training images",
  e1a444cfbe614e4959d819aaaac26b436371d61f164b6f8595e48e142c62577e: "all 50,000 training images",
  a7075fa786b7f7e60ab79987b914cb5df222de11e2dadf2323fa3a1cac331d56: "the 10,000 test images",
  d5109b15a12629e6d1f55790918d95bf81caf545d85a776225abf54844c72b6a: "the 10,000 test images",
};
const MEAN_OF_ALL = Object.keys(MEANS_OF)[0];

const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;
const netOf = ({ recipe }: StartEvent): string => recipe.architecture.name;

/** Passes only where the run is over; a fault is one also before its end. */
function once(run: LoggedRun, problems: readonly string[], evidence: string): Finding {
  if (problems.length > 0 || run.end) return finding(problems, evidence);
  const last = run.steps.at(-1)?.iteration ?? 0;
  return {
    outcome: "not-observable",
    evidence: `the log breaks off after step ${number(last)}; so far: ${evidence}`,
  };
}

/** A log whose lines are changed one by one, dropped or multiplied. */
function badLog(
  name: string,
  why: string,
  edit: (event: RunEvent) => RunEvent | readonly RunEvent[],
): KnownBad<LogSubject> {
  return {
    name,
    why,
    kind: "log",
    spoil: (good) => ({ ...good, events: good.events.flatMap(edit) }),
  };
}

/** Lines of one type that are changed. */
function badLines<Type extends RunEvent["type"]>(
  type: Type,
  name: string,
  why: string,
  change: (event: Extract<RunEvent, { type: Type }>) => object,
): KnownBad<LogSubject> {
  return badLog(
    name,
    why,
    (event) =>
      event.type === type
        ? { ...event, ...change(event as Extract<RunEvent, { type: Type }>) }
        : event,
  );
}

const badData = (name: string, why: string, change: (data: StartEvent["data"]) => object) =>
  badLines("start", name, why, ({ data }) => ({ data: { ...data, ...change(data) } }));

/** A new run of the real loop with a fault. */
function badRun(name: string, why: string, fault: Fault | (() => Fault)): KnownBad<LogSubject> {
  const spoil = () => faultyRun(typeof fault === "function" ? fault() : fault);
  return { name, why, kind: "loop", spoil };
}

/** The real loop that goes on with the paper's run after step 32,000 or 63,900, with a fault. */
function badEnd(
  name: string,
  why: string,
  from: 32_000 | 63_900,
  fault: Fault,
): KnownBad<LogSubject> {
  return { name, why, kind: "loop", spoil: () => faultyEnd(from, fault) };
}

/** A fault of the folder: events are changed on their way into the log. */
const logging = (change: (event: UntimedEvent) => object): Fault => ({
  store: (right) => ({
    append: (event) => right.append({ ...event, ...change(event) } as UntimedEvent),
  }),
});

/** The recipe without a word of where it leaves the paper. */
const undeclared = (recipe: Recipe): Recipe => ({ ...recipe, departures: [] });

/**
 * Every statement of the paper on what was done, and all that makes a result
 * one that can be believed: decided by a run's event log and the files that it
 * names, by nothing else.
 *
 * Source: section 4.2.
 *
 * @example Without a run nothing can be told; of a folder, `logSubjectOf` makes the subject.
 * ```ts
 * import { assert } from "@std/assert";
 * import { LOG_RULES } from "./log_rules.ts";
 * import { judge } from "./rule.ts";
 *
 * assert(judge(LOG_RULES, {}).every(({ outcome }) => outcome === "not-observable"));
 * ```
 */
export const LOG_RULES: readonly Rule<LogSubject>[] = defineRules([
  {
    id: "rates-used",
    section: "4.2",
    requirement: "The steps were taken at the rate 0.1, at 0.01 after 32,000 and at 0.001 after " +
      "48,000 of them (ResNet-110's warm-up aside).",
    tier: "log",
    check: reading([], (run) => {
      const { start, steps, warmUpEnd } = run;
      const warmUpTo = netOf(start) === "resnet110" ? warmUpEnd?.iteration ?? Infinity : 0;
      const segments: { rate: number; to: number }[] = [];
      const problems: string[] = [];
      for (const { iteration, learningRate } of steps) {
        const rate = paperRate(iteration);
        const expected = iteration <= warmUpTo ? Math.min(rate, WARM_UP_RATE) : rate;
        if (!close(learningRate, expected)) {
          problems.push(`step ${number(iteration)} had the rate ${learningRate}, not ${expected}`);
        }
        const last = segments.at(-1);
        if (last?.rate === learningRate) last.to = iteration;
        else segments.push({ rate: learningRate, to: iteration });
      }
      const trace = segments.map(({ rate, to }) => `${rate} to step ${number(to)}`).join(", ");
      return once(run, problems, `${trace} (logged every ${start.logEvery} steps)`);
    }),
    rejects: [
      badEnd("a rate that is never divided", "the scheduler is not called", 32_000, {
        stopAfter: 32_200,
        engine: (right) => ({ step: (plan) => right.step(plan, 0.1) }),
      }),
      badRun("epochs taken for iterations", "82 and 123 epochs are 32k and 48k of 391 batches", {
        recipe: vary(paper("resnet20"), { schedule: { iterations: 164, boundaries: [82, 123] } }),
      }),
      badLines("step", "divided by 10 at 40,000", "half of a longer training", (step) => ({
        learningRate: step.iteration > 32_000 && step.iteration <= 40_000 ? 0.1 : step.learningRate,
      })),
    ],
  },
  {
    id: "steps-taken",
    section: "4.2",
    requirement: "64,000 steps were taken, each counted once: iterations, not epochs.",
    tier: "log",
    check: reading([], (run) => {
      const { steps, end } = run;
      const problems: string[] = [];
      let before = 0;
      for (const { iteration, steps: count } of steps) {
        if (iteration - count !== before) {
          problems.push(
            `the ${count} steps up to step ${number(iteration)} do not follow step ${
              number(before)
            }`,
          );
        }
        before = iteration;
      }
      const last = end?.iteration ?? ITERATIONS;
      if (last !== ITERATIONS) {
        problems.push(`the run ended after ${number(last)} steps, not ${number(ITERATIONS)}`);
      } else if (end && before !== last) {
        problems.push(`steps are logged up to ${number(before)}, not ${number(last)}`);
      }
      return once(run, problems, `${number(before)} steps, each once`);
    }),
    rejects: [
      badRun("64,000 images taken for iterations", "500 batches of 128", {
        recipe: withIterations(paper("resnet20"), 500),
      }),
      badEnd("a step that nobody measured", "metrics are read while steps are queued", 63_900, {
        engine: (right) => ({
          metrics: async () =>
            (await right.metrics()).filter(({ iteration }) => iteration !== 63_950),
        }),
      }),
      badLines("end", "one step less", "the loop ends before its last step", ({ iteration }) => ({
        iteration: iteration - 1,
      })),
      badLog(
        "a hole",
        "lines are lost when a process is killed",
        (event) => event.type === "step" && event.iteration === 12_300 ? [] : event,
      ),
    ],
  },
  {
    id: "images-per-step",
    section: "4.2",
    requirement: "Every step saw 128 images.",
    tier: "log",
    check: reading([], (run) => {
      const problems = run.steps.flatMap(({ iteration, steps, images }) => {
        const expected = imagesIn(run.start, iteration - steps, iteration);
        return images === expected ? [] : [
          `the ${steps} steps up to step ${number(iteration)} saw ${number(images)} images, not ${
            number(expected)
          }`,
        ];
      });
      const images = run.steps.reduce((sum, step) => sum + step.images, 0);
      return once(run, problems, `${number(images)} images, ${BATCH_SIZE} a step`);
    }),
    rejects: [
      badRun("batches of 64", "half of the memory", {
        recipe: paper("resnet20", { batchSize: 64, batchNormImages: 64 }),
        stopAfter: 200,
      }),
      badEnd("half of each batch", "the second of two devices does nothing", 63_900, {
        engine: (right) => ({
          step: (plan, rate) => right.step({ ...plan, indices: plan.indices.slice(0, 64) }, rate),
        }),
      }),
      badLines(
        "step",
        "one image more in each window",
        "a batch is counted by its end",
        (step) => ({
          images: step.images + 1,
        }),
      ),
    ],
  },
  {
    id: "warm-up-ended",
    section: "4.2",
    requirement: "ResNet-110 alone began at 0.01, and returned to 0.1 when its training error " +
      "had fallen below 80%.",
    tier: "log",
    check: reading([], (run) => {
      const { start, steps, warmUpEnd, end } = run;
      if (netOf(start) !== "resnet110") {
        const rise = steps.find(({ learningRate }, i) =>
          i > 0 && learningRate > steps[i - 1].learningRate &&
          !close(learningRate, steps[i - 1].learningRate)
        );
        const problems = [
          ...rise
            ? [`the rate rose to ${rise.learningRate} by step ${number(rise.iteration)}`]
            : [],
          ...warmUpEnd ? [`a warm-up ended after step ${number(warmUpEnd.iteration)}`] : [],
        ];
        return once(run, problems, `${netOf(start)} began without a warm-up`);
      }
      const problems: string[] = [];
      if (steps.length > 0 && !close(steps[0].learningRate, WARM_UP_RATE)) {
        problems.push(`it began at ${steps[0].learningRate}`);
      }
      const ended = warmUpEnd?.iteration ?? Infinity;
      const low = steps.find((step) =>
        step.error < WARM_UP_BOUND && step.steps >= WARM_UP_WINDOW &&
        step.iteration + WARM_UP_WINDOW <= Math.min(ended, steps.at(-1)!.iteration)
      );
      if (low) {
        problems.push(
          `the training error was ${percent(low.error)} at step ${
            number(low.iteration)
          }, and the warm-up went on`,
        );
      }
      const back = steps.find(({ iteration, steps }) => iteration - steps >= ended);
      if (back && !close(back.learningRate, 0.1)) {
        problems.push(
          `after the warm-up step ${number(back.iteration)} had the rate ${back.learningRate}`,
        );
      }
      if (warmUpEnd && !(warmUpEnd.trainingError < WARM_UP_BOUND)) {
        problems.push(`it ended at a training error of ${percent(warmUpEnd.trainingError)}`);
      }
      if (end && !warmUpEnd) problems.push("the warm-up never ended");
      return once(
        run,
        problems,
        `${WARM_UP_RATE} up to step ${number(ended)}, where the training error was ${
          percent(warmUpEnd?.trainingError ?? 1)
        }`,
      );
    }),
    rejects: [
      badRun("a warm-up that never returns to 0.1", "the rate is set once, before the loop", {
        recipe: paper("resnet110"),
        stopAfter: 600,
        engine: (right) => ({ step: (plan) => right.step(plan, 0.01) }),
      }),
      badRun("a warm-up until 20%", "80% error is taken for 80% accuracy", {
        recipe: paper("resnet110", {
          schedule: { warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.2 } },
        }),
        stopAfter: 600,
      }),
      badRun("ResNet-110 without a warm-up", "one recipe for all depths", {
        recipe: { ...paper("resnet110"), schedule: paper("resnet56").schedule },
        stopAfter: 300,
      }),
      badLog(
        "ResNet-20 with a warm-up",
        "it is taken for a part of every recipe",
        (event) =>
          event.type === "step" && event.iteration === 400
            ? [{ ...event, learningRate: 0.01 }, {
              ...{ type: "warm-up-end", time: event.time, iteration: 400, trainingError: 0.79 },
            }]
            : event,
      ),
    ],
  },
  {
    id: "split-made",
    section: "4.2",
    requirement: "45,000 training and 5,000 validation images, none in both, were chosen by the " +
      "seed (or, where the paper can be read so, all 50,000 are trained on).",
    tier: "log",
    check: reading(["split"], ({ start, evaluations }, { split }) => {
      const { recipe, data, seed } = start;
      const sizes = `${number(split.training.count)} and ${number(split.validation.count)}`;
      if (!["45,000 and 5,000", "50,000 and 0"].includes(sizes)) return finding([sizes], "");
      const problems: string[] = [];
      for (const name of ["training", "validation"] as const) {
        const stated = [recipe.data.split[name], data[`${name}Images`]];
        if (stated.some((count) => count !== split[name].count)) {
          problems.push(`${name} images: ${stated.join(" and ")} in the log's first line`);
        }
        if (split[name].sha256 !== data.splitHashes[name]) {
          problems.push(`the ${name} list is another than the one that was logged`);
        }
      }
      try {
        const { training, validation } = splitFromManifest(split);
        const outside = [...training, ...validation].filter((i) => i >= TRAINING_IMAGES).length;
        if (outside > 0) problems.push(`${number(outside)} images are not of the training part`);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        problems.push(error.message);
      }
      const { training, validation } = split;
      const counts = { training: training.count, validation: validation.count };
      const ofSeed = splitManifest(splitImages(TRAINING_IMAGES, counts, seed));
      if (ofSeed.training.sha256 !== training.sha256) {
        problems.push(`seed ${seed} makes another split`);
      }
      const other = evaluations.find(({ set, images }) =>
        set === "validation" && images !== validation.count
      );
      if (other) problems.push(`${number(other.images)} images were evaluated as validation`);
      return finding(problems, `${sizes} images, none in both, as seed ${seed} makes them`);
    }),
    rejects: [
      badRun("47.5k/2.5k", "another split than was agreed", {
        recipe: paper("resnet20", { data: { split: { training: 47_500, validation: 2_500 } } }),
        stopAfter: 1,
      }),
      badRun("a list that is not the one trained on", "the file is written by another program", {
        stopAfter: 1,
        store: (right) => ({
          write: (name, content) =>
            right.write(
              name,
              name === "split.json"
                ? JSON.stringify(splitManifest(
                  splitImages(TRAINING_IMAGES, { training: 45_000, validation: 5_000 }, 99),
                ))
                : content,
            ),
        }),
      }),
      badEnd("validation on other images", "all that is not trained on is evaluated", 63_900, {
        engine: (right) => ({ evaluate: (set) => right.evaluate(set === "train" ? "test" : set) }),
      }),
      {
        name: "validation images that are trained on",
        why: "the validation part is taken from all images",
        kind: "log",
        spoil: (good) => {
          const { training } = splitFromManifest(good.split);
          const split = splitManifest({ training, validation: training.slice(0, 5_000) });
          const [start, ...events] = good.events;
          const { data } = start as StartEvent;
          const splitHashes = {
            training: split.training.sha256,
            validation: split.validation.sha256,
          };
          const edited = { ...start, data: { ...data, splitHashes } } as StartEvent;
          return { ...good, split, events: [edited, ...events] };
        },
      },
      badLines("start", "another seed's", "the default is logged, not what was used", () => ({
        seed: 1,
      })),
    ],
  },
  {
    id: "seed-used",
    section: "all",
    requirement: "The seed stands in the log, and is the one that the run used.",
    tier: "log",
    check: reading([], ({ start: { seed, recipe, data } }) => {
      if (!(Number.isInteger(seed) && seed >= 0 && seed <= 0xffffffff)) {
        return finding([`the seed is ${seed}, not a whole number from 0 to 4294967295`], "");
      }
      const { training, validation } = recipe.data.split;
      if (data.set === "shapes10" || training < 1 || training + validation > TRAINING_IMAGES) {
        return { outcome: "not-observable", evidence: "the split of this data set is not known" };
      }
      const made = splitManifest(splitImages(TRAINING_IMAGES, recipe.data.split, seed));
      const right = made.training.sha256 === data.splitHashes.training;
      return finding(
        right ? [] : [`the log says ${seed}, which makes another split than was used`],
        `${seed}, which makes the split that was used`,
      );
    }),
    rejects: [
      badRun("the default in place of the one used", "the log takes it from the defaults", {
        seed: 7,
        stopAfter: 1,
        ...logging((event) => event.type === "start" ? { seed: 0 } : {}),
      }),
      badLines("start", "another seed", "a run is repeated, and its log is edited", () => ({
        seed: 4,
      })),
      badLines("start", "no seed", "the clock's is used", () => ({ seed: -1 })),
    ],
  },
  {
    id: "test-set-unseen",
    section: "4.2",
    requirement: "The test set was looked at once, after the last step: nothing was chosen by it.",
    tier: "log",
    check: reading([], (run) => {
      const { events, evaluations, start: { recipe } } = run;
      const { iterations } = recipe.schedule;
      const early = events.flatMap((event) =>
        event.type === "evaluation" && event.set === "test" && event.iteration !== iterations
          ? [number(event.iteration)]
          : []
      );
      const tests = evaluations.filter(({ set }) => set === "test");
      const problems = early.length > 0 ? [`it was evaluated after step ${early.join(", ")}`] : [];
      if (run.end && tests.length === 0) problems.push("it was never evaluated");
      const borrowed = evaluations.find(({ set, images }) =>
        set === "validation" && images === TEST_IMAGES
      );
      if (borrowed) {
        problems.push(
          `${
            number(borrowed.images)
          } images were evaluated as validation, the size of the test set`,
        );
      }
      return once(run, problems, `one evaluation, after step ${number(iterations)}`);
    }),
    rejects: [
      badRun("the test set evaluated again and again", "the best epoch is to be reported", {
        evalEvery: 100,
        stopAfter: 300,
        ...tested(),
      }),
      badEnd("the test set in place of the validation set", "it is called validation", 63_900, {
        engine: (right) => ({ evaluate: () => right.evaluate("test") }),
      }),
      badLog(
        "a look at the test set after 32,000 steps",
        "to see whether it is worth going on",
        (event) =>
          event.type === "evaluation" && event.iteration === 32_000
            ? [event, { ...event, set: "test", images: TEST_IMAGES }]
            : event,
      ),
    ],
  },
  {
    id: "test-set-whole",
    section: "4.2",
    requirement: "All 10,000 test images were scored, each once.",
    tier: "log",
    check: reading(["predictions"], (run, { predictions: { labels } }) => {
      const test = finalTestOf(run);
      if (!test) return once(run, [], "no test is logged");
      const problems = [
        ["images were tested", test.images],
        ["images are in the test set", run.start.data.testImages],
        ["predictions were kept", labels.length],
      ].filter(([, count]) => count !== TEST_IMAGES)
        .map(([what, count]) => `${number(Number(count))} ${what}, not ${number(TEST_IMAGES)}`);
      const counts = new Array<number>(CLASSES).fill(0);
      for (const label of labels) counts[label]++;
      const each = TEST_IMAGES / CLASSES;
      if (counts.some((count) => count !== each)) {
        problems.push(`the classes have ${counts.join(", ")} images, not ${each} each`);
      }
      return once(run, problems, `${number(labels.length)} images, ${each} of each class`);
    }),
    rejects: [
      badRun("9,000 test images", "a file was not read to its end", {
        recipe: withIterations(paper("resnet20"), 10),
        dataset: () =>
          Promise.resolve({
            ...DATASET,
            test: { ...DATASET.test, count: 9_000, labels: DATASET.test.labels.slice(0, 9_000) },
          }),
      }),
      badEnd("nine tenths of the test set", "the last batches are dropped", 63_900, {
        engine: (right) => ({
          evaluate: async (set, indices) => {
            const all = await right.evaluate(set, indices);
            return set === "test" ? { ...all, images: 9_000 } : all;
          },
        }),
      }),
      {
        name: "a tenth of the test set, ten times",
        why: "the batch's index is not moved on",
        kind: "log",
        spoil: (good) => {
          const { labels, predictions } = good.predictions;
          const at = Array.from({ length: TEST_IMAGES }, (_, i) => i % 1_000);
          return {
            ...good,
            predictions: {
              labels: at.map((i) => labels[i]),
              predictions: at.map((i) => predictions[i]),
            },
          };
        },
      },
      badLines("evaluation", "9,984 images", "whole batches of 128 alone", ({ set, images }) => ({
        images: set === "test" ? 9_984 : images,
      })),
    ],
  },
  {
    id: "error-recomputed",
    section: "4.2",
    requirement: "The errors are those of the predictions.",
    tier: "log",
    check: reading(["predictions"], (run, { predictions: { labels, predictions } }) => {
      const test = finalTestOf(run);
      if (!test) return once(run, [], "no test is logged");
      const wrong = labels.filter((label, i) => label !== predictions[i]).length;
      const problems = wrong === test.errors
        ? []
        : [`${number(wrong)} predictions are wrong, the log says ${number(test.errors)}`];
      for (const { set, iteration, error, errors, images } of run.evaluations) {
        if (Math.abs(error - errors / images) > 1e-9) {
          problems.push(
            `${set} after step ${number(iteration)}: ${errors} of ${images} are not ${
              percent(error)
            }`,
          );
        }
      }
      return finding(problems, `${number(wrong)} of ${number(labels.length)} are wrong`);
    }),
    rejects: [
      badEnd("a hundred errors less", "errors are counted before the last batch", 63_900, {
        engine: (right) => ({
          evaluate: async (set, indices) => {
            const evaluation = await right.evaluate(set, indices);
            return { ...evaluation, errors: evaluation.errors - 100 };
          },
        }),
      }),
      {
        name: "other predictions",
        why: "the file of another run is kept",
        kind: "log",
        spoil: (good) => ({
          ...good,
          predictions: {
            ...good.predictions,
            predictions: good.predictions.predictions.toReversed(),
          },
        }),
      },
      badLines("evaluation", "an error of its own", "it is a mean over batches", ({ error }) => ({
        error: error * 0.99,
      })),
    ],
  },
  {
    id: "final-step",
    section: "4.2",
    requirement: "The result is the test error after the last step; the best validation step is " +
      "named and never the result.",
    tier: "log",
    check: reading([], (run) => {
      const { end, evaluations } = run;
      if (!end) return once(run, [], "there is no result");
      const problems: string[] = [];
      const test = finalTestOf(run);
      if (!test) problems.push("no test is logged");
      if (test && test.iteration !== end.iteration) {
        problems.push(
          `the test was after step ${number(test.iteration)} of ${number(end.iteration)}`,
        );
      }
      if (test && end.testError !== test.error) {
        problems.push(
          `the result is ${percent(end.testError)}, the test gave ${percent(test.error)}`,
        );
      }
      const validations = evaluations.filter(({ set }) => set === "validation");
      const lowest = Math.min(...validations.map(({ error }) => error));
      const best = validations.find(({ error }) => error === lowest);
      if (
        end.bestValidation?.iteration !== best?.iteration ||
        end.bestValidation?.error !== best?.error
      ) {
        problems.push(
          `the best validation is said to be after step ${
            end.bestValidation?.iteration ?? "none"
          }, and was after ${best?.iteration ?? "none"}`,
        );
      }
      return finding(
        problems,
        `${percent(end.testError)} after step ${number(end.iteration)}${
          best
            ? `; best validation ${percent(best.error)} after step ${
              number(best.iteration)
            }, not the result`
            : ""
        }`,
      );
    }),
    rejects: [
      badEnd("the best validation step as the result", "the best weights are tested", 63_900, {
        ...logging((event) =>
          event.type === "end" ? { testError: event.bestValidation?.error } : {}
        ),
      }),
      badEnd("a test before the last step", "the test belongs to the best step", 63_900, {
        ...logging((event) =>
          event.type === "evaluation" && event.set === "test" ? { iteration: 48_000 } : {}
        ),
      }),
      badLines("end", "a better result", "the digits are swapped", ({ testError }) => ({
        testError: testError - 0.01,
      })),
      badLines("end", "no word of the best step", "it is taken for the result", () => ({
        bestValidation: undefined,
      })),
    ],
  },
  {
    id: "files-named",
    section: "all",
    requirement: "The run's files are those that its log names: split, predictions and weights.",
    tier: "log",
    check: reading(["files"], (run, { files }) => {
      const problems = files.filter(({ problem }) => problem !== undefined)
        .map(({ path, problem }) => `${path}: ${problem}`);
      const named = (kind: string) => run.files.findLast((file) => file.kind === kind)?.file;
      if (!named("split")) problems.push("the log names no split");
      if (run.end) {
        if (!finalTestOf(run)?.predictions) problems.push("the log names no predictions");
        if (named("weights")?.sha256 !== run.end.weightsSha256) {
          problems.push("the weights of the result are not those that the log names");
        }
      }
      return finding(
        problems,
        `${files.length} files: ${files.map(({ path }) => path).join(", ")}`,
      );
    }),
    rejects: [
      badEnd("weights that changed on the disk", "a later run writes over them", 63_900, {
        store: (right) => ({
          write: async (name, content) => {
            const file = await right.write(name, content);
            if (name === "weights.safetensors") await right.write(name, "other weights");
            return file;
          },
        }),
      }),
      badLines("end", "other weights", "the result is that of another file", () => ({
        weightsSha256: "0".repeat(64),
      })),
      {
        name: "no predictions",
        why: "the folder was copied in part",
        kind: "log",
        spoil: (good) => ({
          ...good,
          files: good.files.map((file): NamedFile =>
            file.path === "predictions.csv" ? { ...file, problem: "it is missing" } : file
          ),
        }),
      },
    ],
  },
  {
    id: "mean-measured-on",
    section: "4.2",
    requirement: "The mean that is subtracted is per pixel, and was measured on the images that " +
      "are trained on.",
    tier: "log",
    check: reading([], ({ start: { data } }) => {
      const { of, sha256 } = data.mean;
      const expected = `per-pixel mean of ${data.trainingImages} training images`;
      const problems = of === expected ? [] : [`what is subtracted: ${of}; not: ${expected}`];
      const others = MEANS_OF[sha256];
      const isAll = data.trainingImages === TRAINING_IMAGES && others?.startsWith("all");
      if (others && !isAll) problems.push(`it is the mean of ${others}`);
      return finding(problems, of);
    }),
    rejects: [
      badRun("channel means", "the habit of other code", {
        recipe: paper("resnet20", { data: { mean: "per-channel" } }),
        stopAfter: 1,
      }),
      badRun("ImageNet's mean", "copied from other code", {
        recipe: paper("resnet20", { data: { mean: "imagenet" } }),
        stopAfter: 1,
      }),
      badData("the mean of all images", "it is measured before the split", ({ mean }) => ({
        mean: { ...mean, of: "per-pixel mean of 50000 training images" },
      })),
      badData("the mean of all images by its hash", "the words are right", ({ mean }) => ({
        mean: { ...mean, sha256: MEAN_OF_ALL },
      })),
      badData("the mean of the test images", "each part has its own", ({ mean }) => ({
        mean: { ...mean, of: "per-pixel mean of 10000 test images" },
      })),
    ],
  },
  {
    id: "data-files",
    section: "4.2",
    requirement: "The images came from the published files of CIFAR-10.",
    tier: "log",
    check: reading([], ({ start: { data } }) => {
      const published = [...CIFAR10.train, ...CIFAR10.test];
      const names = new Set(published.map(({ name }) => name));
      const problems = data.set === "cifar10" ? [] : [`the data set is ${data.set}`];
      problems.push(
        ...published.filter(({ name, sha256 }) => data.hashes[name] !== sha256)
          .map(({ name }) => `${name} is ${data.hashes[name] ? "another file" : "missing"}`),
        ...Object.keys(data.hashes).filter((name) => !names.has(name))
          .map((name) => `${name} is no file of it`),
      );
      return finding(problems, `${published.length} files with the published SHA-256`);
    }),
    rejects: [
      badRun("a file of other images", "a download broke off, or was changed", {
        stopAfter: 1,
        dataset: () =>
          Promise.resolve({
            ...DATASET,
            hashes: { ...DATASET.hashes, "data_batch_3.bin": "0".repeat(64) },
          }),
      }),
      badData("one file less", "the last training batch is forgotten", ({ hashes }) => ({
        hashes: Object.fromEntries(
          Object.entries(hashes).filter(([name]) => name !== "data_batch_5.bin"),
        ),
      })),
      badData("built-in images", "a demonstration is reported as a result", () => ({
        set: "shapes10",
      })),
    ],
  },
  {
    id: "departures-logged",
    section: "all",
    requirement: "Where the run's recipe leaves the paper its log says so, with a reason.",
    tier: "log",
    check: reading([], ({ start }) => judgeDepartures(start.recipe)),
    rejects: [
      badRun("an undeclared momentum", "a command-line flag", {
        stopAfter: 1,
        recipe: undeclared(paper("resnet20", { optimiser: { momentum: 0.95 } })),
      }),
      badLines(
        "start",
        "departures that are left out",
        "the report looks better",
        ({ recipe }) => ({
          recipe: undeclared(vary(recipe, { batchSize: 256 }, "memory")),
        }),
      ),
    ],
  },
  {
    id: "parameters-logged",
    section: "4.2, Table 6",
    requirement: "The run trained the paper's net: its parameters, without batch-norm statistics.",
    tier: "log",
    check: reading([], ({ start }) => {
      const { classes, parameters } = start;
      const problems = classes.length === CLASSES ? [] : [`the net has ${classes.length} classes`];
      const expected = expectedParameters(netOf(start));
      if (expected === undefined) problems.push(`${netOf(start)} is no net of the paper`);
      else if (parameters !== expected) {
        problems.push(`${number(parameters)} parameters, not ${number(expected)}`);
      }
      return finding(problems, `${netOf(start)} with ${number(parameters)} parameters`);
    }),
    rejects: [
      badRun("projection shortcuts", "option B is the library's default", {
        recipe: paper("resnet20", { architecture: { shortcut: "B" } }),
        stopAfter: 1,
      }),
      badLines("start", "batch-norm statistics counted", "all arrays are", ({ parameters }) => ({
        parameters: parameters + 2 * (7 * 16 + 6 * 32 + 6 * 64),
      })),
    ],
  },
  {
    id: "from-scratch",
    section: "4.2",
    requirement: "Training began from the initialisation, not from given weights.",
    tier: "log",
    check: reading([], ({ start: { startWeights } }) =>
      finding(
        startWeights ? [`it began from ${startWeights.path}`] : [],
        "it began from the initialisation",
      )),
    rejects: [
      badRun("weights of another run", "a pretrained net is refined", () => ({
        stopAfter: 1,
        startWeights: {
          path: "pretrained.safetensors",
          sha256: "0".repeat(64),
          weights: initialise(architecture("resnet8"), 9, "in"),
        },
      })),
      badLines("start", "a file of weights in the log", "the net was trained before", () => ({
        startWeights: { path: "imagenet.safetensors", sha256: "0".repeat(64) },
      })),
    ],
  },
  {
    id: "run-finished",
    section: "4.2",
    requirement: "The run came to its end: it was not broken off, and nothing follows its result.",
    tier: "log",
    check: reading([], ({ events, start: { recipe } }) => {
      const last = events[events.length - 1];
      const warnings = events.filter((event) => event.type === "warning");
      if (last.type !== "end") {
        const how = "reason" in last ? `${last.type}: ${last.reason}` : "the log breaks off";
        return finding([how], "");
      }
      const problems = last.iteration === recipe.schedule.iterations ? [] : [
        `it ended after ${number(last.iteration)} of ${number(recipe.schedule.iterations)} steps`,
      ];
      const warned = warnings.map(({ message }) => message).join("; ");
      return finding(
        problems,
        `it ended after step ${number(last.iteration)}; ${
          warned ? `warnings: ${warned}` : "no warnings"
        }`,
      );
    }),
    rejects: [
      badEnd("a loss that is not a number", "the run diverged", 63_900, {
        engine: (right) => ({
          metrics: async () =>
            (await right.metrics()).map((step) =>
              step.iteration === 63_950 ? { ...step, loss: NaN } : step
            ),
        }),
      }),
      badEnd("stopped before its last step", "the time was up", 63_900, { stopAfter: 63_999 }),
      badLog("no end", "the process was killed", (event) => event.type === "end" ? [] : event),
      badLines("end", "an end before its time", "early stopping", () => ({ iteration: 51_200 })),
    ],
  },
  {
    id: "resumes",
    section: "all",
    requirement: "A run that was stopped went on from its own checkpoint, and no step was skipped.",
    tier: "log",
    check: reading([], ({ events, start: { logEvery } }) => {
      const problems: string[] = [];
      const from: number[] = [];
      events.forEach((event, index) => {
        if (event.type !== "resume" || event.iteration === 0) return;
        const { iteration } = event;
        from.push(iteration);
        // One that was on the disk but not yet in the log is logged right after.
        const known = events.slice(0, index + 2);
        const before = events.slice(0, index);
        if (!known.some((other) => other.type === "checkpoint" && other.iteration === iteration)) {
          problems.push(`no checkpoint of step ${number(iteration)}, from which it went on`);
        }
        const reached = before.reduce(
          (most, other) =>
            other.type === "step" || other.type === "stop" ? Math.max(most, other.iteration) : most,
          0,
        );
        if (reached + logEvery <= iteration) {
          problems.push(
            `it went on from step ${number(iteration)}, and had come to step ${number(reached)}`,
          );
        }
      });
      const after = from.map((value) => number(value)).join(" and ");
      return finding(problems, after ? `it went on after step ${after}` : "it was never stopped");
    }),
    rejects: [
      {
        name: "a checkpoint that lies about its step",
        why: "iterations are counted twice, on two devices",
        kind: "loop",
        spoil: () => faultyResume(),
      },
      badLines("resume", "from nowhere", "weights without momentum were loaded", () => ({
        iteration: 40_000,
      })),
      badLog(
        "no checkpoints",
        "the state came from somewhere else",
        (event) => event.type === "checkpoint" ? [] : event,
      ),
    ],
  },
  {
    id: "plausible",
    section: "4.2, Table 6",
    requirement: "No figure is better, or worse, than it can be.",
    tier: "log",
    check: reading([], (run) => {
      const { start, steps, evaluations } = run;
      const problems: string[] = [];
      // A wrong image has at most half of the probability on its label.
      for (const { type, iteration, loss, error } of [...steps, ...evaluations]) {
        if (!(loss >= error * Math.LN2 * (1 - 1e-6))) {
          problems.push(
            `${type} after step ${number(iteration)}: with ${
              percent(error)
            } wrong the loss is at least ${(error * Math.LN2).toFixed(3)}, and is said to be ${
              loss.toFixed(3)
            }`,
          );
        }
      }
      const [first] = steps;
      if (first && first.iteration <= EARLY_STEPS && first.error < EARLY_ERROR) {
        problems.push(`the training error was ${percent(first.error)} from the start`);
      }
      const [early, test] = [percent(first?.error ?? 1), finalTestOf(run)];
      // The bounds are CIFAR-10's; other images may be easier.
      if (!run.end || !test || start.data.set !== "cifar10") {
        return once(run, problems, `training error ${early} at first, losses as the errors allow`);
      }
      if (test.error < TOO_GOOD) {
        problems.push(`a test error of ${percent(test.error)} is below ${percent(TOO_GOOD)}`);
      }
      if (test.error > TOO_BAD && !netOf(start).startsWith("plain")) {
        problems.push(`a test error of ${percent(test.error)} is above ${percent(TOO_BAD)}`);
      }
      return finding(
        problems,
        `training error ${early} at first; test error ${percent(test.error)}, between ${
          percent(TOO_GOOD)
        } and ${percent(TOO_BAD)}`,
      );
    }),
    rejects: [
      badRun("right from the start", "the label is among the inputs", {
        stopAfter: 200,
        engine: (right) => ({
          metrics: async () => (await right.metrics()).map((step) => ({ ...step, errors: 0 })),
        }),
      }),
      badEnd("a test error of 1%", "test images are among the training images", 63_900, {
        engine: (right) => ({
          evaluate: async (set, indices) => {
            const evaluation = await right.evaluate(set, indices);
            return { ...evaluation, errors: evaluation.images / 100 };
          },
        }),
      }),
      badLines("evaluation", "a loss below what the errors allow", "a sum over logits", () => ({
        loss: 0,
      })),
      badLines("evaluation", "chance", "labels and images are out of step", ({ images }) => ({
        ...{ errors: 0.9 * images, error: 0.9, loss: 2.3 },
      })),
    ],
  },
]);

/** Images in the steps after `from` up to `to`; an epoch's last batch may be a smaller one. */
function imagesIn({ recipe, data }: StartEvent, from: number, to: number): number {
  const whole = BATCH_SIZE * (to - from);
  if (recipe.data.epochEnd !== "keep-partial") return whole;
  const batches = Math.ceil(data.trainingImages / BATCH_SIZE);
  const epochs = Math.floor(to / batches) - Math.floor(from / batches);
  return whole - epochs * (batches * BATCH_SIZE - data.trainingImages);
}

/** Trainable parameters of one of the paper's nets; undefined for other names. */
function expectedParameters(name: string): number | undefined {
  return paper(name).departures.length > 0 ? undefined : countParameters(architecture(name));
}

/** A fault: with each validation the test set is evaluated too, and the log says so. */
function tested(): Fault {
  let test: () => Promise<void>;
  let store: RunStore;
  return {
    store: (right) => (store = right, {}),
    onStart: ({ engine }) => {
      test = async () => {
        const { images, errors, loss } = await engine.evaluate("test");
        const { iteration } = await engine.exportState();
        const error = errors / images;
        store.append({ type: "evaluation", iteration, set: "test", images, errors, error, loss });
      };
    },
    onProgress: ({ validationError }) => {
      if (validationError !== undefined) test();
    },
  };
}
