/** Views made of built-in images, found again by their pixels alone. */
import { assert, assertEquals } from "@std/assert";
import { loadDataset } from "../../data/mod.ts";
import type { Labels } from "../../engine/mod.ts";
import type { BatchLine, RecordedEvaluation, Recording, RecordingStart } from "../../log/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import { observe } from "./observe.ts";
import { bytesOf, LAYOUTS, PLANE, SIDE, SIZE, storedImages } from "./_stored.ts";

const VIEWS = 128;
const dataset = await loadDataset("shapes10");
const stored = storedImages(dataset.train, dataset.test);
const time = "2026-01-01T00:00:00Z";

interface Made {
  readonly image: number;
  readonly y: number;
  readonly x: number;
  readonly flip: boolean;
}

/** Crops of stored images, as [3, 32, 32], bytes; zeros around them. */
function crops(): { made: Made[]; pixels: Float32Array } {
  const random = new RandomStream(7, "probe", 0);
  const pixels = new Float32Array(VIEWS * SIZE);
  const made = Array.from({ length: VIEWS }, (_, i): Made => {
    const one = {
      ...{ image: random.below(stored.count), y: random.below(9) - 4, x: random.below(9) - 4 },
      flip: random.below(2) === 1,
    };
    const bytes = bytesOf(stored, one.image);
    for (let at = 0; at < SIZE; at++) {
      const c = Math.floor(at / PLANE), r = Math.floor(at / SIDE) % SIDE, s = at % SIDE;
      const row = r + one.y, column = (one.flip ? SIDE - 1 - s : s) + one.x;
      if (row < 0 || row >= SIDE || column < 0 || column >= SIDE) continue;
      pixels[i * SIZE + at] = bytes[LAYOUTS.right[c * PLANE + row * SIDE + column]];
    }
    return one;
  });
  return { made, pixels };
}

/** A recording of one batch, with the numbers that its script has for the images. */
function recordingOf(pixels: Float32Array, indices?: Int32Array): Recording {
  const start: RecordingStart = {
    ...{ type: "start", version: 1 } as const,
    ...{ time, recorder: { name: "pytorch", version: "1" } },
    ...{ framework: { name: "pytorch", version: "2" }, versions: {}, platform: "Linux" },
    ...{ command: [], devices: [], seed: "0" },
  };
  const batch: BatchLine = {
    ...{ type: "batch", phase: "training", mode: "training" } as const,
    ...{ time, iteration: 0, network: 1, images: VIEWS },
    ...(indices === undefined ? {} : { indices }),
    file: { path: "batches-0001.safetensors", sha256: "", bytes: 0 },
  };
  const images = { shape: [VIEWS, 3, SIDE, SIDE], data: pixels };
  return {
    ...{ start, lines: [start, batch], notes: [] },
    arrays: () =>
      Promise.resolve({
        floats: (name) => name === "images" ? images : undefined,
        integers: () => undefined,
        names: ["images"],
      }),
  };
}

/** Each view with `change` made of it. */
const changed = (pixels: Float32Array, change: (view: Float32Array) => Float32Array) => {
  const result = new Float32Array(pixels.length);
  for (let i = 0; i < pixels.length; i += SIZE) result.set(change(pixels.slice(i, i + SIZE)), i);
  return result;
};

const { made, pixels } = crops();
const scaled = pixels.map((value) => value / 255);

const cases: readonly (readonly [string, Float32Array, object])[] = [
  ["in 0 to 1", scaled, { layout: "right", axes: "right", channels: "RGB" }],
  [
    "blue first",
    changed(
      scaled,
      (view) => view.map((_, at) => view[(2 - Math.floor(at / PLANE)) * PLANE + at % PLANE]),
    ),
    { layout: "right", axes: "right", channels: "BGR" },
  ],
  [
    "transposed",
    changed(
      scaled,
      (view) =>
        view.map((_, at) =>
          view[at - at % PLANE + at % SIDE * SIDE + Math.floor(at % PLANE / SIDE)]
        ),
    ),
    { layout: "right", axes: "transposed", channels: "RGB" },
  ],
  [
    "reshaped behind the crop",
    changed(scaled, (view) => {
      const bytes = new Float32Array(SIZE); // [H, W, C]
      for (let at = 0; at < SIZE; at++) bytes[LAYOUTS.right[at]] = view[at];
      return view.map((_, at) => bytes[LAYOUTS["pixels-as-planes"][at]]);
    }),
    { layout: "pixels-as-planes", axes: "right", channels: "RGB" },
  ],
];

