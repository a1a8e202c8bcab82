/** `deno task watch` as a user starts it: a real process with the permissions of its task. */
import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CommandError } from "./mod.ts";
import { byAddress, servePage } from "./_serve.ts";

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
  const folders = ["reports/reference/resnet20-4000", "reports/reference/system-b"];
  const watch = started(...folders);
  const reader = watch.stdout.getReader();
  try {
    const { value } = await reader.read();
    const line = JSON.parse(new TextDecoder().decode(value));
    assertEquals(line.folders, folders);
    const list = await (await fetch(`${line.url}runs`)).text();
    for (const folder of folders) assertStringIncludes(list, `${folder}/runs/`);
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

Deno.test("a port that is in use is said, and the flag that takes another", () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const error = assertThrows(
    () => servePage("127.0.0.1", port, () => () => new Response(), "Choose another --port"),
    CommandError,
    `port ${port}: Address already in use`,
  );
  assertStringIncludes(error.message, "--port");
});

Deno.test("what listens on all addresses answers to each of them, and to no foreign name", async () => {
  const hosts = ["0.0.0.0:8008"];
  const statusOf = async (hostname: string, url: string) => {
    const handler = byAddress(
      hostname,
      hosts,
      (request) =>
        new Response("", { status: hosts.includes(new URL(request.url).host) ? 200 : 403 }),
    );
    return (await handler(new Request(url))).status;
  };
  assertEquals(await statusOf("0.0.0.0", "http://192.0.2.7:8008/runs"), 200);
  assertEquals(await statusOf("0.0.0.0", "http://[2001:db8::1]:8008/runs"), 200);
  assertEquals(await statusOf("0.0.0.0", "http://evil.example:8008/runs"), 403);
  assertEquals(await statusOf("127.0.0.1", "http://192.0.2.7:8008/runs"), 403);
});
