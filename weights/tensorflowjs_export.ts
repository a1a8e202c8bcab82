/**
 * Networks as layers models of TensorFlow.js: `model.json` and the shards of its weights, which
 * `tf.loadLayersModel` reads without code of ours.
 *
 * Source: tfjs-core/src/io/types.ts and tfjs-layers/src/models.ts of TensorFlow.js 4.22.
 */
import type { Graph, Weights } from "../resnet/mod.ts";
import { type KerasExportOptions, writtenLayers } from "./_keras_layers.ts";

/** As the converter of TensorFlow.js cuts files, so that browsers keep them. */
const SHARD_BYTES = 4 * 1024 * 1024;

/**
 * A network as a layers model of TensorFlow.js: input [N, H, W, C] of 32-bit floats, output the
 * logits [N, classes]. Layers have the names of our own files.
 *
 * @param graph The network.
 * @param weights Its weights, by PyTorch's names.
 * @param options What else decides the files.
 * @returns The files of its folder by their names; `model.json` is the one to load.
 * @throws {WeightFileError} If the weights do not fit the graph, or no layers of Keras do what one
 *   of its nodes does.
 *
 * @example
 * ```ts
 * import { architecture, initialise } from "../resnet/mod.ts";
 * import { encodeTensorflowJs } from "./tensorflowjs_export.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const graph = architecture("resnet8");
 * const files = encodeTensorflowJs(graph, initialise(graph, 0, "in"));
 * assertEquals([...files.keys()], ["model.json", "group1-shard1of1.bin"]);
 * ```
 */
export function encodeTensorflowJs(
  graph: Graph,
  weights: Weights,
  options: KerasExportOptions = {},
): ReadonlyMap<string, Uint8Array> {
  const layers = writtenLayers(graph, weights, options);
  const described = layers.map((
    { name, className, config: { batch_shape: shape, ...config }, inputs },
  ) => ({
    ...{ name, class_name: className },
    config: { name, ...config, ...(shape === undefined ? {} : { batch_input_shape: shape }) },
    inbound_nodes: inputs.length === 0 ? [] : [inputs.map((input) => [input, 0, 0, {}])],
  }));
  const arrays = layers.flatMap(({ name, arrays }) =>
    [...arrays].map(([role, array]) => ({ ...array, name: `${name}/${role}` }))
  );
  const values = new DataView(
    new ArrayBuffer(arrays.reduce((sum, { data }) => sum + 4 * data.length, 0)),
  );
  let at = 0;
  for (const { data } of arrays) {
    for (const value of data) {
      values.setFloat32(at, value, true);
      at += 4;
    }
  }
  const count = Math.max(1, Math.ceil(at / SHARD_BYTES));
  const shards = Array.from({ length: count }, (_, i) =>
    [
      `group1-shard${i + 1}of${count}.bin`,
      new Uint8Array(values.buffer).subarray(i * SHARD_BYTES, (i + 1) * SHARD_BYTES),
    ] as const);
  const model = {
    ...{ format: "layers-model", generatedBy: "resnet-cifar", convertedBy: null },
    modelTopology: {
      class_name: "Model",
      config: {
        ...{ name: graph.name, layers: described },
        ...{ input_layers: [[layers[0].name, 0, 0]], output_layers: [[graph.output, 0, 0]] },
      },
    },
    weightsManifest: [{
      paths: shards.map(([path]) => path),
      weights: arrays.map(({ name, shape }) => ({ name, shape, dtype: "float32" })),
    }],
  };
  return new Map([
    ["model.json", new TextEncoder().encode(JSON.stringify(model))],
    ...shards,
  ]);
}
