/** Section 4.2 on the learning rate, the length of the training and the warm-up. */
import { architecture, depthOf } from "../../resnet/mod.ts";
import { learningRate as learningRateOf, paper, type Recipe } from "../../recipes/mod.ts";
import { ITERATIONS, paperRate } from "../../paper/mod.ts";
import { sameRate } from "../_numbers.ts";
import { number } from "../../text/mod.ts";
import { badRates, badRecipe, field, goodRecipe } from "./_bad.ts";
import { isPlain } from "./_form.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject, subjectOf, unknown } from "../subject.ts";

/** Steps after which the rate is divided. */
const BOUNDARIES = [32_000, 48_000];
const WARM_UP_RATE = 0.01;

/** The rules on the schedule. */
export const SCHEDULE_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "learning-rate",
    section: "4.2",
    requirement:
      "The learning rate is 0.1, and is divided by 10 at 32,000 and at 48,000 iterations.",
    tier: "static",
    check: (subject) => {
      const schedule = subject.recipe?.schedule;
      if (schedule?.kind === "plateau") {
        return finding([
          `the schedule is of the kind "${schedule.kind}": its rates follow from the training`,
        ], "");
      }
      const missing = unknown(subject, ["learningRate"]);
      if (missing) return missing;
      if (schedule) {
        // The recipe has to say what is done.
        const learningRate = (step: number) => learningRateOf(schedule, step);
        for (const edge of [1, 32_000, 32_001, 48_000, 48_001]) {
          if (edge > schedule.iterations) continue;
          const found = rateAt({ learningRate }, edge, true), expected = paperRate(edge);
          if (typeof found === "number" && sameRate(found, expected)) continue;
          return finding([
            `the recipe gives step ${number(edge)} the rate ${found}, not ${expected}`,
          ], "");
        }
      }
      const end = Math.min(ITERATIONS, schedule?.iterations ?? ITERATIONS);
      const segments: string[] = [];
      let start = 1, rate: number | undefined;
      for (let iteration = 1; iteration <= end; iteration++) {
        const found = rateAt(subject, iteration, true), expected = paperRate(iteration);
        if (!(typeof found === "number" && sameRate(found, expected))) {
          return finding([`step ${number(iteration)} has the rate ${found}, not ${expected}`], "");
        }
        if (rate !== undefined && found !== rate) {
          segments.push(`${rate} in steps ${number(start)} to ${number(iteration - 1)}`);
          start = iteration;
        }
        rate = found;
      }
      segments.push(`${rate} in steps ${number(start)} to ${number(end)}`);
      const undivided = BOUNDARIES.filter((boundary) => end <= boundary);
      return finding(
        undivided.map((boundary) =>
          `it ends after step ${number(end)}, before the rate is divided at ${number(boundary)}`
        ),
        segments.join(", "),
      );
    },
    rejects: [
      badRates(
        "divided one step early",
        "steps are counted from 0",
        (iteration) => paperRate(iteration + 1),
      ),
      badRates(
        "epochs taken for iterations",
        "32k iterations are 91 epochs, and the rate is never divided",
        (iteration) => paperRate(Math.ceil(iteration / 352)),
      ),
      badRates(
        "a warm-up that never ends",
        "the rate is set to 0.01 and not raised again",
        (iteration) => paperRate(iteration) / 10,
      ),
      badRates(
        "a cosine",
        "a later habit",
        (iteration) => 0.05 * (1 + Math.cos(Math.PI * iteration / ITERATIONS)),
      ),
      badRecipe("a plateau", "ImageNet's schedule is carried over", ({ schedule }) => ({
        schedule: {
          ...{ kind: "plateau", watched: "validation-loss", rate: 0.1, factor: 0.1, patience: 10 },
          ...{ threshold: 1e-4, minimumRate: 0, iterations: schedule.iterations },
        },
      })),
      badRecipe("40,000 steps, the rate divided at 32,000", "the time was up", ({ schedule }) => ({
        schedule: { ...schedule, iterations: 40_000, boundaries: [32_000] },
      })),
      badRates("no rate at all", "the schedule is made by another program", () => NaN),
    ],
    accepts: [
      {
        name: "0.1 times 0.1",
        why: "a rounding away from 0.01",
        make: (good) => ({
          ...good,
          learningRate: (iteration) =>
            0.1 * 0.1 ** [32_000, 48_000].filter((boundary) => iteration > boundary).length,
        }),
      },
    ],
  },
  {
    id: "iterations",
    section: "4.2",
    requirement: "Training stops at 64,000 iterations.",
    tier: "static",
    check: field("the number of iterations", ({ schedule }) => schedule.iterations, ITERATIONS),
    rejects: [
      badRecipe("200 epochs", "the habit of other code", ({ schedule }) => ({
        schedule: { ...schedule, iterations: 200 * 352 },
      })),
      badRecipe("64,000 epochs", "epochs are taken for iterations", ({ schedule }) => ({
        schedule: { ...schedule, iterations: 64_000 * 352 },
      })),
    ],
    accepts: [
      goodRecipe("all 50,000 images", "164 epochs and not 182: steps count", {
        data: { split: { training: 50_000, validation: 0 } },
      }),
    ],
  },
  {
    id: "warm-up",
    section: "4.2",
    requirement:
      "ResNet-110 alone starts at 0.01, until the training error is below 80%, and then goes on at 0.1.",
    tier: "static",
    check: needing(["graph", "recipe", "learningRate"], (subject) => {
      const { graph, recipe: { schedule } } = subject;
      const expected = depthOf(graph) === 110 && !isPlain(graph);
      const warmUp = schedule.kind === "steps" ? schedule.warmUp : undefined;
      const [before, after] = schedule.kind === "steps"
        ? [rateAt(subject, 1, false), rateAt(subject, 1, true)]
        : [schedule.rate, schedule.rate];
      const found = warmUp
        ? `${before} until the training error is below ${
          100 * warmUp.untilTrainingErrorBelow
        }%, then ${after}`
        : `${before} from the start`;
      const is = (rate: number | string, value: number) =>
        typeof rate === "number" && sameRate(rate, value);
      const right = expected
        ? is(before, WARM_UP_RATE) && is(after, 0.1) && warmUp?.untilTrainingErrorBelow === 0.8
        : is(before, 0.1) && warmUp === undefined;
      if (!right || schedule.kind !== "steps") return finding(right ? [] : [found], found);
      // For as long as it may last: the rate of the warm-up, or no difference that it makes.
      const end = Math.min(ITERATIONS, schedule.iterations);
      for (let iteration = 1; iteration <= end; iteration += iteration < 2_000 ? 1 : 997) {
        // What the schedule does once a warm-up is over is another rule's.
        const rate = rateAt(subject, iteration, false), usual = rateAt(subject, iteration, true);
        const due = expected && typeof usual === "number" ? Math.min(WARM_UP_RATE, usual) : usual;
        if (typeof due !== "number" || !is(rate, due)) {
          return finding([`step ${number(iteration)} has the rate ${rate}, not ${due}`], "");
        }
      }
      return finding([], found);
    }),
    rejects: [
      badRecipe("a warm-up for every net", "it is taken for a part of the recipe", (recipe) => ({
        schedule: { ...recipe.schedule, warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.8 } },
      })),
      {
        name: "ResNet-110 without a warm-up",
        why: "one recipe for all depths",
        kind: "graph",
        spoil: (good) => ({ ...good, graph: architecture("resnet110") }),
      },
      {
        name: "a warm-up until the error is below 20%",
        why: "80% error is taken for 80% accuracy",
        kind: "recipe",
        spoil: (good) => ({
          ...good,
          graph: architecture("resnet110"),
          recipe: {
            ...good.recipe,
            schedule: {
              ...good.recipe.schedule,
              warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.2 },
            } as Recipe["schedule"],
          },
          learningRate: (iteration, ended) => ended ? paperRate(iteration) : 0.01,
        }),
      },
      badRates(
        "the tenth of the rate for the first 500 steps",
        "a warm-up by steps, which the recipe does not name",
        (iteration, ended) =>
          iteration > 1 && iteration <= 500 && !ended ? 0.01 : paperRate(iteration),
      ),
    ],
    accepts: [
      goodRecipe("ResNet-110 with its warm-up", "it alone has one", {}, "resnet110"),
      goodRecipe("a sixteenth of the schedule", "where the rate falls is another rule's", {
        schedule: { boundaries: [2000, 3000], iterations: 4000 },
      }),
      {
        name: "110 plain layers, not called plain",
        why: "the warm-up is the residual net's",
        make: () => ({
          ...subjectOf(paper("plain110")),
          graph: { ...architecture("plain110"), name: "net110" },
        }),
      },
    ],
  },
]);

/** The rate of a step, or why it has none. */
function rateAt(
  { learningRate }: Pick<StaticSubject, "learningRate">,
  iteration: number,
  warmUpEnded: boolean,
): number | string {
  try {
    return learningRate!(iteration, warmUpEnded);
  } catch (error) {
    return `that can't be told (${error instanceof Error ? error.message : error})`;
  }
}
