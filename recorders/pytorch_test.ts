/** PyTorch's recorder: what it leaves behind is read by our reader, and no training is changed. */
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { auditRecording } from "../audit/recording/mod.ts";
import { linesOf, readRecording, type Recording } from "../log/mod.ts";
import { type Ended, pythonTest, runProgram } from "../testing/mod.ts";

const RECORDER = here("pytorch.py");

function here(name: string): string {
  return decodeURIComponent(new URL(name, import.meta.url).pathname);
}

/** The name is the same everywhere: `torch.save` writes it into the file. */
const WEIGHTS = "weights.pt";

async function inFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs Python on one thread: sums are in the same order each time. */
async function python(args: readonly string[], folder: string): Promise<Ended> {
  await Deno.mkdir(folder, { recursive: true });
  return await runProgram("python3", args, folder, { OMP_NUM_THREADS: "1" });
}

async function alone(script: string, folder: string): Promise<Ended> {
  return await python([here(`_fixtures/${script}`), WEIGHTS], folder);
}

async function recorded(
  script: string,
  folder: string,
  ...options: readonly string[]
): Promise<Ended> {
  const out = options.includes("--out") ? [] : ["--out", "recording"];
  const command = [...out, ...options, "--", here(`_fixtures/${script}`), WEIGHTS];
  return await python([RECORDER, ...command], folder);
}

async function digest(path: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", await Deno.readFile(path));
  return new Uint8Array(bytes).toHex();
}

/** Reads a recording with every file that its lines name, as an audit may. */
async function read(folder: string): Promise<Recording> {
  const recording = await readRecording(folder);
  for (const line of recording.lines) {
    for (const key of ["file", "indices"] as const) {
      const file = (line as unknown as Record<string, unknown>)[key];
      if (typeof file !== "object" || file === null || !("path" in file)) continue;
      const named = file as { path: string; sha256: string; bytes: number };
      assert(await recording.arrays(named), recording.notes.join("\n"));
    }
  }
  assertEquals(
    recording.notes.filter((note) => !note.includes("is cut off")),
    [],
    "everything that is written is read",
  );
  assertEquals(linesOf(recording.lines, "warning").map(({ message }) => message), []);
  return recording;
}

for (
  const [script, expected] of [
    ["plain.py", { steps: 24, evaluations: 4, loaders: 3, called: "module" }],
    ["accumulating.py", { steps: 32, evaluations: 4, loaders: 2, called: "module" }],
    ["functional.py", { steps: 24, evaluations: 3, loaders: 0, called: "functional" }],
  ] as const
) {
  pythonTest(
    `${script} has the same weights, bit for bit, when it is recorded`,
    ["torch"],
    () =>
      inFolder(async (folder) => {
        const unseen = await alone(script, `${folder}/alone`);
        assertEquals(unseen.code, 0, unseen.errors);
        // Nothing is written through a link that somebody has put there.
        await Deno.mkdir(`${folder}/recorded/recording`, { recursive: true });
        await Deno.writeTextFile(`${folder}/foreign`, "another's");
        for (const name of ["weights-start.safetensors", "weights-start.safetensors.part"]) {
          await Deno.symlink(`${folder}/foreign`, `${folder}/recorded/recording/${name}`);
        }
        const seen = await recorded(script, `${folder}/recorded`);
        assertEquals(seen.code, 0, seen.errors);
        assertEquals(await Deno.readTextFile(`${folder}/foreign`), "another's");
        assertEquals(seen.errors.includes("pytorch recorder"), false, seen.errors);
        assertEquals(seen.output, unseen.output);
        assertEquals(
          await digest(`${folder}/recorded/${WEIGHTS}`),
          await digest(`${folder}/alone/${WEIGHTS}`),
        );
        const { lines } = await read(`${folder}/recorded/recording`);
        assertEquals(
          {
            steps: linesOf(lines, "step").reduce((sum, { steps }) => sum + steps, 0),
            evaluations: linesOf(lines, "evaluation").length,
            loaders: linesOf(lines, "loader").length,
            called: linesOf(lines, "network")[0].class === "function" ? "functional" : "module",
          },
          expected,
        );
        assertEquals(linesOf(lines, "end").map(({ reason }) => reason), ["finished"]);
      }),
  );
}

