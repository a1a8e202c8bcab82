// What is taken for photographs: large images, unless they are a small set's, enlarged.
import { assertEquals } from "@std/assert";
import { loadDataset } from "../../data/mod.ts";
import {
  type LineOf,
  linesOf,
  type NetworkLine,
  readRecording,
  type Recording,
} from "../../log/mod.ts";
import { recordedLog } from "../../testing/files/mod.ts";
import { largeImages } from "./_photographs.ts";

const recorded = await readRecording("recording", () => Promise.resolve(recordedLog()));
const [network] = linesOf(recorded.lines, "network");
const ofSize = (...shape: number[]): NetworkLine => ({
  ...network,
  input: { ...network.input, shape: [128, ...shape] },
});
/** The recording with another data set behind its loaders. */
const of = (set: Partial<LineOf<"loader">["datasets"][number]>): Recording => ({
  ...recorded,
  lines: recorded.lines.map((line) =>
    line.type === "loader"
      ? { ...line, datasets: line.datasets.map((one) => ({ ...one, ...set })) }
      : line
  ),
});
const folder = of({ class: "torchvision.datasets.folder.ImageFolder", size: 120 });

for (
  const [what, recording, line, photographs] of [
    ["a folder's images of 224x224", folder, ofSize(3, 224, 224), true],
    ["of 64x64", folder, ofSize(3, 64, 64), true],
    ["a folder's images of 32x32", folder, ofSize(3, 32, 32), undefined],
    ["of 64x32", folder, ofSize(3, 64, 32), undefined],
    ["of one channel", folder, ofSize(1, 224, 224), undefined],
    ["vectors", folder, ofSize(3), undefined],
    ["CIFAR-10's, enlarged", of({ class: "data.MyCIFAR10" }), ofSize(3, 224, 224), false],
    [
      "50,000 files in ten classes, enlarged",
      of({ class: "torchvision.datasets.folder.ImageFolder", size: 50_000 }),
      ofSize(3, 224, 224),
      false,
    ],
  ] as const
) {
  const taken = photographs ? "photographs" : photographs === false ? "enlarged" : "not large";
  Deno.test(`${what} are taken for ${taken}`, () => {
    assertEquals(largeImages(recording, line, undefined)?.photographs, photographs);
  });
}

Deno.test("where a data set is given, large images are believed to be its own", async () => {
  const dataset = await loadDataset("shapes10");
  assertEquals(largeImages(folder, ofSize(3, 224, 224), dataset), {
    ...{ size: "224x224", photographs: false, why: "--data says that they are shapes10's" },
  });
});
