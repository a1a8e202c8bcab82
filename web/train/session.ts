/** The worker's side: the command's own training loop, told to a page as it goes. */
import configuration from "../../deno.json" with { type: "json" };
import { augmentedPixels, type Dataset, loadDataset } from "../../data/mod.ts";
import {
  type BatchPlan,
  chooseEngine,
  type EngineChoice,
  engineFactories,
  type EngineFactory,
  selfTest,
} from "../../engine/mod.ts";
import { mount } from "../../files/browser/mod.ts";
import { EVENTS_FILE, readFolder, type StartEvent, subjectOfReading } from "../../log/mod.ts";
import {
  ASKED,
  demo,
  forDataset,
  paper,
  type Recipe,
  vary,
  withIterations,
} from "../../recipes/mod.ts";
import type { Weights } from "../../resnet/mod.ts";
import { judge, LOG_RULES } from "../../spec/mod.ts";
import { type Started, train } from "../../train/mod.ts";
import { reasonOf } from "../page/reason.ts";
import { keptRuns } from "./kept_runs.ts";
import type { Asked, Filters, SeenBatch, Told, TrainAsked, Wanted } from "./messages.ts";
import { saved } from "./saved.ts";
import { type OpenRun, RUNS, type Shelf } from "./shelf.ts";

/** Images of a batch that are shown. */
const SHOWN = 16;
/** Milliseconds between two looks at the batch and the filters. */
const LOOK_EVERY = 1000;
/** The rule that a run which goes on can't keep yet. */
const UNENDED = "run-finished";
/** Paths of given files begin with it, so that they are none of ours. */
const GIVEN = "given";
/** Steps between checkpoints: what a page that is closed loses at most. */
const CHECKPOINT_EVERY = 100;

/**
 * The recipe of what a page asks for, as the command's flags would have it.
 *
 * @param wanted The images, the network and the length.
 */
export function recipeFor({ set, architecture, iterations }: Wanted): Recipe {
  const own = set === "shapes10"
    ? vary(demo(), { architecture: { name: architecture } })
    : forDataset(paper(architecture), set, ASKED);
  return iterations === undefined ? own : withIterations(own, iterations, ASKED);
}

/** The command that comes to the same weights on the same machine. */
function commandFor({ seed, threads, recipe, engine }: {
  readonly seed: number;
  readonly threads: number | undefined;
  readonly recipe: Recipe;
  readonly engine: string;
}): readonly string[] {
  return [
    ...["(in a browser)", "deno", "task", "train", "--recipe", recipe.name],
    ...["--arch", recipe.architecture.name, "--dataset", recipe.data.set],
    ...["--iterations", String(recipe.schedule.iterations), "--seed", String(seed)],
    ...["--engine", engine, ...(threads === undefined ? [] : ["--threads", String(threads)])],
  ];
}

/**
 * The engine that is chosen and computes rightly. A page has no other way past a broken driver than
 * that `auto` goes on to the next engine.
 *
 * @param warn Gets why one was passed over.
 * @throws {EngineError} If none can be had, or the one that was asked for by name fails its test.
 */
export async function workingEngine(
  name: string,
  factories: readonly EngineFactory[],
  warn: (text: string) => void,
): Promise<EngineChoice> {
  const choice = await chooseEngine(name, factories);
  try {
    await selfTest(choice.factory);
    return choice;
  } catch (error) {
    const others = factories.filter((factory) => factory !== choice.factory);
    if (name !== "auto" || others.length === 0) throw error;
    warn(`${choice.factory.name} is passed over: ${reasonOf(error)}`);
    return await workingEngine(name, others, warn);
  }
}

/** What one worker does: one training at a time, and whatever is asked of the runs meanwhile. */
export class TrainingSession {
  readonly #shelf: Shelf;
  readonly #tell: (told: Told) => void;
  #training: AbortController | undefined;

