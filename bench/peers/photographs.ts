/**
 * Photographs decoded, resized and scored here against what `photographs.py` wrote.
 *
 * `deno run -P=test bench/peers/photographs.ts IMAGES OUT`
 *
 * It ends with an error where resized pixels are further than 1 of 255 in the mean or 3 at most
 * from torchvision's, or a view's logits or averaged scores further than 1e-4 (of the largest).
 */
import { IMAGENET } from "../../data/mod.ts";
import {
  AS_TORCHVISION,
  decodeImage,
  type PhotographIndex,
  scorePhotographs,
  VIEWS,
  withShorterSide,
} from "../../data/photographs/mod.ts";
import { wasmEngine } from "../../engine/mod.ts";
import { architecture, fitWeights } from "../../resnet/mod.ts";
import { readModelFile } from "../../weights/mod.ts";

const PIXELS_MEAN = 1, PIXELS_MOST = 3, TOLERANCE = 1e-4;

interface Entry {
  readonly path: string;
  readonly height: number;
  readonly width: number;
}

interface View {
  readonly logits: readonly number[][];
  readonly scores: readonly number[];
}

const [images, out] = Deno.args;
let status = 0;

const expected = await Deno.readFile(`${out}/pixels.bin`);
const entries: Entry[] = JSON.parse(await Deno.readTextFile(`${out}/pixels.json`));
let [at, equal, worstMean, worstMost] = [0, 0, 0, 0];
for (const { path, height, width } of entries) {
  const image = await decodeImage(await Deno.readFile(`${images}/${path}`), path, AS_TORCHVISION);
  const found = withShorterSide(image, 256);
  const own = expected.subarray(at, at += height * width * 3);
  let [sum, most] = [found.height === height && found.width === width ? 0 : Infinity, 0];
  found.pixels.forEach((byte, i) => {
    const difference = Math.abs(byte - own[i]);
    sum += difference;
    if (difference > most) most = difference;
  });
  const mean = sum / own.length;
  if (mean === 0) equal++;
  [worstMean, worstMost] = [Math.max(worstMean, mean), Math.max(worstMost, most)];
  if (!(mean <= PIXELS_MEAN && most <= PIXELS_MOST)) {
    console.log(`${path}: ${mean} in the mean, ${most} at most`);
    status = 1;
  }
}
console.log(
  `pixels of ${entries.length} photographs, shorter side 256: ${equal} the same bytes; the worst ` +
    `is ${worstMean} of 255 off in the mean, and ${worstMost} at most`,
);

const graph = architecture("resnet34", { classes: 1000, inputShape: [224, 224, 3] });
const file = await readModelFile(`${out}/weights.pth`);
const weights = fitWeights(graph, file.tensors, "weights.pth");
const views: Record<string, Record<string, View>> = JSON.parse(
  await Deno.readTextFile(`${out}/views.json`),
);
const paths = Object.keys(views);
const index: PhotographIndex = {
  ...{ folder: images, classNames: [], broken: [], passedOver: new Map(), sha256: "" },
  photographs: await Promise.all(paths.map(async (path) => {
    const { size: bytes } = await Deno.stat(`${images}/${path}`);
    return { path, label: 0, bytes, sha256: "" };
  })),
};
for (const view of VIEWS) {
  let [logitsOff, scoresOff] = [0, 0];
  const scored = scorePhotographs(index, {
    ...{ graph, weights, view, normalisation: IMAGENET, factory: wasmEngine },
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
  });
  for await (const { place, logits, scores } of scored) {
    const peer = views[paths[place]][view];
    peer.logits.forEach((row, i) => logitsOff = Math.max(logitsOff, distance(logits[i], row)));
    scoresOff = Math.max(scoresOff, distance(scores, peer.scores));
  }
  const kept = logitsOff <= TOLERANCE && scoresOff <= TOLERANCE;
  if (!kept) status = 1;
  console.log(
    `${view} of ${paths.length}: logits within ${logitsOff.toExponential(1)} of the largest, ` +
      `averaged scores within ${scoresOff.toExponential(1)}${kept ? "" : ": too far"}`,
  );
}
Deno.exit(status);

/** Largest difference, in parts of the largest value. */
function distance(found: ArrayLike<number>, expected: readonly number[]): number {
  const most = Math.max(...expected.map(Math.abs));
  if (found.length !== expected.length) return Infinity;
  return Math.max(...expected.map((value, i) => Math.abs(value - found[i]))) / most;
}
