/** Bundles the programs of the pages, for tests. */
import { assert } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/** Whether Deno may be started, which bundles. */
export const canBundle: boolean =
  Deno.permissions.querySync({ name: "run", command: Deno.execPath() }).state === "granted";

let bundling: Promise<void> | undefined;

/** Bundles the pages' programs, once for all tests of a file. */
export function bundle(): Promise<void> {
  return bundling ??= (async () => {
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "-q", "web:bundle"],
      cwd: ROOT,
      stdin: "null",
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  })();
}
