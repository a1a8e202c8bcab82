import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { fixtureFolder, textOf } from "../testing/runs/mod.ts";
import { RunFolder } from "./folder.ts";
import { RunError } from "./store.ts";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "log-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const START = textOf(await fixtureFolder({ samples: false }), "events.jsonl").split("\n")[0] + "\n";
const WARNING =
  `{"type":"warning","time":"2026-01-01T00:00:00.000Z","iteration":1,"message":"a"}\n`;
const FAILURE = `{"type":"failure","time":"2026-01-01T00:00:00.000Z","iteration":1,"reason":"b"}\n`;

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
    assert(error.message.includes("events.jsonl, line 2: "), error.message);
    // The lock is free again.
    await Deno.writeTextFile(`${folder}/events.jsonl`, START);
    await (await RunFolder.open(folder)).close();
  }));

Deno.test("RunFolder: a damaged end is cut off, by a kill or by a disk that was full", () =>
  inFolder(async (folder) => {
    const log = `${folder}/events.jsonl`;
    for (
      const [damaged, left] of [
        [START + WARNING + WARNING.slice(0, 20), START + WARNING],
        // A failure was added behind a part of a line, and an earlier version went no further.
        [START + WARNING.slice(0, 20) + FAILURE, START],
        [START + FAILURE, START + FAILURE],
        [START.slice(0, 40) + FAILURE, ""],
        [FAILURE, ""],
      ]
    ) {
      await Deno.writeTextFile(log, damaged);
      await Deno.writeTextFile(`${folder}/checkpoint-1.safetensors`, "so that it stays");
      const run = await RunFolder.open(folder);
      assertEquals(await Deno.readTextFile(log), left);
      assertEquals(run.tornBytes, damaged.length - left.length);
      await run.close();
    }
  }));

Deno.test("RunFolder: a line that the disk takes a part of leaves nothing behind", () =>
  inFolder(async (folder) => {
    const log = `${folder}/events.jsonl`;
    await Deno.writeTextFile(log, START);
    const run = await RunFolder.open(folder);
    const warning = { type: "warning", iteration: 1, message: "a" } as const;
    const { writeSync, truncateSync } = Deno.FsFile.prototype;
    const full = () => {
      throw new Error("No space left on device (os error 28)");
    };
    Deno.FsFile.prototype.writeSync = function (bytes: Uint8Array): number {
      writeSync.call(this, bytes.subarray(0, 9));
      return full();
    };
    try {
      assertThrows(() => run.append(warning), RunError, "No space left");
      assertEquals(await Deno.readTextFile(log), START);
      // Even where it can't be taken back at once, nothing follows it.
      Deno.FsFile.prototype.truncateSync = full;
      assertThrows(() => run.append(warning), RunError, "No space left");
    } finally {
      Object.assign(Deno.FsFile.prototype, { writeSync, truncateSync });
    }
    run.append(warning);
    await run.close();
    const lines = (await Deno.readTextFile(log)).split("\n");
    assertEquals([lines.length, lines[0] + "\n"], [3, START]);
    assertEquals(JSON.parse(lines[1]).message, "a");
  }));

