/** The commands as a user runs them: real processes with the permissions of their tasks. */
import { fileURLToPath } from "node:url";
import { assert, assertEquals } from "@std/assert";
import { architecture, initialise } from "../resnet/mod.ts";
import { arrayModel, type ArrayModelName } from "../testing/files/mod.ts";
import { decodeSafetensors, encodeOnnx, encodeSafetensors } from "../weights/mod.ts";

const SMALL = ["--arch", "resnet8", "--dataset", "shapes10", "--batch", "8", "--split", "90/10"];

/** @param permissions The set's name; none grants nothing. */
function spawn(permissions: string, script: string, ...args: string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...[
        "run",
        "--quiet",
        "--no-prompt",
        "--no-check",
        ...permissions ? [`-P=${permissions}`] : [],
      ],
      ...[new URL(script, import.meta.url).href, ...args],
    ],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function run(permissions: string, script: string, ...args: string[]) {
  const { code, stdout, stderr } = await spawn(permissions, script, ...args).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "cli-test-" });
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("summary prints the paper's count", async () => {
  const { code, stdout } = await run("summary", "summary.ts");
  assertEquals(code, 0);
  assert(stdout.includes("269,722"), stdout);
  const json = await run("summary", "summary.ts", "--arch", "resnet32", "--json");
  assertEquals(JSON.parse(json.stdout).parameters, 464_154);
});

Deno.test("export asks for what a file does not say and the other form has to", () =>
  inFolder(async (folder) => {
    const path = `${folder}/resnet8.safetensors`;
    await Deno.writeFile(path, encodeSafetensors(initialise(architecture("resnet8"), 1, "in")));
    for (const to of ["onnx", "keras", "tfjs"]) {
      const { code, stderr } = await run("report", "export.ts", "--weights", path, "--to", to);
      assertEquals(code, 2);
      assert(stderr.includes("--shortcut-padding append"), stderr);
    }
  }));

Deno.test("export refuses what the other form can't hold", () =>
  inFolder(async (folder) => {
    const table: readonly (readonly [ArrayModelName, string, string])[] = [
      // Its input is scaled and shifted within it.
      ["kerasNested", "onnx", "prepares images within the network"],
      ["kerasOptionA", "pytorch", "pads windows with a stride on one side alone"],
      ["kerasOptionA", "safetensors", "pads windows with a stride on one side alone"],
    ];
    for (const [name, to, what] of table) {
      const path = `${folder}/${name}.keras`;
      await Deno.writeFile(path, await arrayModel(name));
      const { code, stderr } = await run("report", "export.ts", "--weights", path, "--to", to);
      assertEquals(code, 2, stderr);
      assert(stderr.includes(what), stderr);
      assertEquals([...Deno.readDirSync(folder)].length, 1);
      await Deno.remove(path);
    }
  }));

Deno.test("export adds to the variances what PyTorch's epsilon lacks", () =>
  inFolder(async (folder) => {
    const graph = architecture("resnet8");
    const path = `${folder}/net.onnx`;
    const epsilon = 1e-3;
    await Deno.writeFile(path, encodeOnnx(graph, initialise(graph, 1, "in"), { epsilon }));
    const { code, stdout, stderr } = await run(
      ...["report", "export.ts", "--weights", path, "--to", "safetensors"] as const,
    );
    assertEquals(code, 0, stderr);
    assert(stdout.includes("epsilon was 0.001"), stdout);
    const { tensors } = decodeSafetensors(await Deno.readFile(`${folder}/net.safetensors`));
    // 1 and 0.001 is what (1 + 0.00099) and 0.00001 is.
    assertEquals([...tensors.get("bn1.running_var")!.data.slice(0, 2)], [
      Math.fround(1.00099),
      Math.fround(1.00099),
    ]);
    assertEquals(tensors.get("bn1.weight")!.data[0], 1);
  }));

