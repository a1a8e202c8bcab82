/** Section 4.2 on the steps that were taken: their rates, number and images. */
import { paper, vary, WARM_UP_WINDOW, withIterations } from "../../recipes/mod.ts";
import type { LogSubject, StartEvent } from "../../log/mod.ts";
import { asVersion1, badEnd, badLines, badLog, badRun, goodLog, goodRun, sparse } from "./_bad.ts";
import { type Fault, paperRun } from "./_loop_mutants.ts";
import { netOf, once, percent, rateOf, ratesOf, writtenTwice } from "./_facts.ts";
import { BATCH_SIZE, ITERATIONS, paperRate } from "../../paper/mod.ts";
import { sameRate } from "../_numbers.ts";
import { number } from "../../text/mod.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, reading } from "../subject.ts";

const WARM_UP_RATE = 0.01;
const WARM_UP_BOUND = 0.8;
/** The paper says about 400 iterations, and not of how many runs: a factor of 2 is about. */
const SHORTEST_WARM_UP = 200;
const LONGEST_WARM_UP = 800;

/** The run of ResNet-110, whose log says that its warm-up ended after another step. */
async function endingAt(iteration: number): Promise<LogSubject> {
  const { subject } = await paperRun("resnet110");
  const events = subject.events!.map((event) =>
    event.type === "warm-up-end" ? { ...event, iteration } : event
  );
  return { ...subject, events };
}

/** A fault: the training error is another. */
const erring = (share: (iteration: number) => number): Fault["engine"] => (right) => ({
  metrics: async () =>
    (await right.metrics()).map((step) => ({
      ...step,
      errors: Math.round(step.images * share(step.iteration)),
    })),
});

/** More rates than these are told by the first of them. */
const MOST_SEGMENTS = 12;

