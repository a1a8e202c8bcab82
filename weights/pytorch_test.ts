import { assert, assertEquals, assertThrows } from "@std/assert";
import { EXPECTED, FILES } from "../testing/files/mod.ts";
import { decodePyTorch as decode } from "./pytorch.ts";
import { WeightFileError } from "../resnet/mod.ts";

const decodePyTorch = (bytes: Uint8Array) => decode(bytes).tensors;
const fixture = (name: keyof typeof FILES) => Uint8Array.fromBase64(FILES[name]);

for (
  const name of [
    "pytorchZip",
    "pytorchZipProtocol4",
    "pytorchZipDeflated",
    "pytorchLegacyNested",
  ] as const
) {
  Deno.test(`${name}: views and every type are read as PyTorch reads them`, () => {
    const weights = decodePyTorch(fixture(name));
    assertEquals([...weights.keys()], Object.keys(EXPECTED));
    for (const [name, [shape, values]] of Object.entries(EXPECTED)) {
      assertEquals(weights.get(name), { shape, data: Float32Array.from(values) }, name);
    }
  });
}

Deno.test("a module's state dict carries attributes, which are ignored", () => {
  const weights = decodePyTorch(fixture("pytorchZipBatchNorm"));
  // torch.nn.BatchNorm2d(2) starts as the identity.
  assertEquals([...weights].map(([name, { data }]) => [name, [...data]]), [
    ["weight", [1, 1]],
    ["bias", [0, 0]],
    ["running_mean", [0, 0]],
    ["running_var", [1, 1]],
    ["num_batches_tracked", [0]],
  ]);
});

function refusal(bytes: Uint8Array): string {
  return assertThrows(() => decodePyTorch(bytes), WeightFileError).message;
}

function assertRefused(bytes: Uint8Array, reason: string): void {
  const message = refusal(bytes);
  assert(message.includes(reason), `expected "${reason}", found "${message}"`);
}

/** Position of the last occurrence of `part`. */
function lastIndexOf(bytes: Uint8Array, part: readonly number[]): number {
  for (let at = bytes.length - part.length; at >= 0; at--) {
    if (part.every((byte, i) => bytes[at + i] === byte)) return at;
  }
  throw new Error("no such bytes");
}

Deno.test("a whole pickled module gives its weights, though its class is not known", () => {
  assertEquals(
    [...decodePyTorch(fixture("pytorchLegacyModule"))].map(([name, { shape }]) => [name, shape]),
    [["weight", [1, 1]], ["bias", [1]]],
  );
});

Deno.test("big-endian files are refused", () => {
  assertRefused(fixture("pytorchZipBigEndian"), "written little-endian");
  const legacy = fixture("pytorchLegacyNested");
  // In the system's dict, after the key and its BINPUT: NEWTRUE becomes NEWFALSE.
  const key = lastIndexOf(legacy, [...new TextEncoder().encode("little_endian")]);
  const flag = key + "little_endian".length + 2;
  assertEquals(legacy[flag], 0x88);
  legacy[flag] = 0x89;
  assertRefused(legacy, "written little-endian");
});

Deno.test("damaged and odd archives are refused with the reason", () => {
  const changed = (change: (archive: Uint8Array) => void) => {
    const archive = fixture("pytorchZip");
    change(archive);
    return archive;
  };
  const text = (text: string) => [...new TextEncoder().encode(text)];
  /** Offset of the central directory's entry for a member. */
  const entry = (archive: Uint8Array, name: string) => lastIndexOf(archive, text(name)) - 46;

  assertRefused(fixture("pytorchZip").subarray(0, -1), "its end record is missing");
  // One bit of a weight: 0.25 of the parameter, 0x3e800000, becomes another number.
  assertRefused(
    changed((archive) =>
      archive[lastIndexOf(archive, [0, 0, 0x80, 0x3e, 0, 0, 0x40, 0xc0]) + 2] ^= 1
    ),
    "is damaged",
  );
  assertRefused(
    changed((archive) => archive[entry(archive, "archive/data.pkl") + 8] |= 1),
    '"archive/data.pkl" is encrypted',
  );
  assertRefused(
    changed((archive) => archive[entry(archive, "archive/data.pkl") + 10] = 12),
    "compressed by method 12",
  );
  assertRefused(
    changed((archive) => archive.set(text("1"), entry(archive, "archive/data/0") + 46 + 13)),
    'two members are named "archive/data/1"',
  );
  assertRefused(
    changed((archive) => archive.set(text("x"), entry(archive, "archive/data/0") + 46 + 13)),
    'it has no member "archive/data/0"',
  );
  assertRefused(
    changed((archive) => archive.set(text("xx"), entry(archive, "archive/data.pkl") + 46 + 13)),
    "one data.pkl, this one holds 0",
  );
});

