import { freshState } from "../state.ts";
import { PLAIN_SGD } from "../optimiser.ts";
import { assert, assertEquals } from "@std/assert";
import { architecture, initialise } from "../../resnet/mod.ts";
import type { ByteImages } from "../engine.ts";
import { Clock } from "./_clock.ts";
import { profileStep } from "./_profile.ts";

Deno.test("a clock adds the time between laps to the counter that ends it", () => {
  const times = [10, 13, 14, 16, 21, 30];
  const clock = new Clock(() => times.shift()!);
  const products = clock.counter("convolution products", 100);
  const others = [clock.counter("pool", 0), clock.counter("convolution products", 7)];
  clock.counter("loss", 0); // never called: left out
  clock.reset();
  for (const counter of [products, ...others, products]) clock.lap(counter);
  assertEquals(clock.groups(), [
    // 10 to 13, 14 to 16 and 16 to 21.
    { group: "convolution products", calls: 3, milliseconds: 10, operations: 207 },
    { group: "pool", calls: 1, milliseconds: 1, operations: 0 },
  ]);
  clock.reset();
  assertEquals(clock.groups(), []);
});

Deno.test("a step's profile counts the multiplications of its products, group by group", async () => {
  const graph = architecture("resnet8");
  const images: ByteImages = {
    count: 4,
    height: 32,
    width: 32,
    channels: 3,
    classes: 10,
    pixels: new Uint8Array(4 * 3072).map((_, i) => i % 251),
    labels: new Uint8Array(4),
  };
  const normalisation = {
    scale: 1 / 255,
    mean: new Float32Array(3072),
    std: new Float32Array(3).fill(1),
    beforePadding: true,
  };
  const crop = new Uint8Array(4).fill(4);
  const plan = {
    indices: new Uint32Array([0, 1, 2, 3]),
    cropY: crop,
    cropX: crop,
    flip: new Uint8Array(4),
  };
  const { groups, threads } = await profileStep(
    {
      graph,
      batchSize: 4,
      optimiser: PLAIN_SGD,
      batchNorm: { epsilon: 1e-5, momentum: 0.1 },
      cropPadding: 4,
      threads: 1,
    },
    { train: images, test: images, normalisation },
    freshState(graph, PLAIN_SGD, initialise(graph, 0, "in")),
    [plan, plan],
    0.1,
  );
  assertEquals(threads, 1);
  const operations = (group: string) => groups.find((one) => one.group === group)?.operations;
  // Stage by stage 2, 1 and 1 convolutions of stride 1, each of 64 * 16 * 16 multiplications in
  // every one of 36 places, for four images; 2 operations a multiply-add.
  for (const  of of["convolution", "input gradient", "weight gradient"]) {
    assertEquals(operations(`${of} products`), 4 * 36 * 64 * 16 * 16 * 4 * 2, of);
  }
  // Two of stride 2, with half as many channels as filters, and the first layer, whose three
  // channels take the room of four: it has no input gradient.
  const halved = 2 * 9 * 16 * 16 * 16 * 32;
  const first = 9 * 32 * 32 * 4 * 16;
  assertEquals(operations("convolution direct"), 2 * 4 * (halved + first));
  assertEquals(operations("weight gradient direct"), 2 * 4 * (halved + first));
  assertEquals(operations("input gradient direct"), 2 * 4 * halved);
  assert(groups.every(({ milliseconds }) => milliseconds >= 0));
  // One thread waits for nobody.
  assertEquals(operations("waiting"), undefined);
});
