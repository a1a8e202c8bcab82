// What stands for the disk in a browser does the same there.
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { deflateRawSync, deflateSync } from "node:zlib";
import { disk } from "./disk.browser.ts";
import { mount } from "./browser/mod.ts";
import * as browserHash from "./hash.browser.ts";
import * as browserInflate from "./inflate.browser.ts";
import { Sha256 } from "./hash.ts";
import { crc32, inflate } from "./inflate.ts";

Deno.test("files that were given are read by their paths, whole and in pieces", async () => {
  mount(new Map([["a/b/one.txt", new Blob(["one"])], ["./two.txt", new Blob(["two!"])]]));
  assertEquals(new TextDecoder().decode(await disk.read("a/b/one.txt")), "one");
  assertEquals(await new Response(await disk.stream("two.txt")).text(), "two!");
  assertEquals(await disk.stat("two.txt"), { isFile: true, isDirectory: false, size: 4 });
  assertEquals((await disk.stat("a/b/")).isDirectory, true);
  assertEquals(await disk.list("a"), [{ name: "b", isDirectory: true }]);
  assertEquals((await disk.list(".")).map(({ name }) => name), ["a", "two.txt"]);
});

Deno.test("what is not there is missing, and a file is no folder", async () => {
  mount(new Map([["a/one.txt", new Blob(["one"])]]));
  const missing = await assertRejects(() => disk.read("b/one.txt"));
  assertEquals([disk.isMissing(missing), disk.isNoFolder(missing)], [true, false]);
  assertEquals(disk.isMissing(disk.missing("c")), true);
  const through = await assertRejects(() => disk.stat("a/one.txt/two"));
  assertEquals([disk.isMissing(through), disk.isNoFolder(through)], [false, true]);
  assertEquals(disk.isNoFolder(await assertRejects(() => disk.list("a/one.txt"))), true);
  await assertRejects(() => disk.read("a"), Error, "is a folder");
});

const BYTES = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i) >> 7);

Deno.test("hashes and checksums are those of Node's own", () => {
  const [here, there] = [new Sha256(), new browserHash.Sha256()];
  for (const part of [BYTES, "äöü\n", BYTES.subarray(1, 70)]) {
    here.update(part);
    there.update(part);
    assertEquals(there.hex(), here.hex());
  }
  assertEquals(browserInflate.crc32(BYTES), crc32(BYTES));
});

Deno.test("what is unpacked, and what is refused, is the same", () => {
  for (const [packed, wrapped] of [[deflateRawSync(BYTES), false], [deflateSync(BYTES), true]]) {
    const bytes = new Uint8Array(packed as Uint8Array), isWrapped = Boolean(wrapped);
    const damaged = bytes.slice();
    damaged[damaged.length - 2] ^= 1;
    for (const way of [inflate, browserInflate.inflate]) {
      assertEquals(new Uint8Array(way(bytes, BYTES.length, isWrapped)), BYTES);
      assertThrows(() => way(bytes, BYTES.length - 1, isWrapped), RangeError, "more than 199999");
      assertThrows(() => way(bytes.subarray(0, -9), BYTES.length, isWrapped), Error, "cut off");
      assertThrows(() => way(new Uint8Array(0), 10, isWrapped), Error, "damaged");
      if (isWrapped) assertThrows(() => way(damaged, BYTES.length, true), Error, "damaged");
    }
  }
  for (const way of [inflate, browserInflate.inflate]) {
    assertEquals(way(deflateRawSync(new Uint8Array(0)), 0).length, 0);
    assertThrows(() => way(deflateRawSync(Uint8Array.of(1)), 0), RangeError, "more than 0");
  }
});
