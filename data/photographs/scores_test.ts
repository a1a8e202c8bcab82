import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { encode } from "fast-png";
import {
  type Engine,
  EngineError,
  type EngineFactory,
  freshState,
  PLAIN_SGD,
  wasmEngine,
} from "../../engine/mod.ts";
import { buildGraph, type Graph, initialise, resized } from "../../resnet/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import { DataError } from "../errors.ts";
import { IMAGENET } from "../normalisation.ts";
import { PAPER_AUGMENTATION } from "./augment.ts";
import { indexPhotographs, type PhotographIndex, readPhotograph } from "./folder.ts";
import { meanScores, scorePhotographs, type Scoring } from "./scores.ts";
import { photographSet } from "./set.ts";
import { VIEWS, viewsOf } from "./views.ts";

const CLASSES = 300;
const SIZES = { resized: 24, cropped: 16, scales: [16, 20, 33] };
const BATCH_NORM = { epsilon: 1e-5, momentum: 0.1 };

const graph: Graph = buildGraph("any size", [16, 16, 3], [
  {
    ...{ kind: "convolution", name: "conv1", input: "input", filters: 8 },
    ...{ kernel: 3, stride: 2, padding: 1, bias: false },
  },
  { kind: "batch-norm", name: "bn1", input: "conv1" },
  { kind: "relu", name: "relu1", input: "bn1" },
  { kind: "global-average-pool", name: "pool", input: "relu1" },
  { kind: "dense", name: "fc", input: "pool", units: CLASSES },
]);

const scoring = (departures: Partial<Scoring> = {}): Scoring => ({
  ...{ graph, view: "1-crop", sizes: SIZES, normalisation: IMAGENET, factory: wasmEngine },
  ...{ weights: initialise(graph, 3, "in"), batchNorm: BATCH_NORM },
  ...departures,
});

