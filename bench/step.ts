/**
 * Times training steps and evaluations of our engines and, where Python and
 * PyTorch are there, of PyTorch on the same device, in turn within one run:
 * machines are noisy, and a ratio of neighbours holds where times do not.
 *
 * Steps come in bursts, as in a training: on a GPU they are queued, on a CPU the first one
 * finds caches full of another's data. A burst's time is divided by its steps.
 *
 * `deno task bench --arch resnet20,resnet32 --rounds 10`
 * `deno task bench --engine webgpu --peer cuda --precision single,mixed`
 */
import {
  choice,
  COMMON,
  type Flag,
  type FlagValues,
  integer,
  main,
  type Outcome,
} from "../cli/mod.ts";
import { countMultiplyAdds } from "../resnet/mod.ts";
import { type Contender, engineContender, networkOf, type Task } from "./_contender.ts";
import { groupProfiles, profileText } from "./_profile.ts";
import {
  onnxRuntimeContender,
  type PeerDevice,
  PeerError,
  peerName,
  peerVariants,
  pytorchContender,
} from "./_peers.ts";
import { wasmProfileText } from "./_wasm_profile.ts";
import { joinedVectors } from "../engine/bench/mod.ts";
import { EngineError } from "../engine/mod.ts";
import { peakMultiplyAdds, peakOfGpu } from "./peak.ts";
import { burstOf, median, timeInTurn } from "./_rounds.ts";

/** A burst is about as long as this, in milliseconds; Deno waits for a GPU in sleeps of 10 ms. */
const BURST = { gpu: 500, cpu: 2000 };
/** Who takes longer for a first step, which compiles and allocates, has bursts of one. */
const SLOW_MILLISECONDS = 5000;
/** Rounds that are not counted: caches, clocks and compilers settle. */
const WARM_UP_ROUNDS = 2;
/** A contender that has taken as long sits out further rounds: plain JavaScript takes minutes. */
const CAP_MILLISECONDS = 60_000;
const PROFILED_STEPS = 20;
/** Of `--seconds`, for starting peers and for the rounds of training; the rest is evaluation's. */
const STARTED_BY = 0.6, TRAINED_BY = 0.85;

const ALGORITHMS = ["winograd", "direct"] as const;
const PRECISIONS = ["single", "mixed"] as const;
const MODES = ["eager", "compile", "graphs"] as const;

const FLAGS = {
  arch: list("networks; resnet20,resnet32 by default"),
  engine: list("our engines; wasm by default"),
  convolution: list("how wasm computes 3x3 convolutions; winograd by default", ALGORITHMS),
  precision: list("of webgpu, and of PyTorch on cuda; single by default", PRECISIONS),
  batch: integer("images in a batch; 128 by default", 1),
  size: integer("height and width of random images of 1,000 classes; CIFAR's by default", 32),
  rounds: integer("timed rounds; 7 by default", 1),
  burst: integer("steps at a time; by default two seconds of them, on a GPU half a second", 1),
  evaluate: integer("images of one evaluation; 2,000 by default, 0 for none", 0),
  seconds: integer("for each network: what is not warm in time is left out, and rounds are", 1),
  threads: integer("CPU threads of every contender; all cores by default", 1, 1024),
  peer: choice(
    ["cpu", "cuda", "mps", "none"],
    "where PyTorch computes, and on cpu ONNX Runtime evaluates; cpu by default",
  ),
  "peer-mode": list("PyTorch's ways of running, where there are several; all by default", MODES),
  augment: { help: "let PyTorch too prepare its batches, as our engines do", parse: () => true },
  ...COMMON,
} as const;

const command = {
  usage: "deno task bench",
  summary: "Times training steps and evaluations, engines and PyTorch in turn.",
  flags: FLAGS,
} as const;

/** Names separated by commas. */
function list<const T extends string = string>(help: string, legal?: readonly T[]): Flag<T[]> {
  return {
    placeholder: "NAMES",
    help,
    parse: (value) => {
      const names = value.split(",") as T[];
      if (!names.every((name) => legal?.includes(name) ?? name !== "")) {
        throw new Error(`${legal?.join(", ") ?? "names"}, separated by commas`);
      }
      return names;
    },
  };
}

/** One contender's times. */
interface Row {
  readonly name: string;
  readonly precision: Contender["precision"];
  readonly isPeer: boolean;
  /** Milliseconds of one step or one evaluation. */
  readonly median: number;
  readonly minimum: number;
  readonly gflops: number;
  /** Runs that were timed: fewer than rounds where they take long. */
  readonly timed: number;
}

