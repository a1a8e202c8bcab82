// Runs of a set are made up: no network made these numbers. What is expected of them was worked
// out by hand, with t(0.975, 2) = 4.302653 from published tables.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertFalse,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { logSubjectOf, readRun } from "../../log/mod.ts";
import { LOG_RULES, STATIC_RULES, table6Reference } from "../../spec/mod.ts";
import { fixtureFolder, type FixtureOptions, readerOf, textOf } from "../../testing/runs/mod.ts";
import { PlanError, planHash, type ReproductionPlan } from "../../verdicts/mod.ts";
import { runsIn } from "./find_runs.ts";
import { renderSetReport, writeSetReport } from "./report.ts";
import { judgedRun, type RunOfSet, type SetContent, type SetNet } from "./result.ts";

/** Free text of every run; data files are named by it, too. */
const TEXT = "made up for a test";
const RULES = STATIC_RULES.length + LOG_RULES.length;
const PAPER = { iterations: 64_000, logEvery: 3_200, samples: false } as const;

function planOf(architectures: readonly string[], changes: Partial<ReproductionPlan> = {}) {
  const plan: ReproductionPlan = {
    ...{ version: 1, written: "2026-01-01T00:00:00Z", architectures, seeds: [1, 2, 3] },
    ...{ recipe: "paper", iterations: 64_000, dataset: "cifar10" },
    dataHashes: { [TEXT]: "1".repeat(64) },
    tests: { equivalence: "tost", difference: "two-sided-t" },
    ...{ margin: 0.005, alpha: 0.05 },
    references: architectures.flatMap((net) => table6Reference(net) ?? []),
    ...changes,
  };
  return plan;
}

async function runOf(options: FixtureOptions): Promise<RunOfSet> {
  const { architecture = "resnet32", seed, set = "cifar10", iterations } = options;
  const files = await fixtureFolder({ text: TEXT, ...options });
  const folder = `runs/${architecture}-${set}-${iterations}-seed${seed}`;
  const read = (path: string) => readerOf(files)(path.slice(folder.length + 1));
  return {
    ...{ folder, run: await readRun(folder, read), log: await logSubjectOf(folder, read) },
    ...{ logSha256: "a".repeat(64), report: seed === 1 ? `${folder}/report.html` : null },
  };
}

/** Test errors of 10,000 images, by network; the seeds are 1, 2, 3. */
async function runsOf(
  errors: Readonly<Record<string, readonly number[]>>,
  plan?: ReproductionPlan,
  options: FixtureOptions = PAPER,
): Promise<RunOfSet[]> {
  const of = { ...options, ...(plan ? { plan: planHash(plan) } : {}) };
  return await Promise.all(
    Object.entries(errors).flatMap(([architecture, list]) =>
      list.map((errors, i) => runOf({ ...of, architecture, errors, seed: i + 1 }))
    ),
  );
}

/** The report with its page as a reader sees it: no markup, style or drawings. */
function reportOf(content: Partial<SetContent>) {
  const report = renderSetReport({ runs: [], broken: [], ...content });
  const text = report.html
    .replace(/<style>.*?<\/style>|<svg.*?<\/svg>/gs, "")
    .replace(/<[^>]*>/g, " ")
    .replace(/\s+/g, " ");
  return { ...report, text };
}

const netOf = ({ result }: ReturnType<typeof reportOf>, name: string): SetNet =>
  result.groups.flatMap(({ nets }) => nets).find(({ architecture }) => architecture === name)!;

/** The tables of a page, as rows of texts. */
const tablesOf = (html: string): string[][] =>
  [...html.matchAll(/<table.*?<\/table>/gs)].map(([table]) =>
    [...table.matchAll(/<tr>.*?<\/tr>/gs)].map(([row]) =>
      row.replace(/<[^>]*>/g, " ").replace(/\s+/g, " ").trim()
    )
  );

const ERRORS = {
  resnet20: [881, 864, 892],
  resnet32: [851, 864, 872],
  resnet44: [650, 717, 790],
};