pythonTest(
  "a training killed at ten random moments leaves a recording that audits",
  ["torch"],
  () =>
    inFolder(async (folder) => {
      const count = 10;
      const args = [RECORDER, here("_fixtures/plain.py"), folder, `${count}`];
      const { code, output, errors } = await python([here("_fixtures/killed.py"), ...args], folder);
      assertEquals(code, 0, errors);
      const steps = output.trim().split("\n").map((line) => Number(line.split(" ")[1]));
      assertEquals(steps.length, count);
      for (const [number, written] of steps.entries()) {
        const path = `${folder}/killed-${number}`;
        const recording = await read(path);
        const found = linesOf(recording.lines, "step").length;
        assert(found <= written, `at most ${written} steps are whole lines, found ${found}`);
        assert(found >= written - 1, `all but a last line is whole: of ${written} found ${found}`);
        assertEquals(linesOf(recording.lines, "end"), []);
        const { report } = await auditRecording(path, recording);
        assert(report.judgements.length > 20, report.verdict.join("\n"));
        // Noise as images, and so few of them: never is all as the paper has it.
        assert(report.status === 1 || report.status === 3);
      }
    }),
);

pythonTest(
  "where nothing can be written it says so, and the training goes on",
  ["torch"],
  () =>
    inFolder(async (folder) => {
      const unseen = await alone("accumulating.py", `${folder}/alone`);
      const whole = await digest(`${folder}/alone/${WEIGHTS}`);
      await Deno.mkdir(`${folder}/used/recording`, { recursive: true });
      await Deno.writeTextFile(`${folder}/used/recording/recording.jsonl`, "another's\n");
      await Deno.mkdir(`${folder}/unwritable`);
      // Also for root, whom no permission stops.
      await Deno.writeTextFile(`${folder}/unwritable/file`, "");
      const script = [here("_fixtures/accumulating.py"), WEIGHTS];
      for (
        const [name, word, run] of [
          [
            "used",
            "it holds a recording already; give another",
            () => recorded("accumulating.py", `${folder}/used`),
          ],
          [
            "unwritable",
            "Not a directory",
            () => recorded("accumulating.py", `${folder}/unwritable`, "--out", "file/recording"),
          ],
          // A file may grow to 30 kB: the weights fit, a batch of images does not.
          [
            "full",
            "File too large",
            () =>
              python(
                ["-c", LIMITED, RECORDER, "--out", "recording", "--", ...script],
                `${folder}/full`,
              ),
          ],
        ] as const
      ) {
        const { code, output, errors } = await run();
        assertEquals(code, 0, errors);
        const words = errors.trim().split("\n").filter((line) =>
          line.startsWith("pytorch recorder")
        );
        assertEquals(words.length, 1, errors);
        assertStringIncludes(words[0], word);
        assertStringIncludes(words[0], "the training goes on");
        assertEquals(output, unseen.output);
        assertEquals(await digest(`${folder}/${name}/${WEIGHTS}`), whole, name);
      }
      assertEquals(
        await Deno.readTextFile(`${folder}/used/recording/recording.jsonl`),
        "another's\n",
      );
      const { lines } = await readRecording(`${folder}/full/recording`);
      assertEquals(lines[0].type, "start");
    }),
);

const LIMITED = `
import resource, runpy, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
`;

pythonTest(
  "a script for CUDA is recorded on the CPU, for as many steps as asked for",
  ["torch"],
  () =>
    inFolder(async (folder) => {
      const unseen = await alone("gpu.py", `${folder}/alone`);
      assertStringIncludes(unseen.errors, "a GPU is needed");
      const { code, output, errors } = await recorded("gpu.py", folder, "--cpu", "--steps", "11");
      assertEquals(code, 0, errors);
      // Three steps into the second epoch its loop ends early, and its test follows.
      assert(/epoch 1: .* right\n$/.test(output), output);
      const { start, lines } = await read(`${folder}/recording`);
      assertEquals([start.stopAfter, start.worldSize, start.devices], [11, 1, []]);
      assertEquals(linesOf(lines, "step").map(({ iteration }) => iteration).at(-1), 11);
      assertEquals(linesOf(lines, "evaluation").map(({ images }) => images), [64, 64]);
      assertEquals(
        linesOf(lines, "epoch").filter(({ border, cut }) => border === "end" && cut)
          .map(({ batches }) => batches),
        // The epoch that the script began after it was cut off before its first step.
        [3, 1],
      );
      assertEquals(linesOf(lines, "end").map(({ reason }) => reason), ["steps"]);
      assertEquals(linesOf(lines, "loss").map(({ weight }) => weight), [Array(10).fill(1)]);
    }),
);