  /**
   * @param shelf Where the runs are.
   * @param tell Gets everything that the page is to show.
   */
  constructor(shelf: Shelf, tell: (told: Told) => void) {
    this.#shelf = shelf;
    this.#tell = tell;
  }

  /** Does what is asked; what goes wrong is told, never thrown. */
  async ask(asked: Asked): Promise<void> {
    try {
      if (asked.type === "train") await this.#train(asked);
      else if (asked.type === "pause") this.#training?.abort("paused on the page");
      else if (asked.type === "forget") await this.#shelf.remove(asked.run);
      else if (asked.type === "save") this.#tell(await saved(this.#shelf, asked));
      if (asked.type === "list" || asked.type === "forget") await this.#list();
    } catch (error) {
      // What is shown of a training stays where a file of it can't be saved.
      const type = asked.type === "train" ? "refused" : "failed";
      this.#tell({ type, message: reasonOf(error) });
    }
  }

  async #list(): Promise<void> {
    this.#tell({ type: "runs", ...await keptRuns(this.#shelf) });
  }

  async #train(asked: TrainAsked): Promise<void> {
    if (this.#training) throw new Error("a training is going on already: pause it first");
    const { signal } = this.#training = new AbortController();
    try {
      await this.#trainUntil(asked, signal);
    } finally {
      this.#training = undefined;
    }
  }

  async #trainUntil(asked: TrainAsked, signal: AbortSignal): Promise<void> {
    const { run, wanted, given, stopAfter } = asked;
    const path = `${RUNS}/${run}`;
    this.#tell({ type: "line", text: "choosing what computes" });
    const { factory, reason } = await workingEngine(
      asked.engine,
      engineFactories,
      (text) => this.#tell({ type: "warning", text }),
    );
    if (given) mount(new Map(given.files.map(([path, file]) => [`${GIVEN}/${path}`, file])));
    const begun = await begunRun(this.#shelf, path);
    const recipe = begun?.start.recipe ?? recipeFor(wanted);
    const seed = begun?.start.seed ?? wanted.seed;
    const threads = asked.threads ?? begun?.threads;
    const { set } = recipe.data;

    let dataset: Dataset;
    let open: OpenRun;
    let started: Started;
    let told = 0;
    const tellEvents = () => {
      const events = open.events.slice(told);
      told = open.events.length;
      if (events.length > 0) this.#tell({ type: "events", events });
      return events;
    };
    let looked = -Infinity;
    let checked = false;
    const { iterations } = recipe.schedule;
    const every = (most: number, parts: number) =>
      Math.max(1, Math.min(most, Math.floor(iterations / parts)));
    const result = await train({
      ...{ recipe, seed, engine: factory, engineReason: reason, out: path, signal },
      ...(threads === undefined ? {} : { threads }),
      ...(stopAfter === undefined ? {} : { stopAfter }),
      ...{ logEvery: every(100, 60), evalEvery: every(500, 12) },
      checkpointEvery: CHECKPOINT_EVERY,
      versions: {
        [configuration.name]: configuration.version,
        browser: navigator.userAgent,
      },
      revision: null,
      command: commandFor({ seed, threads, recipe, engine: factory.name }),
      dataset: async () => {
        this.#tell({
          type: "line",
          text: set === "shapes10" ? "drawing images" : "reading images",
        });
        dataset = await loadDataset(set, given ? { path: `${GIVEN}/${given.data}` } : {});
        this.#tell({ type: "line", text: "making the network" });
        return dataset;
      },
      open: async (path) => {
        open = await this.#shelf.open(path);
        tellEvents();
        return open.store;
      },
      onStart: (start) => {
        started = start;
        tellEvents();
        const [first] = open.events;
        this.#tell({
          ...{ type: "started", iteration: start.iteration, iterations: start.iterations },
          ...{ engine: start.engine.name, reason, device: start.engine.device.summary },
          parameters: first.type === "start" ? first.parameters : 0,
        });
      },
      onProgress: async ({ iteration, loss, error, learningRate, images, seconds }, batch) => {
        const imagesPerSecond = images / seconds;
        this.#tell({
          ...{ type: "progress", iteration, loss, error, learningRate, imagesPerSecond },
        });
        const news = tellEvents();
        if (performance.now() - looked > LOOK_EVERY) {
          const { weights } = await started.engine.exportState();
          const filters = firstFilters(weights);
          this.#tell({ type: "seen", batch: seen(dataset, recipe, batch, iteration), filters });
          looked = performance.now();
        }
        if (!checked || news.some(({ type }) => type === "evaluation")) {
          await this.#check(path, open);
          checked = true;
        }
      },
      onWarning: (text) => this.#tell({ type: "warning", text }),
    });
    tellEvents();
    if (result.outcome === "stopped") {
      this.#tell({ type: "stopped", iteration: result.iteration });
    } else {
      await this.#check(path);
      const { iteration, testError, testErrors, testImages, weights } = result;
      const [start] = open!.events;
      const { errorFloor, linearModelError } = (start as StartEvent).data;
      this.#tell({
        ...{ type: "finished", iteration, testError, testErrors, testImages },
        ...(errorFloor === undefined ? {} : { errorFloor }),
        ...(linearModelError === undefined ? {} : { linearModelError }),
        weightsSha256: weights.sha256,
      });
    }
    await this.#list();
  }

  /** What the rules say of the log so far, or, of a run that is no longer open, of all of it. */
  async #check(path: string, open?: OpenRun): Promise<void> {
    const log = `${path}/${EVENTS_FILE}`;
    const read = async (file: string) =>
      file === log && open ? await open.log() : await this.#shelf.read(file);
    const reading = await readFolder(path, read);
    const judged = judge(LOG_RULES, subjectOfReading(reading));
    // A run that goes on has not ended; that is no fault of it.
    const rules = judged.map((rule) =>
      open && rule.id === UNENDED && rule.outcome === "fail"
        ? { ...rule, outcome: "not-observable" as const, evidence: "the run goes on" }
        : rule
    );
    this.#tell({ type: "checklist", rules });
  }
}

