/** Labels beyond a byte in every engine, and sets that are fed in parts. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { buildGraph, type Graph } from "../resnet/mod.ts";
import {
  optionsFor,
  planFor,
  randomData,
  randomImages,
  randomState,
  testEveryEngine,
  withEngine,
} from "../testing/engines/mod.ts";
import { type ByteImages, EngineError } from "./engine.ts";
import { newLabels } from "./labels.ts";

const CLASSES = 300;

function graphOf(classes: number): Graph {
  return buildGraph(`${classes} classes`, [6, 6, 3], [
    {
      ...{ kind: "convolution", name: "conv1", input: "input", filters: 8 },
      ...{ kernel: 3, stride: 1, padding: 1, bias: false },
    },
    { kind: "batch-norm", name: "bn1", input: "conv1" },
    { kind: "relu", name: "relu1", input: "bn1" },
    { kind: "global-average-pool", name: "pool", input: "relu1" },
    { kind: "dense", name: "fc", input: "pool", units: classes },
  ]);
}

await testEveryEngine("class 299 of 300 is not class 43", async (factory) => {
  const graph = graphOf(CLASSES);
  await withEngine(factory, optionsFor(graph, { batchSize: 4 }), async (engine) => {
    const labelled = (images: ByteImages): ByteImages => ({
      ...images,
      labels: newLabels(images.count, CLASSES).fill(299),
      classes: CLASSES,
    });
    const { train, test, ...rest } = randomData(graph, 4, 4);
    await engine.load({ train: labelled(train), test: labelled(test), ...rest });
    const state = randomState(graph);
    // Class 299 has by far the largest logit, whatever the image is.
    state.weights.get("fc.bias")!.data[299] = 50;
    await engine.importState(state);
    const { errors, predictions, loss } = await engine.evaluate("test");
    assertEquals([errors, [...predictions]], [0, [299, 299, 299, 299]]);
    assert(loss < 1e-3, `loss ${loss}`);
    engine.step(planFor([0, 1, 2, 3], 0), 0.01);
    const [step] = await engine.metrics();
    assertEquals(step.errors, 0);
    assert(step.loss < 1e-3, `loss ${step.loss}`);
    const input = new Float32Array(6 * 6 * 3);
    const probe = { input, images: 1, mode: "inference" } as const;
    const right = await engine.probe({ ...probe, labels: Uint16Array.of(299) });
    assert(right.loss! < 1e-3, `loss ${right.loss}`);
    await assertRejects(() => engine.probe({ ...probe, labels: Uint16Array.of(300) }), EngineError);
  });
});

await testEveryEngine(
  "a set that is fed in parts trains and tests as one that is held",
  async (factory) => {
    const graph = graphOf(10);
    const options = optionsFor(graph, { batchSize: 4 });
    const data = randomData(graph, 8, 8);
    const part = (images: ByteImages, from: number, count = 4): ByteImages => ({
      ...images,
      count,
      pixels: images.pixels.subarray(from * 108, (from + count) * 108),
      labels: images.labels.subarray(from, from + count),
    });
    const held = await withEngine(factory, options, async (engine) => {
      await engine.load(data);
      await engine.importState(randomState(graph));
      engine.step(planFor([0, 1, 2, 3], 0), 0.1);
      engine.step(planFor([5, 4, 6], 0), 0.1);
      return [await engine.metrics(), await engine.exportState(), await engine.evaluate("test")];
    });
    const fed = await withEngine(factory, options, async (engine) => {
      await engine.load({ ...data, train: part(data.train, 0), test: part(data.test, 0) });
      await engine.importState(randomState(graph));
      engine.step(planFor([0, 1, 2, 3], 0), 0.1);
      engine.feed("train", part(data.train, 4, 3));
      engine.step(planFor([1, 0, 2], 0), 0.1);
      const first = await engine.evaluate("test");
      engine.feed("test", part(data.test, 4));
      const second = await engine.evaluate("test");
      const join = (a: Float32Array, b: Float32Array) => Float32Array.of(...a, ...b);
      return [await engine.metrics(), await engine.exportState(), {
        images: 8,
        loss: (first.loss + second.loss) / 2,
        errors: first.errors + second.errors,
        logits: join(first.logits, second.logits),
        predictions: Uint8Array.of(...first.predictions, ...second.predictions),
      }];
    });
    assertEquals(fed.slice(0, 2), held.slice(0, 2));
    const [one, other] = [fed[2], held[2]] as { loss: number; logits: Float32Array }[];
    assertEquals(one.logits, other.logits);
    assert(Math.abs(one.loss - other.loss) < 1e-6);
  },
);

await testEveryEngine("shifts are added to the channels of their image", async (factory) => {
  const graph = graphOf(10);
  const data = randomData(graph, 2, 2);
  await withEngine(factory, optionsFor(graph, { batchSize: 2 }), async (engine) => {
    await engine.load(data);
    const plan = planFor([0, 1], 0);
    const plain = await engine.augmented(plan);
    const shifts = Float32Array.of(0, 0, 0, 0.25, -0.5, 1);
    engine.feed("train", data.train, shifts);
    const { std } = data.normalisation;
    const shifted = await engine.augmented(plan);
    shifted.forEach((value, i) => {
      const shift = shifts[3 * Math.floor(i / 108) + i % 3] / std[i % 3];
      assert(Math.abs(value - plain[i] - shift) < 1e-5, `value ${i}`);
    });
    // None are left behind.
    engine.feed("train", data.train);
    assertEquals(await engine.augmented(plan), plain);
  });
});

await testEveryEngine("what does not fit what was loaded is not fed", async (factory) => {
  const graph = graphOf(10);
  const data = randomData(graph, 2, 2);
  await withEngine(factory, optionsFor(graph, { batchSize: 2 }), async (engine) => {
    const { train } = data;
    assertThrows(() => engine.feed("train", train), EngineError, "call load first");
    await engine.load(data);
    const refused = (images: ByteImages, shifts?: Float32Array) =>
      assertThrows(() => engine.feed("train", images, shifts), EngineError, "feeding images");
    refused(randomImages(graph, 3, 7));
    refused({ ...train, height: 12, width: 3 });
    refused({ ...train, classes: 11 });
    refused({ ...train, pixels: train.pixels.subarray(1) });
    refused({ ...train, labels: new Uint8Array(2).fill(10) });
    refused(train, new Float32Array(5));
    engine.feed("train", { ...randomImages(graph, 1, 7) });
    await assertRejects(() => engine.augmented(planFor([1], 0)), EngineError, "below 1");
  });
});
