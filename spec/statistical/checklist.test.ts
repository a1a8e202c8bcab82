// The statistical part of the paper's checklist: one test a rule, and one for
// what the rule must reject. Nobody trained these runs; their logs hold the
// lines that the rules read.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import {
  type JudgedRun,
  planHash,
  plannedClaim,
  type ReproductionPlan,
  verdict,
} from "../../verdicts/mod.ts";
import { datasetNamed, splitImages, splitManifest } from "../../data/mod.ts";
import { architecture, countParameters } from "../../resnet/mod.ts";
import { paper } from "../../recipes/mod.ts";
import type { LogSubject, RunEvent } from "../../log/mod.ts";
import { fileURLToPath } from "node:url";
import { judge } from "../rule.ts";
import { referenceRuns, TABLE_6_RULES } from "./table_6.ts";
import { REFERENCE_RULES } from "./reference_rules.ts";
import { usualClaims } from "./paper_claims.ts";
import { table6Reference } from "./reference.ts";
import { STATISTICAL_RULES } from "./rules.ts";
import type { ReproductionSubject } from "./subject.ts";

const SEEDS = [1, 2, 3, 4, 5];
const { hashes: HASHES, classNames } = datasetNamed("cifar10");

/** Test errors in percent, made up around Table 6. */
const ERRORS: Readonly<Record<string, readonly number[]>> = {
  resnet20: [8.81, 8.64, 8.92, 8.7, 8.75],
  resnet110: [6.58, 6.7, 6.49, 6.75, 6.61],
};

const plan: ReproductionPlan = {
  ...{ version: 1, written: "2026-01-01T00:00:00Z" },
  architectures: Object.keys(ERRORS),
  ...{ seeds: SEEDS, recipe: "paper", iterations: 64_000, dataset: "cifar10", dataHashes: HASHES },
  tests: { equivalence: "tost", difference: "two-sided-t" },
  ...{ margin: 0.005, alpha: 0.05 },
  references: Object.keys(ERRORS).flatMap((net) => table6Reference(net) ?? []),
};
const PLAN_SHA256 = planHash(plan);

const splits = new Map<number, { readonly training: string; readonly validation: string }>();

/** Hashes of the split that a seed makes. */
function splitHashesOf(seed: number) {
  if (!splits.has(seed)) {
    const sizes = { training: 45_000, validation: 5_000 };
    const { training, validation } = splitManifest(splitImages(50_000, sizes, seed));
    splits.set(seed, { training: training.sha256, validation: validation.sha256 });
  }
  return splits.get(seed)!;
}

function runOf(net: string, seed: number, testError: number): LogSubject {
  const time = "2026-01-02T00:00:00Z";
  const hash = (digit: string) => digit.repeat(64);
  const errors = Math.round(10_000 * testError);
  const iteration = 64_000;
  const events: RunEvent[] = [
    {
      ...{ type: "start", time, version: 1, run: `${net}-${seed}`, recipe: paper(net), seed },
      engine: { name: "null", reason: "a test", device: { summary: "", details: {} } },
      ...{ versions: {}, revision: null, command: [], multiplyAdds: 1 },
      parameters: countParameters(architecture(net)),
      data: {
        ...{ set: "cifar10", hashes: HASHES },
        ...{ trainingImages: 45_000, validationImages: 5_000, testImages: 10_000 },
        splitHashes: splitHashesOf(seed),
        mean: { sha256: hash("3"), of: "per-pixel mean of 45000 training images" },
      },
      ...{ classes: [...classNames], logEvery: 100, plan: PLAN_SHA256 },
    },
    ...(net === "resnet110"
      ? [{ type: "warm-up-end", time, iteration: 400, trainingError: 0.79 } as const]
      : []),
    {
      ...{ type: "step", time, iteration, steps: 64_000, images: 8_192_000, learningRate: 0.001 },
      ...{ loss: 0.01 + seed / 1_000, error: 0.001, imagesPerSecond: 1 },
    },
    {
      ...{ type: "evaluation", time, iteration, set: "test", images: 10_000 },
      ...{ errors, error: testError, loss: 1 },
      predictions: {
        path: "predictions.csv",
        sha256: `${seed}`.padStart(64, net === "resnet20" ? "3" : "4"),
        bytes: 1,
      },
    },
    {
      ...{ type: "end", time, iteration, testError, trainingSeconds: 1 },
      weightsSha256: `${seed}`.padStart(64, net === "resnet20" ? "0" : "9"),
    },
  ];
  return { events };
}

