/** The lifecycle on kernels that fail when they are told to. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { buildGraph, truncate } from "../resnet/mod.ts";
import { Lifecycle, type Measured } from "./_lifecycle.ts";
import { optionsFor, planFor, randomData, randomState } from "../testing/engines/mod.ts";
import { EngineError, type ProbeResult, type TrainingState } from "./mod.ts";

const GRAPH = buildGraph("linear", [1, 1, 3], [
  { kind: "global-average-pool", name: "pool", input: "input" },
  { kind: "dense", name: "linear", input: "pool", units: 10 },
]);
const STEP = planFor([0, 1], 0);

class FailingEngine extends Lifecycle {
  /** What the next call of a kernel throws. */
  fault: Error | undefined;
  freed: boolean[] = [];
  #state = randomState(GRAPH);
  #steps = 0;

  constructor(graph = GRAPH) {
    super("failing", { summary: "", details: {} }, optionsFor(graph));
  }

  readonly memoryBytes = 0;

  #kernel<T>(value: T): T {
    const { fault } = this;
    this.fault = undefined;
    if (fault) throw fault;
    return value;
  }

  protected hold = () => this.#kernel(undefined);
  protected replace = () => this.#kernel(undefined);
  protected write = (state: Omit<TrainingState, "iteration">) => {
    this.#state = this.#kernel({ ...state, iteration: 0 });
  };
  protected read = () => {
    const { iteration: _, ...state } = this.#kernel(this.#state);
    return state;
  };
  protected train = () => {
    this.#kernel(undefined);
    this.#steps++;
  };
  protected measured = (): readonly Measured[] => {
    const steps = this.#kernel(this.#steps);
    this.#steps = 0;
    return Array.from({ length: steps }, (_, i) => ({ loss: i, errors: i }));
  };
  protected logits = (_: string, { length }: Uint32Array) =>
    this.#kernel(new Float32Array(10 * length));
  protected pass = (): ProbeResult => this.#kernel({ output: new Float32Array(10) });
  protected batch = () => this.#kernel(new Float32Array(3));
  protected free = (healthy: boolean) => void this.freed.push(healthy);

  /** As a driver does. */
  lose(reason: string): void {
    this.fail(reason);
  }
}

/** Everything that runs kernels, by what an error says of it. */
const CALLS: Readonly<Record<string, (engine: FailingEngine) => unknown>> = {
  "importing a state": (engine) => engine.importState(randomState(GRAPH)),
  "exporting the state": (engine) => engine.exportState(),
  "feeding images": (engine) => engine.feed("train", randomData(GRAPH).train),
  "a training step": (engine) => engine.step(STEP, 0.1),
  "reading metrics": (engine) => engine.metrics(),
  "evaluating": (engine) => engine.evaluate("test"),
  "probing": (engine) => engine.probe({ input: new Float32Array(3), images: 1, mode: "inference" }),
  "augmenting": (engine) => engine.augmented(STEP),
};

async function loaded(): Promise<FailingEngine> {
  const engine = new FailingEngine();
  await engine.load(randomData(GRAPH));
  return engine;
}

Deno.test("a kernel that fails ends the engine, whichever call it served", async (t) => {
  for (const [what, call] of Object.entries(CALLS)) {
    await t.step(what, async () => {
      const engine = await loaded();
      await call(engine);
      engine.fault = new RangeError("out of bounds");
      const failed = `this engine can't be used any more: ${what} failed (out of bounds)`;
      await assertRejects(async () => await call(engine), EngineError, `${what}: ${failed}`);
      for (const [other, next] of Object.entries(CALLS)) {
        await assertRejects(async () => await next(engine), EngineError, `${other}: ${failed}`);
      }
      engine.dispose();
      engine.dispose();
      assertEquals(engine.freed, [false], "given back once, told that something failed");
    });
  }
});

Deno.test("data that there is no room for leave the engine as it was", async () => {
  const engine = new FailingEngine();
  engine.fault = new EngineError("loading data: no room");
  await assertRejects(() => engine.load(randomData(GRAPH)), EngineError, "no room");
  assertThrows(() => engine.step(STEP, 0.1), EngineError, "call load first");
  await engine.load(randomData(GRAPH));
  engine.step(STEP, 0.1);
  await assertRejects(() => engine.load(randomData(GRAPH)), EngineError, "takes its data once");
});

Deno.test("data that failed halfway end the engine", async () => {
  const engine = new FailingEngine();
  engine.fault = new RangeError("torn");
  await assertRejects(
    () => engine.load(randomData(GRAPH)),
    EngineError,
    "loading data failed (torn)",
  );
  await assertRejects(
    () => engine.load(randomData(GRAPH)),
    EngineError,
    "loading data failed (torn)",
  );
});

Deno.test("what the device says of itself is the reason, and the first one stays", async () => {
  const engine = await loaded();
  engine.lose("the cable was cut");
  engine.lose("and more");
  await assertRejects(() => engine.metrics(), EngineError, "any more: the cable was cut");
  engine.dispose();
  await assertRejects(() => engine.metrics(), EngineError, "any more: the cable was cut");
});

Deno.test("each step's metrics are told once, in order, with what it was given", async () => {
  const engine = await loaded();
  await engine.importState({ ...randomState(GRAPH), iteration: 7 });
  engine.step(STEP, 0.1);
  engine.step(planFor([2], 0), 0.2);
  assertEquals(await engine.metrics(), [
    { iteration: 8, learningRate: 0.1, images: 2, loss: 0, errors: 0 },
    { iteration: 9, learningRate: 0.2, images: 1, loss: 1, errors: 1 },
  ]);
  assertEquals(await engine.metrics(), []);
  assertEquals((await engine.exportState()).iteration, 9);
});

Deno.test("an engine that is disposed of while it works says so", async () => {
  const engine = await loaded();
  const pending = engine.exportState();
  engine.dispose();
  await assertRejects(() => pending, EngineError, "it was disposed of");
  assertEquals(engine.freed, [true]);
});

Deno.test("no step and no gradient where the output does not depend on a layer", async () => {
  const idle = buildGraph("idle", [1, 1, 3], [
    { kind: "batch-norm", name: "aside", input: "input" },
    ...GRAPH.nodes,
  ]);
  const input = new Float32Array(3);
  const said = 'the output of "idle", "linear", does not depend on "aside"';
  const engine = new FailingEngine(idle);
  await engine.load(randomData(idle));
  assertThrows(() => engine.step(STEP, 0.1), EngineError, said);
  for (const objective of [{ labels: new Uint8Array(1) }, { upstream: new Float32Array(10) }]) {
    await assertRejects(
      () => engine.probe({ input, images: 1, mode: "training", ...objective }),
      EngineError,
      said,
    );
  }
  // What needs no gradient goes on, and so does the way out that the error names.
  await engine.probe({ input, images: 1, mode: "inference" });
  await engine.evaluate("test");
  const mended = new FailingEngine(truncate(idle, idle.output));
  await mended.load(randomData(idle));
  mended.step(STEP, 0.1);
});
