/** What an engine does with its images: augmentation and evaluation. */
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { normalisedBatch } from "./augment.ts";
import { architecture, buildGraph } from "../resnet/mod.ts";
import { assertTensorClose } from "../testing/mod.ts";
import {
  optionsFor,
  planFor,
  randomData,
  randomState,
  testEveryEngine,
  withEngine,
} from "../testing/engines/mod.ts";

const RESNET = architecture("resnet8", { inputShape: [4, 4, 3] });

const SMALL = buildGraph("pooled 7x5 images", [7, 5, 3], [
  { kind: "global-average-pool", name: "pool", input: "input" },
  { kind: "dense", name: "linear", input: "pool", units: 10 },
]);

await testEveryEngine(
  "crops, mirrors and normalises as the reference in data/ does",
  async (factory, t) => {
    const cropPadding = 4;
    const images = Array.from({ length: 18 }, (_, n) => n); // each of the 9 offsets, both ways
    for (const [beforePadding, perImage] of [[true], [false], [true, true], [false, true]]) {
      const means = perImage ? "mean and each image's own" : "mean";
      const place = beforePadding ? "before padding" : "after the crop";
      await t.step(`${means} subtracted ${place}`, () => {
        const data = randomData(SMALL, images.length);
        const normalisation = { ...data.normalisation, beforePadding, perImage };
        const plan = planFor(images, cropPadding);
        const expected = normalisedBatch(data.train, plan, normalisation, cropPadding);
        const options = optionsFor(SMALL, { batchSize: images.length, cropPadding });
        return withEngine(factory, options, async (engine) => {
          await engine.load({ ...data, normalisation });
          const found = await engine.augmented(plan);
          // Values up to 4; one rounding more than the reference's.
          assertTensorClose(found, expected, { absolute: 1e-6, relative: 0 }, "batch");
        });
      });
    }
  },
);

await testEveryEngine("augmentation leaves the stored images alone", async (factory) => {
  const data = randomData(RESNET);
  const given = data.train.pixels.slice();
  await withEngine(factory, optionsFor(RESNET, { cropPadding: 2 }), async (engine) => {
    await engine.load(data);
    await engine.importState(randomState(RESNET));
    const before = await engine.evaluate("train");
    const plan = planFor([0, 1, 2, 3], 2);
    await engine.augmented(plan);
    engine.step(plan, 0.1);
    await engine.importState(randomState(RESNET));
    assertEquals((await engine.evaluate("train")).logits, before.logits);
  });
  assertEquals(data.train.pixels, given);
});

await testEveryEngine("copies the images and the normalisation it is given", async (factory) => {
  await withEngine(factory, optionsFor(SMALL), async (engine) => {
    const data = randomData(SMALL);
    const plan = planFor([0, 1, 2, 3], 0);
    const expected = normalisedBatch(data.train, plan, data.normalisation, 0);
    await engine.load(data);
    data.train.pixels.fill(0);
    data.normalisation.mean.fill(0);
    const found = await engine.augmented(plan);
    assertTensorClose(found, expected, { absolute: 1e-6, relative: 0 }, "batch");
  });
});

await testEveryEngine(
  "evaluates an image alone as within a batch, and partial last batches",
  async (factory) => {
    const data = randomData(RESNET); // 7 test images: batches of 3, 3 and 1
    await withEngine(factory, optionsFor(RESNET, { batchSize: 3 }), async (engine) => {
      await engine.load(data);
      await engine.importState(randomState(RESNET));
      const { count } = data.test;
      const all = await engine.evaluate("test");
      for (let n = 0; n < count; n++) {
        const alone = await engine.evaluate("test", Uint32Array.of(n));
        assertTensorClose(
          alone.logits,
          all.logits.slice(n * 10, (n + 1) * 10),
          { relativeNorm: 1e-5 },
          `logits of image ${n}`,
        );
      }
    });
  },
);

await testEveryEngine(
  "an evaluation's loss, errors and predictions follow from its logits and the labels",
  async (factory) => {
    const data = randomData(RESNET);
    await withEngine(factory, optionsFor(RESNET, { batchSize: 3 }), async (engine) => {
      await engine.load(data);
      await engine.importState(randomState(RESNET));
      for (const set of ["train", "test"] as const) {
        const { images, loss, errors, logits, predictions } = await engine.evaluate(set);
        assertEquals(images, data[set].count);
        let expectedLoss = 0, expectedErrors = 0;
        data[set].labels.forEach((label, n) => {
          const row = [...logits.subarray(n * 10, (n + 1) * 10)];
          const best = row.indexOf(Math.max(...row));
          assertEquals(predictions[n], best);
          if (best !== label) expectedErrors++;
          expectedLoss += Math.log(row.reduce((sum, z) => sum + Math.exp(z), 0)) - row[label];
        });
        assertEquals(errors, expectedErrors);
        assertAlmostEquals(loss, expectedLoss / images, 1e-5);
      }
    });
  },
);

await testEveryEngine("evaluates chosen images in the order asked for", async (factory) => {
  const data = randomData(RESNET);
  await withEngine(factory, optionsFor(RESNET, { batchSize: 3 }), async (engine) => {
    await engine.load(data);
    await engine.importState(randomState(RESNET));
    const all = await engine.evaluate("test");
    const chosen = [5, 1, 1, 6];
    const some = await engine.evaluate("test", Uint32Array.from(chosen));
    assertEquals(some.images, chosen.length);
    assertTensorClose(
      some.logits,
      Float32Array.from(chosen.flatMap((n) => [...all.logits.subarray(n * 10, (n + 1) * 10)])),
      { relativeNorm: 1e-5 },
      "logits",
    );
    assertEquals([...some.predictions], chosen.map((n) => all.predictions[n]));
  });
});

await testEveryEngine(
  "evaluation sees the normalised image with running statistics",
  async (factory) => {
    const data = randomData(RESNET);
    await withEngine(factory, optionsFor(RESNET, { cropPadding: 2 }), async (engine) => {
      await engine.load(data);
      await engine.importState(randomState(RESNET));
      const centred = {
        indices: Uint32Array.of(0, 1, 2),
        cropY: Uint8Array.of(2, 2, 2),
        cropX: Uint8Array.of(2, 2, 2),
        flip: new Uint8Array(3),
      };
      const input = normalisedBatch(data.test, centred, data.normalisation, 2);
      const { output } = await engine.probe({ input, images: 3, mode: "inference" });
      const { logits } = await engine.evaluate("test", centred.indices);
      assertTensorClose(logits, output, { relativeNorm: 1e-5 }, "logits");
    });
  },
);