/** Times contenders in turn. `run` gives milliseconds. */
async function time<T extends Omit<Contender, "train">>(
  contenders: readonly T[],
  { rounds, until }: { readonly rounds: number; readonly until: number },
  work: number,
  run: (contender: T) => Promise<number>,
): Promise<Row[]> {
  const times = await timeInTurn(
    contenders,
    { counted: rounds, warmUp: WARM_UP_ROUNDS, cap: CAP_MILLISECONDS, until },
    run,
  );
  return contenders.map(({ name, precision, isPeer }, i) => {
    const typical = median(times[i]);
    const gflops = work / typical / 1e6;
    const minimum = Math.min(...times[i]);
    return { name, precision, isPeer, median: typical, minimum, gflops, timed: times[i].length };
  });
}

/** Rows with their ratios to the best peer of each precision. */
function table(title: string, rows: readonly Row[]): string {
  const precisions = [...new Set(rows.filter((row) => row.isPeer).map((row) => row.precision))];
  const best = precisions.map((precision) =>
    Math.min(
      ...rows.filter((row) => row.isPeer && row.precision === precision).map((row) => row.median),
    )
  );
  const digits = (milliseconds: number) => milliseconds.toFixed(milliseconds < 10 ? 3 : 1);
  const cells = [
    ["", "median", "min", "GFLOP/s", ...precisions.map((precision) => `of best ${precision}`)],
    ...rows.map((row) => [
      ...[row.name, `${digits(row.median)} ms`, `${digits(row.minimum)} ms`],
      ...[row.gflops.toFixed(1), ...best.map((peer) => (row.median / peer).toFixed(2))],
    ]),
  ];
  const line = (row: readonly string[]) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(36) : cell.padStart(i < 4 ? 12 : 17)).join("");
  return [title, ...cells.map(line)].join("\n") + speedUps(rows);
}

/** How much faster the fastest of our engines is than each other one; no lines for one alone. */
function speedUps(rows: readonly Row[]): string {
  const [fastest, ...others] = rows.filter((row) => !row.isPeer)
    .toSorted((a, b) => a.median - b.median);
  return others.map(({ name, median, timed }) =>
    `\n${fastest.name} is ${(median / fastest.median).toPrecision(3)} times faster than ${name}${
      timed < fastest.timed ? `, which was timed ${timed === 1 ? "once" : `${timed} times`}` : ""
    }`
  ).join("");
}

/** Steps that fill a burst; the first few are not counted. */
async function stepsOf(contender: Contender, asked: number | undefined): Promise<number> {
  if (asked !== undefined) return asked;
  if (await contender.train(1) > SLOW_MILLISECONDS) return 1;
  await contender.train(1);
  return await burstOf((steps) => contender.train(steps), BURST[contender.queues ? "gpu" : "cpu"]);
}

/** Starts the peers; those that can't run here are reported with their reason. */
async function startPeers(
  task: Task,
  device: PeerDevice,
  flags: FlagValues<typeof FLAGS>,
  say: (text: string) => void,
  until: number,
): Promise<Contender[]> {
  const peers: Contender[] = [];
  const variants = peerVariants(device, flags.precision)
    .filter(({ mode }) => (flags["peer-mode"] ?? MODES).includes(mode))
    // Compilers take minutes: what needs none must not wait for them.
    .toSorted((a, b) => Number(a.mode === "compile") - Number(b.mode === "compile"));
  for (const variant of variants) {
    try {
      const left = until === Infinity ? undefined : Math.max(0, until - performance.now());
      const peer = await pytorchContender(task, variant, flags.augment ?? false, left);
      if (peers.length === 0) {
        const { version, device, cudnn } = peer.info;
        say(`PyTorch ${version} on ${device}${cudnn === null ? "" : `, cuDNN ${cudnn}`}`);
      }
      peers.push(peer);
    } catch (error) {
      if (!(error instanceof PeerError)) throw error;
      say(`not run: ${peerName(variant)} on ${variant.device}: ${error.message}`);
    }
  }
  return peers;
}

/** Starts ONNX Runtime; none where it can't run here, with the reason. */
async function startOnnxRuntime(
  task: Task,
  say: (text: string) => void,
): Promise<Omit<Contender, "train">[]> {
  try {
    const peer = await onnxRuntimeContender(task);
    say(`ONNX Runtime ${peer.info.version}`);
    return [peer];
  } catch (error) {
    if (!(error instanceof PeerError)) throw error;
    say(`not run: ONNX Runtime: ${error.message}`);
    return [];
  }
}

