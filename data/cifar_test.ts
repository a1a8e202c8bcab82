import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { measureNormalisation } from "./normalisation.ts";
import type { Labels } from "../engine/mod.ts";
import { type CifarFormat, loadCifar } from "./cifar.ts";
import { datasetNamed } from "./dataset.ts";
import { FileError } from "../files/mod.ts";
import { sha256 } from "../files/mod.ts";
import {
  archiveOf,
  records,
  testOnCifar10,
  testWithPermissions,
  TINY_FILES,
  tinyArchive,
  tinyFormat,
  withFolder,
  writeFiles,
} from "../testing/files/mod.ts";

const FILES = ["read", "write"] as const;

async function rejects(format: CifarFormat, path: string, ...parts: string[]): Promise<void> {
  const error = await assertRejects(() => loadCifar(format, { path }), FileError);
  for (const part of parts) assertStringIncludes(error.message, part);
}

testWithPermissions(
  FILES,
  "a folder's records become interleaved images in file order",
  () =>
    withFolder(async (folder) => {
      await writeFiles(folder, TINY_FILES);
      const { train, test, hashes } = await loadCifar(tinyFormat(), { path: folder });
      assertEquals([train.count, train.height, train.width, train.channels], [5, 32, 32, 3]);
      assertEquals([...train.labels], [0, 1, 2, 2, 1]);
      assertEquals([...test.labels], [1, 0]);
      // Image 3 is the first of b.bin; pixel (row 2, column 7) lies 2 * 32 + 7 into each plane.
      const at = 1 + 2 * 32 + 7;
      const expected = [0, 1024, 2048].map((plane) => TINY_FILES["b.bin"][at + plane]);
      const offset = ((3 * 32 + 2) * 32 + 7) * 3;
      assertEquals([...train.pixels.subarray(offset, offset + 3)], expected);
      assertEquals(Object.keys(hashes), ["a.bin", "b.bin", "t.bin"]);
    }),
);

testWithPermissions(
  FILES,
  "the fine label, the second byte, is CIFAR-100's",
  () =>
    withFolder(async (folder) => {
      const bytes = new Uint8Array(3074);
      bytes.set([19, 99, 7]);
      const files = { "one.bin": bytes, "two.bin": bytes };
      await writeFiles(folder, files);
      const file = (name: keyof typeof files) => ({ name, images: 1, sha256: sha256(bytes) });
      const { classNames } = datasetNamed("cifar100");
      const format = {
        ...{ ...tinyFormat(), labelBytes: 2, classNames },
        ...{ train: [file("one.bin")], test: [file("two.bin")] },
      };
      const { train } = await loadCifar(format, { path: folder });
      assertEquals([train.labels[0], train.pixels[0], train.classes], [99, 7, 100]);
      assertEquals(classNames[99], "worm");
    }),
);

testWithPermissions(
  FILES,
  "a folder holding the set's folder and an archive give the same",
  () =>
    withFolder(async (folder) => {
      await writeFiles(`${folder}/tiny-bin`, TINY_FILES);
      await writeFiles(folder, { "tiny.tar.gz": await tinyArchive() });
      const direct = await loadCifar(tinyFormat(), { path: `${folder}/tiny-bin` });
      assertEquals(await loadCifar(tinyFormat(), { path: folder }), direct);
      assertEquals(await loadCifar(tinyFormat(), { path: `${folder}/tiny.tar.gz` }), direct);
    }),
);

testWithPermissions(
  FILES,
  "an archive far larger than the streams' buffers is read",
  () =>
    withFolder(async (folder) => {
      const files = { ...TINY_FILES, "a.bin": records(new Array(400).fill(2), 5) };
      const path = `${folder}/large.tar.gz`;
      await Deno.writeFile(path, await tinyArchive(files));
      const { hashes, train } = await loadCifar(tinyFormat(files), { path });
      assertEquals([hashes["a.bin"], train.count], [sha256(files["a.bin"]), 402]);
    }),
);

