import { assertEquals, assertRejects } from "@std/assert";
import { chooseEngine } from "./choose.ts";
import { EngineError, engineFactories, type EngineFactory } from "./mod.ts";

function factory(name: string, obstacle?: string): EngineFactory {
  return {
    name,
    description: name,
    unavailable: () => Promise.resolve(obstacle),
    create: () => Promise.reject(new Error("choosing an engine makes none")),
  };
}

function discouraged(name: string, objection?: string): EngineFactory {
  return { ...factory(name), discouraged: () => Promise.resolve(objection) };
}

const GPU = factory("gpu");
const NO_GPU = factory("gpu", "no adapter");
const SLOW_GPU = discouraged("gpu", "a software adapter");
const WASM = factory("wasm");
const NO_WASM = factory("wasm", "no SIMD");
const ORACLE = discouraged("tfjs-cpu", "for checks");
const NO_ORACLE = factory("tfjs-cpu", "not installed");

const FIRST = "chosen by auto, the first that runs well here of gpu, wasm, tfjs-cpu";
const SECOND_BEST = "chosen by auto for want of a better";

/** What runs here, what auto takes of it, and the reason that it gives. */
const CHOICES: readonly [EngineFactory[], EngineFactory, string][] = [
  [[GPU, WASM, ORACLE], GPU, FIRST],
  [[GPU, NO_WASM, NO_ORACLE], GPU, FIRST],
  [[NO_GPU, WASM, ORACLE], WASM, `${FIRST} (gpu: no adapter)`],
  [[SLOW_GPU, WASM, ORACLE], WASM, `${FIRST} (gpu: a software adapter)`],
  [
    [SLOW_GPU, NO_WASM, ORACLE],
    SLOW_GPU,
    `${SECOND_BEST} (gpu: a software adapter; wasm: no SIMD; tfjs-cpu: for checks)`,
  ],
  [
    [SLOW_GPU, NO_WASM, NO_ORACLE],
    SLOW_GPU,
    `${SECOND_BEST} (gpu: a software adapter; wasm: no SIMD; tfjs-cpu: not installed)`,
  ],
  [
    [NO_GPU, NO_WASM, ORACLE],
    ORACLE,
    `${SECOND_BEST} (gpu: no adapter; wasm: no SIMD; tfjs-cpu: for checks)`,
  ],
];

for (const [factories, expected, because] of CHOICES) {
  Deno.test(`auto takes ${expected.name}: ${because}`, async () => {
    const { factory, reason } = await chooseEngine("auto", factories);
    assertEquals(factory, expected);
    assertEquals(reason, because);
  });
}

Deno.test("an engine that fails when it is asked is passed over, and says why where it is named", async () => {
  const failing: EngineFactory = {
    ...GPU,
    unavailable: () => Promise.reject(new Error("the GPU process is gone")),
  };
  const { factory, reason } = await chooseEngine("auto", [failing, WASM, ORACLE]);
  assertEquals(factory, WASM);
  assertEquals(reason, `${FIRST} (gpu: it could not be asked: the GPU process is gone)`);
  await assertRejects(
    () => chooseEngine("gpu", [failing, WASM]),
    EngineError,
    "the GPU process is gone; choose another of auto, gpu, wasm",
  );
});

Deno.test("auto takes the best of every combination", async () => {
  const MAKERS = { fine: factory, slow: discouraged, absent: factory };
  const STATES = ["fine", "slow", "absent"] as const;
  for (const gpu of STATES) {
    for (const wasm of STATES) {
      for (const oracle of STATES) {
        const states = [gpu, wasm, oracle];
        const factories = states.map((state, i) =>
          MAKERS[state](`engine ${i}`, state === "fine" ? undefined : state)
        );
        const best = STATES.slice(0, 2).find((state) => states.includes(state));
        const choice = chooseEngine("auto", factories);
        if (best === undefined) await assertRejects(() => choice, EngineError);
        else assertEquals((await choice).factory.name, `engine ${states.indexOf(best)}`);
      }
    }
  }
});

Deno.test("auto takes a discouraged engine last, wherever it stands", async () => {
  const { factory, reason } = await chooseEngine("auto", [ORACLE, WASM]);
  assertEquals(factory, WASM);
  assertEquals(
    reason,
    "chosen by auto, the first that runs well here of tfjs-cpu, wasm (tfjs-cpu: for checks)",
  );
});

Deno.test("an engine that finds nothing against itself is not discouraged", async () => {
  const fastGpu = discouraged("gpu");
  assertEquals((await chooseEngine("auto", [fastGpu, WASM])).factory, fastGpu);
});

Deno.test("an engine that can't run is not asked whether it should", async () => {
  const absent: EngineFactory = {
    ...NO_GPU,
    discouraged: () => Promise.reject(new Error("there is no adapter to ask")),
  };
  assertEquals((await chooseEngine("auto", [absent, WASM])).factory, WASM);
});

Deno.test("auto says why when nothing runs", async () => {
  await assertRejects(
    () => chooseEngine("auto", [NO_GPU, NO_WASM]),
    EngineError,
    "none can run here (gpu: no adapter; wasm: no SIMD)",
  );
});

Deno.test("an engine can be asked for by name", async () => {
  const choice = await chooseEngine("tfjs-cpu", [WASM, ORACLE]);
  assertEquals(choice.factory, ORACLE);
  assertEquals(choice.reason, "asked for by name");
});

Deno.test("a discouraged engine that was asked for by name is taken", async () => {
  assertEquals((await chooseEngine("gpu", [WASM, SLOW_GPU])).factory, SLOW_GPU);
});

Deno.test("an unknown engine is refused with the legal names", async () => {
  await assertRejects(
    () => chooseEngine("cuda", [WASM, ORACLE]),
    EngineError,
    '"cuda" is not one of auto, wasm, tfjs-cpu',
  );
});

Deno.test("an engine that can't run is refused with its reason", async () => {
  await assertRejects(
    () => chooseEngine("gpu", [NO_GPU, WASM]),
    EngineError,
    '"gpu" can\'t run here: no adapter',
  );
});

Deno.test("of the module's own engines auto takes the best of every combination present", async () => {
  const names = engineFactories.map(({ name }) => name);
  assertEquals(names, ["tensorflow-gpu", "webgpu", "wasm", "tensorflow", "tfjs-cpu"]);
  // What hardware and installations decide: each engine is here or not, WebGPU's adapter slow or not.
  for (let present = 1; present < 2 ** names.length; present++) {
    for (const software of [false, true]) {
      const isPresent = (name: string) => (present >> names.indexOf(name)) % 2 === 1;
      const factories = names.map((name) => ({
        ...factory(name, isPresent(name) ? undefined : "absent"),
        discouraged: () =>
          Promise.resolve(
            name === "tfjs-cpu" || name === "webgpu" && software ? "slow" : undefined,
          ),
      }));
      const here = names.filter(isPresent);
      const well = here.filter((name) => name !== "tfjs-cpu" && (name !== "webgpu" || !software));
      const best = well[0] ?? here[0];
      const { factory: chosen, reason } = await chooseEngine("auto", factories);
      assertEquals(chosen.name, best, reason);
      const passedOver = names.slice(0, well.length > 0 ? names.indexOf(best) : undefined);
      const because = passedOver.map((name) => `${name}: ${isPresent(name) ? "slow" : "absent"}`);
      const list = because.length > 0 ? ` (${because.join("; ")})` : "";
      assertEquals(
        reason,
        well.length > 0
          ? `chosen by auto, the first that runs well here of ${names.join(", ")}${list}`
          : `chosen by auto for want of a better${list}`,
      );
    }
  }
});
