import { assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { DATASET_NAMES, type DatasetName, datasetNamed, loadDataset } from "./dataset.ts";
import { DataError } from "./errors.ts";
import { testOnCifar10 } from "../testing/files/mod.ts";

Deno.test("the built-in set says what it is, with its error floor", async () => {
  const set = await loadDataset("shapes10");
  assertEquals([set.name, set.errorFloor, set.classNames.length], ["shapes10", 0.04, 10]);
  assertStringIncludes(set.notice ?? "", "not CIFAR-10");
  assertMatch(set.hashes["train pixels"], /^[0-9a-f]{64}$/);
});

Deno.test("the linear model's error is stated for the seed that it was measured on alone", async () => {
  assertEquals((await loadDataset("shapes10")).linearModelError, 0.8185);
  assertEquals((await loadDataset("shapes10", { seed: 5 })).linearModelError, undefined);
});

Deno.test("a path for the built-in set and an unknown set are refused", async () => {
  const message = async (...args: Parameters<typeof loadDataset>) =>
    (await assertRejects(() => loadDataset(...args), DataError)).message;
  assertStringIncludes(await message("shapes10", { path: "/data" }), "found the path /data");
  assertStringIncludes(await message("mnist" as DatasetName), 'found "mnist"');
});

Deno.test("an entry of the registry fits together, and what is read from files comes first", () => {
  const builtIn = DATASET_NAMES.map((name) => {
    const { classNames, trainingImages, split, hashes, channels, ...set } = datasetNamed(name);
    assertEquals(new Set(classNames).size, classNames.length, name);
    assertEquals(split.training + split.validation, trainingImages, name);
    for (const hash of Object.values(hashes)) assertMatch(hash, /^[0-9a-f]{64}$/, name);
    for (const values of Object.values(channels ?? {})) assertEquals(values.length, 3, name);
    return set.builtIn ?? false;
  });
  assertEquals(builtIn, builtIn.toSorted());
});

Deno.test({
  name: "no other file lists the data sets: one is added to the registry alone",
  permissions: { read: true },
  fn: async () => {
    const listed: string[] = [];
    const name = `"(${DATASET_NAMES.join("|")})"`;
    const list = new RegExp(`${name}[^"\\n]{1,4}${name}`);
    for await (const path of sources(new URL("..", import.meta.url).pathname)) {
      if (list.test(await Deno.readTextFile(path))) listed.push(path);
    }
    assertEquals(listed, []);
  },
});

/** Every file of the program, without tests and what is no part of it. */
async function* sources(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory && !/^(\.|node_modules|runs|reference)/.test(name)) {
      yield* sources(`${folder}${name}/`);
    } else if (/\.tsx?$/.test(name) && !/[._]test\.tsx?$/.test(name)) yield folder + name;
  }
}

testOnCifar10("CIFAR-10 from a folder, with its names and hashes and no notice", async (folder) => {
  const set = await loadDataset("cifar10", { path: folder });
  assertEquals([set.train.count, set.test.count, set.classNames[6]], [50_000, 10_000, "frog"]);
  assertEquals(set.hashes["data_batch_3.bin"], datasetNamed("cifar10").hashes["data_batch_3.bin"]);
  assertEquals(set.notice, undefined);
});
