import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { RandomStream } from "../random/mod.ts";
import { decodePyTorch } from "../weights/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";
import { FILES } from "../testing/files/mod.ts";
import { altered, damage } from "./_damage.ts";
import { fuzz } from "./fuzz.ts";

Deno.test("damaged files are read or refused, soon and in little memory", async () => {
  const tallies = await fuzz(60, 1);
  assertEquals(tallies.length, 17);
  assertEquals(tallies.flatMap(({ faults }) => faults), []);
  for (const { format, files, read, refused } of tallies) {
    assertEquals(files, 60);
    assertEquals(read + refused, files);
    // A tally that knows one outcome alone would say that no reader was reached.
    assert(read > 0 && refused > 10, `${format}: ${read} read, ${refused} refused`);
  }
});

/** Files that once were neither read nor refused: by format, seed and place. */
const FOUND = [
  ["HDF5", 1, 2950], // a row of filters that goes past the file's end
  ["HDF5", 1, 9047], // a kernel without columns
  ["Keras", 1, 5823], // the same
  ["ONNX", 1, 2520], // an axis squeezed that has other extents than 1
] as const;

Deno.test("files that a long run found", async () => {
  for (const [format, seed, place] of FOUND) {
    const [{ files, faults }] = await fuzz(1, seed, undefined, [format], place);
    assertEquals([files, faults], [1, []]);
  }
});

Deno.test("equal seeds damage alike, and every kind of damage is done", () => {
  const file = Uint8Array.fromBase64(FILES.pytorchLegacyNested);
  const drawn = (seed: number) =>
    Array.from({ length: 100 }, (_, i) => damage([file], 0, new RandomStream(seed, "probe", i)));
  assertEquals(drawn(1), drawn(1));
  assertEquals(
    [...new Set(drawn(1).map(({ kind }) => kind))].toSorted(),
    ["cut", "flip", "global", "length", "splice"],
  );
  assert(drawn(1).filter(({ bytes }) => bytes.length !== file.length).length > 25);
});

Deno.test("altered lines are JSON still, other each time, and alike for equal seeds", () => {
  const log = new TextEncoder().encode('{"type":"a","x":[1,2]}\n{"type":"b","y":{"z":"w"}}\n');
  const drawn = (seed: number) =>
    Array.from(
      { length: 50 },
      (_, i) => new TextDecoder().decode(altered(log, new RandomStream(seed, "probe", i))),
    );
  assertEquals(drawn(1), drawn(1));
  assert(new Set(drawn(1)).size > 25);
  for (const text of drawn(1)) for (const line of text.split("\n").slice(0, -1)) JSON.parse(line);
});

Deno.test("a pickle that asks for code is refused by the code's name", () => {
  const file = Uint8Array.fromBase64(FILES.pytorchLegacyNested);
  let asked = 0;
  for (let i = 0; i < 400; i++) {
    const { bytes, hostile } = damage([file], 0, new RandomStream(2, "probe", i));
    if (hostile === undefined) continue;
    asked++;
    try {
      decodePyTorch(bytes);
    } catch (error) {
      assert(error instanceof WeightFileError);
      assertStringIncludes(error.message, `asks for "${hostile}"`);
      continue;
    }
    throw new Error(`${hostile} was accepted`);
  }
  assert(asked > 30);
});
