import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { packTar } from "modern-tar";
import { testWithPermissions, withFolder, writeFiles } from "../../testing/files/mod.ts";
import { DataError } from "../errors.ts";
import { unpackTraining, unpackValidation, validationClasses } from "./imagenet_archives.ts";

type Entries = Parameters<typeof packTar>[0];

/** Bytes that say whose they are; no image, which nobody looks at here. */
const imageOf = (name: string, size = 700) =>
  new Uint8Array(size).map((_, i) => name.charCodeAt(i % name.length));

async function tarOf(
  files: readonly { name: string; body?: Uint8Array; type?: "file" | "symlink" | "link" }[],
): Promise<Uint8Array> {
  const entries = files.map(({ name, body, type = "file" }) => ({
    header: {
      ...{ name, type, size: body?.length ?? 0, mtime: new Date(0) },
      ...(type === "file" ? {} : { linkname: "/etc/passwd" }),
    },
    ...(body ? { body } : {}),
  }));
  return await packTar(entries as Entries);
}

const CLASSES = ["n02119789", "n01440764", "n03126707"];

/** A tar of a tar for each class, and what it holds. */
async function training(images = 4) {
  const expected: Record<string, Uint8Array> = {};
  const outer: { name: string; body: Uint8Array }[] = [];
  for (const name of CLASSES) {
    const files = Array.from({ length: images }, (_, i) => `${name}_${i}.JPEG`)
      .map((name, i) => ({ name, body: imageOf(name, 100 + 512 * i) }));
    for (const { name: file, body } of files) expected[`${name}/${file}`] = body;
    outer.push({ name: `${name}.tar`, body: await tarOf(files) });
  }
  return { bytes: await tarOf(outer), expected };
}

async function contentOf(folder: string): Promise<Record<string, Uint8Array>> {
  const found: Record<string, Uint8Array> = {};
  for await (const { name } of Deno.readDir(folder)) {
    for await (const file of Deno.readDir(`${folder}/${name}`)) {
      found[`${name}/${file.name}`] = await Deno.readFile(`${folder}/${name}/${file.name}`);
    }
  }
  return found;
}

const needs = ["read", "write"] as const;

testWithPermissions(
  needs,
  "training archives: a folder for each class, byte for byte",
  () =>
    withFolder(async (folder) => {
      const { bytes, expected } = await training();
      await writeFiles(folder, { "train.tar": bytes });
      const unpack = (dryRun = false) =>
        unpackTraining(`${folder}/train.tar`, `${folder}/train`, { dryRun });
      const size = Object.values(expected).reduce((sum, { length }) => sum + length, 0);
      const counts = { classes: 3, images: 12, bytes: size };
      assertEquals(await unpack(true), { ...counts, wereThere: 0 });
      await assertRejects(() => Deno.stat(`${folder}/train`), Deno.errors.NotFound);
      assertEquals(await unpack(), { ...counts, wereThere: 0 });
      assertEquals(await contentOf(`${folder}/train`), expected);
      // What a run that was killed leaves: an image that is not there, and another not whole.
      await Deno.remove(`${folder}/train/${CLASSES[1]}/${CLASSES[1]}_2.JPEG`);
      await Deno.truncate(`${folder}/train/${CLASSES[2]}/${CLASSES[2]}_3.JPEG`, 7);
      await Deno.writeFile(`${folder}/train/${CLASSES[2]}/x.JPEG.0123abcd.partial`, imageOf("x"));
      assertEquals(await unpack(true), { ...counts, wereThere: 10 });
      assertEquals(await unpack(), { ...counts, wereThere: 10 });
      assertEquals(await contentOf(`${folder}/train`), expected);
    }),
);

testWithPermissions(
  needs,
  "validation archives: classes by each form of list",
  () =>
    withFolder(async (folder) => {
      const names = ["val_3.JPEG", "val_1.JPEG", "val_2.JPEG"];
      const archive = `${folder}/val.tar`;
      await writeFiles(folder, {
        "val.tar": await tarOf(names.map((name) => ({ name, body: imageOf(name) }))),
      });
      const expected = {
        "n01440764/val_1.JPEG": imageOf("val_1.JPEG"),
        "n02119789/val_2.JPEG": imageOf("val_2.JPEG"),
        "n02119789/val_3.JPEG": imageOf("val_3.JPEG"),
      };
      const lists: (readonly [string, (readonly string[])?])[] = [
        ["n01440764\nn02119789\nn02119789\n"],
        ["2\r\n1\r\n1\r\n", CLASSES],
        ["val_2.JPEG n02119789\nval_1.JPEG n01440764 tench\nval_3.JPEG n02119789\n"],
        // As the solution is published for a contest: boxes follow the class.
        ["ImageId,PredictionString\nval_1,n01440764 1 2 3 4\nval_3,n02119789 1\nval_2,n02119789\n"],
      ];
      for (const [i, [list, ids]] of lists.entries()) {
        const classOf = validationClasses(list, "list.txt", ids);
        const counts = await unpackValidation(archive, classOf, `${folder}/${i}`);
        assertEquals([counts.classes, counts.images], [2, 3]);
        assertEquals(await contentOf(`${folder}/${i}`), expected);
      }
    }),
);

