import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Told } from "./messages.ts";
import { TrainingSession } from "./session.ts";
import { memoryShelf } from "./shelf.ts";

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
