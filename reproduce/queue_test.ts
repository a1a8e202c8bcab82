import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Engine, EngineError, type EngineFactory } from "../engine/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { planHash } from "../verdicts/mod.ts";
import { nullEngineFactory } from "../testing/mod.ts";
import { eventsIn, measured } from "../testing/runs/mod.ts";
import { DATASET, jobOptions, planIn, REQUEST } from "./_fixture.ts";
import { checkRun, checkRuns } from "./check_run.ts";
import { writeSetReport } from "../reports/mod.ts";
import { conclude } from "./conclude.ts";
import { ReproductionError } from "./errors.ts";
import { plannedRuns } from "./planned.ts";
import { type QueuedRun, type QueueOptions, runQueue } from "./queue.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "reproduce-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const SMALL = { ...REQUEST, architectures: ["resnet8"], seeds: [0, 1, 2] };

/** A null engine that has a fault at step 50 of the run of seed 1. */
function faulty(fault: () => { loss: number }): Pick<QueueOptions, "engine" | "onStart"> {
  let seed: number | undefined;
  const factory: EngineFactory = {
    ...nullEngineFactory,
    async create(options): Promise<Engine> {
      const engine = await nullEngineFactory.create(options);
      const metrics = engine.metrics.bind(engine);
      engine.metrics = async () =>
        (await metrics()).map((step) =>
          seed === 1 && step.iteration === 50 ? { ...step, ...fault() } : step
        );
      return engine;
    },
  };
  return {
    engine: () => Promise.resolve({ factory, reason: "a test" }),
    onStart: (run) => seed = run.seed,
  };
}

const states = (runs: readonly QueuedRun[]) => runs.map(({ state }) => state);

Deno.test("runQueue: does every run once, in the plan's order, each under the plan's hash", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, SMALL);
    const seen: string[] = [];
    const { runs, stopped } = await runQueue(jobOptions(folder, plan, {
      onQueue: (runs) => seen.push(states(runs).join()),
    }));
    assertEquals(stopped, undefined);
    assertEquals(states(runs), ["finished", "finished", "finished"]);
    assertEquals(seen, [
      "to do,to do,to do",
      "running,to do,to do",
      "finished,to do,to do",
      "finished,running,to do",
      "finished,finished,to do",
      "finished,finished,running",
      "finished,finished,finished",
    ]);
    for (const seed of [0, 1, 2]) {
      const [start] = eventsIn(`${folder}/runs/resnet8-seed${seed}`);
      assert(start.type === "start");
      assertEquals([start.seed, start.plan], [seed, planHash(plan)]);
    }
    const again = await runQueue(jobOptions(folder, plan, {
      engine: () => Promise.reject(new Error("nothing is to do")),
    }));
    assertEquals(states(again.runs), ["finished", "finished", "finished"]);
  }));

Deno.test("runQueue: a loss that is not finite is a diverged run, final and counted", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, SMALL);
    const diverging = faulty(() => ({ loss: NaN }));
    const { runs } = await runQueue(jobOptions(folder, plan, diverging));
    assertEquals(states(runs), ["finished", "diverged", "finished"]);
    const last = eventsIn(`${folder}/runs/resnet8-seed1`).at(-1);
    assert(last?.type === "failure");
    assertEquals(last.diverged, true);
    const again = await runQueue(jobOptions(folder, plan));
    assertEquals(states(again.runs), ["finished", "diverged", "finished"]);

    const { claim, judgements } = await conclude(folder, plan);
    const [{ finished, runs: judged }] = claim.verdicts;
    assertEquals([finished, judged.length, judged[1].outcome], [2, 3, "diverged"]);
    assertEquals(judgements.filter(({ outcome }) => outcome === "fail"), []);
    assert(judgements.some(({ id, outcome }) => id === "failures-counted" && outcome === "pass"));
  }));

Deno.test("runQueue: a run that diverges in another process meanwhile is not taken up again", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, SMALL);
    const other = jobOptions(folder, plan, { ...faulty(() => ({ loss: NaN })), index: 1 });
    let others: Promise<unknown> | undefined;
    const mine = jobOptions(folder, plan);
    const { runs } = await runQueue({
      ...mine,
      // Called for the first run, when the queue has the others as still to do.
      engine: async () => {
        await (others ??= runQueue(other));
        return await mine.engine();
      },
    });
    assertEquals(states(runs), ["finished", "diverged", "finished"]);
  }));

