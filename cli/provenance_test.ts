import { assertEquals } from "@std/assert";
import { revision } from "./_provenance.ts";

const COMMIT = "0123456789abcdef0123456789abcdef01234567";

Deno.test("revision: a loose branch, a packed one, a detached head, and none", async () => {
  const root = await Deno.makeTempDir({ prefix: "revision-test-" });
  try {
    assertEquals(await revision(undefined), null);
    assertEquals(await revision(root), null);
    await Deno.mkdir(`${root}/.git/refs/heads`, { recursive: true });
    await Deno.writeTextFile(`${root}/.git/HEAD`, "ref: refs/heads/main\n");
    assertEquals(await revision(root), null);
    const packed = `# pack-refs with: peeled\n${COMMIT} refs/heads/main\n`;
    await Deno.writeTextFile(`${root}/.git/packed-refs`, packed);
    assertEquals(await revision(root), COMMIT);
    const newer = COMMIT.replaceAll("0", "f");
    await Deno.writeTextFile(`${root}/.git/refs/heads/main`, `${newer}\n`);
    assertEquals(await revision(root), newer);
    await Deno.writeTextFile(`${root}/.git/HEAD`, `${COMMIT}\n`);
    assertEquals(await revision(root), COMMIT);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
});
