/** Section 4.2 on the result: the test set, looked at once, whole, after the last step. */
import { paper, withIterations } from "../../recipes/mod.ts";
import {
  finalTestOf,
  lastStepOf,
  type LogSubject,
  type RunEvent,
  type RunStore,
  type StartEvent,
} from "../../log/mod.ts";
import { DATASET, type Fault } from "./_loop_mutants.ts";
import { badEnd, badLines, badLog, badRun, goodRun, logging } from "./_bad.ts";
import { CLASSES, once, percent, writtenTwice } from "./_facts.ts";
import { sha256 } from "../../files/mod.ts";
import { TEST_IMAGES } from "../../paper/mod.ts";
import { number } from "../../text/mod.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, reading } from "../subject.ts";

/**
 * SHA-256 of the labels of CIFAR-10's test images, a byte each, in the order of the published
 * file: by what was scored a part of the set that comes again and again is known. Computed with
 * Python's hashlib from the file.
 */
const LABELS_SHA256 = "cec8a24a1e92aa2ecaa0bbd3dbfa86bf6cd8759fbd209a832824c8cf0afca9d5";

/** What computed a run at its start. */
const engineOf = (events: readonly RunEvent[]): StartEvent["engine"] =>
  events.find((event) => event.type === "start")!.engine;

