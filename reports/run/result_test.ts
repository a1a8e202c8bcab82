import { assertAlmostEquals, assertEquals } from "@std/assert";
import { readFolder, type ResumeEvent, type Run, runOf, subjectOfReading } from "../../log/mod.ts";
import {
  CLASSES,
  fixtureFolder,
  type FixtureOptions,
  readerOf,
  setText,
  textOf,
} from "../../testing/runs/mod.ts";
import { confusionMatrix, type RunResult, runResult } from "./result.ts";

type Folder = Awaited<ReturnType<typeof fixtureFolder>>;

/** The result of a folder's run, of which a part may be another. */
async function resultIn(
  folder: Folder,
  change: (run: Run) => Run = (run) => run,
): Promise<RunResult> {
  const reading = await readFolder("run", readerOf(folder));
  return runResult(change(runOf(reading)), subjectOfReading(reading));
}

async function resultOf(options: FixtureOptions): Promise<RunResult> {
  return await resultIn(await fixtureFolder(options));
}

const PAPER = { iterations: 64_000, logEvery: 800, architecture: "resnet32" };

Deno.test("a confusion matrix counts predictions by label", () => {
  const matrix = confusionMatrix(
    { labels: [0, 0, 1, 2, 2, 2], predictions: [0, 2, 1, 0, 0, 2] },
    3,
  );
  assertEquals(matrix, [
    [1, 0, 1],
    [0, 1, 0],
    [2, 0, 1],
  ]);
});

Deno.test("the result of a finished run", async () => {
  const result = await resultOf(PAPER);
  assertEquals(result.completeness, "finished");
  assertEquals(result.testError?.error, 0.0751);
  assertAlmostEquals(result.testError!.interval.lower, 0.07009603941996534, 1e-12); // statsmodels
  assertEquals(result.paperRun, { is: true, differences: [] });
  assertEquals(result.iterations, 64_000);
  assertEquals(result.perClass?.map(({ name }) => name), CLASSES);
  // Every 13th image is wrong, from image 6 on: 76 times label 6, 75 times each other.
  assertEquals(result.perClass?.[0], {
    name: "airplane",
    images: 1000,
    errors: 75,
    error: 0.075,
  });
  assertEquals(result.confusion?.[0].reduce((a, b) => a + b), 1000);
  assertEquals(result.perClass?.[6].errors, 76);
  assertEquals(result.confusion?.[0][0], 925);
});

Deno.test("the best validation error is named beside the result, not as it", async () => {
  const { bestValidation, testError } = await resultOf({ iterations: 1000, logEvery: 10 });
  // The lowest of the fixture's evaluations, and the first of equals.
  assertEquals(bestValidation, { iteration: 900, error: 0.08 });
  assertEquals(testError?.error, 0.0751);
});

Deno.test("a run that is not the paper's says why", async () => {
  const short = await resultOf({ iterations: 2000 });
  assertEquals(short.paperRun.is, false);
  assertEquals(short.paperRun.differences, [
    "the rate falls after 1,000 and 1,500 iterations instead of 32,000 and 48,000",
    "2,000 iterations instead of 64,000",
  ]);
  assertEquals((await resultOf({ ...PAPER, ending: "stop" })).paperRun.differences, [
    "it did not finish",
  ]);
});

/** The differences that a change to the start event makes to the paper's run. */
async function differencesAfter(pattern: string, replacement: string): Promise<readonly string[]> {
  const folder = await fixtureFolder(PAPER);
  const text = textOf(folder, "events.jsonl");
  setText(folder, "events.jsonl", text.replace(pattern, replacement));
  return (await resultIn(folder)).paperRun.differences;
}

Deno.test("undeclared departures count as well", async () => {
  assertEquals(await differencesAfter('"batchSize":128', '"batchSize":256'), [
    "batches of 256 images instead of 128",
  ]);
  const weights = `"classes":`;
  const given = `"startWeights":{"path":"w","sha256":"${"7".repeat(64)}"},${weights}`;
  assertEquals(await differencesAfter(weights, given), ["it started from given weights"]);
});

