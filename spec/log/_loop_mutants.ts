/**
 * Runs of the real training loop over the null engine: as the paper has them,
 * and with one fault each. Images are made up, one black pixel each; all
 * else is the paper's recipe on data that calls itself CIFAR-10.
 */
import { PAPER_DATASET } from "../../paper/mod.ts";
import { type Dataset, datasetNamed } from "../../data/mod.ts";
import type { ByteImages, Engine, EngineFactory } from "../../engine/mod.ts";
import { type LogSubject, logSubjectOf, MemoryRun, type RunStore } from "../../log/mod.ts";
import { nullEngineFactory } from "../../testing/mod.ts";
import { paper, type Recipe } from "../../recipes/mod.ts";
import { TEST_LABELS } from "./_test_labels.ts";
import { train, TrainingError, type TrainOptions } from "../../train/mod.ts";

/** A fault in a run of the loop. */
export interface Fault extends Partial<Omit<TrainOptions, "engine" | "open">> {
  /** Methods of the engine that are replaced, made from the right ones. */
  readonly engine?: (right: Engine) => Partial<Engine>;
  /** Methods of the run's folder that are replaced, made from the right ones. */
  readonly store?: (right: RunStore) => Partial<RunStore>;
}

/** A finished run by the paper's recipe, and its folder at the steps at which it was stopped. */
export interface PaperRun {
  readonly subject: LogSubject;
  readonly stops: ReadonlyMap<number, MemoryRun>;
}

const CLASSES = 10;

function blackImages(
  count: number,
  labels: Uint8Array<ArrayBuffer> = Uint8Array.from(
    { length: count },
    (_, i) => Math.floor(i * CLASSES / count),
  ),
): ByteImages {
  return {
    ...{ count, height: 1, width: 1, channels: 3, classes: CLASSES },
    pixels: new Uint8Array(count * 3),
    labels,
  };
}

/** CIFAR-10 by its name, sizes, hashes and the test set's labels alone. */
export const DATASET: Dataset = {
  name: PAPER_DATASET,
  train: blackImages(50_000),
  test: blackImages(10_000, TEST_LABELS),
  classNames: datasetNamed(PAPER_DATASET).classNames,
  hashes: datasetNamed(PAPER_DATASET).hashes,
};

/** The steps after which the run of ResNet-20 is stopped, and goes on. */
const STOPS: Readonly<Record<string, readonly number[]>> = { resnet20: [32_000, 63_900] };

const paperRuns = new Map<string, Promise<PaperRun>>();

/**
 * The run of 64,000 steps that the paper's recipe makes; made once. That of
 * ResNet-20 is stopped twice and goes on; the others run through.
 */
export function paperRun(net: string): Promise<PaperRun> {
  const made = paperRuns.get(net) ?? makePaperRun(paper(net), STOPS[net] ?? []);
  paperRuns.set(net, made);
  return made;
}

async function makePaperRun(recipe: Recipe, stopAfter: readonly number[]): Promise<PaperRun> {
  const folder = new MemoryRun();
  const stops = new Map<number, MemoryRun>();
  for (const stop of stopAfter) {
    await runLoop(folder, { recipe, stopAfter: stop });
    stops.set(stop, new MemoryRun(folder));
  }
  return { subject: await runLoop(folder, { recipe }), stops };
}

/** A new run with a fault: on ResNet-8, the smallest net, if the fault names no other recipe. */
export function faultyRun(fault: Fault): Promise<LogSubject> {
  return runLoop(new MemoryRun(), { recipe: paper("resnet8"), ...fault });
}

/** The paper's run of ResNet-20, gone on with from one of its stops with a fault. */
export async function faultyEnd(from: number, fault: Fault): Promise<LogSubject> {
  const { stops } = await paperRun("resnet20");
  return runLoop(new MemoryRun(stops.get(from)), fault);
}

/** A run whose checkpoint says that it is 1,000 steps further, gone on with without a fault. */
export async function faultyResume(): Promise<LogSubject> {
  const folder = new MemoryRun();
  await runLoop(folder, {
    stopAfter: 200,
    engine: (right) => ({
      exportState: async () => {
        const state = await right.exportState();
        return { ...state, iteration: state.iteration + 1_000 };
      },
    }),
  });
  return await runLoop(folder, { stopAfter: 1_300 });
}

async function runLoop(folder: MemoryRun, fault: Fault): Promise<LogSubject> {
  const { engine = () => ({}), store = () => ({}), ...options } = fault;
  const faulty: EngineFactory = {
    ...nullEngineFactory,
    async create(options) {
      const right = await nullEngineFactory.create(options);
      return replaced(right, engine(replaced(right, {})));
    },
  };
  try {
    await train({
      recipe: paper("resnet20"),
      seed: 0,
      dataset: () => Promise.resolve(DATASET),
      engine: faulty,
      engineReason: "the rules of the log are tested",
      out: "/run",
      open: async (path) => {
        const right = await folder.open(path);
        return { ...right, ...store(right) };
      },
      logEvery: 100,
      evalEvery: 4_000,
      checkpointEvery: 32_000,
      versions: {},
      revision: null,
      command: [],
      ...options,
    });
  } catch (error) {
    // A run that breaks off leaves a log like any other.
    if (!(error instanceof TrainingError)) throw error;
  }
  return await logSubjectOf("/run", folder.read);
}

/** An engine with some of its methods replaced. */
function replaced(engine: Engine, methods: Partial<Engine>): Engine {
  return new Proxy(engine, {
    get(target, name) {
      const value: unknown = Reflect.get(name in methods ? methods : target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
