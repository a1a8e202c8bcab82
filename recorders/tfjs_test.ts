/** TensorFlow.js's recorder: our reader reads it, the same rules judge it, and it changes nothing. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { auditRecording } from "../audit/recording/mod.ts";
import { loadPackage } from "../engine/tfjs/packages/mod.ts";
import { linesOf, readRecording, type Recording } from "../log/mod.ts";
import { record } from "./mod.ts";

/** What is used of TensorFlow.js. */
interface Tensor {
  readonly shape: number[];
  dataSync(): Float32Array;
  slice(begin: number[], size: number[]): Tensor;
}
interface Layer {
  apply(inputs: unknown): unknown;
}
interface Optimizer {
  minimize(loss: () => Tensor): unknown;
}
interface Model {
  readonly layers: object[];
  compile(settings: object): void;
  fit(x: Tensor, y: Tensor, settings: object): Promise<{ history: Record<string, number[]> }>;
  evaluate(x: Tensor, y: Tensor, settings: object): Tensor[];
  trainOnBatch(x: Tensor, y: Tensor): Promise<unknown>;
  apply(x: Tensor, settings: object): Tensor;
  predict(x: Tensor): Tensor;
  getWeights(): Tensor[];
}
interface TensorFlow {
  readonly layers:
    & Record<
      "conv2d" | "batchNormalization" | "reLU" | "add" | "dense" | "globalAveragePooling2d",
      (settings?: object) => Layer
    >
    & { readonly Layer: new () => Layer };
  readonly initializers: { heNormal(settings: object): object };
  readonly regularizers: { l2(settings: object): object };
  readonly train: {
    momentum(rate: number, momentum: number): Optimizer;
    sgd(rate: number): Optimizer;
  };
  readonly losses: { softmaxCrossEntropy(labels: Tensor, scores: Tensor): Tensor };
  enableProdMode(): void;
  setBackend(name: string): Promise<boolean>;
  input(settings: object): unknown;
  model(settings: object): Model;
  tensor4d(values: Float32Array, shape: number[]): Tensor;
  tensor1d(values: number[], type: string): Tensor;
  oneHot(labels: Tensor, classes: number): Tensor;
  avgPool(x: Tensor, window: number, strides: number, padding: string): Tensor;
  pad(x: Tensor, sides: number[][]): Tensor;
}

async function tensorFlow(): Promise<TensorFlow> {
  const tf = await loadPackage<TensorFlow>("@tensorflow/tfjs");
  tf.enableProdMode(); // no banner on the console
  await tf.setBackend("cpu");
  return tf;
}

/** Option A as somebody writes it: every second pixel, and zero channels on both sides. */
function shortcutA(tf: TensorFlow): Layer {
  class ShortcutA extends tf.layers.Layer {
    static className = "ShortcutA";
    computeOutputShape([count, height, width, channels]: number[]): number[] {
      return [count, height / 2, width / 2, 2 * channels];
    }
    call(inputs: Tensor | Tensor[]): Tensor {
      const [x] = Array.isArray(inputs) ? inputs : [inputs];
      const channels = x.shape[3]!;
      // TensorFlow.js has no gradient of a strided slice.
      const picked = tf.avgPool(x, 1, 2, "valid");
      return tf.pad(picked, [[0, 0], [0, 0], [0, 0], [channels / 2, channels / 2]]);
    }
  }
  return new ShortcutA();
}

