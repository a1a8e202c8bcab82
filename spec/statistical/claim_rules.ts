/** What is claimed of the runs: all of them, their mean, and the verdict that follows. */
import {
  canonicalJson,
  claimInWords,
  type ClaimName,
  isPlanned,
  type JudgedRun,
  plannedClaim,
  type ReproductionClaim,
  sampleOf,
  type Verdict,
  verdict,
  VerdictError,
} from "../../verdicts/mod.ts";
import type { LogSubject, RunEvent } from "../../log/mod.ts";
import { close } from "../_numbers.ts";
import { number, percent } from "../../text/mod.ts";
import {
  badClaim,
  badRuns,
  bothReadings,
  brokenOff,
  edited,
  erring,
  goodRuns,
  readBoth,
} from "./_bad.ts";
import {
  claimed,
  claimOfRun,
  logged,
  nameOf,
  needing,
  points,
  type ReproductionSubject,
  same,
} from "./subject.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";

/** The rules on the claim. */
export const CLAIM_RULES: readonly Rule<ReproductionSubject>[] = defineRules([
  {
    id: "failures-counted",
    section: "all",
    requirement: "The claim counts every run that was begun, those that did not finish as failed.",
    tier: "statistical",
    check: needing(["runs", "claim"], ({ runs, claim }) => {
      const problems: string[] = [];
      const evidence: string[] = [];
      const pairs = claimed(claim, runs);
      const inWords = wordsFor(claim, runs);
      const names = new Set(logged(runs).map((run) => inWords(claimOfRun(run))));
      for (const { planned } of claim.verdicts) names.delete(inWords(planned));
      for (const name of names) problems.push(`the claim leaves out ${name}`);
      for (const { claim: { planned, runs, finished }, ofClaim } of pairs) {
        const seeds = (list: readonly JudgedRun[], outcome: boolean) =>
          list.filter((run) => (run.outcome === "finished") === outcome)
            .map(({ seed }) => seed).toSorted((a, b) => a - b);
        const [ended, broken] = [seeds(ofClaim, true), seeds(ofClaim, false)];
        const figure = `${inWords(planned)}: ${ended.length} of ${ofClaim.length} finished`;
        evidence.push(figure);
        if (
          finished !== ended.length || !same(seeds(runs, true), ended) ||
          !same(seeds(runs, false), broken)
        ) {
          problems.push(`${figure}; the claim has ${finished} of ${runs.length}`);
        }
      }
      return finding(problems, evidence.join("; "));
    }),
    rejects: [
      {
        name: "a failed run left out of the claim",
        why: "it would spoil the mean",
        kind: "claim",
        spoil: (good) => ({
          ...good,
          runs: brokenOff(good.runs),
          claim: {
            ...good.claim,
            verdicts: good.claim.verdicts.map((verdict, i) =>
              i > 0 ? verdict : { ...verdict, runs: verdict.runs.slice(1), finished: 4 }
            ),
          },
        }),
      },
      {
        name: "a failed run counted as finished",
        why: "the error of its last validation stands for it",
        kind: "log",
        spoil: (good) => ({ ...good, runs: brokenOff(good.runs) }),
      },
      {
        name: "one of two readings left out of the claim",
        why: "the other one fits better",
        kind: "claim",
        spoil: (good) => {
          const both = bothReadings(good);
          const verdicts = both.claim.verdicts.filter(({ planned }) => planned.recipe === "paper");
          return { ...both, claim: { ...both.claim, verdicts } };
        },
      },
      {
        name: "a network left out of the claim",
        why: "its runs went wrong",
        kind: "claim",
        spoil: (good) => ({
          ...good,
          claim: { ...good.claim, verdicts: good.claim.verdicts.slice(1) },
        }),
      },
    ],
    accepts: [
      readBoth(brokenOff),
      goodRuns("a run that diverged, counted", "failures are results", (runs) => brokenOff(runs)),
    ],
  },
  {
    id: "mean-of-all",
    section: "all",
    requirement:
      "The claimed mean and spread are those of the final-step test errors of all runs " +
      "that finished.",
    tier: "statistical",
    check: needing(["runs", "claim"], ({ runs, claim }) => {
      const problems: string[] = [];
      const evidence: string[] = [];
      for (const run of logged(runs)) {
        const { end, evaluations } = run;
        const tests = evaluations.filter(({ set }) => set === "test");
        if (!end || tests.length === 0) continue;
        const other = tests.find(({ iteration, errors, images }) =>
          // A claim's errors are shares of whole images.
          iteration !== end.iteration || Math.abs(errors - end.testError * images) > 0.5
        );
        if (!other) continue;
        problems.push(
          `${nameOf(run)}: the result is ${percent(end.testError)} after step ${
            number(end.iteration)
          }, and a test gave ${percent(other.errors / other.images)} after step ${
            number(other.iteration)
          }`,
        );
      }
      const inWords = wordsFor(claim, runs);
      for (const { claim: { planned, summary }, ofClaim } of claimed(claim, runs)) {
        const name = inWords(planned);
        const errors = ofClaim.flatMap(({ testError }) => testError ?? []);
        if (errors.length === 0) {
          if (summary) problems.push(`${name}: a mean of no finished run`);
          continue;
        }
        const found = sampleOf(errors);
        const describe = ({ count, mean, standardDeviation }: typeof found) =>
          `${percent(mean)} of ${count}, spread ${
            standardDeviation === undefined ? "unknown" : points(standardDeviation)
          }`;
        evidence.push(
          `${name}: ${describe(found)} (${errors.map((share) => percent(share)).join(", ")})`,
        );
        if (
          !summary || summary.count !== found.count || !close(summary.mean, found.mean) ||
          !close(summary.standardDeviation ?? 0, found.standardDeviation ?? 0)
        ) {
          const said = summary ? describe(summary) : "nothing";
          problems.push(`${evidence.at(-1)}; claimed is ${said}`);
        }
      }
      return finding(problems, evidence.join("; "));
    }),
    rejects: [
      badRuns(
        "results that are not the tests'",
        "the best step's error stands in the last line",
        edited(
          "evaluation",
          ({ errors, error }) => ({ errors: errors + 300, error: error + 0.03 }),
        ),
      ),
      badRuns(
        "tests on the way",
        "the best of them is the result",
        (runs) =>
          runs.map(({ events = [] }) => ({
            events: events.flatMap((event): RunEvent[] =>
              event.type === "evaluation" ? [{ ...event, iteration: 50_000 }, event] : [event]
            ),
          })),
      ),
      badClaim("the best of the runs as the mean", "as Table 6's 6.43%", ({ runs, summary }) => ({
        summary: { ...summary!, mean: Math.min(...runs.map(({ testError }) => testError!)) },
      })),
      badClaim("the best three of five", "the others are taken for outliers", ({ runs }) => ({
        summary: sampleOf(
          runs.map(({ testError }) => testError!).toSorted((a, b) => a - b).slice(0, 3),
        ),
      })),
      badClaim("the error of the mean as the spread", "it is smaller", ({ summary }) => ({
        summary: {
          ...summary!,
          standardDeviation: summary!.standardDeviation! / Math.sqrt(summary!.count),
        },
      })),
      {
        name: "the mean of both readings for each",
        why: "more runs make a narrower interval",
        kind: "claim",
        spoil: (good) => {
          const both = bothReadings(
            good,
            erring((testError) => testError - 0.003),
          );
          const verdicts = both.claim.verdicts.map((verdict) => {
            const net = verdict.planned.architecture;
            const runs = both.claim.verdicts
              .filter(({ planned }) => planned.architecture === net)
              .flatMap(({ runs }) => runs.map(({ testError }) => testError!));
            return { ...verdict, summary: sampleOf(runs) };
          });
          return { ...both, claim: { ...both.claim, verdicts } };
        },
      },
      badClaim("the best step of each run", "the test set chooses the epoch", ({ summary }) => ({
        summary: { ...summary!, mean: summary!.mean - 0.0012 },
      })),
    ],
    accepts: [
      readBoth(),
      goodRuns(
        "the mean of the four that finished",
        "the fifth broke off and is counted elsewhere",
        (runs) => brokenOff(runs),
      ),
    ],
  },
  {
    id: "verdict-recomputed",
    section: "Table 6",
    requirement: "The claimed verdicts are those that the plan and the runs give: equivalence by " +
      "two one-sided t tests, to both sides, and never with a run that did not finish.",
    tier: "statistical",
    check: needing(["plan", "runs", "claim"], ({ plan, runs, claim }) => {
      const problems: string[] = [];
      const evidence: string[] = [];
      for (const { claim: said, ofClaim } of claimed(claim, runs)) {
        const { planned, kind } = said;
        const name = claimInWords(plan, planned);
        if (!isPlanned(plan, planned)) {
          problems.push(`${name} is not in the plan`);
          continue;
        }
        try {
          const right = verdict(ofClaim, plannedClaim(plan, planned));
          evidence.push(
            `${name}: ${right.kind}${
              right.asPaperNet ? `, and ${right.asPaperNet.kind} as the paper's net` : ""
            }`,
          );
          if (kind !== right.kind) {
            problems.push(`${name} is claimed to be "${kind}". ${right.sentence}`);
          } else if (rounded(said) !== rounded(right)) {
            problems.push(`${name}: what is claimed beside "${kind}" is not what follows`);
          }
        } catch (error) {
          if (!(error instanceof VerdictError)) throw error;
          problems.push(error.message);
        }
      }
      return finding(problems, evidence.join("; "));
    }),
    rejects: [
      badRuns(
        "equivalent, since it is better",
        "a test of one side",
        erring((testError) => testError - 0.02),
      ),
      badRuns("equivalent with a diverged run", "the others are near enough", brokenOff),
      badRuns(
        "equivalent, since no difference was shown",
        "the runs spread too far to tell",
        erring((testError, index) => testError + (index % 2 === 0 ? 0.01 : -0.01)),
      ),
      badClaim("another word than the tests'", "it is written by hand", () => ({
        kind: "inconclusive",
      })),
      badRuns(
        "equivalent with three equal errors",
        "equal results are taken for certainty",
        erring(() => 0.0875),
      ),
      badClaim("another sentence than the verdict's", "it is written by hand", ({ sentence }) => ({
        sentence: sentence.replace("Equivalent", "Better than the paper"),
      })),
      {
        name: "one reading's verdict for both",
        why: "the paper is the paper",
        kind: "claim",
        spoil: (good) => {
          const both = bothReadings(
            good,
            erring((testError) => testError - 0.008),
          );
          const half = both.claim.verdicts.length / 2;
          const verdicts = both.claim.verdicts.map((verdict, i) => {
            const { kind, sentence } = both.claim.verdicts[i % half];
            return { ...verdict, kind, sentence };
          });
          return { ...both, claim: { ...both.claim, verdicts } };
        },
      },
      badClaim("a smaller p", "a digit is lost", ({ equivalence }) => ({
        equivalence: { ...equivalence!, p: equivalence!.p / 10 },
      })),
      badClaim("another word for the paper's net", "one meaning is taken for both", (verdict) => ({
        asPaperNet: { ...verdict.asPaperNet!, kind: "different" },
      })),
    ],
    accepts: [
      readBoth(erring((testError) => testError - 0.008)),
      goodRuns(
        "a difference that is shown to be small",
        "equivalent and different from the printed number at once",
        erring((_, index) => (index < 5 ? 0.0895 : 0.0681) + 0.0004 * (index % 5)),
      ),
    ],
  },
]);

/** How claims are called: with their recipes where these, or the runs', are several. */
const wordsFor = ({ verdicts }: ReproductionClaim, runs: readonly LogSubject[]) => {
  const claims = [...verdicts.map(({ planned }) => planned), ...logged(runs).map(claimOfRun)];
  const recipe = [...new Set(claims.map(({ recipe }) => recipe))];
  return (name: ClaimName): string => claimInWords({ recipe }, name);
};

/** What a verdict says beside its kind, its figures to nine digits; runs and mean are other rules'. */
function rounded({ runs: _, finished: __, summary: ___, planned: ____, ...said }: Verdict): string {
  return canonicalJson(JSON.parse(JSON.stringify(
    said,
    (_, value) => typeof value === "number" ? Number(value.toPrecision(9)) : value,
  )));
}
