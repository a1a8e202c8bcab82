import { assertEquals } from "@std/assert";
import { sortGiven } from "./given.ts";

const CASES: readonly (readonly [
  what: string,
  paths: readonly string[],
  targets: readonly string[],
  data?: string,
])[] = [
  ["files are judged one by one", ["a.pth", "b.onnx"], ["a.pth", "b.onnx"]],
  ["a file of any name is judged", ["weights"], ["weights"]],
  ["a recording is its folder", ["rec/recording.jsonl", "rec/first.safetensors"], ["rec"]],
  ["a run is its folder", ["run/events.jsonl", "run/final.safetensors"], ["run"]],
  ["so is a folder of runs", ["job/plan.json", "job/runs/a/events.jsonl"], ["job"]],
  ["and one without a plan", ["job/a/events.jsonl", "job/b/events.jsonl"], ["job"]],
  ["a TensorFlow.js model is its folder", ["net/model.json", "net/shard.bin"], ["net"]],
  ["or the file that leads", ["model.json", "group1-shard1of2.bin"], ["model.json"]],
  [
    "shards belong to their index",
    ["m.safetensors.index.json", "m-00001-of-00002.safetensors"],
    ["m.safetensors.index.json"],
  ],
  ["an ONNX file's data is no network", ["n.onnx", "n.onnx.data"], ["n.onnx"]],
  [
    "of a folder of checkpoints each is judged, and nothing else",
    ["out/a.pth", "out/b.ckpt", "out/notes.txt", "out/.DS_Store"],
    ["out/a.pth", "out/b.ckpt"],
  ],
  ["CIFAR-10's archive is data", ["cifar-10-binary.tar.gz"], [], "cifar-10-binary.tar.gz"],
  [
    "so is its folder, in another too",
    ["d/cifar-10-batches-bin/test_batch.bin", "d/cifar-10-batches-bin/batches.meta.txt", "a.th"],
    ["a.th"],
    "d/cifar-10-batches-bin",
  ],
  ["so are its files", ["data_batch_1.bin", "batches.meta.txt", "a.th"], ["a.th"], "."],
];

for (const [what, paths, targets, data] of CASES) {
  Deno.test(`given to the page: ${what}`, () => {
    assertEquals(sortGiven(paths), {
      ...{ targets, photographs: [] },
      ...(data === undefined ? {} : { data }),
    });
  });
}

Deno.test("given to the page: CIFAR-10's version for Python is named and not judged", () => {
  assertEquals(sortGiven(["cifar-10-python.tar.gz", "a.th"]), {
    ...{ targets: ["a.th"], photographs: [] },
    unread: "cifar-10-python.tar.gz",
  });
});

Deno.test("given to the page: photographs are no networks, wherever they lie", () => {
  assertEquals(sortGiven(["a.th", "cat.JPG", "more/b.webp", "more/c.txt", "more/._d.png"]), {
    targets: ["a.th"],
    photographs: ["cat.JPG", "more/b.webp"],
  });
});

Deno.test("given to the page: of many photographs fifty are taken, and the others counted", () => {
  const paths = Array.from({ length: 53 }, (_, i) => `many/${i}.png`);
  const { photographs, morePhotographs, more } = sortGiven(paths);
  assertEquals([photographs.length, morePhotographs, more], [50, 3, undefined]);
});

Deno.test("given to the page: ten thousand files are sorted at once, and fifty of them judged", () => {
  const paths = Array.from({ length: 10_000 }, (_, i) => `many/${i}.pth`);
  // With a look at all others for each of them a page stood still for a minute.
  const { targets, more } = sortGiven(paths);
  assertEquals([targets.length, more], [50, 9_950]);
});
