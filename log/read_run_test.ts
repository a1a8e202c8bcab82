import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  CLASSES,
  fixtureFolder,
  type Folder,
  readerOf,
  setText,
  TEST,
  textOf,
} from "../testing/runs/mod.ts";
import {
  logSubjectOf,
  readFolder,
  readRun,
  type Run,
  RunLogError,
  runOf,
  subjectOfReading,
} from "./mod.ts";

const LOG = "events.jsonl";

function read(folder: Folder): Promise<Run> {
  return readRun("run", readerOf(folder));
}

function linesOf(folder: Folder): string[] {
  return textOf(folder, LOG).split("\n").slice(0, -1);
}

function setLines(folder: Folder, lines: readonly string[]): void {
  setText(folder, LOG, lines.map((line) => line + "\n").join(""));
}

/** Rewrites the first line of a type. */
function changeEvent(
  folder: Folder,
  type: string,
  change: (event: Record<string, unknown>) => unknown,
): number {
  const lines = linesOf(folder);
  const at = lines.findIndex((line) => JSON.parse(line).type === type);
  assert(at >= 0, `the fixture has no ${type}`);
  lines[at] = JSON.stringify(change(JSON.parse(lines[at])));
  setLines(folder, lines);
  return at + 1;
}

async function assertRefused(folder: Folder, ...parts: string[]): Promise<void> {
  const error = await assertRejects(() => read(folder), RunLogError);
  for (const part of parts) assertStringIncludes(error.message, part);
}

Deno.test("a finished run is read whole", async () => {
  const run = await read(await fixtureFolder({ iterations: 200, logEvery: 20 }));
  assertEquals(run.start.seed, 7);
  assertEquals(run.steps.map((step) => step.iteration), [
    20,
    40,
    60,
    80,
    100,
    120,
    140,
    160,
    180,
    200,
  ]);
  assertEquals(run.outcome?.type, "end");
  assertEquals(run.finalTest?.errors, TEST.errors);
  assertEquals(run.predictions?.labels.length, TEST.images);
  assertEquals(run.predictions?.labels.slice(5, 8), [5, 6, 7]);
  assertEquals(run.predictions?.predictions.slice(5, 8), [5, 4, 7]);
  assertEquals(run.augmentedSample?.images.length, 40);
  assertEquals(run.worstMistakes?.images.length, 24);
  assertEquals(run.layerStatistics?.layers.length, 31);
  assertEquals(run.warnings, [{ iteration: 100, message: "made up for a test" }]);
});

Deno.test("of a resumed run the later lines count", async () => {
  const options = { iterations: 400, logEvery: 10, resumed: true };
  const folder = await fixtureFolder(options);
  const lines = linesOf(folder);
  assertEquals(lines.filter((line) => JSON.parse(line).type === "step").length, 50);
  // Mark what the resumed process wrote, to tell it from the lines that it replaces.
  const resume = lines.findIndex((line) => JSON.parse(line).type === "resume");
  setLines(
    folder,
    lines.map((line, i) => {
      const event = JSON.parse(line);
      return JSON.stringify(i > resume && event.type === "step" ? { ...event, loss: 42 } : event);
    }),
  );
  const run = await read(folder);
  assertEquals(
    run.steps.map((step) => step.iteration),
    Array.from({ length: 40 }, (_, i) => 10 * (i + 1)),
  );
  assertEquals(run.steps.filter((step) => step.loss === 42).length, 20);
  assertEquals(
    run.evaluations.filter((event) => event.set === "validation").map((event) => event.iteration),
    [40, 80, 120, 160, 200, 240, 280, 320, 360, 400],
  );
  assertEquals(run.resumes.length, 1);
  assertEquals(run.checkpoints.length, 1);
});

Deno.test("what a resume takes back and nobody repeats is gone", async () => {
  const folder = await fixtureFolder({ iterations: 400, logEvery: 10, resumed: true });
  const lines = linesOf(folder);
  const resume = lines.findIndex((line) => JSON.parse(line).type === "resume");
  setLines(folder, lines.slice(0, resume + 1));
  const run = await read(folder);
  assertEquals(run.steps.at(-1)?.iteration, 200);
  assertEquals(run.evaluations.at(-1)?.iteration, 200);
  assertEquals(run.outcome, undefined);
});

Deno.test("of two records of one thing the later line counts", async () => {
  const folder = await fixtureFolder({ iterations: 400, logEvery: 10, resumed: true });
  const lines = linesOf(folder);
  const resume = lines.findIndex((line) => JSON.parse(line).type === "resume");
  // The resumed process evaluates at its checkpoint again, and records the sample again.
  const again = lines.map((line) => JSON.parse(line))
    .find((event) => event.type === "evaluation" && event.iteration === 200);
  const sample = lines.findIndex((line) => JSON.parse(line).kind === "augmented-sample");
  const stale = lines[sample].replace(/"sha256":"[0-9a-f]*"/, `"sha256":"${"0".repeat(64)}"`);
  setLines(
    folder,
    lines.with(sample, stale)
      .toSpliced(resume + 1, 0, JSON.stringify({ ...again, loss: 42 }), lines[sample]),
  );
  const run = await read(folder);
  assertEquals(
    run.evaluations.filter((event) => event.iteration === 200).map((event) => event.loss),
    [42],
  );
  assertEquals(run.augmentedSample?.images.length, 40);
  assertEquals(run.files.filter((event) => event.kind === "augmented-sample").length, 1);
});

