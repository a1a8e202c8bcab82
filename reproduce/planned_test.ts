import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { judge, STATISTICAL_RULES } from "../spec/mod.ts";
import {
  claimsOf,
  parsePlan,
  PlanError,
  planHash,
  plannedClaim,
  plannedRecipe,
} from "../verdicts/mod.ts";
import { DATASET, planIn, REQUEST } from "./_fixture.ts";
import { ReproductionError } from "./errors.ts";
import { plannedRuns, readPlan, settlePlan, withJobLock } from "./planned.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "reproduce-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const hashes = () => Promise.resolve(DATASET.hashes);

Deno.test("settlePlan: what is left out is the paper's, with Table 6's figures", () =>
  inFolder(async (folder) => {
    const { plan, sha256, isNew } = await settlePlan(
      `${folder}/job`,
      { architectures: ["resnet20", "resnet8", "resnet110"] },
      hashes,
    );
    assert(isNew);
    const { written, references, dataHashes, ...rest } = plan;
    assertEquals(rest, {
      ...{ version: 1, architectures: ["resnet20", "resnet8", "resnet110"] },
      ...{ seeds: [0, 1, 2, 3, 4], recipe: "paper", iterations: 64_000, dataset: "cifar10" },
      tests: { equivalence: "tost", difference: "two-sided-t" },
      ...{ margin: 0.005, alpha: 0.05 },
    });
    assert(Math.abs(Date.parse(written) - Date.now()) < 60_000, written);
    assertEquals(references.map(({ architecture, error }) => [architecture, error]), [
      ...[["resnet20", 0.0875], ["resnet110", 0.0661]],
    ]);
    assertEquals(dataHashes, DATASET.hashes);
    const text = await Deno.readTextFile(`${folder}/job/plan.json`);
    assertEquals([planHash(parsePlan(text)), parsePlan(text)], [sha256, plan]);
  }));

Deno.test("settlePlan: 45,000 images and all 50,000 are two claims of one plan", () =>
  inFolder(async (folder) => {
    const request = { architectures: ["resnet20"], seeds: [0, 1, 2] };
    const both = { ...request, recipe: ["paper", "paper-50k"] };
    const { plan } = await settlePlan(`${folder}/both`, both, hashes);
    assertEquals([plan.version, plan.recipe], [2, ["paper", "paper-50k"]]);
    const claims = claimsOf(plan).map((claim) => plannedClaim(plan, claim));
    // Each is held against the same figure.
    assertEquals(claims.map(({ recipe, reference }) => [recipe, reference?.error]), [
      ["paper", 0.0875],
      ["paper-50k", 0.0875],
    ]);
    assertEquals(claims.map((claim) => plannedRecipe(plan, claim).data.split), [
      { training: 45_000, validation: 5_000 },
      { training: 50_000, validation: 0 },
    ]);
    assertEquals(plannedRuns(plan).map(({ index, name }) => `${index} ${name}`), [
      ...["0 resnet20-paper-seed0", "1 resnet20-paper-seed1", "2 resnet20-paper-seed2"],
      ...["3 resnet20-paper-50k-seed0", "4 resnet20-paper-50k-seed1"],
      "5 resnet20-paper-50k-seed2",
    ]);
    const bounds = STATISTICAL_RULES.filter(({ id }) => /claim-bounded|compared-with/.test(id));
    for (const { id, outcome, evidence } of judge(bounds, { plan })) {
      assertEquals(outcome, "pass", `${id}: ${evidence}`);
    }
    // The same request finds it again; one reading, or another order, is another plan.
    assertEquals((await settlePlan(`${folder}/both`, both, hashes)).isNew, false);
    for (const recipe of ["paper", ["paper-50k", "paper"]]) {
      await assertRejects(
        () => settlePlan(`${folder}/both`, { ...request, recipe }, hashes),
        ReproductionError,
        `recipe: ["paper","paper-50k"] planned, ${JSON.stringify(recipe)} asked for`,
      );
    }
  }));

Deno.test("settlePlan: a list of one recipe is that recipe, and plans as it always did", () =>
  inFolder(async (folder) => {
    const one = { architectures: ["resnet20"], recipe: ["paper-50k"] };
    const { plan, sha256 } = await settlePlan(folder, one, hashes);
    assertEquals([plan.version, plan.recipe], [1, "paper-50k"]);
    assertEquals(plannedRuns(plan)[0].name, "resnet20-seed0");
    for (const request of [one, { ...one, recipe: "paper-50k" }]) {
      assertEquals((await settlePlan(folder, request, hashes)).sha256, sha256);
    }
  }));

Deno.test("settlePlan: recipes of several lengths or data sets need to be told theirs", () =>
  inFolder(async (folder) => {
    const request = { architectures: ["resnet8"], recipe: ["paper", "demo"] };
    await assertRejects(
      () => settlePlan(`${folder}/job`, request, hashes),
      ReproductionError,
      "resnet8 by paper takes 64000 iterations on cifar10 and resnet8 by demo takes 600",
    );
    const told = { ...request, dataset: "shapes10" as const, iterations: 60 };
    const { plan } = await settlePlan(`${folder}/job`, told, hashes);
    assertEquals([plan.dataset, plan.iterations], ["shapes10", 60]);
  }));

