import { assert, assertEquals } from "@std/assert";
import { loadDataset } from "../data/mod.ts";
import type { ByteImages } from "../engine/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { buildGraph, initialise, type Weights } from "../resnet/mod.ts";
import { misfits } from "./_first_norm.ts";
import { preprocessings } from "./preprocessings.ts";
import { inputOf, networksOf } from "./_runs.ts";

const { train } = await loadDataset("shapes10");
/** Some that are nearest to each other, and some that are far. */
const IDS = ["half", "none", "imagenet", "cifar10", "per-pixel-all", "per-image"];
const WAYS = preprocessings(train).filter(({ id }) => IDS.includes(id));
const way = (wanted: string, channels = "RGB") =>
  WAYS.find((way) => way.id === wanted && way.channels === channels)!;

const graph = buildGraph("stem", [32, 32, 3], [
  {
    ...{ kind: "convolution", name: "conv1", input: "input", filters: 8, kernel: 3, stride: 1 },
    ...{ padding: 1, bias: false },
  },
  { kind: "batch-norm", name: "bn1", input: "conv1" },
  { kind: "global-average-pool", name: "pool", input: "bn1" },
  { kind: "dense", name: "linear", input: "pool", units: 10 },
]);

/** Images cropped out of themselves with a black border, as a training set would be. */
function cropped(images: ByteImages): ByteImages {
  const random = new RandomStream(1, "probe", 0);
  const pixels = new Uint8Array(images.pixels.length);
  for (let image = 0; image < images.count; image++) {
    const [down, across] = [random.below(9) - 4, random.below(9) - 4];
    for (let y = 0; y < 32; y++) {
      for (let x = 0; x < 32; x++) {
        const [row, column] = [y + down, x + across];
        if (row < 0 || row >= 32 || column < 0 || column >= 32) continue;
        const [to, from] = [(image * 32 + y) * 32 + x, (image * 32 + row) * 32 + column];
        for (let c = 0; c < 3; c++) pixels[3 * to + c] = images.pixels[3 * from + c];
      }
    }
  }
  return { ...images, pixels };
}

/** Weights whose batch norm holds the statistics of all outputs on images prepared one way. */
function trainedOn(images: ByteImages, prepared: ReturnType<typeof way>): Weights {
  const weights = new Map(initialise(graph, 1, "in"));
  const kernel = weights.get("conv1.weight")!.data;
  const sums = new Float64Array(8), squares = new Float64Array(8);
  const size = 32 * 32 * 3;
  const some = 250;
  for (let image = 0; image < some; image++) {
    const pixels = images.pixels.subarray(image * size, (image + 1) * size);
    const input = inputOf({ ...images, count: 1, pixels }, prepared);
    for (let filter = 0; filter < 8; filter++) {
      for (let y = 0; y < 32; y++) {
        for (let x = 0; x < 32; x++) {
          let sum = 0;
          for (let i = 0; i < 27; i++) {
            const [c, row, column] = [
              Math.floor(i / 9),
              y - 1 + Math.floor(i / 3) % 3,
              x - 1 + i % 3,
            ];
            if (row < 0 || row > 31 || column < 0 || column > 31) continue;
            sum += kernel[filter * 27 + i] * input[(row * 32 + column) * 3 + c];
          }
          sums[filter] += sum;
          squares[filter] += sum * sum;
        }
      }
    }
  }
  const count = some * 32 * 32;
  const mean = Float32Array.from(sums, (sum) => sum / count);
  return weights
    .set("bn1.running_mean", { shape: [8], data: mean })
    .set("bn1.running_var", {
      shape: [8],
      data: Float32Array.from(squares, (sum, i) => sum / count - mean[i] ** 2),
    });
}

const found = (weights: Weights) =>
  misfits(networksOf([{ name: "stem", graph, weights }])[0], WAYS, train);

for (
  const [id, channels] of [["half", "RGB"], ["imagenet", "BGR"], ["per-image", "RGB"]] as const
) {
  Deno.test(`the first batch norm tells ${id} in ${channels} from other ways`, () => {
    const [best, next] = found(trainedOn(train, way(id, channels)));
    assertEquals([best.preprocessing.id, best.preprocessing.channels], [id, channels]);
    assertEquals(best.border, "none");
    assert(best.misfit < 0.01 && next.misfit > 2 * best.misfit, `${best.misfit} ${next.misfit}`);
  });
}

Deno.test("the first batch norm shows crops out of images with a black border", () => {
  const [best] = found(trainedOn(cropped(train), way("half")));
  assertEquals([best.preprocessing.id, best.border], ["half", "black"]);
  assert(best.misfit < 0.01 && best.byBorder.none > 3 * best.misfit, JSON.stringify(best.byBorder));
});

Deno.test("without a batch norm behind the first layer nothing is told", () => {
  const bare = buildGraph(
    "bare",
    [32, 32, 3],
    graph.nodes.flatMap((node) =>
      node.kind === "batch-norm"
        ? []
        : [node.kind === "global-average-pool" ? { ...node, input: "conv1" } : node]
    ),
  );
  const weights = initialise(bare, 1, "in");
  assertEquals(misfits(networksOf([{ name: "bare", graph: bare, weights }])[0], WAYS, train), []);
});