const good: Required<ReproductionSubject> = {
  plan,
  planSha256: planHash(plan),
  runs: Object.entries(ERRORS).flatMap(([net, errors]) =>
    errors.map((error, i) => runOf(net, SEEDS[i], error / 100))
  ),
  claim: {
    planSha256: planHash(plan),
    verdicts: Object.entries(ERRORS).map(([net, errors]) =>
      verdict(
        errors.map((error, i): JudgedRun => ({
          ...{ seed: SEEDS[i], outcome: "finished" },
          ...{ testError: error / 100, testImages: 10_000 },
        })),
        plannedClaim(plan, { architecture: net, recipe: "paper" }),
      )
    ),
  },
};

for (const { id, requirement, check, rejects, accepts = [] } of STATISTICAL_RULES) {
  Deno.test(`[${id}] ${requirement}`, () => {
    const { outcome, evidence } = check(good);
    assertEquals(outcome, "pass", evidence);
    assert(evidence !== "", "a pass without evidence");
  });

  Deno.test(`[${id}] rejects what is known to go wrong`, async (t) => {
    for (const { name, why, kind, spoil } of rejects) {
      await t.step(`${name} (${why}; ${kind})`, async () => {
        const { outcome, evidence } = check(await spoil(good));
        assertEquals(outcome, "fail", evidence);
        assert(evidence !== "", "a failure without evidence");
      });
    }
  });

  Deno.test(`[${id}] accepts what is unusual and right`, async (t) => {
    for (const { name, why, make } of accepts) {
      await t.step(`${name} (${why})`, async () => {
        const { outcome, evidence } = check(await make(good));
        assertEquals(outcome, "pass", evidence);
      });
    }
  });
}

const failing = (subject: ReproductionSubject) =>
  judge(STATISTICAL_RULES, subject).filter(({ outcome }) => outcome === "fail").map(({ id }) => id);

Deno.test("the claim that passes is the right one", () => {
  assertEquals(good.claim.verdicts.map(({ kind }) => kind), ["equivalent", "equivalent"]);
});

Deno.test("a statistical rule is not observable without what it needs, and says so", () => {
  for (const { id, outcome, evidence, tier } of judge(STATISTICAL_RULES, {})) {
    assertEquals([outcome, tier], ["not-observable", "statistical"], id);
    assertStringIncludes(evidence, "not known: ");
  }
});

Deno.test("runs of another length or data set claim nothing: one run with any margin breaks no rule", () => {
  const rule = STATISTICAL_RULES.find(({ id }) => id === "claim-bounded")!;
  for (const other of [{ iterations: 4_000 }, { dataset: "shapes10" as const }]) {
    const trial = { ...plan, ...other, seeds: [0], margin: 0.02 };
    assertEquals(rule.check({ plan: trial }).outcome, "not-observable");
    assertEquals(rule.check({ plan: { ...trial, seeds: [0, 0] } }).outcome, "fail");
  }
});

Deno.test("a fault is known by the rule that is for it", async () => {
  const failingFor = async (id: string, name: string) => {
    const rule = STATISTICAL_RULES.find((rule) => rule.id === id);
    const bad = rule?.rejects.find((bad) => bad.name === name);
    assert(bad, `${id}: no mutant "${name}"`);
    return failing(await bad.spoil(good));
  };
  assertEquals(await failingFor("plan-kept", "a plan written after the runs"), ["plan-kept"]);
  assertEquals(await failingFor("mean-of-all", "the best of the runs as the mean"), [
    "mean-of-all",
  ]);
  // The claim is that of four runs: only the plan knows of the fifth.
  assertEquals(await failingFor("runs-planned", "a dropped failure"), [
    "runs-planned",
    "verdict-recomputed",
  ]);
  assertEquals(await failingFor("compared-with", "the best of five runs"), [
    "plan-kept",
    "compared-with",
    "verdict-recomputed",
  ]);
});

