import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { fileURLToPath } from "node:url";
import { foldersIn, isFile } from "../files/mod.ts";
import {
  claimsOf,
  parsePlan,
  PlanError,
  planHash,
  plannedClaim,
  plannedRecipe,
  type ReproductionPlan,
} from "./plan.ts";

const PLAN: ReproductionPlan = {
  version: 1,
  written: "2026-01-02T03:04:05Z",
  architectures: ["resnet20", "resnet8"],
  seeds: [1, 2, 3],
  recipe: "paper",
  iterations: 64_000,
  dataset: "cifar10",
  dataHashes: { "test_batch.bin": "0".repeat(64) },
  tests: { equivalence: "tost", difference: "two-sided-t" },
  margin: 0.005,
  alpha: 0.05,
  references: [{
    source: "Table 6",
    architecture: "resnet20",
    dataset: "cifar10",
    iterations: 64_000,
    testImages: 10_000,
    error: 0.0875,
    runs: 1,
    spread: { standardDeviation: 0.0016, runs: 5, source: "Table 6, ResNet-110" },
  }],
};

Deno.test("a plan is read as it was written", () => {
  assertEquals(parsePlan(JSON.stringify(PLAN, null, 2)), PLAN);
});

Deno.test("a plan that says less, more or nonsense is refused with what was found", () => {
  const refused = (changes: object, text: string) =>
    assertThrows(() => parsePlan(JSON.stringify({ ...PLAN, ...changes })), PlanError, text);
  const [reference] = PLAN.references;
  refused({ seeds: [1, 2, 1] }, "seeds: expected each seed once; found [1,2,1]");
  refused({ seeds: [-1] }, "seeds.0");
  refused({ architectures: ["resnet21"] }, "architectures.0: expected an architecture");
  refused({ architectures: ["resnet20", "resnet20"] }, "expected each architecture once");
  refused({ margin: 0 }, "margin");
  refused({ alpha: 0.5 }, "alpha");
  refused({ tests: { equivalence: "t", difference: "two-sided-t" } }, "tests.equivalence");
  refused({ iterations: undefined }, "iterations");
  refused({ tail: "one" }, "tail");
  refused({ written: "yesterday" }, "written");
  refused({ dataHashes: { "a.bin": "0" } }, "64 hexadecimal digits");
  refused({ references: [reference, reference] }, "one reference for an architecture");
  refused({ references: [{ ...reference, runs: 3 }] }, "the spread of the runs");
  assertThrows(() => parsePlan("{"), PlanError, "expected JSON");
  refused({ version: 3 }, "version");
  refused({ recipe: ["paper", "paper-50k"] }, "recipe");
  const both = { version: 2, recipe: ["paper", "paper-50k"] };
  refused({ ...both, recipe: "paper" }, "recipe");
  refused({ ...both, recipe: ["paper"] }, "recipe");
  refused({ ...both, recipe: ["paper", "paper"] }, "expected each recipe once");
});

Deno.test("a plan of version 2 has several recipes, each a claim of its own on each network", () => {
  const both: ReproductionPlan = { ...PLAN, version: 2, recipe: ["paper", "paper-50k"] };
  assertEquals(parsePlan(JSON.stringify(both)), both);
  // Python, as below.
  assertEquals(planHash(both), "aa74f3f6df8886e690ac4554b7cb9bcf70ccce6021d6fe8738dad3fb683022ef");
  const claims = claimsOf(both);
  assertEquals(claims.map(({ architecture, recipe }) => `${architecture} ${recipe}`), [
    ...["resnet20 paper", "resnet8 paper", "resnet20 paper-50k", "resnet8 paper-50k"],
  ]);
  assertEquals(claims.map((claim) => plannedClaim(both, claim).reference?.error), [
    ...[0.0875, undefined, 0.0875, undefined],
  ]);
  assertEquals(claims.map((claim) => plannedRecipe(both, claim).data.split.training), [
    ...[45_000, 45_000, 50_000, 50_000],
  ]);
});

Deno.test("a plan of version 1 that was written before version 2 has the hash that it had", async () => {
  // It lies in one folder until its runs are over, and then in the other.
  const jobs = ["pending", "reference"].map((room) => `../reports/${room}/table6`)
    .map((path) => fileURLToPath(new URL(path, import.meta.url)));
  let found = 0;
  for (const job of jobs) {
    if (!await isFile(`${job}/plan.json`)) continue;
    const text = await Deno.readTextFile(`${job}/plan.json`);
    const hash = "96b0512e6a881268c52ac38d9778f9727fb26f6c1bc1d7b20f0bece577c4ca2c";
    assertEquals(planHash(parsePlan(text)), hash);
    // Its runs began under it.
    for (const run of await foldersIn(`${job}/runs`)) {
      const log = await Deno.readTextFile(`${run}/events.jsonl`);
      assertEquals(JSON.parse(log.slice(0, log.indexOf("\n"))).plan, hash);
      found++;
    }
  }
  assert(found > 0);
});

Deno.test("a plan's hash is that of its JSON with sorted fields", () => {
  // Python: hashlib.sha256(json.dumps(plan, sort_keys=True, separators=(",", ":")).encode())
  assertEquals(planHash(PLAN), "4783bf4ab93a37a7650cf4a69377db1afeab0c24f26479c60f95d931fbc9a67c");
  const reversed = Object.fromEntries(Object.entries(PLAN).reverse()) as unknown as typeof PLAN;
  assertEquals(planHash(reversed), planHash(PLAN));
});

Deno.test("any edit of a plan changes its hash", () => {
  const edits: Partial<ReproductionPlan>[] = [
    { margin: 0.01 },
    { seeds: [1, 3, 2] },
    { alpha: 0.1 },
    { references: [{ ...PLAN.references[0], error: 0.0876 }] },
  ];
  for (const edit of edits) assertNotEquals(planHash({ ...PLAN, ...edit }), planHash(PLAN));
});

Deno.test("a plan tells what was planned for a network, with its reference if it has one", () => {
  const { seeds, dataset, iterations, margin, alpha, references } = PLAN;
  const common = { seeds, dataset, iterations, margin, alpha };
  const of = (architecture: string, recipe = "paper") => ({ architecture, recipe });
  assertEquals(plannedClaim(PLAN, of("resnet20")), {
    ...common,
    ...of("resnet20"),
    reference: references[0],
  });
  assertEquals(plannedClaim(PLAN, of("resnet8")).reference, undefined);
  const refused = (other: ReturnType<typeof of>, text: string) =>
    assertThrows(() => plannedClaim(PLAN, other), PlanError, text);
  refused(of("resnet32"), "found a question about resnet32 by paper");
  refused(of("resnet20", "paper-50k"), "found a question about resnet20 by paper-50k");
});
