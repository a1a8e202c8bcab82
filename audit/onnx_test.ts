// What the mapped networks compute, against onnxruntime on the files themselves.
import { assertEquals } from "@std/assert";
import { images, logitsOf, MODEL_NAMES, modelFile } from "../testing/files/mod.ts";
import { decodeOnnx } from "../weights/mod.ts";
import { assertTensorClose, inferenceOf } from "../testing/mod.ts";

// Averages windows on its shortcut, which no node of the graph does.
const UNMAPPABLE = "pooledShortcut";

for (const name of MODEL_NAMES.filter((name) => name !== UNMAPPABLE)) {
  Deno.test(`${name}: the mapped network computes what onnxruntime does`, async () => {
    const actual = await inferenceOf(decodeOnnx(await modelFile(name)), images());
    const expected = Float32Array.from(logitsOf(name));
    assertEquals(new Set(expected).size > 2, true, "logits that could not tell nets apart");
    // Winograd's rounding is 1e-6 a layer, of values up to about 10.
    assertTensorClose(actual, expected, { absolute: 1e-4, relative: 1e-5 }, "logits");
  });
}
