// Work in a worker that does not end by itself, with a program in the place of a page's.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Jobs } from "./jobs.ts";
import type { Given } from "./messages.ts";

/** Answers a target by its name; `endless` never, `broken` by an error, `refused` with a reason. */
const PROGRAM = `
let asked = 0;
onmessage = ({ data: { target } }) => {
  asked++;
  if (target === "endless") for (;;);
  if (target === "broken") throw new Error("no memory");
  postMessage({ type: "line", text: "working" });
  postMessage(target === "refused"
    ? { type: "refused", message: "it is no network" }
    : { type: "judged", judged: { json: String(asked), text: "" } });
};
postMessage({ type: "ready" });`;

interface Asked extends Given {
  readonly target: string;
}

const ask = (target: string) => ({ files: [], target });
const quiet = () => {};

/** The worker that is left has to be ended, or the test would leak it. */
async function ending(jobs: Jobs<Asked>): Promise<void> {
  const work = jobs.begin(ask("endless"), quiet, 60);
  work.cancel();
  assertEquals(await work.done, "cancelled");
}

Deno.test("work is done in turn in one worker, and what is refused does not end it", async () => {
  const jobs = new Jobs<Asked>(PROGRAM, "test");
  const lines: string[] = [];
  const first = await jobs.begin(ask("a"), (line) => lines.push(line), 60).done;
  assertEquals([first, lines], [{ json: "1", text: "" }, ["working"]]);
  const refused = jobs.begin(ask("refused"), quiet, 60);
  assertEquals(await refused.done, "it is no network");
  // Who no longer wants what is done already, ends nothing.
  refused.cancel();
  assertEquals(await jobs.begin(ask("b"), quiet, 60).done, { json: "3", text: "" });
  await ending(jobs);
});

Deno.test("one that goes on and on is ended by hand or by its time, and the next is judged", async () => {
  const jobs = new Jobs<Asked>(PROGRAM, "test");
  const work = jobs.begin(ask("endless"), quiet, 60);
  setTimeout(work.cancel, 300);
  assertEquals(await work.done, "cancelled");
  assertStringIncludes(
    await jobs.begin(ask("endless"), quiet, 0.3).done as string,
    "not done after 0.3 seconds",
  );
  assertEquals(await jobs.begin(ask("a"), quiet, 60).done, { json: "1", text: "" });
  await ending(jobs);
});

Deno.test("a worker that breaks is said to, and the next is another", async () => {
  const jobs = new Jobs<Asked>(PROGRAM, "test");
  assertStringIncludes(await jobs.begin(ask("broken"), quiet, 60).done as string, "no memory");
  assertEquals(await jobs.begin(ask("a"), quiet, 60).done, { json: "1", text: "" });
  await ending(jobs);
});

Deno.test("a worker that can't begin says so at once, before it is asked or after", async () => {
  const jobs = new Jobs<Asked>("throw new Error('no such thing in this browser')", "test");
  await new Promise((resolve) => setTimeout(resolve, 500)); // it has ended by now
  for (let i = 0; i < 2; i++) {
    const found = await jobs.begin(ask("a"), quiet, 20).done;
    assertStringIncludes(found as string, "no such thing in this browser");
  }
});
