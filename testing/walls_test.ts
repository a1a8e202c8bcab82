import { assertEquals, assertGreater, assertMatch } from "@std/assert";
import { faultsIn, ROOMS } from "./walls.ts";

const ROOT = new URL("../", import.meta.url);

/** Every source file of the project, by its path from the root. */
async function sources(folder = ""): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for await (const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))) {
    const path = folder + name;
    if (isDirectory) {
      if (/^(\.|node_modules$|runs$)/.test(name)) continue;
      for (const [inner, text] of await sources(`${path}/`)) files.set(inner, text);
    } else if (/\.tsx?$/.test(name)) {
      files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
    }
  }
  return files;
}

Deno.test("every import goes down the house and through a door, and none in a circle", async () => {
  const files = await sources();
  assertGreater(files.size, 300);
  assertEquals(faultsIn(files).map(({ where, problem }) => `${where}: ${problem}`), []);
});

Deno.test("what lies beside the project is looked for there, and not within it", async () => {
  const beside = /new URL\(\s*"((?:\.\.\/)+)shared\//g;
  let found = 0;
  for (const [path, text] of await sources()) {
    for (const [, up] of text.matchAll(beside)) {
      found++;
      assertEquals(
        up.length / 3,
        path.split("/").length,
        `${path}: a test that never finds its data`,
      );
    }
  }
  assertGreater(found, 5);
});

Deno.test("every folder with code is a room", async () => {
  const rooms = ROOMS.flat();
  for (const path of (await sources()).keys()) {
    if (!path.includes("/")) continue;
    assertEquals(rooms.includes(path.split("/")[0]), true, `${path} lies in no room of ROOMS`);
  }
});

/** Quoted here and not below: what looks like an import is taken for one in this file too. */
const PRIVATE = JSON.stringify("../train/_session.ts");

const faultOf = (path: string, line: string): string | undefined => {
  const [fault, ...others] = faultsIn(new Map([[path, `/** Text. */\n${line}\n`]]));
  assertEquals(others, []);
  return fault && `${fault.where}: ${fault.problem}`;
};

Deno.test("an import against the table is named with its line and its way out", () => {
  assertMatch(
    faultOf("resnet/graph.ts", 'import { judge } from "../spec/mod.ts";')!,
    /^resnet\/graph\.ts:2: resnet\/ stands below spec\/.*move what both need/,
  );
  assertMatch(
    faultOf("cli/train.ts", `import type { X } from ${PRIVATE};`)!,
    /^cli\/train\.ts:2: train\/_session\.ts is private to train\/.*a door/,
  );
  assertMatch(
    faultOf("cli/train_test.ts", `const { x } = await import(${PRIVATE});`)!,
    /private to train/,
  );
  assertMatch(
    faultOf("cli/train.ts", 'export * from "../train/train.ts";')!,
    /train\/train\.ts is no door; import from train\/mod\.ts/,
  );
  assertMatch(faultOf("random/philox.ts", 'import "../text/mod.ts";')!, /imports no other room/);
  assertMatch(faultOf("recorders/tfjs.ts", 'import "../log/mod.ts";')!, /imports no other room/);
  assertMatch(
    faultOf("resnet/graph.ts", 'import {\n  x,\n} from "../testing/mod.ts";')!,
    /stands below testing/,
  );
  for (
    const [path, line] of [
      ["cli/train.ts", 'import { train } from "../train/mod.ts";'],
      ["resnet/graph_test.ts", 'import { x } from "../testing/mod.ts";'],
      ["recorders/tfjs_test.ts", 'import { x } from "../log/mod.ts";'],
      ["resnet/graph.ts", 'import { x } from "./_y.ts";'],
      ["resnet/graph.ts", '// import { x } from "../spec/mod.ts";'],
    ]
  ) assertEquals(faultOf(path, line), undefined);
});

Deno.test("a circle of files is named", () => {
  const faults = faultsIn(
    new Map([
      ["spec/a.ts", 'import { b } from "./b.ts";'],
      ["spec/b.ts", 'import type { a } from "./a.ts";'],
    ]),
  );
  assertMatch(faults[0].problem, /spec\/a\.ts imports spec\/b\.ts imports spec\/a\.ts/);
});

Deno.test("what others call by its path stays there: entry points, conformance, packages", async () => {
  const entries = ["mod.ts", "resnet/mod.ts", "data/mod.ts", "train/mod.ts", "reports/mod.ts"];
  for (const path of [...entries, "spec/paper_checklist.test.ts", "spec/arch_shapes.test.ts"]) {
    assertEquals((await Deno.stat(new URL(path, ROOT))).isFile, true, path);
  }
  const { imports, tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", ROOT)));
  for (const name of ["@std/assert", "@std/cli", "@std/csv"]) {
    assertMatch(imports[name], new RegExp(`^jsr:${name}@`));
  }
  assertEquals("train" in tasks && "test" in tasks, true);
});

Deno.test("a room that also runs in a browser uses neither Deno nor Node, but with a file for it", () => {
  const reading = "export const read = () => Deno.readFile(path);\n";
  assertMatch(faultOf("spec/rule.ts", reading)!, /^spec\/rule\.ts:2: .* has no Deno\.r.*browser/);
  assertMatch(
    faultOf("weights/_zip.ts", 'import { crc32 } from "node:zlib";')!,
    /has no node:; use what files\/ has/,
  );
  const beside = new Map([["files/disk.ts", reading], ["files/disk.browser.ts", "export {};\n"]]);
  assertEquals(faultsIn(beside), []);
  assertEquals(faultOf("spec/rule_test.ts", reading), undefined);
  assertEquals(faultOf("cli/audit.ts", reading), undefined);
});

Deno.test("what stands for a file in a browser has the names of that file", async () => {
  for (const path of (await sources()).keys()) {
    if (!path.endsWith(".browser.ts") || path === "engine/_system.browser.ts") continue;
    const [there, here] = await Promise.all([
      import(new URL(path, ROOT).href),
      import(new URL(path.replace(".browser.ts", ".ts"), ROOT).href),
    ]);
    const only = ["tensorflowEngine", "tensorflowGpuEngine", "tfjsEngine"];
    const missing = Object.keys(here).filter((name) => !(name in there) && !only.includes(name));
    assertEquals(missing, [], path);
  }
});
