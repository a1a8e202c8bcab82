import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import {
  type Engine,
  EngineError,
  type EngineFactory,
  type StepMetrics,
  wasmEngine,
} from "../engine/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { decodeSafetensors } from "../weights/mod.ts";
import { architecture, initialise, WeightFileError } from "../resnet/mod.ts";
import { TrainingError } from "./_checks.ts";
import { eventsIn, measured, plateauRun, tinyDataset, tinyRun } from "../testing/runs/mod.ts";
import { nullEngineFactory } from "../testing/mod.ts";
import { logSubjectOf, readRun, RunError, RunFolder } from "../log/mod.ts";
import type { FinishedResult, TrainOptions, TrainResult } from "./options.ts";
import { paper, vary, withIterations } from "../recipes/mod.ts";
import { train } from "./train.ts";

/** Runs `body` with a new folder's path, and removes the folder. */
async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "train-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function finished(result: TrainResult): FinishedResult {
  assert(result.outcome === "finished", `the run must finish, found ${result.outcome}`);
  return result;
}

const hashOf = async (options: TrainOptions) => finished(await train(options)).weights.sha256;

/** An engine whose step metrics or state are changed on their way out. */
function altered(
  change: (metrics: StepMetrics) => StepMetrics,
  before: (iteration: number) => void = () => {},
): EngineFactory {
  return {
    ...nullEngineFactory,
    async create(options): Promise<Engine> {
      const engine = await nullEngineFactory.create(options);
      const { step, metrics } = engine;
      let iteration = 0;
      engine.step = (plan, rate) => {
        before(++iteration);
        step.call(engine, plan, rate);
      };
      engine.metrics = async () => (await metrics.call(engine)).map(change);
      return engine;
    },
  };
}

Deno.test("the same seed gives the same weights and another seed others", () =>
  inFolder(async (folder) => {
    const first = await hashOf(tinyRun(`${folder}/a`));
    assertEquals(await hashOf(tinyRun(`${folder}/b`)), first);
    assertEquals(measured(`${folder}/a`), measured(`${folder}/b`));
    assertNotEquals(await hashOf(tinyRun(`${folder}/c`, { seed: 6 })), first);
  }));

Deno.test("a step that mixed precision skips is a warning with its scale, in the log and at once", () =>
  inFolder(async (folder) => {
    const engine = altered((step) =>
      step.iteration === 2 ? { ...step, lossScale: 65536, skipped: true } : step
    );
    const heard: string[] = [];
    const onWarning = (message: string) => heard.push(message);
    finished(await train(tinyRun(`${folder}/a`, { engine, onWarning })));
    const message =
      "a gradient left half precision's range: the step was skipped and the loss's scale halved, from 65536 to 32768";
    const events = (await Deno.readTextFile(`${folder}/a/events.jsonl`)).trim().split("\n")
      .map((line) => JSON.parse(line)).filter(({ type }) => type === "warning");
    assertEquals(events.map(({ iteration, message }) => [iteration, message]), [[2, message]]);
    assertEquals(heard, [message]);
  }));

