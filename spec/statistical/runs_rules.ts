/** The runs of a reproduction: as planned, each its own, neither too good nor too regular. */
import {
  claimInWords,
  claimsOf,
  isPlanned,
  plannedRecipe,
  recipesOf,
  regularity,
  type ReproductionPlan,
  sameRecipe,
  sampleOf,
  tInterval,
  TOO_REGULAR,
} from "../../verdicts/mod.ts";
import { differingFields, type Recipe, vary } from "../../recipes/mod.ts";
import {
  type EvaluationEvent,
  finalTestOf,
  lastStepOf,
  type LoggedRun,
  type RunEvent,
  type StartEvent,
} from "../../log/mod.ts";
import { number, percent } from "../../text/mod.ts";
import { badReading, badRuns, edited, erring, goodRuns, readBoth } from "./_bad.ts";
import {
  claimOfRun,
  FEWEST_RUNS,
  logged,
  nameOf,
  needing,
  netOf,
  points,
  type ReproductionSubject,
  runsOf,
} from "./subject.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";

/** The widest margin of a claim, see the rule on claims' bounds. */
const WIDEST_MARGIN = 0.005;

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
      const without = runs.length - all.length;
      if (without > 0) problems.push(`${without} of ${runs.length} runs have no log`);
      for (const claim of claimsOf(plan)) {
        const its = runsOf(claim, all);
        for (const seed of plan.seeds) {
          if (its.some((run) => run.start.seed === seed)) continue;
          problems.push(`there is no run of ${claimInWords(plan, claim)}, seed ${seed}`);
        }
      }
      for (const run of all) {
        const { recipe, seed, data } = run.start;
        if (!isPlanned(plan, claimOfRun(run)) || !plan.seeds.includes(seed)) {
          problems.push(`${nameOf(run, plan)}, by ${recipe.name}, was not planned`);
        }
        const { iterations } = recipe.schedule;
        if (iterations !== plan.iterations) {
          problems.push(
            `${nameOf(run, plan)}: ${number(iterations)} iterations, not ${
              number(plan.iterations)
            }`,
          );
        }
        const due = lastStepOf(run);
        if (run.end && run.end.iteration !== due) {
          problems.push(
            `${nameOf(run, plan)}: it ended after ${number(run.end.iteration)} of ${
              number(due)
            } steps`,
          );
        }
        const other = otherRecipe(plan, run);
        if (other) problems.push(`${nameOf(run, plan)}: ${other}`);
        const { startWeights } = run.start;
        if (startWeights) {
          problems.push(`${nameOf(run)} began from given weights, ${startWeights.path}`);
        }
        if (data.set !== plan.dataset) {
          problems.push(`${nameOf(run, plan)}: the data set ${data.set}, not ${plan.dataset}`);
        }
        const names = new Set([...Object.keys(data.hashes), ...Object.keys(plan.dataHashes)]);
        for (const name of names) {
          if (data.hashes[name] === plan.dataHashes[name]) continue;
          problems.push(`${nameOf(run, plan)}: ${name} is not the planned file`);
        }
      }
      return finding(
        problems,
        `${all.length} runs: ${plan.architectures.join(", ")} by ${
          recipesOf(plan).join(" and by ")
        }, each with the seeds ${plan.seeds.join(", ")}`,
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
      badReading("one reading without its runs", "the time was up", () => []),
      badReading(
        "one reading's runs under the other's name",
        "the recipe's name was edited",
        (onAll, usual) =>
          onAll.map(({ events = [] }, i) => ({
            events: events.map((event) =>
              event.type === "start"
                ? {
                  ...event,
                  recipe: { ...(usual[i].events![0] as StartEvent).recipe, name: "paper-50k" },
                }
                : event
            ),
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
      badRuns(
        "runs that ended half-way",
        "the recipe's words are the planned ones",
        edited("end", ({ iteration }) => ({ iteration: iteration / 2 })),
      ),
      badRuns("a run without a log", "its folder is empty", (runs) => [...runs, { events: [] }]),
      badRuns(
        "another recipe under the planned name",
        "option B, Nesterov, five times the decay, half of the batch, all images",
        edited("start", ({ recipe }) => ({
          recipe: vary(recipe, {
            architecture: { shortcut: "B" },
            optimiser: { nesterov: true, weightDecay: 5e-4 },
            batchSize: 64,
            data: { split: { training: 50_000, validation: 0 } },
          }),
        })),
      ),
      badRuns(
        "one field of one recipe",
        "a flag that was left in a script",
        edited(
          "start",
          ({ recipe }, index) =>
            index > 0 ? {} : { recipe: vary(recipe, { batchNorm: { momentum: 0.01 } }) },
        ),
      ),
      badRuns(
        "runs from given weights",
        "pretrained nets are refined",
        edited("start", () => ({
          startWeights: { path: "imagenet.safetensors", sha256: "0".repeat(64) },
        })),
      ),
    ],
    accepts: [
      readBoth(),
      goodRuns(
        "runs in another order",
        "folders are read as the disk has them",
        (runs) => runs.toReversed(),
      ),
      goodRuns(
        "a recipe with a departure's reason in other words",
        "reasons are words",
        edited("start", ({ recipe }) => ({ recipe: { ...recipe, departures: [] } })),
      ),
    ],
  },
  {
    id: "seeds-distinct",
    section: "all",
    requirement:
      "Each run of a net and recipe has a seed and a split of its own, each of a net losses and " +
      "predictions of its own, and each of all weights of its own.",
    tier: "statistical",
    check: needing(["runs"], ({ runs }) => {
      const all = logged(runs);
      const problems: string[] = [];
      const seen = new Map<string, LoggedRun>();
      for (const run of all) {
        const { architecture, recipe } = claimOfRun(run);
        const name = `${nameOf(run)}, by ${recipe}`;
        if (seen.has(name)) problems.push(`two runs are of ${name}`);
        seen.set(name, run);
        for (const [what, value] of signsOf(run)) {
          // A seed makes the same split for every net, and for every recipe that holds as many
          // images out; figures of two nets may be alike by chance, and weights may not.
          const among = what === "split"
            ? `${architecture} by ${recipe}`
            : what === "weights"
            ? ""
            : architecture;
          const sign = value && `${among} ${what} ${value}`;
          const other = sign && seen.get(sign);
          if (other) {
            const its = claimOfRun(other);
            problems.push(`${name}, has the ${what} of ${nameOf(other)}, by ${its.recipe}`);
          }
          if (sign) seen.set(sign, run);
        }
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
      badRuns(
        "one run with other weights",
        "a copy whose hash was edited too",
        (runs) => {
          const [first, second, ...others] = runs;
          const events = first.events?.map((event, i): RunEvent => {
            const its = second.events![i];
            if (event.type === "start" && its.type === "start") {
              return { ...event, seed: its.seed, data: its.data };
            }
            return event.type === "end" && its.type === "end"
              ? { ...event, weightsSha256: its.weightsSha256 }
              : event;
          });
          return [first, { ...second, events }, ...others];
        },
      ),
      badRuns(
        "one run's predictions of 2,000 images for all",
        "the file is written where the run before wrote it",
        edited("evaluation", (test) => ({
          images: 2_000,
          errors: Math.round(2_000 * test.error),
          predictions: { ...test.predictions, sha256: "b".repeat(64) },
        })),
      ),
      badRuns(
        "one net's weights for another",
        "its folder was copied, and the net's name edited",
        (runs) => {
          const last = runs.length - 1;
          const { weightsSha256 } = runs[0].events!.find((event) => event.type === "end")!;
          return edited("end", (_, i) => i === last ? { weightsSha256 } : {})(runs);
        },
      ),
      badReading(
        "one run for both readings",
        "its folder was copied, and the recipe edited",
        (onAll, usual) =>
          usual.map(({ events = [] }, i) => ({
            events: [onAll[i].events![0], ...events.slice(1)],
          })),
      ),
      badRuns(
        "one split for all seeds",
        "the seed reaches the initialisation alone, or nothing",
        edited("start", ({ data }) => ({
          data: { ...data, splitHashes: { training: "1".repeat(64), validation: "2".repeat(64) } },
        })),
      ),
    ],
    accepts: [
      readBoth(),
      goodRuns(
        "equal predictions of nets that learnt nothing",
        "they take every image for the same class",
        edited("evaluation", ({ images, predictions }) => ({
          ...{ errors: 0.9 * images, error: 0.9 },
          predictions: { ...predictions, sha256: "b".repeat(64) },
        })),
      ),
      goodRuns(
        "equal predictions of nets that err on wrong labels alone",
        "built-in images have some, and every good net is wrong on these",
        (runs) =>
          edited("start", ({ data }) => ({ data: { ...data, errorFloor: 0.04 } }))(
            edited("evaluation", ({ images, predictions }) => ({
              ...{ errors: 0.041 * images, error: 0.041 },
              predictions: { ...predictions, sha256: "b".repeat(64) },
            }))(runs),
          ),
      ),
      goodRuns(
        "two runs with one error",
        "875 wrong images twice, each in its own way",
        (runs) =>
          erring((testError, index) => index < 2 ? 0.0875 : testError)(
            edited(
              "evaluation",
              (test, index) => index < 2 ? { errors: 875, error: 0.0875 } : test,
            )(runs),
          ),
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
        for (const recipe of recipesOf(plan)) {
          const claim = { architecture, recipe };
          const errors = runsOf(claim, all).flatMap(({ end }) => end?.testError ?? []);
          if (errors.length < FEWEST_RUNS) continue;
          const { count, mean, standardDeviation = 0 } = sampleOf(errors);
          const margin = Math.min(plan.margin, WIDEST_MARGIN);
          const { upper } = tInterval({ count, mean, standardDeviation });
          const figure = `${claimInWords(plan, claim)}: ${percent(mean)}, spread ${
            points(standardDeviation)
          }`;
          evidence.push(figure);
          if (upper < error - margin) {
            problems.push(
              `${figure}: at most ${percent(upper)}, where ${percent(error)} is published`,
            );
          }
          const chance = regularity({ count, mean, standardDeviation }, spread);
          if (chance < TOO_REGULAR) {
            problems.push(
              `${figure}: where ${
                points(spread.standardDeviation)
              } is published, so little has a probability of ${chance.toExponential(1)}`,
            );
          }
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
        erring((testError) => testError - 0.02),
      ),
      badRuns(
        "the same error for every seed",
        "one run's result was copied",
        erring(() => 0.0875),
      ),
      badRuns(
        "hardly any spread",
        "the errors were made up",
        erring((_, index) => 0.0875 + 0.00001 * (index % 3)),
      ),
      badReading(
        "two points better, in one reading of two",
        "the mean of both lies within the margin",
        erring((testError) => testError - 0.02),
      ),
      {
        name: "two points better, with a margin of three",
        why: "the margin was made to fit",
        kind: "claim",
        spoil: (good) => ({
          ...good,
          plan: { ...good.plan, margin: 0.03 },
          runs: erring((testError) => testError - 0.02)(good.runs),
        }),
      },
    ],
    accepts: [
      readBoth(erring((testError) => testError - 0.003)),
      goodRuns(
        "a little better than published",
        "by less than the margin",
        erring((testError) => testError - 0.003),
      ),
    ],
  },
]);

/** What keeps a run's recipe from being the planned one, by value. */
function otherRecipe(plan: ReproductionPlan, run: LoggedRun): string | undefined {
  const { recipe } = run.start;
  let planned: Recipe;
  try {
    planned = plannedRecipe(plan, { architecture: netOf(run), recipe: recipe.name });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  if (sameRecipe(recipe, planned)) return undefined;
  const { departures: _, ...there } = planned, { departures: __, ...here } = recipe;
  const fields = differingFields(there, here)
    .map(({ field, before, after }) => `${field} is ${after}, not ${before}`);
  return `the recipe is not the planned one: ${fields.slice(0, 3).join(", ")}`;
}

/**
 * Errors of a net's own from which on equal predictions are no chance. Two trainings err on
 * partly other images; were they to agree on each error with the probability 0.8, all 50 would
 * agree once in 70,000 times.
 */
const OWN_ERRORS = 50;

/**
 * Whether equal predictions can't be chance: not where the net has learnt little, for two nets may
 * well take all images for one class, and not where it errs on hardly more than images with wrong
 * labels, which every good net takes for what they are.
 */
function errsInItsOwnWay({ start: { data } }: LoggedRun, test: EvaluationEvent): boolean {
  const own = test.errors - (data.errorFloor ?? 0) * test.images;
  return own >= OWN_ERRORS && test.errors <= test.images / 2;
}

/** What two trainings never share. */
function signsOf(run: LoggedRun): [what: string, value: string | undefined][] {
  const { start: { data, recipe }, steps, end } = run;
  const tested = finalTestOf(run);
  const losses = steps.map(({ iteration, loss, error }) => [iteration, loss, error]);
  return [
    ["weights", end?.weightsSha256],
    [
      "predictions",
      tested && errsInItsOwnWay(run, tested) ? tested.predictions?.sha256 : undefined,
    ],
    ["losses", losses.length > 0 ? JSON.stringify(losses) : undefined],
    // All images are one split, whatever the seed.
    ["split", recipe.data.split.validation > 0 ? data.splitHashes.training : undefined],
  ];
}