/** What `_fixtures/loops.py` prints of a training. */
interface Counted {
  readonly name: string;
  readonly same: boolean;
  readonly losses?: readonly number[];
  readonly wrong?: readonly number[];
  readonly passes?: number;
  readonly skipped?: number;
  /** Seconds from asking for batches to having them, epoch by epoch. */
  readonly waited?: readonly number[];
  /** Of the first norm, as it was loaded. */
  readonly mean?: readonly number[];
}

pythonTest(
  "loops of many kinds are seen as they are, and not changed",
  ["torch"],
  (t) =>
    inFolder(async (folder) => {
      // As somebody has it in their own project: a copy, beside their code.
      await Deno.copyFile(RECORDER, `${folder}/pytorch_recorder.py`);
      await Deno.copyFile(here("_fixtures/loops.py"), `${folder}/loops.py`);
      const { code, output, errors } = await python(["loops.py", "recordings"], folder);
      assertEquals(code, 0, errors);
      const kinds = output.trim().split("\n").map((line) => JSON.parse(line) as Counted);
      assertEquals(kinds.map(({ name }) => name).sort(), Object.keys(LOOPS).sort());
      for (const counted of kinds) {
        await t.step(counted.name, async () => {
          assertEquals(counted.same, true, "the weights are the same, bit for bit");
          const recording = await read(`${folder}/recordings/${counted.name}`);
          assertEquals(recording.start.recorder.name, "pytorch");
          checkCounts(recording, counted);
          await LOOPS[counted.name](recording, counted);
        });
      }
    }),
);

/** Losses and errors as the training itself counted them. */
function checkCounts(
  { lines }: Recording,
  { name, losses, wrong, passes, skipped = 0 }: Counted,
): void {
  const batches = linesOf(lines, "batch").filter(({ phase }) => phase === "training");
  // The first call of a `forward` is what tells that it is called by hand.
  const unseen = name === "forward_by_hand" ? 1 : 0;
  if (passes !== undefined) assertEquals(batches.length, passes);
  if (losses !== undefined) {
    const found = batches.map(({ loss }) => loss);
    // A pupil's is the sum of several.
    if (name === "networks") assertEquals(found.length, losses.length);
    else assertEquals(found, losses.slice(unseen));
  }
  assertEquals(linesOf(lines, "step").filter((step) => step.skipped).length, skipped);
  if (wrong !== undefined) {
    // Without a loader: a look at noise.
    const tests = linesOf(lines, "evaluation").filter(({ loader }) => loader !== undefined);
    assertEquals(tests.map(({ errors }) => errors), [...wrong]);
  }
}

/** The distinct values of what each line gives, in the order in which they first appear. */
function distinct<Item, Value>(items: readonly Item[], of: (item: Item) => Value): Value[] {
  return [...new Set(items.map(of))];
}

/** What each kind has that others have not. */
const LOOPS: Readonly<
  Record<string, (recording: Recording, counted: Counted) => void | Promise<void>>
