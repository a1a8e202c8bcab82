/** What was fixed beforehand: the plan, and what it compares with. */
import { planHash, type PlannedNet, plannedNet, type Reference } from "../../verdicts/mod.ts";
import { TABLE_6 } from "../../paper/mod.ts";
import { number, percent } from "../../text/mod.ts";
import { badClaim, badPlan, badReferences } from "./_bad.ts";
import { logged, nameOf, needing, points, type ReproductionSubject, same } from "./subject.ts";
import { PAPER_SOURCE, table6Reference } from "./reference.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding } from "../subject.ts";

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
]);

/** What the claim says of the plan, field by field. */
function planProblems(claim: PlannedNet, planned: PlannedNet): string[] {
  const fields = ["margin", "alpha", "seeds", "iterations", "dataset", "reference"] as const;
  return fields.filter((field) => !same(claim[field], planned[field])).map((field) =>
    `${claim.architecture}: the claim's ${field} is ${JSON.stringify(claim[field])}, the plan's ${
      JSON.stringify(planned[field])
    }`
  );
}