testWithPermissions(
  FILES,
  "missing files and folders are named",
  () =>
    withFolder(async (folder) => {
      await rejects(tinyFormat(), `${folder}/nowhere`, "nowhere", "does not exist");
      await rejects(tinyFormat(), folder, "no Tiny in", "a.bin, b.bin, t.bin", "tiny-bin");
      const { "b.bin": _, ...others } = TINY_FILES;
      await writeFiles(folder, others);
      await rejects(tinyFormat(), folder, `${folder}/b.bin`, "does not exist");
      await writeFiles(folder, { "less.tar.gz": await tinyArchive(others) });
      await rejects(tinyFormat(), `${folder}/less.tar.gz`, "less.tar.gz", "missing: b.bin");
    }),
);

testWithPermissions(
  FILES,
  "truncated, too long and altered files are refused in words",
  () =>
    withFolder(async (folder) => {
      const good = TINY_FILES["t.bin"];
      const altered = good.slice();
      altered[5000] ^= 1;
      const faults: [Uint8Array, string[]][] = [
        [good.subarray(0, 6000), ["6146", "6000", "truncated"]],
        [Uint8Array.of(...good, 0), ["6146", "6147", "too long"]],
        [new Uint8Array(0), ["6146", "found 0", "truncated"]],
        [altered, [sha256(good), sha256(altered), "altered"]],
      ];
      for (const [bytes, words] of faults) {
        const files = { ...TINY_FILES, "t.bin": bytes };
        await writeFiles(folder, files);
        await rejects(tinyFormat(), folder, `${folder}/t.bin`, ...words);
        await writeFiles(folder, { "fault.tar.gz": await tinyArchive(files) });
        await rejects(tinyFormat(), `${folder}/fault.tar.gz`, "tiny-bin/t.bin", ...words);
      }
    }),
);

testWithPermissions(
  FILES,
  "a label out of range is refused with its place",
  () =>
    withFolder(async (folder) => {
      const bytes = TINY_FILES["a.bin"].slice();
      bytes[3073] = 3;
      const files = { ...TINY_FILES, "a.bin": bytes };
      await writeFiles(folder, files);
      await rejects(tinyFormat(files), folder, "a.bin", "below 3", "found 3 at byte 3073");
    }),
);

testWithPermissions(
  FILES,
  "what an archive should not hold is refused",
  () =>
    withFolder(async (folder) => {
      const body = new Uint8Array(8);
      const faults: [string, Parameters<typeof archiveOf>[0][number]][] = [
        ["leaves the folder", { header: { name: "../a.bin" }, body }],
        ["leaves the folder", { header: { name: "/etc/a.bin" }, body }],
        ["leaves the folder", { header: { name: "tiny-bin/../../a.bin" }, body }],
        ["is a symlink", { header: { name: "a.bin", type: "symlink", linkname: "/etc/passwd" } }],
        ["is a link", { header: { name: "a.bin", type: "link", linkname: "b.bin" } }],
        ["at most", { header: { name: "big.bin" }, body: new Uint8Array(20_000) }],
      ];
      const path = `${folder}/fault.tar.gz`;
      for (const [words, entry] of faults) {
        await Deno.writeFile(path, await archiveOf([entry]));
        await rejects(tinyFormat(), path, path, `"${entry.header.name}"`, words);
      }
      const twice = ["tiny-bin/a.bin", "again/a.bin"].map((name) => ({
        header: { name },
        body: TINY_FILES["a.bin"],
      }));
      await Deno.writeFile(path, await archiveOf(twice));
      await rejects(tinyFormat(), path, "again/a.bin", "twice");
      const many = Array.from({ length: 101 }, (_, i) => ({ header: { name: `${i}` }, body }));
      await Deno.writeFile(path, await archiveOf(many));
      await rejects(tinyFormat(), path, "number 101");
    }),
);

/** Headers of the kind that only describe the next entry, 300 MiB of them, packed. */
function headersAlone(): Promise<Uint8Array<ArrayBuffer>> {
  const block = new Uint8Array(1024);
  const put = (at: number, text: string) => block.set(new TextEncoder().encode(text), at);
  put(0, "x");
  put(124, "00000000010\0");
  put(148, " ".repeat(8));
  put(156, "x");
  put(257, "ustar\0" + "00");
  const sum = block.subarray(0, 512).reduce((sum, byte) => sum + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  put(512, "8 a=bcd\n");
  const mebibyte = new Uint8Array(2 ** 20);
  for (let at = 0; at < mebibyte.length; at += block.length) mebibyte.set(block, at);
  let left = 300;
  const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: (controller) => left-- > 0 ? controller.enqueue(mebibyte) : controller.close(),
  });
  return new Response(stream.pipeThrough(new CompressionStream("gzip"))).bytes();
}

