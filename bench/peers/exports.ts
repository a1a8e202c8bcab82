// deno-lint-ignore-file no-explicit-any -- the package is not fetched for its types
/**
 * Exported networks on CIFAR-10's test images, as `exports.py` runs them: each file read back by
 * this project on the engine `wasm`, and a folder of TensorFlow.js by TensorFlow.js as well.
 *
 * `deno run --no-lock --allow-read --allow-env bench/peers/exports.ts cifar-10-batches-bin
 *  resnet20.onnx resnet20.tfjs`
 *
 * Without the lock, because TensorFlow.js's WebAssembly kernels are a package that only this script
 * wants: in plain JavaScript 10,000 images take hours.
 */
import { createHash } from "node:crypto";
import { fileSubject } from "../../audit/mod.ts";
import { loadDataset } from "../../data/mod.ts";
import {
  type ByteImages,
  freshState,
  type Labels,
  newLabels,
  PLAIN_SGD,
  wasmEngine,
} from "../../engine/mod.ts";
import { loadPackage } from "../../engine/tfjs/packages/mod.ts";
import { paper } from "../../recipes/mod.ts";
import { fitWeights } from "../../resnet/mod.ts";
import { openSource, readModelFile } from "../../weights/mod.ts";

const BATCH = 500;
/** ImageNet's, by which the images of the published checkpoints were prepared. */
const MEAN = [0.485, 0.456, 0.406];
const NORMALISATION = {
  scale: 1 / 255,
  beforePadding: true,
  mean: Float32Array.from({ length: 32 * 32 * 3 }, (_, i) => MEAN[i % 3]),
  std: Float32Array.of(0.229, 0.224, 0.225),
};

/** The line that `exports.py` prints. */
function line(name: string, labels: Labels, predictions: ArrayLike<number>): string {
  const wrong = [...labels.keys()].filter((i) => predictions[i] !== labels[i]);
  const digest = createHash("sha256").update(wrong.join()).digest("hex").slice(0, 16);
  return `${name}: ${wrong.length} of ${labels.length} wrong, list ${digest}`;
}

async function readBack(path: string, test: ByteImages): Promise<Labels> {
  const file = await readModelFile(path);
  const { candidates } = fileSubject(path, file);
  const { network } = candidates.find(({ graph, network }) =>
    network &&
    graph.nodes.every((node) => node.kind !== "shortcut-a" || node.zeroChannels === "split")
  ) ?? {};
  if (!network) throw new Error(`${path} holds no net with split zero channels`);
  const { graph, weights, epsilon } = network;
  const { batchNorm } = paper("resnet20");
  const engine = await wasmEngine.create({
    ...{ graph, batchSize: 128, optimiser: PLAIN_SGD, cropPadding: 0 },
    batchNorm: { ...batchNorm, epsilon: epsilon ?? batchNorm.epsilon },
  });
  try {
    await engine.load({ train: test, test, normalisation: NORMALISATION });
    await engine.importState(freshState(graph, PLAIN_SGD, fitWeights(graph, weights, path)));
    return (await engine.evaluate("test")).predictions;
  } finally {
    engine.dispose();
  }
}

async function tensorflowJs(path: string, test: ByteImages): Promise<Labels> {
  const tf = await loadPackage<any>("@tensorflow/tfjs");
  await import(`npm:@tensorflow/tfjs-backend-wasm@${tf.version.tfjs}`);
  if (!await tf.setBackend("wasm")) throw new Error("TensorFlow.js's WebAssembly did not start");
  const { bytes, beside } = await openSource(path);
  const { modelTopology, weightsManifest: [{ paths, weights }] } = JSON.parse(
    new TextDecoder().decode(bytes),
  );
  const shards = await Promise.all(paths.map((path: string) => beside(path)));
  const weightData = await new Blob(shards).arrayBuffer();
  const model = await tf.loadLayersModel({
    load: () => Promise.resolve({ modelTopology, weightSpecs: weights, weightData }),
  });
  const { scale, mean, std } = NORMALISATION;
  const predictions = newLabels(test.count, test.classes);
  const size = test.height * test.width * test.channels;
  for (let at = 0; at < test.count; at += BATCH) {
    const images = test.pixels.subarray(at * size, (at + BATCH) * size);
    const input = Float32Array.from(
      images,
      (byte, i) => (byte * scale - mean[i % size]) / std[i % 3],
    );
    const x = tf.tensor(input, [images.length / size, test.height, test.width, test.channels]);
    const classes = tf.tidy(() => model.predict(x).argMax(1));
    predictions.set(await classes.data(), at);
    tf.dispose([x, classes]);
  }
  return predictions;
}

if (import.meta.main) {
  const [data, ...files] = Deno.args;
  const { test } = await loadDataset("cifar10", { path: data });
  for (const file of files) {
    console.log(line(`${file} read back`, test.labels, await readBack(file, test)));
    if ((await Deno.stat(file)).isDirectory) {
      const predictions = await tensorflowJs(file, test);
      console.log(line(`${file} in TensorFlow.js`, test.labels, predictions));
    }
  }
}