Deno.test("export writes beside a folder of weights, however it is written", () =>
  inFolder(async (folder) => {
    await Deno.mkdir(`${folder}/net.v2`);
    const weights = initialise(architecture("resnet8", { shortcut: "B" }), 1, "in");
    await Deno.writeFile(`${folder}/net.v2/model.safetensors`, encodeSafetensors(weights));
    const { code, stderr } = await run(
      ...["report", "export.ts", "--weights", `${folder}/net.v2/`, "--to", "pytorch"] as const,
    );
    assertEquals(code, 0, stderr);
    const names = (path: string) => [...Deno.readDirSync(path)].map(({ name }) => name).toSorted();
    assertEquals(names(folder), ["net.v2", "net.v2.pth"]);
    assertEquals(names(`${folder}/net.v2`), ["model.safetensors"]);
  }));

Deno.test("export writes over nothing that it reads, however its path is spelled", () =>
  inFolder(async (folder) => {
    const path = `${folder}/model.safetensors`;
    const weights = encodeSafetensors(initialise(architecture("resnet8"), 1, "in"));
    await Deno.writeFile(path, weights);
    for (const read of [`${folder}/./model.safetensors`, folder]) {
      const { code, stderr } = await run(
        ...[
          "report",
          "export.ts",
          "--weights",
          read,
          "--to",
          "safetensors",
          "--out",
          path,
        ] as const,
      );
      assertEquals(code, 1, stderr);
      assert(stderr.includes("would be written over"), stderr);
      assertEquals(await Deno.readFile(path), weights);
    }
  }));

Deno.test("flags that say nothing where they stand are refused", async () => {
  const table: readonly (readonly [string, readonly string[], string])[] = [
    ["summary.ts", ["net.pth", "--arch", "resnet56"], "--arch is of a network that is named"],
    ["summary.ts", ["--layers", "--batch", "8"], "--batch is for the table of blocks"],
    ["summary.ts", ["resnet32"], "the network of that name is --arch resnet32"],
    ["export.ts", ["run", "--to", "tensorboard", "--weights", "w"], "--weights is of a network"],
    [
      "imagenet.ts",
      ["--train", "a", "--out", "b", "--classes", "c"],
      "--classes says what the ids",
    ],
  ];
  for (const [script, args, message] of table) {
    const { code, stderr } = await run("report", script, ...args);
    assertEquals(code, 2, stderr);
    assert(stderr.includes(message), stderr);
  }
});

Deno.test("usage errors exit with 2, others with 1, without a stack and without leftovers", () =>
  inFolder(async (folder) => {
    const table: [string[], number, string][] = [
      [["--bach", "8"], 2, "did you mean --batch?"],
      [["--batch", "eight"], 2, `--batch must be a whole number from 1, found "eight"`],
      [["--arch", "resnet21"], 1, "the nearest are 20 and 26"],
      [["--engine", "abacus"], 1, "abacus"],
      [["--data", `${folder}/none`, "--out", `${folder}/run`], 1, `${folder}/none`],
      [["--weights", `${folder}/none.th`], 1, "could not be read"],
    ];
    for (const [args, status, message] of table) {
      const { code, stdout, stderr } = await run("train", "train.ts", ...args);
      assertEquals(code, status, stderr);
      assert(stderr.includes("error: ") && stderr.includes(message), stderr);
      assert(!stderr.includes("    at "), stderr);
      assertEquals(stdout, "");
    }
    assertEquals([...Deno.readDirSync(folder)], []);
  }));

Deno.test("summary tells the network of a file, as evaluate and train do", () =>
  inFolder(async (folder) => {
    const path = `${folder}/net.safetensors`;
    const weights = initialise(architecture("resnet32"), 1, "in");
    const renamed = new Map([...weights].map(([name, tensor]) => [`module.s.${name}`, tensor]));
    await Deno.writeFile(path, encodeSafetensors(renamed));
    const { code, stdout, stderr } = await run("summary", "summary.ts", path, "--json");
    assertEquals(code, 0, stderr);
    const { name, parameters } = JSON.parse(stdout);
    assertEquals([name, parameters], ["resnet32", 464_154]);
  }));

Deno.test("a missing permission is said with the flag that grants it", async () => {
  const { code, stderr } = await run("", "report.ts", "runs/none");
  assertEquals(code, 1);
  assert(stderr.includes("Add --allow-read before the script's name"), stderr);
});

