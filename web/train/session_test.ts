import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { EngineError, type EngineFactory } from "../../engine/mod.ts";
import { wasmEngine } from "../../engine/wasm/mod.ts";
import type { Told } from "./messages.ts";
import { TrainingSession, workingEngine } from "./session.ts";
import { memoryShelf, type Shelf } from "./shelf.ts";
import { changed, freeName, NOTHING } from "./state.ts";

Deno.test("what can't be saved is said, and is no end of a training", async () => {
  const told: Told[] = [];
  const session = new TrainingSession(memoryShelf(), (one) => told.push(one));
  await session.ask({ type: "save", run: "gone", form: "log" });
  const [failed] = told;
  assertEquals([told.length, failed.type], [1, "failed"]);
  assertStringIncludes((failed as { message: string }).message, "runs/gone/events.jsonl");
});

Deno.test("a training that can't begin is refused", async () => {
  const told: Told[] = [];
  const session = new TrainingSession(memoryShelf(), (one) => told.push(one));
  const wanted = { set: "shapes10", architecture: "resnet8", seed: 0 } as const;
  await session.ask({ type: "train", run: "a", wanted, engine: "abacus" });
  const last = told.at(-1)!;
  assertEquals(last.type, "refused");
  assertStringIncludes((last as { message: string }).message, "abacus");
});

Deno.test("a run that can't be read has its name still, and can be removed", async () => {
  const kept = new Map([
    ["resnet8-shapes10-seed0", '{"type":"start","of":"another version"}\n'],
    ["resnet8-shapes10-seed0-2", ""], // closed before its first line: it can be begun
  ]);
  const shelf: Shelf = {
    ...memoryShelf(),
    names: () => Promise.resolve([...kept.keys()]),
    read: (path) => Promise.resolve(new TextEncoder().encode(kept.get(path.split("/")[1]))),
    remove: (name) => Promise.resolve(void kept.delete(name)),
  };
  let shown = NOTHING;
  const session = new TrainingSession(shelf, (told) => {
    if (told.type !== "saved" && told.type !== "failed") shown = changed(shown, told);
  });
  const wanted = { set: "shapes10", architecture: "resnet8", seed: 0 } as const;
  await session.ask({ type: "list" });
  assertEquals(shown.unreadable, ["resnet8-shapes10-seed0"]);
  assertEquals(freeName(wanted, shown), "resnet8-shapes10-seed0-2");
  await session.ask({ type: "forget", run: "resnet8-shapes10-seed0" });
  assertEquals(freeName(wanted, shown), "resnet8-shapes10-seed0");
});

Deno.test("where a driver computes wrongly the next engine trains, but not in place of a named one", async () => {
  const broken: EngineFactory = {
    ...wasmEngine,
    name: "broken",
    create: () => Promise.reject(new EngineError("this device computes wrongly")),
  };
  const warnings: string[] = [];
  const choose = (name: string, factories: readonly EngineFactory[]) =>
    workingEngine(name, factories, (text) => warnings.push(text));
  assertEquals((await choose("auto", [broken, wasmEngine])).factory, wasmEngine);
  assertEquals(warnings, ["broken is passed over: this device computes wrongly"]);
  for (const [name, factories] of [["broken", [broken, wasmEngine]], ["auto", [broken]]] as const) {
    await assertRejects(() => choose(name, factories), EngineError, "computes wrongly");
  }
});