for (const [name, images, form] of cases) {
  Deno.test(`crops are found among the stored images: ${name}`, async () => {
    const { subject } = await observe(recordingOf(images), dataset);
    const [group] = subject.training!;
    assertEquals(group.form, form);
    // Built-in images have copies: what is found has to be right, and most has to be found.
    assert(group.views.length > 0.8 * VIEWS, `${group.views.length} of ${VIEWS} were found`);
    const right = group.views.filter(({ at, y, x, flip }) =>
      y === made[at].y && x === made[at].x && flip === made[at].flip
    );
    assert(right.length > 0.9 * group.views.length, `${right.length} are right`);
    assertEquals(group.preparation?.kind, "constants");
    assert(Math.abs(group.preparation!.scale[0] * 255 - 1) < 0.01);
  });
}

Deno.test("views are found among others that show no stored image, each of them", async () => {
  const isKept = (view: number) => view % 8 === 0;
  const mixed = scaled.slice();
  for (let at = 0; at < mixed.length; at++) {
    const view = Math.floor(at / SIZE);
    // Of the others, the product with the next one.
    if (!isKept(view)) mixed[at] *= scaled[(at + SIZE) % scaled.length];
  }
  const all = (await observe(recordingOf(scaled), dataset)).subject.training![0].views;
  const some = (await observe(recordingOf(mixed), dataset)).subject.training![0].views;
  assertEquals(some, all.filter(({ at }) => isKept(at)));
  assert(some.length > 0.8 * VIEWS / 8, `${some.length} were found`);
});

Deno.test("pixels that were divided once more are found below a mean that was not", async () => {
  // The mean of a part of the images, behind the crop: off by more than what is left of the pixels.
  const count = dataset.train.count / 10, labels = dataset.train.labels.subarray(0, count);
  const { mean } = storedImages({ ...dataset.train, count, labels }, dataset.test);
  const faint = changed(
    pixels,
    (view) => view.map((value, at) => value / 255 ** 2 - mean[LAYOUTS.right[at]] / 255),
  );
  const { subject } = await observe(recordingOf(faint), dataset);
  const [group] = subject.training!;
  const right = group.views.filter(({ at, y, x, flip }) =>
    y === made[at].y && x === made[at].x && flip === made[at].flip
  );
  assert(right.length > 0.7 * VIEWS, `${right.length} of ${VIEWS} were found`);
  const { kind, scale, subtracted, meanRatio } = group.preparation!;
  assertEquals([kind, subtracted], ["per-pixel", "after-crop"]);
  assert(scale.every((value) => Math.abs(value * 255 ** 2 - 1) < 0.01), `${scale}`);
  assert(Math.abs(meanRatio! / 255 - 1) < 0.1, `${meanRatio}`);
});

Deno.test("errors of a test whose labels were not seen, where images come as they are stored", async () => {
  const whole = new Float32Array(VIEWS * SIZE);
  for (let i = 0; i < VIEWS; i++) {
    const bytes = bytesOf(stored, dataset.train.count + i);
    for (let at = 0; at < SIZE; at++) whole[i * SIZE + at] = bytes[LAYOUTS.right[at]] / 255;
  }
  const observed = async (images: Float32Array) => {
    const recording = recordingOf(images);
    const [, batch] = recording.lines as [RecordingStart, BatchLine];
    const evaluation: RecordedEvaluation = {
      ...{ type: "evaluation", time, iteration: 0, network: 1, number: 1, images: 200 },
      ...{ batchImages: [VIEWS, 200 - VIEWS], predictions: new Int32Array(200) },
    };
    const lines = [recording.start, { ...batch, phase: "evaluation" } as BatchLine, evaluation];
    return (await observe({ ...recording, lines }, dataset)).subject.evaluations![0].batchErrors;
  };
  const labels = dataset.test.labels.subarray(0, 200);
  const wrong = (some: Labels) => some.filter((label) => label !== 0).length;
  assertEquals(await observed(whole), [
    ...[wrong(labels.subarray(0, VIEWS)), wrong(labels.subarray(VIEWS))],
  ]);
  // In another order nothing is known of the images that were not kept.
  assertEquals(await observed(pixels), undefined);
});

Deno.test("numbers of the script's own shorten the search, and wrong ones do not mislead it", async () => {
  const places = (indices?: Int32Array) =>
    observe(recordingOf(scaled, indices), dataset).then(({ subject }) =>
      subject.training![0].views.filter(({ at, y, x, flip }) =>
        y === made[at].y && x === made[at].x && flip === made[at].flip
      ).length
    );
  const found = await places();
  assert(found > 0.7 * VIEWS);
  const right = Int32Array.from(made, ({ image }) => image % dataset.train.count);
  const wrong = right.map((index) => (index + 4_321) % dataset.train.count);
  assert(await places(right) >= found);
  assert(await places(wrong) > 0.9 * found);
});
