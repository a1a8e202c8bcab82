/**
 * Lets every operation on files of a short command go wrong in every way, one
 * after the other, and asks of each: does the same command, and nothing else,
 * come to the same files?
 *
 * `deno task crash` (the whole, and 200 pairs of faults), `deno task crash --sample 24` (as many of
 * each command, spread), `--only train,recorder`, `--faults before,full`, `--pairs N`, `--jobs N` (processes at once);
 * the recorder needs Python with PyTorch
 */
import { parseArgs } from "@std/cli/parse-args";
import { RandomStream } from "../random/mod.ts";
import { applies, type Case, FAULTS } from "./_faults.ts";
import type { Result } from "./_crash_child.ts";
import { type Scenario, SCENARIOS } from "./_scenarios.ts";

const ROOT = new URL("..", import.meta.url).pathname;
/** Starts with faults that one process makes: the memory that it holds grows slowly. */
const CASES_A_PROCESS = 25;
/** A start that takes longer has hung. */
const LONGEST_SECONDS = 300;

/** One start with a fault or two, and what it came to. */
interface Tried {
  readonly kind: string;
  readonly faults: readonly Case[];
  readonly problem: string | undefined;
}

/** Whatever a crash of one command, in every way, came to: a row of the table. */
export interface Row {
  readonly command: string;
  readonly fault: string;
  readonly cases: number;
  readonly problems: readonly string[];
}

/** What is tried. */
export interface CrashOptions {
  /** Of {@link SCENARIOS}. */
  readonly commands: readonly string[];
  /** Cases of each command, spread over all; all when undefined. */
  readonly sample?: number;
  /** Which faults are tried; all when undefined. */
  readonly only?: (one: Case) => boolean;
  /** Random pairs of faults, one a start. */
  readonly pairs: number;
  /** Processes at once. */
  readonly jobs: number;
  /** Where the folders lie. */
  readonly work: string;
  /** Told what is done. */
  readonly onLine?: (line: string) => void;
}

/**
 * Tries the faults of commands.
 *
 * @param options Which, and how many.
 * @returns A row for each command and fault.
 * @throws {Error} If a command fails where nothing goes wrong.
 */
export async function crash(options: CrashOptions): Promise<Row[]> {
  const { commands, sample = Infinity, only = () => true, pairs, work } = options;
  const { onLine = () => {} } = options;
  const finished = `${work}/finished`;
  await undisturbed("train", finished, finished);
  const rows: Row[] = [];
  for (const command of commands) {
    const { outcome, kinds } = await undisturbed(command, `${work}/${command}`, finished);
    const all = FAULTS.flatMap((fault) =>
      kinds.flatMap((kind, i) => applies(fault, kind) ? [{ fault, k: i + 1 }] : [])
    );
    onLine(`${command}: ${kinds.length} operations on files, ${all.length} faults`);
    const random = new RandomStream(1, "probe", 0);
    const drawn = () => all[random.below(all.length)];
    const planned = [
      ...spread(all.filter(only), sample).map((one) => ({
        kind: one.fault as string,
        faults: [one],
      })),
      ...Array.from({ length: pairs }, () => ({ kind: PAIR, faults: [drawn(), drawn()] })),
    ];
    const tried = await tryAll(command, planned, outcome!, finished, options);
    for (const fault of [...FAULTS, PAIR]) {
      const own = tried.filter(({ kind }) => kind === fault);
      const problems = own.flatMap(({ faults, problem }) =>
        problem === undefined ? [] : [`${command}, ${inWords(faults)}: ${problem}`]
      );
      if (own.length > 0) rows.push({ command, fault, cases: own.length, problems });
    }
  }
  return rows;
}

const PAIR = "two, one a start";
const RECORDER = "recorder";

const inWords = (faults: readonly Case[]): string =>
  faults.map(({ fault, k }) => `${fault} at operation ${k}`).join(", then ");

/** As many of a list, spread over it. */
function spread<T>(list: readonly T[], count: number): T[] {
  if (count >= list.length) return [...list];
  return Array.from({ length: count }, (_, i) => list[Math.floor((i + 0.5) * list.length / count)]);
}

async function undisturbed(command: string, folder: string, finished: string): Promise<Result> {
  for await (const result of child(command, folder, finished, [[]])) {
    if (result.problem !== undefined) throw new Error(`${command}: ${result.problem}`);
    return result;
  }
  throw new Error(`${command} came to no end`);
}

