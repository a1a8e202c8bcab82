/** The target itself: the reference runs' errors against Table 6. */
import { foldersIn } from "../../files/mod.ts";
import { loggedRun, type LogSubject, logSubjectOf } from "../../log/mod.ts";
import { ITERATIONS, PAPER_DATASET, TABLE_6 } from "../../paper/mod.ts";
import { number, percent } from "../../text/mod.ts";
import { defineRules, type KnownBad, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";

/** How far the mean of a net's runs may lie from Table 6, to either side; fixed beforehand. */
export const TABLE_6_MARGIN = 0.005;

/** Runs that are to reproduce Table 6. */
export interface ReferenceRuns {
  /** Every run that was begun, failed ones too. */
  readonly runs?: readonly LogSubject[];
}

/** A run by the paper's recipe with all of its steps, for a net of Table 6. */
function reproduction({ events }: LogSubject) {
  const run = events && loggedRun(events);
  const { name } = run?.start.recipe.architecture ?? {};
  const { data, schedule } = run?.start.recipe ?? {};
  if (!run || !name || !(name in TABLE_6)) return undefined;
  if (data?.set !== PAPER_DATASET || schedule?.iterations !== ITERATIONS) return undefined;
  return { name, seed: run.start.seed, error: run.end?.testError };
}

/** Known-bad runs in place of the good ones. */
function badRuns(
  name: string,
  why: string,
  spoil: (runs: readonly LogSubject[]) => readonly LogSubject[],
): KnownBad<ReferenceRuns> {
  return { name, why, kind: "log", spoil: ({ runs }) => ({ runs: spoil(runs) }) };
}

/** A run whose result is another. */
function shifted({ events = [], ...rest }: LogSubject, by: number): LogSubject {
  return {
    ...rest,
    events: events.map((event) =>
      event.type === "end" ? { ...event, testError: event.testError + by } : event
    ),
  };
}

/** The rule on the target; its subject is the set of all reference runs. */
export const TABLE_6_RULES: readonly Rule<ReferenceRuns>[] = defineRules([{
  id: "table-6",
  section: "Table 6",
  requirement: `The mean final-step test error of each net's reference runs lies within ${
    100 * TABLE_6_MARGIN
  } points of Table 6, above or below; failed runs count.`,
  tier: "statistical",
  check: ({ runs }) => {
    const found = runs?.flatMap((run) => reproduction(run) ?? []) ?? [];
    const nets = Object.keys(TABLE_6).filter((net) => found.some(({ name }) => name === net));
    if (nets.length === 0) {
      return {
        outcome: "not-observable",
        evidence: `no run of ${number(ITERATIONS)} steps of a net of Table 6 on CIFAR-10`,
      };
    }
    const problems: string[] = [];
    const evidence: string[] = [];
    for (const net of nets) {
      const ofNet = found.filter(({ name }) => name === net);
      const errors = ofNet.flatMap(({ error }) => error ?? []);
      const seeds = new Set(ofNet.map(({ seed }) => seed)).size;
      if (errors.length < ofNet.length) {
        problems.push(`${net}: ${ofNet.length - errors.length} of ${ofNet.length} did not finish`);
      }
      if (seeds < ofNet.length) {
        problems.push(`${net}: ${ofNet.length} runs have ${seeds} different seeds`);
      }
      const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
      const figure = `${net}: ${percent(mean)} (${
        errors.map((error) => percent(error)).join(", ")
      }), Table 6: ${percent(TABLE_6[net].error)}`;
      // Past the margin by more than the rounding of decimal fractions.
      if (Math.abs(mean - TABLE_6[net].error) > TABLE_6_MARGIN + 1e-12) problems.push(figure);
      evidence.push(figure);
    }
    return finding(problems, evidence.join("; "));
  },
  rejects: [
    badRuns(
      "two points better",
      "the best step, or the best run, is reported",
      (runs) => runs.map((run) => shifted(run, -0.02)),
    ),
    badRuns(
      "a point worse",
      "a part of the recipe is missing",
      (runs) => runs.map((run) => shifted(run, 0.01)),
    ),
    badRuns("a failed run", "it is left out of the mean", ([first, ...others]) => [
      { ...first, events: first.events?.filter(({ type }) => type !== "end") },
      ...others,
    ]),
    badRuns("one run three times", "a seed is repeated", ([first]) => [first, first, first]),
  ],
}]);

/**
 * The reference runs in a folder: each of its folders is a run, or a job with its runs in `runs/`.
 *
 * @param folder Path of the folder.
 * @returns The runs by name; none where the folder is not there.
 * @throws {RunLogError} If a log is damaged.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { referenceRuns, TABLE_6_RULES } from "./table_6.ts";
 * import { judge } from "../rule.ts";
 *
 * const { runs } = await referenceRuns("reports/no-such-folder");
 * assertEquals(judge(TABLE_6_RULES, { runs })[0].outcome, "not-observable");
 * ```
 */
export async function referenceRuns(folder: string): Promise<Required<ReferenceRuns>> {
  const runs: LogSubject[] = [];
  for (const path of await foldersIn(folder)) {
    const ofJob = await foldersIn(`${path}/runs`);
    for (const run of ofJob.length > 0 ? ofJob : [path]) runs.push(await logSubjectOf(run));
  }
  return { runs };
}
