/** Who is timed by `step.ts`: our engines, and what they have in common with peers. */
import { BatchSource, loadDataset, measureNormalisation } from "../data/mod.ts";
import {
  chooseEngine,
  engineFactories,
  type EngineOptions,
  freshState,
  PLAIN_SGD,
} from "../engine/mod.ts";
import * as wasm from "../engine/wasm/mod.ts";
import { composedTensorflowEngine } from "../engine/tensorflow/mod.ts";
import { profileStep, type StepProfile } from "../engine/webgpu/mod.ts";
import { RandomStream } from "../random/mod.ts";
import { architecture, type Graph, initialise } from "../resnet/mod.ts";

/** Single precision, TensorFloat-32, products in bfloat16, or what half precision stores. */
export type Precision = "fp32" | "tf32" | "bf16" | "fp16";

/** Someone who can take training steps and evaluate. */
export interface Contender {
  readonly name: string;
  readonly precision: Precision;
  /** PyTorch, not an engine of ours. */
  readonly isPeer: boolean;
  /** Work is queued on a GPU: a step by itself would be mostly waiting. */
  readonly queues: boolean;
  /** Milliseconds for so many steps, queued without waiting between them. */
  train(steps: number): Promise<number>;
  /** Milliseconds for so many images in test mode. */
  evaluate(images: number): Promise<number>;
  /** Where the time of a step goes; only of engines that can tell. */
  profile?(steps: number): Promise<StepProfile>;
  profileWasm?(steps: number): Promise<wasm.StepProfile>;
  close(): Promise<void>;
}

/** What a contender is made for. */
export interface Task {
  /** The network. */
  readonly arch: string;
  /** Images in a batch. */
  readonly batch: number;
  /** Of the CPU. */
  readonly threads: number;
  /** Height and width of the images, which then are of ImageNet's 1,000 classes; else CIFAR's. */
  readonly size?: number;
}

/** The network of a task. */
export function networkOf({ arch, size }: Task): Graph {
  return size === undefined
    ? architecture(arch)
    : architecture(arch, { classes: LARGE_CLASSES, inputShape: [size, size, 3] });
}

const LARGE_CLASSES = 1000;
/** Images of a made set of large ones. */
const LARGE_IMAGES = 64;

/** Images and how their batches are prepared. */
async function dataOf({ batch, size }: Task) {
  if (size === undefined) {
    const { train, test } = await loadDataset("shapes10");
    return { train, test, mean: "per-pixel", augmentation: "pad-crop-flip" } as const;
  }
  const made = (count: number) => {
    const random = new RandomStream(0, "probe", count);
    const pixels = new Uint8Array(count * size * size * 3).map(() => 256 * random.uniform());
    const labels = Uint16Array.from({ length: count }, (_, i) => i % LARGE_CLASSES);
    const shape = { height: size, width: size, channels: 3, classes: LARGE_CLASSES };
    return { count, ...shape, pixels, labels };
  };
  const [train, test] = [made(batch), made(LARGE_IMAGES)];
  // Crops of photographs are cut before an engine gets them.
  return { train, test, mean: "per-channel", augmentation: "none" } as const;
}

/** What the paper's recipe asks of an engine. */
export const PAPER_STEP = {
  optimiser: { ...PLAIN_SGD, momentum: 0.9, weightDecay: 1e-4 },
  batchNorm: { epsilon: 1e-5, momentum: 0.1 },
  cropPadding: 4,
} as const;
const LEARNING_RATE = 0.1;

/**
 * One of our engines, on the built-in images, or on random ones of a task's size.
 *
 * @throws {EngineError} If there is no such engine, or it can't run here.
 */
export async function engineContender(
  task: Task,
  name: string,
  settings: Pick<EngineOptions, "convolution" | "precision"> = {},
): Promise<Contender> {
  const { batch, threads } = task;
  const graph = networkOf(task);
  const { train, test, mean, augmentation } = await dataOf(task);
  const cropPadding = augmentation === "none" ? 0 : PAPER_STEP.cropPadding;
  const factories = [...engineFactories, composedTensorflowEngine];
  const { factory } = await chooseEngine(name, factories);
  const options = {
    graph,
    batchSize: batch,
    ...PAPER_STEP,
    cropPadding,
    threads,
    ...settings,
  } as const;
  const engine = await factory.create(options);
  const indices = Uint32Array.from({ length: train.count }, (_, i) => i);
  const { normalisation } = measureNormalisation(train, indices, {
    pixelScale: "0..1",
    mean,
    std: "none",
    meanSubtracted: "before-padding",
  });
  await engine.load({ train, test, normalisation });
  const state = freshState(graph, PLAIN_SGD, initialise(graph, 0, "in"));
  await engine.importState(state);
  const batches = new BatchSource({
    seed: 0,
    indices,
    batchSize: batch,
    cropPadding,
    augmentation,
    order: "shuffled",
    epochEnd: "run-on",
  });
  let iteration = 0;
  return {
    name: [name, ...Object.values(settings).filter((value) => value !== "single")].join(" "),
    precision: settings.precision === "mixed" ? "fp16" : "fp32",
    isPeer: false,
    queues: name === "webgpu",
    async train(steps) {
      const begun = performance.now();
      for (let step = 0; step < steps; step++) {
        engine.step(batches.plan(++iteration), LEARNING_RATE);
      }
      await engine.metrics();
      return performance.now() - begun;
    },
    async evaluate(images) {
      const chosen = Uint32Array.from({ length: images }, (_, i) => i % test.count);
      const begun = performance.now();
      await engine.evaluate("test", chosen);
      return performance.now() - begun;
    },
    ...(name === "webgpu" && {
      profile(steps: number) {
        const plans = Array.from({ length: steps }, () => batches.plan(++iteration));
        return profileStep(engine, plans, LEARNING_RATE);
      },
    }),
    ...(name === "wasm" && {
      profileWasm(steps: number) {
        const plans = Array.from({ length: steps }, () => batches.plan(++iteration));
        const data = { train, test, normalisation };
        return wasm.profileStep(options, data, state, plans, LEARNING_RATE);
      },
    }),
    // deno-lint-ignore require-await -- a peer's has to wait
    async close() {
      engine.dispose();
    },
  };
}
