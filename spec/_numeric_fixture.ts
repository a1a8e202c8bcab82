/** A small subject for tests of the numeric rules: real code, few and small images. */
import type { ByteImages } from "../engine/engine.ts";
import { wasmEngine } from "../engine/mod.ts";
import { RandomStream } from "../random/philox.ts";
import { paper, vary } from "../train/mod.ts";
import { type LoadedSubject, numericSubjectOf } from "./numeric_subject.ts";

const CLASSES = 10;

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

/** The paper's recipe, scaled to a ResNet-8 and 60 images of 32x32 pixels. */
export function smallSubject(): Promise<LoadedSubject> {
  const scaled = vary(paper("resnet8"), {
    data: { split: { training: 44, validation: 16 } },
    batchSize: 8,
    batchNormImages: 8,
  }, "probed within seconds");
  return numericSubjectOf(wasmEngine, scaled, {
    train: images(60, 32, 0),
    test: images(12, 32, 1),
  });
}
