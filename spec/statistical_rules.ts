/** What makes several runs a result: the rules on a reproduction's plan, runs and claim. */
import chiSquareCdf from "@stdlib/stats-base-dists-chisquare-cdf";
import {
  canonicalJson,
  type JudgedRun,
  planHash,
  type PlannedNet,
  plannedNet,
  type Reference,
  type ReproductionClaim,
  type ReproductionPlan,
  sampleOf,
  tInterval,
  type Verdict,
  verdict,
  VerdictError,
} from "../verdicts/mod.ts";
import {
  finalTestOf,
  type LoggedRun,
  loggedRun,
  type LogSubject,
  type RunEvent,
} from "../log/mod.ts";
import { ITERATIONS, PAPER_SPREAD, TABLE_6 } from "../paper/mod.ts";
import { close } from "./_numbers.ts";
import { number, percent } from "../text/mod.ts";
import { defineRules, type Finding, type KnownBad, type Rule } from "./rule.ts";
import { finding, unknown } from "./subject.ts";

/** A reproduction. What it lacks makes the rules that need it "not observable". */
export interface ReproductionSubject {
  /** The plan, as it stands now. */
  readonly plan?: ReproductionPlan;
  /** The plan's hash, as it was recorded before the first step. */
  readonly planSha256?: string;
  /** Every run that was begun, each from its log; failed ones too. */
  readonly runs?: readonly LogSubject[];
  /** What is said of the runs. */
  readonly claim?: ReproductionClaim;
}

const PAPER_SOURCE = "Table 6";
/** The paper's only published spread: that of the five runs of ResNet-110. */
const TEST_IMAGES = 10_000;
/** Fewest runs of which a spread says anything. */
const FEWEST_RUNS = 3;
/** A spread that is as small as this by chance once in a thousand times is no chance. */
const TOO_REGULAR = 0.001;

/**
 * What Table 6 says of a network, and under which conditions it was measured.
 *
 * @param net For example `resnet20`.
 * @returns The reference for a plan; ResNet-110's is the mean of its five runs,
 *   6.61 +- 0.16%, and not the best of them. Undefined for nets that are not there.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { table6Reference } from "./statistical_rules.ts";
 *
 * const { error, runs } = table6Reference("resnet110")!;
 * assertEquals([error, runs], [0.0661, 5]);
 * assertEquals(table6Reference("plain20"), undefined);
 * ```
 */
export function table6Reference(net: string): Reference | undefined {
  if (!Object.hasOwn(TABLE_6, net)) return undefined;
  return {
    source: PAPER_SOURCE,
    architecture: net,
    dataset: "cifar10",
    iterations: ITERATIONS,
    testImages: TEST_IMAGES,
    error: TABLE_6[net].error,
    runs: TABLE_6[net].runs,
    spread: PAPER_SPREAD,
  };
}

const points = (share: number): string => `${(100 * share).toFixed(3)} points`;
const same = (a: unknown, b: unknown): boolean => canonicalJson(a) === canonicalJson(b);

/** The logs, sorted by what their lines say; a run without a log is none. */
const logged = (runs: readonly LogSubject[]): LoggedRun[] =>
  runs.flatMap(({ events }) => events ? [loggedRun(events)] : []);

const netOf = ({ start }: LoggedRun): string => start.recipe.architecture.name;
const nameOf = (run: LoggedRun): string => `${netOf(run)}, seed ${run.start.seed}`;

/** What a log tells of its run, for a verdict. */
function judged(run: LoggedRun): JudgedRun {
  const { start: { seed }, end } = run;
  if (!end) return { seed, outcome: "failed" };
  const testImages = finalTestOf(run)?.images;
  return { seed, outcome: "finished", testError: end.testError, testImages };
}

/** Each claimed verdict with the runs of its network. */
function claimed(
  { verdicts }: ReproductionClaim,
  runs: readonly LogSubject[],
): { readonly claim: Verdict; readonly ofNet: readonly JudgedRun[] }[] {
  const all = logged(runs);
  return verdicts.map((claim) => ({
    claim,
    ofNet: all.filter((run) => netOf(run) === claim.planned.architecture).map(judged),
  }));
}

