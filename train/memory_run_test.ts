import { assert, assertEquals, assertRejects } from "@std/assert";
import { tinyRun } from "../testing/runs/mod.ts";
import { EVENTS_FILE, MemoryRun } from "../log/mod.ts";
import { train } from "./train.ts";

async function weightsOf(options: Parameters<typeof train>[0]): Promise<string> {
  const result = await train(options);
  assert(result.outcome === "finished");
  return result.weights.sha256;
}

Deno.test("MemoryRun: a run in memory, stopped and gone on with, ends as one on the disk", async () => {
  const folder = await Deno.makeTempDir({ prefix: "memory-run-test-" });
  try {
    const memory = new MemoryRun();
    const inMemory = tinyRun("/run", { open: memory.open });
    await train({ ...inMemory, stopAfter: 33 });
    assertEquals(await weightsOf(inMemory), await weightsOf(tinyRun(folder)));
    // The older checkpoints are removed, as from the disk.
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => name !== EVENTS_FILE && name !== "run.lock");
    assertEquals([...memory.files.keys()].sort(), names.sort());
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("MemoryRun: a copy goes its own way", async () => {
  const first = new MemoryRun();
  await train({ ...tinyRun("/run", { open: first.open }), stopAfter: 20 });
  const [events, files] = [first.events.length, first.files.size];
  const copy = new MemoryRun(first);
  await train(tinyRun("/run", { open: copy.open }));
  assertEquals([first.events.length, first.files.size], [events, files]);
  assertEquals(copy.events.at(-1)?.type, "end");
});

Deno.test("MemoryRun: a file that is not there is not found", async () => {
  await assertRejects(() => new MemoryRun().read("/run/none"), Deno.errors.NotFound, "/run/none");
});