/** ResNet-8 with a quarter of the paper's filters. */
function resnet(tf: TensorFlow): Model {
  const convolution = (filters: number, strides: number, seed: number) =>
    tf.layers.conv2d({
      ...{ filters, strides, kernelSize: 3, padding: "same", useBias: false },
      kernelInitializer: tf.initializers.heNormal({ seed }),
      kernelRegularizer: tf.regularizers.l2({ l2: 0.00005 }),
    });
  const norm = () => tf.layers.batchNormalization({ momentum: 0.9, epsilon: 1e-5 });
  const input = tf.input({ shape: [32, 32, 3] });
  let x = convolution(4, 1, 1).apply(input);
  x = tf.layers.reLU().apply(norm().apply(x));
  for (const [stage, filters] of [4, 8, 16].entries()) {
    const strides = stage === 0 ? 1 : 2;
    let y = convolution(filters, strides, 10 + stage).apply(x);
    y = tf.layers.reLU().apply(norm().apply(y));
    y = norm().apply(convolution(filters, 1, 20 + stage).apply(y));
    const shortcut = strides === 1 ? x : shortcutA(tf).apply(x);
    x = tf.layers.reLU().apply(
      tf.layers.add().apply([y, shortcut]),
    );
  }
  const pooled = tf.layers.globalAveragePooling2d({}).apply(x);
  const scores = tf.layers.dense({
    units: 10,
    kernelInitializer: tf.initializers.heNormal({ seed: 3 }),
  }).apply(pooled);
  return tf.model({ inputs: input, outputs: scores });
}

/** Images of which each has a mark of its own, with labels in a known order. */
function images(tf: TensorFlow, count: number): { x: Tensor; y: Tensor } {
  const x = tf.tensor4d(
    Float32Array.from({ length: count * 3072 }, (_, i) => Math.sin(i * (1 + Math.floor(i / 3072)))),
    [count, 32, 32, 3],
  );
  return { x, y: tf.oneHot(tf.tensor1d(labelsOf(count), "int32"), 10) };
}

const labelsOf = (count: number) => Array.from({ length: count }, (_, i) => (3 * i) % 10);

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const compiled = (tf: TensorFlow): Model => {
  const model = resnet(tf);
  model.compile({
    optimizer: tf.train.momentum(0.1, 0.9),
    loss: (labels: Tensor, scores: Tensor) => tf.losses.softmaxCrossEntropy(labels, scores),
    metrics: ["accuracy"],
  });
  return model;
};

const weightsOf = (model: Model) => model.getWeights().map((one) => [...one.dataSync()]);

function checkFiles(recording: Recording): void {
  assertEquals(linesOf(recording.lines, "warning").map(({ message }) => message), []);
  assertEquals(recording.notes, []);
}