Deno.test("a run whose log would be longer than is read is not begun", () =>
  inFolder(async (folder) => {
    const long = { recipe: withIterations(paper("resnet8"), 400_000), logEvery: 1 };
    const error = await assertRejects(() => train(tinyRun(`${folder}/a`, long)), RunError);
    assert(error.message.includes("--log-every"), error.message);
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("a finished run's folder holds what the log names", () =>
  inFolder(async (folder) => {
    const result = finished(await train(tinyRun(folder)));
    const events = eventsIn(folder);
    assertEquals(events.map(({ type }) => type).filter((type) => type !== "step"), [
      ...["start", "file", "file", "rate"],
      ...["checkpoint", "evaluation", "checkpoint"], // 20, 30, 40
      ...["evaluation", "checkpoint", "rate", "checkpoint"], // 60, 60, 61, 80
      ...["evaluation", "rate", "checkpoint", "evaluation", "checkpoint"], // 90, 91, 100, 120, 120
      ...["evaluation", "file", "file", "file", "end"],
    ]);
    const steps = events.filter((event) => event.type === "step");
    // 17 windows of 7 steps, and the last step.
    assertEquals(steps.map(({ iteration }) => iteration), [
      ...Array.from({ length: 17 }, (_, i) => 7 * (i + 1)),
      120,
    ]);
    assertEquals(steps.at(-1)?.steps, 1);
    // Boundaries at half and three quarters of 120: of each change the log has the first step.
    const rates = events.filter((event) => event.type === "rate");
    assertEquals(
      rates.map(({ iteration, epoch, learningRate }) => [iteration, epoch, learningRate]),
      // 11.25 steps are an epoch.
      [[1, 0, 0.1], [61, 60 / 11.25, 0.01], [91, 8, 0.001]],
    );
    assertEquals(
      steps.map(({ iteration, learningRate }) => [iteration, learningRate])
        .filter(([iteration]) => [56, 63, 84, 91, 98].includes(iteration)),
      [[56, 0.1], [63, 0.01], [84, 0.01], [91, 0.001], [98, 0.001]],
    );
    const predictions = await Deno.readTextFile(`${folder}/predictions.csv`);
    const rows = predictions.trimEnd().split("\n").slice(1).map((row) => row.split(","));
    assertEquals(rows.length, 40);
    assertEquals(
      rows.filter(([label, prediction]) => label !== prediction).length,
      result.testErrors,
    );
    assertEquals(result.testError, result.testErrors / 40);
    const mistakes = JSON.parse(await Deno.readTextFile(`${folder}/worst-mistakes.json`));
    assertEquals(mistakes.images.length, Math.min(32, result.testErrors));
    const sure = mistakes.images.map(({ confidence }: { confidence: number }) => confidence);
    assertEquals(sure, sure.toSorted((a: number, b: number) => b - a));
    const layers = JSON.parse(await Deno.readTextFile(`${folder}/layer-statistics.json`));
    assertEquals(layers.layers.length, 7); // depth 8 less the dense layer
    assert(layers.layers.every(({ std }: { std: number }) => std > 0));
    const kept = [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => name.startsWith("checkpoint")).sort();
    assertEquals(kept, ["checkpoint-100.safetensors", "checkpoint-120.safetensors"]);
  }));

Deno.test("of many classes the log has the top-5 error beside the error; of few it has none", () =>
  inFolder(async (folder) => {
    const classes = 25;
    const random = new RandomStream(9, "probe", 0);
    const seen = new Map<string, number>();
    const engine: EngineFactory = {
      ...nullEngineFactory,
      async create(options): Promise<Engine> {
        const engine = await nullEngineFactory.create(options);
        engine.evaluate = (set, indices = Uint32Array.from({ length: 40 }, (_, i) => i)) => {
          const rows = Array.from(
            indices,
            () => Array.from({ length: classes }, () => Math.fround(random.uniform())),
          );
          // By sorting, where what is tested counts.
          const order = rows.map((row) => row.map((_, k) => k).sort((a, b) => row[b] - row[a]));
          const without = (first: number) =>
            order.filter((best, i) => !best.slice(0, first).includes(indices[i] % classes)).length;
          seen.set(set, without(5));
          return Promise.resolve({
            ...{ images: indices.length, errors: without(1), loss: 1 },
            logits: Float32Array.from(rows.flat()),
            predictions: Uint8Array.from(order, ([best]) => best),
          });
        };
        return engine;
      },
    };
    const { train: images, test, ...tiny } = tinyDataset();
    const many = (of: typeof images) => ({
      ...of,
      classes,
      labels: Uint8Array.from({ length: of.count }, (_, i) => i % classes),
    });
    const dataset = () =>
      Promise.resolve({
        ...{ ...tiny, train: many(images), test: many(test) },
        classNames: Array.from({ length: classes }, (_, k) => `${k}`),
      });
    const result = finished(await train(tinyRun(`${folder}/a`, { dataset, engine })));
    assertEquals(result.testErrors5, seen.get("test"));
    assert(result.testErrors5! > 0 && result.testErrors5! < result.testErrors);
    const tests = eventsIn(`${folder}/a`).filter((event) => event.type === "evaluation");
    assertEquals(tests.at(-1)!.error5, result.testErrors5! / 40);
    assertEquals(tests.at(-2)!.errors5, seen.get("train"));
    const again = finished(await train(tinyRun(`${folder}/a`, { dataset, engine })));
    assertEquals([again.before, again.testErrors5], [true, result.testErrors5]);
    assertEquals(finished(await train(tinyRun(`${folder}/b`))).testErrors5, undefined);
    for (const event of eventsIn(`${folder}/b`)) assert(!("errors5" in event));
  }));

Deno.test("the weights file holds the graph's arrays and nothing of the optimiser", () =>
  inFolder(async (folder) => {
    await train(tinyRun(folder));
    const bytes = await Deno.readFile(`${folder}/weights.safetensors`);
    const { tensors, metadata } = decodeSafetensors(bytes);
    assertEquals([...tensors.keys()].filter((name) => name.startsWith("optimiser.")), []);
    assertEquals(tensors.get("linear.weight")?.shape, [10, 64]);
    assertEquals(metadata.format, "pt");
    assertEquals(metadata.iteration, "120");
  }));

Deno.test("a run that was stopped in the middle of a window goes on to the same end", () =>
  inFolder(async (folder) => {
    const whole = await hashOf(tinyRun(`${folder}/whole`));
    for (const stopAfter of [1, 33, 40, 119]) {
      const out = `${folder}/${stopAfter}`;
      const stopped = await train(tinyRun(out, { stopAfter }));
      assertEquals(stopped.outcome, "stopped");
      assertEquals(stopped.iteration, stopAfter);
      assertEquals(eventsIn(out).at(-1)?.type, "stop");
      assertEquals(await hashOf(tinyRun(out)), whole);
      assertEquals(measured(out), measured(`${folder}/whole`));
    }
  }));

Deno.test("an aborted run saves the step that it took and goes on to the same end", () =>
  inFolder(async (folder) => {
    const whole = await hashOf(tinyRun(`${folder}/whole`));
    const abort = new AbortController();
    const out = `${folder}/aborted`;
    const stopped = await train(tinyRun(out, {
      signal: abort.signal,
      onProgress: ({ iteration }) => iteration >= 50 && abort.abort("SIGINT"),
    }));
    assert(stopped.outcome === "stopped");
    assertEquals(stopped.reason, "SIGINT");
    assert(stopped.iteration >= 50 && stopped.iteration < 120);
    assertEquals(await hashOf(tinyRun(out)), whole);
  }));

Deno.test("a signal's task runs while steps follow each other without a pause", () =>
  inFolder(async (folder) => {
    const abort = new AbortController();
    setTimeout(() => abort.abort("timer"), 150);
    const busy = altered((metrics) => metrics, () => {
      const until = performance.now() + 10;
      while (performance.now() < until);
    });
    const began = performance.now();
    const stopped = await train(tinyRun(folder, { signal: abort.signal, engine: busy }));
    assertEquals(stopped.outcome, "stopped");
    // The whole run would take 1,200 ms.
    assert(performance.now() - began < 900);
  }));

Deno.test("a resumed warm-up ends at the same step, at a multiple of 100", () =>
  inFolder(async (folder) => {
    const warmUp = { schedule: { warmUp: { rate: 0.01, untilTrainingErrorBelow: 0.8 } } };
    const longer = { recipe: tinyRun("").recipe };
    const recipe = vary(longer.recipe, {
      schedule: { iterations: 640, boundaries: [320, 480], ...warmUp.schedule },
    });
    const whole = await hashOf(tinyRun(`${folder}/whole`, { recipe }));
    const log = measured(`${folder}/whole`);
    const ended = log["warm-up-end"];
    assert(typeof ended === "number" && ended % 100 === 0 && ended >= 200, `ended at ${ended}`);
    const out = `${folder}/stopped`;
    await train(tinyRun(out, { recipe, stopAfter: ended - 50 }));
    assertEquals(await hashOf(tinyRun(out, { recipe })), whole);
    assertEquals(measured(out), log);
  }));

const KILLED = {
  steps: "killed at 20 moments, also within a write, a run goes on to the same end",
  plateau:
    "killed at 20 moments, a run with a plateau and early stopping goes on to the same end, best weights too",
} as const;

for (const [kind, name] of Object.entries(KILLED)) {
  const runIn = kind === "plateau" ? plateauRun : tinyRun;
  Deno.test(name, (t) =>
    inFolder(async (folder) => {
      const whole = finished(await train(runIn(`${folder}/whole`)));
      const log = measured(`${folder}/whole`);
      const operations = Number(await runChild(kind, `${folder}/count`, 0, false));
      assert(operations > 60, `${operations} operations`);
      const random = new RandomStream(1, "probe", 0);
      const moments = new Set<number>();
      while (moments.size < 20) moments.add(1 + random.below(operations));
      const places = new Set<string>();
      for (const moment of moments) {
        await t.step(`before operation ${moment} of ${operations}`, async () => {
          const out = `${folder}/${moment}`;
          places.add(await runChild(kind, out, moment, true));
          const { weights, best } = finished(await train(runIn(out)));
          assertEquals([weights.sha256, best?.file], [whole.weights.sha256, whole.best?.file]);
          assertEquals(measured(out), log);
          assertEquals(bestIn(out), bestIn(`${folder}/whole`));
        });
      }
      // The moments are spread over a checkpoint's way to the disk and into the log.
      for (const place of ["write", "sync", "rename", "writeSync"]) {
        assert(places.has(`in ${place}`), `none of the kills was in ${place}`);
      }
    }));
}

/** Names of the files of best weights in a run's folder. */
function bestIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name)
    .filter((name) => name.startsWith("best-")).sort();
}

Deno.test("a plateau's rate falls, the best weights stay, and the training ends early", () =>
  inFolder(async (folder) => {
    const options = plateauRun(folder);
    const { schedule, best } = options.recipe;
    assert(schedule.kind === "plateau" && best?.stopAfter);
    const result = finished(await train(options));
    const events = eventsIn(folder);
    const validations = events.filter((event) => event.type === "evaluation")
      .filter(({ set }) => set === "validation");
    // At the end of each epoch, of 11.25 steps.
    const looks = validations.filter(({ iteration }) => {
      const epoch = Math.floor(iteration / 11.25);
      return epoch > 0 && Math.ceil(epoch * 11.25) === iteration;
    });
    // By hand: the first of the lowest losses, and six looks after it.
    const losses = looks.map(({ loss }) => loss);
    const lowest = losses.indexOf(Math.min(...losses));
    assertEquals(losses.length, lowest + 1 + best.stopAfter);
    assertEquals(result.iteration, looks.at(-1)?.iteration);
    assert(result.iteration < schedule.iterations);
    assertEquals(result.best?.iteration, looks[lowest].iteration);
    assertEquals(result.best?.value, losses[lowest]);
    const end = events.at(-1);
    assert(end?.type === "end" && end.stoppedEarly);
    // Half of the rate before, from the step after a look on.
    const rates = events.filter((event) => event.type === "rate");
    assert(rates.length >= 3, `${rates.length} rates`);
    rates.forEach(({ iteration, learningRate }, i) => {
      assertEquals(learningRate, 0.1 * 0.5 ** i);
      assert(i === 0 || looks.some((look) => look.iteration === iteration - 1));
    });
    const decoded = async (path: string) =>
      decodeSafetensors(await Deno.readFile(`${folder}/${path}`));
    const kept = await decoded(result.best!.file.path);
    assertEquals(kept.metadata.iteration, String(result.best!.iteration));
    const final = await decoded("weights.safetensors");
    const dense = ({ tensors }: typeof kept) => tensors.get("linear.weight")!.data;
    assertNotEquals(dense(kept), dense(final));
    assertEquals(bestIn(folder), [result.best!.file.path]);
    // Another start finds it finished, with the same best.
    const again = finished(await train(plateauRun(folder)));
    assertEquals([again.before, again.best?.file], [true, result.best!.file]);
  }));

Deno.test("given weights of other classes start all but the last layer, and the log says so", () =>
  inFolder(async (folder) => {
    const graph = architecture("resnet8", { classes: 100, inputShape: [8, 8, 3] });
    const weights = initialise(graph, 3, "in");
    const given = { path: "given.pth", sha256: "0".repeat(64), weights };
    await train(tinyRun(folder, { startWeights: given, stopAfter: 1, engine: still }));
    const said = eventsIn(folder).flatMap((event) =>
      event.type === "warning" ? [event.message] : []
    );
    assertEquals(said, [
      '"given.pth" tells 100 classes apart, the data set has 10: its last layer, "linear", was replaced by an initialised one',
    ]);
    const { tensors } = decodeSafetensors(
      await Deno.readFile(`${folder}/checkpoint-1.safetensors`),
    );
    const own = initialise(architecture("resnet8", { inputShape: [8, 8, 3] }), 5, "in");
    assertEquals(tensors.get("linear.weight")?.data, own.get("linear.weight")?.data);
    assertEquals(tensors.get("conv1.weight")?.data, weights.get("conv1.weight")?.data);
    const other = new Map(weights).set("conv1.weight", weights.get("linear.weight")!);
    await assertRejects(
      () => train(tinyRun(`${folder}/other`, { startWeights: { ...given, weights: other } })),
      WeightFileError,
    );
  }));

/** An engine whose steps change nothing. */
const still: EngineFactory = {
  ...nullEngineFactory,
  async create(options): Promise<Engine> {
    const engine = await nullEngineFactory.create(options);
    const { step, exportState } = engine;
    let first: Awaited<ReturnType<Engine["exportState"]>> | undefined;
    engine.step = (plan, rate) => step.call(engine, plan, rate);
    const { importState } = engine;
    engine.importState = async (state) => {
      await importState.call(engine, state);
      first = await exportState.call(engine);
    };
    engine.exportState = async () => ({
      ...first!,
      ...await iterationOf(exportState.call(engine)),
    });
    return engine;
  },
};

async function iterationOf(state: Promise<{ readonly iteration: number }>) {
  return { iteration: (await state).iteration };
}

Deno.test("strict averages replace the running statistics after the last step, and nothing else", () =>
  inFolder(async (folder) => {
    const end = async (name: string, averages: "moving" | "strict", stopAfter?: number) => {
      const options = tinyRun(
        `${folder}/${name}`,
        { engine: wasmEngine, threads: 1 },
        { schedule: { iterations: 12, boundaries: [6] }, batchNorm: { averages } },
      );
      if (stopAfter) await train({ ...options, stopAfter });
      await train(options);
      const file = await Deno.readFile(`${folder}/${name}/weights.safetensors`);
      return decodeSafetensors(file).tensors;
    };
    const [moving, strict] = [await end("moving", "moving"), await end("strict", "strict")];
    for (const [name, { data }] of moving) {
      const same = data.every((value, i) => value === strict.get(name)!.data[i]);
      assertEquals(same, !name.includes("running_"), name);
    }
    const said = eventsIn(`${folder}/strict`).filter((event) => event.type === "statistics");
    // 90 images, 8 a step: twelve steps show all.
    assertEquals(said.map(({ iteration, batches }) => [iteration, batches]), [[12, 12]]);
    assertEquals(eventsIn(`${folder}/moving`).some(({ type }) => type === "statistics"), false);
    assertEquals(await end("resumed", "strict", 5), strict);
  }));

Deno.test("strict averages go over the batches of one epoch, whatever their number", () =>
  inFolder(async (folder) => {
    // 49 and 98 steps: 1 / (1 / 49) is above 49 in double precision.
    for (const [batchSize, epoch] of [[2, 49], [1, 98]]) {
      const out = `${folder}/${batchSize}`;
      await train(tinyRun(out, {}, {
        ...{ batchSize, batchNormImages: batchSize, batchNorm: { averages: "strict" } },
        data: { split: { training: 98, validation: 2 }, epochEnd: "keep-partial" },
        schedule: { iterations: 2, boundaries: [1] },
      }));
      const said = eventsIn(out).filter((event) => event.type === "statistics");
      assertEquals(said.map(({ batches }) => batches), [epoch]);
    }
  }));

Deno.test("best weights that are missing or altered are warned of, not scored, and cost no result", () =>
  inFolder(async (folder) => {
    const whole = finished(await train(plateauRun(`${folder}/whole`)));
    const spoils: Record<string, (path: string) => Promise<void>> = {
      "which was altered": (path) => Deno.writeTextFile(path, "other"),
      "which is missing": (path) => Deno.remove(path),
    };
    for (const [said, spoil] of Object.entries(spoils)) {
      const out = `${folder}/${said}`;
      await train({ ...plateauRun(out), stopAfter: whole.iteration - 1 });
      for (const name of bestIn(out)) await spoil(`${out}/${name}`);
      const { weights, best } = finished(await train(plateauRun(out)));
      assertEquals([weights.sha256, best], [whole.weights.sha256, undefined]);
      const warnings = eventsIn(out).filter(({ type }) => type === "warning");
      assertStringIncludes(JSON.stringify(warnings[0]), said);
      assertEquals(eventsIn(out).at(-1)?.type, "end");
    }
    // After the end, it is one of the files that a run is judged by.
    const { best } = whole;
    await Deno.remove(`${folder}/whole/${best!.file.path}`);
    const { files = [] } = await logSubjectOf(`${folder}/whole`);
    assertEquals(files.filter(({ problem }) => problem), [
      { path: best!.file.path, problem: "it is missing" },
    ]);
  }));

Deno.test("best weights whose loss in test mode is not finite are warned of, and cost no result", () =>
  inFolder(async (folder) => {
    let tests = 0;
    const engine: EngineFactory = {
      ...nullEngineFactory,
      async create(options): Promise<Engine> {
        const engine = await nullEngineFactory.create(options);
        const { evaluate } = engine;
        engine.evaluate = async (...asked) => {
          const found = await evaluate.call(engine, ...asked);
          return asked[0] === "test" && ++tests === 2 ? { ...found, loss: NaN } : found;
        };
        return engine;
      },
    };
    const best = { best: { watched: "training-loss", threshold: 0 } } as const;
    const result = finished(await train(tinyRun(folder, { engine }, best)));
    assertEquals([tests, result.best], [2, undefined]);
    const warning = eventsIn(folder).find((event) => event.type === "warning");
    assertStringIncludes(warning!.message, "their loss on the test images is NaN");
    assertEquals(eventsIn(folder).at(-1)?.type, "end");
  }));

Deno.test("after a resume, the best weights that the checkpoint before needs stay too", () =>
  inFolder(async (folder) => {
    await train({ ...plateauRun(folder), stopAfter: 20 });
    const before = bestIn(folder);
    await train({ ...plateauRun(folder), stopAfter: 40 });
    const [least, ...more] = bestIn(folder);
    // Better ones were found on the way to the second checkpoint, the first of this process.
    assertEquals([[least], more.length], [before, 1]);
  }));

/** Starts the child; kills it where it stands still, or returns its output. */
async function runChild(
  kind: string,
  out: string,
  stallAt: number,
  kill: boolean,
): Promise<string> {
  const folder = out.slice(0, out.lastIndexOf("/"));
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-check", "--no-prompt", "--cached-only"],
      ...[`--allow-read=${folder}`, `--allow-write=${folder}`],
      ...[new URL("./_stalling_child.ts", import.meta.url).href, out, String(stallAt), kind],
    ],
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value = "" } = await reader.read();
  if (kill) child.kill("SIGKILL");
  const status = await child.status;
  await reader.cancel();
  assertEquals(status.signal, kill ? "SIGKILL" : null);
  return value.trim();
}