Deno.test("runQueue: two readings in one plan are two claims, stopped, taken up and reported", () =>
  inFolder(async (folder) => {
    const conditions = { dataset: "shapes10" as const, iterations: 120 };
    const plan = await planIn(folder, {
      ...{ ...SMALL, ...conditions, recipe: ["paper", "paper-50k"] },
      references: [{
        ...{ ...conditions, source: "a test", architecture: "resnet8", testImages: 2_000 },
        ...{ error: 0.9, runs: 1 },
        spread: { standardDeviation: 0.002, runs: 5, source: "a test" },
      }],
    });
    const abort = new AbortController();
    const { runs } = await runQueue(jobOptions(folder, plan, {
      signal: abort.signal,
      onProgress: ({ recipe }, { iteration }) =>
        recipe === "paper-50k" && iteration > 60 && abort.abort("TERM"),
    }));
    assertEquals(states(runs).join(), "finished,finished,finished,running,to do,to do");
    assertEquals(
      states((await runQueue(jobOptions(folder, plan, { index: 5 }))).runs)[5],
      "finished",
    );
    // Nothing is said of a claim while its runs are not over.
    const early = await conclude(folder, plan);
    assertEquals(early.claim.verdicts.map(({ finished }) => finished), [3, 1]);
    assertStringIncludes(early.claim.verdicts[1].sentence, "1 of 3 planned runs are over");
    assertEquals(early.judgements, []);

    await runQueue(jobOptions(folder, plan));
    const { claim: { verdicts }, judgements } = await conclude(folder, plan);
    assertEquals(verdicts.map(({ planned: { recipe }, finished }) => [recipe, finished]), [
      ...[["paper", 3], ["paper-50k", 3]],
    ]);
    assertEquals(verdicts.map(({ asPaperNet }) => asPaperNet !== undefined), [true, true]);
    const broken = judgements.filter(({ outcome }) => outcome === "fail" || outcome === "defect");
    // The null engine learns nothing: its runs are all alike, which is a rule's to say.
    assertEquals(broken.map(({ id }) => id), ["not-too-good"]);
    for (const name of ["resnet8-paper-seed1", "resnet8-paper-50k-seed1"]) {
      const [start] = eventsIn(`${folder}/runs/${name}`);
      assert(start.type === "start");
      const { training } = start.recipe.data.split;
      assertEquals(training, name.includes("50k") ? 10_000 : 9_000);
    }

    const { markdown, json } = await writeSetReport([folder], folder);
    const { groups, judgements: judged } = JSON.parse(await Deno.readTextFile(json));
    const of = (
      group: { recipe: string; nets: { verdict: { kind: string } }[] },
    ) => [group.recipe, group.nets.map(({ verdict }) => verdict.kind)];
    assertEquals(groups.map(of), [
      ["paper", [verdicts[0].kind]],
      ["paper-50k", [verdicts[1].kind]],
    ]);
    assertEquals(judged, judgements);
    const text = await Deno.readTextFile(markdown);
    for (const { planned: { recipe }, sentence } of verdicts) {
      assertStringIncludes(text, `- ResNet-8, recipe “${recipe}”: ${sentence.slice(0, 60)}`);
    }
    assertStringIncludes(text, "Recipes, each a claim of its own on each network");
  }));

Deno.test("runQueue: an engine that gives out ends the job, and the same call goes on", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, SMALL);
    const failing = faulty(() => {
      throw new EngineError("the GPU was lost");
    });
    await assertRejects(
      () => runQueue(jobOptions(folder, plan, failing)),
      EngineError,
      "the GPU was lost",
    );
    const before = await checkRuns(folder, plan);
    assertEquals(before.map(({ state }) => state), ["finished", "failed", "to do"]);
    assertEquals(before.map(({ iteration }) => iteration), [120, 40, 0]);
    const unfinished = await conclude(folder, plan);
    assertEquals([unfinished.judgements.length, unfinished.claim.verdicts[0].finished], [0, 1]);
    const { runs } = await runQueue(jobOptions(folder, plan));
    assertEquals(states(runs), ["finished", "finished", "finished"]);
  }));

Deno.test("runQueue: stops with a checkpoint when it is asked to, and goes on", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, SMALL);
    const abort = new AbortController();
    const { runs, stopped } = await runQueue(jobOptions(folder, plan, {
      signal: abort.signal,
      onProgress: ({ seed }, { iteration }) => seed === 1 && iteration > 60 && abort.abort("TERM"),
    }));
    assertEquals(stopped?.reason, "TERM");
    assertEquals(states(runs), ["finished", "running", "to do"]);
    const checked = await checkRun(`${folder}/runs/resnet8-seed1`, plan);
    assertEquals([checked.state, checked.iteration], ["begun", stopped?.iteration]);
    assertEquals(states((await runQueue(jobOptions(folder, plan))).runs), [
      ...["finished", "finished", "finished"],
    ]);
  }));

Deno.test("runQueue: an index that the plan does not have is refused", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, SMALL);
    await assertRejects(
      () => runQueue(jobOptions(folder, plan, { index: 3 })),
      ReproductionError,
      "it has 3, from index 0 to 2, found 3",
    );
  }));