Deno.test("a deflated member that declares too much is refused before it is inflated", () => {
  const archive = fixture("pytorchZipDeflated");
  const name = [...new TextEncoder().encode("archive/data.pkl")];
  const entry = lastIndexOf(archive, name) - 46;
  new DataView(archive.buffer).setUint32(entry + 24, 1 << 30, true);
  assertRefused(archive, "inflates to 1073741824 bytes");
});

type Part = string | number | readonly number[];

/** Operations of a pickle: text stands for its characters. */
function operations(...parts: Part[]): number[] {
  return parts.flatMap((part) =>
    typeof part === "string" ? Array.from(part, (character) => character.charCodeAt(0)) : part
  );
}

/** A whole pickle of protocol 2. */
const pickle = (...parts: Part[]) => operations([0x80, 2], ...parts, ".");

const word = (value: number) => [...new Uint8Array(Uint32Array.of(value).buffer)];
const text = (value: string) => operations("X", word(value.length), value);

/** A legacy file around a pickle, with one storage "0" of the given bytes. */
function legacy(object: readonly number[], storage: readonly number[] = []): Uint8Array {
  return Uint8Array.from([
    ...pickle(0x8a, 10, [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]),
    ...pickle("M", [0xe9, 0x03]),
    ...pickle("}", text("little_endian"), 0x88, "s"),
    ...object,
    ...storage.length > 0
      ? [...pickle("]", text("0"), "a"), ...word(storage.length / 4), ...word(0), ...storage]
      : pickle("]"),
  ]);
}

/** Pushes storage "0" of so many floats. */
const storage = (elements: number) =>
  operations("(", text("storage"), "ctorch\nFloatStorage\n", text("0"), text("cpu"))
    .concat(operations("J", word(elements), "tQ"));

/** Pushes a tensor; `size` and `stride` push its tuples. */
const tensor = (elements: number, offset: number, size: string, stride: string) =>
  operations("ctorch._utils\n_rebuild_tensor\n(", storage(elements))
    .concat(operations("K", offset, size, stride, "tR"));

const ONE_FLOAT = [0, 0, 0x80, 0x3f];

Deno.test("a file made by hand is read", () => {
  const file = legacy(
    pickle("}", text("x"), tensor(1, 0, "K\x01\x85", "K\x01\x85"), "s"),
    ONE_FLOAT,
  );
  assertEquals(decodePyTorch(file), new Map([["x", { shape: [1], data: Float32Array.of(1) }]]));
});

Deno.test("nothing but tensors, containers, numbers and strings is built", () => {
  const cases: [number[], string][] = [
    [pickle("cposix\nsystem\n(", text("true"), "tR"), '"posix.system"'],
    [pickle("cbuiltins\neval\n", text("1"), 0x85, "R"), '"builtins.eval"'],
    // Naming it is enough, without a call.
    [pickle("cos\nsystem\n"), '"os.system"'],
    [pickle(0x8c, 2, "os", 0x8c, 6, "system", 0x93), '"os.system"'],
    [pickle("(", text("true"), "ios\nsystem\n"), '"os.system"'],
    [pickle(text("x"), ")R"), "it calls a value of type string"],
    [pickle("K\x01}b"), "only an object may be given attributes"],
    [pickle("(cos\nsystem\no"), '"os.system"'],
    // EXT1 is among the operations that are not read at all.
    [pickle(0x82, 1), "the operation 0x82"],
  ];
  for (const [object, reason] of cases) assertRefused(legacy(object), reason);
});

Deno.test("malformed pickles are refused", () => {
  const cases: [number[], string][] = [
    [pickle("0"), "it takes 1 values"],
    [pickle("(K\x01"), "values are left over"],
    [pickle("t"), "it has no mark"],
    [pickle("K\x01(R"), "it takes 2 values"],
    [pickle("}(K\x01u"), "a dict's key has no value"],
    [pickle("h\x05"), "it recalls value 5"],
    [pickle("]K\x01K\x02s"), "only a dict can be given items"],
    [pickle("}K\x01a"), "only a list can be appended to"],
    [pickle("X", word(0xffffffff), "abc"), "it needs byte"],
    [pickle("X", word(1), 0xff), "a text is not UTF-8"],
    [pickle(0x80, 6), "protocols up to 5"],
    [pickle("c", "x".repeat(2000), "\ny\n"), "a name has no end"],
    [pickle("K\x01K\x02", 0x93), "a global's name is no text"],
    [pickle("K\x01"), "the file holds no dict"],
    [pickle("}"), "it has 0, and the keys of no text"],
    [pickle("K\x01Q"), "a persistent id must be"],
  ];
  for (const [object, reason] of cases) assertRefused(legacy(object), reason);
});