Deno.test("full-length runs get a verdict each, beside the paper and the public figures", async () => {
  const plan = planOf(Object.keys(ERRORS));
  const report = reportOf({ plan, runs: await runsOf(ERRORS, plan) });
  const { result, html, text, markdown } = report;
  assertEquals(
    result.groups.map(({ comparable, nets }) => [comparable, nets.map((net) => net.verdict?.kind)]),
    [[true, ["equivalent", "different", "inconclusive"]]],
  );
  // 8.81, 8.64, 8.92: mean 8.79, and t(0.975, 2) = 4.302653 of sqrt(0.0199 / 3) = 0.081445.
  const { summary, meanInterval, paper, publicResults } = netOf(report, "resnet20");
  assertAlmostEquals(summary!.mean, 0.0879, 1e-12);
  assertAlmostEquals(summary!.standardDeviation!, 0.00141067, 1e-8);
  assertAlmostEquals(meanInterval!.lower, 0.0879 - 0.00350430, 1e-7);
  assertEquals(paper, "8.75%");
  assertEquals(publicResults.map(({ error }) => error), [0.0827, 0.0829]);

  const rows = tablesOf(html).flat();
  assert(
    rows.includes("ResNet-20 8.79% 8.75% equivalent 3 of 3 0.14 8.44% to 9.14% −0.66 to +0.74"),
  );
  assert(rows.includes("ResNet-20 8.79% 8.75% 8.27% 8.29%"));
  for (const said of [text, markdown]) {
    assertStringIncludes(said, "ResNet-20: Equivalent: the mean test error of the 3 runs is 8.79%");
    assertStringIncludes(said, "ResNet-32: Different: ");
    assertStringIncludes(said, "ResNet-44: Inconclusive: ");
    assertStringIncludes(said, planHash(plan));
    assertStringIncludes(said, "3 runs show equivalence with a probability of 95%");
    assertFalse(said.includes("No verdict"));
  }
  assertEquals(result.plan?.recordedSha256, planHash(plan));
  assertEquals(
    result.judgements.filter(({ outcome }) => outcome !== "pass").map(({ id }) => id),
    [],
  );
});

Deno.test("a diverged run is counted, named, and keeps its network from equivalence", async () => {
  const plan = planOf(["resnet20"]);
  const [first, second] = await runsOf({ resnet20: [881, 864] }, plan);
  const broken = await runOf({
    ...{ ...PAPER, architecture: "resnet20", seed: 3, plan: planHash(plan) },
    ...{ ending: "failure", diverged: true },
  });
  const report = reportOf({ plan, runs: [first, second, broken] });
  const { verdict, runs } = netOf(report, "resnet20");
  assertEquals([verdict?.kind, verdict?.finished, verdict?.runs.length], ["inconclusive", 2, 3]);
  assertEquals(runs.map(({ outcome }) => outcome), ["finished", "finished", "diverged"]);
  assertStringIncludes(report.text, "ResNet-20, seed 3: diverged at iteration 57,600: made up");
  assertStringIncludes(report.text, "1 of 3 runs did not finish (1 diverged)");
  assertMatch(report.markdown, /\| ResNet-20 \| .* \| 2 of 3 \|/);
  assert(report.result.judgements.every(({ outcome }) => outcome !== "fail"));
});

Deno.test("a run whose engine or disk gave out is not over: it can go on, and end otherwise", async () => {
  const plan = planOf(["resnet20"]);
  const [first, second] = await runsOf({ resnet20: [881, 864] }, plan);
  const failed = await runOf({
    ...{ ...PAPER, architecture: "resnet20", seed: 3, plan: planHash(plan), ending: "failure" },
  });
  assertEquals(judgedRun(failed.run), undefined);
  const report = reportOf({ plan, runs: [first, second, failed] });
  assertEquals(netOf(report, "resnet20").verdict?.kind, "none");
  assertStringIncludes(report.text, "ResNet-20, seed 3: failed at iteration 57,600: made up");
  assertStringIncludes(report.text, "2 of 3 planned runs are over");
  assertEquals(
    new Set(report.result.judgements.map(({ evidence }) => evidence)),
    new Set([
      "1 of the 3 runs are not over",
    ]),
  );
});

