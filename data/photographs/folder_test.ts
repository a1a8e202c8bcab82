import { assert, assertEquals, assertRejects } from "@std/assert";
import { encode } from "fast-png";
import { DataError } from "../errors.ts";
import {
  type IndexOptions,
  indexPhotographs,
  type PhotographIndex,
  readPhotograph,
  validationFolder,
} from "./folder.ts";

const png = (value: number, size = 2) =>
  encode({
    width: size,
    height: size,
    channels: 3,
    data: new Uint8Array(3 * size * size).fill(value),
  });

/** A folder with files, at work, and gone again. */
async function within(
  files: Readonly<Record<string, Uint8Array | string>>,
  work: (
    folder: string,
    index: (options?: IndexOptions) => Promise<PhotographIndex>,
    kept: string,
  ) => Promise<void>,
): Promise<void> {
  const all = await Deno.makeTempDir({ prefix: "photographs-" });
  const folder = `${all}/set`;
  try {
    await Deno.mkdir(folder);
    for (const [path, content] of Object.entries(files)) {
      const full = `${folder}/${path}`;
      await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
      if (typeof content === "string") await Deno.symlink(content, full);
      else await Deno.writeFile(full, content);
    }
    const kept = `${all}/index.jsonl`;
    await work(folder, (options) => indexPhotographs(folder, { index: kept, ...options }), kept);
  } finally {
    await Deno.remove(all, { recursive: true });
  }
}

async function assertRefused(work: () => Promise<unknown>, ...words: string[]): Promise<void> {
  const { message } = await assertRejects(work, DataError);
  for (const word of words) assert(message.includes(word), `${word} is not in: ${message}`);
}

Deno.test("classes and files stand in torchvision's order, at any depth", async () => {
  // What torchvision 0.29's ImageFolder(...).samples has of these files.
  await within({
    "b/2.PNG": png(1),
    "b/10.png": png(2),
    "B/x.png": png(3),
    "a/sub/deep/1.png": png(4),
    "a/sub b/1.png": png(5),
    "a/z.png": png(6),
    "a/notes.txt": png(7),
    "a/\u{1f41d}.png": png(8),
    "a/\uff0a.png": png(9),
    "readme.png": png(10),
  }, async (_, index) => {
    const { classNames, photographs, passedOver } = await index();
    assertEquals(classNames, ["B", "a", "b"]);
    assertEquals(
      photographs.map(({ path, label }) => [path, label]),
      [
        ["B/x.png", 0],
        ["a/z.png", 1],
        ["a/\uff0a.png", 1],
        ["a/\u{1f41d}.png", 1],
        ["a/sub b/1.png", 1],
        ["a/sub/deep/1.png", 1],
        ["b/10.png", 2],
        ["b/2.PNG", 2],
      ],
    );
    assertEquals([...passedOver], [[".txt", 1]]);
  });
});

Deno.test("what was read once is not read again until it changes", async () => {
  await within({ "a/1.png": png(1), "a/2.png": png(2) }, async (folder, index, kept) => {
    const before = await index();
    const text = await Deno.readTextFile(kept);
    // What is kept counts: an entry that says otherwise is believed.
    await Deno.writeTextFile(kept, text.replace(before.photographs[0].sha256, "0".repeat(64)));
    const believed = await index();
    assertEquals(believed.photographs[0].sha256, "0".repeat(64));
    assert(believed.sha256 !== before.sha256);
    await Deno.writeFile(`${folder}/a/1.png`, png(3, 3));
    const changed = await index();
    const [{ sha256 }] = changed.photographs;
    assert(sha256 !== before.photographs[0].sha256 && sha256 !== "0".repeat(64));
    assertEquals(changed.photographs[1], before.photographs[1]);
    const byOthers = text.replaceAll(/"rules":\d+/g, '"rules":1')
      .replace(before.photographs[1].sha256, "0".repeat(64));
    for (const damaged of [byOthers, "{", `{"path":"a/1.png"}\n`, "\0"]) {
      await Deno.writeTextFile(kept, damaged);
      assertEquals((await index()).sha256, changed.sha256);
    }
    // A list of somebody's is not written over.
    for (const other of ["a/1.png\n", '{"name": "a/1.png"}\n', "path,label\n"]) {
      await Deno.writeTextFile(kept, other);
      await assertRefused(index, "is no index of photographs", "--index");
      assertEquals(await Deno.readTextFile(kept), other);
    }
  });
});

