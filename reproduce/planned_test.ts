import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { judge, STATISTICAL_RULES } from "../spec/mod.ts";
import { parsePlan, PlanError, planHash, plannedRecipe } from "../verdicts/mod.ts";
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

Deno.test("settlePlan: 45,000 images and all 50,000 are planned as two claims", () =>
  inFolder(async (folder) => {
    const plans = await Promise.all(
      ["paper", "paper-50k"].map((recipe) =>
        settlePlan(`${folder}/${recipe}`, { architectures: ["resnet20"], recipe }, hashes)
      ),
    );
    assertEquals(
      plans.map(({ plan }) => plannedRecipe(plan, "resnet20").data.split),
      [{ training: 45_000, validation: 5_000 }, { training: 50_000, validation: 0 }],
    );
    // Each is held against the same figure, by a plan of its own.
    assertEquals(plans.map(({ plan }) => plan.references[0].error), [0.0875, 0.0875]);
    assertNotEquals(plans[0].sha256, plans[1].sha256);
    const bounds = STATISTICAL_RULES.filter(({ id }) => /claim-bounded|compared-with/.test(id));
    for (const { plan } of plans) {
      for (const { id, outcome, evidence } of judge(bounds, { plan })) {
        assertEquals(outcome, "pass", `${id}: ${evidence}`);
      }
    }
  }));

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
    const { schedule, data } = plannedRecipe(plan, "resnet14");
    assert(schedule.kind === "steps");
    assertEquals([schedule.iterations, schedule.boundaries], [120, [60, 90]]);
    assertEquals([data.set, data.split], ["shapes10", { training: 9_000, validation: 1_000 }]);
    const paper = { recipe: "paper", dataset: "cifar10", iterations: 64_000 } as const;
    const deep = plannedRecipe(paper, "resnet110");
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