Deno.test("a last line that was cut off is dropped with a warning", async () => {
  const folder = await fixtureFolder({ ending: "none" });
  const whole = textOf(folder, LOG);
  setText(folder, LOG, whole + '{"type":"step","time":"2026-01-');
  const run = await read(folder);
  assertEquals(run.steps.at(-1)?.iteration, 1800);
  assertStringIncludes(run.warnings.at(-1)!.message, "cut off");
});

Deno.test("stopped and failed runs keep their reason and have no result", async () => {
  for (const ending of ["stop", "failure"] as const) {
    const run = await read(await fixtureFolder({ ending, text: "because" }));
    assert(run.outcome?.type === ending);
    assertEquals(run.outcome.reason, "because");
    assertEquals(run.finalTest, undefined);
    assertEquals(run.predictions, undefined);
  }
});

Deno.test("a line that is no event is refused by its number", async () => {
  const folder = await fixtureFolder();
  const lines = linesOf(folder);
  for (
    const [line, ...parts] of [
      ["", "line 5", "JSON"],
      ['{"type":"step"', "line 5", "JSON"],
      ["[]", "line 5"],
      ['{"type":"progress"}', "line 5", "type", '"progress"'],
    ]
  ) {
    setLines(folder, lines.with(4, line));
    await assertRefused(folder, ...parts);
  }
});

Deno.test("unknown, missing and impossible fields are refused by name", async () => {
  const cases: [string, (event: Record<string, unknown>) => unknown, string][] = [
    ["step", (event) => ({ ...event, accuracy: 0.5 }), "accuracy"],
    ["step", ({ loss: _, ...event }) => event, "loss"],
    ["step", (event) => ({ ...event, loss: "0.5" }), "loss"],
    ["step", (event) => ({ ...event, loss: null }), "loss"],
    ["step", (event) => ({ ...event, error: 1.5 }), "error"],
    ["step", (event) => ({ ...event, time: "yesterday" }), "time"],
    ["start", (event) => ({ ...event, version: 3 }), "version"],
    ["start", (event) => ({ ...event, recipe: { name: "paper" } }), "recipe"],
    [
      "file",
      (event) => ({ ...event, file: { path: "../x", sha256: "0".repeat(64), bytes: 1 } }),
      "path",
    ],
    ["file", (event) => ({ ...event, file: { path: "x", sha256: "0", bytes: 1 } }), "sha256"],
  ];
  for (const [type, change, field] of cases) {
    const folder = await fixtureFolder();
    const line = changeEvent(folder, type, change);
    await assertRefused(folder, `line ${line}`, field);
  }
});

Deno.test("a recipe that would hang or break its readers is refused by name", async () => {
  const { recipe } = JSON.parse(linesOf(await fixtureFolder())[0]);
  const { data, architecture } = recipe;
  const cases: [object, string][] = [
    [{ seed: 1e308 }, "seed"],
    [{ seed: 2 ** 32 }, "seed"],
    [{ recipe: { ...recipe, batchSize: 2 ** 32 } }, "recipe.batchSize"],
    [{ recipe: { ...recipe, batchSize: 0 } }, "recipe.batchSize"],
    [{ recipe: { ...recipe, data: { ...data, cropPadding: 128 } } }, "recipe.data.cropPadding"],
    [
      { recipe: { ...recipe, data: { ...data, split: { training: 45_001, validation: 5000 } } } },
      "the split",
    ],
    [
      { recipe: { ...recipe, architecture: { ...architecture, name: "resnet6000002" } } },
      "recipe.architecture.name",
    ],
    [
      {
        recipe: {
          ...recipe,
          batchSize: 45_001,
          data: { ...data, epochEnd: "drop-partial" },
        },
      },
      "one whole batch",
    ],
  ];
  for (const [change, part] of cases) {
    const folder = await fixtureFolder();
    changeEvent(folder, "start", (event) => ({ ...event, ...change }));
    await assertRefused(folder, "line 1", part);
  }
});

Deno.test("a log out of order is refused", async () => {
  const lines = linesOf(await fixtureFolder());
  const steps = lines.filter((line) => JSON.parse(line).type === "step");
  for (
    const [changed, part] of [
      [lines.slice(1), "start"],
      [[], "start"],
      [[...lines, lines[0]], "second"],
      [[...lines, steps[0]], "end"],
      [[lines[0], steps[1], steps[0]], "line 3"],
      [[lines[0], steps[0], steps[0]], "line 3"],
    ] as const
  ) {
    const folder = await fixtureFolder();
    setLines(folder, changed);
    await assertRefused(folder, part);
  }
});