Deno.test("files that are no whole images are named, counted, and left out where that is asked for", async () => {
  const whole = png(200, 16);
  await within({
    "a/1.png": whole,
    "a/empty.jpg": new Uint8Array(),
    "a/text.jpg": new TextEncoder().encode("<html>"),
    "a/cut.png": whole.subarray(0, -6),
    "a/old.bmp": new TextEncoder().encode("BM......"),
    "a/nowhere.png": "/does/not/exist.png",
    "a/locked.png": whole,
    "b/1.png": whole,
  }, async (folder, index) => {
    await Deno.chmod(`${folder}/a/locked.png`, 0o000);
    // Who may read everything is not refused anything.
    const isRoot = await Deno.readFile(`${folder}/a/locked.png`).then(() => true, () => false);
    const count = isRoot ? 5 : 6;
    await assertRefused(
      index,
      `of 8 files ${count} can't be read`,
      '"a/empty.jpg" (it is empty)',
      '"a/text.jpg" (JPEG, PNG and WebP can, and it is text, as of a web page',
      '"a/cut.png" (it ends early',
      "it is BMP",
      "leads nowhere",
      "--broken skip",
    );
    const { photographs, broken } = await index({ broken: "skip" });
    assertEquals(broken.length, count);
    assertEquals(photographs.map(({ path }) => path), [
      "a/1.png",
      ...(isRoot ? ["a/locked.png"] : []),
      "b/1.png",
    ]);
  });
});

Deno.test("a folder without classes, and a class without images, are refused by name", async () => {
  await within({ "1.png": png(1) }, (_, index) => assertRefused(index, "no classes", "1 files"));
  await within({}, (_, index) => assertRefused(index, "no classes", "it is empty"));
  await within(
    { "a/1.png": png(1), "b/1.gif": png(1) },
    (_, index) => assertRefused(index, "1 of 2 have none", '"b"', "1 of .gif"),
  );
  await assertRejects(() => indexPhotographs("/does/not/exist", { index: "x" }), Error, "exist");
});

Deno.test("a link out of the folder is refused, or followed where that is asked for", async () => {
  await within({ "a/1.png": png(1) }, async (folder, index) => {
    await Deno.mkdir(`${folder}/../other`);
    await Deno.writeFile(`${folder}/../other/2.png`, png(2));
    for (const [link, target] of [["a/2.png", "other/2.png"], ["b", "other"]]) {
      await Deno.symlink(`${folder}/../${target}`, `${folder}/${link}`);
      await assertRefused(index, "is a link out of", `/${target}"`, "--links follow");
      const { photographs } = await index({ links: "follow" });
      assertEquals(photographs.length, 2);
      await Deno.remove(`${folder}/${link}`);
    }
    // Within the folder a link is as good as a file; one to a folder above comes to an end.
    await Deno.symlink("1.png", `${folder}/a/3.png`);
    assertEquals((await index()).photographs.length, 2);
    await Deno.mkdir(`${folder}/b`);
    await Deno.writeFile(`${folder}/b/1.png`, png(3));
    for (const target of ["..", "."]) {
      await Deno.symlink(target, `${folder}/a/up`);
      for (const links of ["refuse", "follow"] as const) {
        const { photographs } = await index({ links });
        assertEquals(photographs.map(({ path }) => path), ["a/1.png", "a/3.png", "b/1.png"]);
      }
      await Deno.remove(`${folder}/a/up`);
    }
  });
});

Deno.test("hundreds of empty files are one clear line", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 500 }, (_, i) => [`a/${i}.jpg`, new Uint8Array()]),
  );
  await within(files, async (_, index) => {
    const { message } = await assertRejects(() => index({ broken: "skip" }), DataError);
    assert(
      message.includes('of 500 files 500 can\'t be read: "a/0.jpg" and 499 more (it is empty)'),
    );
    assert(message.length < 400, message);
  });
});

Deno.test("a photograph is read as it was indexed, and refused where it changed since", async () => {
  await within({ "val/a/1.png": png(7), "train/a/1.png": png(8) }, async (folder) => {
    const index = await indexPhotographs(await validationFolder(folder), {
      index: `${folder}/index.jsonl`,
    });
    assertEquals((await readPhotograph(index, 0)).pixels, new Uint8Array(12).fill(7));
    // A link to it is one too, as where a training finds it.
    await Deno.mkdir(`${folder}/linked`);
    await Deno.symlink("../val", `${folder}/linked/val`);
    assertEquals(await validationFolder(`${folder}/linked`), `${folder}/linked/val`);
    assertEquals(await validationFolder(`${folder}/val`), `${folder}/val`);
    await Deno.writeFile(`${folder}/val/a/1.png`, png(7, 40));
    await assertRefused(() => readPhotograph(index, 0), "somebody changed it");
  });
});