/** Tries cases by several processes at once. */
async function tryAll(
  command: string,
  planned: readonly { readonly kind: string; readonly faults: readonly Case[] }[],
  expected: string,
  finished: string,
  { work, jobs, onLine = () => {} }: CrashOptions,
): Promise<Tried[]> {
  const tried: Tried[] = [];
  let next = 0;
  const worker = async (id: number) => {
    while (next < planned.length) {
      const size = Math.min(CASES_A_PROCESS, Math.ceil(planned.length / jobs));
      const part = planned.slice(next, next += size);
      for (let done = 0; done < part.length;) {
        const left = part.slice(done);
        const starts = left.map(({ faults }) => faults);
        for await (
          const { outcome, problem } of child(command, `${work}/${id}`, finished, starts)
        ) {
          const other = outcome === expected ? undefined : `the files are ${outcome}`;
          tried.push({ ...part[done++], problem: problem ?? other });
        }
        if (done < part.length) {
          tried.push({
            ...part[done++],
            problem: "the process came to no end, or to an early one",
          });
        }
      }
      const wrong = tried.filter(({ problem }) => problem !== undefined);
      onLine(`${command}: ${tried.length} of ${planned.length}, ${wrong.length} wrong`);
      for (const { faults, problem } of wrong.slice(-3)) onLine(`  ${inWords(faults)}: ${problem}`);
    }
  };
  await Promise.all(Array.from({ length: jobs }, (_, id) => worker(id)));
  return tried;
}

/** Results as a process of its own prints them; fewer than asked for where it dies or hangs. */
async function* child(
  command: string,
  folder: string,
  finished: string,
  starts: readonly (readonly Case[])[],
): AsyncGenerator<Result> {
  const { permissions }: Scenario = SCENARIOS[command];
  const args = ["run", "-q", "--no-check", "--no-prompt", "--cached-only", ...permissions];
  args.push("bench/_crash_child.ts", command, folder, finished, JSON.stringify(starts));
  const options = { args, cwd: ROOT, stdin: "null", stdout: "piped", stderr: "null" } as const;
  const process = new Deno.Command(Deno.execPath(), options).spawn();
  const hung = () => process.kill("SIGKILL");
  let timer = setTimeout(hung, 1000 * LONGEST_SECONDS);
  try {
    let text = "";
    for await (const part of process.stdout.pipeThrough(new TextDecoderStream())) {
      clearTimeout(timer);
      timer = setTimeout(hung, 1000 * LONGEST_SECONDS);
      const lines = (text + part).split("\n");
      text = lines.pop()!;
      for (const line of lines) yield JSON.parse(line);
    }
  } finally {
    clearTimeout(timer);
    await process.status;
  }
}

/**
 * Tries the faults of PyTorch's recorder: after any of them the training has the
 * weights that it has unrecorded, and the same command records it whole.
 *
 * @param options As for {@link crash}; each training is a fork of one Python.
 * @returns A row for each fault.
 */
export async function crashRecorder(
  { sample = 0, work, onLine = () => {} }: Pick<CrashOptions, "sample" | "work" | "onLine">,
): Promise<Row[]> {
  const script = `${ROOT}recorders/_fixtures/accumulating.py`;
  const process = new Deno.Command("python3", {
    args: [
      ...["bench/_crash_recorder.py", `${ROOT}recorders/pytorch.py`, script],
      ...[`${work}/recorder`, `${sample}`],
    ],
    ...{ cwd: ROOT, stdin: "null", stdout: "piped", stderr: "inherit" } as const,
    env: { OMP_NUM_THREADS: "1" },
  }).spawn();
  const { code, stdout } = await process.output();
  if (code !== 0) throw new Error(`the recorder could not be tried: Python's status ${code}`);
  const [head, ...tried] = new TextDecoder().decode(stdout).trim().split("\n")
    .map((line) => JSON.parse(line));
  onLine(`recorder: ${head.operations} operations on files, ${head.cases} faults`);
  return FAULTS.flatMap((fault) => {
    const own = tried.filter((one) => one.fault === fault);
    const problems = own.flatMap(({ k, problem }) =>
      problem === null ? [] : [`recorder, ${inWords([{ fault, k }])}: ${problem}`]
    );
    return own.length > 0 ? [{ command: "recorder", fault, cases: own.length, problems }] : [];
  });
}

if (import.meta.main) {
  const flags = parseArgs(Deno.args, { string: ["sample", "only", "faults", "pairs", "jobs"] });
  const faults = flags.faults?.split(",") ?? FAULTS;
  const work = await Deno.makeTempDir({ prefix: "crash-" });
  const names = flags.only?.split(",") ?? [...Object.keys(SCENARIOS), RECORDER];
  const size = flags.sample === undefined ? {} : { sample: Number(flags.sample) };
  const rows = await crash({
    commands: names.filter((name) => name !== RECORDER),
    ...size,
    only: ({ fault }) => faults.includes(fault),
    pairs: Number(flags.pairs ?? (flags.sample === undefined ? 200 : 0)),
    jobs: Number(flags.jobs ?? Math.max(1, navigator.hardwareConcurrency >> 1)),
    ...{ work, onLine: console.error },
  });
  if (names.includes(RECORDER)) {
    rows.push(...await crashRecorder({ ...size, work, onLine: console.error }));
  }
  await Deno.remove(work, { recursive: true });
  const problems = rows.flatMap((row) => row.problems);
  console.log("| command | fault | cases | same files |\n| --- | --- | ---: | ---: |");
  for (const { command, fault, cases, problems } of rows) {
    console.log(`| ${command} | ${fault} | ${cases} | ${cases - problems.length} |`);
  }
  for (const problem of problems) console.log(problem);
  Deno.exit(problems.length === 0 ? 0 : 1);
}