Deno.test("fit and evaluate are recorded as they are, and not changed", () =>
  inFolder(async (folder) => {
    const tf = await tensorFlow();
    const train = async (path?: string) => {
      const model = compiled(tf);
      const { x, y } = images(tf, 6);
      const test = images(tf, 3);
      const recording = path === undefined ? undefined : record(model, path);
      const { history } = await model.fit(x, y, {
        ...{ batchSize: 2, epochs: 2, shuffle: false, verbose: 0 },
      });
      const [loss, accuracy] = model.evaluate(test.x, test.y, { batchSize: 2 });
      recording?.end();
      const result = { loss: loss.dataSync()[0], accuracy: accuracy.dataSync()[0], history };
      return { ...result, weights: weightsOf(model), own: Object.keys(model).sort() };
    };
    const unseen = await train();
    const seen = await train(`${folder}/recording`);
    // With what the model has of its own: nothing of the recorder is left on it.
    assertEquals(seen, unseen);

    const recording = await readRecording(`${folder}/recording`);
    checkFiles(recording);
    const { start, lines } = recording;
    assertEquals([start.recorder.name, start.framework.name], ["tfjs", "tensorflow.js"]);
    const batches = linesOf(lines, "batch").filter(({ phase }) => phase === "training");
    assertEquals(batches.map(({ epoch, batch }) => [epoch, batch]), [
      ...[[1, 0], [1, 1], [1, 2]],
      ...[[2, 0], [2, 1], [2, 2]],
    ]);
    assertEquals(batches.flatMap(({ labels }) => [...labels!]), [...labelsOf(6), ...labelsOf(6)]);
    // The same images in both epochs: nothing was augmented.
    const hashes = batches.flatMap((batch) => [...batch.hashes!]);
    assertEquals(hashes.slice(6), hashes.slice(0, 6));
    assertEquals(new Set(hashes).size, 6);
    // Channels first, as every recording has its images.
    const arrays = (await recording.arrays(batches[0].file!))!;
    const first = arrays.floats("images")!;
    assertEquals(first.shape, [2, 3, 32, 32]);
    assertEquals(first.data[32 * 32], Math.fround(Math.sin(1)));
    assertEquals(arrays.floats("logits")!.shape, [2, 10]);

    const steps = linesOf(lines, "step");
    assertEquals(steps.map(({ iteration }) => iteration), [1, 2, 3, 4, 5, 6]);
    assertEquals([...new Set(steps.map(({ mode }) => mode))], ["training"]);
    const means = [0, 3].map((at) =>
      steps.slice(at, at + 3).reduce((sum, { loss }) => sum + loss! / 3, 0)
    );
    for (const [i, mean] of means.entries()) {
      assert(Math.abs(mean - (unseen.history.loss[i] as number)) < 1e-5, `${mean}`);
    }
    const errors = steps.slice(0, 3).reduce((sum, { error }) => sum + error! / 3, 0);
    assert(Math.abs(1 - errors - (unseen.history.acc[0] as number)) < 1e-6);
    const [evaluation, ...others] = linesOf(lines, "evaluation");
    assertEquals(others, []);
    assertEquals(evaluation.images, 3);
    assertEquals(evaluation.mode, "evaluation");
    assert(Math.abs(1 - evaluation.errors! / 3 - unseen.accuracy) < 1e-6);
    assertEquals(linesOf(lines, "end").map(({ optimizerSteps }) => optimizerSteps), [{ 1: 6 }]);
    assertEquals(linesOf(lines, "parameters").at(-1)!.unchanged, []);
    for (const { checked } of steps) {
      for (const { parameter, predicted } of checked!.replay!) {
        assert(predicted! < 1e-3, `${parameter}: off by ${predicted}`);
      }
    }

    // The rules that judge PyTorch's recordings judge this one.
    const { report, subject } = await auditRecording("recording", recording);
    const outcome = (id: string) => report.judgements.find((one) => one.id === id)!;
    for (
      const [id, evidence] of [
        ["depth", /8 weighted layers/],
        ["identity", /option A with zero channels by "split"/],
        ["batch-norm", /7 convolutions, each with its own/],
        ["activation", /7 ReLU/],
        ["no-bias", /none has a bias/],
        ["optimiser", /SGD/],
        ["momentum", /0\.9/],
        ["training-mode", /training mode in 6 steps/],
        ["evaluation-mode", /evaluation mode in 1/],
        ["loss", /cross_entropy/],
        ["parameters-optimised", /are held and change/],
      ] as const
    ) {
      assertEquals(outcome(id).outcome, "pass", `${id}: ${outcome(id).evidence}`);
      assertMatch(outcome(id).evidence, evidence, id);
    }
    assertEquals(outcome("batch-size").outcome, "fail");
    assertStringIncludes(outcome("batch-size").evidence, "2 images");
    assertEquals(subject.graph!.nodes.filter(({ kind }) => kind === "shortcut-a").length, 2);
  }));

Deno.test("a loop of one's own is seen by its calls: images, labels, steps, tests", () =>
  inFolder(async (folder) => {
    const tf = await tensorFlow();
    const train = (path?: string) => {
      const model = resnet(tf);
      const optimizer = tf.train.sgd(0.05);
      const recording = path === undefined ? undefined : record(model, path, { optimizer });
      const { x, y } = images(tf, 4);
      for (let step = 0; step < 2; step++) {
        const batch = x.slice([2 * step], [2]), labels = y.slice([2 * step], [2]);
        optimizer.minimize(() => {
          const scores = model.apply(batch, { training: true });
          return tf.losses.softmaxCrossEntropy(labels, scores);
        });
      }
      const scores = model.predict(x);
      recording?.end();
      return { weights: weightsOf(model), scores: [...scores.dataSync()] };
    };
    assertEquals(train(`${folder}/recording`), train());
    const recording = await readRecording(`${folder}/recording`);
    checkFiles(recording);
    const { lines } = recording;
    const training = linesOf(lines, "batch").filter(({ phase }) => phase === "training");
    assertEquals(training.flatMap(({ labels }) => [...labels!]), labelsOf(4));
    const steps = linesOf(lines, "step");
    assertEquals(steps.map((one) => [one.images, one.backwards, one.learningRate]), [
      [2, 1, 0.05],
      [2, 1, 0.05],
    ]);
    assert(steps.every(({ loss }) => loss! > 1 && loss! < 20));
    assertEquals(linesOf(lines, "evaluation").map(({ images }) => images), [4]);
    assertEquals(linesOf(lines, "optimizer").map((one) => one.class), ["tf.train.SGD"]);
  }));