Deno.test("a tensor outside of its storage is refused", () => {
  const file = (elements: number, ...view: [number, string, string]) =>
    legacy(pickle("}", text("x"), tensor(elements, ...view), "s"), ONE_FLOAT);
  assertRefused(file(1, 1, "K\x01\x85", "K\x01\x85"), "reaches element 1");
  assertRefused(file(1, 0, "K\x02\x85", "K\x01\x85"), "reaches element 1");
  assertRefused(file(1, 0, "J\xff\xff\xff\xff\x85", "K\x01\x85"), "a tensor must be rebuilt");
  assertRefused(file(1, 0, "K\x01K\x01\x86", "K\x01\x85"), "a tensor must be rebuilt");
  assertRefused(file(2, 0, "K\x01\x85", "K\x01\x85"), "the file is cut off");
});

Deno.test("a state dict is found by its key or as the only dict of tensors", () => {
  const x = [...text("x"), ...tensor(1, 0, "K\x01\x85", "K\x01\x85")];
  const y = [...text("y"), ...tensor(1, 0, "K\x01\x85", "K\x01\x85")];
  const dict = (entry: number[]) => operations("}", entry, "s");
  const names = (...entries: [string, number[]][]) => {
    const items = entries.flatMap(([key, value]) => [...text(key), ...value]);
    return [...decodePyTorch(legacy(pickle("}(", items, "u"), ONE_FLOAT)).keys()];
  };
  for (const key of ["state_dict", "model", "model_state_dict", "net"]) {
    assertEquals(names(["ema", dict(y)], [key, dict(x)]), ["x"]);
  }
  assertEquals(names(["weights", dict(x)], ["best", [0x4b, 9]]), ["x"]);
  const best = tensor(1, 0, "K\x01\x85", "K\x01\x85");
  assertEquals(names(["best", best], ["weights", dict(x)]), ["x"]);
  const error = assertThrows(() => names(["a", dict(x)], ["b", dict(y)]), WeightFileError);
  assert(error.message.includes("it has 2"), error.message);
  assert(error.message.includes('"a", "b"'), error.message);
});

Deno.test("small files that ask for endless work or memory are refused soon", () => {
  /** Pushes a tuple of equal numbers. */
  const tuple = (value: number, length: number) =>
    `(${`J${String.fromCharCode(...word(value))}`.repeat(length)}t`;
  const repeated = (size: string, stride: string) =>
    legacy(pickle("}", text("x"), tensor(1, 0, size, stride), "s"), ONE_FLOAT);
  // One element, repeated by strides of 0.
  assertRefused(repeated(tuple(1 << 20, 2), tuple(0, 2)), "tensors of at most");
  assertRefused(repeated(tuple(1 << 30, 64), tuple(0, 64)), "tensors of at most");
  assertRefused(repeated(tuple(1, 65), tuple(0, 65)), "up to 64");
  assertRefused(legacy(pickle("}".repeat(900_000))), "objects of more than 200000000 bytes");
});

Deno.test("a history beside the weights, of a value a step, is read over", () => {
  const one = tensor(1, 0, "K\x01\x85", "K\x01\x85");
  const losses = operations("](", "N".repeat(700_000), "e");
  const file = legacy(pickle("}(", text("x"), one, text("losses"), losses, "u"), ONE_FLOAT);
  assertEquals([...decodePyTorch(file).keys()], ["x"]);
});

Deno.test("one long dict that is used many times costs its length once", () => {
  const numbers = Array.from({ length: 100_000 }, (_, i) => operations("J", word(i)));
  const dict = operations("}q\x00(", numbers.flatMap((key) => operations(key, "N")), "u");
  const uses = numbers.flatMap((key) => operations(key, "h\x00"));
  const start = performance.now();
  assertRefused(legacy(pickle("}(", text("x"), dict, uses, "u")), 'it has 0, and the keys "x"');
  // Ten billion looks at an entry would take far longer.
  assert(performance.now() - start < 10_000);
});

Deno.test("a size that the pickle changes after its check stays as it was checked", () => {
  // The memo keeps the tuple of the size, to which APPENDS then adds.
  const entry = operations(text("x"), tensor(1, 0, "K\x01\x85q\x00", "K\x01\x85"));
  const late = operations("h\x00(", "K\x09".repeat(9), "e0");
  const file = legacy(pickle("}", entry, "s", late), ONE_FLOAT);
  assertEquals(decodePyTorch(file).get("x"), { shape: [1], data: Float32Array.of(1) });
});

Deno.test("files cut off anywhere are refused", () => {
  for (const name of ["pytorchZip", "pytorchLegacyNested"] as const) {
    const bytes = fixture(name);
    for (let length = 0; length < bytes.length; length += 7) refusal(bytes.subarray(0, length));
  }
});

Deno.test("bytes after the last storage are refused", () => {
  assertRefused(Uint8Array.from([...fixture("pytorchLegacyNested"), 0]), "1 bytes follow");
});

Deno.test("other files are refused", () => {
  assertRefused(new TextEncoder().encode("#!/bin/sh"), "not a file of torch.save");
  assertRefused(new Uint8Array(), "not a file of torch.save");
});
