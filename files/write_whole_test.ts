import { assert, assertEquals, assertRejects } from "@std/assert";
import { testWithPermissions, withFolder } from "../testing/files/mod.ts";
import { openOwn, removeUnfinished, writeWhole } from "./write_whole.ts";

const FILES = ["read", "write"] as const;
const names = async (folder: string) =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

testWithPermissions(
  FILES,
  "a file is replaced whole, and nothing is left beside it",
  () =>
    withFolder(async (folder) => {
      await writeWhole(`${folder}/a`, "first");
      await writeWhole(`${folder}/a`, new TextEncoder().encode("second"));
      assertEquals(await Deno.readTextFile(`${folder}/a`), "second");
      assertEquals(await names(folder), ["a"]);
    }),
);

testWithPermissions(FILES, "nothing is written through a link", () =>
  withFolder(async (folder) => {
    const victim = `${folder}/victim`;
    await Deno.writeTextFile(victim, "mine");
    for (const name of ["report.html", "report.html.partial"]) {
      await Deno.symlink(victim, `${folder}/${name}`);
    }
    await writeWhole(`${folder}/report.html`, "page");
    assertEquals(await Deno.readTextFile(`${folder}/report.html`), "page");
    assert((await Deno.lstat(`${folder}/report.html`)).isFile);
    await Deno.symlink(victim, `${folder}/run.lock`);
    await Deno.link(victim, `${folder}/hard`);
    for (const name of ["run.lock", "hard"]) {
      await assertRejects(() => openOwn(`${folder}/${name}`), Deno.errors.AlreadyExists, name);
    }
    assertEquals(await Deno.readTextFile(victim), "mine");
  }));

testWithPermissions(
  FILES,
  "a write that fails leaves the old content and nothing beside it",
  () =>
    withFolder(async (folder) => {
      await Deno.mkdir(`${folder}/a/b`, { recursive: true });
      await assertRejects(() => writeWhole(`${folder}/a`, "text"));
      assertEquals(await names(folder), ["a"]);
    }),
);

testWithPermissions(
  FILES,
  "a run that begins meanwhile and removes the unfinished file does not make the write fail",
  () =>
    withFolder(async (folder) => {
      const { rename } = Deno;
      let begun = 0;
      try {
        Deno.rename = async (from, to) => {
          if (begun++ === 0) await removeUnfinished(folder);
          await rename(from, to);
        };
        await writeWhole(`${folder}/report.html`, "page");
      } finally {
        Deno.rename = rename;
      }
      assertEquals([begun, await names(folder)], [2, ["report.html"]]);
    }),
);

testWithPermissions(
  FILES,
  "what killed writes leave is removed, and nothing else",
  () =>
    withFolder(async (folder) => {
      for (const name of ["a.0123abcd.partial", "a.partial", "a.0123abcd"]) {
        await Deno.writeTextFile(`${folder}/${name}`, "");
      }
      await removeUnfinished(folder);
      assertEquals(await names(folder), ["a.0123abcd", "a.partial"]);
    }),
);

testWithPermissions(
  FILES,
  "a file of its own is opened again, and grows at its end",
  () =>
    withFolder(async (folder) => {
      for (const text of ["a", "b"]) {
        using file = await openOwn(`${folder}/log`, { append: true });
        await file.write(new TextEncoder().encode(text));
      }
      assertEquals(await Deno.readTextFile(`${folder}/log`), "ab");
    }),
);
