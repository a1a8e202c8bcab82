import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { chooseEngine } from "./choose.ts";
import { EngineError, type EngineFactory } from "./engine.ts";

function factory(name: string, obstacle?: string): EngineFactory {
  return {
    name,
    description: name,
    unavailable: () => Promise.resolve(obstacle),
    create: () => Promise.reject(new Error("choosing an engine makes none")),
  };
}

const GPU = factory("gpu");
const NO_GPU = factory("gpu", "no adapter");
const WASM = factory("wasm");
const NO_WASM = factory("wasm", "no SIMD");
const ORACLE = factory("tfjs-cpu");

Deno.test("auto takes the first engine that can run", async () => {
  assertEquals((await chooseEngine("auto", [GPU, WASM, ORACLE])).factory, GPU);
  const { factory, reason } = await chooseEngine("auto", [NO_GPU, WASM, ORACLE]);
  assertEquals(factory, WASM);
  assertStringIncludes(reason, "wasm");
  assertStringIncludes(reason, "gpu: no adapter");
});

Deno.test("auto takes the oracle only where nothing else runs, wherever it stands", async () => {
  assertEquals((await chooseEngine("auto", [ORACLE, WASM])).factory, WASM);
  const { factory, reason } = await chooseEngine("auto", [ORACLE, NO_WASM]);
  assertEquals(factory, ORACLE);
  assertStringIncludes(reason, "wasm: no SIMD");
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
