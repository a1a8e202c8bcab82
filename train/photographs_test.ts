// Trainings on photographs that can't all be read.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { encode } from "fast-png";
import { DataError, indexTrainingFolder, photographSet } from "../data/photographs/mod.ts";
import { wasmEngine } from "../engine/mod.ts";
import { imagenet, vary, withImages, withImageSize } from "../recipes/mod.ts";
import { eventsIn, measured, tinyRun } from "../testing/runs/mod.ts";
import type { TrainOptions } from "./options.ts";
import { train } from "./train.ts";

/** A folder of 8 photographs to train on and others to validate on, the last damaged within. */
async function withDamaged(
  validation: number,
  damaged: number,
  work: (
    folder: string,
    options: (
      out: string,
      broken: "refuse" | "skip",
      onMeasured?: (done: number, of: number) => void,
    ) => TrainOptions,
  ) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "train-test-" });
  try {
    for (const [part, count] of [["train", 8], ["val", validation]] as const) {
      for (let i = 0; i < count; i++) {
        const place = `${folder}/set/${part}/${i < count / 2 ? "a" : "b"}`;
        await Deno.mkdir(place, { recursive: true });
        const data = Uint8Array.from({ length: 12 * 9 * 3 }, (_, k) => (i * 37 + k * 5) % 256);
        const bytes = encode({ width: 12, height: 9, channels: 3, data });
        // The check sum of its pixels no longer fits.
        if (part === "val" && i >= count - damaged) bytes[60] ^= 0xff;
        await Deno.writeFile(`${place}/${String(i).padStart(2, "0")}.png`, bytes);
      }
    }
    const found = await indexTrainingFolder(`${folder}/set`, { index: `${folder}/index` });
    const named = withImages(imagenet("resnet8"), {
      ...{ split: { training: 8, validation }, batchSize: 4 },
    });
    const recipe = vary(withImageSize(named, 8, "small"), { schedule: { iterations: 5 } });
    const { size, testShorterSide } = recipe.data.photographs!;
    await work(folder, (out, broken, onMeasured) => ({
      ...tinyRun(`${folder}/${out}`, { engine: wasmEngine, threads: 1 }),
      ...{ recipe, evalEvery: 3, checkpointEvery: 100 },
      dataset: () =>
        Promise.resolve(photographSet(found, {
          ...{ seed: 5, size, testShorterSide, broken, workers: 0, cache: folder, onMeasured },
        })),
    }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("a photograph to validate on that can't be read costs no step and no validation", () =>
  withDamaged(4, 1, async (folder, options) => {
    const whole = await train(options("whole", "skip"));
    const { message } = await assertRejects(() => train(options("ended", "refuse")), DataError);
    // An epoch is two steps, after which the rate may fall.
    assert(message.includes("03.png") && message.includes("goes on from iteration 2"), message);
    const ended = await train(options("ended", "skip"));
    assert(whole.outcome === "finished" && ended.outcome === "finished");
    assertEquals(ended.weights.sha256, whole.weights.sha256);
    const validations = (out: string) =>
      Object.entries(measured(`${folder}/${out}`)).filter(([of]) => !of.startsWith("step"));
    assertEquals(validations("ended"), validations("whole"));
    assertEquals(
      validations("ended").map(([of]) => of).filter((of) => of.startsWith("validation")),
      ["validation 2", "validation 3", "validation 4", "validation 5"],
    );
  }));

Deno.test("a part of the photographs to validate on of which none can be read is passed over", () =>
  withDamaged(33, 1, async (folder, options) => {
    const { outcome } = await train(options("skipped", "skip"));
    assertEquals(outcome, "finished");
    const images = eventsIn(`${folder}/skipped`).flatMap((event) =>
      event.type === "evaluation" ? event.images : []
    );
    assertEquals(images, [32, 32, 32, 32, 32]);
  }));

Deno.test("a validation with no photograph that can be read is an error that names one", () =>
  withDamaged(2, 2, async (_, options) => {
    const { message } = await assertRejects(() => train(options("none", "skip")), DataError);
    assert(message.includes("none of the 2 photographs"), message);
    assert(message.includes("00.png"), message);
  }));

Deno.test("the mean's measuring tells how far it is, and stops where that is asked for", () =>
  withDamaged(2, 0, async (_, options) => {
    const stop = new AbortController();
    const stopped = await train({
      ...options("out", "refuse", () => stop.abort("SIGINT")),
      signal: stop.signal,
    });
    assertEquals([stopped.outcome, stopped.iteration], ["stopped", 0]);
    const told: (readonly [done: number, of: number])[] = [];
    const { outcome } = await train(options("out", "refuse", (...of) => told.push(of)));
    assertEquals([outcome, told], ["finished", [[0, 8], [8, 8]]]);
  }));

Deno.test("a run that is asked to stop while it validates or tests stops there, and loses nothing", () =>
  withDamaged(40, 0, async (folder, options) => {
    const whole = await train(options("whole", "refuse"));
    /** Stops at the `n`th part of what is held out. */
    const stopping = (n: number): TrainOptions => {
      const stop = new AbortController();
      let parts = 0;
      return {
        ...options("parts", "refuse"),
        signal: stop.signal,
        engine: {
          ...wasmEngine,
          create: async (settings) => {
            const engine = await wasmEngine.create(settings);
            const feed = engine.feed.bind(engine);
            engine.feed = (set, ...images) => {
              if (set === "test" && ++parts === n) stop.abort("SIGINT");
              feed(set, ...images);
            };
            return engine;
          },
        },
      };
    };
    // The validation after two steps has two parts; the last test follows on three more.
    for (const [n, iteration] of [[1, 2], [9, 5]]) {
      const stopped = await train(stopping(n));
      assertEquals([stopped.outcome, stopped.iteration], ["stopped", iteration]);
    }
    const ended = await train(options("parts", "refuse"));
    assert(whole.outcome === "finished" && ended.outcome === "finished");
    assertEquals(ended.weights.sha256, whole.weights.sha256);
    const found = (out: string) =>
      Object.entries(measured(`${folder}/${out}`)).filter(([of]) => !of.startsWith("step"));
    assertEquals(found("parts"), found("whole"));
  }));
