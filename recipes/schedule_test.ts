import { assert, assertEquals, assertThrows } from "@std/assert";
import type { StepMetrics } from "../engine/mod.ts";
import { SCHEDULE_VALUES } from "./_schedule_values.ts";
import { Epochs } from "./epochs.ts";
import type { Recipe, StepSchedule } from "./recipe.ts";
import { paper } from "./recipes.ts";
import { checkSchedule, learningRate, RecipeError, WarmUp } from "./schedule.ts";
import { Plateau } from "./watch.ts";

/** The first of the stored schedules' rates. */
const RATE = 0.1;

const PAPER: StepSchedule = {
  kind: "steps",
  rate: 0.1,
  boundaries: [32_000, 48_000],
  factor: 0.1,
  iterations: 64_000,
};
const WARM_UP: StepSchedule = { ...PAPER, warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.8 } };

Deno.test("learningRate: the paper's rates, step by step", () => {
  const table: [number, number][] = [
    [1, 0.1],
    [2, 0.1],
    [31_999, 0.1],
    [32_000, 0.1],
    [32_001, 0.01],
    [48_000, 0.01],
    [48_001, 0.001],
    [64_000, 0.001],
  ];
  for (const [iteration, rate] of table) assertEquals(learningRate(PAPER, iteration), rate);
  const counts = new Map<number, number>();
  for (let iteration = 1; iteration <= 64_000; iteration++) {
    const rate = learningRate(PAPER, iteration);
    counts.set(rate, (counts.get(rate) ?? 0) + 1);
  }
  assertEquals([...counts], [[0.1, 32_000], [0.01, 16_000], [0.001, 16_000]]);
});

Deno.test("learningRate: the warm-up's rate holds until it has ended, and never exceeds the schedule's", () => {
  assertEquals(learningRate(WARM_UP, 400, false), 0.01);
  assertEquals(learningRate(WARM_UP, 401, true), 0.1);
  assertEquals(learningRate(WARM_UP, 50_000, false), 0.001);
  assertEquals(learningRate(PAPER, 1, false), 0.1);
});

Deno.test("learningRate: refuses steps outside of the schedule", () => {
  for (const iteration of [0, 64_001, 1.5, NaN]) {
    assertThrows(() => learningRate(PAPER, iteration), RangeError, "steps 1 to 64000");
  }
});

Deno.test("checkSchedule: refuses what can't be followed and names the value", () => {
  const bad: [Partial<StepSchedule>, string][] = [
    [{ boundaries: [48_000, 32_000] }, "[48000, 32000]"],
    [{ boundaries: [32_000, 32_000] }, "[32000, 32000]"],
    [{ boundaries: [32_000, 64_000] }, "below its 64000 iterations"],
    [{ boundaries: [0] }, "[0]"],
    [{ boundaries: [1.5] }, "[1.5]"],
    [{ iterations: 0, boundaries: [] }, "found 0"],
    [{ rate: 0 }, "rate is a number above 0, found 0"],
    [{ factor: NaN }, "factor is a number above 0, found NaN"],
    [{ warmUp: { rate: -1, untilTrainingErrorBelow: 0.8 } }, "warm-up rate is a number above 0"],
  ];
  for (const [change, message] of bad) {
    assertThrows(() => checkSchedule({ ...PAPER, ...change }), RecipeError, message);
  }
  const cosine = { kind: "cosine", rate: 0.1, minimumRate: 0, period: 10, iterations: 10 } as const;
  const plateau = {
    ...{ kind: "plateau", watched: "training-loss", rate: 0.1, factor: 0.1, patience: 5 } as const,
    ...{ threshold: 0, minimumRate: 0, iterations: 10 },
  };
  const others: [Recipe["schedule"], string][] = [
    [{ ...cosine, period: 0 }, "period is a whole number from 1, found 0"],
    [{ ...cosine, minimumRate: 0.2 }, "minimum rate is from 0 to its rate, 0.1, found 0.2"],
    [{ ...cosine, kind: "restarts", periodFactor: 0.5 }, "period factor is a whole number from 1"],
    [{ kind: "exponential", rate: 0.1, factor: -1, iterations: 10 }, "factor is a number above 0"],
    [{ ...plateau, patience: 1.5 }, "patience is a whole number from 0, found 1.5"],
    [{ ...plateau, factor: 1 }, "factor is a number between 0 and 1, found 1"],
    [{ ...plateau, cooldown: -1 }, "cooldown is a whole number from 0, found -1"],
  ];
  for (const [schedule, message] of others) {
    assertThrows(() => checkSchedule(schedule), RecipeError, message);
  }
  // In epochs a training may end before its last boundary.
  checkSchedule({ ...PAPER, unit: "epoch" });
});

