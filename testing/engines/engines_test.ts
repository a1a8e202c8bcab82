import { assertEquals } from "@std/assert";
import { missingEngines } from "./engines.ts";
import type { EngineFactory } from "../../engine/mod.ts";

function factory(name: string, obstacle?: string): EngineFactory {
  return {
    name,
    description: name,
    unavailable: () => Promise.resolve(obstacle),
    create: () => Promise.reject(new Error("no test makes it")),
  };
}

const FACTORIES = [factory("wasm"), factory("gpu", "no adapter")];

Deno.test("an engine is missing where it is required and can't run, or doesn't exist", async () => {
  const missing = async (required: string) => [...await missingEngines(required, FACTORIES)];
  assertEquals(await missing(""), []);
  assertEquals(await missing("wasm"), []);
  assertEquals(await missing("wasm, gpu"), [["gpu", "no adapter"]]);
  assertEquals(await missing("cuda,wasm,"), [["cuda", "it is none of wasm, gpu"]]);
});
