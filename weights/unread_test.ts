import { assert, assertRejects } from "@std/assert";
import { WeightFileError } from "../resnet/mod.ts";
import { decodeModel } from "./formats.ts";
import { storedZip } from "../testing/files/mod.ts";
import { readModelFile } from "./open.ts";

const text = (value: string) => new TextEncoder().encode(value);

/** By what each is: its name, its content, and what its line must have. */
const KNOWN: Readonly<Record<string, readonly [string, Uint8Array, readonly string[]]>> = {
  "an empty file": ["a.pth", new Uint8Array(0), ["get the file again"]],
  "a git-LFS pointer": [
    "a.pth",
    text(`version https://git-lfs.github.com/spec/v1\noid sha256:${"0".repeat(64)}\nsize 1\n`),
    ["git lfs pull"],
  ],
  "an HTML page": ["a.pth", text("\n<!DOCTYPE html><html><body>404</body></html>"), ["download"]],
  "a program of torch.export": [
    "a.pt2",
    storedZip([["a/archive_format", text("pt2")], ["a/models/model.json", text("{}")]]),
    ["torch.export.load(FILE).state_dict"],
  ],
  "an older program of torch.export": [
    "a.pt2",
    storedZip([["serialized_exported_program.json", text("{}")]]),
    ["torch.export.load(FILE).state_dict"],
  ],
  "a TensorFlow Lite model": ["a.tflite", text("\x1c\0\0\0TFL3\x14\0\x20\0"), ["--tflite FILE"]],
  "MXNet's parameters": [
    "a.params",
    Uint8Array.of(0x12, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1),
    ["mx.nd.load(FILE)"],
  ],
  "a SavedModel": ["saved_model.pb", Uint8Array.of(8, 1, 0x12, 2, 0x0a, 0), ["--saved-model"]],
  "a plain pickle": ["a.pdparams", Uint8Array.of(0x80, 4, 0x7d, 0x2e), ["if you trust it"]],
  "the index of a checkpoint": [
    "model.ckpt.index",
    Uint8Array.of(0, 0, 0, 0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb),
    ["load_checkpoint"],
  ],
  "the values of a checkpoint": [
    "model.ckpt.data-00000-of-00001",
    Uint8Array.of(1, 2, 3),
    ["load_checkpoint"],
  ],
  "values of an ONNX file": ["m.onnx.data", Uint8Array.of(1, 2, 3), [".onnx file beside it"]],
  "a shard of TensorFlow.js": [
    "group1-shard1of2.bin",
    Uint8Array.of(1, 2, 3),
    ["model.json beside it"],
  ],
  "a description without weights": [
    "model.json",
    text(JSON.stringify({ class_name: "Functional", config: { layers: [] } })),
    ["file of its weights"],
  ],
  "a gzip archive": ["w.tar.gz", Uint8Array.of(0x1f, 0x8b, 8, 0), ["gunzip"]],
};

for (const [what, [name, bytes, parts]] of Object.entries(KNOWN)) {
  Deno.test(`${what} is named, with the line that converts it`, async () => {
    const beside = () => Promise.reject(new WeightFileError("nothing lies beside it"));
    const error = await assertRejects(
      () => decodeModel({ name: `folder/${name}`, bytes, beside }),
      WeightFileError,
    );
    assert(error.message.startsWith(`folder/${name}: this is `), error.message);
    for (const part of parts) assert(error.message.includes(part), error.message);
    assert(!error.message.includes("\n"), error.message);
  });
}

Deno.test("a SavedModel is known by its folder", async () => {
  const error = await assertRejects(
    () =>
      readModelFile("/saved", {
        stat: (path) =>
          path === "/saved" || path === "/saved/saved_model.pb"
            ? Promise.resolve({ isDirectory: path === "/saved", size: 6 })
            : Promise.reject(new Deno.errors.NotFound(path)),
        read: () => Promise.resolve(KNOWN["a SavedModel"][1]),
      }),
    WeightFileError,
  );
  assert(error.message.includes("--saved-model"), error.message);
});
