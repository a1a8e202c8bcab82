// What is no file where a file is named: a device that never ends, a name that leads to itself, a
// file of terabytes that holds nothing. Each command's reader refuses it, soon and by its name.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { loadDataset } from "../data/mod.ts";
import { FileError, sha256, writeWhole } from "../files/mod.ts";
import { readRecording, readRun, RunError, RunFolder } from "../log/mod.ts";
import { writeRunReport, writeSetReport } from "../reports/mod.ts";
import { PLAN_FILE, readPlan, settlePlan } from "../reproduce/mod.ts";
import { withFolder } from "../testing/files/mod.ts";
import { fixtureFolder } from "../testing/runs/mod.ts";
import { readModelFile } from "../weights/mod.ts";
import { explain } from "./mod.ts";
import { recipeOf } from "./_training_flags.ts";

const isWindows = Deno.build.os === "windows";

/** Puts something at a path that is no file to be read. */
const TRAPS: Readonly<Record<string, (path: string) => Promise<void>>> = {
  "a device": (path) => Deno.symlink("/dev/zero", path),
  "a link to itself": (path) => Deno.symlink(path, path),
  "a file of 2 TB": async (path) => {
    await Deno.writeFile(path, new Uint8Array());
    await Deno.truncate(path, 2 * 1000 ** 4);
  },
};

/** Reads a path as a command does. */
const READERS: Readonly<Record<string, (folder: string, trap: string) => Promise<unknown>>> = {
  "audit, export, predict: weights": (_, trap) => readModelFile(trap),
  "audit: a recording": (folder) => readRecording(`${folder}/recording`),
  "train: data": (_, trap) => loadDataset("cifar10", { path: trap }),
  // deno-lint-ignore require-await -- async, so that an error rejects
  "train: a recipe": async (_, trap) => recipeOf({ recipe: trap }),
  "train: a run's log": async (folder) => {
    await using run = await RunFolder.open(`${folder}/log`);
    return run;
  },
  "reproduce: a plan": (folder) => readPlan(`${folder}/job`),
  "report: a log": (folder) => readRun(`${folder}/log`),
  "report: a file of a run": (folder) => writeRunReport(`${folder}/run`),
};

for (const [trap, make] of Object.entries(TRAPS)) {
  for (const [reader, read] of Object.entries(READERS)) {
    Deno.test({
      name: `${reader} that is ${trap}: refused soon, in words`,
      ignore: isWindows,
      fn: () =>
        withFolder(async (folder) => {
          const paths = [
            ...[`${folder}/trap.safetensors`, `${folder}/recording/recording.jsonl`],
            ...[`${folder}/log/events.jsonl`, `${folder}/job/${PLAN_FILE}`],
          ];
          for (const name of ["recording", "log", "job"]) await Deno.mkdir(`${folder}/${name}`);
          await writeRun(`${folder}/run`);
          await Deno.remove(`${folder}/run/predictions.csv`);
          for (const path of [...paths, `${folder}/run/predictions.csv`]) await make(path);
          const began = performance.now();
          const error = await assertRejects(() => read(folder, paths[0]), Error);
          assert(performance.now() - began < 5000);
          assertEquals(explain(error).message.includes("please report it"), false, error.message);
          assertStringIncludes(error.message, folder);
        }),
    });
  }
}

Deno.test({
  name: "a set's report says of a run with a device in it that it is left out",
  ignore: isWindows,
  fn: () =>
    withFolder(async (folder) => {
      for (const name of ["a", "b"]) await writeRun(`${folder}/${name}`);
      await Deno.remove(`${folder}/b/predictions.csv`);
      await Deno.symlink("/dev/zero", `${folder}/b/predictions.csv`);
      const { broken } = await writeSetReport([folder], folder);
      assertEquals(broken.map(({ folder }) => folder), ["b"]);
      assertStringIncludes(broken[0].problem, "a pipe, a socket or a device");
      assertEquals(broken[0].problem.includes(folder), false, "no path of this machine");
    }),
});

/** Writes into a folder as a command does. */
const WRITERS: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
  "train: a new run": (folder) => RunFolder.open(`${folder}/new`),
  "train: a run that goes on": (folder) => RunFolder.open(`${folder}/run`),
  "reproduce: a plan": (folder) =>
    settlePlan(
      `${folder}/job`,
      { dataset: "shapes10" },
      () => Promise.resolve({ a: "0".repeat(64) }),
    ),
  report: (folder) => writeRunReport(`${folder}/run`),
  "export, audit --html": (folder) => writeWhole(`${folder}/net.onnx`, "content"),
};

for (const [writer, write] of Object.entries(WRITERS)) {
  Deno.test(`${writer}, where nothing may be written: refused in words`, () =>
    withFolder(async (folder) => {
      await writeRun(`${folder}/run`);
      const before = await contentOf(folder);
      const { mkdir, open } = Deno;
      // Injected, since root may write where others may not.
      const refuse = (path: string | URL) =>
        Promise.reject(
          Object.assign(new Error(`Read-only file system (os error 30): '${path}'`), {
            code: "EROFS",
          }),
        );
      let error;
      try {
        Deno.mkdir = (path) => Deno.stat(path).then(() => {}, () => refuse(path));
        Deno.open = (path, options) =>
          options?.write || options?.append ? refuse(path) : open(path, options);
        error = await assertRejects(() => write(folder), Error);
      } finally {
        Object.assign(Deno, { mkdir, open });
      }
      assert(error instanceof RunError || error instanceof FileError, `${error}`);
      assertStringIncludes(explain(error).message, "Read-only file system");
      assertStringIncludes(explain(error).message, folder);
      assertEquals(explain(error).message.includes("please report it"), false, error.message);
      assertEquals(await contentOf(folder), before);
    }));
}

async function contentOf(folder: string): Promise<string[]> {
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const found = await Promise.all(entries.map(async ({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? await contentOf(path) : [`${path} ${sha256(await Deno.readFile(path))}`];
  }));
  return found.flat().sort();
}

Deno.test("what the system refuses unforeseen is no defect; what is thrown otherwise is one", () => {
  const error = Object.assign(new Error("Too many levels (os error 40): stat 'a'"), {
    code: "ELOOP",
  });
  assertStringIncludes(explain(error).message, "error: Too many levels");
  assertEquals(explain(error).message.includes("please report it"), false);
  assertStringIncludes(explain(new TypeError("x")).message, "please report it");
  assertStringIncludes(explain(new FileError("y")).message, "error: y");
});

async function writeRun(folder: string): Promise<void> {
  await Deno.mkdir(folder);
  for (const [name, content] of await fixtureFolder({ iterations: 200 })) {
    await Deno.writeFile(`${folder}/${name}`, content);
  }
}
