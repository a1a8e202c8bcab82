/**
 * Networks as files of Keras 3 (`.keras`): an archive with the layers' settings and an HDF5 file of
 * their arrays. `keras.saving.load_model` reads them on every backend, without code of ours.
 *
 * Source: keras/src/saving/saving_lib.py and keras/src/models/functional.py of Keras 3.15.
 */
import type { Graph, Tensor, Weights } from "../resnet/mod.ts";
import { encodeHdf5, type Hdf5Group } from "./_hdf5_writer.ts";
import { type KerasExportOptions, type WrittenLayer, writtenLayers } from "./_keras_layers.ts";
import { snakeCase } from "./_keras_topology.ts";
import { storedZip } from "./stored_zip.ts";

/** The version whose form is written; Keras reads it and ignores it. */
const KERAS_VERSION = "3.15.1";

/**
 * A network as a file of Keras: input [N, H, W, C] of 32-bit floats, output the logits
 * [N, classes]. Layers have the names of our own files.
 *
 * @param graph The network.
 * @param weights Its weights, by PyTorch's names.
 * @param options What else decides the file.
 * @returns The file.
 * @throws {WeightFileError} If the weights do not fit the graph, or no layers of Keras do what one
 *   of its nodes does.
 *
 * @example
 * ```ts
 * import { architecture, initialise } from "../resnet/mod.ts";
 * import { encodeKeras } from "./keras_export.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet8");
 * const file = encodeKeras(graph, initialise(graph, 0, "in"));
 * assertEquals(new TextDecoder().decode(file.subarray(0, 2)), "PK");
 * ```
 */
export function encodeKeras(
  graph: Graph,
  weights: Weights,
  options: KerasExportOptions = {},
): Uint8Array {
  const layers = writtenLayers(graph, weights, options);
  const shapes = new Map(layers.map(({ name, shape }) => [name, shape]));
  const tensor = (name: string) => ({
    class_name: "__keras_tensor__",
    config: {
      ...{ shape: [null, ...shapes.get(name)!], dtype: "float32" },
      keras_history: [name, 0, 0],
    },
  });
  const described = layers.map(({ name, className, config, inputs }) => ({
    ...{ module: "keras.layers", class_name: className, config: { name, ...config } },
    ...{ registered_name: null, name },
    inbound_nodes: inputs.length === 0
      ? []
      : [{ args: inputs.length > 1 ? [inputs.map(tensor)] : inputs.map(tensor), kwargs: {} }],
  }));
  const description = {
    ...{ module: "keras.src.models.functional", class_name: "Functional" },
    config: {
      ...{ name: graph.name, trainable: true, layers: described },
      ...{ input_layers: [layers[0].name, 0, 0], output_layers: [graph.output, 0, 0] },
    },
    registered_name: "Functional",
    build_config: { input_shape: null },
  };
  const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  return storedZip([
    ["metadata.json", text({ keras_version: KERAS_VERSION })],
    ["config.json", text(description)],
    ["model.weights.h5", encodeHdf5(new Map([["layers", groupsOf(layers)]]))],
  ]);
}

/** Keras finds a layer's arrays by its class and how many of that class stand before it. */
function groupsOf(layers: readonly WrittenLayer[]): Hdf5Group {
  const counts = new Map<string, number>();
  const groups = new Map<string, Hdf5Group>();
  for (const { className, arrays } of layers) {
    const kind = snakeCase(className);
    const count = counts.get(kind) ?? 0;
    counts.set(kind, count + 1);
    const numbered = [...arrays.values()].map((array, i): [string, Tensor] => [String(i), array]);
    groups.set(count > 0 ? `${kind}_${count}` : kind, new Map([["vars", new Map(numbered)]]));
  }
  return groups;
}
