// What a training is given of a folder of photographs while files of it go away.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { encode } from "fast-png";
import { DataError } from "../errors.ts";
import type { NormalisationSettings } from "../normalisation.ts";
import { indexTrainingFolder, photographSet } from "./set.ts";

for (const workers of [0, 2]) {
  Deno.test(`a file that is gone since it was indexed is named or left out, with ${workers} workers`, async () => {
    const folder = await Deno.makeTempDir({ prefix: "photographs-" });
    try {
      for (const path of ["train/a/1", "train/a/2", "train/b/1", "val/a/1", "val/b/1"]) {
        const full = `${folder}/set/${path}.png`;
        await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
        const data = new Uint8Array(12 * 9 * 3).fill(path.length);
        await Deno.writeFile(full, encode({ width: 12, height: 9, channels: 3, data }));
      }
      const found = await indexTrainingFolder(`${folder}/set`, { index: `${folder}/index.jsonl` });
      await Deno.remove(`${folder}/set/train/a/2.png`);
      const options = { seed: 0, size: 8, testShorterSide: 8, workers };
      const plan = (iteration: number) => iteration === 1 ? Uint32Array.of(2, 1, 0) : undefined;
      using refusing = photographSet(found, options).stream!;
      const { message } = await assertRejects(() => refusing.batch(1, plan), DataError);
      assert(message.includes("a/2.png: it does not exist"), message);
      assert(message.includes("Put it back as it was"), message);
      assert(!message.includes("--broken skip"), message);
      using skipping = photographSet(found, { ...options, broken: "skip" }).stream!;
      const { indices, images, faults } = await skipping.batch(1, plan);
      assertEquals([[...indices], [...images.labels]], [[2, 0], [1, 0]]);
      assertEquals(faults.map(({ path }) => path), ["a/2.png"]);

      // What was damaged as it was indexed stays so.
      const damaged = await Deno.readFile(`${folder}/set/train/a/1.png`);
      damaged[60] ^= 0xff;
      await Deno.writeFile(`${folder}/set/train/a/2.png`, damaged);
      const again = await indexTrainingFolder(`${folder}/set`, { index: `${folder}/index.jsonl` });
      using within = photographSet(again, options).stream!;
      const { message: other } = await assertRejects(() => within.batch(1, plan), DataError);
      assert(other.includes("a/2.png") && other.includes("--broken skip"), other);
      assert(!other.includes("Put it back"), other);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

Deno.test("a channel that is constant is refused, whatever its value; how files are read decides the mean", async () => {
  const folder = await Deno.makeTempDir({ prefix: "photographs-" });
  try {
    const pixels = (values: readonly number[]) =>
      Uint8Array.from({ length: 64 * values.length }, (_, i) => values[i % values.length]);
    for (const half of ["train", "val"]) {
      for (const [i, name] of ["a", "b"].entries()) {
        await Deno.mkdir(`${folder}/set/${half}/${name}`, { recursive: true });
        // Red varies; green, blue and opacity do not.
        const data = pixels([10 + 90 * i, 77, 33, 128]);
        const file = encode({ width: 8, height: 8, channels: 4, data });
        await Deno.writeFile(`${folder}/set/${half}/${name}/1.png`, file);
      }
    }
    const found = await indexTrainingFolder(`${folder}/set`, { index: `${folder}/index.jsonl` });
    const options = { seed: 0, size: 8, testShorterSide: 8, workers: 0, cache: `${folder}/cache` };
    const settings: NormalisationSettings = {
      ...{ pixelScale: "0..1", mean: "per-channel", std: "none" },
      meanSubtracted: "before-padding",
    };
    using set = photographSet(found, options).stream!;
    // 77 and 33: by squares of means in 0..1 the one's deviation is no number, the other's tiny.
    await assertRejects(
      () => set.measure({ ...settings, std: "per-channel" }),
      DataError,
      "channel 1 is constant",
    );
    const { normalisation } = await set.measure(settings);
    assertEquals(normalisation.mean.slice(0, 3), Float32Array.of(55 / 255, 77 / 255, 33 / 255));
    // How many were measured is told, now and when it was kept.
    const damaged = await Deno.readFile(`${folder}/set/train/a/1.png`);
    damaged[60] ^= 0xff;
    await Deno.writeFile(`${folder}/set/train/a/2.png`, damaged);
    const more = await indexTrainingFolder(`${folder}/set`, { index: `${folder}/index.jsonl` });
    for (let time = 0; time < 2; time++) {
      using skipping = photographSet(more, { ...options, broken: "skip" }).stream!;
      const { of } = await skipping.measure({ ...settings, mean: "per-pixel" });
      assertEquals(of, "per-pixel mean of 2 training images");
    }

    // What was kept of files that are read in one way is nothing to those that are read in another.
    const onWhite = { transparency: "on-white", orientation: "stored" } as const;
    using white = photographSet(found, { ...options, rules: onWhite }).stream!;
    const { normalisation: { mean } } = await white.measure(settings);
    assert(mean[1] > 150 / 255, `${mean[1]}`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("photographs that are trained and tested on are said", async () => {
  const folder = await Deno.makeTempDir({ prefix: "photographs-" });
  try {
    const write = async (path: string, value: number) => {
      const full = `${folder}/set/${path}.png`;
      await Deno.mkdir(full.slice(0, full.lastIndexOf("/")), { recursive: true });
      const data = new Uint8Array(12 * 9 * 3).fill(value);
      await Deno.writeFile(full, encode({ width: 12, height: 9, channels: 3, data }));
    };
    for (const [i, path] of ["train/a/1", "train/b/1", "val/a/1", "val/b/1"].entries()) {
      await write(path, i);
    }
    const warnings = async () => {
      const found = await indexTrainingFolder(`${folder}/set`, { index: `${folder}/index.jsonl` });
      const options = { seed: 0, size: 8, testShorterSide: 8, workers: 0 };
      const { warnings = [], stream } = photographSet(found, options);
      stream![Symbol.dispose]();
      return warnings;
    };
    assertEquals(await warnings(), []);
    // Under another name, and in another class.
    await write("val/a/2", 1);
    assertEquals(await warnings(), [
      "trained and tested on: 1 of the 3 photographs of val/ is in train/ too, byte for byte: " +
      '"val/a/2.png" is "train/b/1.png". Their part of the error says nothing of new photographs',
    ]);
    await write("val/b/1", 0);
    const [both] = await warnings();
    assert(both.includes("2 of the 3 photographs of val/ are in train/ too"), both);
    assert(both.includes('"train/b/1.png", and others.'), both);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
