/**
 * How the WASM engine's cost grows with its work:
 *
 *   flat    resident memory over a training of 2,000 steps
 *   memory  the peak of a whole training's resident memory, beside PyTorch's
 *   depth   step time against multiply-adds, ResNet-20 to 110
 *   batch   step time against images, 32 to 512
 *   limits  networks that pass the 4 GiB of a 32-bit memory
 *
 * Step times are taken in turn and held against a line; how far they lie from it
 * is what does not grow as the work does.
 *
 * `deno run --v8-flags=$(deno task -q v8-flags) --allow-run --allow-read --allow-write
 * bench/scaling.ts --data cifar-10-batches-bin`
 */
import { join, resolve } from "node:path";
import { choice, COMMON, type FlagValues, integer, main, type Outcome, text } from "../cli/mod.ts";
import { loadDataset } from "../data/mod.ts";
import { EngineError } from "../engine/mod.ts";
import { wasmEngine } from "../engine/wasm/mod.ts";
import { architecture, countMultiplyAdds } from "../resnet/mod.ts";
import { forDataset, paper, withImages, withIterations } from "../recipes/mod.ts";
import { train } from "../train/mod.ts";
import { LAYOUTS, peerArguments, runChild, trainArguments } from "./_child.ts";
import { type Contender, engineContender, PAPER_STEP } from "./_contender.ts";
import { leastSquares, relativeLine } from "./_line.ts";
import { median, timeInTurn } from "./_rounds.ts";
import { table } from "./_table.ts";

/**
 * In this order: Linux counts the parent's peak as its child's, so programs whose peak is asked
 * for are started before this one has had large networks in its memory.
 */
const PARTS = ["flat", "memory", "depth", "batch", "limits"] as const;
const DEPTHS = [20, 32, 44, 56, 110];
const BATCHES = [32, 64, 128, 256, 512];
/** Whole trainings of a few steps whose memory is measured. */
const MEASURED = [
  { arch: "resnet20", batch: 128 },
  { arch: "resnet20", batch: 512 },
  { arch: "resnet110", batch: 128 },
];
const MEASURED_STEPS = 5;
const BEYOND = [{ arch: "resnet110", batch: 512 }, { arch: "resnet1202", batch: 128 }];
/** A small net, so that many steps take little time; what could grow with steps is the same. */
const FLAT = { arch: "resnet8", batch: 16, steps: 2000 };

const FLAGS = {
  part: choice(PARTS, "one of them; all by default"),
  rounds: integer("timed rounds; 9 by default", 1),
  threads: integer("CPU threads; all cores by default", 1, 1024),
  data: text("FOLDER", "CIFAR-10's binary files: memory is then measured with them as well"),
  peer: choice([...LAYOUTS, "none"], "PyTorch's layout for memory; channels_last by default"),
  ...COMMON,
} as const;

const command = {
  usage: "deno run bench/scaling.ts",
  summary: "Measures how step time and memory grow with depth, batch and steps.",
  flags: FLAGS,
} as const;

/** What a part found, for people and for programs. */
type Part = Pick<Outcome, "text" | "json">;

/** One point of a table against a line. */
interface Point {
  readonly name: string;
  readonly arch: string;
  readonly batch: number;
  /** In the line's unit. */
  readonly work: number;
}

/** Times points in turn and holds them against the line through them all. */
async function againstLine(
  title: string,
  unit: string,
  points: readonly Point[],
  rounds: number,
  threads: number,
): Promise<Part> {
  const contenders: Contender[] = [];
  try {
    for (const { arch, batch } of points) {
      contenders.push(await engineContender({ arch, batch, threads }, "wasm"));
    }
    const times = await timeInTurn(
      contenders,
      { counted: rounds, warmUp: 2 },
      (contender) => contender.train(1),
    );
    const medians = times.map(median);
    const line = relativeLine(points.map(({ work }, i) => ({ x: work, y: medians[i] })));
    const rows = points.map(({ name, work }, i) => {
      const expected = line.intercept + line.slope * work;
      const deviation = medians[i] / expected - 1;
      return { name, work, median: medians[i], expected, deviation, times: times[i] };
    });
    const largest = Math.max(...rows.map(({ deviation }) => Math.abs(deviation)));
    const head = `${title}: line ${line.intercept.toFixed(1)} ms + ${
      line.slope.toFixed(3)
    } ms x ${unit}; largest deviation ${(100 * largest).toFixed(1)}%`;
    const cells = [
      ["", unit, "median", "min", "line", "deviation"],
      ...rows.map(({ name, work, median, expected, deviation, times }) => [
        ...[name, work.toFixed(0), `${median.toFixed(1)} ms`],
        ...[`${Math.min(...times).toFixed(1)} ms`, `${expected.toFixed(1)} ms`],
        `${deviation > 0 ? "+" : ""}${(100 * deviation).toFixed(1)}%`,
      ]),
    ];
    return { text: `${head}\n${table(cells)}`, json: { line, largestDeviation: largest, rows } };
  } finally {
    for (const contender of contenders) await contender.close();
  }
}

function byDepth(rounds: number, threads: number): Promise<Part> {
  const points = DEPTHS.map((depth) => {
    const arch = `resnet${depth}`;
    return { name: arch, arch, batch: 128, work: countMultiplyAdds(architecture(arch)) / 1e6 };
  });
  return againstLine(
    "step time by depth at batch 128",
    "million multiply-adds an image",
    points,
    rounds,
    threads,
  );
}

function byBatch(rounds: number, threads: number): Promise<Part> {
  const arch = "resnet20";
  const points = BATCHES.map((batch) => ({ name: `batch ${batch}`, arch, batch, work: batch }));
  return againstLine(`step time of ${arch} by batch`, "images", points, rounds, threads);
}

