// The short form of `deno task crash`: some of the faults, and those that once were not mended.
import { assert, assertEquals } from "@std/assert";
import { crash } from "./crash.ts";
import { applies, FAULTS, KINDS } from "./_faults.ts";

async function problemsOf(
  options: Partial<Parameters<typeof crash>[0]>,
  least: number,
): Promise<readonly string[]> {
  const work = await Deno.makeTempDir({ prefix: "crash-test-" });
  try {
    const rows = await crash({ commands: ["train"], pairs: 0, jobs: 1, work, ...options });
    const cases = rows.reduce((sum, { cases }) => sum + cases, 0);
    assert(cases >= least, `${cases} cases were tried`);
    return rows.flatMap(({ problems }) => problems);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}

Deno.test("wherever a file operation goes wrong, the same command mends it: some of each", async () => {
  assertEquals(await problemsOf({ commands: ["report", "export"], sample: 6, pairs: 2 }, 16), []);
  assertEquals(await problemsOf({ sample: 9, pairs: 1 }, 10), []);
});

Deno.test("a power cut before a new run's log was kept, and a disk that fails at its end", async () => {
  const first = {
    only: ({ fault, k }) => fault === "unsynced" && k > 8 && k < 15,
  } satisfies Partial<Parameters<typeof crash>[0]>;
  assertEquals(await problemsOf(first, 6), []);
  // The log is synced once more behind its last line; which operation that is, changes with the loop.
  const last = { only: ({ fault, k }) => fault === "broken" && k > 83 && k < 88 } satisfies Partial<
    Parameters<typeof crash>[0]
  >;
  assertEquals(await problemsOf(last, 4), []);
});

Deno.test("each fault is a case where it can happen", () => {
  const cases = FAULTS.map((fault) => KINDS.filter((kind) => applies(fault, kind)).length);
  assertEquals(Object.fromEntries(FAULTS.map((fault, i) => [fault, cases[i]])), {
    ...{ before: 7, half: 1, unsynced: 7, "full once": 5, full: 5, broken: 7, short: 1, after: 7 },
  });
});
