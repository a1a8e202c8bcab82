/**
 * Throws damaged and hostile files at every reader: each must come out as read
 * or as refused by the format's own error, soon and in little memory. Half of
 * them are damaged byte by byte, half are well-formed and say other things.
 *
 * `deno task fuzz --mutations 10000 --seed 1`
 */
import process from "node:process";
import {
  COMMON,
  type FlagValues,
  integer,
  main,
  type Outcome,
  text,
  UsageError,
} from "../cli/mod.ts";
import { DataError, loadCifar } from "../data/mod.ts";
import { decodeImage } from "../data/photographs/mod.ts";
import { RandomStream } from "../random/mod.ts";
import {
  EVENTS_FILE,
  MemoryRun,
  readFolder,
  readRecording,
  RecordingError,
  RunLogError,
  runOf,
  subjectOfReading,
} from "../log/mod.ts";
import { runResult } from "../reports/mod.ts";
import { formatRecording, recordingPage } from "../reports/audit/mod.ts";
import {
  arrayFile,
  arrayModel,
  FILES,
  MODEL_NAMES,
  modelFile,
  recordedLog,
  tinyArchive,
  tinyFormat,
} from "../testing/files/mod.ts";
import { decodeModel } from "../weights/mod.ts";
import { WeightFileError } from "../resnet/mod.ts";
import { DATASET } from "../spec/mod.ts";
import { audit, fileSubject, runSubject } from "../audit/mod.ts";
import { auditRecording } from "../audit/recording/mod.ts";
import { identityOf, train, WEIGHTS_FILE, weightsOf } from "../train/mod.ts";
import { LONGEST_SECONDS, MOST_BYTES, nullEngineFactory } from "../testing/mod.ts";
import { paper, RecipeError, withIterations } from "../recipes/mod.ts";
import { explain, recipe as recipeSchema } from "../recipes/schema/mod.ts";
import { parsePlan, PlanError } from "../verdicts/mod.ts";
import { altered, type Damage, damage } from "./_damage.ts";
import {
  hostileHdf5,
  hostileImage,
  hostileKeras,
  hostileMessagePack,
  hostileNpy,
  hostileOnnx,
  hostilePickle,
  hostileSafetensors,
  hostileTar,
  hostileZip,
  IMAGES,
  TFJS_MODEL,
  TFJS_SHARD,
  TFJS_SHARD_BYTES,
} from "./_hostile.ts";

/** A kind of file: good examples, and its reader as `deno task audit` has it. */
interface Format {
  readonly name: string;
  readonly examples: readonly Uint8Array[];
  readonly read: (bytes: Uint8Array) => Promise<unknown>;
  readonly refusal: new (message: string) => Error;
  /** Whether a file of which the end is missing must be refused. */
  readonly endsKnown: boolean;
  /** A file that keeps the format's form and says other things. */
  readonly hostile: (
    example: Uint8Array,
    random: RandomStream,
  ) => Uint8Array | Promise<Uint8Array>;
}

/** What became of the damaged files of a format. */
export interface Tally {
  readonly format: string;
  readonly files: number;
  readonly read: number;
  readonly refused: number;
  /** Of the processor's time: on a machine that others use, the clock says nothing of a reader. */
  readonly slowestMilliseconds: number;
  /** The most that one file added to the resident memory. */
  readonly mostBytes: number;
  /** Breaches of the rules: which file, by which damage, and what happened. */
  readonly faults: readonly string[];
}

/**
 * Reads damaged and hostile files of every format.
 *
 * @param mutations How many of each format.
 * @param seed Of the damage: equal seeds make equal files.
 * @param onBegin Called before each file, to find one that never ends.
 * @param only The formats, by name; all when undefined.
 * @param first The place in the seed's row of files at which to begin.
 * @returns What became of them, by format.
 */
export async function fuzz(
  mutations: number,
  seed: number,
  onBegin: (format: string, index: number) => void = () => {},
  only?: readonly string[],
  first = 0,
): Promise<Tally[]> {
  const formats = (await makeFormats()).filter(({ name }) => only?.includes(name) ?? true);
  if (formats.length < (only?.length ?? 1)) throw new UsageError(`no such format in ${only}`);
  const tallies: Tally[] = [];
  for (const format of formats) {
    tallies.push(
      await fuzzFormat(
        format,
        mutations,
        seed,
        first,
        (index) => onBegin(format.name, index),
      ),
    );
  }
  return tallies;
}

