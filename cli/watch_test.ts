/** `deno task watch` as a user starts it: a real process with the permissions of its task. */
import { assertEquals, assertStringIncludes } from "@std/assert";

function started(...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--quiet", "--no-prompt", "--no-check", "-P=watch"],
      ...[new URL("watch.ts", import.meta.url).href, "--port", "0", "--json", ...args],
    ],
    ...{ stdin: "null", stdout: "piped", stderr: "piped" },
  }).spawn();
}

Deno.test("one page of several folders, until it is ended", async () => {
  const folders = ["reports/reference", "reports/pending"];
  const watch = started(...folders);
  const reader = watch.stdout.getReader();
  try {
    const { value } = await reader.read();
    const line = JSON.parse(new TextDecoder().decode(value));
    assertEquals(line.folders, folders);
    const list = await (await fetch(`${line.url}runs`)).text();
    for (const id of ["reports/reference/resnet20-4000/runs/resnet20-seed0", "reports/pending/"]) {
      assertStringIncludes(list, id);
    }
  } finally {
    watch.kill();
    await Promise.all([reader.cancel(), watch.stderr.cancel(), watch.status]);
  }
});

Deno.test("a folder that is none is named", async () => {
  const watch = started("reports/reference", "no/such/folder");
  await watch.stdout.cancel();
  const message = new TextDecoder().decode(await new Response(watch.stderr).bytes());
  assertStringIncludes(message, `"no/such/folder"`);
  assertEquals((await watch.status).code, 1);
});