testWithPermissions(
  FILES,
  "headers without an end cost no more than an archive does",
  () =>
    withFolder(async (folder) => {
      const path = `${folder}/headers.tar.gz`;
      const bytes = await headersAlone();
      assertEquals(bytes.length < 2 ** 22, true);
      await Deno.writeFile(path, bytes);
      await rejects(tinyFormat(), path, "it unpacks to more than 268435456 bytes");
    }),
);

testWithPermissions(FILES, "damaged archives are refused", () =>
  withFolder(async (folder) => {
    const whole = await tinyArchive();
    const path = `${folder}/damaged.tar.gz`;
    const middle = whole.slice();
    middle.fill(0, 2000, 2100);
    for (
      const bytes of [
        whole.subarray(0, 9000),
        whole.subarray(0, whole.length - 4),
        middle,
        new TextEncoder().encode("<html>404</html>"),
        new Uint8Array(0),
      ]
    ) {
      await Deno.writeFile(path, bytes);
      await rejects(tinyFormat(), path, path, "not a whole .tar.gz archive");
    }
  }));

Deno.test({
  name: "without permission the error says which flag grants it",
  permissions: { read: false },
  fn: () => rejects(tinyFormat(), "/data/cifar", "--allow-read=/data/cifar"),
});

testOnCifar10("CIFAR-10 has the published files, counts and classes", async (folder) => {
  const { classNames, hashes: published, load, ...counted } = datasetNamed("cifar10");
  const { train, test, hashes } = await load({ path: folder });
  assertEquals(hashes, published);
  assertEquals([counted.trainingImages, counted.testImages], [train.count, test.count]);
  const counts = (labels: Labels) =>
    classNames.map((_, label) => labels.filter((found) => found === label).length);
  assertEquals(counts(train.labels), Array(10).fill(5000));
  assertEquals(counts(test.labels), Array(10).fill(1000));

  // The rest by NumPy 2.4.6 from the same files: frombuffer, reshape(-1, 3, 32, 32),
  // transpose(0, 2, 3, 1).
  assertEquals([...train.labels.subarray(0, 10)], [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]);
  assertEquals([...test.labels.subarray(0, 10)], [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]);
  const pixel = (n: number, y: number, x: number) => [
    ...train.pixels.subarray(((n * 32 + y) * 32 + x) * 3, ((n * 32 + y) * 32 + x) * 3 + 3),
  ];
  assertEquals(pixel(0, 0, 0), [59, 62, 63]);
  assertEquals(pixel(0, 31, 31), [123, 92, 72]);
  assertEquals(pixel(49_999, 16, 5), [122, 118, 112]);
  assertEquals(
    sha256(train.pixels),
    "47af8b02cfcfb6cdf3dbbd1969ad7f1b70f4413f6f80f437b020ee4e5bc8304a",
  );
  assertEquals(
    sha256(test.pixels),
    "f9b1e2130bab680db56eb06d886f7f1ad0f1183907ceff4659d1735c890f5b04",
  );
});

testOnCifar10("CIFAR-10's means are NumPy's and the published ones", async (folder) => {
  const { load, channels } = datasetNamed("cifar10");
  const { train } = await load({ path: folder });
  const indices = Uint32Array.from({ length: 50_000 }, (_, i) => i);
  const scaled = { pixelScale: "0..1", meanSubtracted: "before-padding" } as const;
  const perPixel = measureNormalisation(train, indices.subarray(0, 45_000), {
    ...scaled,
    mean: "per-pixel",
    std: "none",
  });
  // NumPy 2.4.6: (X[:45000].astype(int64).sum(0) / (45000 * 255)).astype("<f4").
  assertEquals(
    perPixel.sha256,
    "08f64ca94b44eb69f767250eaca16a06f706d6e5b5faa02aaae3b00c628d8450",
  );
  const { normalisation } = measureNormalisation(train, indices, {
    ...scaled,
    mean: "per-channel",
    std: "per-channel",
  });
  const rounded = (values: Float32Array) => [...values].map((value) => Number(value.toFixed(4)));
  assertEquals(rounded(normalisation.mean.subarray(0, 3)), channels?.mean);
  assertEquals(rounded(normalisation.std), channels?.std);
});
