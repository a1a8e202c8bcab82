/**
 * Reads the models of TensorFlow.js: `model.json`, which describes the network
 * and lists the weights, and the shards in which their values lie.
 *
 * Source: tfjs-core/src/io/types.ts and io_utils.ts of TensorFlow.js 4.22.
 */
import type { Contents, Format } from "./format.ts";
import { ELEMENT_TYPES, MOST_AXES, readElements, rowMajorStrides } from "./_elements.ts";
import { isRecord, jsonOf } from "./_json.ts";
import { kerasContents } from "./_keras_network.ts";
import { compiledTraining, layerOf, named } from "./_keras_arrays.ts";
import { MOST_TENSOR_BYTES } from "./_stored_tensor.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

/** A megabyte a shard, as the converter writes 4 MB, is more than any net here. */
const MOST_SHARDS = 1_000;
/** ResNet-1202's model has 7,219 arrays. */
const MOST_ARRAYS = 100_000;

/** A layers model or a graph model of TensorFlow.js. */
export const tensorflowjs: Format = {
  id: "tensorflowjs",
  title: "a TensorFlow.js model",
  leads: ["model.json"],
  recognises: ({ bytes }) => {
    const model = jsonOf(bytes);
    return model !== undefined && "modelTopology" in model;
  },
  read: async ({ bytes, beside }) => {
    const model = jsonOf(bytes)!;
    const { modelTopology, weightsManifest } = model;
    if (!Array.isArray(weightsManifest)) {
      throw malformed("it lists no weights; save the model again with model.save()");
    }
    const tensors = await readManifest(weightsManifest, beside);
    return contentsOf(model, isRecord(modelTopology) ? modelTopology : {}, tensors);
  },
};

function contentsOf(
  { generatedBy, convertedBy, trainingConfig, format }: Readonly<Record<string, unknown>>,
  topology: Readonly<Record<string, unknown>>,
  tensors: Weights,
): Contents {
  if (format === "graph-model" || Array.isArray(topology.node)) {
    return {
      tensors,
      ordered: true,
      notes: ["a graph model: its operations are not read, only its weights"],
    };
  }
  // The converter puts Keras's description within another.
  const description = isRecord(topology.model_config) ? topology.model_config : topology;
  const training = compiledTraining(trainingConfig ?? topology.training_config);
  return kerasContents({
    ...{ description, tensors },
    arraysOf: layerOf(tensors, named),
    producer: [generatedBy, convertedBy].filter((text) => typeof text === "string").join(", "),
    ...(training ? { training } : {}),
  });
}

/** One array as the manifest lists it. */
interface Entry {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: string;
}

/** The manifest's types of elements, by the names of `_elements.ts`. */
const TYPES: Readonly<Record<string, string>> = {
  float32: "F32",
  float16: "F16",
  int32: "I32",
  bool: "BOOL",
  uint8: "U8",
};

async function readManifest(
  manifest: readonly unknown[],
  beside: (name: string) => Promise<Uint8Array>,
): Promise<Weights> {
  const groups = manifest.map((group) => {
    if (!isRecord(group) || !Array.isArray(group.paths) || !Array.isArray(group.weights)) {
      throw malformed("a group of weights has no paths or no arrays");
    }
    return { paths: group.paths as unknown[], entries: group.weights.map(entryOf) };
  });
  const entries = groups.flatMap(({ entries }) => entries);
  const paths = groups.flatMap(({ paths }) => paths);
  if (paths.length > MOST_SHARDS || entries.length > MOST_ARRAYS) {
    throw malformed(
      `it lists ${entries.length} arrays in ${paths.length} files, and at most ${MOST_ARRAYS} in ${MOST_SHARDS} are read`,
    );
  }
  // Before any file is read: a few bytes may list much.
  const bytes = entries.reduce((sum, { shape }) => sum + 4 * sizeOf(shape), 0);
  if (!(bytes <= MOST_TENSOR_BYTES)) {
    throw malformed(`arrays of at most ${MOST_TENSOR_BYTES} bytes are read, these take ${bytes}`);
  }
  const tensors = new Map<string, Tensor>();
  for (const { paths, entries } of groups) {
    const shards: Uint8Array[] = [];
    for (const path of paths) {
      if (typeof path !== "string") throw malformed("the path of a shard is no text");
      // TensorFlow.js itself writes "./weights.bin".
      shards.push(await beside(path.replace(/^\.\//, "")));
    }
    const content = joined(shards);
    let position = 0;
    for (const { name, shape, type } of entries) {
      const element = ELEMENT_TYPES.get(type)!;
      const end = position + sizeOf(shape) * element.bytes;
      if (end > content.length) {
        throw malformed(
          `${quote(name)} ends at byte ${end} of shards of ${content.length}; get them again`,
        );
      }
      if (tensors.has(name)) throw malformed(`two arrays are named ${quote(name)}`);
      const layout = { shape, strides: rowMajorStrides(shape), offset: 0 };
      const data = readElements(element, content.subarray(position, end), layout, name);
      tensors.set(name, { shape, data });
      position = end;
    }
    if (position !== content.length) {
      throw malformed(
        `the arrays end at byte ${position} of shards of ${content.length}; get them again`,
      );
    }
  }
  return tensors;
}

function entryOf(entry: unknown): Entry {
  if (!isRecord(entry) || typeof entry.name !== "string") throw malformed("an array has no name");
  const { name, shape, dtype, quantization } = entry;
  if (
    !Array.isArray(shape) || shape.length > MOST_AXES ||
    !shape.every((extent) => Number.isSafeInteger(extent) && extent >= 0)
  ) {
    throw malformed(
      `the shape of ${quote(name)} must be a list of at most ${MOST_AXES} whole numbers from 0`,
    );
  }
  const stored = isRecord(quantization) ? quantization.dtype : dtype;
  if (isRecord(quantization) && stored !== "float16") {
    throw new WeightFileError(
      `the model is quantised (${quote(name)} as ${
        quote(String(stored))
      }): its weights are whole numbers with scales, which are not those that were trained; give the float model that it was made from`,
    );
  }
  const type = typeof stored === "string" && Object.hasOwn(TYPES, stored) ? TYPES[stored] : "";
  if (type === "") {
    throw malformed(
      `${quote(name)} has the type ${quote(String(stored))}, and only ${
        Object.keys(TYPES).join(", ")
      } are read`,
    );
  }
  return { name, shape, type };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0];
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
}

function malformed(reason: string): WeightFileError {
  return new WeightFileError(`not a well-formed model of TensorFlow.js: ${reason}`);
}
