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
import { architecture, truncate } from "../resnet/mod.ts";
import { layerStatistics } from "./_artefacts.ts";

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