Deno.test("honest runs that fail, or miss the paper, break no rule", () => {
  const runs = good.runs.map(({ events = [] }, index): LogSubject => ({
    events: index < 5 ? events : events.map((event): RunEvent => {
      if (index === 5 && event.type === "end") {
        const { time } = event;
        return { type: "failure", time, iteration: 400, reason: "the loss is NaN", diverged: true };
      }
      if (event.type === "evaluation") {
        return { ...event, errors: event.errors + 100, error: event.error + 0.01 };
      }
      return event.type === "end" ? { ...event, testError: event.testError + 0.01 } : event;
    }),
  }));
  const judged = ERRORS.resnet110.map((error, i): JudgedRun =>
    i === 0 ? { seed: SEEDS[i], outcome: "diverged" } : {
      ...{ seed: SEEDS[i], outcome: "finished" },
      ...{ testError: error / 100 + 0.01, testImages: 10_000 },
    }
  );
  const missed = verdict(
    judged,
    plannedClaim(plan, { architecture: "resnet110", recipe: "paper" }),
  );
  assertEquals(missed.kind, "different");
  const claim = { ...good.claim, verdicts: [good.claim.verdicts[0], missed] };
  assertEquals(failing({ ...good, runs, claim }), []);
});

Deno.test("Table 6's references are the paper's figures", () => {
  const figures = ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"]
    .map((net) => [table6Reference(net)?.error, table6Reference(net)?.runs]);
  assertEquals(figures, [
    ...[[0.0875, 1], [0.0751, 1], [0.0717, 1], [0.0697, 1], [0.0661, 5], [0.0793, 1]],
  ]);
  assertEquals(table6Reference("plain110"), undefined);
  assertEquals(table6Reference("toString"), undefined);
});

for (const { id, requirement, check, rejects, accepts = [] } of REFERENCE_RULES) {
  const folder = new URL("../../reports/reference", import.meta.url);
  const { state } = await Deno.permissions.query({ name: "read", path: folder });
  const reference = state === "granted" ? await referenceRuns(fileURLToPath(folder)) : {};
  const observed = check(reference);
  const missing = observed.outcome === "not-observable";
  const why = state === "granted" ? observed.evidence : "needs reading reports/reference";
  Deno.test({
    name: `[${id}] ${requirement}${missing ? ` NOT RUN: ${why}` : ""}`,
    ignore: missing,
    fn: () => assertEquals(observed.outcome, "pass", observed.evidence),
  });

  const references = TABLE_6_RULES.some((rule) => rule.id === id)
    ? { sets: [good] }
    : usualClaims();
  Deno.test(`[${id}] rejects what is known to go wrong`, async (t) => {
    assertEquals(check(references).outcome, "pass", check(references).evidence);
    for (const { name, why, spoil } of rejects) {
      await t.step(`${name} (${why})`, async () => {
        const { outcome, evidence } = check(await spoil(references));
        assertEquals(outcome, "fail", evidence);
        assert(evidence !== "", "a failure without evidence");
      });
    }
    for (const { name, why, make } of accepts) {
      await t.step(`${name} (${why}): accepted`, async () => {
        const { outcome, evidence } = check(await make(references));
        assertEquals(outcome, "pass", evidence);
      });
    }
  });
}

Deno.test("[table-6] is not observable for sets of other lengths, and for runs without a plan", () => {
  const [rule] = TABLE_6_RULES;
  const short = { ...good, plan: { ...plan, iterations: 4_000 } };
  for (const sets of [[short], [{ runs: good.runs }], []]) {
    assertEquals(rule.check({ sets }).outcome, "not-observable");
  }
});

{
  const folder = new URL("../../reports/reference", import.meta.url);
  const { state } = await Deno.permissions.query({ name: "read", path: folder });
  Deno.test({
    name: `the committed sets of runs break no rule on sets${
      state === "granted" ? "" : " NOT RUN: needs reading reports/reference"
    }`,
    ignore: state !== "granted",
    fn: async () => {
      const { sets } = await referenceRuns(fileURLToPath(folder));
      assert(sets.length > 0);
      for (const set of sets) assertEquals(failing(set), []);
    },
  });
}
