/** The foreign models of the tests, unpacked. */
import { MODELS, SHAPES } from "./_foreign_model_fixtures.ts";
import { sizeOf, type Weights } from "../../resnet/mod.ts";

/** The names of the ONNX files. */
export type ModelName = keyof typeof MODELS;

/** All names of the ONNX files. */
export const MODEL_NAMES = Object.keys(MODELS) as readonly ModelName[];

/** An ONNX file. */
export function modelFile(name: ModelName): Promise<Uint8Array<ArrayBuffer>> {
  return unpacked(MODELS[name].file);
}

/** What a model computes from {@link images}, [2, 10]. */
export function logitsOf(name: ModelName): readonly number[] {
  return MODELS[name].logits;
}

/** Arrays of zeros under the names and with the shapes of a published network. */
export async function publishedArrays(name: keyof typeof SHAPES): Promise<Weights> {
  const text = new TextDecoder().decode(await unpacked(SHAPES[name]));
  const shapes: [string, number[]][] = JSON.parse(text);
  return new Map(
    shapes.map(([name, shape]) => [name, { shape, data: new Float32Array(sizeOf(shape)) }]),
  );
}

/** The input of `bench/peers/foreign_models.py`, as [2, 32, 32, 3]. */
export function images(): Float32Array {
  const [count, channels, pixels] = [2, 3, 32 * 32];
  const values = new Float32Array(count * channels * pixels);
  for (let image = 0; image < count; image++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let pixel = 0; pixel < pixels; pixel++) {
        const index = (image * channels + channel) * pixels + pixel; // [N, C, H, W]
        const at = (image * pixels + pixel) * channels + channel; // [N, H, W, C]
        values[at] = ((index * 7919) % 251 - 125) / 64;
      }
    }
  }
  return values;
}

/** What a fixture packs by gzip, in base64. */
export function unpacked(base64: string): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([Uint8Array.fromBase64(base64)]).stream()
    .pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).bytes();
}
