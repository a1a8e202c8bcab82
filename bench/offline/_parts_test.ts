import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { manifest, writeParts } from "./_parts.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

Deno.test("a stream becomes parts of the size and a rest, with the checksums of sha256sum", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // Chunks that end within a part, at its end, and beyond several.
    const stream = ReadableStream.from([bytes("ab"), bytes("c"), bytes("abcab"), bytes("")]);
    const parts = await writeParts(stream, folder, "x.tar.xz", 3);
    assertEquals(parts.map(({ name, bytes }) => [name, bytes]), [
      ["x.tar.xz.000", 3],
      ["x.tar.xz.001", 3],
      ["x.tar.xz.002", 2],
    ]);
    const texts = parts.map(({ name }) => Deno.readTextFileSync(join(folder, name)));
    assertEquals(texts, ["abc", "abc", "ab"]);
    // printf abc | sha256sum; printf ab | sha256sum
    assertEquals(
      manifest(parts).split("\n").slice(1),
      [
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  x.tar.xz.001",
        "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603  x.tar.xz.002",
        "",
      ],
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a stream as long as its parts leaves no empty one behind", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const parts = await writeParts(ReadableStream.from([bytes("abcdef")]), folder, "x", 3);
    assertEquals(parts.map(({ name, bytes }) => [name, bytes]), [["x.000", 3], ["x.001", 3]]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
