/**
 * Compares an engine with what `pytorch_trajectory.py` wrote:
 *
 *     deno run --allow-read bench/peers/compare_trajectory.ts trajectory \
 *         --architecture resnet8 --weights start.safetensors \
 *         --data cifar-10-batches-bin --pytorch losses.json
 *
 * `trajectory` takes the same steps and compares each loss. `lockstep` loads
 * PyTorch's state before each step, and compares the loss, the gradients and
 * the state after the step; `--pytorch` is the folder then, and no weights are needed.
 * Prints a line a step and fails where a loss differs by more than
 * `--tolerance` (default 0.001), or a gradient or the state by more than
 * `--gradient-tolerance` (default 0.01: a value near zero that falls on the
 * other side of a ReLU moves single gradients that far), all relative.
 */
import { parseArgs } from "@std/cli";
import { loadDataset } from "../../data/mod.ts";
import {
  chooseEngine,
  type Engine,
  engineFactories,
  type TrainingState,
} from "../../engine/mod.ts";
import { architecture, type Tensor, type Weights } from "../../resnet/mod.ts";
import { decodeSafetensors } from "../../weights/mod.ts";
import {
  sequentialPlans,
  trajectory,
  trajectoryEngine,
  type TrajectorySettings,
} from "./_trajectory.ts";

/** What the Python script writes. */
interface Losses {
  readonly losses: readonly number[];
  readonly learningRate: number;
  readonly batch: number;
}

const flags = parseArgs(Deno.args, {
  string: [
    "architecture",
    "weights",
    "data",
    "pytorch",
    "engine",
    "tolerance",
    "gradient-tolerance",
  ],
  default: { engine: "auto", tolerance: "0.001", "gradient-tolerance": "0.01" },
});
const [mode] = flags._;
const { architecture: name, data, pytorch } = flags;
if ((mode !== "trajectory" && mode !== "lockstep") || !name || !data || !pytorch) {
  console.error(
    "compare_trajectory: needs trajectory or lockstep, --architecture, --data and --pytorch",
  );
  Deno.exit(2);
}
const { factory, reason } = await chooseEngine(flags.engine, engineFactories);
console.error(reason);

const lossesFile = mode === "lockstep" ? `${pytorch}/losses.json` : pytorch;
const expected: Losses = JSON.parse(Deno.readTextFileSync(lossesFile));
const settings: TrajectorySettings = {
  graph: architecture(name),
  images: (await loadDataset("cifar10", { path: data })).train,
  batchSize: expected.batch,
};
const { losses, others } = mode === "lockstep" ? await compareSteps() : await compareLosses();
const passed = verdict("losses", losses, Number(flags.tolerance)) &&
  verdict("gradients and states", others, Number(flags["gradient-tolerance"]));
if (!passed) Deno.exit(1);

/** Relative differences, of each step. */
interface Differences {
  readonly losses: readonly number[];
  /** Of gradients and states, where they were compared. */
  readonly others: readonly number[];
}

function verdict(what: string, differences: readonly number[], tolerance: number): boolean {
  if (differences.length === 0) return true;
  const largest = Math.max(...differences);
  console.log(`${what}: at most ${largest.toExponential(2)}, tolerance ${tolerance}`);
  return largest <= tolerance;
}

async function compareLosses(): Promise<Differences> {
  if (!flags.weights) throw new Error("comparing a trajectory needs --weights to start from");
  const { tensors } = decodeSafetensors(Deno.readFileSync(flags.weights));
  const { losses, learningRate } = expected;
  const found = await trajectory(factory, settings, tensors, {
    steps: losses.length,
    learningRate,
  });
  const differences = losses.map((loss, i) => {
    const difference = Math.abs(found[i] - loss) / loss;
    console.log(`step ${i + 1}: PyTorch ${loss}, ours ${found[i]}, ${difference.toExponential(2)}`);
    return difference;
  });
  return { losses: differences, others: [] };
}

async function compareSteps(): Promise<Differences> {
  const engine = await trajectoryEngine(factory, settings);
  const losses: number[] = [], others: number[] = [];
  for (let step = 1; step <= expected.losses.length; step++) {
    const { loss, gradients, stateAfter } = await compareStep(engine, step);
    console.log(
      `step ${step}: loss ${loss.toExponential(2)}, gradients ${gradients.toExponential(2)}, ` +
        `state after ${stateAfter?.toExponential(2) ?? "not known"}`,
    );
    losses.push(loss);
    others.push(gradients, stateAfter ?? 0);
  }
  engine.dispose();
  return { losses, others };
}

/** One step from PyTorch's state: relative differences of what came out. */
async function compareStep(
  engine: Engine,
  step: number,
): Promise<{ loss: number; gradients: number; stateAfter: number | undefined }> {
  const { state, gradients } = stateBefore(step);
  const plan = sequentialPlans(settings)(step);
  await engine.importState(state);
  const labels = Uint8Array.from(plan.indices, (index) => settings.images.labels[index]);
  const probed = await engine.probe({
    input: await engine.augmented(plan),
    images: plan.indices.length,
    mode: "training",
    labels,
  });
  engine.step(plan, expected.learningRate);
  const [{ loss }] = await engine.metrics();
  const next = step < expected.losses.length ? stateBefore(step + 1).state : undefined;
  return {
    loss: Math.abs(loss - expected.losses[step - 1]) / expected.losses[step - 1],
    gradients: largestDistance(probed.gradients!, gradients),
    stateAfter: next && largestDistance((await engine.exportState()).weights, next.weights),
  };
}

function stateBefore(step: number): { state: TrainingState; gradients: Weights } {
  const file = `${pytorch}/${String(step).padStart(4, "0")}.safetensors`;
  const { tensors } = decodeSafetensors(Deno.readFileSync(file));
  const prefixed = (prefix: string) =>
    new Map(
      [...tensors].flatMap(([key, tensor]): [string, Tensor][] =>
        key.startsWith(prefix) ? [[key.slice(prefix.length), tensor]] : []
      ),
    );
  const weights = new Map([...tensors].filter(([key]) => !/^(momentum|gradient)\./.test(key)));
  return {
    state: { iteration: step - 1, weights, slots: new Map([["velocity", prefixed("momentum.")]]) },
    gradients: prefixed("gradient."),
  };
}

/** max over the arrays of ||a - b|| / ||b||. */
function largestDistance(actual: Weights, expected: Weights): number {
  const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0));
  return Math.max(
    ...[...expected].map(([key, { data }]) => {
      const found = actual.get(key)!.data;
      return norm(data.map((value, i) => found[i] - value)) / norm(data);
    }),
  );
}