Deno.test("a damaged newest checkpoint is passed over with a warning", () =>
  inFolder(async (folder) => {
    const whole = await hashOf(tinyRun(`${folder}/whole`));
    const out = `${folder}/damaged`;
    await train(tinyRun(out, { stopAfter: 60 }));
    const newest = `${out}/checkpoint-60.safetensors`;
    const bytes = await Deno.readFile(newest);
    bytes[bytes.length - 100] ^= 1;
    await Deno.writeFile(newest, bytes);
    const warnings: string[] = [];
    const result = await train(tinyRun(out, { onWarning: (message) => warnings.push(message) }));
    assertEquals(finished(result).weights.sha256, whole);
    assertEquals(warnings.length, 1);
    assert(warnings[0].startsWith("checkpoint-60.safetensors can't be used"), warnings[0]);
    const resume = eventsIn(out).find((event) => event.type === "resume");
    assertEquals(resume?.iteration, 40);
  }));

Deno.test("a run that goes over to another engine says so, each time", () =>
  inFolder(async (out) => {
    const on = async (name: string, stopAfter: number) => {
      const engine: EngineFactory = {
        ...nullEngineFactory,
        async create(options): Promise<Engine> {
          return Object.assign(await nullEngineFactory.create(options), { name });
        },
      };
      const warnings: string[] = [];
      const onWarning = (message: string) => warnings.push(message);
      await train(tinyRun(out, { engine, stopAfter, threads: stopAfter, onWarning }));
      return warnings;
    };
    assertEquals(await on("one", 20), []);
    assertEquals(await on("one", 40), [], "another number of threads is no other engine");
    const rounding = "the weights differ in rounding from those of either alone";
    assertEquals(await on("two", 60), [
      `the engine was one, from iteration 41 on it is two: ${rounding}`,
    ]);
    assertEquals(await on("two", 80), []);
    assertEquals(await on("one", 100), [
      `the engine was two, from iteration 81 on it is one: ${rounding}`,
    ]);
    const logged = eventsIn(out).filter(({ type }) => type === "warning");
    assertEquals(logged.length, 2);
  }));

