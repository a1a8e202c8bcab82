// Audits in a worker that does not end by itself, with programs in the place of the audit's.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { Auditor } from "./start.ts";

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
    : { type: "judged", judged: { json: String(asked), text: "", status: 0 } });
};
postMessage({ type: "ready" });`;

const ask = (target: string) => ({ files: [], target });
const quiet = () => {};

/** The worker that is left has to be ended, or the test would leak it. */
async function ending(auditor: Auditor): Promise<void> {
  const work = auditor.audit(ask("endless"), quiet, 60);
  work.cancel();
  assertEquals(await work.done, "cancelled");
}

Deno.test("audits follow each other in one worker, and one that is refused does not end it", async () => {
  const auditor = new Auditor(PROGRAM);
  const lines: string[] = [];
  const first = await auditor.audit(ask("a"), (line) => lines.push(line), 60).done;
  assertEquals([first, lines], [{ json: "1", text: "", status: 0 }, ["working"]]);
  assertEquals(await auditor.audit(ask("refused"), quiet, 60).done, "it is no network");
  assertEquals(await auditor.audit(ask("b"), quiet, 60).done, { json: "3", text: "", status: 0 });
  await ending(auditor);
});

Deno.test("one that goes on and on is ended by hand or by its time, and the next is judged", async () => {
  const auditor = new Auditor(PROGRAM);
  const work = auditor.audit(ask("endless"), quiet, 60);
  setTimeout(work.cancel, 300);
  assertEquals(await work.done, "cancelled");
  assertStringIncludes(
    await auditor.audit(ask("endless"), quiet, 0.3).done as string,
    "not done after 0.3 seconds",
  );
  assertEquals(await auditor.audit(ask("a"), quiet, 60).done, { json: "1", text: "", status: 0 });
  await ending(auditor);
});

Deno.test("a worker that breaks is said to, and the next is another", async () => {
  const auditor = new Auditor(PROGRAM);
  assertStringIncludes(await auditor.audit(ask("broken"), quiet, 60).done as string, "no memory");
  assertEquals(await auditor.audit(ask("a"), quiet, 60).done, { json: "1", text: "", status: 0 });
  await ending(auditor);
});