/** A check that runs where all the parts that it needs are there. */
function needing<Part extends keyof ReproductionSubject>(
  parts: readonly Part[],
  check: (subject: Required<Pick<ReproductionSubject, Part>>) => Finding,
): (subject: ReproductionSubject) => Finding {
  return (subject) =>
    unknown(subject, parts) ?? check(subject as Required<Pick<ReproductionSubject, Part>>);
}

/** A claim whose verdicts are changed one by one. */
function badClaim(
  name: string,
  why: string,
  change: (verdict: Verdict) => Partial<Verdict>,
): KnownBad<ReproductionSubject> {
  return {
    ...{ name, why, kind: "claim" },
    spoil: (good) => ({
      ...good,
      claim: {
        ...good.claim,
        verdicts: good.claim.verdicts.map((verdict) => ({ ...verdict, ...change(verdict) })),
      },
    }),
  };
}

/** Other things in the plan; `hidden` where its hash was made anew everywhere. */
function badPlan(
  name: string,
  why: string,
  change: (plan: ReproductionPlan) => Partial<ReproductionPlan>,
  hidden = false,
): KnownBad<ReproductionSubject> {
  return {
    ...{ name, why, kind: "claim" },
    spoil: (good) => {
      const plan = { ...good.plan, ...change(good.plan) };
      if (!hidden) return { ...good, plan };
      const planSha256 = planHash(plan);
      return { ...good, plan, planSha256, claim: { ...good.claim, planSha256 } };
    },
  };
}

/** Other runs, of which the claim is made anew: what is wrong is in the runs alone. */
function badRuns(
  name: string,
  why: string,
  spoil: (runs: readonly LogSubject[]) => readonly LogSubject[],
): KnownBad<ReproductionSubject> {
  return {
    ...{ name, why, kind: "log" },
    spoil: (good) => {
      const runs = spoil(good.runs);
      const verdicts = claimed(good.claim, runs).map(({ claim, ofNet }): Verdict => {
        const errors = ofNet.flatMap(({ testError }) => testError ?? []);
        return {
          ...claim,
          ...{ runs: ofNet, finished: errors.length, summary: sampleOf(errors) },
        };
      });
      return { ...good, runs, claim: { ...good.claim, verdicts } };
    },
  };
}

/** References that are changed one by one in a plan that is otherwise in order. */
function badReferences(
  name: string,
  why: string,
  change: (reference: Reference) => Partial<Reference>,
): KnownBad<ReproductionSubject> {
  return badPlan(
    name,
    why,
    ({ references }) => ({
      references: references.map((reference) => ({ ...reference, ...change(reference) })),
    }),
    true,
  );
}

/** Runs with their lines of one type changed; `change` is given the run's position. */
const edited = <Type extends RunEvent["type"]>(
  type: Type,
  change: (event: Extract<RunEvent, { type: Type }>, index: number) => object,
) =>
(runs: readonly LogSubject[]): readonly LogSubject[] =>
  runs.map(({ events = [], ...rest }, index) => ({
    ...rest,
    events: events.map((event) =>
      event.type === type
        ? { ...event, ...change(event as Extract<RunEvent, { type: Type }>, index) }
        : event
    ),
  }));

/** The first run broken off: its end is a failure. */
const brokenOff = ([first, ...others]: readonly LogSubject[]): readonly LogSubject[] => [
  {
    ...first,
    events: first.events?.map(({ time, ...event }): RunEvent =>
      event.type === "end"
        ? { type: "failure", time, iteration: 20_000, reason: "the loss is NaN" }
        : { time, ...event } as RunEvent
    ),
  },
  ...others,
];

/** What the claim says of the plan, field by field. */
function planProblems(claim: PlannedNet, planned: PlannedNet): string[] {
  const fields = ["margin", "alpha", "seeds", "iterations", "dataset", "reference"] as const;
  return fields.filter((field) => !same(claim[field], planned[field])).map((field) =>
    `${claim.architecture}: the claim's ${field} is ${JSON.stringify(claim[field])}, the plan's ${
      JSON.stringify(planned[field])
    }`
  );
}