Deno.test("a run that goes over to another precision or convolution says so", () =>
  inFolder(async (out) => {
    const on = async (details: Record<string, string>, stopAfter: number) => {
      const engine: EngineFactory = {
        ...nullEngineFactory,
        async create(options): Promise<Engine> {
          const device = { summary: "a test", details };
          return Object.assign(await nullEngineFactory.create(options), { device });
        },
      };
      await train(tinyRun(out, { engine, stopAfter }));
      return eventsIn(out).flatMap((event) => event.type === "warning" ? [event.message] : []);
    };
    assertEquals(await on({ convolution: "winograd" }, 20), []); // Of single precision alone.
    const rounding = "the weights differ in rounding from those of either alone";
    const first = `the convolution was winograd, from iteration 21 on it is direct: ${rounding}`;
    const direct = { convolution: "direct", precision: "single" };
    assertEquals(await on(direct, 40), [first]);
    assertEquals(await on(direct, 60), [first]);
    const second = `the precision was single, from iteration 61 on it is mixed: ${rounding}`;
    assertEquals(await on({ convolution: "direct", precision: "mixed" }, 80), [first, second]);
  }));

Deno.test("a loss that is not finite ends the run, and the checkpoint before it stays", () =>
  inFolder(async (folder) => {
    const engine = altered((step) => step.iteration === 47 ? { ...step, loss: NaN } : step);
    const error = await assertRejects(() => train(tinyRun(folder, { engine })), TrainingError);
    assert(error.message.includes("at iteration 47 it is NaN. The last checkpoint"), error.message);
    const last = eventsIn(folder).at(-1);
    assert(last?.type === "failure");
    assertEquals(last.reason, error.message);
    const whole = await hashOf(tinyRun(`${folder}-whole`));
    await Deno.remove(`${folder}-whole`, { recursive: true });
    assertEquals(await hashOf(tinyRun(folder)), whole);
  }));

