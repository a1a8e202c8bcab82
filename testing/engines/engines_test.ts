import { assertEquals, assertMatch } from "@std/assert";
import { missingEngines, obstacleTo, oracle } from "./engines.ts";
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

Deno.test("an engine that nobody would choose is named and not run, unless it is asked for", async () => {
  assertEquals(await obstacleTo(factory("wasm")), undefined);
  assertEquals(await obstacleTo(factory("gpu", "no adapter")), "no adapter");
  const slow = { ...factory("slow"), discouraged: () => Promise.resolve("it computes on the CPU") };
  assertMatch((await obstacleTo(slow))!, /it computes on the CPU; RESNET_REQUIRED_ENGINES=slow/);
  // What all others are compared with is slow too, and always there.
  assertEquals(await obstacleTo(oracle), undefined);
});
