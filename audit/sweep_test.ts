import { assert, assertEquals } from "@std/assert";
import { loadDataset } from "../data/mod.ts";
import { type ByteImages, wasmEngine } from "../engine/mod.ts";
import { architecture, buildGraph, fitWeights } from "../resnet/mod.ts";
import { readModelFile } from "../weights/mod.ts";
import { identify } from "./identify.ts";
import { sweep, type Trialled } from "./sweep.ts";
import { isThere } from "../testing/files/mod.ts";

/** Images of one colour each: red bright or dark is bit 0 of the label, blue bit 1. */
function coloured(count: number): ByteImages {
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 4);
  const pixels = new Uint8Array(count * 4 * 4 * 3);
  labels.forEach((label, i) => {
    for (let pixel = 0; pixel < 16; pixel++) {
      const bright = (bit: number) => (label >> bit) & 1 ? 200 + i % 40 : 15 + i % 40;
      pixels.set([bright(0), 128, bright(1)], (i * 16 + pixel) * 3);
    }
  });
  return { count, height: 4, width: 4, channels: 3, pixels, labels, classes: 4 };
}

/** Tells the colours apart by the sign of red and blue: right only for centred pixels in RGB. */
function signs(): Trialled {
  const graph = buildGraph("signs", [4, 4, 3], [
    {
      kind: "convolution",
      name: "conv1",
      input: "input",
      filters: 2,
      kernel: 1,
      stride: 1,
      padding: 0,
      bias: false,
    },
    { kind: "global-average-pool", name: "pool", input: "conv1" },
    { kind: "dense", name: "linear", input: "pool", units: 4 },
  ]);
  const weights = new Map([
    ["conv1.weight", { shape: [2, 3, 1, 1], data: Float32Array.of(1, 0, 0, 0, 0, 1) }],
    ["linear.weight", { shape: [4, 2], data: Float32Array.of(-1, -1, 1, -1, -1, 1, 1, 1) }],
    ["linear.bias", { shape: [4], data: new Float32Array(4) }],
  ]);
  return { name: "signs", graph, weights };
}

Deno.test("a sweep finds the preprocessings that fit, ties them, and rejects the others", async () => {
  const images = coloured(400);
  const { screened, leaders } = await sweep({
    candidates: [signs()],
    data: { train: images, test: images },
    factory: wasmEngine,
    threads: 1,
    screeningImages: 200,
  });
  assertEquals([screened.length, screened[0].images, leaders[0].images], [36, 200, 400]);
  const standing = (name: string, channels: "RGB" | "BGR") =>
    screened.find(({ preprocessing }) =>
      preprocessing.name === name && preprocessing.channels === channels
    );
  // Centred: every image is right, so that no paired test can tell them apart.
  for (const name of ["pixels in -1..1", "channel mean", "per-pixel mean of all 400 images"]) {
    const { errors, p } = standing(name, "RGB")!;
    assertEquals([name, errors, p], [name, 0, 1]);
  }
  // Never negative: everything is taken for bright red and bright blue, a quarter of the images.
  const raw = standing("pixels in 0..1", "RGB")!;
  assertEquals([raw.errors, raw.standing], [150, "worse"]);
  // Red for blue: the two labels with one bright colour are exchanged.
  const swapped = standing("pixels in -1..1", "BGR")!;
  assertEquals([swapped.errors, swapped.standing], [100, "worse"]);
  assert(leaders.every(({ preprocessing }) => preprocessing.channels === "RGB"));
});

Deno.test("where nothing beats guessing there are no leaders", async () => {
  const images = coloured(200);
  const { weights, ...rest } = signs();
  const shuffled = { ...images, labels: images.labels.map((_, i) => (i * i * 7 + (i >> 3)) % 4) };
  const { leaders } = await sweep({
    candidates: [{
      ...rest,
      weights: new Map(weights).set("linear.weight", {
        shape: [4, 2],
        data: new Float32Array(8),
      }),
    }],
    data: { train: shuffled, test: shuffled },
    factory: wasmEngine,
    threads: 1,
  });
  assertEquals(leaders, []);
});