Deno.test("a loss in test mode that is not finite ends the run, and its log can be read", () =>
  inFolder(async (folder) => {
    for (const [set, before] of [["train", "validation 30"], ["test", "validation 120"]] as const) {
      const engine: EngineFactory = {
        ...nullEngineFactory,
        async create(options): Promise<Engine> {
          const engine = await nullEngineFactory.create(options);
          const { evaluate } = engine;
          let evaluations = 0;
          engine.evaluate = async (...asked) => {
            const found = await evaluate.call(engine, ...asked);
            const fails = asked[0] === set && (set === "test" || ++evaluations === 2);
            return fails ? { ...found, loss: NaN } : found;
          };
          return engine;
        },
      };
      const out = `${folder}/${set}`;
      const error = await assertRejects(() => train(tinyRun(out, { engine })), TrainingError);
      assert(error.message.includes("it is NaN in test mode"), error.message);
      assertEquals(Object.keys(measured(out)).findLast((key) => /^[vt][ae]/.test(key)), before);
      assertEquals(eventsIn(out).at(-1)?.type, "failure");
      assertEquals(await hashOf(tinyRun(out)), await hashOf(tinyRun(`${out}-whole`)));
    }
  }));

Deno.test("a run whose activations half precision can't hold at any scale ends", () =>
  inFolder(async (folder) => {
    const engine = altered((step) =>
      step.iteration > 3 ? { ...step, lossScale: 2 ** (6 - step.iteration), skipped: true } : step
    );
    const error = await assertRejects(() => train(tinyRun(folder, { engine })), TrainingError);
    assert(error.message.includes("at iteration 6 they did not, with the loss's scale at 1."));
    const types = eventsIn(folder).map(({ type }) => type);
    assertEquals(types.filter((type) => type === "warning").length, 2);
    assertEquals(types.at(-1), "failure");
  }));

