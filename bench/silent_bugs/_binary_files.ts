/** Images as CIFAR-10's binary files, for scripts that read those. */
import type { ByteImages } from "../../engine/mod.ts";

/** Files of the training images, in order. */
const TRAINING_FILES = [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`);

/**
 * Writes images in CIFAR-10's binary format: a label's byte, then the red,
 * green and blue bytes of its image.
 *
 * @param folder Where; it is made.
 * @param images [N, 32, 32, 3] each; the training images in five files of equal length.
 */
export async function writeBinaryFiles(
  folder: string,
  { train, test }: { readonly train: ByteImages; readonly test: ByteImages },
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const part = Math.ceil(train.count / TRAINING_FILES.length);
  for (const [i, name] of TRAINING_FILES.entries()) {
    const records = recordsOf(train, i * part, Math.min((i + 1) * part, train.count));
    await Deno.writeFile(`${folder}/${name}`, records);
  }
  await Deno.writeFile(`${folder}/test_batch.bin`, recordsOf(test, 0, test.count));
}

function recordsOf({ pixels, labels }: ByteImages, begin: number, end: number): Uint8Array {
  const positions = 32 * 32;
  const records = new Uint8Array((end - begin) * (1 + 3 * positions));
  let at = 0;
  for (let image = begin; image < end; image++) {
    records[at++] = labels[image];
    for (let channel = 0; channel < 3; channel++) {
      const first = image * 3 * positions + channel;
      for (let i = 0; i < positions; i++) records[at++] = pixels[first + 3 * i];
    }
  }
  return records;
}
