import { assert, assertEquals, assertThrows } from "@std/assert";
import { EXPECTED, FILES } from "../testing/files/mod.ts";
import { decodeSafetensors, encodeSafetensors } from "./safetensors.ts";
import { type Tensor, WeightFileError } from "../resnet/mod.ts";

/** A file with the given header text and data. */
function fileOf(header: string, data: Uint8Array = new Uint8Array()): Uint8Array {
  const json = new TextEncoder().encode(header);
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setUint32(0, json.length, true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

const tensor = (shape: number[], ...values: number[]): Tensor => ({
  shape,
  data: Float32Array.from(values),
});

Deno.test("a file written by Python's safetensors is read, whatever its types", () => {
  const { tensors, metadata } = decodeSafetensors(Uint8Array.fromBase64(FILES.safetensors));
  for (const [name, [shape, values]] of Object.entries(EXPECTED)) {
    assertEquals(tensors.get(name), tensor(shape, ...values), name);
  }
  assertEquals(tensors.size, Object.keys(EXPECTED).length);
  assertEquals(metadata, { iteration: "64000", note: "aé" });
});

Deno.test("a written file has exactly the format's bytes", () => {
  // Written out from the format's description: length, JSON padded with spaces
  // to a multiple of 8, data. Python's safetensors 0.8.0 reads this file.
  const header = '{"__metadata__":{"iteration":"2"},' +
    '"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},' +
    '"a":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}';
  const padded = header.padEnd(Math.ceil(header.length / 8) * 8);
  const data = Uint8Array.of(0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0, 0x3f); // 1, -2, 0.5
  assertEquals(
    encodeSafetensors(
      new Map([["b", tensor([2], 1, -2)], ["a", tensor([], 0.5)]]),
      { iteration: "2" },
    ),
    fileOf(padded, data),
  );
});

Deno.test("what is written is read back, in its order and bit for bit", () => {
  const weights = new Map([
    ["z", tensor([2, 2], NaN, -0, Infinity, 1e-45)],
    ["10", tensor([1], 10)],
    ["9", tensor([0, 3])],
    ['quote " and \\', tensor([], 2)],
    ["__proto__", tensor([1], 3)],
  ]);
  const { tensors, metadata } = decodeSafetensors(encodeSafetensors(weights));
  assertEquals([...tensors.keys()], [...weights.keys()]);
  for (const [name, { shape, data }] of weights) {
    assertEquals(tensors.get(name)?.shape, shape);
    assertEquals(new Uint32Array(tensors.get(name)!.data.buffer), new Uint32Array(data.buffer));
  }
  assertEquals(metadata, {});
});

Deno.test("the data begins at a multiple of 8 bytes", () => {
  for (let length = 1; length <= 8; length++) {
    const file = encodeSafetensors(new Map([["x".repeat(length), tensor([1], 1)]]));
    assertEquals((file.length - 4) % 8, 0);
  }
});

Deno.test("a view of a larger buffer is read and written", () => {
  const weights = new Map([["x", { shape: [2], data: Float32Array.of(7, 8, 9).subarray(1) }]]);
  const file = encodeSafetensors(weights);
  const shifted = new Uint8Array(file.length + 3);
  shifted.set(file, 3);
  assertEquals(decodeSafetensors(shifted.subarray(3)).tensors.get("x"), tensor([2], 8, 9));
});

Deno.test("arrays that can't be written are refused", () => {
  assertThrows(
    () => encodeSafetensors(new Map([["x", { shape: [3], data: new Float32Array(2) }]])),
    WeightFileError,
    'cannot write "x": shape [3] needs 3 elements, found 2',
  );
  assertThrows(
    () => encodeSafetensors(new Map([["__metadata__", tensor([1], 1)]])),
    WeightFileError,
    "reserves that name",
  );
});

Deno.test("malformed files are refused with the reason", () => {
  const entry = (fields: string, bytes: number) =>
    fileOf(`{"x":{${fields}}}`, new Uint8Array(bytes));
  const f32 = (shape: string, offsets: string) =>
    `"dtype":"F32","shape":${shape},"data_offsets":${offsets}`;
  const two = (first: string, second: string, bytes: number) =>
    fileOf(`{"x":{${f32("[1]", first)}},"y":{${f32("[1]", second)}}}`, new Uint8Array(bytes));
  const huge = new Uint8Array(100);
  new DataView(huge.buffer).setBigUint64(0, 2n ** 63n, true);
  const cutOff = fileOf("{}");
  new DataView(cutOff.buffer).setUint32(0, 3, true);

  const cases: [string, Uint8Array, string][] = [
    ["empty", new Uint8Array(), "at least 8 bytes, found 0"],
    ["huge header", huge, "this one has 9223372036854775808"],
    ["header longer than the file", cutOff, "the header has 3 bytes and 2 are there"],
    ["no object", fileOf("[]"), 'the header must begin with "{"'],
    ["bad JSON", fileOf('{"x":}'), "the header must be JSON in UTF-8"],
    ["not UTF-8", Uint8Array.of(2, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0xff), "must be JSON in UTF-8"],
    ["no entry", fileOf('{"x":1}'), 'entry for "x" must be an object'],
    ["no type", entry('"shape":[],"data_offsets":[0,0]', 0), '"x" has no dtype'],
    ["unknown type", entry('"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]', 1), '"F8_E4M3"'],
    ["unknown field", entry(`${f32("[1]", "[0,4]")},"more":1`, 4), 'the unknown field "more"'],
    ["no shape", entry('"dtype":"F32","data_offsets":[0,4]', 4), 'the shape of "x"'],
    ["negative shape", entry(f32("[-1]", "[0,4]"), 4), 'the shape of "x"'],
    ["fractional shape", entry(f32("[0.5]", "[0,2]"), 2), 'the shape of "x"'],
    ["too many axes", entry(f32(`[${Array(65).fill(1)}]`, "[0,4]"), 4), "at most 64"],
    ["backward offsets", entry(f32("[1]", "[4,0]"), 4), "[begin, end] with begin <= end"],
    ["three offsets", entry(f32("[1]", "[0,4,8]"), 4), "[begin, end] with begin <= end"],
    [
      "size and offsets",
      entry(f32("[2]", "[0,4]"), 4),
      "takes 8 bytes, and its data_offsets span 4",
    ],
    ["overflowing size", entry(f32("[9007199254740991,9007199254740991,4]", "[0,4]"), 4), "takes"],
    ["missing bytes", entry(f32("[2]", "[0,8]"), 7), "ends at byte 8 of the data, which has 7"],
    ["trailing bytes", entry(f32("[1]", "[0,4]"), 5), "end at byte 4 of the data, which has 5"],
    ["gap at the start", entry(f32("[1]", "[4,8]"), 8), '"x" begins at byte 4'],
    ["gap", two("[0,4]", "[8,12]", 12), '"y" begins at byte 8'],
    ["overlap", two("[0,4]", "[0,4]", 4), '"y" begins at byte 0'],
    [
      "repeated name",
      fileOf(`{"x":{${f32("[0]", "[0,0]")}},"x":{${f32("[0]", "[0,0]")}}}`),
      "every name must stand once",
    ],
    [
      "repeated field",
      entry(`"dtype":"F16",${f32("[0]", "[0,0]")}`, 0),
      "every name must stand once",
    ],
    ["metadata", fileOf('{"__metadata__":{"a":1}}'), '"__metadata__" must be an object of strings'],
    ["metadata list", fileOf('{"__metadata__":[]}'), '"__metadata__" must be an object of strings'],
  ];
  for (const [name, file, reason] of cases) {
    const error = assertThrows(() => decodeSafetensors(file), WeightFileError);
    assert(error.message.includes(reason), `${name}: ${error.message}`);
  }
});

Deno.test("names that only look repeated are read", () => {
  const weights = new Map([
    ['a":{"a"', tensor([1], 1)],
    ["shape", tensor([1], 2)],
    ["a", tensor([1], 3)],
  ]);
  const { tensors } = decodeSafetensors(encodeSafetensors(weights, { a: '"a":"a":' }));
  assertEquals(tensors.size, 3);
});

Deno.test("a value that no 32-bit float holds is refused by name", () => {
  const file = (dtype: string, write: (view: DataView) => void) => {
    const data = new Uint8Array(8);
    write(new DataView(data.buffer));
    return fileOf(`{"x":{"dtype":"${dtype}","shape":[1],"data_offsets":[0,8]}}`, data);
  };
  const read = (bytes: Uint8Array) => decodeSafetensors(bytes).tensors.get("x")!.data[0];
  assertEquals(read(file("F64", (view) => view.setFloat64(0, -Infinity, true))), -Infinity);
  assertEquals(read(file("I64", (view) => view.setBigInt64(0, -(2n ** 24n), true))), -(2 ** 24));
  for (
    const bytes of [
      file("F64", (view) => view.setFloat64(0, 1e39, true)),
      file("I64", (view) => view.setBigInt64(0, 2n ** 24n + 1n, true)),
      file("U64", (view) => view.setBigUint64(0, 2n ** 64n - 1n, true)),
    ]
  ) assertThrows(() => read(bytes), WeightFileError, '"x" is read as 32-bit floats');
});

Deno.test("a header of one 3 MB text is read within bounded stack and time", () => {
  const text = "a\\n".repeat(1_000_000);
  const { metadata } = decodeSafetensors(fileOf(`{"__metadata__":{"a":"${text}"}}`));
  assertEquals(metadata.a.length, 2_000_000);
});