Deno.test("a ReLU after the last layer leaves predictions as they are but where no logit is positive", async () => {
  const images = coloured(80);
  const plain = signs();
  const graph = buildGraph("signs", [4, 4, 3], [
    ...plain.graph.nodes,
    { kind: "relu", name: "relu", input: "linear" },
  ]);
  const lowered = new Map(plain.weights).set("linear.bias", {
    shape: [4],
    data: new Float32Array(4).fill(-100),
  });
  const { screened } = await sweep({
    candidates: [
      { ...plain, weights: lowered, name: "without" },
      { name: "with", graph, weights: lowered },
    ],
    data: { train: images, test: images },
    factory: wasmEngine,
    threads: 1,
  });
  const errorsOf = (wanted: string) =>
    screened.find(({ candidate, preprocessing }) =>
      candidate.name === wanted && preprocessing.name === "pixels in -1..1" &&
      preprocessing.channels === "RGB"
    )!.errors;
  // All logits are below 0: behind the ReLU each is 0, and the first class is predicted.
  assertEquals([errorsOf("without"), errorsOf("with")], [0, 60]);
});

const SHARED = new URL("../../shared/", import.meta.url);
const WEIGHTS = new URL("pretrained/resnet20-12fca82f.th", SHARED);
const DATA = new URL("cifar-10-batches-bin", SHARED);

Deno.test({
  name:
    "public weights of ResNet-20 need split zero channels and ImageNet's constants, and were trained on crops (needs ../shared/pretrained, ../shared/cifar-10-batches-bin)",
  ignore: !isThere(WEIGHTS) || !isThere(DATA),
  fn: async () => {
    const { tensors } = await readModelFile(decodeURIComponent(WEIGHTS.pathname));
    const candidates = (["split", "append"] as const).map((zeroChannels) => {
      const graph = architecture("resnet20", { zeroChannels });
      return { name: zeroChannels, graph, weights: fitWeights(graph, tensors, "resnet20") };
    });
    const { leaders, firstNorm } = await sweep({
      ...{ candidates, data: await firstImages(200), factory: wasmEngine, screeningImages: 100 },
    });
    const left = leaders.filter(({ standing }) => standing !== "worse")
      .map(({ candidate, preprocessing }) => [candidate.name, preprocessing.id]);
    // On so few images CIFAR-10's constants err as rarely; the first batch norm tells them apart.
    assertEquals(left, [["split", "imagenet"]]);
    assertEquals(firstNorm?.border, "black");
    assert(firstNorm!.misfit < 0.005 && firstNorm!.byBorder.none > 0.05, JSON.stringify(firstNorm));
  },
});

/** CIFAR-10 with a shorter test part. */
async function firstImages(count: number) {
  const { train, test } = await loadDataset("cifar10", { path: decodeURIComponent(DATA.pathname) });
  const pixels = test.pixels.subarray(0, count * 3072);
  return { train, test: { ...test, count, pixels, labels: test.labels.subarray(0, count) } };
}

const GIVEN: readonly (readonly [file: string, way: string, departs: string | undefined])[] = [
  ["t_norelu_after_add.pt", "imagenet", "relu-missing-after-addition"],
  ["t_per_image_std.pt", "per-image", undefined],
];

for (const [file, way, departs] of GIVEN) {
  const url = new URL(`cases/audit/${file}`, SHARED);
  Deno.test({
    name:
      `${file}: what was done to its images and what its net leaves out (needs ../shared/cases/audit/${file}, ../shared/cifar-10-batches-bin)`,
    ignore: !isThere(url) || !isThere(DATA),
    fn: async () => {
      const { tensors } = await readModelFile(decodeURIComponent(url.pathname));
      const found = identify(tensors);
      const { leaders, firstNorm } = await sweep({
        ...{ candidates: found.candidates, variants: found.variants },
        ...{ data: await firstImages(400), factory: wasmEngine, screeningImages: 300 },
      });
      const [{ candidate, preprocessing }] = leaders;
      const known = [...found.candidates, ...found.variants()];
      assertEquals(
        [preprocessing.id, known.find(({ name }) => name === candidate.name)?.departs],
        [way, departs],
      );
      assertEquals(firstNorm?.border, "none");
    },
  });
}
