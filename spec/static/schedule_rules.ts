/** Section 4.2 on the learning rate, the length of the training and the warm-up. */
import { architecture } from "../../resnet/mod.ts";
import type { Recipe } from "../../recipes/mod.ts";
import { depthOf } from "../_graphs.ts";
import { ITERATIONS, paperRate } from "../../paper/mod.ts";
import { close } from "../_numbers.ts";
import { number } from "../../text/mod.ts";
import { badRates, badRecipe, field } from "./_bad.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

/** The rules on the schedule. */
export const SCHEDULE_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "learning-rate",
    section: "4.2",
    requirement:
      "The learning rate is 0.1, and is divided by 10 at 32,000 and at 48,000 iterations.",
    tier: "static",
    check: needing(["learningRate"], ({ learningRate }) => {
      const segments: string[] = [];
      let start = 1, rate = learningRate(1, true);
      for (let iteration = 1; iteration <= ITERATIONS; iteration++) {
        const found = learningRate(iteration, true), expected = paperRate(iteration);
        if (!close(found, expected)) {
          return finding([`step ${number(iteration)} has the rate ${found}, not ${expected}`], "");
        }
        if (found !== rate) {
          segments.push(`${rate} in steps ${number(start)} to ${number(iteration - 1)}`);
          [start, rate] = [iteration, found];
        }
      }
      segments.push(`${rate} in steps ${number(start)} to ${number(ITERATIONS)}`);
      return finding([], segments.join(", "));
    }),
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
  },
  {
    id: "warm-up",
    section: "4.2",
    requirement:
      "ResNet-110 alone starts at 0.01, until the training error is below 80%, and then goes on at 0.1.",
    tier: "static",
    check: needing(["graph", "recipe", "learningRate"], ({ graph, recipe, learningRate }) => {
      const expected = depthOf(graph) === 110 && !graph.name.startsWith("plain");
      const { schedule } = recipe;
      const warmUp = schedule.kind === "steps" ? schedule.warmUp : undefined;
      const [before, after] = [learningRate(1, false), learningRate(1, true)];
      const found = warmUp
        ? `${before} until the training error is below ${
          100 * warmUp.untilTrainingErrorBelow
        }%, then ${after}`
        : `${before} from the start`;
      const right = expected
        ? close(before, 0.01) && close(after, 0.1) && warmUp?.untilTrainingErrorBelow === 0.8
        : close(before, 0.1) && warmUp === undefined;
      return finding(right ? [] : [found], found);
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
    ],
  },
]);