/** Times one network on every contender. */
async function compare(
  task: Task,
  flags: FlagValues<typeof FLAGS>,
  say: (text: string) => void,
): Promise<Record<string, unknown>> {
  const { rounds = 7, evaluate = 2000, peer = "cpu" } = flags;
  const { convolution = ["winograd"], precision = ["single"] } = flags;
  const begun = performance.now();
  const until = (share: number) => begun + share * 1000 * (flags.seconds ?? Infinity);
  const contenders: Contender[] = [];
  const evaluators: Omit<Contender, "train">[] = [];
  let refused: EngineError | undefined;
  try {
    for (const engine of flags.engine ?? ["wasm"]) {
      const settings: Parameters<typeof engineContender>[2][] = engine === "wasm"
        ? convolution.map((convolution) => ({ convolution }))
        : engine === "webgpu"
        ? precision.map((precision) => ({ precision }))
        : [{}];
      for (const each of settings) {
        try {
          contenders.push(await engineContender(task, engine, each));
        } catch (error) {
          // What another contender can do is not lost, such as single precision without mixed.
          if (!(error instanceof EngineError)) throw error;
          refused = error;
          say(`not run: ${[engine, ...Object.values(each ?? {})].join(" ")}: ${error.message}`);
        }
      }
    }
    if (contenders.length === 0 && refused) throw refused;
    if (peer !== "none") {
      contenders.push(...await startPeers(task, peer, flags, say, until(STARTED_BY)));
    }
    if (peer === "cpu" && evaluate > 0) evaluators.push(...await startOnnxRuntime(task, say));

    const bursts = new Map<Contender, number>();
    for (const contender of contenders) {
      bursts.set(contender, await stepsOf(contender, flags.burst));
    }
    // A training step is a forward and two backward products of the same size.
    const forward = 2 * countMultiplyAdds(networkOf(task));
    const training = await time(
      contenders,
      { rounds, until: until(TRAINED_BY) },
      3 * forward * task.batch,
      async (contender) => {
        const steps = bursts.get(contender)!;
        return await contender.train(steps) / steps;
      },
    );
    const counts = new Set(bursts.values());
    const burst = `${Math.min(...counts)}${counts.size > 1 ? ` to ${Math.max(...counts)}` : ""}`;
    say(table(`\n${task.arch}, training step (in bursts of ${burst})`, training));
    const evaluation = evaluate === 0 ? [] : await time(
      [...contenders, ...evaluators],
      { rounds, until: until(1) },
      forward * evaluate,
      (contender) => contender.evaluate(evaluate),
    );
    if (evaluate > 0) say(table(`\n${task.arch}, evaluation of ${evaluate} images`, evaluation));

    const profiles: Record<string, unknown> = {};
    for (const contender of contenders) {
      if (contender.profileWasm) {
        const profile = await contender.profileWasm(PROFILED_STEPS);
        const text = wasmProfileText(
          `${task.arch}, ${contender.name}`,
          profile,
          2 * peakMultiplyAdds(),
        );
        say(`\n${text}`);
        profiles[contender.name] = profile;
      }
      if (!contender.profile) continue;
      // Where a step is slow, as on a software adapter, few have to do.
      const steps = Math.min(PROFILED_STEPS, Math.max(2, bursts.get(contender)!));
      const profile = await contender.profile(steps);
      const peak = await peakOfGpu();
      say(`\n${profileText(`${task.arch}, ${contender.name}`, profile, peak)}`);
      profiles[contender.name] = { ...profile, groups: groupProfiles(profile), peak };
    }
    return { arch: task.arch, bursts: [...bursts.values()], training, evaluation, profiles };
  } finally {
    for (const contender of [...contenders, ...evaluators]) await contender.close();
  }
}

async function bench(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { batch = 128, threads = navigator.hardwareConcurrency, size } = flags;
  const say = flags.json ? console.error : console.log; // at once: a run may be cut short
  const peak = 2 * peakMultiplyAdds();
  say(
    `${threads} threads; batch ${batch}${
      size === undefined ? "" : `; images of ${size}x${size}`
    }; one core's measured peak: ${(peak / 1e9).toFixed(1)} GFLOP/s in ${
      128 * joinedVectors()
    }-bit multiply-adds`,
  );
  const results: Record<string, unknown>[] = [];
  for (const arch of flags.arch ?? ["resnet20", "resnet32"]) {
    results.push(await compare({ arch, batch, threads, size }, flags, say));
  }
  const { rounds = 7 } = flags;
  return {
    text: `\n${flags.seconds === undefined ? "" : "at most "}${rounds} timed rounds each, in turn`,
    json: { batch, threads, size: size ?? null, rounds, corePeakFlops: peak, results },
  };
}

if (import.meta.main) await main(command, bench);
