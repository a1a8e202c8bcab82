// What the mapped networks compute, against onnxruntime on the files themselves.
import { assertEquals } from "@std/assert";
import { freshState, PLAIN_SGD, wasmEngine } from "../engine/mod.ts";
import { images, logitsOf, MODEL_NAMES, modelFile } from "../testing/files/mod.ts";
import { decodeOnnx, type OnnxModel } from "../weights/mod.ts";
import { assertTensorClose } from "../testing/mod.ts";

async function logits(model: OnnxModel, input: Float32Array): Promise<Float32Array> {
  const { graph, weights } = model.executable!;
  const engine = await wasmEngine.create({
    graph,
    batchSize: 2,
    optimiser: PLAIN_SGD,
    batchNorm: { epsilon: model.epsilon ?? 1e-5, momentum: 0.1 },
    cropPadding: 0,
    threads: 1,
  });
  try {
    await engine.importState(freshState(graph, PLAIN_SGD, weights));
    return (await engine.probe({ input, images: 2, mode: "inference" })).output;
  } finally {
    engine.dispose();
  }
}

/** What the file does to its input before the graph. */
function prepared({ inputTransform }: OnnxModel): Float32Array {
  const input = images();
  if (!inputTransform) return input;
  const { scale, shift } = inputTransform;
  return input.map((value, i) => value * scale[i % scale.length] + shift[i % shift.length]);
}

function softmax(logits: Float32Array, classes: number): Float32Array {
  const result = new Float32Array(logits.length);
  for (let start = 0; start < logits.length; start += classes) {
    const row = logits.subarray(start, start + classes);
    const most = Math.max(...row);
    const sum = row.reduce((sum, logit) => sum + Math.exp(logit - most), 0);
    row.forEach((logit, i) => result[start + i] = Math.exp(logit - most) / sum);
  }
  return result;
}

// Averages windows on its shortcut, which no node of the graph does.
const UNMAPPABLE = "pooledShortcut";

for (const name of MODEL_NAMES.filter((name) => name !== UNMAPPABLE)) {
  Deno.test(`${name}: the mapped network computes what onnxruntime does`, async () => {
    const model = decodeOnnx(await modelFile(name));
    const output = await logits(model, prepared(model));
    const inside = model.notes.some(({ id }) => id === "softmax-inside");
    const actual = inside ? softmax(output, 10) : output;
    const expected = Float32Array.from(logitsOf(name));
    assertEquals(new Set(expected).size > 2, true, "logits that could not tell nets apart");
    // Winograd's rounding is 1e-6 a layer, of values up to about 10.
    assertTensorClose(actual, expected, { absolute: 1e-4, relative: 1e-5 }, "logits");
  });
}
