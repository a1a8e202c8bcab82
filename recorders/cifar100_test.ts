/** CIFAR-100 as torchvision reads it, recorded and audited: fine labels, and coarse ones. */
import { assertEquals, assertMatch } from "@std/assert";
import { auditRecording } from "../audit/recording/mod.ts";
import { type Dataset, datasetNamed, loadDataset } from "../data/mod.ts";
import type { ByteImages } from "../engine/mod.ts";
import { readRecording } from "../log/mod.ts";
import { pythonTest, runProgram } from "../testing/mod.ts";

const here = (name: string) => decodeURIComponent(new URL(name, import.meta.url).pathname);

/** A fifth of the built-in images, in a hundred classes. */
async function madeSet(): Promise<Dataset> {
  const { train, test, hashes } = await loadDataset("shapes10");
  const fifth = ({ pixels, labels, count, ...rest }: ByteImages): ByteImages => ({
    ...rest,
    ...{ count: count / 5, classes: 100, pixels: pixels.subarray(0, pixels.length / 5) },
    labels: labels.slice(0, count / 5).map((label, i) => 10 * label + i % 10),
  });
  return {
    ...{ name: "cifar100", classNames: datasetNamed("cifar100").classNames, hashes },
    ...{ train: fifth(train), test: fifth(test) },
  };
}

/** CIFAR-100's binary format: a coarse label, a fine one, the red, green and blue bytes. */
function recordsOf({ pixels, labels, count }: ByteImages): Uint8Array {
  const plane = 32 * 32;
  const records = new Uint8Array(count * (2 + 3 * plane));
  for (let image = 0, at = 0; image < count; image++) {
    records[at++] = Math.floor(labels[image] / 5);
    records[at++] = labels[image];
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < plane; i++) records[at++] = pixels[(image * plane + i) * 3 + c];
    }
  }
  return records;
}

pythonTest("CIFAR-100's fine labels are right, and coarse ones are named", [
  "torch",
  "torchvision",
  "numpy",
], async () => {
  const dataset = await madeSet();
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${folder}/cifar-100-python`);
    await Deno.writeFile(`${folder}/train.bin`, recordsOf(dataset.train));
    await Deno.writeFile(`${folder}/test.bin`, recordsOf(dataset.test));
    await Deno.copyFile(here("pytorch.py"), `${folder}/pytorch_recorder.py`);
    await Deno.copyFile(here("_fixtures/cifar100.py"), `${folder}/cifar100.py`);
    const { code, errors } = await runProgram("python3", ["cifar100.py", folder], folder, {
      OMP_NUM_THREADS: "1",
    });
    assertEquals(code, 0, errors);
    const judged = async (name: string) => {
      const recording = await readRecording(`${folder}/${name}`);
      const { report } = await auditRecording(name, recording, dataset);
      return new Map(report.judgements.map((one) => [one.id, one]));
    };
    const fine = await judged("fine"), coarse = await judged("coarse");
    for (const id of ["augmentation", "crop", "shuffled", "channel-order", "test-view"]) {
      assertEquals([id, fine.get(id)!.outcome], [id, "pass"], fine.get(id)!.evidence);
      assertEquals([id, coarse.get(id)!.outcome], [id, "pass"], coarse.get(id)!.evidence);
    }
    assertEquals(fine.get("labels")!.outcome, "pass", fine.get("labels")!.evidence);
    assertMatch(fine.get("labels")!.evidence, /^2,000 of 2,000 training images/);
    assertEquals(coarse.get("labels")!.outcome, "fail");
    assertMatch(coarse.get("labels")!.evidence, /their \d+ classes are trained as 20/);
    assertMatch(fine.get("data-set")!.evidence, /cifar100/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
