import { assertAlmostEquals, assertEquals } from "@std/assert";
import { normalisedBatch } from "../data/mod.ts";
import {
  optionsFor,
  randomData,
  randomState,
  restrictState,
  withEngine,
} from "../testing/engines/mod.ts";
import { wasmEngine } from "../engine/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { architecture, truncate } from "../resnet/mod.ts";
import { layerStatistics, mistakesIn, surest } from "./_artefacts.ts";

Deno.test("the surest mistakes of a set's parts, put together, are those of the set", () => {
  const [images, classes] = [100, 3];
  const random = new RandomStream(1, "probe", 0);
  const logits = Float32Array.from({ length: images * classes }, () => 3 * random.normal());
  const own = (first: number, end: number) => {
    const indices = Uint32Array.from({ length: end - first }, (_, i) => first + i);
    const part = logits.subarray(first * classes, end * classes);
    const predictions = Uint8Array.from(indices, (_, i) => {
      const row = part.subarray(i * classes, (i + 1) * classes);
      return row.indexOf(Math.max(...row));
    });
    const labels = Uint8Array.from(indices, (index) => index % classes);
    const counts = { images: end - first, errors: 0, loss: 0 };
    return mistakesIn({ ...counts, logits: part, predictions, labels, indices }, classes);
  };
  const whole = own(0, images);
  assertEquals(surest([...own(0, 41), ...own(41, images)]), whole);
  // By hand: the probabilities of what wrong images are taken for, the largest first.
  const confidences = Array.from({ length: images }, (_, i) => {
    const powers = [...logits.subarray(i * classes, (i + 1) * classes)].map(Math.exp);
    const most = Math.max(...powers);
    return powers.indexOf(most) === i % classes ? 0 : most / powers.reduce((a, b) => a + b);
  });
  const expected = confidences.toSorted((a, b) => b - a).slice(0, 32);
  assertEquals(whole.length, expected.length);
  whole.forEach(({ confidence }, i) => assertAlmostEquals(confidence, expected[i], 1e-6));
});

Deno.test("layer responses are the deviations of what each batch norm writes", async () => {
  const graph = architecture("resnet8", { inputShape: [8, 8, 3] });
  // Not small beside the variances, so that these count.
  const options = optionsFor(graph, {
    batchSize: 5,
    cropPadding: 2,
    batchNorm: { epsilon: 0.5, momentum: 0.1 },
  });
  const { train, normalisation } = randomData(graph, 9);
  const state = randomState(graph);
  const indices = Uint32Array.of(8, 2, 3, 5, 7);
  const statistics = await layerStatistics({
    ...{ factory: wasmEngine, options, state, images: train, indices, normalisation },
  });
  if ("skipped" in statistics) throw new Error(statistics.skipped);
  assertEquals(statistics.images, 5);
  assertEquals(statistics.layers.map(({ name }) => name), [
    "bn1",
    "layer1.0.bn1",
    "layer1.0.bn2",
    "layer2.0.bn1",
    "layer2.0.bn2",
    "layer3.0.bn1",
    "layer3.0.bn2",
  ]);
  const centre = new Uint8Array(5).fill(2);
  const plan = { indices, cropY: centre, cropX: centre, flip: new Uint8Array(5) };
  const input = normalisedBatch(train, plan, normalisation, 2);
  for (const { name, std } of statistics.layers) {
    // The same numbers, looked at: the output of the net up to that layer.
    const part = truncate(graph, name);
    const { output } = await withEngine(wasmEngine, { ...options, graph: part }, async (engine) => {
      await engine.importState(restrictState(part, state));
      return await engine.probe({ input, images: 5, mode: "training" });
    });
    const mean = output.reduce((sum, y) => sum + y, 0) / output.length;
    const variance = output.reduce((sum, y) => sum + (y - mean) ** 2, 0) / output.length;
    assertAlmostEquals(std, Math.sqrt(variance), 1e-4 * std, name);
  }
});