Deno.test("lists that would give wrong labels are refused, each with its reason", () => {
  const names = ["val_1.JPEG", "val_2.JPEG"];
  const sorted = CLASSES.toSorted();
  const table: [list: string, ids: readonly string[] | undefined, reason: string][] = [
    ["1\n2\n", undefined, "--classes FILE"],
    ["1\n2\n", sorted, "sorted by WNID"],
    ["0\n2\n", CLASSES, "ids are 1 to 3, found 0"],
    ["1\n4\n", CLASSES, "line 2: ids are 1 to 3, found 4"],
    ["1\n", CLASSES, "1 lines, and the archive 2 images"],
    ["", CLASSES, "empty"],
    ["val_1.JPEG 65\nval_2.JPEG 3\n", CLASSES, "counted from 0 by some"],
    ["val_1.JPEG n01440764\nval_1 n02119789\n", undefined, "comes twice"],
    ["val_1.JPEG n01440764\nval_3.JPEG n02119789\n", undefined, "val_2.JPEG"],
    ["val_1.JPEG n1\nval_2.JPEG n2\nval_3.JPEG n3\n", undefined, "names 3 images"],
    ["../n01440764\nn02119789\n", undefined, "no name for a class's folder"],
  ];
  for (const [list, ids, reason] of table) {
    const error = assertThrows(() => validationClasses(list, "list.txt", ids)(names), DataError);
    assertStringIncludes(error.message, reason);
    assertStringIncludes(error.message, "list.txt");
  }
});

testWithPermissions(
  needs,
  "archives that are damaged, unsafe or others: refused, nothing outside",
  () =>
    withFolder(async (folder) => {
      const { bytes } = await training();
      const inner = (files: Parameters<typeof tarOf>[0]) =>
        tarOf(files).then((body) => tarOf([{ name: "n01440764.tar", body }]));
      const body = imageOf("x");
      const flipped = bytes.slice();
      flipped[3] ^= 1;
      const sizeless = await inner([{ name: "a.JPEG", body }]);
      const header = sizeless.subarray(512, 1024);
      header.fill(32, 124, 136).fill(32, 148, 156);
      const sum = header.reduce((sum, byte) => sum + byte, 0);
      header.set(new TextEncoder().encode(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
      const table: Readonly<Record<string, [Uint8Array, string]>> = {
        "half.tar": [bytes.slice(0, bytes.length / 2), "ends early"],
        "no end.tar": [bytes.slice(0, bytes.length - 1024), "ends early"],
        "flipped.tar": [flipped, "begins no entry"],
        "sizeless.tar": [sizeless, '"a.JPEG" has no size'],
        "text.tar": [new TextEncoder().encode("no tar".repeat(200)), "begins no entry"],
        "empty.tar": [new Uint8Array(), "ends early"],
        "above.tar": [await inner([{ name: "../../evil.JPEG", body }]), "leaves the folder"],
        "root.tar": [await inner([{ name: "/tmp/evil.JPEG", body }]), "leaves the folder"],
        "deep.tar": [await inner([{ name: "a/b.JPEG", body }]), "no image's name"],
        "link.tar": [await inner([{ name: "a.JPEG", type: "symlink" }]), "is a link"],
        "hard.tar": [await inner([{ name: "a.JPEG", type: "link" }]), "is a link"],
        "program.tar": [await inner([{ name: "a.sh", body }]), "no image's name"],
        "nothing.tar": [
          await inner([{ name: "a.JPEG", body: new Uint8Array() }]),
          "which no image",
        ],
        "twice.tar": [
          await inner([{ name: "a.JPEG", body }, { name: "a.JPEG", body: imageOf("y") }]),
          "comes twice",
        ],
        "class.tar": [await tarOf([{ name: "../n.tar", body }]), "leaves the folder"],
        "images.tar": [await tarOf([{ name: "a.JPEG", body }]), "is no class's archive"],
      };
      for (const [name, [content, reason]] of Object.entries(table)) {
        await Deno.writeFile(`${folder}/${name}`, content);
        const error = await assertRejects(
          () => unpackTraining(`${folder}/${name}`, `${folder}/out/train`),
          DataError,
        );
        assertStringIncludes(error.message, reason, name);
        assertStringIncludes(error.message, name);
      }
      const names = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
      assertEquals(names.sort(), [...Object.keys(table), "out"].sort());
      const found = await contentOf(`${folder}/out/train`);
      for (const [path, image] of Object.entries(found)) {
        const name = path.split("/")[1];
        assert([0, 1, 2, 3].some((i) => image.length === 100 + 512 * i) || name === "a.JPEG", path);
      }
    }),
);