/** Trains with the log running and takes the process's memory after every queue of steps. */
async function flat(threads: number): Promise<Part> {
  const { arch, batch, steps } = FLAT;
  const asked = withImages(paper(arch), { batchSize: batch });
  const recipe = withIterations(forDataset(asked, "shapes10"), steps);
  const folder = await Deno.makeTempDir({ prefix: "flat_" });
  const samples: { x: number; y: number }[] = [];
  try {
    await train({
      recipe,
      seed: 0,
      dataset: () => loadDataset("shapes10", {}),
      engine: wasmEngine,
      engineReason: "measured",
      threads,
      out: join(folder, "run"),
      // The last validation would touch memory for the first time.
      ...{ logEvery: 100, evalEvery: 100, checkpointEvery: 500 },
      versions: {},
      revision: null,
      command: [],
      onProgress: ({ iteration }) => samples.push({ x: iteration, y: Deno.memoryUsage().rss }),
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  // Until then the heap and compiled code reach their size.
  const settled = samples.filter(({ x }) => x > steps / 4);
  const { slope } = leastSquares(settled);
  const sizes = settled.map(({ y }) => y);
  const [low, high] = [Math.min(...sizes), Math.max(...sizes)];
  return {
    text: `memory over ${steps} steps (${arch}, batch ${batch}): ${(slope / 1024).toFixed(2)} ` +
      `KiB a step from step ${steps / 4} on; ${mebibytes(low)} to ${mebibytes(high)} in ` +
      `${settled.length} samples`,
    json: { ...FLAT, bytesPerStep: slope, low, high, samples },
  };
}

/** Runs whole trainings of a few steps, evaluations included, as child processes. */
async function peaks({ data, threads, peer }: {
  readonly data?: string;
  readonly threads: number;
  readonly peer: typeof LAYOUTS[number] | "none";
}): Promise<Part> {
  const folder = await Deno.makeTempDir({ prefix: "memory_" });
  const rows: { name: string; images: string; bytes: number; peerBytes?: number }[] = [];
  const { lastLine: v8Flags } = await runChild("deno", ["task", "-q", "v8-flags"]);
  let runs = 0;
  try {
    for (const path of data === undefined ? [undefined] : [undefined, data]) {
      for (const { arch, batch } of MEASURED) {
        const settings = () => ({
          ...{ arch, batch, threads, iterations: MEASURED_STEPS },
          ...{ data: path, out: join(folder, `${runs++}`) },
        });
        const { lastLine } = await runChild("deno", [
          ...["run", "-q", `--v8-flags=${v8Flags}`, "--preload=bench/_peak_memory.ts"],
          ...["-P=train", "cli/train.ts"],
          ...["--engine", "wasm", ...trainArguments(settings())],
        ]);
        const peerBytes = peer === "none" ? undefined : JSON.parse(
          (await runChild("python3", peerArguments(settings(), peer))).lastLine,
        ).peakBytes;
        rows.push({
          name: `${arch}, batch ${batch}`,
          images: path === undefined ? "built-in" : "CIFAR-10",
          bytes: Number(lastLine),
          ...(peerBytes === undefined ? {} : { peerBytes }),
        });
      }
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const cells = [
    ["", "images", "wasm", ...(peer === "none" ? [] : [`PyTorch ${peer}`, "ratio"])],
    ...rows.map(({ name, images, bytes, peerBytes }) => [
      ...[name, images, mebibytes(bytes)],
      ...(peerBytes === undefined ? [] : [mebibytes(peerBytes), (bytes / peerBytes).toFixed(2)]),
    ]),
  ];
  return { text: `peak resident memory of a whole training\n${table(cells)}`, json: rows };
}

/** What is said of networks that do not fit. */
async function limits(threads: number): Promise<Part> {
  const answers: { arch: string; batch: number; fits: boolean; answer: string }[] = [];
  for (const { arch, batch } of BEYOND) {
    const options = { graph: architecture(arch), batchSize: batch, ...PAPER_STEP, threads };
    try {
      const engine = await wasmEngine.create(options);
      answers.push({ arch, batch, fits: true, answer: mebibytes(engine.memoryBytes) });
      engine.dispose();
    } catch (error) {
      if (!(error instanceof EngineError)) throw error;
      answers.push({ arch, batch, fits: false, answer: error.message });
    }
  }
  const lines = answers.map(({ arch, batch, fits, answer }) =>
    `${arch}, batch ${batch}: ${fits ? "fits in" : "refused:"} ${answer}`
  );
  return { text: ["networks past 4 GiB", ...lines].join("\n"), json: answers };
}

async function bench(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { rounds = 9, threads = navigator.hardwareConcurrency, peer = "channels_last" } = flags;
  const data = flags.data === undefined ? undefined : resolve(flags.data);
  const measure: Record<typeof PARTS[number], () => Promise<Part>> = {
    flat: () => flat(threads),
    memory: () => peaks({ ...(data === undefined ? {} : { data }), threads, peer }),
    depth: () => byDepth(rounds, threads),
    batch: () => byBatch(rounds, threads),
    limits: () => limits(threads),
  };
  const json: Record<string, unknown> = { threads, rounds };
  for (const part of flags.part ? [flags.part] : PARTS) {
    const found = await measure[part]();
    json[part] = found.json;
    // At once: a run may be cut short.
    (flags.json ? console.error : console.log)(`${found.text}\n`);
  }
  return { text: `${threads} threads; ${rounds} timed rounds each, in turn`, json };
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

if (import.meta.main) await main(command, bench);
