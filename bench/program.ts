/**
 * Times whole programs: `deno task train` from the command to its report, and
 * beside it PyTorch doing the same work (`peers/pytorch_program.py`), in turn.
 * The first step is timed by itself, in runs that are stopped after it: from the
 * command to the line of the event log.
 *
 * `deno run --allow-run --allow-read --allow-write bench/program.ts --data cifar-10-batches-bin`
 */
import { join, resolve } from "node:path";
import {
  choice,
  CommandError,
  COMMON,
  type FlagValues,
  integer,
  main,
  type Outcome,
  text,
} from "../cli/mod.ts";
import { EVENTS_FILE } from "../log/mod.ts";
import {
  type Finished,
  LAYOUTS,
  peerArguments,
  runChild,
  trainArguments,
  type Training,
} from "./_child.ts";
import { median, timeInTurn } from "./_rounds.ts";
import { table } from "./_table.ts";

const FLAGS = {
  data: text("FOLDER", "CIFAR-10's binary files; needed"),
  arch: text("NAME", "the network; resnet20 by default"),
  iterations: integer("steps of a training; 500 by default", 1),
  batch: integer("images in a batch; 128 by default", 1),
  rounds: integer("whole trainings of each program; 3 by default", 1),
  "first-steps": integer("runs to the first step of each program; 5 by default", 1),
  threads: integer("of both programs; all cores by default", 1, 1024),
  engine: text("NAME", "our engine; auto by default, as without the flag"),
  peer: choice([...LAYOUTS, "both", "none"], "PyTorch's memory layout; both by default"),
  ...COMMON,
} as const;

const command = {
  usage: "deno run bench/program.ts",
  summary: "Times whole trainings, from the command to the report, beside PyTorch's.",
  flags: FLAGS,
} as const;

/** What one round of a program came to. */
interface Run {
  readonly milliseconds: number;
  /** Of the test images, 0 to 1: the same work has about the same error. */
  readonly testError?: number;
}

/** A program that trains. */
interface Program {
  readonly name: string;
  readonly run: (training: Training) => Promise<Finished>;
  readonly testErrors: number[];
}

/** The lines of a log that times and errors are read from; PyTorch's has no others. */
interface LogEvent {
  readonly type: string;
  readonly time: string;
  readonly testError?: number;
}

async function readEvents(folder: string): Promise<LogEvent[]> {
  const log = await Deno.readTextFile(join(folder, EVENTS_FILE));
  return log.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Runs a training in a folder of its own, which is removed afterwards. */
async function inFolder<T>(work: (out: string) => Promise<T>): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "program_" });
  try {
    return await work(join(folder, "run"));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Start to end. */
function wholeRun({ run }: Program, training: Omit<Training, "out">): Promise<Run> {
  return inFolder(async (out) => {
    const { milliseconds } = await run({ ...training, out });
    const end = (await readEvents(out)).findLast(({ type }) => type === "end");
    return { milliseconds, testError: end?.testError };
  });
}

/** Start to the log's line of the first step. */
function firstStep({ name, run }: Program, training: Omit<Training, "out">): Promise<number> {
  return inFolder(async (out) => {
    const { began } = await run({ ...training, stopAfter: 1, out });
    const step = (await readEvents(out)).find(({ type }) => type === "step");
    if (!step) throw new CommandError(`${name}: stopped after its first step, it logged no step`);
    return Date.parse(step.time) - began;
  });
}

async function bench(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { arch = "resnet20", iterations = 500, batch = 128, rounds = 3 } = flags;
  const { threads = navigator.hardwareConcurrency, peer = "both", engine } = flags;
  if (flags.data === undefined) {
    throw new CommandError("timing whole trainings: --data FOLDER must name CIFAR-10's files");
  }
  const training = { arch, iterations, batch, threads, data: resolve(flags.data) };
  const layouts = LAYOUTS.filter((layout) => peer === "both" || peer === layout);
  const programs: Program[] = [
    {
      name: "deno task train",
      run: (training) =>
        runChild("deno", [
          ...["task", "-q", "train", ...trainArguments(training)],
          ...(engine === undefined ? [] : ["--engine", engine]),
        ]),
      testErrors: [],
    },
    ...layouts.map((layout): Program => ({
      name: `PyTorch ${layout}`,
      run: (training) => runChild("python3", peerArguments(training, layout)),
      testErrors: [],
    })),
  ];

  const warmUp = 1; // reads every file once: what is measured is a program, not a disk
  const first = await timeInTurn(
    programs,
    { counted: flags["first-steps"] ?? 5, warmUp },
    (program) => firstStep(program, training),
  );
  const whole = await timeInTurn(programs, { counted: rounds, warmUp: 0 }, async (program) => {
    const { milliseconds, testError } = await wholeRun(program, training);
    if (testError !== undefined) program.testErrors.push(testError);
    return milliseconds;
  });

  const rows = programs.map(({ name, testErrors }, i) => ({
    name,
    seconds: median(whole[i]) / 1000,
    minimum: Math.min(...whole[i]) / 1000,
    firstStep: median(first[i]) / 1000,
    testErrors,
    all: { whole: whole[i], firstStep: first[i] },
  }));
  const [ours, ...peers] = rows;
  const best = Math.min(...peers.map(({ seconds }) => seconds));
  const errors = (all: readonly number[]) =>
    all.map((error) => `${(100 * error).toFixed(1)}%`).join(" ");
  const cells = [
    ["", "median", "min", "first step", ...(peers.length > 0 ? ["of PyTorch"] : []), "test errors"],
    ...rows.map(({ name, seconds, minimum, firstStep, testErrors }) => [
      ...[name, `${seconds.toFixed(1)} s`, `${minimum.toFixed(1)} s`, `${firstStep.toFixed(2)} s`],
      ...(peers.length > 0 ? [(seconds / best).toFixed(2)] : []),
      errors(testErrors),
    ]),
  ];
  return {
    text: [
      `${arch}, ${iterations} iterations at batch ${batch} on ${threads} threads, from the command ` +
      `to its end; ${rounds} rounds in turn`,
      table(cells),
    ].join("\n"),
    json: { ...training, rounds, rows, ...(peers.length > 0 && { ratio: ours.seconds / best }) },
  };
}

if (import.meta.main) await main(command, bench);