/**
 * What makes several runs a result that can be believed, decided by the plan,
 * the runs' logs and what is claimed of them.
 *
 * @example Without a plan and runs nothing can be told.
 * ```ts
 * import { assert } from "@std/assert";
 * import { judge } from "./rule.ts";
 * import { STATISTICAL_RULES } from "./statistical_rules.ts";
 *
 * assert(judge(STATISTICAL_RULES, {}).every(({ outcome }) => outcome === "not-observable"));
 * ```
 */
export const STATISTICAL_RULES: readonly Rule<ReproductionSubject>[] = defineRules([
  {
    id: "plan-kept",
    section: "all",
    requirement: "Margin, level, seeds and references were fixed before the first step, and the " +
      "claim is by them.",
    tier: "statistical",
    check: needing(
      ["plan", "planSha256", "runs", "claim"],
      ({ plan, planSha256, runs, claim }) => {
        const problems: string[] = [];
        const found = planHash(plan);
        if (found !== planSha256) {
          problems.push(`the plan's hash is ${found}, and was ${planSha256} before the first step`);
        }
        if (claim.planSha256 !== planSha256) {
          problems.push(`the claim is by another plan: ${claim.planSha256}`);
        }
        for (const { planned } of claim.verdicts) {
          if (plan.architectures.includes(planned.architecture)) {
            problems.push(...planProblems(planned, plannedNet(plan, planned.architecture)));
          } else problems.push(`${planned.architecture} is not in the plan`);
        }
        const early = logged(runs).filter(({ start }) =>
          Date.parse(start.time) < Date.parse(plan.written)
        );
        for (const run of early) {
          problems.push(
            `${nameOf(run)} began at ${run.start.time}, the plan is of ${plan.written}`,
          );
        }
        return finding(
          problems,
          `plan ${planSha256.slice(0, 12)} of ${plan.written}: margin ${
            points(plan.margin)
          }, alpha ${plan.alpha}, ${plan.seeds.length} seeds`,
        );
      },
    ),
    rejects: [
      badPlan("a margin changed after the runs", "the runs miss the planned one", () => ({
        margin: 0.01,
      })),
      badPlan(
        "a plan written after the runs",
        "it says what came out",
        () => ({ written: "2026-02-01T00:00:00Z" }),
        true,
      ),
      badPlan("a plan that names other data than it did", "a file was damaged", () => ({
        dataHashes: {},
      })),
      {
        name: "a claim by another plan",
        why: "several were tried",
        kind: "claim",
        spoil: (good) => ({ ...good, claim: { ...good.claim, planSha256: "0".repeat(64) } }),
      },
      badClaim("a wider margin in the claim", "the runs miss the planned one", ({ planned }) => ({
        planned: { ...planned, margin: 0.02 },
      })),
      badClaim("another level in the claim", "p is 0.07", ({ planned }) => ({
        planned: { ...planned, alpha: 0.1 },
      })),
    ],
  },
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
    id: "failures-counted",
    section: "all",
    requirement: "The claim counts every run that was begun, those that did not finish as failed.",
    tier: "statistical",
    check: needing(["runs", "claim"], ({ runs, claim }) => {
      const problems: string[] = [];
      const evidence: string[] = [];
      const pairs = claimed(claim, runs);
      const nets = new Set(logged(runs).map(netOf));
      for (const { planned } of claim.verdicts) nets.delete(planned.architecture);
      for (const net of nets) problems.push(`the claim leaves out ${net}`);
      for (const { claim: { planned, runs, finished }, ofNet } of pairs) {
        const seeds = (list: readonly JudgedRun[], outcome: boolean) =>
          list.filter((run) => (run.outcome === "finished") === outcome)
            .map(({ seed }) => seed).toSorted((a, b) => a - b);
        const [ended, broken] = [seeds(ofNet, true), seeds(ofNet, false)];
        const figure = `${planned.architecture}: ${ended.length} of ${ofNet.length} finished`;
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
        name: "a network left out of the claim",
        why: "its runs went wrong",
        kind: "claim",
        spoil: (good) => ({
          ...good,
          claim: { ...good.claim, verdicts: good.claim.verdicts.slice(1) },
        }),
      },
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
      for (const { claim: { planned: { architecture }, summary }, ofNet } of claimed(claim, runs)) {
        const errors = ofNet.flatMap(({ testError }) => testError ?? []);
        if (errors.length === 0) {
          if (summary) problems.push(`${architecture}: a mean of no finished run`);
          continue;
        }
        const found = sampleOf(errors);
        const describe = ({ count, mean, standardDeviation }: typeof found) =>
          `${percent(mean)} of ${count}, spread ${
            standardDeviation === undefined ? "unknown" : points(standardDeviation)
          }`;
        evidence.push(
          `${architecture}: ${describe(found)} (${
            errors.map((share) => percent(share)).join(", ")
          })`,
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
      badClaim("the best step of each run", "the test set chooses the epoch", ({ summary }) => ({
        summary: { ...summary!, mean: summary!.mean - 0.0012 },
      })),
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
      for (const { claim: { planned: { architecture }, kind }, ofNet } of claimed(claim, runs)) {
        if (!plan.architectures.includes(architecture)) {
          problems.push(`${architecture} is not in the plan`);
          continue;
        }
        try {
          const right = verdict(ofNet, plannedNet(plan, architecture));
          evidence.push(`${architecture}: ${right.kind}`);
          if (kind !== right.kind) {
            problems.push(`${architecture} is claimed to be "${kind}". ${right.sentence}`);
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
        edited("end", ({ testError }) => ({ testError: testError - 0.02 })),
      ),
      badRuns("equivalent with a diverged run", "the others are near enough", brokenOff),
      badRuns(
        "equivalent, since no difference was shown",
        "the runs spread too far to tell",
        edited("end", ({ testError }, index) => ({
          testError: testError + (index % 2 === 0 ? 0.01 : -0.01),
        })),
      ),
      badClaim("another word than the tests'", "it is written by hand", () => ({
        kind: "inconclusive",
      })),
    ],
  },
  {
    id: "compared-with",
    section: "Table 6",
    requirement: "A net is compared with its own figure of Table 6, ResNet-110 with the mean of " +
      "five runs, 6.61 +- 0.16%.",
    tier: "statistical",
    check: needing(["plan"], ({ plan }) => {
      const references = plan.references.filter(({ source }) =>
        source === PAPER_SOURCE || source.startsWith(`${PAPER_SOURCE},`)
      );
      if (references.length === 0) {
        return { outcome: "not-observable", evidence: `nothing is compared with ${PAPER_SOURCE}` };
      }
      const describe = ({ error, runs, dataset, iterations, spread }: Reference) =>
        `${percent(error)} (${runs} ${runs === 1 ? "run" : "runs"} of ${
          number(iterations)
        } iterations on ${dataset}; spread ${points(spread.standardDeviation)})`;
      const problems = references.flatMap((reference) => {
        const right = table6Reference(reference.architecture);
        if (!right) return [`${reference.architecture} is not in ${PAPER_SOURCE}`];
        const fields = Object.keys(right) as (keyof Reference)[];
        if (fields.every((field) => same(reference[field], right[field]))) return [];
        return [
          `${reference.architecture} is compared with ${describe(reference)}; right is ${
            describe(right)
          }`,
        ];
      });
      return finding(
        problems,
        references.map((reference) => `${reference.architecture}: ${describe(reference)}`)
          .join("; "),
      );
    }),
    rejects: [
      badReferences(
        "the best of five runs",
        "6.43% stands in the table, too",
        (reference) => reference.runs > 1 ? { error: 0.0643 } : {},
      ),
      badReferences(
        "the figure of a deeper net",
        "it was one row further",
        (reference) =>
          reference.architecture === "resnet20" ? { error: TABLE_6.resnet32.error } : {},
      ),
      badReferences("a shortened schedule", "the time was up", () => ({ iterations: 4_000 })),
      badReferences("a wider spread", "a single run lies outside", ({ spread }) => ({
        spread: { ...spread, standardDeviation: 0.0054 },
      })),
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