Deno.test("a shortened schedule says so first, and stands beside no figure of the paper", async () => {
  const plan = planOf(["resnet20"], { iterations: 4_000 });
  const short = { iterations: 4_000, logEvery: 100, samples: false };
  const report = reportOf({
    plan,
    runs: await runsOf({ resnet20: [1500, 1510, 1530] }, plan, short),
  });
  const { paper, publicResults, verdict } = netOf(report, "resnet20");
  assertEquals([paper, publicResults, verdict?.kind], [null, [], "none"]);
  assertMatch(
    report.text,
    /^.{0,80}Report of a set of runs ResNet-20 on CIFAR-10 A shortened schedule: no verdict against Table 6\. ResNet-20: 4,000 iterations instead of 64,000/,
  );
  assertMatch(report.markdown, /^# .*\n\n> \*\*A shortened schedule: no verdict against Table 6/);
  const [errors] = tablesOf(report.html);
  assertEquals(errors[1], "ResNet-20 15.13% none 3 of 3 0.15 14.75% to 15.51%");
});

Deno.test("built-in data and other schedules share no table with CIFAR-10", async () => {
  const short = { iterations: 4_000, logEvery: 100, samples: false };
  const report = reportOf({
    runs: [
      ...await runsOf({ resnet20: [1900] }, undefined, { ...short, set: "shapes10" }),
      ...await runsOf({ resnet20: [1500] }, undefined, short),
      ...await runsOf({ resnet20: [870] }),
    ],
  });
  assertEquals(
    report.result.groups.map(({ data, iterations }) => [data.set, iterations]),
    [["cifar10", 64_000], ["cifar10", 4_000], ["shapes10", 4_000]],
  );
  for (const rows of tablesOf(report.html)) {
    const of = ["8.70%", "15.00%", "19.00%"].filter((e) => rows.some((row) => row.includes(e)));
    const sideBySide = of.join() === "8.70%,15.00%" && rows[0].includes("Best validation error");
    assert(of.length <= 1 || sideBySide, `${of} stand in one table`);
  }
  assertStringIncludes(report.text, "Built-in images, not CIFAR-10. Procedural shapes.");
  assertEquals([...report.html.matchAll(/<h2[^>]*>(.*?)<\/h2>/g)].map(([, title]) => title), [
    "All runs on CIFAR-10, side by side",
    "CIFAR-10, 64,000 iterations, recipe “paper”",
    "CIFAR-10, 4,000 iterations, recipe “paper”",
    "Built-in images (not CIFAR-10), 4,000 iterations, recipe “paper”",
  ]);
});

Deno.test("recipes of one name that differ in a field have a heading each, and one notice", async () => {
  const short = { iterations: 4_000, logEvery: 100, samples: false };
  const [run] = await runsOf({ resnet20: [1500] }, undefined, short);
  const { start } = run.run;
  const recipe = {
    ...start.recipe,
    data: { ...start.recipe.data, augmentation: "none" as const },
  };
  const still = {
    ...run,
    folder: "runs/not-augmented",
    run: { ...run.run, start: { ...start, recipe } },
  };
  const { html, text } = reportOf({ runs: [run, still] });
  assertEquals([...html.matchAll(/<h2[^>]*>(.*?)<\/h2>/g)].map(([, title]) => title), [
    "All runs on CIFAR-10, side by side",
    "CIFAR-10, 4,000 iterations, recipe “paper”: resnet20-cifar10-4000-seed1",
    "CIFAR-10, 4,000 iterations, recipe “paper”: not-augmented",
  ]);
  assertEquals(text.match(/A shortened schedule/g)?.length, 1);
});

Deno.test("runs of one data set share an overlay, with what differs and the best first", async () => {
  const short = { iterations: 4_000, logEvery: 100, samples: false };
  const report = reportOf({
    runs: [
      ...await runsOf({ resnet20: [1500] }, undefined, short),
      ...await runsOf({ resnet20: [870], resnet32: [751] }),
    ],
  });
  const [results, differ] = tablesOf(report.html);
  assertEquals(results.slice(1).map((row) => /\d+\.\d+%/.exec(row)?.[0]), [
    "7.51%",
    "8.70%",
    "15.00%",
  ]);
  assert(differ.some((row) => row.startsWith("schedule.iterations") && row.includes("4,000")));
  assertFalse(differ.some((row) => row.startsWith("data.set")), "an equal field is named");
  // All three lie in one drawing, although they have different lengths.
  const drawing = /<h3>Validation error<\/h3>(.*?)<\/figure>/s.exec(report.html)![1];
  assertEquals(new Set(drawing.match(/stroke="var\(--line-\d\)"/g)).size, 3);
  // Runs under equal conditions need no such section.
  assertFalse(
    reportOf({ runs: await runsOf({ resnet20: [870, 880] }) }).text.includes("side by side"),
  );
});

Deno.test("runs without a plan have all but a verdict", async () => {
  const report = reportOf({ runs: await runsOf({ resnet20: ERRORS.resnet20 }) });
  const { verdict, withoutVerdict, summary, paper } = netOf(report, "resnet20");
  assertEquals([report.result.plan, verdict, report.result.judgements], [null, null, []]);
  assertEquals([summary?.count, paper], [3, "8.75%"]);
  assertEquals(withoutVerdict, "No verdict: no plan was fixed before these runs.");
  assertStringIncludes(report.text, "No verdict. These runs were put together without a plan");
});

Deno.test("while runs are under way there is no verdict and no rule on the set", async () => {
  const plan = planOf(["resnet20"]);
  const [first, second] = await runsOf({ resnet20: [881, 864] }, plan);
  const open = await runOf({ ...PAPER, architecture: "resnet20", seed: 3, ending: "none" });
  const report = reportOf({ plan, runs: [first, second, open] });
  assertEquals(netOf(report, "resnet20").verdict?.kind, "none");
  assertStringIncludes(report.text, "2 of 3 planned runs are over");
  assertStringIncludes(report.text, "1 run not over.");
  assertFalse(report.text.includes("not begun."));
  const begun = reportOf({ plan, runs: [open] });
  assertStringIncludes(begun.text, "2 of 3 planned runs not begun.");
  const { judgements } = report.result;
  assert(judgements.length >= 8);
  for (const { outcome, evidence } of judgements) {
    assertEquals([outcome, evidence], ["not-observable", "1 of the 3 runs are not over"]);
  }
});

Deno.test("rules on the set show a dropped failure, a repeated seed and another plan", async () => {
  const plan = planOf(["resnet20"]);
  const failing = (runs: readonly RunOfSet[]) =>
    reportOf({ plan, runs }).result.judgements
      .filter(({ outcome }) => outcome === "fail").map(({ id }) => id);
  const runs = await runsOf({ resnet20: ERRORS.resnet20 }, plan);
  assertEquals(failing(runs), []);
  assertEquals(failing(runs.slice(1)), ["runs-planned"]);
  const [, second, third] = runs;
  const repeated = await runOf({
    ...{ ...PAPER, architecture: "resnet20", seed: 2, errors: 881, plan: planHash(plan) },
  });
  const report = reportOf({ plan, runs: [repeated, second, third] });
  assertStringIncludes(netOf(report, "resnet20").withoutVerdict!, "seed");
  assert(failing([repeated, second, third]).includes("seeds-distinct"));
  const other = await runsOf({ resnet20: ERRORS.resnet20 }, { ...plan, margin: 0.01 });
  assertEquals(failing(other), ["plan-kept"]);
  assertStringIncludes(reportOf({ plan, runs: other }).text, "broken. What is claimed here");
});

Deno.test("runs that depart from the plan take no part in its verdict", async () => {
  const plan = planOf(["resnet20"]);
  const runs = await runsOf({ resnet20: ERRORS.resnet20, resnet32: [760] }, plan);
  const short = { iterations: 4_000, logEvery: 100, samples: false };
  const report = reportOf({
    plan,
    runs: [...runs, ...await runsOf({ resnet20: [1500] }, plan, short)],
  });
  const sentences = report.result.groups.flatMap(({ nets }) =>
    nets.map(({ withoutVerdict }) => withoutVerdict)
  );
  assertEquals(sentences, [
    null,
    "No verdict: the plan has no such network.",
    "No verdict: the plan has the number of steps 64000, these runs have 4000.",
  ]);
  assertFalse(report.result.judgements.every(({ outcome }) => outcome === "pass"));
});

Deno.test("curves are means over the runs that got so far, with the range", async () => {
  const [first, second] = await runsOf({ resnet20: [870, 890] });
  const stopped = await runOf({ ...PAPER, architecture: "resnet20", seed: 3, ending: "stop" });
  const runs = [first, second, stopped];
  const { curves } = netOf(reportOf({ runs }), "resnet20");
  assertEquals(curves.test, [
    { iteration: 64_000, runs: 2, mean: 0.088, lowest: 0.087, highest: 0.089 },
  ]);
  assertEquals(curves.training.map(({ iteration }) => iteration), [
    ...Array.from({ length: 20 }, (_, i) => 3_200 * (i + 1)),
  ]);
  assertEquals(curves.training.map(({ runs }) => runs), [...Array(18).fill(3), 2, 2]);
  const errors = runs.map(({ run }) => run.steps[4].error);
  const { mean, lowest, highest } = curves.training[4];
  assertAlmostEquals(mean, (errors[0] + errors[1] + errors[2]) / 3, 1e-12);
  assertEquals([lowest, highest], [Math.min(...errors), Math.max(...errors)]);
  assert(lowest < highest, "the runs must differ, or the range shows nothing");
});

/** The same run in another folder, its first line with other fields. */
function begunOtherwise(
  run: RunOfSet,
  folder: string,
  change: (start: RunOfSet["run"]["start"]) => object,
): RunOfSet {
  const start = { ...run.run.start, ...change(run.run.start) };
  return { ...run, folder, run: { ...run.run, start } };
}

Deno.test("the top-5 error stands beside the error where the logs have it", async () => {
  const runs = await runsOf({ resnet18: [2000, 2040] }, undefined, {
    ...{ iterations: 200, samples: false, set: "photographs" },
  });
  const five = runs.map((run, i): RunOfSet => ({
    ...run,
    run: { ...run.run, finalTest: { ...run.run.finalTest!, errors5: [500, 540][i] } },
  }));
  const report = reportOf({ runs: five });
  const { topFive } = netOf(report, "resnet18");
  assertEquals(topFive?.count, 2);
  assertAlmostEquals(topFive!.mean, 0.052, 1e-12);
  for (const said of [report.text, report.markdown]) {
    for (const part of ["Mean top-5 error", "5.20%", "5.00%", "5.40%"]) {
      assertStringIncludes(said, part);
    }
  }
  // Beside each other under other conditions, too.
  const other = begunOtherwise(five[1], "runs/other", ({ recipe }) => ({
    recipe: { ...recipe, batchSize: 16 },
  }));
  const [results] = tablesOf(reportOf({ runs: [five[0], other] }).html);
  assertMatch(results[0], /Test error Top-5 test error/);
  assertMatch(results[1], /20\.00% 5\.00%/);
  const without = reportOf({ runs });
  assertEquals(netOf(without, "resnet18").topFive, null);
  assertFalse((without.text + without.markdown).includes("op-5"));
});

Deno.test("runs whose folders end alike are told apart by what stands before", async () => {
  const short = { iterations: 2_000, logEvery: 100, samples: false };
  const [a, b] = await runsOf({ resnet20: [1500, 1600] }, undefined, short);
  const otherwise = (start: RunOfSet["run"]["start"]) => ({
    recipe: { ...start.recipe, batchSize: 64 },
  });
  const { html } = reportOf({
    runs: [{ ...a, folder: "first/seed1" }, begunOtherwise(b, "second/seed1", otherwise)],
  });
  const legends = [...html.matchAll(/<ul class="legend">(.*?)<\/ul>/gs)].map(([, items]) =>
    [...items.matchAll(/<li[^>]*>(.*?)<\/li>/g)].map(([, name]) => name)
  );
  assertEquals(legends[0], ["first/seed1", "second/seed1"]);
  const differ = tablesOf(html)[1];
  assertEquals(differ, ["Field first/seed1 second/seed1", "batchSize 128 64"]);
  assertMatch(html, /<h2[^>]*>[^<]*recipe “paper”: first\/seed1<\/h2>/);
  // Of several runs each, recipes of one name are told apart as well.
  const several = reportOf({
    runs: [
      ...[a, b],
      ...[begunOtherwise(a, "runs/c", otherwise), begunOtherwise(b, "runs/d", otherwise)],
    ],
  });
  const names = [...several.html.matchAll(/<ul class="legend">(.*?)<\/ul>/gs)].slice(0, 2)
    .map(([, items]) => [...items.matchAll(/<li[^>]*>(.*?)<\/li>/g)].map(([, name]) => name));
  for (const of of names) assertEquals(new Set(of).size, 2, of.join("; "));
});

Deno.test("ResNet-110 without its warm-up is another recipe, and no other net has one", async () => {
  const [first, second] = await runsOf({ resnet110: [660, 670] });
  const [shallow] = await runsOf({ resnet20: [870] });
  const cold = begunOtherwise(second, "runs/cold", ({ recipe }) => {
    const { warmUp: _, ...schedule } = recipe.schedule as typeof recipe.schedule & {
      warmUp: unknown;
    };
    return { recipe: { ...recipe, schedule } };
  });
  const report = reportOf({ runs: [first, cold, shallow] });
  assertEquals(
    report.result.groups.map(({ departures, nets }) => [
      departures.map(({ field }) => field),
      nets.map(({ architecture, runs }) => `${architecture} ${runs.length}`),
    ]).sort(),
    [
      [[], ["resnet20 1", "resnet110 1"]],
      [
        ["schedule.warmUp.rate", "schedule.warmUp.untilTrainingErrorBelow"],
        ["resnet110 1"],
      ],
    ],
  );
  const [, differ] = tablesOf(report.html);
  // Both that depart in nothing stand in one column: one of them has the paper's warm-up.
  assertMatch(differ.join("\n"), /schedule\.warmUp\.rate (0\.01 or none|none or 0\.01) none/);
});

Deno.test("runs that began from given weights say so, and reproduce nothing of Table 6", async () => {
  const plan = planOf(["resnet20"]);
  const runs = (await runsOf(ERRORS, plan)).slice(0, 3).map((run) =>
    begunOtherwise(run, run.folder, () => ({
      startWeights: { path: "pretrained.pth", sha256: "9".repeat(64) },
    }))
  );
  const report = reportOf({ plan, runs });
  const { verdict, paper, withoutVerdict } = netOf(report, "resnet20");
  assertEquals([verdict, paper], [null, null]);
  assertEquals(withoutVerdict, "No verdict: these runs began from given weights.");
  assertStringIncludes(report.text, "pretrained.pth");
  assertFalse(report.text.includes("Beside Table 6"));
  const [usual] = await runsOf({ resnet20: [870] });
  const [, differ] = tablesOf(reportOf({ runs: [{ ...usual, folder: "runs/a" }, runs[1]] }).html);
  assertEquals(differ[1], "given weights none pretrained.pth");
  assertFalse(report.text.includes("The recipe is the paper's in every field."));
});

Deno.test("of runs with one seed no spread and no interval is said", async () => {
  const [run, other] = await runsOf({ resnet20: [870, 880] });
  const same = begunOtherwise(other, "runs/again", () => ({ seed: 1 }));
  const report = reportOf({ runs: [run, same] });
  const { meanInterval, repeatedSeeds } = netOf(report, "resnet20");
  assertEquals([meanInterval, repeatedSeeds], [null, [1]]);
  assertStringIncludes(report.text, "ResNet-20: several runs have the seed 1");
  assert(tablesOf(report.html).flat().includes("ResNet-20 8.75% 8.75% none 2 of 2 – – –"));
  const { repeatedSeeds: none } = netOf(reportOf({ runs: [run, other] }), "resnet20");
  assertEquals(none, []);
});

Deno.test("runs on two folders of photographs are not ranked together", async () => {
  const options = { iterations: 200, samples: false, set: "photographs" } as const;
  const [a, b] = await runsOf({ resnet18: [2000, 2040] }, undefined, options);
  const elsewhere = begunOtherwise(b, "runs/b", ({ data }) => ({
    data: { ...data, hashes: { val: "8".repeat(64) } },
  }));
  assertFalse(reportOf({ runs: [a, elsewhere] }).text.includes("side by side"));
});

Deno.test("what the figures have no line of is not explained beside them", async () => {
  const [whole] = await runsOf({ resnet20: [870] });
  const said = "error on the validation images";
  assertStringIncludes(reportOf({ runs: [whole] }).text, said);
  const evaluations = whole.run.evaluations.filter(({ set }) => set === "test");
  const { text } = reportOf({ runs: [{ ...whole, run: { ...whole.run, evaluations } }] });
  assertFalse(text.includes(said));
  assertStringIncludes(text, "Dot: test error");
  const stopped = await runOf({ ...PAPER, architecture: "resnet20", seed: 3, ending: "stop" });
  const open = reportOf({ runs: [stopped] }).text;
  assertFalse(open.includes("Dot: test error"));
  assertFalse(open.includes("Training time of the finished runs together: 0 s"));
});

Deno.test("a set of runs that did not get far has no hole in its report", async () => {
  const [whole] = await runsOf({ resnet20: [870] });
  const stopped = await runOf({ ...PAPER, seed: 2, ending: "stop", resumed: true });
  const begun: RunOfSet = {
    ...stopped,
    folder: "runs/begun",
    run: { ...stopped.run, steps: [], evaluations: [], checkpoints: [], resumes: [] },
  };
  const { outcome: _, ...running } = begun.run;
  for (
    const runs of [
      [begun],
      [{ ...begun, run: running }],
      [whole, begun, stopped],
      [
        begunOtherwise(begun, "runs/c", ({ recipe }) => ({ recipe: { ...recipe, batchSize: 1 } })),
        begun,
      ],
    ]
  ) {
    const { text, markdown } = reportOf({ runs });
    for (const said of [text, markdown]) {
      assertEquals(
        /.{0,60}\b(NaN|undefined|Infinity|null|\[object)\b.{0,40}/.exec(said)?.[0],
        undefined,
      );
    }
  }
});

Deno.test("no curve goes further than its runs did", async () => {
  const stopped = await runOf({
    ...{ iterations: 2_000, logEvery: 300, samples: false, seed: 1, ending: "stop" },
  });
  const { curves } = netOf(reportOf({ runs: [stopped] }), "resnet32");
  assertEquals(stopped.run.steps.at(-1)!.iteration, 1_800);
  assertEquals(curves.training.at(-1)!.iteration, 1_800);
});

Deno.test("layer responses, costs, checklist and appendix are there for each run", async () => {
  const runs = await runsOf({ plain20: [905, 951], resnet20: [870, 890] }, undefined, {
    ...{ iterations: 2_000, logEvery: 100 },
  });
  const report = reportOf({ runs });
  const [{ nets: [plain, residual] }] = report.result.groups;
  assertEquals([plain.architecture, residual.architecture], ["plain20", "resnet20"]);
  // The fixture's first layer: 1.2 + 0.1, in each run.
  assertAlmostEquals(plain.layers![0].std, 1.3, 1e-12);
  assertEquals(plain.layers!.length, 31);
  const titles = [...report.html.matchAll(/<h3>(.*?)<\/h3>/g)].map(([, title]) => title);
  assertEquals(
    titles,
    [
      "Test errors",
      "Errors by iteration, as in the paper&#39;s Figure 6",
      "Plain nets",
      "Residual nets",
      "Layer responses, as in the paper&#39;s Figure 7",
      "In the layers&#39; order",
      "By size",
      "The paper&#39;s checklist",
      "Costs",
      "Every run",
    ].map((title) => title.replaceAll("&#39;", "'")),
  );
  const rows = tablesOf(report.html).flat();
  // 870 of 10,000: Wilson's interval by hand is 8.16% to 9.27%.
  assert(
    rows.some((row) => /seed1 1 finished 8\.70% 8\.16% to 9\.27% aaaaaaaaaaaaaaaa$/.test(row)),
  );
  assert(rows.includes("ResNet-20, seed 1 2,000 13 min 33 s 320 0 1 wasm made up for a test"));
  const { checklist } = residual.runs[0];
  assertEquals(checklist.pass + checklist.notObservable + checklist.fails.length, RULES);
  const fail = checklist.fails.find(({ id }) => id === "iterations")!;
  assertStringIncludes(report.text, fail.evidence);
  assertStringIncludes(report.html, `<a href="${residual.runs[0].report}">`);
});

Deno.test("the report is the same every time, whatever was drawn before it", async () => {
  const runs = await runsOf({ resnet20: [870, 890] });
  const first = reportOf({ runs });
  reportOf({});
  const second = reportOf({ runs });
  assert(first.html === second.html && first.markdown === second.markdown);
  assertEquals(first.result, second.result);
});

Deno.test("nothing that a log says becomes markup, in the page or in Markdown", async () => {
  const text = `<script>x</script>|[a](javascript:b) **c** \`d\` &amp;`;
  const run = await runOf({ ...PAPER, seed: 1, ending: "failure", text });
  const { html, markdown } = reportOf({ runs: [run] });
  assertFalse(/<script|<link|@import/.test(html));
  assertStringIncludes(html, "&lt;script>");
  assertFalse(markdown.includes("<script"));
  assertStringIncludes(
    markdown,
    "&lt;script\\>x&lt;/script\\>\\|\\[a\\](javascript:b) \\*\\*c\\*\\* \\`d\\` &amp;amp;",
  );
  const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
  assertEquals(new Set(ids).size, ids.length, "an id stands twice");
  for (const row of markdown.split("\n").filter((line) => line.startsWith("|"))) {
    assert(row.endsWith(" |"), `a row is broken: ${row}`);
  }
});

const files = await Promise.all(
  (["read", "write"] as const).map((name) => Deno.permissions.query({ name })),
);

Deno.test({
  name:
    "a job's folder becomes three files; a broken run is named (needs --allow-read --allow-write)",
  ignore: files.some(({ state }) => state !== "granted"),
  async fn(t) {
    const job = await Deno.makeTempDir();
    const put = async (folder: string, options: FixtureOptions) => {
      const files = await fixtureFolder({
        ...PAPER,
        text: TEXT,
        architecture: "resnet20",
        ...options,
      });
      await Deno.mkdir(folder, { recursive: true });
      for (const [path, content] of files) await Deno.writeFile(`${folder}/${path}`, content);
      return files;
    };
    try {
      const plan = planOf(["resnet20"], { seeds: [1, 2] });
      const { seeds } = plan;
      for (const seed of seeds) {
        await put(`${job}/runs/resnet20-seed${seed}`, { seed, plan: planHash(plan) });
      }
      const altered = await put(`${job}/runs/altered`, { seed: 3 });
      await Deno.writeTextFile(
        `${job}/runs/altered/predictions.csv`,
        textOf(altered, "predictions.csv").replace("0,0", "0,1"),
      );
      await Deno.mkdir(`${job}/runs/empty`);
      await Deno.writeTextFile(`${job}/runs/resnet20-seed1/report.html`, "");
      await Deno.writeTextFile(`${job}/plan.json`, JSON.stringify(plan));

      await t.step("with the plan, the runs, and what is none", async () => {
        const paths = await writeSetReport([job], job);
        const result = JSON.parse(await Deno.readTextFile(paths.json));
        assertEquals(result.plan.sha256, planHash(plan));
        const { runs } = result.groups[0].nets[0];
        assertEquals(runs.map(({ folder }: RunOfSet) => folder), [
          ...["runs/resnet20-seed1", "runs/resnet20-seed2"],
        ]);
        assertEquals(runs.map(({ report }: RunOfSet) => report), [
          ...["runs/resnet20-seed1/report.html", null],
        ]);
        const log = await Deno.readFile(`${job}/runs/resnet20-seed1/events.jsonl`);
        const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", log)).toHex();
        assertEquals(runs[0].logSha256, digest);
        const [other, empty] = result.broken;
        assertEquals([other.folder, empty.folder], ["runs/altered", "runs/empty"]);
        assertMatch(other.problem, /predictions\.csv is not the file that the event log names/);
        assertMatch(empty.problem, /runs\/empty: there is no events\.jsonl/);
        const markdown = await Deno.readTextFile(paths.markdown);
        assertStringIncludes(markdown, "**2 folders could not be read as a run.**");
        const html = await Deno.readTextFile(paths.html);
        assertFalse(html.includes(job), "a path of this machine is in the report");
        assertStringIncludes(html, "runs/empty: there is no events.jsonl");
      });

      await t.step("runs that are given one by one, into another folder", async () => {
        const folders = seeds.map((seed) => `${job}/runs/resnet20-seed${seed}`);
        const { json } = await writeSetReport([...folders, `${folders[0]}/`], `${job}/a/b`);
        const { plan, groups } = JSON.parse(await Deno.readTextFile(json));
        assertEquals(plan, null);
        const { runs } = groups[0].nets[0];
        assertEquals(runs.map(({ folder }: RunOfSet) => folder), [
          ...["../../runs/resnet20-seed1", "../../runs/resnet20-seed2"],
        ]);
      });

      await t.step("a folder that holds runs is told from a run", async () => {
        assertEquals((await runsIn(job))?.includes(`${job}/runs/resnet20-seed1`), true);
        assertEquals(await runsIn(`${job}/runs`), await runsIn(job));
        assertEquals(await runsIn(`${job}/runs/resnet20-seed1`), undefined);
        assertEquals(await runsIn(`${job}/runs/empty`), undefined);
      });

      await t.step("two plans are no plan", async () => {
        await Deno.mkdir(`${job}/other`);
        const other = planOf(["resnet20"], { margin: 0.01 });
        await Deno.writeTextFile(`${job}/other/plan.json`, JSON.stringify(other));
        await assertRejects(
          () => writeSetReport([job, `${job}/other`], job),
          PlanError,
          "a set has one plan, found 2",
        );
      });
    } finally {
      await Deno.remove(job, { recursive: true });
    }
  },
});