Deno.test("runQueue: a clock that was set back begins no run, and seconds are waited for", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, { ...SMALL, seeds: [0] });
    const { now } = Date;
    try {
      Date.now = () => now() - 3_600_000;
      const error = await assertRejects(
        () => runQueue(jobOptions(folder, plan)),
        ReproductionError,
      );
      assertStringIncludes(error.message, "set the clock");
    } finally {
      Date.now = now;
    }
    assertEquals([...Deno.readDirSync(`${folder}/runs`)], []);
    const soon = { ...plan, written: new Date(now() + 300).toISOString() };
    await Deno.writeTextFile(`${folder}/plan.json`, JSON.stringify(soon));
    const { runs } = await runQueue(jobOptions(folder, soon));
    assertEquals(states(runs), ["finished"]);
    const [start] = eventsIn(`${folder}/runs/resnet8-seed0`);
    assert(Date.parse(start.time) >= Date.parse(soon.written));
  }));

Deno.test("runQueue: other images than the planned ones are refused before the first line", () =>
  inFolder(async (folder) => {
    const plan = await planIn(folder, SMALL);
    const hashes = { "black pixels": "0".repeat(64) };
    const error = await assertRejects(
      () =>
        runQueue(
          jobOptions(folder, plan, { dataset: () => Promise.resolve({ ...DATASET, hashes }) }),
        ),
      ReproductionError,
    );
    assertStringIncludes(
      error.message,
      `"black pixels" must be ${plan.dataHashes["black pixels"]}`,
    );
    assertEquals([...Deno.readDirSync(`${folder}/runs`)], []);
  }));

/** A process of the job: what it printed, and how to kill it. */
function startChild(folder: string, index: number, stallAt: number) {
  const room = new URL(".", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-check", "--no-prompt", "--cached-only"],
      ...[`--allow-read=${folder}`, `--allow-write=${folder}`],
      ...[new URL("_stalling_child.ts", room).href, folder, `${index}`, `${stallAt}`],
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  return {
    /** The one line that it prints: where it stands still, or its run's state. */
    async line(): Promise<string> {
      return ((await output.read()).value ?? "").trim();
    },
    async end(kill: boolean): Promise<void> {
      if (kill) child.kill("SIGKILL");
      const { success, signal } = await child.status;
      await output.cancel();
      assertEquals(signal, kill ? "SIGKILL" : null);
      assertEquals(success, !kill);
    },
  };
}

Deno.test("eight indices as processes, killed at random, come to what one process does in a row", () =>
  inFolder(async (folder) => {
    const [row, many] = [`${folder}/row`, `${folder}/many`];
    const plan = await planIn(row);
    await Deno.mkdir(many);
    await Deno.copyFile(`${row}/plan.json`, `${many}/plan.json`);
    await runQueue(jobOptions(row, plan));

    const random = new RandomStream(7, "probe", 0);
    const indices = plannedRuns(plan).map(({ index }) => index);
    const [counted, operations] = await lineOf(many, 0);
    assertEquals(counted, "finished");
    assert(Number(operations) > 60, `${operations} operations`);
    await Deno.remove(`${many}/runs`, { recursive: true });

    // Each index is begun, stands still somewhere, and is killed there.
    const first = indices.map((index) => {
      // Eight operations take the lock and write the first line.
      const moment = 8 + random.below(Number(operations) - 8);
      return startChild(many, index, moment);
    });
    for (const child of first) assertStringIncludes(await child.line(), "in ");
    // Meanwhile a second process on two of them finds them taken.
    for (const index of [2, 5]) assertEquals((await lineOf(many, index))[0], "elsewhere");
    await Promise.all(first.map((child) => child.end(true)));
    // To the end, with two processes on two of the indices at the same time.
    const last = [...indices, 2, 5].map((index) => startChild(many, index, 0));
    const lines = await Promise.all(last.map((child) => child.line()));
    await Promise.all(last.map((child) => child.end(false)));
    const found = lines.map((line) => line.split(" ")[0]);
    for (const index of indices) {
      const twin = index === 2 ? found[8] : index === 5 ? found[9] : undefined;
      const both = [found[index], ...(twin ? [twin] : [])];
      assert(both.includes("finished"), `run ${index}: ${both}`);
      for (const state of both) assert(["finished", "elsewhere"].includes(state), state);
    }

    const results = await Promise.all([row, many].map((job) => conclude(job, plan)));
    const [alone, together] = results.map(({ claim }) => claim);
    assertEquals(together, alone);
    for (const { name } of plannedRuns(plan)) {
      const [a, b] = [`${row}/runs/${name}`, `${many}/runs/${name}`];
      assertEquals(measured(b), measured(a), name);
      for (const file of ["weights.safetensors", "predictions.csv", "layer-statistics.json"]) {
        assertEquals(await Deno.readFile(`${b}/${file}`), await Deno.readFile(`${a}/${file}`));
      }
    }
    for (const { judgements } of results) {
      assertEquals(judgements.filter(({ outcome }) => outcome === "fail"), []);
    }
  }));

/** What a process on an index prints that nobody kills. */
async function lineOf(folder: string, index: number): Promise<string[]> {
  const child = startChild(folder, index, 0);
  const line = await child.line();
  await child.end(false);
  return line.split(" ");
}
