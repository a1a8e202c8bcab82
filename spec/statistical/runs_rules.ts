/** The runs of a reproduction: as planned, each its own, neither too good nor too regular. */
import chiSquareCdf from "@stdlib/stats-base-dists-chisquare-cdf";
import { sampleOf, tInterval } from "../../verdicts/mod.ts";
import type { LoggedRun } from "../../log/mod.ts";
import { number, percent } from "../../text/mod.ts";
import { badRuns, edited } from "./_bad.ts";
import { logged, nameOf, needing, netOf, points, type ReproductionSubject } from "./subject.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";

/** Fewest runs of which a spread says anything. */
const FEWEST_RUNS = 3;
/** A spread that is as small as this by chance once in a thousand times is no chance. */
const TOO_REGULAR = 0.001;

/** The rules on the set of runs. */
export const RUNS_RULES: readonly Rule<ReproductionSubject>[] = defineRules([
  {
    id: "runs-planned",
    section: "all",
    requirement: "Every planned run was begun, as it was planned and on the planned data, and no " +
      "other.",
    tier: "statistical",
    check: needing(["plan", "runs"], ({ plan, runs }) => {
      const all = logged(runs);
      const problems: string[] = [];
      for (const architecture of plan.architectures) {
        for (const seed of plan.seeds) {
          if (all.some((run) => netOf(run) === architecture && run.start.seed === seed)) continue;
          problems.push(`there is no run of ${architecture}, seed ${seed}`);
        }
      }
      for (const run of all) {
        const { recipe, seed, data } = run.start;
        if (!plan.architectures.includes(netOf(run)) || !plan.seeds.includes(seed)) {
          problems.push(`${nameOf(run)}, was not planned`);
        }
        const { iterations } = recipe.schedule;
        if (iterations !== plan.iterations) {
          problems.push(
            `${nameOf(run)}: ${number(iterations)} iterations, not ${number(plan.iterations)}`,
          );
        }
        if (recipe.name !== plan.recipe) {
          problems.push(`${nameOf(run)}: the recipe ${recipe.name}, not ${plan.recipe}`);
        }
        if (data.set !== plan.dataset) {
          problems.push(`${nameOf(run)}: the data set ${data.set}, not ${plan.dataset}`);
        }
        const names = new Set([...Object.keys(data.hashes), ...Object.keys(plan.dataHashes)]);
        for (const name of names) {
          if (data.hashes[name] === plan.dataHashes[name]) continue;
          problems.push(`${nameOf(run)}: ${name} is not the planned file`);
        }
      }
      return finding(
        problems,
        `${all.length} runs: ${plan.architectures.join(", ")}, each with the seeds ${
          plan.seeds.join(", ")
        }`,
      );
    }),
    rejects: [
      badRuns("a dropped failure", "a diverged run is deleted", ([, ...others]) => others),
      badRuns(
        "a run in place of another",
        "another seed looks better",
        (runs) => edited("start", ({ seed }, index) => ({ seed: index === 0 ? 99 : seed }))(runs),
      ),
      badRuns("a run more", "runs are added until the test passes", (runs) => [
        ...runs,
        ...edited("start", () => ({ seed: 99 }))(runs.slice(0, 1)),
      ]),
      badRuns(
        "a run on other data",
        "a file was damaged",
        edited("start", ({ data }) => ({
          data: { ...data, hashes: { ...data.hashes, "test_batch.bin": "f".repeat(64) } },
        })),
      ),
      badRuns(
        "a shortened run",
        "the time was up",
        edited("start", ({ recipe }, index) =>
          index > 0 ? {} : {
            recipe: { ...recipe, schedule: { ...recipe.schedule, iterations: 32_000 } },
          }),
      ),
    ],
  },
  {
    id: "seeds-distinct",
    section: "all",
    requirement: "Each of a net's runs has a seed, and weights, of its own.",
    tier: "statistical",
    check: needing(["runs"], ({ runs }) => {
      const all = logged(runs);
      const problems: string[] = [];
      const seen = new Map<string, LoggedRun>();
      for (const run of all) {
        const seed = nameOf(run);
        if (seen.has(seed)) problems.push(`two runs are of ${seed}`);
        seen.set(seed, run);
        const weights = run.end && `${netOf(run)} ${run.end.weightsSha256}`;
        const other = weights && seen.get(weights);
        if (other) problems.push(`${seed} has the weights of seed ${other.start.seed}`);
        if (weights) seen.set(weights, run);
      }
      return finding(problems, `${all.length} runs, no seed and no weights twice in a net`);
    }),
    rejects: [
      badRuns(
        "a repeated seed",
        "the seed is not passed on",
        edited("start", () => ({ seed: 1 })),
      ),
      badRuns(
        "one run under several seeds",
        "its folder was copied and edited",
        edited("end", () => ({ weightsSha256: "a".repeat(64) })),
      ),
    ],
  },
  {
    id: "not-too-good",
    section: "Table 6",
    requirement: "Runs are neither better than the published error by more than the margin, nor " +
      "more alike than trainings with different seeds are.",
    tier: "statistical",
    check: needing(["plan", "runs"], ({ plan, runs }) => {
      const problems: string[] = [];
      const evidence: string[] = [];
      const all = logged(runs);
      for (const reference of plan.references) {
        const { architecture, dataset, iterations, error, spread } = reference;
        if (plan.dataset !== dataset || plan.iterations !== iterations) continue;
        const errors = all.filter((run) => netOf(run) === architecture)
          .flatMap(({ end }) => end?.testError ?? []);
        if (errors.length < FEWEST_RUNS) continue;
        const { count, mean, standardDeviation = 0 } = sampleOf(errors);
        const { upper } = tInterval({ count, mean, standardDeviation });
        const figure = `${architecture}: ${percent(mean)}, spread ${points(standardDeviation)}`;
        evidence.push(figure);
        if (upper < error - plan.margin) {
          problems.push(
            `${figure}: at most ${percent(upper)}, where ${percent(error)} is published`,
          );
        }
        // As small a spread, were the true one the published.
        const squares = (count - 1) * (standardDeviation / spread.standardDeviation) ** 2;
        const chance = chiSquareCdf(squares, count - 1);
        if (chance < TOO_REGULAR) {
          problems.push(
            `${figure}: where ${
              points(spread.standardDeviation)
            } is published, so little has a probability of ${chance.toExponential(1)}`,
          );
        }
      }
      if (evidence.length === 0) {
        return {
          outcome: "not-observable",
          evidence: `no ${FEWEST_RUNS} finished runs of a net under a reference's conditions`,
        };
      }
      return finding(problems, evidence.join("; "));
    }),
    rejects: [
      badRuns(
        "two points better",
        "test images are among the training images",
        edited("end", ({ testError }) => ({ testError: testError - 0.02 })),
      ),
      badRuns(
        "the same error for every seed",
        "one run's result was copied",
        edited("end", () => ({ testError: 0.0875 })),
      ),
      badRuns(
        "hardly any spread",
        "the errors were made up",
        edited("end", (_, index) => ({ testError: 0.0875 + 0.00001 * (index % 3) })),
      ),
    ],
  },
]);
