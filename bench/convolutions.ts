/**
 * Whether Winograd's convolutions train as well as direct ones: runs on CIFAR-10
 * that differ in `--convolution` alone, over several seeds, and the difference of
 * their test errors with its interval.
 *
 * Each run has its folder, by the names of what it is; a finished one is not done
 * again, and one that was stopped is gone on with.
 *
 * `deno run --allow-run --allow-read bench/convolutions.ts --data cifar-10-batches-bin`
 */
import { join, resolve } from "node:path";
import {
  CommandError,
  COMMON,
  type FlagValues,
  integer,
  main,
  type Outcome,
  text,
} from "../cli/mod.ts";
import {
  differenceInterval,
  type Interval,
  sampleOf,
  type SpreadSample,
  tInterval,
} from "../verdicts/mod.ts";
import { EVENTS_FILE, parseRunLog } from "../log/mod.ts";
import { runChild } from "./_child.ts";
import { table } from "./_table.ts";

const ALGORITHMS = ["direct", "winograd"] as const;

const FLAGS = {
  data: text("FOLDER", "CIFAR-10's binary files; needed"),
  arch: text("NAME", "the network; resnet20 by default"),
  iterations: integer("length of each run, the schedule in proportion; 1,000 by default", 1),
  seeds: integer("how many, from 0 on; 5 by default", 2),
  threads: integer("of each run; all cores by default", 1, 1024),
  out: text("FOLDER", "for the runs' folders; runs/convolutions by default"),
  ...COMMON,
} as const;

const command = {
  usage: "deno run bench/convolutions.ts",
  summary: "Compares the test errors of runs with direct and with Winograd's convolutions.",
  flags: FLAGS,
} as const;

/** One run. */
interface Setting {
  readonly convolution: typeof ALGORITHMS[number];
  readonly seed: number;
  readonly arch: string;
  readonly iterations: number;
  readonly folder: string;
}

/** Test errors of one seed, 0 to 1. */
export interface Pair {
  readonly seed: number;
  readonly direct: number;
  readonly winograd: number;
}

/** Winograd's mean test error minus the direct one's, shares. */
export interface Comparison {
  readonly direct: SpreadSample;
  readonly winograd: SpreadSample;
  readonly difference: number;
  /** From the differences of each seed: both runs of a seed see the same batches. */
  readonly paired: Interval;
  /** From both spreads, as if the seeds had nothing to do with each other. */
  readonly unpaired: Interval;
}

/**
 * The mean difference over two or more seeds and what it leaves open.
 *
 * @throws {RangeError} On fewer than two pairs.
 */
export function compare(pairs: readonly Pair[]): Comparison {
  const sample = (of: (pair: Pair) => number) => sampleOf(pairs.map(of)) as SpreadSample;
  const direct = sample((pair) => pair.direct);
  const winograd = sample((pair) => pair.winograd);
  const differences = sample((pair) => pair.winograd - pair.direct);
  return {
    direct,
    winograd,
    difference: differences.mean,
    paired: tInterval(differences),
    unpaired: differenceInterval(winograd, direct),
  };
}

/** The test error of a run that has ended as it was set; undefined where it has not ended. */
async function finishedError(setting: Setting): Promise<number | undefined> {
  const { folder, seed, arch, iterations, convolution } = setting;
  let text: string;
  try {
    text = await Deno.readTextFile(join(folder, EVENTS_FILE));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const { start, events } = parseRunLog(text);
  const { architecture, schedule } = start.recipe;
  const found = [
    architecture.name,
    schedule.iterations,
    start.seed,
    start.engine.device.details.convolution,
  ].join(", ");
  const expected = [arch, iterations, seed, convolution].join(", ");
  if (found !== expected) {
    throw new CommandError(
      `reading ${folder}: it must hold the run ${expected}, found ${found}; move it away or give another --out`,
    );
  }
  return events.find((event) => event.type === "end")?.testError;
}

async function bench(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { arch = "resnet20", iterations = 1000, seeds = 5, out = "runs/convolutions" } = flags;
  if (flags.data === undefined) {
    throw new CommandError("comparing convolutions: --data FOLDER must name CIFAR-10's files");
  }
  const data = resolve(flags.data);
  const errorOf = async (convolution: Setting["convolution"], seed: number): Promise<number> => {
    const folder = resolve(out, `${arch}-${iterations}-${convolution}-seed${seed}`);
    const setting = { convolution, seed, arch, iterations, folder };
    let error = await finishedError(setting);
    if (error === undefined) {
      console.error(`training ${folder}`);
      await runChild("deno", [
        ...["task", "-q", "train", "--arch", arch, "--iterations", `${iterations}`],
        ...["--engine", "wasm", "--convolution", convolution, "--seed", `${seed}`],
        ...["--data", data, "--out", folder],
        ...(flags.threads === undefined ? [] : ["--threads", `${flags.threads}`]),
      ]);
      error = await finishedError(setting);
    }
    if (error === undefined) {
      throw new CommandError(
        `training ${folder}: it was stopped before its end; the same command goes on with it`,
      );
    }
    return error;
  };

  const pairs: Pair[] = [];
  for (let seed = 0; seed < seeds; seed++) {
    const direct = await errorOf("direct", seed);
    pairs.push({ seed, direct, winograd: await errorOf("winograd", seed) });
  }
  const comparison = compare(pairs);
  return {
    text: textOf(arch, iterations, pairs, comparison),
    json: { arch, iterations, pairs, ...comparison },
  };
}

function textOf(
  arch: string,
  iterations: number,
  pairs: readonly Pair[],
  { direct, winograd, difference, paired, unpaired }: Comparison,
): string {
  const points = (share: number) => (100 * share).toFixed(2);
  const signed = (share: number) => `${share > 0 ? "+" : ""}${points(share)}`;
  const interval = ({ lower, upper }: Interval) => `${signed(lower)} to ${signed(upper)}`;
  return [
    `${arch} after ${iterations} iterations, test error in per cent`,
    table([
      ["seed", ...ALGORITHMS, "difference"],
      ...pairs.map(({ seed, direct, winograd }) => [
        ...[`${seed}`, points(direct), points(winograd), signed(winograd - direct)],
      ]),
      ["mean", points(direct.mean), points(winograd.mean), signed(difference)],
      [
        ...["standard deviation", points(direct.standardDeviation)],
        ...[points(winograd.standardDeviation), ""],
      ],
    ]),
    `winograd minus direct: ${signed(difference)} points; 95% interval ${
      interval(paired)
    } paired by seed, ${interval(unpaired)} unpaired`,
  ].join("\n");
}

if (import.meta.main) await main(command, bench);