Deno.test("a test on a part of CIFAR-10's test set is not the paper's", async () => {
  const folder = await fixtureFolder(PAPER);
  const lines = textOf(folder, "events.jsonl").trim().split("\n").map((line) => {
    const event = JSON.parse(line);
    if (event.type === "end") return { ...event, testError: 0.1 };
    if (event.set !== "test") return event;
    const { predictions: _, ...test } = event;
    return { ...test, images: 5000, errors: 500, error: 0.1 };
  });
  setText(folder, "events.jsonl", lines.map((line) => JSON.stringify(line) + "\n").join(""));
  const result = await resultIn(folder);
  assertEquals(result.paperRun.differences, ["tested on 5,000 of 10,000 test images"]);
  assertEquals(result.confusion, null);
  assertEquals(result.perClass, null);
});

Deno.test("choices that the paper leaves open are no differences; others near them are", async () => {
  assertEquals(await differencesAfter('"nesterov":false', '"nesterov":true'), []);
  assertEquals(await differencesAfter('"batchNormImages":128', '"batchNormImages":64'), []);
  assertEquals(await differencesAfter('"batchNormImages":128', '"batchNormImages":32'), [
    "batch norm over 32 images instead of 128",
  ]);
  const split = '"training":45000,"validation":5000';
  assertEquals(await differencesAfter(split, '"training":50000,"validation":0'), []);
  assertEquals(await differencesAfter(split, '"training":40000,"validation":5000'), [
    "40,000 training images instead of 45,000",
  ]);
});

Deno.test("unfinished, stopped and failed runs have no test error", async () => {
  for (
    const [ending, completeness] of [
      ["none", "unfinished"],
      ["stop", "stopped"],
      ["failure", "failed"],
    ] as const
  ) {
    const result = await resultOf({ ending, resumed: true, text: "why" });
    assertEquals(result.completeness, completeness);
    assertEquals(result.testError, null);
    assertEquals(result.trainingSeconds, null);
    assertEquals(result.iterations, 1800);
    assertEquals(result.resumes, 1);
    assertEquals(result.reason, ending === "none" ? undefined : "why");
  }
});

/** The engines of a run of 2,000 iterations whose processes began at these, on these engines. */
async function enginesOf(...processes: readonly [iteration: number, engine: string][]) {
  const [[, first], ...others] = processes;
  const on = (name: string, threads: number) => ({
    ...{ name, reason: "asked for" },
    device: { summary: `${threads} threads`, details: { threads } },
  });
  const resumesOf = ({ start: { time, versions, revision, command } }: Run) =>
    others.map(([iteration, name], i): ResumeEvent => ({
      ...{ type: "resume", time, versions, revision, command },
      iteration,
      engine: on(name, 2 + i),
    }));
  const { engines } = await resultIn(await fixtureFolder({ samples: false }), (run) => ({
    ...{ ...run, resumes: resumesOf(run) },
    start: { ...run.start, engine: on(first, 1) },
  }));
  return engines;
}

Deno.test("a run names every engine with its iterations", async () => {
  assertEquals(await enginesOf([0, "wasm"]), [{ name: "wasm", from: 1, to: 2000 }]);
  assertEquals(
    await enginesOf([0, "wasm"], [600, "wasm"]),
    [{ name: "wasm", from: 1, to: 2000 }],
    "another number of threads is no other engine",
  );
  assertEquals(await enginesOf([0, "wasm"], [600, "wasm"], [1000, "tfjs-cpu"]), [
    { name: "wasm", from: 1, to: 1000 },
    { name: "tfjs-cpu", from: 1001, to: 2000 },
  ]);
  assertEquals(await enginesOf([0, "wasm"], [600, "tfjs-cpu"], [1000, "wasm"]), [
    { name: "wasm", from: 1, to: 600 },
    { name: "tfjs-cpu", from: 601, to: 1000 },
    { name: "wasm", from: 1001, to: 2000 },
  ]);
});

Deno.test("an engine whose iterations were all taken back is not named", async () => {
  assertEquals(await enginesOf([0, "tfjs-cpu"], [0, "wasm"]), [
    { name: "wasm", from: 1, to: 2000 },
  ]);
  assertEquals(await enginesOf([0, "wasm"], [600, "tfjs-cpu"], [600, "wasm"]), [
    { name: "wasm", from: 1, to: 2000 },
  ]);
  // The checkpoint of iteration 1,000 was damaged: the one before it counts.
  assertEquals(await enginesOf([0, "wasm"], [1000, "tfjs-cpu"], [600, "wasm"]), [
    { name: "wasm", from: 1, to: 2000 },
  ]);
});
