/** Small subjects for the numeric rules' cases: real code, few and small images. */
import { type ByteImages, type EngineFactory, wasmEngine } from "../../engine/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import { paper, type RecipeChanges, vary } from "../../recipes/mod.ts";
import { type NumericSubject, numericSubjectOf } from "./subject.ts";
import type { KnownGood } from "../rule.ts";

const CLASSES = 10;

/** The default engine on one thread: for small networks starting others takes longer than it saves. */
export const oneThread: EngineFactory = {
  ...wasmEngine,
  create: (options) => wasmEngine.create({ ...options, threads: 1 }),
};

/** Random bytes around a slope, so that no two positions have one mean. */
function images(count: number, size: number, substream: number): ByteImages {
  const random = new RandomStream(0, "probe", substream);
  const pixels = new Uint8Array(count * size * size * 3);
  for (let i = 0; i < pixels.length; i++) {
    const place = i % (size * size * 3);
    pixels[i] = 128 * place / (size * size * 3) + random.below(128);
  }
  const labels = Uint8Array.from({ length: count }, () => random.below(CLASSES));
  return { count, height: size, width: size, channels: 3, classes: CLASSES, pixels, labels };
}

/**
 * A subject by the paper's recipe, but for its size: ResNet-8, batches of 8, and
 * 44 training images of 16x16 pixels.
 */
export function smallSubject(
  net = "resnet8",
  size = 8,
  changes: RecipeChanges = {},
): Promise<Required<NumericSubject> & Disposable> {
  const scaled = vary(paper(net), {
    data: { split: { training: 44, validation: 16 } },
    batchSize: 8,
    batchNormImages: 8,
  });
  return numericSubjectOf(oneThread, vary(scaled, changes), {
    train: images(60, size, 0),
    test: images(12, size, 1),
  });
}

/** A small subject that is unusual and right; who makes it frees its engine. */
export function goodSettings(
  name: string,
  why: string,
  changes: RecipeChanges,
  net = "resnet8",
): KnownGood<NumericSubject> {
  return { name, why, make: () => smallSubject(net, 8, changes) };
}
