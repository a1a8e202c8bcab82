/** The scripts as Python sees them: each is compiled, and the right ones train. */
import { assert, assertEquals } from "@std/assert";
import { auditRecording } from "../../audit/recording/mod.ts";
import { loadDataset } from "../../data/mod.ts";
import type { ByteImages } from "../../engine/mod.ts";
import { readRecording } from "../../log/mod.ts";
import { RandomStream } from "../../random/mod.ts";
import { pythonTest, runProgram } from "../../testing/mod.ts";
import { writeBinaryFiles } from "./_binary_files.ts";
import {
  caseOf,
  cleanCase,
  rightFiles,
  systemCCase,
  waysOf,
  withVariant,
  writeCase,
} from "./_case.ts";
import { NETS, STYLES } from "./_mistake.ts";
import { record } from "./_record.ts";
import { CLEAN } from "./clean.ts";
import { MISTAKES } from "./mistakes.ts";

pythonTest("every script is Python, with every way of every mistake", [], async () => {
  const texts: [string, string][] = [];
  for (const style of STYLES) {
    for (const net of NETS) {
      const right = await rightFiles(style, net);
      for (const mistake of MISTAKES) {
        for (const way of waysOf(mistake, style, net)) {
          const values = Object.fromEntries(
            Object.entries(mistake.values ?? {}).map(([name, [first]]) => [name, first]),
          );
          const files = withVariant(right, { ...way, values });
          texts.push([`${mistake.id}/${style}/${net}`, files.get(way.file)!]);
        }
      }
    }
  }
  for (const net of NETS) {
    for (const clean of CLEAN) {
      const { id, files } = await cleanCase(clean, net);
      for (const [name, text] of files) texts.push([`${id}/${name}`, text]);
    }
  }
  texts.push(["system-c", (await systemCCase()).files.get("train.py")!]);
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${folder}/texts.json`, JSON.stringify(texts));
    const program = "import json\n" +
      "for name, text in json.load(open('texts.json')): compile(text, name, 'exec')\n";
    const { code, errors } = await runProgram("python3", ["-c", program], folder);
    assertEquals(code, 0, errors);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/**
 * Images of one colour a class under noise: a net learns 128 of them, one batch an epoch, within
 * ten steps.
 */
function colours(count: number, seed: number): ByteImages {
  const random = new RandomStream(seed, "shapes", 0);
  const labels = Uint8Array.from({ length: count }, (_, i) => i % 10);
  const pixels = new Uint8Array(count * 32 * 32 * 3);
  for (let i = 0; i < pixels.length; i++) {
    const label = labels[Math.floor(i / (32 * 32 * 3))];
    const base = i % 3 === 0 ? 20 * label : i % 3 === 1 ? 70 * (label % 3) : 180 - 18 * label;
    pixels[i] = base + random.below(60);
  }
  return { count, height: 32, width: 32, channels: 3, classes: 10, pixels, labels };
}

for (const [i, clean] of CLEAN.entries()) {
  const needs = ["torch", ...(clean.script === "functional" ? ["numpy"] : [])];
  const net = NETS[i % NETS.length];
  pythonTest(`the right script ${clean.id} trains ${net} and tests it`, needs, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await writeBinaryFiles(`${folder}/data`, { train: colours(142, 0), test: colours(50, 1) });
      await writeCase(await cleanCase(clean, net), folder);
      const { code, output, errors } = await runProgram(
        "python3",
        ["train.py", "--data", "data", "--iterations", "10"],
        folder,
        { OMP_NUM_THREADS: "1" },
      );
      assertEquals(code, 0, errors);
      const losses = [...output.matchAll(/loss (\d+\.\d+)/g)].map(([, loss]) => Number(loss));
      assertEquals(losses.length, 1, output);
      assert(losses[0] < 1, `from 2.3 the loss must fall below 1, found ${losses[0]}`);
      assert(/test error \d/.test(output), output);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

/** A sample of the bench: what is put in, or a right script, and where. */
const SAMPLE = [
  ...[["subset-transform", "loop"], ["decay-ignored", "trainer"]] as const,
  ["plain-loop", undefined],
] as const;

for (const [id, style] of SAMPLE) {
  const what = style === undefined
    ? `the right script ${id} is accused of nothing`
    : `${id} is found`;
  pythonTest(`${what}, from a recording`, ["torch", "numpy"], async () => {
    const folder = await Deno.makeTempDir();
    try {
      const mistake = MISTAKES.find((one) => one.id === id);
      const one = mistake && style
        ? await caseOf(mistake, style, "resnet8", 0)
        : await cleanCase(CLEAN.find((clean) => clean.id === id)!, "resnet8");
      const images = await loadDataset("shapes10");
      const tenth = (part: ByteImages): ByteImages => ({ ...part, count: part.count / 5 });
      const some = { train: tenth(images.train), test: tenth(images.test) };
      await writeBinaryFiles(`${folder}/data`, some);
      await record(one!, { folder: `${folder}/case`, data: `${folder}/data` });
      const recording = await readRecording(`${folder}/case/recording`);
      const { report } = await auditRecording("sample", recording, images);
      // That the images are few, and built in, is true of all of the sample.
      const found = report.changes.map(({ rule }) => rule)
        .filter((rule) => !["data-set", "split", "test-set-whole"].includes(rule));
      assertEquals(found.slice(0, 1), mistake ? [mistake.expects[0]] : []);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