/** The rules on the test and the result. */
export const LOG_TEST_RULES: readonly Rule<LogSubject>[] = defineRules([
  {
    id: "test-set-unseen",
    section: "4.2",
    requirement: "The test set was looked at once, after the last step: nothing was chosen by it.",
    tier: "log",
    check: reading([], (run) => {
      const { events, evaluations, start: { data, recipe } } = run;
      const iterations = lastStepOf(run);
      const early = events.flatMap((event) =>
        event.type === "evaluation" && event.set === "test" && event.iteration !== iterations
          ? [number(event.iteration)]
          : []
      );
      const tests = evaluations.filter(({ set }) => set === "test");
      const problems = early.length > 0 ? [`it was evaluated after step ${early.join(", ")}`] : [];
      for (const { before, after } of writtenTwice(run, "evaluation")) {
        problems.push(
          `the ${after.set} images were evaluated twice after step ${
            number(after.iteration)
          }, with ${number(before.errors)} and ${number(after.errors)} errors`,
        );
      }
      const best = events.find((event) => event.type === "best");
      if (best && recipe.best === undefined) {
        problems.push(
          `it was looked at with the weights of step ${
            number(best.iteration)
          }, which the recipe does not keep`,
        );
      }
      if (run.end && tests.length === 0) problems.push("it was never evaluated");
      // As many as the split holds back are no sign of the test set.
      const borrowed = evaluations.find(({ set, images }) =>
        set === "validation" && images === TEST_IMAGES && images !== data.validationImages
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
        "two tests at the end, the better one reported",
        "the test is repeated until it pleases",
        (event) =>
          event.type === "evaluation" && event.set === "test"
            ? [{ ...event, errors: event.errors + 40, error: event.error + 0.004 }, event]
            : event,
      ),
      badLog(
        "the best weights tested beside the last",
        "the better of the two is reported",
        (event) =>
          event.type === "end"
            ? [{
              ...{ type: "best", time: event.time, iteration: 50_000 },
              ...{ watched: "validation-error", value: 0.05 },
              ...{ images: TEST_IMAGES, errors: 600, error: 0.06 },
              file: { path: "best.safetensors", sha256: "0".repeat(64), bytes: 1 },
            } as RunEvent, event]
            : event,
      ),
      badLog(
        "a look at the test set after 32,000 steps",
        "to see whether it is worth going on",
        (event) =>
          event.type === "evaluation" && event.iteration === 32_000
            ? [event, { ...event, set: "test", images: TEST_IMAGES }]
            : event,
      ),
    ],
    accepts: [{
      name: "the same test twice",
      why: "the run was killed behind it, and went on from its last checkpoint",
      make: (good) => ({
        ...good,
        events: good.events.flatMap((event) =>
          event.type === "evaluation" && event.set === "test"
            ? [event, {
              ...{ type: "resume", time: event.time, iteration: event.iteration },
              ...{ versions: {}, revision: null, command: [], engine: engineOf(good.events) },
            }, event]
            : [event]
        ),
      }),
    }, {
      name: "a validation of 10,000 images that are not the test set's",
      why: "a split of 40,000 and 10,000 holds as many as the test set",
      make: (good) => ({
        ...good,
        events: good.events.map((event) =>
          event.type === "evaluation" && event.set === "validation"
            ? { ...event, images: TEST_IMAGES, errors: Math.round(TEST_IMAGES * event.error) }
            : event.type === "start"
            ? { ...event, data: { ...event.data, validationImages: TEST_IMAGES } }
            : event
        ),
      }),
    }],
  },
  {
    id: "test-set-whole",
    section: "4.2",
    requirement: "All 10,000 test images were scored, each once, as their labels in order show.",
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
      const found = sha256(Uint8Array.from(labels));
      if (found !== LABELS_SHA256) {
        problems.push(
          `the labels that were scored have the SHA-256 ${found}, those of the test set ${LABELS_SHA256}`,
        );
      }
      return once(run, problems, `${number(labels.length)} images with the labels of the test set`);
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
      {
        name: "1,000 images ten times, of each class as many",
        why: "the first hundred of each class are loaded again and again",
        kind: "log",
        spoil: (good) => {
          const at: number[] = [];
          const { labels, predictions } = good.predictions;
          for (let label = 0; label < CLASSES; label++) {
            at.push(...labels.flatMap((other, i) => other === label ? [i] : []).slice(0, 100));
          }
          const ten = Array.from({ length: TEST_IMAGES }, (_, i) => at[i % at.length]);
          return {
            ...good,
            predictions: {
              labels: ten.map((i) => labels[i]),
              predictions: ten.map((i) => predictions[i]),
            },
          };
        },
      },
      badRun("1,000 images ten times", "a generator that begins again", {
        recipe: withIterations(paper("resnet8"), 10),
        dataset: () => {
          const { test } = DATASET;
          const labels = test.labels.map((_, i) => test.labels[i % 1_000]);
          return Promise.resolve({ ...DATASET, test: { ...test, labels } });
        },
      }),
      badLines("evaluation", "9,984 images", "whole batches of 128 alone", ({ set, images }) => ({
        images: set === "test" ? 9_984 : images,
      })),
    ],
    accepts: [
      {
        name: "no validation images",
        why: "all 50,000 are trained on, and the test set is looked at once",
        make: (good) => ({
          ...good,
          events: good.events.filter((event) =>
            event.type !== "evaluation" || event.set !== "validation"
          ),
        }),
      },
    ],
  },
  {
    id: "error-recomputed",
    section: "all",
    requirement: "The errors are those of the predictions.",
    tier: "log",
    check: reading(["predictions"], (run, { predictions: { labels, predictions } }) => {
      const test = finalTestOf(run);
      if (!test) return once(run, [], "no test is logged");
      const wrong = labels.filter((label, i) => label !== predictions[i]).length;
      const problems = wrong === test.errors
        ? []
        : [`${number(wrong)} predictions are wrong, the log says ${number(test.errors)}`];
      const classes = run.start.classes.length;
      const none = predictions.find((one) => !(Number.isInteger(one) && one >= 0 && one < classes));
      if (none !== undefined) problems.push(`a prediction is ${none}, of ${classes} classes`);
      for (const { set, iteration, error, errors, error5, errors5, images } of run.evaluations) {
        if (Math.abs(error - errors / images) > 1e-9) {
          problems.push(
            `${set} after step ${number(iteration)}: ${errors} of ${images} are not ${
              percent(error)
            }`,
          );
        }
        if (errors5 === undefined && error5 === undefined) continue;
        if (!(errors5 !== undefined && errors5 <= errors && error5 === errors5 / images)) {
          problems.push(
            `${set} after step ${number(iteration)}: a top-5 error of ${errors5} of ${images}, ` +
              `${percent(error5 ?? NaN)}, where ${errors} are wrong`,
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
      {
        name: "predictions of an eleventh class",
        why: "a background class stands in the last place",
        kind: "log",
        spoil: (good) => {
          const { labels, predictions } = good.predictions;
          const other = predictions.map((one, i) => one === labels[i] ? one : CLASSES);
          return { ...good, predictions: { labels, predictions: other } };
        },
      },
      badLines(
        "evaluation",
        "a top-5 error above the error",
        "the five least likely classes are taken",
        ({ errors, images }) => ({ errors5: errors + 1, error5: (errors + 1) / images }),
      ),
      badLines("evaluation", "an error of its own", "it is a mean over batches", ({ error }) => ({
        error: error * 0.99,
      })),
    ],
    accepts: [{
      name: "an error of zero",
      why: "the predictions are the labels, and the log says so",
      make: (good) => ({
        ...good,
        predictions: { ...good.predictions, predictions: good.predictions.labels },
        events: good.events.map((event) =>
          event.type === "evaluation" && event.set === "test"
            ? { ...event, errors: 0, error: 0 }
            : event
        ),
      }),
    }],
  },
  {
    id: "final-step",
    section: "all",
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
    accepts: [
      goodRun("no validation images", "nothing is best, and nothing is said to be", {
        recipe: withIterations(
          paper("resnet8", { data: { split: { training: 50_000, validation: 0 } } }),
          20,
        ),
      }),
      goodRun("two validation steps with one error", "the first of them is the best", {
        recipe: withIterations(paper("resnet8"), 200),
        evalEvery: 100,
        engine: (right) => ({
          evaluate: async (set, indices) => {
            const found = await right.evaluate(set, indices);
            return { ...found, errors: Math.round(found.images / 2) };
          },
        }),
      }),
    ],
  },
]);

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
