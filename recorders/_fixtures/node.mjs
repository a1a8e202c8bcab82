// A training with TensorFlow.js under Node: node.mjs TENSORFLOW [RECORDER FOLDER]
// Prints what it comes to, the same with the recorder and without it.
import { createHash } from "node:crypto";
import { createRequire } from "node:module";
import process from "node:process";

const [library, recorder, folder] = process.argv.slice(2);
const tf = createRequire(import.meta.url)(library);
tf.enableProdMode();
await tf.setBackend("cpu");

const images = (count, from) =>
  tf.tensor4d(
    Float32Array.from(
      { length: count * 3072 },
      (_, i) => Math.sin((i % 3072) * (from + Math.floor(i / 3072))),
    ),
    [count, 32, 32, 3],
  );
const labels = (count, from) =>
  tf.oneHot(tf.tensor1d(Array.from({ length: count }, (_, i) => (from + i) % 10), "int32"), 10);

const start = tf.initializers.heNormal({ seed: 1 });
const model = tf.sequential({
  layers: [
    tf.layers.conv2d({
      ...{ inputShape: [32, 32, 3], filters: 4, kernelSize: 3, padding: "same", useBias: false },
      kernelInitializer: start,
    }),
    tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 }),
    tf.layers.reLU(),
    tf.layers.globalAveragePooling2d({}),
    tf.layers.dense({ units: 10, kernelInitializer: start }),
  ],
});
model.compile({
  optimizer: tf.train.momentum(0.1, 0.9),
  loss: (truth, scores) => tf.losses.softmaxCrossEntropy(truth, scores),
  metrics: ["accuracy"],
});

const recording = recorder && (await import(recorder)).record(model, folder);
const fitted = await model.fit(images(8, 1), labels(8, 0), {
  ...{ batchSize: 4, epochs: 1, shuffle: false, verbose: 0 },
});
const rows = tf.data.array(Array.from({ length: 6 }, (_, i) => i));
const dataset = rows.map((i) => ({
  xs: images(1, 9 + i).squeeze([0]),
  ys: labels(1, i).squeeze([0]),
}))
  .batch(2);
const other = await model.fitDataset(dataset, { epochs: 2, verbose: 0 });
const tested = model.evaluate(images(5, 20), labels(5, 3), { batchSize: 4 });
recording?.end();

const digest = createHash("sha256");
for (const weight of model.getWeights()) digest.update(new Uint8Array(weight.dataSync().buffer));
console.log(JSON.stringify({
  weights: digest.digest("hex"),
  losses: [...fitted.history.loss, ...other.history.loss],
  tested: tested.map((value) => value.dataSync()[0]),
}));
