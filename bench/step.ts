/**
 * Times a training step and an evaluation of our engines and, where Python and
 * PyTorch are there, of PyTorch on the same processor, in turn within one run:
 * these machines are noisy, and a ratio of neighbours holds where times do not.
 *
 * `deno task bench --arch resnet20,resnet32 --rounds 10`
 */
import { parseArgs } from "@std/cli/parse-args";
import { BatchSource, measureNormalisation, shapes10 } from "../data/mod.ts";
import { chooseEngine, type Engine, engineFactories } from "../engine/mod.ts";
import { architecture, countMultiplyAdds, initialise, zeros } from "../resnet/mod.ts";
import { peakMultiplyAdds } from "./peak.ts";

const HELP = `Times training steps and evaluations, engines and peers in turn.

deno task bench [flags]

  --arch NAMES        networks, separated by commas; resnet20,resnet32 by default
  --engine NAMES      our engines; wasm by default
  --convolution NAMES winograd (the default), direct, or both
  --batch N           images in a batch; 128 by default
  --rounds N          timed rounds; 7 by default
  --threads N         threads of every contender; all cores by default
  --no-peer           without PyTorch
  --evaluate N        images of one evaluation; 2,000 by default, 0 for none
  --help              print this help
`;

/** Someone who can take a step and evaluate. */
interface Contender {
  readonly name: string;
  /** Milliseconds. */
  step(): Promise<number>;
  evaluate(): Promise<number>;
  close(): Promise<void>;
}

const flags = parseArgs(Deno.args, {
  string: ["arch", "engine", "convolution", "batch", "rounds", "threads", "evaluate"],
  boolean: ["help", "peer"],
  negatable: ["peer"],
  default: {
    arch: "resnet20,resnet32",
    engine: "wasm",
    convolution: "winograd",
    batch: "128",
    rounds: "7",
    threads: String(navigator.hardwareConcurrency),
    evaluate: "2000",
    peer: true,
  },
  unknown: (flag) => {
    console.error(`unknown argument "${flag}"\n\n${HELP}`);
    Deno.exit(2);
  },
});
if (flags.help) {
  console.log(HELP);
  Deno.exit();
}
const number = (name: "batch" | "rounds" | "threads" | "evaluate"): number => {
  const value = Number(flags[name]);
  if (Number.isInteger(value) && value >= 0) return value;
  console.error(`--${name} must be a whole number, found "${flags[name]}"`);
  Deno.exit(2);
};
const [batch, rounds, threads, evaluated] = [
  number("batch"),
  number("rounds"),
  number("threads"),
  number("evaluate"),
];

const peak = peakMultiplyAdds();
console.log(
  `${threads} threads; batch ${batch}; one core's measured peak: ${
    (2 * peak / 1e9).toFixed(1)
  } GFLOP/s in 128-bit multiply-adds`,
);
for (const name of flags.arch.split(",")) await compare(name);

async function compare(name: string): Promise<void> {
  const graph = architecture(name);
  const contenders: Contender[] = [];
  for (const engine of flags.engine.split(",")) {
    for (const convolution of flags.convolution.split(",")) {
      contenders.push(await ours(name, engine, convolution as "winograd" | "direct"));
    }
  }
  if (flags.peer) {
    for (const layout of ["channels_last", "contiguous"]) {
      const peer = await pytorch(name, layout);
      if (peer) contenders.push(peer);
    }
  }
  // A training step is a forward and two backward products of the same size.
  const stepWork = 2 * 3 * countMultiplyAdds(graph) * batch;
  const evaluateWork = 2 * countMultiplyAdds(graph) * evaluated;
  await table(`${name}, training step`, contenders, (contender) => contender.step(), stepWork);
  if (evaluated > 0) {
    const title = `${name}, evaluation of ${evaluated} images`;
    await table(title, contenders, (contender) => contender.evaluate(), evaluateWork);
  }
  for (const contender of contenders) await contender.close();
}

