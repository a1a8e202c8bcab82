/** What a network read from a file computes, to be compared with its own framework. */
import { freshState, PLAIN_SGD, wasmEngine } from "../engine/mod.ts";
import type { OnnxModel } from "../weights/mod.ts";

/**
 * Runs two images through a network on the wasm engine, in inference; what the
 * file does to its input, and a softmax at its end, is done as well.
 *
 * @param model With operations that can all be run.
 * @param images [2, H, W, C].
 * @returns [2, classes].
 * @throws {TypeError} If the network has no executable form.
 */
export async function inferenceOf(model: OnnxModel, images: Float32Array): Promise<Float32Array> {
  if (!model.executable) throw new TypeError("the network has operations that can't be run");
  const { graph, weights } = model.executable;
  const engine = await wasmEngine.create({
    ...{ graph, batchSize: 2, optimiser: PLAIN_SGD, cropPadding: 0, threads: 1 },
    batchNorm: { epsilon: model.epsilon ?? 1e-5, momentum: 0.1 },
  });
  try {
    await engine.importState(freshState(graph, PLAIN_SGD, weights));
    const input = prepared(model, images);
    const { output } = await engine.probe({ input, images: 2, mode: "inference" });
    const inside = model.notes.some(({ id }) => id === "softmax-inside");
    return inside ? softmax(output, output.length / 2) : output;
  } finally {
    engine.dispose();
  }
}

function prepared({ inputTransform }: OnnxModel, images: Float32Array): Float32Array {
  if (!inputTransform) return images;
  const { scale, shift } = inputTransform;
  return images.map((value, i) => value * scale[i % scale.length] + shift[i % shift.length]);
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