Deno.test("report names what can't be read, and its status says so", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/README.md`, "no run");
    const file = await run("report", "report.ts", `${folder}/README.md`);
    assertEquals(file.code, 1);
    assert(!file.stderr.includes("unexpected") && file.stderr.includes("README.md"), file.stderr);
    const job = fileURLToPath(new URL("../reports/reference/resnet20-4000", import.meta.url));
    const committed = `${job}/runs/resnet20-seed0`;
    const set = await run("report", "report.ts", committed, `${folder}/none`, "--out", folder);
    assertEquals(set.code, 1);
    assert(/^error: none is left out: .*no events\.jsonl/.test(set.stderr), set.stderr);
    // The committed results are reported on again as they lie there.
    const again = await run("report", "report.ts", job, "--out", `${folder}/again`);
    assertEquals([again.code, again.stderr], [0, ""]);
  }));

Deno.test("a run is stopped, gone on with, finished, reported and evaluated", () =>
  inFolder(async (folder) => {
    const out = `${folder}/run`;
    const args = [...SMALL, "--iterations", "6", "--out", out, "--json", "--threads", "1"];
    const stopped = await run("train", "train.ts", ...args, "--stop-after", "4");
    assertEquals(stopped.code, 0, stopped.stderr);
    assertEquals(JSON.parse(stopped.stdout), {
      ...{ outcome: "stopped", folder: out, iteration: 4, reason: "--stop-after 4" },
    });
    const finished = await run("train", "train.ts", ...args);
    assertEquals(finished.code, 0, finished.stderr);
    assert(finished.stderr.includes("going on from iteration 4 of 6"), finished.stderr);
    const result = JSON.parse(finished.stdout);
    assertEquals([result.outcome, result.iteration, result.testImages], ["finished", 6, 2000]);
    assert(result.notice.includes("not CIFAR"), result.notice);

    const evaluated = await run(
      ...["evaluate", "evaluate.ts", "--weights", `${out}/weights.safetensors`, "--json"] as const,
      ...["--threads", "1"],
    );
    assertEquals(evaluated.code, 0, evaluated.stderr);
    const { errors, dataset, architecture } = JSON.parse(evaluated.stdout);
    assertEquals([errors, dataset], [result.testErrors, "shapes10"]);
    assertEquals(architecture.name, "resnet8");

    const report = await run("report", "report.ts", out);
    assertEquals(report.code, 0, report.stderr);
    assertEquals(report.stdout, `report: ${out}/report.html\n`);

    // As after a kill between the end and the report: the same command writes it.
    await Deno.remove(`${out}/report.html`);
    const again = await run("train", "train.ts", ...args.filter((arg) => arg !== "--json"));
    assertEquals(again.code, 0, again.stderr);
    assert(again.stdout.includes("this run had finished before"), again.stdout);
    assert((await Deno.stat(`${out}/report.html`)).isFile);
  }));

for (const [signal, status] of [["SIGINT", 130], ["SIGTERM", 143]] as const) {
  Deno.test({
    name: `${signal} saves the step and exits with ${status}`,
    ignore: Deno.build.os === "windows",
    fn: () =>
      inFolder(async (folder) => {
        const args = [...SMALL, "--out", `${folder}/run`, "--log-every", "1", "--threads", "1"];
        const child = spawn("train", "train.ts", ...args);
        const stdout = new Response(child.stdout).text();
        const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
        let shown = "";
        while (!shown.includes("iteration 2/64,000")) {
          const { value, done } = await reader.read();
          assert(!done, shown);
          shown += value;
        }
        child.kill(signal);
        while (!(await reader.read()).done);
        const { code } = await child.status;
        assertEquals(code, status);
        const text = await stdout;
        const iteration = /stopped at iteration ([\d,]+)/.exec(text)?.[1].replaceAll(",", "");
        assert(text.includes("To go on:\n  deno task train --arch resnet8"), text);
        await Deno.stat(`${folder}/run/checkpoint-${iteration}.safetensors`);
        const log = await Deno.readTextFile(`${folder}/run/events.jsonl`);
        const last = JSON.parse(log.trimEnd().split("\n").at(-1)!);
        assertEquals([last.type, String(last.iteration), last.reason], ["stop", iteration, signal]);
      }),
  });
}