Deno.test("before the first checkpoint nobody is told that one is kept", () =>
  inFolder(async (folder) => {
    const engine = altered((step) => step.iteration === 4 ? { ...step, loss: NaN } : step);
    const error = await assertRejects(() => train(tinyRun(folder, { engine })), TrainingError);
    assert(error.message.includes("No checkpoint was written before it"), error.message);
    const out = `${folder}/failing`;
    const failing = altered((step) => {
      if (step.iteration === 4) throw new EngineError("the GPU was lost");
      return step;
    });
    const lost = await assertRejects(() => train(tinyRun(out, { engine: failing })), EngineError);
    assert(lost.message.includes("begins the run"), lost.message);
    assertEquals(await hashOf(tinyRun(out)), await hashOf(tinyRun(`${folder}/whole`)));
  }));

Deno.test("an engine that fails ends the run like a kill: the message says how to go on", () =>
  inFolder(async (folder) => {
    const out = `${folder}/failing`;
    const failing: EngineFactory = {
      ...nullEngineFactory,
      async create(options): Promise<Engine> {
        const engine = await nullEngineFactory.create(options);
        const metrics = engine.metrics.bind(engine);
        engine.metrics = async () => {
          const steps = await metrics();
          if (steps.some(({ iteration }) => iteration === 47)) {
            throw new EngineError("reading metrics: the GPU was lost");
          }
          return steps;
        };
        return engine;
      },
    };
    const error = await assertRejects(() => train(tinyRun(out, { engine: failing })), EngineError);
    assertEquals(
      error.message,
      `reading metrics: the GPU was lost. What was saved is whole: the same command goes on with the run in "${out}" from its last checkpoint`,
    );
    assertEquals(await hashOf(tinyRun(out)), await hashOf(tinyRun(`${folder}/whole`)));
  }));