/**
 * The start of a run that is there, and the threads that it had last: with as many it comes to the
 * same weights. A page that is not isolated has one, whatever the run had.
 */
async function begunRun(
  shelf: Shelf,
  path: string,
): Promise<{ readonly start: StartEvent; readonly threads?: number } | undefined> {
  if (!(await shelf.names()).includes(path.slice(RUNS.length + 1))) return undefined;
  const { store } = await shelf.open(path);
  await using run = store;
  const [start] = run.earlier;
  if (start?.type !== "start") return undefined;
  const { engine } = run.earlier.findLast((event) => event.type === "resume") ?? start;
  const { threads } = engine.device.details;
  return typeof threads === "number" && crossOriginIsolated ? { start, threads } : { start };
}

/** The first images of a batch, cropped and flipped as the network sees them. */
function seen(
  { train, classNames }: Dataset,
  { data: { cropPadding } }: Recipe,
  plan: BatchPlan,
  iteration: number,
): SeenBatch {
  const shown: BatchPlan = {
    indices: plan.indices.subarray(0, SHOWN),
    cropY: plan.cropY.subarray(0, SHOWN),
    cropX: plan.cropX.subarray(0, SHOWN),
    flip: plan.flip.subarray(0, SHOWN),
  };
  return {
    ...{ iteration, height: train.height, width: train.width },
    pixels: augmentedPixels(train, shown, cropPadding),
    images: Array.from(shown.indices, (index, i) => ({
      label: classNames[train.labels[index]],
      down: shown.cropY[i] - cropPadding,
      right: shown.cropX[i] - cropPadding,
      flipped: shown.flip[i] === 1,
    })),
  };
}

/** The first convolution's. */
function firstFilters(weights: Weights): Filters {
  for (const { shape, data } of weights.values()) {
    if (shape.length === 4) return { shape, data: data.slice() };
  }
  return { shape: [0, 0, 0, 0], data: new Float32Array() };
}
