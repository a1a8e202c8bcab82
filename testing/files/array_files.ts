/** Files of Keras, Flax, h5py and NumPy for the tests, unpacked. */
import { ARRAY_FILES, ARRAY_MODELS } from "./_array_file_fixtures.ts";
import { unpacked } from "./foreign_models.ts";

/** The names of the models. */
export type ArrayModelName = keyof typeof ARRAY_MODELS;

/** All names of the models. */
export const ARRAY_MODEL_NAMES = Object.keys(ARRAY_MODELS) as readonly ArrayModelName[];

/** The names of the files of arrays. */
export type ArrayFileName = keyof typeof ARRAY_FILES;

/** A model's file. */
export function arrayModel(name: ArrayModelName): Promise<Uint8Array<ArrayBuffer>> {
  return unpacked(ARRAY_MODELS[name].file);
}

/** What a model computes from `images()`, [2, 10], by its own framework. */
export function outputsOf(name: ArrayModelName): Float32Array {
  return Float32Array.from(ARRAY_MODELS[name].logits);
}

/** A file of arrays; the first is [3, 4, 5], its i-th number i / 8 - 2. */
export function arrayFile(name: ArrayFileName): Promise<Uint8Array<ArrayBuffer>> {
  return unpacked(ARRAY_FILES[name]);
}
