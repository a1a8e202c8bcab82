/**
 * Trainings on a folder of photographs:
 *
 *   memory    the peak of a short training's resident memory, on a set and on ten copies of it
 *   empty     what is said of 200,000 empty files, when, and with how much memory
 *   decoding  images a second that workers read, decode and cut, beside what a step takes
 *   training  images a second of a training whose images are read beside it, by number of workers
 *
 * `deno run --v8-flags=$(deno task -q v8-flags) --allow-run --allow-read --allow-write --allow-env
 * bench/photographs.ts --data FOLDER`
 */
import { join, resolve } from "node:path";
import {
  choice,
  COMMON,
  type FlagValues,
  integer,
  main,
  type Outcome,
  text,
  UsageError,
} from "../cli/mod.ts";
import type { ImageStream, StreamedPart } from "../data/mod.ts";
import {
  indexTrainingFolder,
  PAPER_AUGMENTATION,
  type PhotographFolder,
  photographSet,
} from "../data/photographs/mod.ts";
import { type Engine, freshState, wasmEngine } from "../engine/mod.ts";
import { architecture, initialise } from "../resnet/mod.ts";
import { runChild } from "./_child.ts";
import { PAPER_STEP } from "./_contender.ts";
import { median, timeInTurn } from "./_rounds.ts";
import { table } from "./_table.ts";

/** In this order: Linux counts the parent's peak as its child's. */
const PARTS = ["memory", "empty", "decoding", "training"] as const;
const COPIES = 10;
const EMPTY_FILES = 200_000;
const BATCH = 32;
/** Section 3.4's. */
const SIZE = 224, TEST_SHORTER_SIDE = 256;
/** Batches of a turn, and those that are read when it ends, with one more. */
const BATCHES = 4, LEFT = 3;

const FLAGS = {
  part: choice(PARTS, "one of them; all by default"),
  data: text("FOLDER", "photographs: train/ and val/, with a folder for each class"),
  arch: text("NAME", "the net; resnet18 by default"),
  rounds: integer("timed rounds; 5 by default", 1),
  threads: integer("CPU threads of the engine; all cores by default", 1, 1024),
  workers: integer("the most workers that are tried; a core each by default", 0, 64),
  iterations: integer("steps of the trainings whose memory is measured; 5 by default", 1),
  ...COMMON,
} as const;

const command = {
  usage: "deno run bench/photographs.ts",
  summary: "Measures trainings on photographs: memory, decoding, and what workers give.",
  flags: FLAGS,
} as const;

/** What a part found, for people and for programs. */
type Part = Pick<Outcome, "text" | "json">;

interface Settings {
  readonly data: string;
  readonly arch: string;
  readonly rounds: number;
  readonly threads: number;
  readonly workers: number;
  readonly iterations: number;
}

/** A command whose last line is its peak of resident memory. */
async function measuredCommand(): Promise<readonly string[]> {
  const { lastLine: v8Flags } = await runChild("deno", ["task", "-q", "v8-flags"]);
  return [
    ...["run", "-q", `--v8-flags=${v8Flags}`, "--preload=bench/_peak_memory.ts"],
    ...["-P=train", "cli/train.ts", "--recipe", "finetune"],
  ];
}

