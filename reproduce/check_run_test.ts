import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { createHash } from "node:crypto";
import { planHash, plannedRecipe, type ReproductionPlan } from "../verdicts/mod.ts";
import { eventsIn } from "../testing/runs/mod.ts";
import { jobOptions, planIn, REQUEST } from "./_fixture.ts";
import { checkRun, checkRuns, runState } from "./check_run.ts";
import { ReproductionError } from "./errors.ts";
import { runQueue } from "./queue.ts";
import { train } from "../train/mod.ts";

const SMALL = { ...REQUEST, architectures: ["resnet8"], seeds: [0, 1] };

/** A job whose first run is finished, and whose second was stopped after step 90. */
async function inJob(
  body: (runs: string, plan: ReproductionPlan) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "reproduce-test-" });
  try {
    const plan = await planIn(folder, SMALL);
    const abort = new AbortController();
    await runQueue(jobOptions(folder, plan, {
      signal: abort.signal,
      onProgress: ({ seed }, { iteration }) => seed === 1 && iteration >= 90 && abort.abort("TERM"),
    }));
    await body(`${folder}/runs`, plan);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function refusal(folder: string, plan: ReproductionPlan): Promise<string> {
  const { message } = await assertRejects(() => checkRun(folder, plan), ReproductionError);
  const name = folder.slice(folder.lastIndexOf("/") + 1);
  assert(message.startsWith(`the run ${name} can't count: `), message);
  return message;
}

/** Replaces a text in a file, which must have it. */
async function edit(path: string, from: string | RegExp, to: string): Promise<void> {
  const text = await Deno.readTextFile(path);
  const edited = text.replace(from, to);
  assert(edited !== text, `${from} is not in ${path}`);
  await Deno.writeTextFile(path, edited);
}

/** Writes a log's hashes anew, as somebody would who knows of them. */
async function reseal(folder: string): Promise<void> {
  let log = "";
  for (const event of eventsIn(folder)) {
    const logSha256 = createHash("sha256").update(log).digest("hex");
    log += JSON.stringify("logSha256" in event ? { ...event, logSha256 } : event) + "\n";
  }
  await Deno.writeTextFile(`${folder}/events.jsonl`, log);
}

Deno.test("checkRun: a finished and a stopped run pass, with what they come to", () =>
  inJob(async (runs, plan) => {
    const finished = await checkRun(`${runs}/resnet8-seed0`, plan);
    const end = eventsIn(finished.folder).at(-1);
    assert(end?.type === "end");
    assertEquals(
      [finished.state, finished.iteration, finished.judged],
      ["finished", 120, {
        ...{ seed: 0, outcome: "finished", testError: end.testError, testImages: 2_000 },
      }],
    );
    const stopped = await checkRun(`${runs}/resnet8-seed1`, plan);
    assertEquals([stopped.state, stopped.judged], ["begun", undefined]);
    const { state } = await checkRun(`${runs}/resnet8-seed1`, { ...plan });
    assertEquals(state, "begun");
  }));

Deno.test("checkRun: the hash in a log's last line is that of the bytes before it", () =>
  inJob(async (runs) => {
    const text = await Deno.readTextFile(`${runs}/resnet8-seed0/events.jsonl`);
    const lastLine = text.lastIndexOf("\n", text.length - 2) + 1;
    const { logSha256 } = JSON.parse(text.slice(lastLine));
    const bytes = new TextEncoder().encode(text.slice(0, lastLine));
    const digest = await crypto.subtle.digest("SHA-256", bytes);
    assertEquals(logSha256, new Uint8Array(digest).toHex());
  }));

Deno.test("checkRun: a log that was altered is refused", () =>
  inJob(async (runs, plan) => {
    for (const name of ["resnet8-seed0", "resnet8-seed1"]) {
      const log = `${runs}/${name}/events.jsonl`;
      const whole = await Deno.readTextFile(log);
      const altered = "the log was altered after it was written";
      // A training loss, a line taken out, a line put in.
      await edit(log, /"loss":\d/, `"loss":7`);
      assertStringIncludes(await refusal(`${runs}/${name}`, plan), altered);
      await Deno.writeTextFile(log, whole.replace(/.*"type":"step".*\n/, ""));
      assertStringIncludes(await refusal(`${runs}/${name}`, plan), altered);
      const warning =
        `{"type":"warning","time":"2026-01-01T00:00:00Z","iteration":1,"message":""}\n`;
      await Deno.writeTextFile(log, whole.replace("\n", `\n${warning}`));
      assertStringIncludes(await refusal(`${runs}/${name}`, plan), altered);
      // The hashes taken out of it, too.
      await Deno.writeTextFile(log, whole.replaceAll(/,"logSha256":"[0-9a-f]+"/g, ""));
      assertStringIncludes(await refusal(`${runs}/${name}`, plan), "must have the hash");
      await Deno.writeTextFile(log, whole);
      await checkRun(`${runs}/${name}`, plan);
    }
  }));

Deno.test("checkRun: a better error is refused by the predictions, even with the hashes right", () =>
  inJob(async (runs, plan) => {
    const folder = `${runs}/resnet8-seed0`;
    const [test] = eventsIn(folder).filter((event) =>
      event.type === "evaluation" && event.set === "test"
    );
    assert(test.type === "evaluation");
    const said = `"images":2000,"errors":${test.errors},"error":${test.error}`;
    const better = `"images":2000,"errors":100,"error":0.05`;
    await edit(`${folder}/events.jsonl`, said, better);
    await edit(`${folder}/events.jsonl`, `"testError":${test.error}`, `"testError":0.05`);
    await reseal(folder);
    assertStringIncludes(await refusal(folder, plan), "predictions are wrong, the log says 100");
  }));

Deno.test("checkRun: a checkpoint, weights or predictions that are not the log's are refused", () =>
  inJob(async (runs, plan) => {
    const damage = async (path: string) => {
      const bytes = await Deno.readFile(path);
      bytes[bytes.length - 5] ^= 1;
      await Deno.writeFile(path, bytes);
    };
    await damage(`${runs}/resnet8-seed1/checkpoint-80.safetensors`);
    const begun = await refusal(`${runs}/resnet8-seed1`, plan);
    assertStringIncludes(begun, "the SHA-256 of checkpoint-80.safetensors must be ");
    assertStringIncludes(begun, "remove the file, and the run goes on from the checkpoint before");
    await Deno.remove(`${runs}/resnet8-seed1/checkpoint-80.safetensors`);
    await checkRun(`${runs}/resnet8-seed1`, plan);

    const folder = `${runs}/resnet8-seed0`;
    for (const file of ["checkpoint-120.safetensors", "weights.safetensors", "predictions.csv"]) {
      const whole = await Deno.readFile(`${folder}/${file}`);
      await damage(`${folder}/${file}`);
      assertStringIncludes(await refusal(folder, plan), file);
      await Deno.writeFile(`${folder}/${file}`, whole);
    }
    await Deno.remove(`${folder}/predictions.csv`);
    assertStringIncludes(await refusal(folder, plan), "predictions");
  }));

Deno.test("checkRun: a run that was begun under another plan, or under none, is refused", () =>
  inJob(async (runs, plan) => {
    const other = { ...plan, margin: 0.01 };
    assertStringIncludes(
      await refusal(`${runs}/resnet8-seed0`, other),
      `begun under the plan ${planHash(other)}, found ${planHash(plan)}`,
    );
    await Deno.remove(`${runs}/resnet8-seed1`, { recursive: true });
    const { engine, dataset, versions, revision, command } = jobOptions(runs, plan);
    const { factory, reason } = await engine();
    await train({
      ...{ engine: factory, engineReason: reason, dataset, versions, revision, command },
      ...{
        recipe: plannedRecipe(plan, { architecture: "resnet8", recipe: "paper" }),
        seed: 1,
        out: `${runs}/resnet8-seed1`,
      },
      ...{ logEvery: 10, evalEvery: 100, checkpointEvery: 100 },
    });
    assertStringIncludes(await refusal(`${runs}/resnet8-seed1`, plan), "found none");
  }));

Deno.test("checkRun: a run on other data, by another recipe, or of another seed is refused", () =>
  inJob(async (runs, plan) => {
    const folder = `${runs}/resnet8-seed0`;
    const log = `${folder}/events.jsonl`;
    const whole = await Deno.readTextFile(log);
    const table: [string, string, string][] = [
      [plan.dataHashes["black pixels"], "0".repeat(64), `"black pixels" must be`],
      [`"weightDecay":0.0001`, `"weightDecay":0`, "its recipe is not the planned one"],
      [`"seed":0`, `"seed":1`, "of resnet8 and seed 1, which is resnet8-seed1's"],
      [`"seed":0`, `"seed":9`, "of resnet8 and seed 9;"],
    ];
    for (const [from, to, problem] of table) {
      await edit(log, from, to);
      await reseal(folder);
      assertStringIncludes(await refusal(folder, plan), problem);
      await Deno.writeTextFile(log, whole);
    }
  }));

Deno.test("checkRun: one run under two names is a repeated seed, and is refused", () =>
  inJob(async (runs, plan) => {
    await Deno.remove(`${runs}/resnet8-seed1`, { recursive: true });
    await Deno.rename(`${runs}/resnet8-seed0`, `${runs}/resnet8-seed1`);
    assertStringIncludes(
      await refusal(`${runs}/resnet8-seed1`, plan),
      "its log is of resnet8 and seed 0, which is resnet8-seed0's",
    );
  }));

Deno.test("checkRun: one reading's run in the other's folder is refused", async () => {
  const folder = await Deno.makeTempDir({ prefix: "reproduce-test-" });
  try {
    const both = { ...SMALL, seeds: [0], recipe: ["paper", "paper-50k"] };
    const plan = await planIn(folder, both);
    await runQueue(jobOptions(folder, plan, { index: 0 }));
    await Deno.rename(
      `${folder}/runs/resnet8-paper-seed0`,
      `${folder}/runs/resnet8-paper-50k-seed0`,
    );
    assertStringIncludes(
      await refusal(`${folder}/runs/resnet8-paper-50k-seed0`, plan),
      "its log is of resnet8 and seed 0, which is resnet8-paper-seed0's",
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("checkRuns: a run that was not planned, and one without its log, are refused", () =>
  inJob(async (runs, plan) => {
    const job = runs.slice(0, runs.lastIndexOf("/"));
    assertEquals((await checkRuns(job, plan)).map(({ state }) => state), ["finished", "begun"]);
    await Deno.remove(`${runs}/resnet8-seed1/events.jsonl`);
    const error = await assertRejects(() => checkRuns(job, plan), ReproductionError);
    assertStringIncludes(error.message, "resnet8-seed1 can't count: it has ");
    await Deno.remove(`${runs}/resnet8-seed1`, { recursive: true });
    assertEquals((await checkRuns(job, plan)).map(({ state }) => state), ["finished", "to do"]);
    await Deno.mkdir(`${runs}/resnet8-seed7`);
    const unplanned = await assertRejects(() => checkRuns(job, plan), ReproductionError);
    assertStringIncludes(unplanned.message, "resnet8-seed7 can't count: it was not planned");
  }));

Deno.test("runQueue: a run that can't count is refused before anything is trained", () =>
  inJob(async (runs, plan) => {
    const job = runs.slice(0, runs.lastIndexOf("/"));
    const engine = () => Promise.reject(new Error("nothing may be trained"));
    await edit(`${runs}/resnet8-seed0/events.jsonl`, /"loss":\d/, `"loss":7`);
    await assertRejects(
      () => runQueue(jobOptions(job, plan, { engine })),
      ReproductionError,
      "resnet8-seed0 can't count",
    );
    await edit(`${runs}/resnet8-seed1/events.jsonl`, /"loss":\d/, `"loss":7`);
    await assertRejects(
      () => runQueue(jobOptions(job, plan, { engine, index: 1 })),
      ReproductionError,
      "resnet8-seed1 can't count",
    );
    assertEquals(await runState(`${runs}/resnet8-seed1`), "begun");
  }));