async function fuzzFormat(
  { name, examples, read, refusal, endsKnown, hostile }: Format,
  files: number,
  seed: number,
  first: number,
  onBegin: (index: number) => void,
): Promise<Tally> {
  // The first reading compiles code; the undamaged files must be read, or all would be vain.
  for (const example of examples) await read(example);
  const count = { read: 0, refused: 0, slowestMilliseconds: 0, mostBytes: 0 };
  const faults: string[] = [];
  for (let index = first; index < first + files; index++) {
    onBegin(index);
    const random = new RandomStream(seed, "probe", index);
    const example = examples[index % examples.length];
    const damaged: Damage = random.below(2) === 1
      ? { kind: "altered", bytes: await hostile(example, random) }
      : damage(examples, index % examples.length, random);
    const breach = (what: string) =>
      faults.push(`${name}, file ${index} of seed ${seed} (${damaged.kind}): ${what}`);

    const before = Deno.memoryUsage().rss;
    const start = process.cpuUsage();
    let refused: unknown;
    try {
      await read(damaged.bytes);
      count.read++;
    } catch (error) {
      refused = error;
      count.refused++;
    }
    const { user, system } = process.cpuUsage(start);
    const milliseconds = (user + system) / 1000;
    const bytes = Deno.memoryUsage().rss - before;

    for (const problem of problemsOf(damaged, refused, refusal, endsKnown)) breach(problem);
    if (milliseconds > 1000 * LONGEST_SECONDS) breach(`a hang: ${milliseconds.toFixed(0)} ms`);
    if (bytes > damaged.bytes.length + MOST_BYTES) {
      breach(`${mebibytes(bytes)} for a file of ${damaged.bytes.length} bytes`);
    }
    count.slowestMilliseconds = Math.max(count.slowestMilliseconds, milliseconds);
    count.mostBytes = Math.max(count.mostBytes, bytes);
  }
  return { format: name, files, ...count, faults };
}

/** What is wrong with how a file was taken; nothing, if it is as it must be. */
function problemsOf(
  { kind, hostile }: Damage,
  error: unknown,
  refusal: Format["refusal"],
  endsKnown: boolean,
): string[] {
  if (error === undefined) {
    if (hostile !== undefined) return [`accepted, though it asks for ${hostile}`];
    return kind === "cut" && endsKnown ? ["accepted, though its end is missing"] : [];
  }
  if (!(error instanceof refusal)) {
    return [`not the format's own error: ${error instanceof Error ? error.stack : error}`];
  }
  if (error.message.trim() === "") return ["refused without a message"];
  return hostile !== undefined && !error.message.includes(hostile)
    ? [`refused for another reason than ${hostile}: ${error.message}`]
    : [];
}

