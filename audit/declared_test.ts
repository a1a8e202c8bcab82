// A run that departs from the paper where it says so is not wrong; one that contradicts itself is.
import { assertEquals } from "@std/assert";
import { logSubjectOf, MemoryRun, type RunEvent } from "../log/mod.ts";
import { paper, vary } from "../recipes/mod.ts";
import { DATASET } from "../spec/mod.ts";
import { nullEngineFactory } from "../testing/mod.ts";
import { train } from "../train/mod.ts";
import { audit } from "./audit.ts";
import { runSubject } from "./targets.ts";

const folder = new MemoryRun();
await train({
  recipe: vary(paper("resnet8"), {
    ...{ batchSize: 256, batchNormImages: 256, architecture: { shortcut: "B" } },
    ...{ optimiser: { weightDecay: 0 }, schedule: { rate: 0.05 } },
    data: { mean: "per-channel", epochEnd: "keep-partial" },
  }, "declared"),
  ...{ seed: 0, dataset: () => Promise.resolve(DATASET), engine: nullEngineFactory },
  ...{ engineReason: "judgements are compared", out: "/run", open: folder.open, stopAfter: 400 },
  ...{ logEvery: 50, evalEvery: 200, checkpointEvery: 200 },
  ...{ versions: {}, revision: null, command: [] },
});
const log = await logSubjectOf("run", (path) => folder.read(path));

async function faultsOf(change: (event: RunEvent) => RunEvent): Promise<readonly string[]> {
  const subject = runSubject("run", { ...log, events: log.events!.map(change) });
  const { findings } = await audit(subject);
  return findings.filter(({ severity }) => severity === "fault").map(({ id }) => id);
}

Deno.test("declared departures are none of a run's faults, and neither is that it was stopped", async () => {
  assertEquals(await faultsOf((event) => event), []);
});

const CONTRADICTIONS: Readonly<Record<string, (event: RunEvent) => RunEvent>> = {
  "images-per-step": (event) =>
    event.type === "step" ? { ...event, images: 128 * event.steps } : event,
  "rates-used": (event) =>
    event.type === "rate"
      ? { ...event, learningRate: 0.2 }
      : event.type === "step"
      ? { ...event, learningRate: 0.2 }
      : event,
  "parameters-logged": (event) => event.type === "start" ? { ...event, parameters: 5 } : event,
};
for (const [rule, change] of Object.entries(CONTRADICTIONS)) {
  Deno.test(`a run that contradicts its own recipe has a fault: ${rule}`, async () => {
    assertEquals(await faultsOf(change), [rule]);
  });
}
