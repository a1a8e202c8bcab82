/** The target itself: the reference runs' errors against Table 6. */
import { disk, foldersIn, readWholeText } from "../../files/mod.ts";
import { type LogSubject, logSubjectOf, type StartEvent } from "../../log/mod.ts";
import { ITERATIONS, TABLE_6 } from "../../paper/mod.ts";
import { RECIPES, vary } from "../../recipes/mod.ts";
import { number } from "../../text/mod.ts";
import { claimInWords, parsePlan, planHash, recipesOf, sameRecipe } from "../../verdicts/mod.ts";
import { bothReadings, brokenOff, byPlan, edited, erring, onAllImages } from "./_bad.ts";
import { LOG_RULES } from "../log/rules.ts";
import { table6Reference } from "./reference.ts";
import { STATISTICAL_RULES } from "./rules.ts";
import { claimOf, logged, nameOf, type ReproductionSubject, same } from "./subject.ts";
import { defineRules, judge, type KnownBad, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";

/** How far the mean of a net's runs may lie from Table 6, to either side; fixed beforehand. */
export const TABLE_6_MARGIN = 0.005;

/** Sets of runs that are to reproduce Table 6, each with its plan. */
export interface ReferenceRuns {
  /** Every set that was planned; runs without a plan are none. */
  readonly sets?: readonly ReproductionSubject[];
}

/** Recipes of the paper, each a claim of its own: on 45,000 images, and on all 50,000. */
const READINGS: ReadonlySet<string> = new Set<Reading>(["paper", "paper-50k"]);
type Reading = "paper" | "paper-50k";

/** A set that is to reproduce Table 6: the paper's recipe at its length, for nets of the table. */
function isReproduction({ plan }: ReproductionSubject): boolean {
  return plan !== undefined && recipesOf(plan).some((recipe) => READINGS.has(recipe)) &&
    plan.dataset === "cifar10" &&
    plan.iterations === ITERATIONS && plan.architectures.some((net) => Object.hasOwn(TABLE_6, net));
}

/** Known-bad sets in place of the good one. */
function badSet(
  name: string,
  why: string,
  spoil: (set: Required<ReproductionSubject>) => ReproductionSubject,
): KnownBad<ReferenceRuns> {
  return {
    ...{ name, why, kind: "log" },
    spoil: ({ sets }) => ({ sets: sets.map((set) => spoil(set as Required<ReproductionSubject>)) }),
  };
}

/** The same plan with runs that are changed, and the claim that follows from them. */
function withRuns(
  { plan, planSha256, runs }: Required<ReproductionSubject>,
  change: (runs: readonly LogSubject[]) => readonly LogSubject[],
): ReproductionSubject {
  const changed = change(runs);
  return { plan, planSha256, runs: changed, claim: claimOf(plan, planSha256, changed) };
}

const shifted = (by: (index: number) => number) =>
  erring((testError, index) => testError + by(index));

/** The rule on the target; its subject is all sets of reference runs. */
export const TABLE_6_RULES: readonly Rule<ReferenceRuns>[] = defineRules([{
  id: "table-6",
  section: "Table 6",
  requirement:
    `Runs of the paper's recipe, field by field and from scratch, are equivalent to Table 6: each net's mean final-step test error within ${
      100 * TABLE_6_MARGIN
    } points, above or below, by a plan and runs that keep every statistical rule, and with logs that break none; of several planned readings, each.`,
  tier: "statistical",
  check: ({ sets }) => {
    const found = sets?.filter(isReproduction) ?? [];
    if (found.length === 0) {
      return {
        outcome: "not-observable",
        evidence: `no planned set of ${number(ITERATIONS)} steps of a net of Table 6 on CIFAR-10`,
      };
    }
    const problems: string[] = [];
    const evidence: string[] = [];
    for (const set of found) {
      for (const { id, outcome, evidence } of judge(STATISTICAL_RULES, set)) {
        if (outcome !== "pass") problems.push(`${id}: ${evidence}`);
      }
      for (const run of set.runs ?? []) {
        const [log] = logged([run]);
        if (!log) continue;
        for (const { id, outcome, evidence } of judge(LOG_RULES, run)) {
          if (outcome === "fail" || outcome === "defect") {
            problems.push(`${nameOf(log)}, ${id}: ${evidence}`);
          }
        }
        const { start } = log;
        const net = start.recipe.architecture.name;
        const { name } = start.recipe;
        if (!READINGS.has(name) || !sameRecipe(start.recipe, RECIPES[name as Reading](net))) {
          problems.push(`${net}, seed ${start.seed}: its recipe is not the paper's`);
        }
      }
      for (const { kind, sentence, planned } of set.claim?.verdicts ?? []) {
        if (!Object.hasOwn(TABLE_6, planned.architecture)) continue;
        if (!same(planned.reference, table6Reference(planned.architecture))) {
          problems.push(`${planned.architecture} is compared with another figure than the table's`);
        }
        const figure = `${claimInWords(set.plan!, planned)}: ${sentence}`;
        if (kind !== "equivalent") problems.push(figure);
        evidence.push(figure);
      }
    }
    return finding(problems, evidence.join(" "));
  },
  rejects: [
    badSet(
      "two points better",
      "the best step, or the best run, is reported",
      (set) => withRuns(set, shifted(() => -0.02)),
    ),
    badSet(
      "a point worse",
      "a part of the recipe is missing",
      (set) => withRuns(set, shifted(() => 0.01)),
    ),
    badSet(
      "a mean of 3.75% and 13.75%",
      "two errors that are none have the right mean",
      (set) => withRuns(set, shifted((index) => index % 2 === 0 ? -0.05 : 0.05)),
    ),
    badSet("a failed run", "it is left out of the mean", (set) => withRuns(set, brokenOff)),
    badSet("one run of each net", "it takes a day", ({ plan, runs }) => {
      const seeds = plan.seeds.slice(0, 1);
      const kept = runs.filter(({ events }) =>
        events?.[0].type === "start" && events[0].seed === seeds[0]
      );
      return byPlan({ ...plan, seeds }, kept);
    }),
    badSet(
      "another recipe under the paper's name",
      "option B, Nesterov, five times the decay, half of the batch, all images",
      (set) =>
        withRuns(
          set,
          edited("start", ({ recipe }) => ({
            recipe: vary(recipe, {
              architecture: { shortcut: "B" },
              optimiser: { nesterov: true, weightDecay: 5e-4 },
              batchSize: 64,
              data: { split: { training: 50_000, validation: 0 } },
            }),
          })),
        ),
    ),
    badSet(
      "runs from given weights",
      "pretrained nets are refined",
      (set) =>
        withRuns(
          set,
          edited("start", () => ({
            startWeights: { path: "imagenet.safetensors", sha256: "0".repeat(64) },
          })),
        ),
    ),
    badSet(
      "one of two readings misses",
      "the reading that fits is taken",
      (set) => bothReadings(set, shifted(() => -0.008)),
    ),
    badSet(
      "the runs of one reading counted for two",
      "a copy whose recipe was edited",
      (set) =>
        bothReadings(set, (onAll) =>
          set.runs.map(({ events }, i) => {
            const { recipe } = onAll[i].events![0] as StartEvent;
            return {
              events: events!.map((event) => event.type === "start" ? { ...event, recipe } : event),
            };
          })),
    ),
    badSet(
      "another recipe beside the paper's",
      "it is shorter",
      ({ plan, runs }) => byPlan({ ...plan, version: 2, recipe: ["paper", "system-c-2"] }, runs),
    ),
    badSet("another figure for one net", "somebody else's is met", ({ plan, runs }) => {
      const [first, ...others] = plan.references;
      const references = [{ ...first, source: "a table of others" }, ...others];
      return byPlan({ ...plan, references }, runs);
    }),
    badSet("images of other files, as planned", "they were drawn anew", ({ plan, runs }) => {
      const dataHashes = { ...plan.dataHashes, "test_batch.bin": "0".repeat(64) };
      const on = edited("start", ({ data }) => ({ data: { ...data, hashes: dataHashes } }));
      return byPlan({ ...plan, dataHashes }, on(runs));
    }),
    badSet(
      "a run whose rate was never divided",
      "the scheduler is not called",
      (set) => withRuns(set, edited("step", () => ({ learningRate: 0.1 }))),
    ),
    badSet("three equal errors", "one result is copied", (set) =>
      withRuns(
        set,
        erring((testError) => testError < 0.075 ? 0.0661 : 0.0875),
      )),
  ],
  accepts: [{
    name: "a second claim, of runs on all 50,000 images, by a plan of its own",
    why: "the paper can be read so",
    make: ({ sets }) => {
      const [usual] = sets as [Required<ReproductionSubject>];
      const plan = { ...usual.plan, recipe: "paper-50k" };
      return { sets: [usual, byPlan(plan, onAllImages(usual.runs))] };
    },
  }, {
    name: "both readings in one plan",
    why: "two claims that were fixed together",
    make: ({ sets }) => ({ sets: [bothReadings(sets[0] as Required<ReproductionSubject>)] }),
  }, {
    name: "runs in another order, beside a set of other length",
    why: "a folder holds what it holds",
    make: ({ sets }) => ({
      sets: [...sets.map((set) => ({ ...set, runs: set.runs?.toReversed() })), {
        plan: { ...sets[0].plan!, iterations: 4_000 },
      }],
    }),
  }],
}]);

/**
 * The reference sets in a folder: each of its folders with a `plan.json` is a job, with its runs
 * in `runs/`.
 *
 * @param folder Path of the folder.
 * @returns The sets; none where the folder is not there.
 * @throws {RunLogError} If a log is damaged.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { referenceRuns, TABLE_6_RULES } from "./table_6.ts";
 * import { judge } from "../rule.ts";
 *
 * const { sets } = await referenceRuns("reports/no-such-folder");
 * assertEquals(judge(TABLE_6_RULES, { sets })[0].outcome, "not-observable");
 * ```
 */
export async function referenceRuns(folder: string): Promise<Required<ReferenceRuns>> {
  const sets: ReproductionSubject[] = [];
  for (const path of await foldersIn(folder)) {
    const text = await readIfThere(`${path}/plan.json`);
    if (text === undefined) continue;
    const plan = parsePlan(text);
    const runs: LogSubject[] = [];
    for (const run of await foldersIn(`${path}/runs`)) runs.push(await logSubjectOf(run));
    const planSha256 = planHash(plan);
    sets.push({ plan, planSha256, runs, claim: claimOf(plan, planSha256, runs) });
  }
  return { sets };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readWholeText(path);
  } catch (error) {
    if (disk.isMissing(error)) return undefined;
    throw error;
  }
}
