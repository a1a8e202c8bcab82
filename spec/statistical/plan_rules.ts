/** What was fixed beforehand: the plan, and what it compares with. */
import {
  claimInWords,
  type ClaimName,
  isPlanned,
  planHash,
  type PlannedClaim,
  plannedClaim,
  plannedRecipe,
  recipesOf,
  type Reference,
  type ReproductionPlan,
} from "../../verdicts/mod.ts";
import { TABLE_6 } from "../../paper/mod.ts";
import { number, percent } from "../../text/mod.ts";
import {
  badClaim,
  badPlan,
  badReferences,
  badRuns,
  bothReadings,
  edited,
  goodPlan,
  readBoth,
} from "./_bad.ts";
import {
  FEWEST_RUNS,
  logged,
  nameOf,
  needing,
  points,
  type ReproductionSubject,
  same,
} from "./subject.ts";
import { departuresOf, isOpen, type Recipe } from "../../recipes/mod.ts";
import { PAPER_SOURCE, table6Reference } from "./reference.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";

/** Points that a mean may lie from a figure, at most, and still be said to be the same. */
const WIDEST_MARGIN = 0.005;
/** The most that chance may do to a claim. */
const HIGHEST_LEVEL = 0.05;

/** The rules on the plan. */
export const PLAN_RULES: readonly Rule<ReproductionSubject>[] = defineRules([
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
        const names = claim.verdicts.map(({ planned }) => claimInWords(plan, planned));
        for (const name of names.filter((name, i) => names.indexOf(name) !== i)) {
          problems.push(`there are two verdicts on ${name}`);
        }
        for (const { planned } of claim.verdicts) {
          const name = claimInWords(plan, planned);
          if (isPlanned(plan, planned)) {
            problems.push(...planProblems(name, planned, plannedClaim(plan, planned)));
          } else problems.push(`${name} is not in the plan`);
        }
        const written = Date.parse(plan.written);
        if (Number.isNaN(written)) {
          problems.push(`the plan is of "${plan.written}", which is no time`);
        }
        for (const run of logged(runs)) {
          const { time, plan: begunBy } = run.start;
          // A time that is none is no later than the plan's.
          if (!(Date.parse(time) >= written)) {
            problems.push(`${nameOf(run, plan)} began at ${time}, the plan is of ${plan.written}`);
          }
          if (begunBy !== planSha256) {
            problems.push(`${nameOf(run, plan)} was begun under ${begunBy ?? "no plan"}`);
          }
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
      badPlan(
        "a plan without a time",
        "it was written by hand",
        () => ({ written: "before" }),
        true,
      ),
      badRuns(
        "runs of another plan",
        "the first plan was not to be kept",
        edited("start", () => ({ plan: "f".repeat(64) })),
      ),
      {
        name: "two verdicts on a net",
        why: "the better one is read",
        kind: "claim",
        spoil: (good) => ({
          ...good,
          claim: { ...good.claim, verdicts: [...good.claim.verdicts, good.claim.verdicts[0]] },
        }),
      },
      {
        name: "two verdicts on one reading of two",
        why: "the other one misses",
        kind: "claim",
        spoil: (good) => {
          const both = bothReadings(good);
          const verdicts = both.claim.verdicts.map((verdict) => ({
            ...verdict,
            planned: { ...verdict.planned, recipe: "paper" },
          }));
          return { ...both, claim: { ...both.claim, verdicts } };
        },
      },
    ],
    accepts: [readBoth(), {
      name: "a plan whose fields stand in another order",
      why: "the order of a file's fields says nothing",
      make: (good) => ({
        ...good,
        plan: Object.fromEntries(
          Object.entries(good.plan).reverse(),
        ) as unknown as ReproductionPlan,
      }),
    }],
  },
  {
    id: "claim-bounded",
    section: "all",
    requirement: `A claim is made with a margin of at most ${
      points(WIDEST_MARGIN)
    } and a level of at most ${HIGHEST_LEVEL}, of ${FEWEST_RUNS} runs or more with seeds of their own.`,
    tier: "statistical",
    check: needing(["plan"], ({ plan }) => {
      const { margin, alpha, seeds, architectures, references } = plan;
      const problems: string[] = [];
      const lists = {
        seed: seeds,
        net: architectures,
        recipe: recipesOf(plan),
        reference: references.map(({ architecture }) => architecture),
      };
      for (const [what, list] of Object.entries<readonly (string | number)[]>(lists)) {
        const twice = list.find((value, i) => list.indexOf(value) !== i);
        if (twice !== undefined) problems.push(`the ${what} ${twice} is planned twice`);
      }
      // Margin, level and number of runs bound a claim: without a figure there is none to bound.
      if (!references.some((reference) => isCompared(plan, reference))) {
        return problems.length > 0
          ? finding(problems, "")
          : { outcome: "not-observable", evidence: "nothing is claimed of a published figure" };
      }
      if (!(margin > 0 && margin <= WIDEST_MARGIN)) {
        problems.push(`the margin is ${points(margin)}`);
      }
      if (!(alpha > 0 && alpha <= HIGHEST_LEVEL)) problems.push(`the level is ${alpha}`);
      if (seeds.length < FEWEST_RUNS) problems.push(`${seeds.length} runs of a net are planned`);
      return finding(
        problems,
        `a margin of ${points(margin)} at the level ${alpha}, ${seeds.length} runs of a net`,
      );
    }),
    rejects: [
      badPlan("a margin of 50 points", "whatever comes out lies within it", () => ({
        margin: 0.5,
      }), true),
      badPlan("a margin of 0.6 points", "a little more would do", () => ({ margin: 0.006 }), true),
      badPlan("a level of 0.49", "half of all experiments show anything", () => ({
        alpha: 0.49,
      }), true),
      badPlan("one run", "it takes a day", ({ seeds }) => ({ seeds: seeds.slice(0, 1) }), true),
      badPlan("one run, with a figure of another length beside it", "it takes a day", (plan) => ({
        seeds: plan.seeds.slice(0, 1),
        references: plan.references.map((reference, i) =>
          i === 0 ? { ...reference, iterations: 4_000 } : reference
        ),
      }), true),
      badPlan("a seed twice", "the list is written by hand", ({ seeds }) => ({
        seeds: [...seeds, seeds[0]],
      }), true),
      badPlan("a recipe twice", "one of its claims may pass", () => ({
        ...{ version: 2, recipe: ["paper", "paper"] },
      }), true),
      badPlan("a net twice", "one of its claims may pass", ({ architectures }) => ({
        architectures: [...architectures, architectures[0]],
      }), true),
      badPlan("a seed twice, of a net without a figure", "the list is written by hand", (plan) => ({
        ...{ architectures: ["plain20"], references: [] },
        seeds: [...plan.seeds, plan.seeds[0]],
      }), true),
      badPlan("two references for a net", "the nearer one counts", ({ references }) => ({
        references: [...references, { ...references[0], error: references[0].error + 0.005 }],
      }), true),
    ],
    accepts: [
      readBoth(),
      goodPlan("a margin of 0.3 points at 0.01", "stricter than need be", () => ({
        ...{ margin: 0.003, alpha: 0.01 },
      })),
      goodPlan("three seeds that do not begin at 0", "any will do", () => ({ seeds: [7, 8, 99] })),
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
        const { architecture } = reference;
        const others = (isCompared(plan, reference) ? recipesOf(plan) : []).flatMap((recipe) =>
          notThePaper(plan, { architecture, recipe })
        );
        if (others.length > 0) return others;
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
      badPlan("another recipe than the paper's", "the demonstration's is shorter", () => ({
        recipe: "demo",
      }), true),
      badPlan("another recipe beside the paper's", "both are held against the table", () => ({
        ...{ version: 2, recipe: ["paper", "system-c-2"] },
      }), true),
      badReferences("a wider spread", "a single run lies outside", ({ spread }) => ({
        spread: { ...spread, standardDeviation: 0.0054 },
      })),
    ],
    accepts: [
      readBoth(),
      goodPlan(
        "a shortened schedule",
        "there will be no verdict, and the figure stands beside for the reader",
        () => ({ iterations: 4_000 }),
      ),
      goodPlan(
        "one net without a figure beside it",
        "a plain net has none in the table",
        (plan) => ({
          architectures: [...plan.architectures, "plain20"],
        }),
      ),
    ],
  },
]);

/** Whether a verdict is given by a figure: of another data set or length nothing is compared. */
function isCompared(plan: ReproductionPlan, { dataset, iterations }: Reference): boolean {
  return plan.dataset === dataset && plan.iterations === iterations;
}

/** What the claim says of the plan, field by field. */
function planProblems(name: string, claim: PlannedClaim, planned: PlannedClaim): string[] {
  const fields = ["margin", "alpha", "seeds", "iterations", "dataset", "reference"] as const;
  return fields.filter((field) => !same(claim[field], planned[field])).map((field) =>
    `${name}: the claim's ${field} is ${JSON.stringify(claim[field])}, the plan's ${
      JSON.stringify(planned[field])
    }`
  );
}

/** What keeps a claim from being of the paper: a field that the paper does not leave open. */
function notThePaper(plan: ReproductionPlan, claim: ClaimName): string[] {
  let recipe: Recipe;
  try {
    recipe = plannedRecipe(plan, claim);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
  const other = departuresOf(recipe).filter(({ field }) => !isOpen(recipe, field));
  return other.length === 0 ? [] : [
    `${claimInWords(plan, claim)} is compared with the paper and trained otherwise: ${
      other.map(({ field, here }) => `${field} ${here}`).join(", ")
    }`,
  ];
}