Deno.test("learningRate: says what it needs to know", () => {
  const steps = { ...PAPER, boundaries: [1], unit: "epoch" } as const;
  assertThrows(() => learningRate(steps, 1), RecipeError, "where they end");
  assertEquals(learningRate(steps, 353, true, new Epochs(paper("resnet20"))), 0.01);
  assertEquals(learningRate(steps, 352, true, new Epochs(paper("resnet20"))), 0.1);
  const plateau = SCHEDULE_VALUES.find(({ values }) => values)!.schedule;
  assertThrows(() => learningRate(plateau, 1), RecipeError, "follow from the training");
});

/** Ten steps an epoch. */
const EPOCHS = new Epochs({
  ...paper("resnet20", {
    data: { split: { training: 80, validation: 0 } },
    batchSize: 8,
  }),
});

for (const { name, schedule, rates, values } of SCHEDULE_VALUES) {
  Deno.test(`${name}: PyTorch's rate in each of 100 epochs`, () => {
    assertEquals(rates.length, 100);
    assert(new Set(rates).size > 1, "a rate that never changes shows nothing");
    const plateau = schedule.kind === "plateau" ? new Plateau(schedule) : undefined;
    rates.forEach((rate, epoch) => {
      for (const iteration of [EPOCHS.end(epoch) + 1, EPOCHS.end(epoch + 1)]) {
        const found = plateau?.rate ?? learningRate(schedule, iteration, true, EPOCHS);
        assert(
          Math.abs(found - rate) <= 1e-12 * RATE + 1e-9 * rate,
          `${rate} in epoch ${epoch}, found ${found} in step ${iteration}`,
        );
      }
      if (!plateau) return;
      const falls = plateau.observe(values![epoch]);
      assertEquals(falls, epoch < 99 && rates[epoch + 1] !== rate || (epoch === 99 && falls));
    });
  });
}

Deno.test("a schedule in iterations has the rates of one in epochs, with a step for an epoch", () => {
  for (const { schedule, rates } of SCHEDULE_VALUES) {
    if (schedule.kind === "plateau") continue;
    const inSteps = { ...schedule, unit: "iteration" } as const;
    rates.forEach((rate, step) => {
      const found = learningRate(inSteps, step + 1);
      assert(Math.abs(found - rate) <= 1e-12 * RATE + 1e-9 * rate, `${found}, not ${rate}`);
    });
  }
});

/** Feeds steps of 10 images with the given numbers of errors; the steps at which it ended. */
function endsAt(warmUp: WarmUp, errors: (iteration: number) => number, until: number): number[] {
  const ended = [];
  for (let iteration = 1; iteration <= until; iteration++) {
    const step: StepMetrics = {
      ...{ iteration, learningRate: 0.01, images: 10, loss: 2, errors: errors(iteration) },
    };
    if (warmUp.observe(step) !== undefined) ended.push(iteration);
  }
  return ended;
}

Deno.test("WarmUp: ends at the first hundred whose mean error is below the bound", () => {
  // 9 of 10 wrong up to step 250, then 7: the third hundred's mean is exactly 0.8.
  const errors = (iteration: number) => iteration <= 250 ? 9 : 7;
  const warmUp = new WarmUp(WARM_UP);
  assertEquals(endsAt(warmUp, errors, 1000), [400]);
  assertEquals(warmUp.ended, true);
});

Deno.test("WarmUp: a state that was saved in the middle of a hundred goes on", () => {
  const first = new WarmUp(WARM_UP);
  assertEquals(endsAt(first, () => 7, 50), []);
  assertEquals(first.state, { ended: false, errors: 350, images: 500 });
  const second = new WarmUp(WARM_UP, first.state);
  const step = { learningRate: 0.01, images: 10, loss: 2, errors: 9 };
  for (let iteration = 51; iteration < 100; iteration++) second.observe({ ...step, iteration });
  assertEquals(second.observe({ ...step, iteration: 100 }), undefined); // mean 0.8
});

Deno.test("WarmUp: a schedule without one has ended from the start", () => {
  assertEquals(new WarmUp(PAPER).ended, true);
});
