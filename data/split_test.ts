import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { DataError } from "./errors.ts";
import { splitFromManifest, splitImages, splitManifest } from "./split.ts";

Deno.test("the paper's split is the one that an independent implementation makes", () => {
  const { training, validation } = splitImages(50_000, { training: 45_000, validation: 5_000 }, 1);
  // python3 bench/peers/batch_plan.py
  assertEquals([...training.subarray(0, 8)], [0, 1, 2, 3, 4, 5, 6, 7]);
  assertEquals([...training.subarray(-4)], [49995, 49996, 49997, 49999]);
  assertEquals([...validation.subarray(0, 8)], [19, 44, 50, 53, 62, 67, 70, 82]);
  assertEquals([...validation.subarray(-4)], [49974, 49983, 49990, 49998]);
});

Deno.test("every split is ascending, disjoint and of the sizes asked for", () => {
  for (const [training, validation] of [[45_000, 5_000], [47_500, 2_500], [50_000, 0], [100, 7]]) {
    const split = splitImages(50_000, { training, validation }, 3);
    assertEquals([split.training.length, split.validation.length], [training, validation]);
    for (const list of [split.training, split.validation]) {
      assertEquals(list.findIndex((index, i) => i > 0 && index <= list[i - 1]), -1);
    }
    const all = new Set([...split.training, ...split.validation]);
    assertEquals(all.size, training + validation);
    assertEquals(Math.max(...all) < 50_000, true);
  }
});

Deno.test("another seed is another split", () => {
  const sizes = { training: 45, validation: 5 };
  const lists = [1, 2, 3].map((seed) => splitImages(50, sizes, seed).validation.join());
  assertEquals(new Set(lists).size, 3);
});

Deno.test("sizes that don't fit are refused with the numbers", () => {
  const message = (training: number, validation: number) =>
    assertThrows(() => splitImages(50_000, { training, validation }, 0), RangeError).message;
  assertStringIncludes(message(45_000, 5_001), "needs 50001 images, the data set has 50000");
  assertStringIncludes(message(0, 10), "at least 1 training image");
  assertStringIncludes(message(10, -1), "found 10 and -1");
  assertStringIncludes(message(10.5, 1), "found 10.5 and 1");
});

Deno.test("a manifest gives its split back", () => {
  const split = splitImages(1000, { training: 600, validation: 300 }, 9);
  assertEquals(splitFromManifest(JSON.parse(JSON.stringify(splitManifest(split)))), split);
  const whole = splitImages(10, { training: 10, validation: 0 }, 9);
  assertEquals(splitManifest(whole).training.indices, "0-9");
  assertEquals(splitFromManifest(splitManifest(whole)), whole);
});

Deno.test("a list's hash is that of its little-endian words", () => {
  const split = { training: Uint32Array.of(1, 2, 70_000), validation: new Uint32Array() };
  // Python: hashlib.sha256(struct.pack("<3I", 1, 2, 70000)).hexdigest(), and of nothing.
  assertEquals(splitManifest(split), {
    training: {
      count: 3,
      sha256: "313a9de55e88265f756e61a8793c45193dade4a5b645f7f35082452e6b133604",
      indices: "1-2,70000",
    },
    validation: {
      count: 0,
      sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      indices: "",
    },
  });
});

Deno.test("altered manifests are refused", () => {
  const manifest = splitManifest(splitImages(20, { training: 15, validation: 5 }, 4));
  const withIndices = (indices: string) => ({
    ...manifest,
    validation: { ...manifest.validation, indices },
  });
  const message = (indices: string) =>
    assertThrows(() => splitFromManifest(withIndices(indices)), DataError).message;
  assertStringIncludes(message("0-4"), "altered");
  assertStringIncludes(message("0-4000000000"), "altered");
  assertStringIncludes(message("5,4"), 'found "4"');
  assertStringIncludes(message("7-3"), 'found "7-3"');
  assertStringIncludes(message("a"), 'found "a"');
  const overlapping = { training: manifest.training, validation: manifest.training };
  assertStringIncludes(
    assertThrows(() => splitFromManifest(overlapping), DataError).message,
    "disjoint",
  );
});
