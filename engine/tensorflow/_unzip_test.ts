import { assertEquals, assertRejects } from "@std/assert";
import { crc32, deflateRawSync } from "node:zlib";
import { EngineError } from "../engine.ts";
import { unzip } from "./_unzip.ts";

/** A zip archive of deflated members. Source: APPNOTE.TXT, sections 4.3.7, 4.3.12 and 4.3.16. */
function zip(members: readonly { name: string; content: string; crc?: number }[]): Uint8Array {
  const parts: Uint8Array[] = [], directory: Uint8Array[] = [];
  let offset = 0;
  const fields = (...sized: readonly (readonly [number, 2 | 4])[]) => {
    const view = new DataView(new ArrayBuffer(sized.reduce((sum, [, size]) => sum + size, 0)));
    let at = 0;
    for (const [value, size] of sized) {
      if (size === 2) view.setUint16(at, value, true);
      else view.setUint32(at, value, true);
      at += size;
    }
    return new Uint8Array(view.buffer);
  };
  for (const { name, content, crc } of members) {
    const path = new TextEncoder().encode(name), bytes = new TextEncoder().encode(content);
    const data = new Uint8Array(deflateRawSync(bytes));
    const shared = [
      ...[[20, 2], [0, 2], [8, 2], [0, 4], [crc ?? crc32(bytes), 4]] as const,
      ...[[data.length, 4], [bytes.length, 4], [path.length, 2], [0, 2]] as const,
    ];
    const local = [fields([0x04034b50, 4], ...shared), path, data];
    directory.push(
      fields([0x02014b50, 4], [20, 2], ...shared, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]),
      path,
    );
    parts.push(...local);
    offset += local.reduce((sum, { length }) => sum + length, 0);
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const count = members.length;
  const end = fields(
    ...[[0x06054b50, 4], [0, 2], [0, 2], [count, 2], [count, 2]] as const,
    ...[[size, 4], [offset, 4], [0, 2]] as const,
  );
  return Uint8Array.from([...parts, ...directory, end].flatMap((part) => [...part]));
}

async function unzipped(
  members: Parameters<typeof zip>[0],
  use: (folder: string, unpack: () => Promise<number>) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/wheel.whl`, zip(members));
    const wanted = (path: string) => !path.endsWith(".py");
    await use(folder, () => unzip(`${folder}/wheel.whl`, `${folder}/out`, wanted));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("unpacks the wanted members with their folders", async () => {
  const members = [
    { name: "tensorflow/lib.so.2", content: "library ".repeat(1000) },
    { name: "tensorflow/setup.py", content: "print()" },
    { name: "METADATA", content: "Name: tensorflow" },
  ];
  await unzipped(members, async (folder, unpack) => {
    assertEquals(await unpack(), 2);
    assertEquals(
      await Deno.readTextFile(`${folder}/out/tensorflow/lib.so.2`),
      "library ".repeat(1000),
    );
    assertEquals(await Deno.readTextFile(`${folder}/out/METADATA`), "Name: tensorflow");
    await assertRejects(
      () => Deno.stat(`${folder}/out/tensorflow/setup.py`),
      Deno.errors.NotFound,
    );
  });
});

for (const name of ["../evil", "/etc/evil", "a/../../evil"]) {
  Deno.test(`refuses a member that leaves the folder: ${name}`, async () => {
    await unzipped([{ name, content: "x" }], async (folder, unpack) => {
      await assertRejects(unpack, EngineError, "Unsafe filename");
      await assertRejects(() => Deno.stat(`${folder}/out`), Deno.errors.NotFound);
    });
  });
}

Deno.test("refuses a member whose content is not what the directory says", async () => {
  await unzipped([{ name: "lib.so", content: "library", crc: 1 }], async (_, unpack) => {
    await assertRejects(unpack, EngineError, "Invalid CRC32");
  });
});