async function makeFormats(): Promise<Format[]> {
  const files = (...names: (keyof typeof FILES)[]) =>
    names.map((name) => Uint8Array.fromBase64(FILES[name]));
  const run = await shortRun();
  const stopped = await shortRun(30);
  const json = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));
  const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  const weights = {
    read: async (bytes: Uint8Array) => {
      const beside = (name: string) =>
        name === TFJS_SHARD
          ? Promise.resolve(new Uint8Array(TFJS_SHARD_BYTES))
          : Promise.reject(new WeightFileError("nothing lies beside it"));
      const file = await decodeModel({ name: "fuzzed", bytes, beside });
      const own = { ...file, tensors: weightsOf(file.tensors) };
      return await audit(fileSubject("fuzzed", own, identityOf(file.metadata)));
    },
    ...{ refusal: WeightFileError, endsKnown: true },
  };
  return [
    {
      name: "PyTorch (legacy)",
      examples: files("pytorchLegacyNested"),
      // The old file is a row of pickles; their operations are those of the archive's.
      hostile: (_, random) => hostilePickle(random),
      ...weights,
    },
    {
      name: "PyTorch (zip)",
      examples: files(
        "pytorchZip",
        "pytorchZipProtocol4",
        "pytorchZipDeflated",
        "pytorchZipBatchNorm",
      ),
      hostile: (_, random) => random.below(4) === 0 ? hostileZip(random) : hostilePickle(random),
      ...weights,
    },
    {
      name: "safetensors",
      examples: [...files("safetensors"), run.files.get(WEIGHTS_FILE)!],
      hostile: (_, random) => hostileSafetensors(random),
      ...weights,
    },
    {
      name: "ONNX",
      examples: await Promise.all(MODEL_NAMES.map(modelFile)),
      hostile: (_, random) => hostileOnnx(random),
      ...weights,
    },
    {
      name: "Keras",
      examples: await Promise.all((["kerasOptionA", "kerasCustom"] as const).map(arrayModel)),
      hostile: hostileKeras,
      ...weights,
    },
    {
      name: "HDF5",
      examples: [await arrayFile("hdf5"), await arrayModel("kerasOptionALegacy")],
      hostile: hostileHdf5,
      ...weights,
      // What lies behind the last array that is read may be missing.
      endsKnown: false,
    },
    {
      name: "TensorFlow.js",
      examples: [json(TFJS_MODEL)],
      hostile: altered,
      ...weights,
    },
    {
      name: "NumPy",
      examples: [await arrayFile("npy"), await arrayFile("npz")],
      hostile: (_, random) => hostileNpy(random),
      ...weights,
    },
    {
      name: "Flax",
      examples: [await arrayModel("flaxState")],
      hostile: (_, random) => hostileMessagePack(random),
      ...weights,
    },
    {
      name: "tar.gz",
      examples: [await tinyArchive()],
      read: (bytes) => withFile(bytes, (path) => loadCifar(tinyFormat(), { path })),
      ...{ refusal: DataError, endsKnown: true },
      hostile: (_, random) => hostileTar(random),
    },
    ...(["JPEG", "PNG", "WebP"] as const).map((name) => ({
      ...{ name, examples: IMAGES[name], hostile: hostileImage },
      read: (bytes: Uint8Array) => decodeImage(bytes, "fuzzed"),
      ...{ refusal: DataError, endsKnown: true },
    })),
    {
      name: "event log",
      examples: await Promise.all([run.read(EVENTS_FILE), stopped.read(EVENTS_FILE)]),
      read: async (bytes) => {
        const readFile = (path: string) =>
          path.endsWith(EVENTS_FILE) ? Promise.resolve(bytes) : run.read(path);
        const reading = await readFolder("fuzzed", readFile);
        const log = subjectOfReading(reading);
        return [await audit(runSubject("fuzzed", log)), runResult(runOf(reading), log)];
      },
      // A run that is killed leaves a log that breaks off anywhere.
      ...{ refusal: RunLogError, endsKnown: false, hostile: altered },
    },
    {
      name: "recording",
      examples: [recordedLog()],
      read: async (bytes) => {
        const recording = await readRecording("fuzzed", () => Promise.resolve(bytes));
        const audited = await auditRecording("fuzzed", recording);
        // A rule that breaks on a recording that was read is a fault of the rule.
        const broken = audited.report.judgements.find(({ outcome }) => outcome === "defect");
        if (broken) throw new Error(`${broken.id}: ${broken.evidence}`);
        return [formatRecording(audited), recordingPage(audited)];
      },
      ...{ refusal: RecordingError, endsKnown: false, hostile: altered },
    },
    {
      name: "plan",
      examples: [json(PLAN)],
      read: (bytes) => Promise.resolve().then(() => parsePlan(textOf(bytes))),
      ...{ refusal: PlanError, endsKnown: true, hostile: altered },
    },
    {
      name: "recipe",
      examples: [json(paper("resnet20"))],
      read: (bytes) => Promise.resolve().then(() => recipeOf(textOf(bytes))),
      ...{ refusal: RecipeError, endsKnown: true, hostile: altered },
    },
  ];
}

/** Reads bytes where a reader opens a file; no file is written, so that none need be allowed. */
async function withFile<T>(
  bytes: Uint8Array,
  read: (path: string) => Promise<T>,
): Promise<T> {
  const { open, stat } = Deno;
  const file = { readable: new Blob([bytes as Uint8Array<ArrayBuffer>]).stream() };
  Object.assign(Deno, {
    open: () => Promise.resolve(file),
    stat: () => Promise.resolve({ isFile: true, isDirectory: false, size: bytes.length }),
  });
  try {
    return await read("fuzzed.tar.gz");
  } finally {
    Object.assign(Deno, { open, stat });
  }
}

