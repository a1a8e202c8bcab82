// deno-lint-ignore-file no-explicit-any -- the package is not fetched for its types
// What is read from models that TensorFlow.js saved, against what TensorFlow.js computes.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadPackage } from "../engine/tfjs/packages/mod.ts";
import { images } from "../testing/files/mod.ts";
import { assertTensorClose, inferenceOf } from "../testing/mod.ts";
import { decodeModel, type FileSource } from "../weights/mod.ts";
import { architecture, WeightFileError } from "../resnet/mod.ts";
import { fileSubject } from "./targets.ts";

const tf = await loadPackage<any>("@tensorflow/tfjs");

/** Option A as users of TensorFlow.js write it: a layer of their own. */
class ZeroChannels extends tf.layers.Layer {
  static className = "ZeroChannels";
  computeOutputShape([images, height, width, channels]: number[]) {
    return [images, height / 2, width / 2, 2 * channels];
  }
  call(inputs: any): any {
    const [x] = Array.isArray(inputs) ? inputs : [inputs];
    return tf.stridedSlice(x, [0, 0, 0, 0], x.shape, [1, 2, 2, 1])
      .pad([[0, 0], [0, 0], [0, 0], [0, x.shape[3]!]]);
  }
}
tf.serialization.registerClass(ZeroChannels);

interface Options {
  readonly shortcut?: "projection" | "own";
  readonly activation?: () => any;
  readonly end?: "softmax";
  readonly scaled?: boolean;
}

/** A net of 4, 8 and 16 filters, one block a stage. */
function net(
  { shortcut = "projection", activation = () => tf.layers.reLU(), end, scaled }: Options = {},
) {
  const input = tf.input({ shape: [32, 32, 3] });
  const apply = (layer: any, x: any) => layer.apply(x);
  const convolution = (x: any, filters: number, strides: number, kernelSize = 3) =>
    apply(
      tf.layers.batchNormalization({ epsilon: 1e-3 }),
      apply(
        tf.layers.conv2d({ filters, kernelSize, strides, padding: "same", useBias: false }),
        x,
      ),
    );
  const given = scaled ? apply(tf.layers.rescaling({ scale: 0.5, offset: -0.25 }), input) : input;
  let x = apply(activation(), convolution(given, 4, 1));
  for (const [filters, strides] of [[4, 1], [8, 2], [16, 2]]) {
    const branch = convolution(
      apply(activation(), convolution(x, filters, strides)),
      filters,
      1,
    );
    const beside = strides === 1
      ? x
      : shortcut === "own"
      ? apply(new ZeroChannels(), x)
      : convolution(x, filters, strides, 1);
    x = apply(activation(), apply(tf.layers.add(), [branch, beside]));
  }
  const pooled = apply(tf.layers.globalAveragePooling2d({}), x);
  const output = apply(tf.layers.dense({ units: 10, activation: end }), pooled);
  const model = tf.model({ inputs: input, outputs: output });
  model.setWeights(
    model.getWeights().map((weight: any, i: number) => {
      const values = weight.dataSync().map((_: number, j: number) =>
        (((i * 31 + j) * 7919) % 17 - 8) / 32
      );
      const positive = /gamma|variance/.test(model.weights[i].name);
      return tf.tensor(positive ? values.map((value: number) => 1 + value) : values, weight.shape);
    }),
  );
  return model;
}

/** The files that a browser downloads: the description, and the values in two shards. */
async function saved(model: any): Promise<Record<string, Uint8Array>> {
  let files: Record<string, Uint8Array> = {};
  await model.save(tf.io.withSaveHandler((artifacts: any) => {
    const values = new Uint8Array(artifacts.weightData as ArrayBuffer);
    const half = values.length >> 1;
    const shards = ["group1-shard1of2.bin", "group1-shard2of2.bin"];
    // As tfjs-core's browser_files.ts and http.ts put it together.
    const { modelTopology, format, generatedBy, convertedBy, weightSpecs } = artifacts;
    const weightsManifest = [{ paths: shards.map((path) => `./${path}`), weights: weightSpecs }];
    const json = { modelTopology, format, generatedBy, convertedBy, weightsManifest };
    files = {
      "model.json": new TextEncoder().encode(JSON.stringify(json)),
      [shards[0]]: values.subarray(0, half),
      [shards[1]]: values.subarray(half),
    };
    return Promise.resolve({
      modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: "JSON" },
    });
  }));
  return files;
}