/** The rules on the steps that were taken. */
export const LOG_SCHEDULE_RULES: readonly Rule<LogSubject>[] = defineRules([
  {
    id: "rates-used",
    section: "4.2",
    requirement: "The steps were taken at the rate 0.1, at 0.01 after 32,000 and at 0.001 after " +
      "48,000 of them (ResNet-110's warm-up aside).",
    tier: "log",
    check: reading([], (run) => {
      const { start, steps, warmUpEnd } = run;
      const warmUpTo = netOf(start) === "resnet110" ? warmUpEnd?.iteration ?? Infinity : 0;
      const rates = ratesOf(run);
      const problems: string[] = [];
      const due = (iteration: number) => {
        const rate = paperRate(iteration);
        return iteration <= warmUpTo ? Math.min(rate, WARM_UP_RATE) : rate;
      };
      // Within a stretch the rate that is due can change at these steps alone.
      const edges = [warmUpTo, 32_000, 48_000].map((boundary) => boundary + 1);
      for (const { rate, from, to } of rates.stretches) {
        const looked = [from, ...edges.filter((edge) => edge > from && edge <= to)];
        const wrong = looked.find((iteration) => !sameRate(rate, due(iteration)));
        if (wrong === undefined) continue;
        problems.push(`step ${number(wrong)} had the rate ${rate}, not ${due(wrong)}`);
      }
      // In a log of version 1 a line's rate is all that is stated.
      for (const { iteration, learningRate } of start.version === 1 ? [] : steps) {
        const stated = rateOf(rates, iteration);
        if (stated === undefined || sameRate(stated, learningRate)) continue;
        problems.push(
          `step ${number(iteration)} had the rate ${learningRate} by its line, and ${stated} by ` +
            `the line on the rate's last change`,
        );
      }
      for (const { before, after } of writtenTwice(run, "rate")) {
        problems.push(
          `step ${
            number(after.iteration)
          } had two rates, ${before.learningRate} and ${after.learningRate}`,
        );
      }
      if (problems.length === 0 && rates.unknown) {
        return { outcome: "not-observable", evidence: rates.unknown };
      }
      const segments: { rate: number; to: number }[] = [];
      for (const { rate, to } of rates.stretches) {
        const last = segments.at(-1);
        if (last?.rate === rate) last.to = to;
        else segments.push({ rate, to });
      }
      const trace = segments.slice(0, MOST_SEGMENTS)
        .map(({ rate, to }) => `${rate} to step ${number(to)}`)
        .concat(segments.length > MOST_SEGMENTS ? ["and so on"] : []).join(", ");
      return once(run, problems, `${trace}, ${rates.known}`);
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
      badRun("a hundredth of the rate for a while, between two lines", "a restarted scheduler", {
        recipe: withIterations(paper("resnet8"), 1_000),
        logEvery: 1_000,
        engine: (right) => {
          let taken = 0;
          return { step: (plan) => right.step(plan, ++taken > 200 && taken <= 300 ? 1e-3 : 0.1) };
        },
      }),
      badLines("rate", "divided one step early", "steps are counted from 0", ({ iteration }) => ({
        iteration: Math.max(1, iteration - 1),
      })),
      badLog(
        "two rates for one step",
        "two schedulers set it, one after the other",
        (event) =>
          event.type === "rate" && event.iteration === 32_001
            ? [{ ...event, learningRate: 0.1 }, event]
            : event,
      ),
      badLog(
        "the first division left out",
        "lines on the rate were edited",
        (event) => event.type === "rate" && event.iteration === 32_001 ? [] : event,
      ),
    ],
    accepts: [
      goodLog(
        "one line for 16,000 steps",
        "the rate's changes have lines of their own",
        sparse(16_000),
      ),
      goodLog(
        "a log of version 1, a line every 100 steps",
        "earlier logs have the rate in their lines alone",
        (events) => asVersion1(events),
      ),
      goodLog(
        "the rate as a 32-bit number",
        "an optimiser keeps it in 32 bits, and the log has what was used",
        (events) =>
          events.map((event) =>
            "learningRate" in event
              ? { ...event, learningRate: Math.fround(event.learningRate) }
              : event
          ),
      ),
      goodLog(
        "the rate as a 64-bit product",
        "0.1 times 0.1 is not 0.01 to the last bit",
        (events) =>
          events.map((event) =>
            "learningRate" in event && event.learningRate < 0.1
              ? { ...event, learningRate: event.learningRate * (1 + 1e-15) }
              : event
          ),
      ),
    ],
  },
  {
    id: "steps-taken",
    section: "4.2",
    requirement: "64,000 steps were taken, each counted once: iterations, not epochs.",
    tier: "log",
    check: reading([], (run) => {
      const { steps, end } = run;
      const problems = writtenTwice(run, "step").map(({ after }) =>
        `the line of step ${number(after.iteration)} was written twice, each time another`
      );
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
        "a line that was written again",
        "a worse figure was mended, and the old line left in the file",
        (event) =>
          event.type === "step" && event.iteration === 12_300
            ? [{ ...event, images: 64 * event.steps }, event]
            : event,
      ),
      badLog(
        "a hole",
        "lines are lost when a process is killed",
        (event) => event.type === "step" && event.iteration === 12_300 ? [] : event,
      ),
    ],
    accepts: [
      goodLog(
        "lines of uneven lengths",
        "a line is left out, and the next stands for more steps",
        sparse(64),
      ),
      goodLog("one line for the whole run", "each step is counted once", sparse(64_000)),
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
    accepts: [
      goodRun("72 images at the end of each epoch", "its last partial batch is kept", {
        recipe: paper("resnet8", {
          ...withIterations(paper("resnet8"), 800),
          data: { epochEnd: "keep-partial" },
        }),
      }),
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
        const { stretches, unknown } = ratesOf(run);
        if (unknown) return { outcome: "not-observable", evidence: unknown };
        const rise = stretches.find(({ rate }, i) =>
          i > 0 && rate > stretches[i - 1].rate && !sameRate(rate, stretches[i - 1].rate)
        );
        const problems = [
          ...rise ? [`the rate rose to ${rise.rate} by step ${number(rise.from)}`] : [],
          ...warmUpEnd ? [`a warm-up ended after step ${number(warmUpEnd.iteration)}`] : [],
        ];
        return once(run, problems, `${netOf(start)} began without a warm-up`);
      }
      const problems: string[] = [];
      const rates = ratesOf(run);
      if (rates.unknown) return { outcome: "not-observable", evidence: rates.unknown };
      const first = rates.stretches[0]?.rate;
      if (first !== undefined && !sameRate(first, WARM_UP_RATE)) {
        problems.push(`it began at ${first}`);
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
      const back = rates.stretches.find(({ to }) => to > ended);
      const after = Math.max(ended + 1, back?.from ?? 0);
      if (back && after <= 32_000 && !sameRate(back.rate, 0.1)) {
        problems.push(`after the warm-up step ${number(after)} had the rate ${back.rate}`);
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
    accepts: [
      {
        name: "one line for 16,000 steps of ResNet-110",
        why: "the rate's changes have lines of their own",
        make: async () => {
          const { subject } = await paperRun("resnet110");
          return { ...subject, events: sparse(16_000)(subject.events!) };
        },
      },
      goodLog(
        "no warm-up of a plain net of 110 layers",
        "the warm-up is the residual net's",
        (events) =>
          events.map((event) =>
            event.type === "start" ? { ...event, recipe: paper("plain110") } : event
          ),
      ),
    ],
  },
  {
    id: "warm-up-length",
    section: "4.2",
    requirement:
      `ResNet-110's warm-up took about 400 iterations: between ${SHORTEST_WARM_UP} and ${LONGEST_WARM_UP}, a factor of 2 to either side.`,
    tier: "log",
    check: reading([], (run) => {
      const { start, steps, warmUpEnd } = run;
      if (netOf(start) !== "resnet110") {
        return once(run, [], `${netOf(start)} has no warm-up`);
      }
      const reached = steps.at(-1)?.iteration ?? 0;
      const length = warmUpEnd?.iteration;
      if (length === undefined) {
        return once(
          run,
          reached > LONGEST_WARM_UP ? [`it goes on after step ${number(reached)}`] : [],
          `it goes on after step ${number(reached)}`,
        );
      }
      const right = length >= SHORTEST_WARM_UP && length <= LONGEST_WARM_UP;
      const found = `it took ${number(length)} iterations`;
      return finding(right ? [] : [found], found);
    }),
    rejects: [
      badRun("a warm-up of three epochs", "the rate is looked at once an epoch", {
        recipe: paper("resnet110"),
        stopAfter: 1_200,
        engine: erring((iteration) => iteration <= 1_056 ? 0.9 : 0.7),
      }),
      {
        name: "a warm-up that ends at once",
        why: "errors are counted on a few images",
        kind: "log",
        spoil: () => endingAt(100),
      },
      {
        name: "a warm-up that takes 6,000 iterations",
        why: "the net hardly learns",
        kind: "log",
        spoil: () => endingAt(6_000),
      },
    ],
    accepts: [{
      name: "a warm-up of 700 iterations",
      why: "the paper says about 400",
      make: () => endingAt(700),
    }],
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