async function table(
  title: string,
  contenders: readonly Contender[],
  run: (contender: Contender) => Promise<number>,
  work: number,
): Promise<void> {
  const times = contenders.map((): number[] => []);
  for (let round = -2; round < rounds; round++) {
    for (const [i, contender] of contenders.entries()) {
      const milliseconds = await run(contender);
      if (round >= 0) times[i].push(milliseconds); // the first two rounds warm up
    }
  }
  const medians = times.map(median);
  const peers = medians.filter((_, i) => contenders[i].name.startsWith("PyTorch"));
  const best = Math.min(...peers);
  console.log(`\n${title}`);
  console.log("                                median       min   GFLOP/s   of PyTorch's best");
  contenders.forEach(({ name }, i) => {
    const ratio = peers.length > 0 ? (medians[i] / best).toFixed(2) : "-";
    console.log(
      name.padEnd(28) + `${medians[i].toFixed(1)} ms`.padStart(11) +
        `${Math.min(...times[i]).toFixed(1)} ms`.padStart(11) +
        (work / medians[i] / 1e6).toFixed(1).padStart(9) + ratio.padStart(12),
    );
  });
}

async function ours(
  name: string,
  engineName: string,
  convolution: "winograd" | "direct",
): Promise<Contender> {
  const graph = architecture(name);
  const { factory } = await chooseEngine(engineName, engineFactories);
  const engine: Engine = await factory.create({
    graph,
    batchSize: batch,
    sgd: { momentum: 0.9, nesterov: false, weightDecay: 1e-4, decayed: "all" },
    batchNorm: { epsilon: 1e-5, momentum: 0.1 },
    cropPadding: 4,
    threads,
    convolution,
  });
  const { train, test } = shapes10(0);
  const indices = Uint32Array.from({ length: train.count }, (_, i) => i);
  const { normalisation } = measureNormalisation(train, indices, {
    pixelScale: "0..1",
    mean: "per-pixel",
    std: "none",
    meanSubtracted: "before-padding",
  });
  await engine.load({ train, test, normalisation });
  const state = { iteration: 0, weights: initialise(graph, 0, "in"), momentum: zeros(graph) };
  await engine.importState(state);
  const batches = new BatchSource({
    seed: 0,
    indices,
    batchSize: batch,
    cropPadding: 4,
    augmentation: "pad-crop-flip",
    order: "shuffled",
    epochEnd: "run-on",
  });
  let iteration = 0;
  return {
    name: `${engineName} ${convolution}`,
    async step() {
      const begun = performance.now();
      engine.step(batches.plan(++iteration), 0.1);
      await engine.metrics();
      return performance.now() - begun;
    },
    async evaluate() {
      const begun = performance.now();
      await engine.evaluate("test", Uint32Array.from({ length: evaluated }, (_, i) => i % 2000));
      return performance.now() - begun;
    },
    // deno-lint-ignore require-await -- the peer's close has to wait
    async close() {
      engine.dispose();
    },
  };
}

/** PyTorch in a process of its own, or undefined (said so) where it is not there. */
async function pytorch(name: string, layout: string): Promise<Contender | undefined> {
  const script = new URL("peers/pytorch_step.py", import.meta.url);
  const python = new Deno.Command("python3", {
    args: [
      ...[script.pathname, "--architecture", name, "--batch", String(batch)],
      ...["--threads", String(threads), "--layout", layout, "--evaluate", String(evaluated)],
    ],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const writer = python.stdin.getWriter();
  const lines = python.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const readLine = async (): Promise<string> => {
    let line = "";
    while (!line.endsWith("\n")) {
      const { value, done } = await lines.read();
      if (done) return line;
      line += value;
    }
    return line.trim();
  };
  const ready = await readLine();
  if (!ready.startsWith("ready")) {
    console.log("PyTorch is not compared: python3 could not import it (pip install torch numpy)");
    await python.status;
    return undefined;
  }
  const ask = async (command: string): Promise<number> => {
    await writer.write(new TextEncoder().encode(`${command}\n`));
    return Number(await readLine());
  };
  return {
    name: `PyTorch ${ready.split(" ")[1].split("+")[0]} ${layout}`,
    step: () => ask("step"),
    evaluate: () => ask("evaluate"),
    async close() {
      await writer.close();
      await python.status;
    },
  };
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