Deno.test("a state that is not finite is never saved", () =>
  inFolder(async (folder) => {
    const engine: EngineFactory = {
      ...nullEngineFactory,
      async create(options): Promise<Engine> {
        const engine = await nullEngineFactory.create(options);
        const { exportState } = engine;
        engine.exportState = async () => {
          const state = await exportState.call(engine);
          if (state.iteration === 40) state.weights.get("linear.bias")!.data[3] = Infinity;
          return state;
        };
        return engine;
      },
    };
    const error = await assertRejects(() => train(tinyRun(folder, { engine })), TrainingError);
    assert(error.message.includes(`element 3 of "linear.bias" is Infinity`), error.message);
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    assertEquals(names.filter((name) => name.startsWith("checkpoint")), [
      "checkpoint-20.safetensors",
    ]);
  }));

Deno.test("a checkpoint that can't be written leaves the one before, and the run can go on", () =>
  inFolder(async (folder) => {
    const whole = await hashOf(tinyRun(`${folder}/whole`));
    const out = `${folder}/blocked`;
    await train(tinyRun(out, { stopAfter: 50 }));
    // A folder where the file is to be: refused by every file system, even to root.
    await Deno.mkdir(`${out}/checkpoint-60.safetensors/x`, { recursive: true });
    const error = await assertRejects(() => train(tinyRun(out)), RunError);
    assert(error.message.includes(`"checkpoint-60.safetensors"`), error.message);
    assert(error.message.includes("run the same command to go on"), error.message);
    assertEquals(eventsIn(out).at(-1)?.type, "failure");
    await Deno.remove(`${out}/checkpoint-60.safetensors`, { recursive: true });
    assertEquals(await hashOf(tinyRun(out)), whole);
  }));

Deno.test("a folder in use is refused with the process that uses it", () =>
  inFolder(async (folder) => {
    await using _held = await RunFolder.open(folder);
    const error = await assertRejects(() => train(tinyRun(folder)), RunError);
    assert(error.message.includes(`process ${Deno.pid}, since 20`), error.message);
  }));

Deno.test("a run that stands where it was to stop is told again; one beyond is refused", () =>
  inFolder(async (folder) => {
    const whole = await hashOf(tinyRun(`${folder}/whole`));
    const out = `${folder}/stopped`;
    const first = await train(tinyRun(out, { stopAfter: 50 }));
    const log = await Deno.readTextFile(`${out}/events.jsonl`);
    assertEquals(await train(tinyRun(out, { stopAfter: 50 })), first);
    assertEquals(await Deno.readTextFile(`${out}/events.jsonl`), log);
    await assertRejects(() => train(tinyRun(out, { stopAfter: 40 })), RunError, "stands at 50");
    assertEquals(await hashOf(tinyRun(out)), whole);
  }));

Deno.test("a run that failed in its test comes to its end by the same command, also with a stop at the last step", () =>
  inFolder(async (folder) => {
    const early = plateauRun(`${folder}/early`);
    const { iteration } = finished(await train(early));
    for (
      const options of [
        tinyRun(`${folder}/stopped`, { stopAfter: 120 }),
        // It ends early, at the step after which it was to stop.
        { ...early, out: `${folder}/early-stopped`, stopAfter: iteration },
      ]
    ) {
      const full: TrainOptions["open"] = async (path) => {
        const run = await RunFolder.open(path);
        const { write } = run;
        run.write = (name, content) =>
          name === "predictions.csv"
            ? Promise.reject(new RunError("no space left"))
            : write.call(run, name, content);
        return run;
      };
      await assertRejects(() => train({ ...options, open: full }), RunError, "no space left");
      assertEquals(finished(await train(options)).iteration, options.stopAfter);
    }
  }));

Deno.test("a finished run is told again, and nothing is done", () =>
  inFolder(async (folder) => {
    const result = finished(await train(tinyRun(folder)));
    const log = await Deno.readTextFile(`${folder}/events.jsonl`);
    assertEquals(await train(tinyRun(folder)), { ...result, before: true });
    assertEquals(await Deno.readTextFile(`${folder}/events.jsonl`), log);
  }));

Deno.test("only a checkpoint that the log names by its hash is gone on from", () =>
  inFolder(async (folder) => {
    const whole = await hashOf(tinyRun(`${folder}/whole`));
    const out = `${folder}/altered`;
    await train(tinyRun(out, { stopAfter: 60 }));
    // Whole by its own digest and of this run, and not what was written.
    const engine: EngineFactory = {
      ...nullEngineFactory,
      async create(options): Promise<Engine> {
        const engine = await nullEngineFactory.create(options);
        const { exportState } = engine;
        engine.exportState = async () => {
          const state = await exportState.call(engine);
          state.weights.get("bn1.weight")!.data[0] = 2;
          return state;
        };
        return engine;
      },
    };
    await train(tinyRun(`${folder}/other`, { stopAfter: 90, engine }));
    for (const name of ["checkpoint-80", "checkpoint-90"]) {
      await Deno.copyFile(
        `${folder}/other/${name}.safetensors`,
        `${out}/checkpoint-${name === "checkpoint-80" ? 60 : 90}.safetensors`,
      );
    }
    const warnings: string[] = [];
    const result = await train(tinyRun(out, { onWarning: (message) => warnings.push(message) }));
    assertEquals(finished(result).weights.sha256, whole);
    assertEquals(warnings.map((warning) => warning.slice(0, 45)), [
      "checkpoint-90.safetensors is not used: the lo",
      "checkpoint-60.safetensors can't be used: it w",
    ]);
  }));