Deno.test("a folder in use is left alone, and the training goes on", () =>
  inFolder(async (folder) => {
    const tf = await tensorFlow();
    await Deno.writeTextFile(`${folder}/recording.jsonl`, "another's\n");
    const model = compiled(tf);
    const said: string[] = [];
    const { error } = console;
    console.error = (message: string) => said.push(message);
    try {
      const recording = record(model, folder);
      const { x, y } = images(tf, 2);
      await model.trainOnBatch(x, y);
      recording.end();
    } finally {
      console.error = error;
    }
    assertEquals(said.length, 1);
    assertStringIncludes(said[0], "it holds a recording already; give another");
    assertEquals(await Deno.readTextFile(`${folder}/recording.jsonl`), "another's\n");
  }));

Deno.test("a recording that broke off is set aside, one that ended or is written is left alone", () =>
  inFolder(async (folder) => {
    const tf = await tensorFlow();
    const said: string[] = [];
    const { error } = console;
    console.error = (message: string) => said.push(message);
    const log = `${folder}/recording.jsonl`;
    const train = async () => {
      const model = compiled(tf);
      const recording = record(model, folder);
      const { x, y } = images(tf, 2);
      await model.trainOnBatch(x, y);
      return recording;
    };
    try {
      // As a kill leaves it: a part of a line at the end, a file that was not whole.
      await Deno.writeTextFile(log, '{"type":"start","ti');
      await Deno.writeTextFile(`${folder}/weights-start.safetensors.01234567.part`, "half");
      await Deno.writeTextFile(`${folder}/mine.txt`, "the user's");
      const first = await train();
      assertEquals(said, [
        `tfjs recorder: a recording that broke off is now in ${folder}/broken-off-1`,
      ]);
      assertEquals(await namesIn(`${folder}/broken-off-1`), [
        "recording.jsonl",
        "weights-start.safetensors.01234567.part",
      ]);
      const second = await train();
      assertStringIncludes(said[1], "it holds a recording already; give another");
      second.end();
      first.end();
      checkFiles(await readRecording(folder));
      const whole = await Deno.readTextFile(log);
      (await train()).end();
      assertStringIncludes(said[2], "it holds a recording already; give another");
      assertEquals(await Deno.readTextFile(log), whole);
      assertEquals((await namesIn(folder)).filter((name) => name.endsWith(".part")), []);
      assertEquals((await namesIn(folder)).includes("mine.txt"), true);
    } finally {
      console.error = error;
    }
  }));

Deno.test("nothing is written through a link", () =>
  inFolder(async (folder) => {
    const tf = await tensorFlow();
    const foreign = `${folder}/foreign`;
    await Deno.writeTextFile(foreign, "another's");
    await Deno.mkdir(`${folder}/recording`);
    for (const name of ["weights-start.safetensors", "weights-start.safetensors.part"]) {
      await Deno.symlink(foreign, `${folder}/recording/${name}`);
    }
    const model = compiled(tf);
    const recording = record(model, `${folder}/recording`);
    const { x, y } = images(tf, 2);
    await model.trainOnBatch(x, y);
    recording.end();
    assertEquals(await Deno.readTextFile(foreign), "another's");
    checkFiles(await readRecording(`${folder}/recording`));
  }));

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
}
