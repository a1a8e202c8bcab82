import { assert, assertEquals } from "@std/assert";
import { fixtureFolder, readerOf, setText, textOf } from "../testing/runs/mod.ts";
import { withoutFolders, withoutFoldersIn } from "../text/mod.ts";
import { RunFolder } from "./folder.ts";
import { readRun } from "./read_run.ts";

Deno.test("paths are cut to their last names, and nothing else is", () => {
  for (
    const [text, expected] of [
      ["/home/alice/data", "…/data"],
      ["can't read /home/alice/a.bin: it does not exist", "can't read …/a.bin: it does not exist"],
      ['"C:\\Users\\alice\\run" is in use', '"…/run" is in use'],
      ["file:///home/alice/x.ts:3", "…/x.ts:3"],
      ["~/runs/a", "…/a"],
      ["(/home/alice/)", "(…)"],
      ["https://example.org/a/b", "https://example.org/a/b"],
      ["../shared/cifar, 3/4 and a/b / c", "../shared/cifar, 3/4 and a/b / c"],
      ["AMD EPYC 7R13/64 at 3.6 GHz", "AMD EPYC 7R13/64 at 3.6 GHz"],
    ]
  ) assertEquals(withoutFolders(text), expected);
  assertEquals(withoutFoldersIn("--data=/home/alice b/c d/"), "--data=…/c d");
  assertEquals(withoutFoldersIn("/home/alice b/c"), "…/c");
  assertEquals(withoutFoldersIn("/home/alice/run/a.json", "/home/alice/run"), "./a.json");
});

Deno.test("a new log has no path of the computer that wrote it", async () => {
  const folder = await Deno.makeTempDir({ prefix: "log-test-" });
  try {
    const out = `${folder}/run`;
    const run = await RunFolder.open(out);
    const start = JSON.parse(
      textOf(await fixtureFolder({ samples: false }), "events.jsonl").split("\n")[0],
    );
    const { time: _, ...event } = start;
    const engine = {
      name: "tensorflow",
      reason: `the library is in ${folder}/lib`,
      device: {
        summary: "a CPU",
        details: { library: `${folder}/lib/libtensorflow.so`, threads: 2 },
      },
    };
    run.append({
      ...event,
      engine,
      command: ["deno", "task", "train", "--data", `${folder}/cifar`, `--out=${out}`],
      startWeights: { path: `${folder}/weights.pth`, sha256: "0".repeat(64) },
    });
    run.append({ type: "warning", iteration: 1, message: `"${out}/split.json" is odd` });
    run.append({ type: "failure", iteration: 1, reason: `can't write ${out}/a: disk full` });
    await run.close();
    const text = await Deno.readTextFile(`${out}/events.jsonl`);
    assert(!text.includes(folder), text);
    const [first, warning, failure] = text.split("\n").slice(0, 3).map((line) => JSON.parse(line));
    assertEquals(first.command, ["deno", "task", "train", "--data", "…/cifar", "--out=."]);
    assertEquals(first.startWeights.path, "…/weights.pth");
    assertEquals(first.engine.device.details.library, "…/libtensorflow.so");
    assertEquals(warning.message, '"./split.json" is odd');
    assertEquals(failure.reason, "can't write ./a: disk full");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("of an older log no path of a computer is read", async () => {
  const folder = await fixtureFolder();
  const [first, ...rest] = textOf(folder, "events.jsonl").split("\n");
  const start = { ...JSON.parse(first), command: ["deno", "--data", "/home/alice/cifar"] };
  setText(folder, "events.jsonl", [JSON.stringify(start), ...rest].join("\n"));
  const run = await readRun("run", readerOf(folder));
  assertEquals(run.start.command, ["deno", "--data", "…/cifar"]);
});