Deno.test("a run of other fields is refused by name", () =>
  inFolder(async (folder) => {
    await train(tinyRun(folder));
    const other = tinyRun(folder, { seed: 9 }, { optimiser: { momentum: 0.8 } });
    const error = await assertRejects(() => train(other), RunError);
    assert(error.message.includes("recipe.optimiser.momentum: 0.9 there, 0.8"), error.message);
    assert(error.message.includes("seed: 5 there, 9 asked for"), error.message);
  }));

Deno.test("a run of other images says so, and what can be done about it", () =>
  inFolder(async (folder) => {
    await train(tinyRun(folder, { stopAfter: 20 }));
    const dataset = () => Promise.resolve({ ...tinyDataset(), hashes: { train: "other" } });
    const error = await assertRejects(() => train(tinyRun(folder, { dataset })), RunError);
    assert(error.message.includes("Its images have changed since, or are others"), error.message);
  }));

Deno.test("a run goes on where a later version says otherwise what its images are", () =>
  inFolder(async (folder) => {
    await train(tinyRun(folder, { stopAfter: 20 }));
    const dataset = () => Promise.resolve({ ...tinyDataset(), notice: "in other words" });
    finished(await train(tinyRun(folder, { dataset })));
  }));

Deno.test("files that were left out of a set are warnings of its log, once", () =>
  inFolder(async (folder) => {
    const heard: string[] = [];
    const run = { onWarning: (message: string) => heard.push(message) };
    const dataset = () => Promise.resolve({ ...tinyDataset(), warnings: ["a.jpg was left out"] });
    await train(tinyRun(folder, { ...run, dataset, stopAfter: 20 }));
    finished(await train(tinyRun(folder, { ...run, dataset })));
    assertEquals(heard, ["a.jpg was left out"]);
    const logged = eventsIn(folder).filter((event) => event.type === "warning");
    assertEquals(logged.map(({ iteration, message }) => [iteration, message]), [[0, heard[0]]]);
  }));

Deno.test("a run on other images is refused by name", () =>
  inFolder(async (folder) => {
    await train(tinyRun(folder, { stopAfter: 10 }));
    const options = tinyRun(folder);
    const dataset = async () => ({
      ...await options.dataset(),
      hashes: { tiny: "4567".repeat(16) },
    });
    const error = await assertRejects(() => train({ ...options, dataset }), RunError);
    assert(error.message.includes("data.hashes.tiny: 0123"), error.message);
  }));

Deno.test("a run that is refused before its first line leaves no folder behind", () =>
  inFolder(async (folder) => {
    const out = `${folder}/new`;
    const dataset = () => Promise.reject(new Error("no images"));
    await assertRejects(() => train(tinyRun(out, { dataset })), Error, "no images");
    await assertRejects(() => Deno.stat(out), Deno.errors.NotFound);
  }));

Deno.test("a split that the images don't allow is refused", () =>
  inFolder(async (folder) => {
    const recipe = paper("resnet8", { batchSize: 8, batchNormImages: 8 });
    await assertRejects(
      () => train(tinyRun(`${folder}/new`, { recipe })),
      Error,
      "45000 training and 5000 validation images",
    );
  }));

Deno.test("a figure that the engine can't make is a warning, and the result stays", () =>
  inFolder(async (folder) => {
    const engine: EngineFactory = {
      ...nullEngineFactory,
      create(options): Promise<Engine> {
        // Only for the figure are running statistics to be one batch's.
        if (options.batchNorm.momentum < 1) return nullEngineFactory.create(options);
        return Promise.reject(new EngineError("creating an engine: the device is full"));
      },
    };
    const warnings: string[] = [];
    const onWarning = (message: string) => warnings.push(message);
    finished(await train(tinyRun(folder, { engine, onWarning })));
    assertEquals(warnings, [
      "the responses of the layers were not measured on null: creating an engine: the device is full",
    ]);
    assertEquals(eventsIn(folder).at(-1)?.type, "end");
  }));

Deno.test("a figure that is no number is a warning, and the run can be read", () =>
  inFolder(async (folder) => {
    const engine: EngineFactory = {
      ...nullEngineFactory,
      async create(options): Promise<Engine> {
        const engine = await nullEngineFactory.create(options);
        const { exportState } = engine;
        if (options.batchNorm.momentum < 1) return engine;
        // As where half precision can't hold what a layer writes.
        engine.exportState = async () => {
          const state = await exportState.call(engine);
          state.weights.get("bn1.running_var")!.data.fill(NaN);
          return state;
        };
        return engine;
      },
    };
    finished(await train(tinyRun(folder, { engine })));
    const run = await readRun(folder);
    assertEquals(run.warnings.map(({ message }) => message), [
      'the responses of the layers were not measured on null: that of "bn1" is NaN',
    ]);
  }));