Deno.test("settlePlan: another recipe than the paper's is held against no figure of the paper", () =>
  inFolder(async (folder) => {
    const request = { architectures: ["resnet20"], iterations: 64_000 };
    const figures = async (recipe: string | string[]) => {
      const { plan } = await settlePlan(`${folder}/${recipe}`, { ...request, recipe }, hashes);
      const broken = judge(STATISTICAL_RULES, { plan })
        .filter(({ outcome }) => outcome === "fail" || outcome === "defect");
      assertEquals(broken, []);
      return plan.references.length;
    };
    assertEquals(await figures("paper-50k"), 1);
    assertEquals(await figures("system-c-2"), 0);
    assertEquals(await figures(["paper", "system-c-2"]), 0);
  }));

Deno.test("settlePlan: a shortened schedule breaks no rule on plans", () =>
  inFolder(async (folder) => {
    const request = { architectures: ["resnet20"], seeds: [0, 1, 2], iterations: 4_000 };
    const { plan } = await settlePlan(folder, request, hashes);
    for (const { id, outcome, evidence } of judge(STATISTICAL_RULES, { plan })) {
      assert(outcome !== "fail" && outcome !== "defect", `${id}: ${evidence}`);
    }
  }));

Deno.test("a recipe of all images is one on the built-in images too", () => {
  const all = { architecture: "resnet8", recipe: "paper-50k" };
  const { split } = plannedRecipe({ dataset: "shapes10", iterations: 60 }, all).data;
  assertEquals(split, { training: 10_000, validation: 0 });
});

Deno.test("settlePlan: a plan that is there is kept, and what differs from it is named", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder);
    const text = await Deno.readTextFile(`${folder}/plan.json`);
    for (const request of [{}, REQUEST, { margin: 0.005 }, plan]) {
      const found = await settlePlan(folder, request, hashes);
      assertEquals([found.plan, found.isNew], [plan, false]);
    }
    const error = await assertRejects(
      () => settlePlan(folder, { ...REQUEST, margin: 0.01, iterations: 60 }, hashes),
      ReproductionError,
    );
    assertStringIncludes(error.message, "margin: 0.005 planned, 0.01 asked for");
    assertStringIncludes(error.message, "iterations: 120 planned, 60 asked for");
    assert(!error.message.includes("seeds"), error.message);
    const later = { ...plan, written: "2026-01-01T00:00:00Z" };
    await assertRejects(() => settlePlan(folder, later, hashes), ReproductionError, "written");
    assertEquals(await Deno.readTextFile(`${folder}/plan.json`), text);
  }));

Deno.test("settlePlan: all who begin at the same time settle on one plan", () =>
  inFolder(async (folder) => {
    const settled = await Promise.all(
      Array.from({ length: 8 }, () => settlePlan(`${folder}/job`, REQUEST, hashes)),
    );
    assertEquals(settled.filter(({ isNew }) => isNew).length, 1);
    assertEquals(new Set(settled.map(({ sha256 }) => sha256)).size, 1);
    assertEquals(await readPlan(`${folder}/job`), settled[0].plan);
  }));

Deno.test("settlePlan: what can't be planned leaves no folder behind", () =>
  inFolder(async (folder) => {
    const table = [
      [{ architectures: ["resnet21"] }, "the nearest are 20 and 26"],
      [{ seeds: [1, 1] }, "expected each seed once"],
      [{ recipe: "secret" }, `found "secret"`],
      [{ architectures: ["resnet8", "resnet8"] }, "expected each architecture once"],
    ] as const;
    for (const [request, problem] of table) {
      const error = await assertRejects(
        () => settlePlan(`${folder}/job`, { ...REQUEST, ...request }, hashes),
        Error,
      );
      assertStringIncludes(error.message, problem);
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("readPlan: a damaged plan is refused with its path", () =>
  inFolder(async (folder) => {
    assertEquals(await readPlan(folder), undefined);
    await Deno.writeTextFile(`${folder}/plan.json`, `{"version":1`);
    await assertRejects(() => readPlan(folder), PlanError, `"${folder}/plan.json": `);
  }));

Deno.test("plannedRuns and plannedRecipe: a recipe is the plan's, the warm-up the network's", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder);
    assertEquals(plannedRuns(plan).map(({ index, name }) => `${index} ${name}`), [
      ...["0 resnet8-seed0", "1 resnet8-seed1", "2 resnet8-seed2", "3 resnet8-seed3"],
      ...["4 resnet14-seed0", "5 resnet14-seed1", "6 resnet14-seed2", "7 resnet14-seed3"],
    ]);
    const { schedule, data } = plannedRecipe(plan, { architecture: "resnet14", recipe: "paper" });
    assert(schedule.kind === "steps");
    assertEquals([schedule.iterations, schedule.boundaries], [120, [60, 90]]);
    assertEquals([data.set, data.split], ["shapes10", { training: 9_000, validation: 1_000 }]);
    const deep = plannedRecipe(
      { dataset: "cifar10", iterations: 64_000 },
      { architecture: "resnet110", recipe: "paper" },
    );
    assert(deep.schedule.kind === "steps" && deep.schedule.warmUp?.rate === 0.01);
    assertEquals(deep.departures, []);
  }));

Deno.test("withJobLock: one at a time", () =>
  inFolder(async (folder) => {
    const order: string[] = [];
    await Promise.all(["a", "b"].map((name) =>
      withJobLock(folder, async () => {
        order.push(`${name} in`);
        await new Promise((resolve) => setTimeout(resolve, 20));
        order.push(`${name} out`);
      })
    ));
    assertEquals(order.map((entry) => entry.slice(2)), ["in", "out", "in", "out"]);
  }));
