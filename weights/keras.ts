/**
 * Reads the files of Keras: the archive `.keras`, weights alone in
 * `.weights.h5`, and the older `.h5` with or without the model; and arrays that
 * others keep in HDF5.
 *
 * Source: keras/src/saving/saving_lib.py and keras/src/legacy/saving of Keras 3.15.
 */
import type { Contents, Format } from "./format.ts";
import { ELEMENT_TYPES, readElements, rowMajorStrides } from "./_elements.ts";
import { type Hdf5Array, type Hdf5Object, isHdf5, readHdf5 } from "./_hdf5.ts";
import { jsonOf } from "./_json.ts";
import {
  compiledTraining,
  layerOf,
  named,
  type Place,
  withoutPreparation,
  withRoles,
} from "./_keras_arrays.ts";
import { kerasContents } from "./_keras_network.ts";
import { MOST_TENSOR_BYTES } from "./_stored_tensor.ts";
import { zipOf } from "./_zip.ts";
import { quote } from "../text/mod.ts";
import { sizeOf, type Tensor, WeightFileError, type Weights } from "../resnet/mod.ts";

const CONFIG = "config.json";
const WEIGHTS = "model.weights.h5";

/** What `model.save("model.keras")` writes. */
export const kerasArchive: Format = {
  id: "keras",
  title: "a Keras model",
  recognises: ({ bytes }) => {
    const members = zipOf(bytes)?.members;
    return members !== undefined && members.has(CONFIG) && members.has(WEIGHTS);
  },
  read: ({ bytes }) => {
    const archive = zipOf(bytes)!;
    const description = jsonOf(archive.read(CONFIG));
    if (!description) throw new WeightFileError("config.json in the archive is no JSON object");
    const metadata = archive.members.has("metadata.json")
      ? jsonOf(archive.read("metadata.json"))
      : undefined;
    const file = readHdf5(archive.read(WEIGHTS));
    return ofKeras3(file, description, String(metadata?.keras_version ?? "3"));
  },
};

/** HDF5: what Keras writes as `.h5` and `.weights.h5`, and anybody's arrays. */
export const hdf5: Format = {
  id: "hdf5",
  title: "an HDF5 file",
  leads: ["model.weights.h5", "tf_model.h5"],
  recognises: ({ bytes }) => isHdf5(bytes),
  read: ({ bytes }) => {
    const file = readHdf5(bytes);
    const { attributes, members = new Map<string, Hdf5Object>() } = file;
    const config = attributes.get("model_config");
    const weights = members.get("model_weights") ?? file;
    const version = attributes.get("keras_version") ?? weights.attributes.get("keras_version");
    if (weights.attributes.has("layer_names")) {
      return legacy(weights, config, attributes.get("training_config"), version);
    }
    if (isKeras3(members)) return ofKeras3(file, undefined, "3");
    return { tensors: tensorsOf(arraysIn(file)), ordered: false };
  },
};

/** An array of the file under its path. */
interface Stored {
  readonly path: readonly string[];
  readonly array: Hdf5Array;
  readonly bfloat: boolean;
}

/** Groups in which an optimiser's state is kept, whose arrays are shaped as the weights are. */
const OPTIMISERS = /^optimizer(_weights)?$/;

function arraysIn(file: Hdf5Object): Stored[] {
  const found: Stored[] = [];
  const visit = ({ members, array, attributes }: Hdf5Object, path: readonly string[]) => {
    if (array) found.push({ path, array, bfloat: attributes.get("dtype") === "bfloat16" });
    for (const [name, member] of members ?? []) {
      if (path.length > 0 || !OPTIMISERS.test(name)) visit(member, [...path, name]);
    }
  };
  visit(file, []);
  return found;
}

/** Reads arrays under names of their own, after all of them were counted. */
function tensorsOf(
  stored: readonly Stored[],
  nameOf: (path: readonly string[]) => string = (path) => path.join("/"),
): Map<string, Tensor> {
  const numeric = stored.filter(({ array }) => array.type);
  const bytes = numeric.reduce((sum, { array }) => sum + 4 * sizeOf(array.shape), 0);
  if (!(bytes <= MOST_TENSOR_BYTES)) {
    throw new WeightFileError(
      `arrays of at most ${MOST_TENSOR_BYTES} bytes are read, these would take ${bytes}`,
    );
  }
  const tensors = new Map<string, Tensor>();
  for (const { path, array: { shape, type, read }, bfloat } of numeric) {
    const name = nameOf(path);
    const element = bfloat && type!.bytes === 2 ? ELEMENT_TYPES.get("BF16")! : type!;
    const layout = { shape, strides: rowMajorStrides(shape), offset: 0 };
    tensors.set(name, { shape, data: readElements(element, read(), layout, name) });
  }
  return tensors;
}

