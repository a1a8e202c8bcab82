import { assert, assertEquals, assertRejects } from "@std/assert";
import { arrayFile, type ArrayFileName } from "../testing/files/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";
import { readHdf5 } from "./_hdf5.ts";
import { decodeModel, type ModelFile } from "./mod.ts";

const read = async (name: ArrayFileName, bytes?: Uint8Array): Promise<ModelFile> =>
  await decodeModel({
    ...{ name: `folder/${name}.file`, bytes: bytes ?? await arrayFile(name) },
    beside: () => Promise.reject(new WeightFileError("nothing lies beside it")),
  });

/** `ARRAY` of bench/peers/array_files.py. */
const ARRAY = {
  shape: [3, 4, 5],
  data: Float32Array.from({ length: 60 }, (_, i) => i / 8 - 2),
};
const LONG = { shape: [5], data: Float32Array.of(-2, -1, 0, 1, 2) };

for (const name of ["hdf5", "hdf5UserBlock"] as const) {
  Deno.test(`${name}: arrays whole, packed, in chunks and of every width`, async () => {
    const { tensors, format, ordered } = await read(name);
    assertEquals([format, ordered], ["hdf5", false]);
    assertEquals(
      Object.fromEntries(tensors),
      {
        ...Object.fromEntries(
          ["chunked", "double", "half", "packed", "group/inner/plain"].map((key) => [key, ARRAY]),
        ),
        long: LONG,
        scalar: { shape: [], data: Float32Array.of(0.5) },
        empty: { shape: [0, 3], data: new Float32Array(0) },
      },
    );
  });
}

Deno.test("HDF5: texts in attributes, whole and in lists", async () => {
  const { attributes } = readHdf5(await arrayFile("hdf5"));
  assertEquals(Object.fromEntries(attributes), { text: "aé", fixed: ["ab", "cde"] });
});

Deno.test("HDF5: a file that is cut off is refused wherever it ends", async () => {
  const bytes = await arrayFile("hdf5");
  for (let length = 8; length < bytes.length - 64; length += 97) {
    await assertRejects(() => read("hdf5", bytes.slice(0, length)), WeightFileError);
  }
});

Deno.test("HDF5: numbers that ask for the impossible are refused", async () => {
  const bytes = await arrayFile("hdf5");
  const text = new TextDecoder("latin1").decode(bytes);
  let refused = 0;
  // Every tree, heap, table and block, with all ones behind its signature.
  for (const { index } of text.matchAll(/TREE|HEAP|SNOD/g)) {
    for (const at of [4, 6, 8, 16, 24]) {
      const damaged = bytes.slice();
      damaged.fill(0xff, index + at, index + at + 4);
      try {
        await read("hdf5", damaged);
      } catch (error) {
        assert(error instanceof WeightFileError, String(error));
        refused++;
      }
    }
  }
  assert(refused > 20, `${refused}`);
});

Deno.test("NumPy: arrays in any order of axes and bytes", async () => {
  for (const name of ["npy", "npyFortran", "npyBigEndian"] as const) {
    const { tensors, format } = await read(name);
    assertEquals([format, ...tensors], ["npy", [`${name}.file`, ARRAY]]);
  }
  const { tensors, format } = await read("npz");
  assertEquals([format, ...tensors], ["npz", ["a", ARRAY], ["b", ARRAY], ["c", LONG]]);
});

Deno.test("NumPy: objects are refused with the line that converts them", async () => {
  const error = await assertRejects(() => read("npyObjects"), WeightFileError);
  assert(error.message.includes("allow_pickle=True).item())"), error.message);
});

Deno.test("NumPy: a header that says more than is there is refused", async () => {
  const bytes = await arrayFile("npy");
  const text = new TextDecoder("latin1").decode(bytes);
  const changed = (from: string, to: string) => {
    assert(text.includes(from));
    return Uint8Array.from(text.replace(from, to), (letter) => letter.charCodeAt(0));
  };
  for (
    const [from, to] of [
      ["(3, 4, 5)", "(3, 4, 6)"],
      ["(3, 4, 5)", "(9999999999999999999)"],
      ["'<f4'", "'<c8'"],
      ["'descr'", "'other'"],
      ["False", "__import__"],
    ]
  ) {
    await assertRejects(() => read("npy", changed(from, to)), WeightFileError);
  }
});
