// Trainings on folders of photographs, by the command: to the same weights however often they are
// stopped and whoever decodes, with files left out by name, and from weights of other classes.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { encode } from "fast-png";
import { architecture, initialise } from "../resnet/mod.ts";
import { pythonTest, runProgram } from "../testing/mod.ts";
import { encodeSafetensors } from "../weights/mod.ts";

/** Two classes that differ by where an image is bright; each image has a size of its own. */
async function makeSet(folder: string): Promise<void> {
  for (const part of ["train", "val"]) {
    for (const [c, name] of ["left", "right"].entries()) {
      await Deno.mkdir(`${folder}/${part}/${name}`, { recursive: true });
      for (let i = 0; i < 8; i++) {
        const width = 20 + i, height = 27 - i;
        const data = Uint8Array.from(
          { length: width * height * 3 },
          (_, at) => (Math.floor(at / 3) % width < width / 2) === (c === 0) ? 200 : 7 * i,
        );
        const bytes = encode({ width, height, channels: 3, data });
        await Deno.writeFile(`${folder}/${part}/${name}/${i}.png`, bytes);
      }
    }
  }
}

Deno.test("train --recipe finetune goes on to the same weights, by any number of workers", async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  const started = (out: string, ...args: string[]) =>
    new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", "--no-check", "-P=train"],
        new URL("train.ts", import.meta.url).href,
        ...["--recipe", "finetune", "--arch", "resnet8", "--image-size", "16", "--epochs", "5"],
        ...["--batch", "6", "--checkpoint-every", "2", "--threads", "1", "--engine", "wasm"],
        ...["--data", `${folder}/set`, "--index", `${folder}/index.jsonl`],
        ...["--out", `${folder}/${out}`, ...args],
      ],
      ...{ stdin: "null", stdout: "piped", stderr: "piped" },
    });
  const run = async (out: string, ...args: string[]) => {
    const { code, stderr } = await started(out, ...args).output();
    return { code, said: new TextDecoder().decode(stderr) };
  };
  const weights = async (out: string) =>
    await Deno.readFile(`${folder}/${out}/weights.safetensors`);
  const lines = async (out: string) =>
    (await Deno.readTextFile(`${folder}/${out}/events.jsonl`)).trim().split("\n")
      .map((line) => JSON.parse(line));
  try {
    await makeSet(`${folder}/set`);
    const whole = await run("whole");
    assertEquals(whole.code, 0, whole.said);
    assertEquals((await run("parts", "--stop-after", "3", "--workers", "0")).code, 0);
    const turned = await run("parts", "--orientation", "upright");
    assertNotEquals(turned.code, 0);
    assertStringIncludes(turned.said, "data.photographs.orientation");
    assertEquals((await run("parts", "--workers", "2")).code, 0);
    assertEquals(await weights("parts"), await weights("whole"));

    // Killed as soon as it has kept something.
    const child = started("killed").spawn();
    const output = child.output();
    for (let i = 0; i < 600; i++) {
      const text = await Deno.readTextFile(`${folder}/killed/events.jsonl`).catch(() => "");
      if (text.includes('"type":"checkpoint"')) break;
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    child.kill("SIGKILL");
    await output;
    assertEquals((await run("killed")).code, 0);
    assertEquals(await weights("killed"), await weights("whole"));

    const steps = (await lines("whole")).filter(({ type }) => type === "step");
    assert(steps.every((step) => step.waitingSeconds >= 0 && step.computingSeconds > 0));
    const tests = (await lines("whole")).filter(({ set }) => set === "test");
    assertEquals(tests.map(({ images }) => images), [16]);

    // Tested by the other command in the sizes of its training, it errs on as many.
    const tested = await runProgram(Deno.execPath(), [
      ...["run", "--quiet", "--no-prompt", "--no-check", "-P=evaluate"],
      ...[new URL("evaluate.ts", import.meta.url).pathname, "--view", "1-crop", "--json"],
      ...["--weights", `${folder}/whole/weights.safetensors`, "--data", `${folder}/set`],
      ...["--index", `${folder}/index.jsonl.val`, "--threads", "1"],
    ], folder);
    assertEquals(tested.code, 0, tested.errors);
    assertStringIncludes(tested.errors, "crops of 16 from a shorter side of 18");
    assertEquals(JSON.parse(tested.output).error, tests[0].error);

    // The weights name their classes: they are told by name, and others are refused.
    const own = ["--weights", `${folder}/whole/weights.safetensors`];
    const predicted = await runProgram(Deno.execPath(), [
      ...["run", "--quiet", "--no-prompt", "--no-check", "-P=predict"],
      ...[new URL("predict.ts", import.meta.url).pathname, ...own, "--json"],
      `${folder}/set/val/left/3.png`,
    ], folder);
    assertEquals(predicted.code, 0, predicted.errors);
    const [{ top }] = JSON.parse(predicted.output).predictions;
    assertEquals(top.map((one: { class: string }) => one.class).toSorted(), ["left", "right"]);
    await Deno.mkdir(`${folder}/others`);
    for (const [name, other] of [["left", "cat"], ["right", "left"]]) {
      await Deno.symlink(`${folder}/set/val/${name}`, `${folder}/others/${other}`);
    }
    const foreign = await runProgram(Deno.execPath(), [
      ...["run", "--quiet", "--no-prompt", "--no-check", "-P=evaluate"],
      ...[new URL("evaluate.ts", import.meta.url).pathname, "--view", "1-crop", ...own],
      ...["--data", `${folder}/others`, "--index", `${folder}/others.jsonl`, "--links", "follow"],
    ], folder);
    assertEquals(foreign.code, 1);
    assertStringIncludes(foreign.errors, 'was trained on "left", "right", and');
    assertStringIncludes(foreign.errors, 'has a folder "cat"');

    // From weights of ten classes, whose last layer is replaced; files that are no images, left out.
    await Deno.writeFile(
      `${folder}/ten.safetensors`,
      encodeSafetensors(initialise(architecture("resnet8"), 3, "in")),
    );
    // One shows it at once, one only where its pixels are read.
    await Deno.writeTextFile(`${folder}/set/train/left/9.jpg`, "no image");
    const damaged = await Deno.readFile(`${folder}/set/train/left/7.png`);
    await Deno.writeFile(`${folder}/set/train/right/9.png`, damaged.fill(0, 45, 60));
    const refused = await run("refused");
    assertNotEquals(refused.code, 0);
    assertStringIncludes(refused.said, "left/9.jpg");
    const tuned = await run(
      "tuned",
      ...["--broken", "skip", "--weights", `${folder}/ten.safetensors`],
    );
    assertEquals(tuned.code, 0, tuned.said);
    const warnings = (await lines("tuned")).filter(({ type }) => type === "warning");
    assertStringIncludes(JSON.stringify(warnings), "right/9.png");
    const [before] = warnings;
    assertStringIncludes(before.message, "left out: 1 file of train/");
    assertStringIncludes(before.message, "left/9.jpg");
    assertStringIncludes(tuned.said, before.message.slice(0, 40));
    const report = await Deno.readTextFile(`${folder}/tuned/report.html`);
    assertStringIncludes(report, "left/9.jpg");
    const [{ data: { notice } }] = await lines("tuned");
    assertStringIncludes(notice, "val/ are validation and final test at once");
    for (const place of [tuned.said, report]) assertStringIncludes(place, notice);
    assertStringIncludes(tuned.said, "last layer");

    // What can't be read ends a training, and costs none of its steps.
    await Deno.remove(`${folder}/set/train/left/9.jpg`);
    const ended = await run("ended", "--seed", "1");
    assertNotEquals(ended.code, 0);
    assertStringIncludes(ended.said, "right/9.png");
    assertStringIncludes(ended.said, "goes on from iteration 1");
    assertEquals((await run("ended", "--seed", "1", "--broken", "skip")).code, 0);
    assertEquals((await run("skipped", "--seed", "1", "--broken", "skip")).code, 0);
    assertEquals(await weights("ended"), await weights("skipped"));
    // A folder that has changed since is another.
    assertEquals((await run("fewer", "--stop-after", "1", "--broken", "skip")).code, 0);
    await Deno.remove(`${folder}/set/train/right/9.png`);
    const fewer = await run("fewer");
    assertNotEquals(fewer.code, 0);
    assertStringIncludes(fewer.said, "put them back as they were");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("weights of --recipe imagenet are tested and used with the mean of their training", async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  const run = async (task: "train" | "evaluate" | "predict", ...args: string[]) => {
    const { code, output, errors } = await runProgram(Deno.execPath(), [
      ...["run", "--quiet", "--no-prompt", "--no-check", `-P=${task}`],
      ...[new URL(`${task}.ts`, import.meta.url).pathname, `--shell=${folder};;;;`, ...args],
    ], folder);
    return { code, errors, json: code === 0 && task !== "train" ? JSON.parse(output) : undefined };
  };
  try {
    await makeSet(`${folder}/set`);
    const trained = await run(
      "train",
      ...["--recipe", "imagenet", "--arch", "resnet8", "--image-size", "16", "--batch", "6"],
      ...["--iterations", "9", "--threads", "1", "--engine", "wasm", "--out", `${folder}/run`],
      ...["--data", `${folder}/set`, "--index", `${folder}/index.jsonl`],
    );
    assertEquals(trained.code, 0, trained.errors);
    const events = (await Deno.readTextFile(`${folder}/run/events.jsonl`)).trim().split("\n")
      .map((line) => JSON.parse(line));
    const own = ["--weights", `${folder}/run/weights.safetensors`, "--json"];
    const test = async (...args: string[]) =>
      await run(
        "evaluate",
        ...[...own, "--threads", "1", "--data", `${folder}/set`],
        ...["--index", `${folder}/index.jsonl.val`, ...args],
      );
    for (const view of ["1-crop", "multi-scale"]) {
      const { code, errors, json } = await test("--view", view);
      assertEquals(code, 0, errors);
      assertStringIncludes(json.preprocess, "per-pixel mean of 16 training images");
      if (view !== "1-crop") continue;
      const { error } = events.find(({ set }) => set === "test");
      assertEquals(json.error, error);
    }
    const stated = await test("--view", "1-crop", "--preprocess", "imagenet");
    assertEquals(stated.code, 1);
    assertStringIncludes(stated.errors, "leave out --preprocess");
    const { code, errors, json } = await run("predict", ...own, `${folder}/set/val/left/3.png`);
    assertEquals(code, 0, errors);
    assertStringIncludes(json.preprocess, "per-pixel mean");
    const [{ top }] = json.predictions;
    const sum = top.reduce((sum: number, one: { probability: number }) => sum + one.probability, 0);
    assertAlmostEquals(sum, 1, 1e-6);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Runs a command as a user whom permissions bind: who is root gives up what lets root read all. */
const BOUND = `
import ctypes, os, sys
if os.geteuid() == 0:
    for capability in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0) != 0:  # PR_CAPBSET_DROP
            sys.exit("root can't give up its rights here")
os.execv(sys.argv[1], sys.argv[1:])
`;

pythonTest("what this user may not read is named: a file, a folder", [], async () => {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  const refused = async (...args: string[]) => {
    const { code, errors } = await runProgram("python3", [
      ...["-c", BOUND, Deno.execPath(), "run", "--quiet", "--no-prompt", "--no-check", "-P=train"],
      ...[new URL("train.ts", import.meta.url).pathname, "--recipe", "finetune"],
      ...["--data", `${folder}/set`, "--index", `${folder}/index.jsonl`, ...args],
    ], folder);
    assertEquals(code, 1, errors);
    return errors;
  };
  try {
    await makeSet(`${folder}/set`);
    await Deno.chmod(`${folder}/set/train/left/3.png`, 0o000);
    const file = await refused();
    assertStringIncludes(file, "of 16 files 1 can't be read");
    assertStringIncludes(file, '"left/3.png" (the system does not let this user read it)');
    await Deno.chmod(`${folder}/set/train/right`, 0o000);
    // A class is never left out.
    const locked = await refused("--broken", "skip");
    assertStringIncludes(locked, `can't read ${folder}/set/train/right: Permission denied`);
  } finally {
    await Deno.chmod(`${folder}/set/train/right`, 0o700).catch(() => {});
    await Deno.remove(folder, { recursive: true });
  }
});
