import { assert, assertEquals, assertRejects } from "@std/assert";
import { RunError, RunFolder } from "./folder.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "log-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const START = `{"type":"start","time":"2026-01-01T00:00:00.000Z"}\n`;

Deno.test("RunFolder: appends one JSON object a line and reads them back", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/events.jsonl`, START);
    const run = await RunFolder.open(folder);
    run.append({ type: "warning", iteration: 3, message: "line\nbreak" });
    await run.close();
    const lines = (await Deno.readTextFile(`${folder}/events.jsonl`)).split("\n");
    assertEquals(lines.length, 3);
    assertEquals(lines[0] + "\n", START);
    const { time, ...event } = JSON.parse(lines[1]);
    assertEquals(event, { type: "warning", iteration: 3, message: "line\nbreak" });
    assert(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/.test(time), time);
    await using again = await RunFolder.open(folder);
    assertEquals(again.earlier.map(({ type }) => type), ["start", "warning"]);
  }));

Deno.test("RunFolder: a torn last line is cut off and counted", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/events.jsonl`, `${START}{"type":"st`);
    await using run = await RunFolder.open(folder);
    assertEquals(run.tornBytes, 11);
    assertEquals(run.earlier.length, 1);
    assertEquals(await Deno.readTextFile(`${folder}/events.jsonl`), START);
  }));

Deno.test("RunFolder: a damaged line in the middle is refused by its number", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/events.jsonl`, `${START}{"type":\n${START}`);
    const error = await assertRejects(() => RunFolder.open(folder), RunError);
    assert(error.message.startsWith("line 2 of "), error.message);
    // The lock is free again.
    await Deno.writeTextFile(`${folder}/events.jsonl`, START);
    await (await RunFolder.open(folder)).close();
  }));

Deno.test("RunFolder: the first line must be a start", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/events.jsonl`, `{"type":"end"}\n`);
    await assertRejects(() => RunFolder.open(folder), RunError, `found "end"`);
  }));

Deno.test("RunFolder: somebody's other files are refused and stay as they are", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/thesis.tex`, "text");
    await assertRejects(() => RunFolder.open(folder), RunError, `it holds "thesis.tex"`);
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["thesis.tex"]);
  }));

Deno.test("RunFolder: a path that is a file is refused with what to do", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/file`, "");
    const error = await assertRejects(() => RunFolder.open(`${folder}/file`), RunError);
    assert(error.message.includes("Choose another with --out"), error.message);
    await assertRejects(() => RunFolder.open(`${folder}/file/deeper`), RunError);
  }));

Deno.test("RunFolder: a folder in use is refused, and free once it is closed", () =>
  inFolder(async (folder) => {
    const first = await RunFolder.open(folder);
    const error = await assertRejects(() => RunFolder.open(folder), RunError);
    assert(error.message.includes(`in use by another run (process ${Deno.pid}, since`));
    await first.close();
    await (await RunFolder.open(folder)).close();
  }));

Deno.test("RunFolder: a folder that it made is removed again if nothing was logged", () =>
  inFolder(async (folder) => {
    await (await RunFolder.open(`${folder}/made`)).close();
    assertEquals([...Deno.readDirSync(folder)], []);
    await (await RunFolder.open(folder)).close(); // made by another: it stays
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("RunFolder.write: a write that breaks off leaves the old file and nothing beside it", () =>
  inFolder(async (folder) => {
    await using run = await RunFolder.open(folder);
    const file = await run.write("state", "old");
    assertEquals(file, {
      path: "state",
      // printf old | sha256sum
      sha256: "cba06b5736faf67e54b07b561eae94395e774c517a7d910a54369e1263ccfbd4",
      bytes: 3,
    });
    const { write } = Deno.FsFile.prototype;
    Deno.FsFile.prototype.write = async function (bytes: Uint8Array): Promise<number> {
      await write.call(this, bytes.subarray(0, 1));
      throw new Error("No space left on device (os error 28)");
    };
    try {
      const error = await assertRejects(() => run.write("state", "new"), RunError);
      assert(error.message.includes("No space left on device"), error.message);
    } finally {
      Deno.FsFile.prototype.write = write;
    }
    assertEquals(await Deno.readTextFile(`${folder}/state`), "old");
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(names, ["events.jsonl", "run.lock", "state"]);
    run.append({ type: "warning", iteration: 0, message: "so that the folder stays" });
  }));