/** Photographs of many sizes, more than one part has. */
async function withPhotographs(
  count: number,
  work: (index: PhotographIndex, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "scores-" });
  try {
    await Deno.mkdir(`${folder}/set/a`, { recursive: true });
    for (let i = 0; i < count; i++) {
      const [height, width] = [20 + i % 3 * 7, 22 + i % 2 * 9];
      const random = new RandomStream(i, "probe", 0);
      const data = Uint8Array.from({ length: height * width * 3 }, () => random.below(256));
      await Deno.writeFile(
        `${folder}/set/a/${String(i).padStart(3, "0")}.png`,
        encode({ width, height, channels: 3, data }),
      );
    }
    const options = { index: `${folder}/index.jsonl` };
    await work(await indexPhotographs(`${folder}/set`, options), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("each view of each photograph is scored as by itself, and scores are averaged", async () => {
  await withPhotographs(33, async (index) => {
    for (const view of VIEWS) {
      const found = await Array.fromAsync(scorePhotographs(index, scoring({ view })));
      assertEquals(found.map(({ place }) => place), index.photographs.map((_, i) => i));
      for (const place of [0, 32]) {
        const views = viewsOf(await readPhotograph(index, place), view, SIZES);
        const { logits, scores } = found[place];
        assertEquals(logits.length, views.length);
        for (const [i, { height, width, pixels }] of views.entries()) {
          const alone = resized(graph, [height, width, 3]);
          const engine = await wasmEngine.create({
            ...{ graph: alone, batchSize: 1, optimiser: PLAIN_SGD, cropPadding: 0 },
            batchNorm: BATCH_NORM,
          });
          await engine.importState(freshState(alone, PLAIN_SGD, scoring().weights));
          const { mean, std } = IMAGENET;
          const input = Float32Array.from(
            pixels,
            (byte, k) => (byte / 255 - mean[k % 3]) / std[k % 3],
          );
          const { output } = await engine.probe({ input, images: 1, mode: "inference" });
          engine.dispose();
          output.forEach((logit, k) => {
            const off = Math.abs(logit - logits[i][k]);
            assert(off < 1e-5, `${view} ${place}, view ${i}, class ${k}: ${off}`);
          });
        }
        assertEquals(scores, meanScores(logits));
        assert(Math.abs(scores.reduce((a, b) => a + b) - 1) < 1e-9);
      }
    }
  });
});

Deno.test("a mean image is subtracted from images of its size, its channels' means from others", async () => {
  await withPhotographs(1, async (index) => {
    const size = SIZES.cropped ** 2 * 3;
    const mean = Float32Array.from({ length: size }, (_, i) => i % 3 * 40 + i % 7);
    const std = Float32Array.of(1, 2, 3);
    const normalisation = { scale: 1, mean, std, beforePadding: true };
    const scored = async (view: "1-crop" | "multi-scale") => {
      const options = { normalisation, view, sizes: { ...SIZES, scales: [20] } };
      const [{ logits }] = await Array.fromAsync(scorePhotographs(index, scoring(options)));
      return logits[0];
    };
    const expected = async (
      view: "1-crop" | "multi-scale",
      subtracted: (i: number) => number,
    ) => {
      const image = await readPhotograph(index, 0);
      const [{ height, width, pixels }] = viewsOf(image, view, { ...SIZES, scales: [20] });
      const alone = resized(graph, [height, width, 3]);
      const engine = await wasmEngine.create({
        ...{ graph: alone, batchSize: 1, optimiser: PLAIN_SGD, cropPadding: 0 },
        batchNorm: BATCH_NORM,
      });
      await engine.importState(freshState(alone, PLAIN_SGD, scoring().weights));
      const input = Float32Array.from(pixels, (byte, i) => (byte - subtracted(i)) / std[i % 3]);
      const { output } = await engine.probe({ input, images: 1, mode: "inference" });
      engine.dispose();
      return output;
    };
    const assertSame = (actual: Float32Array, expected: Float32Array) =>
      actual.forEach((logit, k) => assertAlmostEquals(logit, expected[k], 1e-3));
    assertSame(await scored("1-crop"), await expected("1-crop", (i) => mean[i]));
    const means = [0, 1, 2].map((c) =>
      mean.filter((_, i) => i % 3 === c).reduce((sum, value) => sum + value) / (size / 3)
    );
    assertSame(await scored("multi-scale"), await expected("multi-scale", (i) => means[i % 3]));
  });
});

Deno.test("a photograph that is damaged within is refused, or told of and passed over", async () => {
  await withPhotographs(3, async (index, folder) => {
    const path = `${folder}/set/${index.photographs[1].path}`;
    const bytes = await Deno.readFile(path);
    bytes[60] ^= 0xff;
    await Deno.writeFile(path, bytes);
    await assertRejects(
      () => Array.fromAsync(scorePhotographs(index, scoring())),
      DataError,
      "001.png",
    );
    const found = await Array.fromAsync(scorePhotographs(index, scoring({ broken: "skip" })));
    assertEquals(found.map(({ fault }) => fault !== undefined), [false, true, false]);
    assertEquals(found.map(({ scores }) => scores.length), [CLASSES, 0, CLASSES]);
  });
});

Deno.test("a photograph that is too long and thin to be resized is named, or left out", async () => {
  await withPhotographs(2, async (found, folder) => {
    // With a shorter side of 24 it has 115 megapixels.
    const data = new Uint8Array(200_000 * 3);
    const file = encode({ width: 1, height: 200_000, channels: 3, data });
    await Deno.writeFile(`${folder}/set/a/000.png`, file);
    const index = await indexPhotographs(`${folder}/set`, { index: `${folder}/index.jsonl` });
    await assertRejects(
      () => Array.fromAsync(scorePhotographs(index, scoring())),
      DataError,
      "000.png",
    );
    const scored = await Array.fromAsync(scorePhotographs(index, scoring({ broken: "skip" })));
    assertEquals(scored.map(({ fault }) => fault !== undefined), [true, false]);
    assert(scored[0].fault!.includes("has 4800000 x 24 with a shorter side of 24"));

    const set = { train: index, val: found };
    const augmentation = { ...PAPER_AUGMENTATION, size: 16, shorterSide: [16, 24] as const };
    const options = { seed: 0, size: 16, testShorterSide: 24, augmentation, workers: 0 };
    using stream = photographSet(set, { ...options, broken: "skip" }).stream!;
    const { faults, indices } = await stream.batch(1, () => Uint32Array.of(0, 1));
    assertEquals([faults.map(({ path }) => path), [...indices]], [["a/000.png"], [1]]);
  });
});

Deno.test("a photograph that is too large for the engine is named, or left out", async () => {
  await withPhotographs(3, async (index) => {
    const refuses: typeof wasmEngine = {
      ...wasmEngine,
      // With a shorter side of 16 the last, of 34 x 22 pixels, is 24 high, the others 16.
      create: (options) =>
        options.graph.inputShape[0] > 16
          ? Promise.reject(new EngineError("no batch of this network fits"))
          : wasmEngine.create(options),
    };
    const run = (broken: "refuse" | "skip") =>
      Array.fromAsync(scorePhotographs(
        index,
        scoring({ broken, view: "multi-scale", sizes: { scales: [16] }, factory: refuses }),
      ));
    const { message } = await assertRejects(() => run("refuse"), EngineError);
    assertEquals(message, '"a/002.png", shown as 24 x 16 pixels: no batch of this network fits');
    const found = await run("skip");
    assertEquals(found.map(({ fault }) => fault), [undefined, undefined, message]);
  });
});

Deno.test("an engine that fails while it computes ends the test; one that can't be loaded is not kept", async () => {
  await withPhotographs(33, async (index) => {
    const run = (change: (engine: Engine, made: number) => void) => {
      let made = 0;
      const create: EngineFactory["create"] = async (options) => {
        const engine = await wasmEngine.create(options);
        change(engine, ++made);
        return engine;
      };
      const departures = { broken: "skip", factory: { ...wasmEngine, create } } as const;
      return Array.fromAsync(scorePhotographs(index, scoring(departures)));
    };
    const lost = () => Promise.reject(new EngineError("the device is lost"));
    await assertRejects(() => run((engine) => engine.evaluate = lost), EngineError, "is lost");
    let disposed = 0;
    const found = await run((engine, made) => {
      if (made > 1) return;
      engine.load = lost;
      const dispose = engine.dispose.bind(engine);
      engine.dispose = () => (disposed++, dispose());
    });
    const faults = found.map(({ fault }) => fault?.includes("is lost") ?? false);
    assertEquals([faults.slice(0, 32).every(Boolean), faults[32], disposed], [true, false, 1]);
  });
});