/** What Keras 2 writes, and Keras 3 where the file is to end in `.h5`. */
function legacy(
  weights: Hdf5Object,
  config: string | readonly string[] | undefined,
  compiled: string | readonly string[] | undefined,
  version: string | readonly string[] | undefined,
): Contents {
  const listed = weights.attributes.get("layer_names") ?? [];
  const place = new Map([listed].flat().map((name, i) => [name, i]));
  const at = ({ path }: Stored) => place.get(path[0]) ?? place.size;
  const stored = arraysIn(weights).toSorted((a, b) => at(a) - at(b));
  const tensors = tensorsOf(stored);
  if (typeof config !== "string") {
    return { tensors: withoutPreparation(tensors), ordered: true };
  }
  const training = compiledTraining(parsed(compiled));
  return kerasContents({
    ...{ description: parsed(config), tensors },
    arraysOf: layerOf(tensors, named),
    producer: `Keras ${String(version ?? "")}`.trim(),
    ...(training ? { training } : {}),
  });
}

function parsed(text: string | readonly string[] | undefined): unknown {
  return typeof text === "string" ? jsonOf(new TextEncoder().encode(text)) : undefined;
}

/** Keras 2.12 to 3.0 call the list of layers otherwise. */
const LISTS = /^(layers|_layer_checkpoint_dependencies)$/;

function isKeras3(members: ReadonlyMap<string, Hdf5Object>): boolean {
  const hasVariables = ({ members = new Map() }: Hdf5Object, depth: number): boolean =>
    members.has("vars") ||
    (depth < 8 && members.values().some((member: Hdf5Object) => hasVariables(member, depth + 1)));
  return members.values().some((member) => hasVariables(member, 0));
}

/** `layers/conv2d_1/vars/0`: the group of a layer, and the number of an array of it. */
function numbered(path: readonly string[]): Place | undefined {
  const parts = path.flatMap((part) => part.split("\\")); // Windows's separators stay in names
  const role = parts.at(-1)!;
  if (parts.at(-2) !== "vars" || !/^\d+$/.test(role)) return undefined;
  const groups = parts.slice(0, -2).map((part) => LISTS.test(part) ? "layers" : part);
  return { layer: groups.join("/"), role };
}

function ofKeras3(
  file: Hdf5Object,
  description: Readonly<Record<string, unknown>> | undefined,
  version: string,
): Contents {
  const stored = arraysIn(file).filter(({ path }) => numbered(path));
  const tensors = tensorsOf(stored);
  const split = (name: string) => numbered(name.split("/"));
  if (!description) {
    return { tensors: withoutPreparation(byClass(tensors, split)), ordered: false };
  }
  const training = compiledTraining(description.compile_config);
  return kerasContents({
    description,
    tensors: byClass(tensors, split),
    arraysOf: layerOf(tensors, split, ({ group }) => [group]),
    producer: `Keras ${version}`,
    ...(training ? { training } : {}),
  });
}

/** Numbered arrays under the names that they have in a layer of the kind that they show. */
function byClass(
  tensors: Weights,
  placeOf: (name: string) => Place | undefined,
): Weights {
  const groups = Map.groupBy(tensors, ([name]) => placeOf(name)!.layer);
  const named = new Map<string, Tensor>();
  for (const [layer, arrays] of groups) {
    const numbers = new Map(arrays.map(([name, tensor]) => [placeOf(name)!.role, tensor]));
    const isNorm = arrays.every(([, { shape }]) => shape.length === 1);
    // Its mean and variance, and of how many images.
    const isAdapted = numbers.size === 3 && numbers.get("2")?.shape.length === 0;
    const config = { scale: numbers.size > 3, center: numbers.size > 2 };
    const className = isNorm ? "BatchNormalization" : isAdapted ? "Normalization" : "Dense";
    for (const [role, tensor] of withRoles(numbers, { className, config })) {
      const name = `${layer.replaceAll(/(^|\/)layers\//g, "$1")}/${role}`;
      if (named.has(name)) throw new WeightFileError(`two arrays are named ${quote(name)}`);
      named.set(name, tensor);
    }
  }
  return named;
}