Deno.test("RunFolder: a log never begins with a failure", () =>
  inFolder(async (folder) => {
    const run = await RunFolder.open(folder);
    assertThrows(
      () => run.append({ type: "failure", iteration: 0, reason: "no space" }),
      RunError,
      "begins with its start",
    );
    await run.close();
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("RunFolder: nothing follows a run's end, not even the failure to keep it on the disk", () =>
  inFolder(async (folder) => {
    const log = `${folder}/events.jsonl`;
    const whole = textOf(await fixtureFolder({ samples: false }), "events.jsonl");
    await Deno.writeTextFile(log, whole);
    const run = await RunFolder.open(folder);
    assertThrows(
      () => run.append({ type: "failure", iteration: 2000, reason: "no space" }),
      RunError,
      "nothing follows a run's end",
    );
    await run.close();
    assertEquals(await Deno.readTextFile(log), whole);
    // As an earlier version left it.
    await Deno.writeTextFile(log, whole + FAILURE);
    await using again = await RunFolder.open(folder);
    assertEquals(again.earlier.at(-1)?.type, "end");
    assertEquals(await Deno.readTextFile(log), whole);
  }));

Deno.test("RunFolder: a log that was altered is not gone on with", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/events.jsonl`, START);
    const run = await RunFolder.open(folder);
    run.append({ type: "warning", iteration: 1, message: "as it was" });
    run.append({ type: "failure", iteration: 1, reason: "no space" });
    await run.close();
    const log = await Deno.readTextFile(`${folder}/events.jsonl`);
    await Deno.writeTextFile(`${folder}/events.jsonl`, log.replace("as it was", "as it is."));
    await assertRejects(() => RunFolder.open(folder), RunError, "altered");
  }));

Deno.test("RunFolder: nothing is written through a link", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/victim`, "mine");
    for (const name of ["run.lock", "events.jsonl"]) {
      const run = `${folder}/${name}-run`;
      await Deno.mkdir(run);
      await Deno.writeTextFile(`${run}/events.jsonl`, START);
      await Deno.remove(`${run}/${name}`).catch(() => {});
      await Deno.symlink(`${folder}/victim`, `${run}/${name}`);
      await assertRejects(() => RunFolder.open(run), RunError, name);
    }
    assertEquals(await Deno.readTextFile(`${folder}/victim`), "mine");
  }));

Deno.test("RunFolder: a folder that somebody takes away is an error with what to do", () =>
  inFolder(async (folder) => {
    const run = await RunFolder.open(`${folder}/run`);
    await Deno.remove(`${folder}/run`, { recursive: true });
    await assertRejects(() => run.names(), RunError, "run the same command");
    await assertRejects(() => run.read("split.json"), RunError, "split.json");
    await assertRejects(() => run.write("split.json", "{}"), RunError, "found none");
    await run.close();
  }));

Deno.test("RunFolder: nothing is written into a folder that was made anew by another run", () =>
  inFolder(async (folder) => {
    const path = `${folder}/run`;
    await Deno.mkdir(path);
    await Deno.writeTextFile(`${path}/events.jsonl`, START);
    await using run = await RunFolder.open(path);
    await run.write("split.json", "{}");
    await Deno.remove(path, { recursive: true });
    await using other = await RunFolder.open(path);
    await assertRejects(() => run.write("split.json", "{}"), RunError, "found another one");
    assertEquals((await other.names()).toSorted(), ["events.jsonl", "run.lock"]);
    await other.write("split.json", "{}");
  }));

Deno.test("RunFolder: a log larger than any run's is refused before memory is taken for it", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/events.jsonl`, START);
    await Deno.truncate(`${folder}/events.jsonl`, 2 ** 40);
    await assertRejects(() => RunFolder.open(folder), RunError, "this one has more");
    assertEquals((await Deno.stat(`${folder}/events.jsonl`)).size, 2 ** 40);
    await Deno.writeTextFile(`${folder}/events.jsonl`, START + "\n".repeat(300_000));
    await assertRejects(() => RunFolder.open(folder), RunError, "this one has more");
  }));

Deno.test("RunFolder: the first line must be a start", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/events.jsonl`, WARNING);
    await assertRejects(() => RunFolder.open(folder), RunError, `found "warning"`);
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

Deno.test("RunFolder: two never hold a folder that a third left empty between them", () =>
  inFolder(async (folder) => {
    const leaving = await RunFolder.open(folder);
    const { tryLock } = Deno.FsFile.prototype;
    let holding: RunFolder | undefined;
    // Its lock is opened; before it is taken, one leaves, removes the file, and another comes.
    Deno.FsFile.prototype.tryLock = async function (exclusive) {
      Deno.FsFile.prototype.tryLock = tryLock;
      await leaving.close();
      holding = await RunFolder.open(folder);
      return await tryLock.call(this, exclusive);
    };
    try {
      await assertRejects(() => RunFolder.open(folder), RunError, "in use by another run");
    } finally {
      Deno.FsFile.prototype.tryLock = tryLock;
      await holding?.close();
    }
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
    await Deno.writeTextFile(`${folder}/events.jsonl`, START);
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
  }));
