/** What the tests of the readers share: a tiny set in CIFAR's format, folders, archives. */
import { packTar, type TarHeader } from "modern-tar";
import { sha256 } from "../../files/mod.ts";
import type { CifarFormat } from "../../data/mod.ts";
import { isThere } from "./is_there.ts";

const RECORD = 3073;

/** Deterministic bytes that gzip can't shorten, from a linear congruential generator. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return state >>> 24;
  });
}

/** Records of one label byte and 3072 pixel bytes. */
export function records(labels: readonly number[], seed: number): Uint8Array {
  const bytes = noise(labels.length * RECORD, seed);
  labels.forEach((label, i) => bytes[i * RECORD] = label);
  return bytes;
}

/** Content of the tiny set's files: 3 + 2 training images and 2 test images of three classes. */
export const TINY_FILES: Readonly<Record<string, Uint8Array>> = {
  "a.bin": records([0, 1, 2], 1),
  "b.bin": records([2, 1], 2),
  "t.bin": records([1, 0], 3),
};

/** The tiny set's format for some files' content, whose hashes count as the published ones. */
export function tinyFormat(files = TINY_FILES, archive: Uint8Array = new Uint8Array(1)) {
  const file = (name: string) => ({
    name,
    images: files[name].length / RECORD,
    sha256: sha256(files[name]),
  });
  return {
    title: "Tiny",
    folder: "tiny-bin",
    archive: {
      url: "https://example.invalid/tiny.tar.gz",
      bytes: archive.length,
      sha256: sha256(archive),
    },
    labelBytes: 1,
    train: [file("a.bin"), file("b.bin")],
    test: [file("t.bin")],
    classNames: ["x", "y", "z"],
  } satisfies CifarFormat;
}

/** A `.tar.gz` archive of the given entries. */
export async function archiveOf(
  entries: readonly { header: Partial<TarHeader> & { name: string }; body?: Uint8Array }[],
): Promise<Uint8Array<ArrayBuffer>> {
  const tar = await packTar(entries.map(({ header, body }) => ({
    // A fixed time, or the archive's bytes, and what damage to some of them does, change by the
    // second: zeros put into the compressed bytes have once been read as other pixels.
    header: { type: "file" as const, size: body?.length ?? 0, mtime: new Date(0), ...header },
    body,
  })));
  const zipped = new Blob([tar]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(zipped).arrayBuffer());
}

/** The archive as it is published: a folder with the files and others that are not read. */
export function tinyArchive(files = TINY_FILES): Promise<Uint8Array<ArrayBuffer>> {
  return archiveOf([
    { header: { name: "tiny-bin/", type: "directory" } },
    { header: { name: "tiny-bin/readme.html" }, body: new TextEncoder().encode("Tiny") },
    ...Object.entries(files).map(([name, body]) => ({
      header: { name: `tiny-bin/${name}` },
      body,
    })),
  ]);
}

/** Runs a test body with a temporary folder that is removed afterwards. */
export async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "resnet-data-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes files into a folder, which is made if need be. */
export async function writeFiles(
  folder: string,
  files: Readonly<Record<string, Uint8Array>>,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
}

/** Registers a test that needs permissions; without them it is reported by name as not run. */
export function testWithPermissions(
  needs: readonly ("read" | "write" | "net")[],
  name: string,
  body: () => Promise<void>,
): void {
  const missing = needs.filter((permission) =>
    Deno.permissions.querySync(
      permission === "net" ? { name: permission, host: "127.0.0.1" } : { name: permission },
    ).state !== "granted"
  );
  Deno.test({
    name: missing.length === 0 ? name : `${name} (not run: needs --allow-${missing.join(", ")})`,
    ignore: missing.length > 0,
    fn: body,
  });
}

/** The real CIFAR-10, beside the repository on some machines; it is never part of it. */
const REAL_CIFAR10 = new URL("../../../shared/cifar-10-batches-bin", import.meta.url);

/** Registers a test on the real CIFAR-10; where it is missing it is reported by name as not run. */
export function testOnCifar10(name: string, body: (folder: string) => Promise<void>): void {
  Deno.test({
    name: `${name} (needs ../shared/cifar-10-batches-bin)`,
    ignore: !isThere(REAL_CIFAR10),
    fn: () => body(REAL_CIFAR10.pathname),
  });
}