/** Trains on a set and on copies of it under other names, in turn. */
async function memory({ data, arch, rounds, threads, iterations }: Settings): Promise<Part> {
  const folder = await Deno.makeTempDir({ prefix: "photographs_" });
  try {
    const sets = [1, COPIES].map((copies) => ({ copies, folder: join(folder, `${copies}`) }));
    let count = 0;
    for (const set of sets) {
      for (let copy = 0; copy < set.copies; copy++) {
        count = await copied(join(data, "train"), join(set.folder, "train"), `${copy}-`);
      }
      await copied(join(data, "val"), join(set.folder, "val"), "");
    }
    const start = await measuredCommand();
    const bytes = sets.map((): number[] => []);
    for (let round = 0; round < rounds; round++) {
      for (const [i, set] of sets.entries()) {
        const { lastLine } = await runChild("deno", [
          ...[...start, "--arch", arch, "--data", set.folder, "--engine", "wasm"],
          ...["--iterations", `${iterations}`, "--eval-every", `${iterations}`],
          ...["--threads", `${threads}`, "--index", `${set.folder}.jsonl`],
          ...["--out", join(folder, `run-${i}-${round}`)],
        ]);
        bytes[i].push(Number(lastLine));
      }
    }
    const [few, many] = bytes.map(median);
    const cells = [
      ["photographs to train on", "peak", "least", "most"],
      ...sets.map(({ copies }, i) => [
        ...[`${copies * count}`, mebibytes(median(bytes[i]))],
        ...[mebibytes(Math.min(...bytes[i])), mebibytes(Math.max(...bytes[i]))],
      ]),
    ];
    return {
      text: `peak resident memory of ${iterations} steps of ${arch}, batch ${BATCH}, at ${SIZE}: ` +
        `${(100 * (many / few - 1)).toFixed(1)}% more for ${COPIES} times the set\n${table(cells)}`,
      json: { arch, iterations, count, copies: COPIES, ratio: many / few, bytes },
    };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Copies photographs of each class under other names; how many they are. */
async function copied(from: string, to: string, prefix: string): Promise<number> {
  let count = 0;
  for await (const { name: className, isDirectory } of Deno.readDir(from)) {
    if (!isDirectory) continue;
    await Deno.mkdir(join(to, className), { recursive: true });
    for await (const { name } of Deno.readDir(join(from, className))) {
      await Deno.copyFile(join(from, className, name), join(to, className, `${prefix}${name}`));
      count++;
    }
  }
  return count;
}

/** What the command says of a set of empty files. */
async function empty({ data }: Settings): Promise<Part> {
  const folder = await Deno.makeTempDir({ prefix: "photographs_" });
  try {
    const classFolder = join(folder, "train", "empty");
    await Deno.mkdir(classFolder, { recursive: true });
    for (let i = 0; i < EMPTY_FILES; i++) {
      Deno.writeFileSync(join(classFolder, `${i}.jpg`), new Uint8Array());
    }
    await copied(join(data, "val"), join(folder, "val"), "");
    const start = await measuredCommand();
    const runs = [];
    // The second has the first's index.
    for (const index of ["none", "kept"]) {
      const began = performance.now();
      const { code, stdout, stderr } = await new Deno.Command("deno", {
        args: [...start, "--data", folder, "--index", join(folder, "index.jsonl")],
        cwd: new URL("..", import.meta.url),
      }).output();
      const seconds = (performance.now() - began) / 1000;
      const [said, peak] = [stderr, stdout].map((bytes) =>
        new TextDecoder().decode(bytes).trim().split("\n").at(-1)!
      );
      runs.push({ index, code, seconds, bytes: Number(peak), said: said.split("\r").at(-1)! });
    }
    const lines = runs.map(({ index, code, seconds, bytes, said }) =>
      `index ${index}: ${seconds.toFixed(1)} s, ${mebibytes(bytes)}, status ${code}: ${said}`
    );
    return { text: [`${EMPTY_FILES} empty files`, ...lines].join("\n"), json: runs };
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Reads batches of a folder in its order, over and over. */
class Reader implements Disposable {
  readonly name: string;
  readonly #stream: ImageStream;
  readonly #count: number;
  #iteration = 1;

  constructor(folder: PhotographFolder, workers: number, cache: string) {
    this.name = `${workers} ${workers === 1 ? "worker" : "workers"}`;
    const dataset = photographSet(folder, {
      ...{ seed: 0, size: SIZE, testShorterSide: TEST_SHORTER_SIDE, workers, cache },
      augmentation: PAPER_AUGMENTATION,
    });
    this.#stream = dataset.stream!;
    this.#count = dataset.train.count;
  }

  /** Milliseconds of so many batches in the midst of a training. */
  async time(batches: number, use: (part: StreamedPart) => Promise<void> | void): Promise<number> {
    await this.#read(1, Infinity, use);
    const began = performance.now();
    await this.#read(batches, Infinity, use);
    const milliseconds = performance.now() - began;
    // Those that are read already, and none after them: the next has the machine to itself.
    await this.#read(LEFT, this.#iteration + LEFT, () => {});
    return milliseconds;
  }

  async #read(
    batches: number,
    end: number,
    use: (part: StreamedPart) => Promise<void> | void,
  ): Promise<void> {
    const plan = (iteration: number) =>
      iteration < end
        ? Uint32Array.from({ length: BATCH }, (_, i) => (iteration * BATCH + i) % this.#count)
        : undefined;
    for (let i = 0; i < batches; i++) await use(await this.#stream.batch(this.#iteration++, plan));
  }

  [Symbol.dispose](): void {
    this.#stream[Symbol.dispose]();
  }
}

/** An engine that is fed batches. */
async function engineFor(folder: PhotographFolder, { arch, threads }: Settings) {
  const classes = folder.train.classNames.length;
  const graph = architecture(arch, { classes, inputShape: [SIZE, SIZE, 3] });
  const engine = await wasmEngine.create({
    ...{ graph, batchSize: BATCH, ...PAPER_STEP, cropPadding: 0, threads },
  });
  const images = {
    ...{ count: BATCH, height: SIZE, width: SIZE, channels: 3, classes },
    ...{ pixels: new Uint8Array(BATCH * SIZE * SIZE * 3), labels: new Uint8Array(BATCH) },
  };
  await engine.load({
    ...{ train: images, test: images },
    normalisation: {
      ...{ scale: 1 / 255, mean: new Float32Array(SIZE * SIZE * 3), beforePadding: true },
      std: new Float32Array(3).fill(1),
    },
  });
  await engine.importState(freshState(graph, PAPER_STEP.optimiser, initialise(graph, 0, "in")));
  return engine;
}

const IN_ORDER = {
  indices: Uint32Array.from({ length: BATCH }, (_, i) => i),
  ...{ cropY: new Uint8Array(BATCH), cropX: new Uint8Array(BATCH), flip: new Uint8Array(BATCH) },
};

/** A step on the images that the engine has. */
async function step(engine: Engine): Promise<void> {
  engine.step(IN_ORDER, 0.001);
  await engine.metrics();
}

/** Steps by themselves, and readers with or without steps, in turn. */
async function workers(part: "decoding" | "training", settings: Settings): Promise<Part> {
  const cache = await Deno.makeTempDir({ prefix: "photographs_" });
  const folder = await indexTrainingFolder(settings.data, { broken: "skip", cache });
  const engine = await engineFor(folder, settings);
  const readers = Array.from(
    { length: settings.workers + 1 },
    (_, workers) => new Reader(folder, workers, cache),
  );
  const alone = {
    name: "a step alone",
    time: async (batches: number) => {
      const began = performance.now();
      for (let i = 0; i < batches; i++) await step(engine);
      return performance.now() - began;
    },
  };
  try {
    const contenders = [alone, ...readers];
    const times = await timeInTurn(
      contenders,
      { counted: settings.rounds, warmUp: 1 },
      (contender) =>
        contender.time(BATCHES, async ({ images, shifts }) => {
          if (part === "decoding") return;
          engine.feed("train", images, shifts);
          await step(engine);
        }),
    );
    const rows = contenders.map(({ name }, i) => ({
      ...{ name, times: times[i] },
      perSecond: 1000 * BATCH * BATCHES / median(times[i]),
    }));
    const cells = [
      ["", "images a second", "of a step's"],
      ...rows.map(({ name, perSecond }) => [
        ...[name, perSecond.toFixed(1), (perSecond / rows[0].perSecond).toFixed(2)],
      ]),
    ];
    const what = part === "decoding" ? "reading and cutting" : "training with reading beside it";
    return {
      text: `${what}: ${settings.arch}, batch ${BATCH}, at ${SIZE}\n${table(cells)}`,
      json: rows,
    };
  } finally {
    for (const reader of readers) reader[Symbol.dispose]();
    engine.dispose();
    await Deno.remove(cache, { recursive: true });
  }
}

async function bench(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  if (flags.data === undefined) throw new UsageError(`${command.usage} needs --data FOLDER`);
  const cores = navigator.hardwareConcurrency;
  const { arch = "resnet18", rounds = 5, threads = cores, workers: most = cores } = flags;
  const settings = {
    ...{ data: resolve(flags.data), arch, rounds, threads, workers: most },
    iterations: flags.iterations ?? 5,
  };
  const measure: Record<typeof PARTS[number], () => Promise<Part>> = {
    memory: () => memory(settings),
    empty: () => empty(settings),
    decoding: () => workers("decoding", settings),
    training: () => workers("training", settings),
  };
  const json: Record<string, unknown> = { ...settings };
  for (const part of flags.part ? [flags.part] : PARTS) {
    const found = await measure[part]();
    json[part] = found.json;
    // At once: a run may be cut short.
    (flags.json ? console.error : console.log)(`${found.text}\n`);
  }
  return { text: `${threads} threads; ${rounds} rounds each, in turn`, json };
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

if (import.meta.main) await main(command, bench);
