// deno-lint-ignore-file no-explicit-any -- the package is not fetched for its types
// What TensorFlow.js computes of the models that are written for it, against this project's engine.
import { assert, assertEquals } from "@std/assert";
import { loadPackage } from "../engine/tfjs/packages/mod.ts";
import { images } from "../testing/files/mod.ts";
import { assertTensorClose, inferenceOf } from "../testing/mod.ts";
import { architecture, initialise } from "../resnet/mod.ts";
import { decodeModel, encodeTensorflowJs } from "../weights/mod.ts";

const tf = await loadPackage<any>("@tensorflow/tfjs");

for (const options of [{ zeroChannels: "split" }, { shortcut: "B" }] as const) {
  Deno.test({
    name: `TensorFlow.js loads a resnet8 that is written for it, ${JSON.stringify(options)}`,
    sanitizeOps: false,
    sanitizeResources: false,
    fn: async () => {
      await tf.setBackend("cpu");
      const graph = architecture("resnet8", options);
      const weights = new Map(initialise(graph, 3, "in"));
      // Statistics and shifts that are not those of a new net.
      for (const [name, { shape, data }] of weights) {
        if (!/bn\d?\.|shortcut\.1|bias/.test(name)) continue;
        weights.set(name, { shape, data: data.map((value, i) => value + ((7 * i) % 5) / 16) });
      }
      const files = encodeTensorflowJs(graph, weights);
      const { modelTopology, weightsManifest: [{ paths, weights: weightSpecs }] } = JSON.parse(
        new TextDecoder().decode(files.get("model.json")),
      );
      const weightData = files.get(paths[0])!.slice().buffer;
      const model = await tf.loadLayersModel({
        load: () => Promise.resolve({ modelTopology, weightSpecs, weightData }),
      });
      const input = tf.tensor(images(), [2, 32, 32, 3]);
      const expected = await model.predict(input).data() as Float32Array;
      assert(new Set(expected).size > 10, "outputs that could not tell nets apart");
      const { network } = await decodeModel({
        name: "model.json",
        bytes: files.get("model.json")!,
        beside: (name) => Promise.resolve(files.get(name)!),
      });
      assertEquals(network!.departures, []);
      // The net that was written, not what is read of the file.
      const written = { ...network!, executable: { graph, weights }, epsilon: 1e-5 };
      const actual = await inferenceOf(written, images());
      assertTensorClose(actual, expected, { absolute: 1e-4, relative: 1e-4 }, "outputs");
    },
  });
}