> = {
  closure: ({ lines }) => {
    assertEquals(distinct(linesOf(lines, "step"), ({ passes }) => passes), [1]);
    assertEquals(distinct(linesOf(lines, "step"), ({ cleared }) => cleared), [true]);
  },
  lbfgs: ({ lines }) => {
    assertEquals(linesOf(lines, "step").map(({ passes }) => passes), [3, 3, 3, 3]);
    assertEquals(linesOf(lines, "optimizer")[0].class, "torch.optim.lbfgs.LBFGS");
  },
  accumulation: ({ lines }) => {
    assertEquals(linesOf(lines, "step").map(({ images }) => images), [64, 64, 64, 64]);
    assertEquals(distinct(linesOf(lines, "step"), ({ backwards }) => backwards), [2]);
    assertEquals(linesOf(lines, "loss").map(({ scaled }) => scaled), [0.5]);
    // Cleared by zeros, not by none: of the second step on that is seen in the gradient itself.
    assertEquals(distinct(linesOf(lines, "step").slice(1), ({ cleared }) => cleared), [true]);
  },
  amp: ({ lines }) => {
    assertEquals(linesOf(lines, "network")[0].autocast, "bfloat16");
    // The scaler's factor, and what it does to gradients, is taken back from the first step on.
    assertEquals(linesOf(lines, "loss").map(({ scaled }) => scaled), [1]);
    const norms = linesOf(lines, "step").flatMap(({ checked, clips }) =>
      checked?.backwardNorm === undefined ? [] : [[checked.backwardNorm, clips![0].norm!]]
    );
    assert(norms.length > 0);
    for (const [norm, unscaled] of norms) assertAlmostEquals(norm, unscaled, 1e-5);
    assertEquals(linesOf(lines, "end")[0].optimizerSteps, { 1: 7 });
    assertEquals(distinct(linesOf(lines, "step"), ({ clips }) => clips?.[0].max), [1]);
    replaysFit(lines);
  },
  data_parallel: ({ lines }) => {
    assertEquals(linesOf(lines, "network")[0].wrappers, ["DataParallel"]);
    assertEquals(linesOf(lines, "network")[0].parameters[0].name, "body.0.weight");
  },
  compiled: ({ lines }) => {
    assertEquals(linesOf(lines, "network")[0].wrappers, ["OptimizedModule"]);
    assertEquals(kindsOf(lines), EAGER);
  },
  compiled_in_place: ({ lines }) => assertEquals(kindsOf(lines), EAGER),
  optimizers: ({ lines }) => {
    const steps = Map.groupBy(linesOf(lines, "step"), ({ optimizer }) => optimizer);
    assertEquals([...steps].map(([id, of]) => [id, of.length]), [[1, 8], [2, 8]]);
    assertEquals(linesOf(lines, "end")[0].schedulerCalls, { 1: 2, 2: 2 });
    assertEquals(linesOf(lines, "parameters").at(-1)!.unheld, []);
    assertEquals(
      linesOf(lines, "scheduler-step").map(({ scheduler, before, after }) => [
        scheduler,
        before[0] / after[0],
      ]),
      [[1, 2], [2, 2], [1, 2], [2, 2]],
    );
    replaysFit(lines);
  },
  networks: ({ lines }) => {
    // The teacher is asked about training images: that is no evaluation. The average is tested.
    assertEquals(linesOf(lines, "evaluation").map(({ network }) => network), [2, 3, 2, 3]);
    const trained = linesOf(lines, "batch").filter(({ phase }) => phase === "training");
    assertEquals(distinct(trained, ({ network }) => network), [2]);
    assert(trained.every(({ labels }) => labels?.every((label) => label >= 0)));
    assertEquals(distinct(linesOf(lines, "step"), ({ passes }) => passes), [1]);
  },
  averaged: ({ lines }) => {
    assertEquals(
      linesOf(lines, "network").map(({ wrappers, copyOf }) => [wrappers, copyOf]),
      [[[], undefined], [["AveragedModel"], 1]],
    );
    assertEquals(linesOf(lines, "evaluation").map(({ network }) => network), [1, 2]);
  },
  workers: ({ lines }) => {
    assertEquals(linesOf(lines, "loader").map(({ workers }) => workers), [2, 0]);
    const ends = linesOf(lines, "epoch").filter(({ border }) => border === "end");
    assertEquals(ends.map(({ loader, distinct }) => [loader, distinct]), [
      [1, 128],
      [2, 32],
      [1, 128],
      [2, 32],
    ]);
    assert(ends[0].order !== ends[2].order);
  },
  slow_loader: ({ lines }, { waited }) => {
    const epochs = Map.groupBy(linesOf(lines, "step"), ({ epoch }) => epoch);
    const [first, beside] = [1, 2].map((epoch) => {
      const steps = epochs.get(epoch)!;
      const wait = steps.reduce((sum, { waitSeconds }) => sum + waitSeconds!, 0);
      const seconds = steps.reduce((sum, { seconds }) => sum + seconds!, 0);
      return { wait, computing: seconds - wait };
    });
    // 128 images of a millisecond each: no less, and no more than the script waited itself.
    assert(first.wait >= 0.128 && first.wait <= waited![0], `${first.wait} of ${waited![0]}`);
    assert(first.computing >= 4 * 0.02, `${first.computing}`);
    assertEquals(beside.wait, 0);
  },
  forward_by_hand: async (recording) => {
    const { lines } = recording;
    assertEquals(await startingMean(recording), Array(8).fill(0));
    const [network] = linesOf(lines, "network");
    assertEquals(network.class, "__main__.Net");
    assertEquals(linesOf(lines, "parameters").at(-1)!.unheld, []);
  },
  lightning_like: ({ lines }) => {
    assertEquals(
      linesOf(lines, "scheduler-step").map(({ place, stepsSince }) => [place, stepsSince]),
      [["epoch", 4], ["epoch", 4]],
    );
    indicesFit(lines);
  },
  prefetched: ({ lines }) => {
    indicesFit(lines);
    assertEquals(linesOf(lines, "evaluation").map(({ images }) => images), [72, 72]);
  },
  first_left_out: ({ lines }) => {
    const trained = linesOf(lines, "batch").filter(({ phase }) => phase === "training");
    assertEquals(trained.map(({ indices }) => indices), [undefined, undefined, undefined]);
  },
  hugging_like: ({ lines }) => {
    assertEquals(distinct(linesOf(lines, "scheduler-step"), ({ place }) => place), ["batch"]);
    const [scheduler] = linesOf(lines, "scheduler");
    assertEquals(scheduler.settings.constants, [1, 8]);
    replaysFit(lines);
  },
  looked_at: async (recording) => {
    assertEquals(await startingMean(recording), Array(8).fill(0));
    const { report } = await auditRecording("looked at", recording);
    const found = report.judgements.filter(({ outcome }) => outcome === "fail");
    assertEquals(found.filter(({ id }) => ["evaluation-mode", "from-scratch"].includes(id)), []);
  },
  loaded_later: async (recording, { mean }) => {
    assertEquals(await startingMean(recording), mean!.map(Math.fround));
  },
  mixed_images: ({ lines }) => {
    const batches = linesOf(lines, "batch").filter(({ phase }) => phase === "training");
    const [two, shares] = [1, 2].map((epoch) => batches.filter((one) => one.epoch === epoch));
    assertEquals(distinct(two, ({ labels }) => labels), [undefined]);
    assertEquals(distinct(two, ({ errors }) => errors), [undefined]);
    // Known where both images are of one class.
    const known = shares.flatMap(({ labels }) => [...labels!].filter((label) => label >= 0));
    assert(known.length > 0 && known.length < 64, `${known.length} of 128`);
    // Of single images they are what they were.
    const tests = linesOf(lines, "batch").filter(({ phase }) => phase === "evaluation");
    assert(tests.every(({ labels }) => labels?.every((label) => label >= 0)));
  },
  made_anew: ({ lines }) => {
    const loaders = linesOf(lines, "loader");
    assertEquals(
      loaders.map(({ size, indices, indicesLeftOut }) => [size, indices?.bytes, indicesLeftOut]),
      [[96, loaders[0].indices!.bytes, undefined], [32, undefined, undefined], [
        1_300_000,
        undefined,
        true,
      ]],
    );
    const ends = linesOf(lines, "epoch").filter(({ border }) => border === "end");
    assertEquals(ends.slice(0, 4).map(({ loader, epoch, batches }) => [loader, epoch, batches]), [
      ...[[1, 1, 3], [2, 1, 1]],
      ...[[1, 2, 3], [2, 2, 1]],
    ]);
    const tests = linesOf(lines, "evaluation");
    assertEquals(tests.map(({ loader, number }) => [loader, number]), [[2, 1], [2, 2]]);
  },
  remade: ({ lines }) => {
    const steps = linesOf(lines, "step");
    assertEquals(steps.map(({ iteration }) => iteration), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assertEquals(distinct(steps, ({ optimizer }) => optimizer), [1, 2, 3]);
    assertEquals(linesOf(lines, "end")[0].optimizerSteps, { 1: 3, 2: 3, 3: 3 });
    assertEquals(
      linesOf(lines, "loader").map(({ size, reachable }) => [size, reachable]),
      [[128, 96], [32, undefined]],
    );
    replaysFit(lines);
  },
  fused: async (recording) => {
    const steps = linesOf(recording.lines, "step");
    assertEquals(steps.map(({ skipped }) => skipped), [undefined, true, undefined, undefined]);
    assertEquals(steps.map(({ checked }) => checked === undefined), [false, true, false, false]);
    const { report } = await auditRecording("fused", recording);
    const { outcome, evidence } = report.judgements.find(({ id }) => id === "finite")!;
    assertEquals(outcome, "pass", evidence);
  },
  features: ({ lines }) => {
    const graph = linesOf(lines, "graph").find(({ phase }) => phase === "training")!;
    const last = graph.nodes.at(-1)!;
    assertEquals([graph.outputs.length, graph.outputs[1]], [2, last.outputs[0].value]);
  },
  sharp: ({ lines }) => {
    const steps = linesOf(lines, "step");
    assertEquals(steps.map(({ passes, backwards }) => [passes, backwards]), Array(4).fill([2, 1]));
  },
  penalised: ({ lines }) => {
    const penalties = linesOf(lines, "loss").map(({ penalty }) => penalty);
    assertEquals(penalties, [false, false, false, true, true]);
  },
  gone_on: ({ lines }) => {
    const resumed = linesOf(lines, "optimizer").map((line) => line.resumed);
    assertEquals(resumed, [true, undefined]);
  },
  softmax_far_below: async (recording) => {
    const { lines } = recording;
    const { report } = await auditRecording("softmax", recording);
    const found = report.judgements.find(({ id }) => id === "gradients-cleared")!;
    assertEquals(found.outcome, "fail", found.evidence);
    assertEquals(linesOf(lines, "loss").map(({ softmaxBelow, chain }) => [softmaxBelow, chain]), [[
      true,
      ["NllLossBackward0", "LogSoftmaxBackward0", "DivBackward0", "SoftmaxBackward0"],
    ]]);
  },
  unusual: ({ lines }) => {
    const [{ norms, output }] = linesOf(lines, "network");
    assertEquals(output, undefined);
    assertEquals(norms.map(({ class: name, eps, momentum }) => [name, eps, momentum]), [
      ["OwnNorm", undefined, undefined],
      ["BatchNorm2d", 1e-5, 0.1],
    ]);
    assertEquals(linesOf(lines, "loss").map(({ scaled }) => scaled), [Infinity]);
    assertEquals(linesOf(lines, "optimizer")[0].groups[0].learningRate, undefined);
    const [{ values }] = linesOf(lines, "save");
    assertEquals(values, { epoch: 1, is_best: true, best: "NaN" });
  },
};

/** The running mean of the first norm before the training. */
async function startingMean({ lines, arrays }: Recording): Promise<number[]> {
  const [{ file }] = linesOf(lines, "file");
  return [...(await arrays(file))!.floats("body.1.running_mean")!.data];
}

/** Batches are fetched ahead, and each pass still has the indices of its own. */
function indicesFit(lines: Recording["lines"]): void {
  const hashes = new Map<number, bigint>();
  for (const { phase, indices, hashes: of } of linesOf(lines, "batch")) {
    if (phase !== "training") continue;
    for (const [i, index] of indices!.entries()) {
      assertEquals(hashes.get(index) ?? of![i], of![i], `image ${index} has one hash`);
      hashes.set(index, of![i]);
    }
  }
  assertEquals(hashes.size, 128);
  assertEquals(new Set(hashes.values()).size, 128);
}

/** The formula of the optimiser's class gives the update that was made. */
function replaysFit(lines: Recording["lines"]): void {
  const replays = linesOf(lines, "step").flatMap(({ checked }) => checked?.replay ?? []);
  assert(replays.length > 0);
  for (const { parameter, predicted } of replays) {
    assert(predicted! < 1e-3, `${parameter}: the update is off by ${predicted} of its size`);
  }
}

function kindsOf(lines: Recording["lines"]): string[] {
  const graph = linesOf(lines, "graph").find(({ phase }) => phase === "training")!;
  return graph.nodes.map(({ kind }) => kind);
}

/** The operations of `Net`, as a pass without a compiler has them. */
const EAGER = [
  ...["convolution", "batch-norm", "relu", "convolution", "batch-norm", "relu"],
  ...["mean", "dense"],
];

pythonTest(
  "a script that ends before PyTorch is there leaves no folder in the way",
  [],
  () =>
    inFolder(async (folder) => {
      await Deno.writeTextFile(`${folder}/broken.py`, "import nothing_of_this_name\n");
      const { code, errors } = await python(
        [RECORDER, "--out", "recording", "--", "broken.py"],
        folder,
      );
      assertEquals(code, 1);
      assertStringIncludes(errors, "ModuleNotFoundError");
      assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["broken.py"]);
    }),
);