function sourceOf(files: Readonly<Record<string, Uint8Array>>): FileSource {
  return {
    name: "model.json",
    bytes: files["model.json"],
    beside: (name) =>
      name in files
        ? Promise.resolve(files[name])
        : Promise.reject(new WeightFileError(`there is no ${name}`)),
  };
}

const options = { sanitizeOps: false, sanitizeResources: false };

for (
  const [name, settings] of Object.entries(
    {
      "projections": {},
      "a softmax and a scaled input": { end: "softmax", scaled: true },
    } satisfies Record<string, Options>,
  )
) {
  Deno.test({
    ...options,
    name: `TensorFlow.js, ${name}: the network that is read computes what TensorFlow.js does`,
    fn: async () => {
      await tf.setBackend("cpu");
      const model = net(settings);
      const file = await decodeModel(sourceOf(await saved(model)));
      assertEquals([file.format, file.network?.epsilon], ["tensorflowjs", 1e-3]);
      const input = tf.tensor(images(), [2, 32, 32, 3]);
      const expected = await model.predict(input).data() as Float32Array;
      assert(new Set(expected).size > 10, "outputs that could not tell nets apart");
      const actual = await inferenceOf(file.network!, images());
      assertTensorClose(actual, expected, { absolute: 1e-4, relative: 1e-5 }, "outputs");
    },
  });
}

Deno.test({
  ...options,
  name: "TensorFlow.js: other activations are named as those of an ONNX file are",
  fn: async () => {
    const model = net({ activation: () => tf.layers.leakyReLU() });
    const { network } = await decodeModel(sourceOf(await saved(model)));
    assertEquals(network?.departures.map(({ id }) => id), ["other-activation"]);
  },
});

Deno.test({
  ...options,
  name: "TensorFlow.js: with a layer of the user's own the arrays are judged alone, in order",
  fn: async () => {
    const file = await decodeModel(sourceOf(await saved(net({ shortcut: "own" }))));
    assertEquals(file.network, undefined);
    assert(file.notes[0].includes("ZeroChannels"), file.notes.join());
    const { candidates, causes } = fileSubject("model.json", file);
    const { nodes } = candidates[0].graph;
    assertEquals(
      candidates[0].name,
      "residual net of depth 8, option A with zero channels appended, padded as TensorFlow pads",
    );
    assertEquals(nodes.length, architecture("resnet8").nodes.length);
    assertEquals(causes?.map(({ id }) => id), ["stem-filters", "widths"]);
  },
});

Deno.test({
  ...options,
  name: "TensorFlow.js: shards that are missing, short or too long are refused",
  fn: async () => {
    const files = await saved(net());
    const refused = async (change: Record<string, Uint8Array>, what: string) => {
      const error = await assertRejects(
        () => decodeModel(sourceOf({ ...files, ...change })),
        WeightFileError,
      );
      assert(error.message.includes(what), error.message);
    };
    const shard = "group1-shard2of2.bin";
    await refused({ [shard]: files[shard].subarray(4) }, "get them again");
    await refused({ [shard]: new Uint8Array(files[shard].length + 4) }, "get them again");
    const described = (change: (entry: Record<string, unknown>) => unknown) => {
      const model = JSON.parse(new TextDecoder().decode(files["model.json"]));
      model.weightsManifest[0].weights = model.weightsManifest[0].weights.map(change);
      return { "model.json": new TextEncoder().encode(JSON.stringify(model)) };
    };
    await refused(
      described((entry) => ({ ...entry, quantization: { dtype: "uint8", min: 0, scale: 1 } })),
      "the model is quantised",
    );
    await refused(described((entry) => ({ ...entry, shape: [1e9] })), "these take");
    await refused(described((entry) => ({ ...entry, dtype: "string" })), '"string"');
    const { [shard]: _, ...rest } = files;
    await assertRejects(() => decodeModel(sourceOf(rest)), WeightFileError, shard);
  },
});