Deno.test("a named file that was changed or is missing is refused by name", async () => {
  for (const path of ["predictions.csv", "augmented.json", "mistakes.json", "layers.json"]) {
    const changed = await fixtureFolder();
    setText(changed, path, textOf(changed, path) + " ");
    await assertRefused(changed, path, "SHA-256");
    const missing = await fixtureFolder();
    missing.delete(path);
    // Pictures of a data set may not be passed on, and a run is read without them.
    if (path === "augmented.json" || path === "mistakes.json") {
      const { warnings } = await read(missing);
      assertStringIncludes(warnings.map(({ message }) => message).join(), path);
    } else await assertRefused(missing, path);
  }
  await assertRefused(new Map(), LOG);
});

Deno.test("a result that the log or the predictions contradict is refused", async () => {
  const better = await fixtureFolder();
  changeEvent(better, "end", (event) => ({ ...event, testError: 0.05 }));
  await assertRefused(better, "0.05", "751/10000");

  const elsewhere = await fixtureFolder();
  changeEvent(elsewhere, "end", (event) => ({ ...event, iteration: 1999 }));
  await assertRefused(elsewhere, "1999");

  for (
    const [change, part] of [
      [(text: string) => text.replace("6,4\r\n", "6,6\r\n"), "found 750"],
      [(text: string) => text.replace("1,1\r\n", ""), "in 9999"],
      [(text: string) => text.replace("1,1\r\n", "1,10\r\n"), "line 3"],
      [(text: string) => text.replace("label,", "class,"), "header"],
    ] as const
  ) {
    const folder = await fixtureFolder();
    await replaceFile(folder, "predictions.csv", change);
    await assertRefused(folder, "predictions.csv", part);
  }
});

Deno.test("sample images of another size or class are refused", async () => {
  for (
    const [change, part] of [
      [(text: string) => text.replace('"height":32', '"height":31'), "expected 2976 bytes"],
      [(text: string) => text.replace('"label":0', '"label":10'), `below ${CLASSES.length}`],
      [(text: string) => text.replace('"flip":false', '"flip":0'), "flip"],
    ] as const
  ) {
    const folder = await fixtureFolder();
    await replaceFile(folder, "augmented.json", change);
    await assertRefused(folder, part);
  }
});

/** Changes a file and the hash that the log gives for it. */
async function replaceFile(
  folder: Folder,
  path: string,
  change: (text: string) => string,
): Promise<void> {
  const sha256 = async () =>
    new Uint8Array(await crypto.subtle.digest("SHA-256", folder.get(path)!)).toHex();
  const before = await sha256();
  const text = change(textOf(folder, path));
  assert(text !== textOf(folder, path), `the change to ${path} does nothing`);
  setText(folder, path, text);
  setText(folder, LOG, textOf(folder, LOG).replace(before, await sha256()));
}

Deno.test("both views of a run follow from one reading of each file", async () => {
  const folder = await fixtureFolder();
  const reader = readerOf(folder);
  const reads: string[] = [];
  const reading = await readFolder("run", (path) => {
    reads.push(path);
    return reader(path);
  });
  assertEquals(reads.toSorted(), [...new Set(reads)].toSorted());
  assertEquals(reading.logSha256.length, 64);
  assertEquals(runOf(reading), await read(folder));
  assertEquals(subjectOfReading(reading), await logSubjectOf("run", reader));
  assertEquals(subjectOfReading(reading).predictions, runOf(reading).predictions);
});

Deno.test("a log that would keep its readers busy is refused, or cut", async () => {
  const many = await fixtureFolder();
  changeEvent(many, "start", (event) => ({
    ...event,
    classes: Array.from({ length: 12_000 }, (_, i) => `${i}`),
  }));
  await assertRefused(many, "line 1", "classes");
  const deep = await fixtureFolder();
  changeEvent(deep, "start", (event) => {
    const { recipe } = event as { recipe: { architecture: object } };
    return {
      ...event,
      recipe: { ...recipe, architecture: { ...recipe.architecture, name: "resnet9998" } },
    };
  });
  await assertRefused(deep, "recipe.architecture.name", "2000 layers");
  const warned = await fixtureFolder({ ending: "none" });
  const warning = linesOf(warned).find((line) => JSON.parse(line).type === "warning")!;
  setLines(warned, [...linesOf(warned), ...Array.from({ length: 5_000 }, () => warning)]);
  const run = await read(warned);
  assertEquals(run.warnings.length, 201);
  assertStringIncludes(run.warnings[200].message, "4801 more warnings");
});

Deno.test("a run whose pictures were not passed on is read, and its reader is told", async () => {
  const folder = await fixtureFolder();
  const names = ["augmented.json", "mistakes.json"];
  for (const name of names) assert([...folder.keys()].includes(name) && folder.delete(name));
  const run = await read(folder);
  assertEquals([run.augmentedSample, run.worstMistakes], [undefined, undefined]);
  const told = run.warnings.map(({ message }) => message).join();
  for (const name of names) assertStringIncludes(told, name);
  assertEquals(
    run.predictions?.labels.length,
    (await read(await fixtureFolder())).predictions?.labels.length,
  );
});
