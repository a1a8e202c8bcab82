import { assertEquals } from "@std/assert";
import { droppedFiles } from "./files.ts";

/** An entry of a file system, as browsers have them: a file, or a folder of others. */
const entry = (fullPath: string, inner?: readonly unknown[]) => ({
  fullPath,
  isFile: inner === undefined,
  file: (take: (file: File) => void) => take(new File([], fullPath.split("/").at(-1)!)),
  createReader: () => {
    let left = inner ?? [];
    return {
      readEntries(take: (some: readonly unknown[]) => void) {
        take(left.slice(0, 2));
        left = left.slice(2);
      },
    };
  },
});

const dropped = (entries: readonly unknown[], files: readonly string[]) =>
  droppedFiles({
    items: entries.map((entry) => ({ webkitGetAsEntry: () => entry })),
    files: files.map((name) => new File([], name)),
  } as unknown as DataTransfer);

Deno.test("what is dropped is the files of all folders, each with its path", async () => {
  const folder = entry("/out", [
    entry("/out/a.pth"),
    entry("/out/deep", [entry("/out/deep/b.pth")]),
    entry("/out/c.pth"),
  ]);
  const found = await dropped([folder, entry("/d.pth")], ["out", "d.pth"]);
  assertEquals(found.map(([path]) => path), ["out/a.pth", "out/deep/b.pth", "out/c.pth", "d.pth"]);
});

Deno.test("an empty folder that is dropped is no file, what has no entry is one", async () => {
  // Browsers have a file for it too, which can't be read.
  assertEquals(await dropped([entry("/empty", [])], ["empty"]), []);
  assertEquals((await dropped([null], ["a.pth"])).map(([path]) => path), ["a.pth"]);
});
