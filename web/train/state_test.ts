import { assertEquals } from "@std/assert";
import { changed, NOTHING } from "./state.ts";
import type { RunEvent } from "../../log/mod.ts";

const step = (iteration: number, loss: number) =>
  ({ type: "step", iteration, loss, error: 0.5, learningRate: 0.1 }) as RunEvent;

Deno.test("steps behind a checkpoint count once: those that were taken again", () => {
  const events = [step(10, 2), step(20, 1.5), { type: "resume", iteration: 10 }, step(20, 1.25)];
  const shown = changed(NOTHING, { type: "events", events: events as RunEvent[] });
  assertEquals(shown.loss, [[10, 2], [20, 1.25]]);
  assertEquals(shown.training, [[10, 50], [20, 50]]);
});

Deno.test("another run begins with empty curves, and what the browser can stays known", () => {
  const ready = changed(NOTHING, { type: "ready", keeps: true, isolated: true });
  const ran = changed(ready, { type: "events", events: [step(10, 2)] });
  const { loss, phase, keeps, isolated, run } = changed(ran, { type: "asked", run: "b" });
  assertEquals({ loss, phase, keeps, isolated, run }, {
    ...{ loss: [], phase: "preparing", keeps: true, isolated: true, run: "b" },
  });
});