/** As the log's reader takes it. */
function recipeOf(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new RecipeError(`expected JSON (${(error as Error).message})`);
  }
  const result = recipeSchema.safeParse(value);
  if (!result.success) throw new RecipeError(explain(result.error, value));
  return result.data;
}

/** A plan of two networks. */
const PLAN = {
  version: 1,
  written: "2026-01-02T03:04:05Z",
  architectures: ["resnet20", "resnet8"],
  seeds: [1, 2, 3],
  recipe: "paper",
  iterations: 64_000,
  dataset: "cifar10",
  dataHashes: { "test_batch.bin": "0".repeat(64) },
  tests: { equivalence: "tost", difference: "two-sided-t" },
  margin: 0.005,
  alpha: 0.05,
  references: [{
    ...{ source: "Table 6", architecture: "resnet20", dataset: "cifar10", iterations: 64_000 },
    ...{ testImages: 10_000, error: 0.0875, runs: 1 },
    spread: { standardDeviation: 0.0016, runs: 5, source: "Table 6, ResNet-110" },
  }],
};

/** A run of the real loop, which trains nothing. */
async function shortRun(stopAfter?: number): Promise<MemoryRun> {
  const folder = new MemoryRun();
  await train({
    recipe: withIterations(paper("resnet20"), 60),
    ...{ seed: 0, dataset: () => Promise.resolve(DATASET), engine: nullEngineFactory },
    ...{ engineReason: "readers are tested", out: "/run", open: folder.open, stopAfter },
    ...{ logEvery: 5, evalEvery: 20, checkpointEvery: 20 },
    ...{ versions: {}, revision: null, command: [] },
  });
  return folder;
}

const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;

const FLAGS = {
  mutations: integer("files of each format; 10,000 by default", 1),
  seed: integer("of the damage; 1 by default", 0, 0xffffffff),
  only: text("A,B,...", "these formats alone, as the table names them"),
  ...COMMON,
} as const;

const command = {
  usage: "deno task fuzz",
  summary:
    "Reads damaged and hostile files of every format: each must be read or refused, soon, in\n" +
    "little memory. Exit status: 0 where all were, else 1.",
  flags: FLAGS,
} as const;

async function run(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { mutations = 10_000, seed = 1, only } = flags;
  using watch = new Watch();
  const begin = (format: string, index: number) => watch.begin(format, index);
  const tallies = await fuzz(mutations, seed, begin, only?.split(","));
  const faults = tallies.flatMap(({ faults }) => faults);
  const rows = tallies.map((tally) => [
    tally.format,
    ...[tally.files, tally.read, tally.refused, tally.faults.length].map(String),
    `${tally.slowestMilliseconds.toFixed(0)} ms`,
    mebibytes(tally.mostBytes),
  ]);
  const lines = [["format", "files", "read", "refused", "faults", "slowest", "memory"], ...rows]
    .map((row) => row[0].padEnd(16) + row.slice(1).map((cell) => cell.padStart(9)).join(""));
  return {
    text: [...lines, ...faults].join("\n"),
    json: tallies,
    status: faults.length > 0 ? 1 : 0,
  };
}

/** Names the file whose reading does not end, from a thread of its own. */
class Watch implements Disposable {
  readonly #worker: Worker;

  constructor() {
    // A data URL needs no permission, where a file would need to be read.
    const source = `
      let file, since = Infinity;
      onmessage = ({ data }) => { file = data; since = Date.now(); };
      setInterval(() => {
        const seconds = (Date.now() - since) / 1000;
        if (seconds > ${LONGEST_SECONDS}) console.error("a hang: " + file);
      }, ${1000 * LONGEST_SECONDS});`;
    this.#worker = new Worker(`data:text/javascript,${encodeURIComponent(source)}`, {
      type: "module",
    });
  }

  begin(format: string, index: number): void {
    this.#worker.postMessage(`${format}, file ${index}`);
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

if (import.meta.main) await main(command, run);
