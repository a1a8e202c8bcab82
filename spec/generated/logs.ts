/**
 * Random logs, written line by line from the paper's words and the log's format, not by the
 * training loop: right ones with any number of stops, of any version, with lines as far apart as
 * people ask for, and wrong ones by one change.
 */
import { datasetNamed, splitImages, type SplitManifest, splitManifest } from "../../data/mod.ts";
import {
  type EndEvent,
  type EvaluationEvent,
  type LogSubject,
  MISSING,
  type RunEvent,
  type StartEvent,
} from "../../log/mod.ts";
import { TABLE_6 } from "../../paper/mod.ts";
import { type Recipe, vary } from "../../recipes/mod.ts";
import { TEST_LABELS } from "../log/_test_labels.ts";
import { LOG_RULES } from "../log/rules.ts";
import { judge } from "../rule.ts";
import type { Draw, Drawn } from "./draw.ts";
import { DEPARTURES, DEPTHS, openRecipe } from "./recipe_choices.ts";
import type { Kind } from "./trial.ts";

const END = 64_000;
const time = "2026-01-01T00:00:00Z";

/** What one change breaks: the rules of which at least one must say so. */
const CHANGES = {
  "another rate for a while": ["rates-used"],
  "divided too early": ["rates-used"],
  "divided too late": ["rates-used"],
  "never divided": ["rates-used"],
  "epochs taken for iterations": ["rates-used"],
  "a warm-up where none is due": ["rates-used", "warm-up-ended"],
  "no warm-up where one is due": ["rates-used", "warm-up-ended"],
  "a warm-up that ends too early": ["warm-up-length"],
  "a warm-up that ends too late": ["warm-up-length"],
  "a warm-up that ends at an error of 85%": ["warm-up-ended"],
  "a warm-up that never ends": ["warm-up-ended", "rates-used"],
  "batches of 64": ["images-per-step"],
  "an image less in a line": ["images-per-step"],
  "a line lost": ["steps-taken"],
  "a line of one step more": ["steps-taken"],
  "an end at 50,000": ["run-finished", "steps-taken"],
  "no end": ["run-finished"],
  "a failure behind the end": ["run-finished"],
  "the test set looked at before": ["test-set-unseen"],
  "the test set as validation": ["test-set-unseen", "split-made"],
  "never tested": ["test-set-unseen"],
  "9,984 images tested": ["test-set-whole"],
  "a part tested again and again": ["test-set-whole"],
  "test images in another order": ["test-set-whole"],
  "one prediction more that is wrong": ["error-recomputed"],
  "an error that is no quotient": ["error-recomputed"],
  "a result that is not the test's": ["final-step"],
  "a best validation that is not the best": ["final-step"],
  "another seed": ["seed-used", "split-made"],
  "validation images that are trained on": ["split-made"],
  "another list than was logged": ["split-made"],
  "another data file": ["data-files"],
  "a data file less": ["data-files"],
  "a mean of all images": ["mean-measured-on"],
  "channel means in the log": ["mean-measured-on"],
  "given weights": ["from-scratch"],
  "a departure, declared": ["recipe-of-paper"],
  "a departure, not declared": ["departures-logged"],
  "a departure that is none": ["departures-logged"],
  "parameters of option B": ["parameters-logged"],
  "100 classes": ["parameters-logged"],
  "gone on with from nowhere": ["resumes"],
  "gone on with from a later step": ["resumes"],
  "a loss that the errors forbid": ["plausible"],
  "a test error of 2%": ["plausible"],
  "a test error of 60% of a residual net": ["plausible"],
  "right from the start": ["plausible"],
  "a file that is missing": ["files-named"],
  "weights of another run": ["files-named"],
  "no word of the split": ["files-named", "split-made"],
} as const;

type Change = keyof typeof CHANGES;

/** Random logs. */
export const LOGS: Kind<LogSubject> = {
  name: "logs",
  draw: drawLog,
  breaks: Object.values(CHANGES).flat(),
  judge: (subject) => judge(LOG_RULES, subject),
};

function drawLog(draw: Draw, right: boolean): Drawn<LogSubject> {
  const change = right ? undefined : draw.pick(Object.keys(CHANGES) as Change[]);
  const ofWarmUp = change?.includes("warm-up") && change !== "a warm-up where none is due";
  let depth: number = draw.pick(DEPTHS);
  let plain = draw.chance(0.25);
  if (ofWarmUp) [depth, plain] = [110, false];
  if (change === "a warm-up where none is due" && depth === 110) depth = 56;
  if (change === "a test error of 60% of a residual net") plain = false;
  const net = `${plain ? "plain" : "resnet"}${depth}`;
  let recipe = openRecipe(draw, net);
  const needsValidation: readonly (Change | undefined)[] = [
    "another seed",
    "validation images that are trained on",
    "a best validation that is not the best",
    "the test set as validation",
    "a mean of all images",
  ];
  if (needsValidation.includes(change)) {
    recipe = vary(recipe, { data: { split: { training: 45_000, validation: 5_000 } } });
  }
  const version = draw.chance(0.7) ? 2 : 1;
  // A mean over thousands of steps does not tell how they began.
  const early = change === "right from the start";
  const logEvery = version === 1 || early
    ? draw.pick([20, 50, 100])
    : draw.pick([100, 500, 4_000, 64_000]);
  const stops = draw.pick([0, 0, 1, 3]);
  const run = new Writer(draw, {
    recipe,
    change,
    version,
    logEvery,
    stops,
    warmsUp: net === "resnet110",
  });
  const kind = `version ${version}, ${stops > 0 ? "stopped" : "not stopped"}${
    recipe.data.split.validation === 0 ? ", all images" : ""
  }`;
  return { what: change ?? kind, subject: run.write(), by: change ? CHANGES[change] : [] };
}

interface Options {
  readonly recipe: Recipe;
  readonly change: Change | undefined;
  readonly version: 1 | 2;
  readonly logEvery: number;
  readonly stops: number;
  readonly warmsUp: boolean;
}

class Writer {
  readonly #draw: Draw;
  readonly #options: Options;
  readonly #events: RunEvent[] = [];
  readonly #seed: number;
  readonly #evalEvery: number;
  readonly #checkpointEvery: number;
  readonly #warmUpEnd: number;
  /** Where a change is made that has a place. */
  readonly #from: number;
  readonly #to: number;
  readonly #validations = new Map<number, EvaluationEvent>();
  #known: readonly number[] | undefined;

  constructor(draw: Draw, options: Options) {
    this.#draw = draw;
    this.#options = options;
    this.#seed = draw.below(2 ** 32);
    this.#evalEvery = draw.pick([1_000, 4_000, 32_000]);
    this.#checkpointEvery = draw.pick([4_000, 10_000, 32_000]);
    const { change, warmsUp, version, logEvery } = options;
    this.#warmUpEnd = !warmsUp
      ? 0
      : change === "no warm-up where one is due"
      ? 0
      : change === "a warm-up that ends too early"
      ? 100
      : change === "a warm-up that ends too late"
      ? 100 * draw.from(9, 40)
      : change === "a warm-up that never ends"
      ? END
      : 100 * draw.from(2, 8);
    // In a log of version 1 a change shows that is longer than a line.
    const shortest = version === 1 ? 2 * logEvery : 1;
    this.#from = draw.from(1_000, END - 2 * shortest - 1);
    this.#to = this.#from + shortest + draw.below(200);
  }

  /** The rate that is due, and what the change makes of it. */
  #rate(iteration: number): number {
    const { change, version, logEvery } = this.#options;
    const shift = version === 1 ? 2 * logEvery : 1 + this.#from % 50;
    const [first, second] = change === "divided too early"
      ? [32_000 - shift, 48_000]
      : change === "divided too late"
      ? [32_000, 48_000 + shift]
      : change === "never divided"
      ? [END, END]
      : change === "epochs taken for iterations"
      ? [END * 10, END * 10]
      : [32_000, 48_000];
    const rate = iteration <= first ? 0.1 : iteration <= second ? 0.01 : 0.001;
    if (change === "another rate for a while" && iteration >= this.#from && iteration <= this.#to) {
      return rate * (this.#from % 2 === 0 ? 0.5 : 3);
    }
    const until = change === "a warm-up where none is due" ? 400 : this.#warmUpEnd;
    return iteration <= until ? Math.min(0.01, rate) : rate;
  }

  /** The first steps of each rate. */
  #changes(): readonly number[] {
    this.#known ??= Array.from({ length: END }, (_, i) => i + 1).filter((at) =>
      at === 1 || this.#rate(at) !== this.#rate(at - 1)
    );
    return this.#known;
  }

  #error(iteration: number): number {
    if (this.#options.change === "right from the start") return 0.05;
    if (iteration <= this.#warmUpEnd) return 0.85;
    return 0.02 + 0.7 * Math.exp(-iteration / 9_000);
  }

  #images(from: number, to: number): number {
    const { recipe: { data }, change } = this.#options;
    const { training } = data.split;
    const batches = Math.ceil(training / 128), each = change === "batches of 64" ? 64 : 128;
    let images = each * (to - from);
    if (data.epochEnd !== "keep-partial") return images;
    for (let last = Math.ceil((from + 1) / batches) * batches; last <= to; last += batches) {
      images += training - 128 * (batches - 1) - each;
    }
    return images;
  }

  /** The lines of the steps after `from` up to `to`. */
  #stretch(from: number, to: number): void {
    const { logEvery, version, warmsUp, change, recipe } = this.#options;
    const due = new Set<number>();
    const every = (step: number) => {
      for (let at = Math.ceil((from + 1) / step) * step; at <= to; at += step) due.add(at);
    };
    for (const step of [logEvery, this.#evalEvery, this.#checkpointEvery]) every(step);
    if (warmsUp && this.#warmUpEnd > from && this.#warmUpEnd <= to) due.add(this.#warmUpEnd);
    if (to === END) due.add(END);
    if (version === 2) {
      for (const at of this.#changes()) if (at > from && at <= to) due.add(at);
    }
    for (const iteration of [...due].sort((a, b) => a - b)) {
      if (version === 2 && this.#changes().includes(iteration)) {
        this.#events.push({ type: "rate", time, iteration, learningRate: this.#rate(iteration) });
      }
      if (warmsUp && iteration === this.#warmUpEnd && change !== "a warm-up that never ends") {
        const trainingError = change === "a warm-up that ends at an error of 85%" ? 0.85 : 0.79;
        this.#events.push({ type: "warm-up-end", time, iteration, trainingError });
      }
      if (iteration % logEvery === 0 || iteration === END) {
        const steps = iteration % logEvery || logEvery;
        const error = this.#error(iteration);
        this.#events.push({
          ...{
            type: "step",
            time,
            iteration,
            steps,
            images: this.#images(iteration - steps, iteration),
          },
          ...{ learningRate: this.#rate(iteration), error, loss: 1.3 * error + 0.01 },
          imagesPerSecond: 1_000,
        });
      }
      const { validation } = recipe.data.split;
      if (validation > 0 && (iteration % this.#evalEvery === 0 || iteration === END)) {
        const errors = Math.round(
          validation * (0.07 + 0.8 * this.#error(iteration)) +
            this.#draw.below(20),
        );
        const event: EvaluationEvent = {
          ...{ type: "evaluation", time, iteration, set: "validation", images: validation, errors },
          ...{ error: errors / validation, loss: 1 },
        };
        this.#validations.set(iteration, event);
        this.#events.push(event);
      }
      if (iteration % this.#checkpointEvery === 0 || iteration === END) {
        this.#events.push({
          ...{ type: "checkpoint", time, iteration },
          file: {
            path: `checkpoint-${iteration}.safetensors`,
            sha256: this.#draw.hash(),
            bytes: 9,
          },
        });
      }
    }
  }

  write(): LogSubject {
    const draw = this.#draw, { change, stops, recipe } = this.#options;
    const split = this.#split();
    this.#events.push(this.#start(split));
    const named = (kind: "split" | "weights" | "layer-statistics", path: string, sha256: string) =>
      this.#events.push({ type: "file", time, kind, file: { path, sha256, bytes: 1 } });
    if (change !== "no word of the split") named("split", "split.json", draw.hash());
    let reached = 0, saved = 0;
    for (let stop = 0; stop < stops; stop++) {
      const at = draw.from(reached + 1, END - 1);
      this.#stretch(saved, at);
      reached = Math.max(reached, at);
      saved = Math.floor(at / this.#checkpointEvery) * this.#checkpointEvery;
      if (draw.chance(0.3)) {
        this.#events.push({ type: "stop", time, iteration: at, reason: "SIGTERM" });
      }
      this.#resume(saved);
    }
    if (change === "gone on with from nowhere") {
      this.#resume(4_321);
      saved = 4_321;
    } else if (change === "gone on with from a later step") {
      const { logEvery } = this.#options;
      const late = Math.max(reached, 8_000) + 2 * logEvery;
      this.#events.push({
        ...{ type: "checkpoint", time, iteration: late },
        file: { path: "checkpoint.safetensors", sha256: draw.hash(), bytes: 9 },
      });
      this.#resume(late);
      saved = Math.min(late, END);
    }
    this.#stretch(saved, END);
    const { labels, predictions, errors } = this.#predictions();
    const weights = draw.hash();
    const testError = errors / 10_000;
    this.#events.push({
      ...{ type: "evaluation", time, iteration: END, set: "test", images: 10_000, errors },
      ...{ error: testError, loss: 1 },
      predictions: { path: "predictions.csv", sha256: draw.hash(), bytes: 1 },
    });
    named("weights", "weights.safetensors", weights);
    if (draw.chance(0.5)) named("layer-statistics", "layer-statistics.json", draw.hash());
    if (draw.chance(0.3)) {
      const message = "the layers' responses took too long";
      this.#events.push({ type: "warning", time, iteration: END, message });
    }
    const validations = [...this.#validations.values()].sort((a, b) => a.iteration - b.iteration);
    const best = validations.reduce<EvaluationEvent | undefined>(
      (least, one) => least === undefined || one.error < least.error ? one : least,
      undefined,
    );
    this.#events.push({
      ...{
        type: "end",
        time,
        iteration: END,
        testError,
        trainingSeconds: 9,
        weightsSha256: weights,
      },
      ...(best ? { bestValidation: { iteration: best.iteration, error: best.error } } : {}),
    });
    const files = ["split.json", "predictions.csv", "weights.safetensors"].map((path) => ({
      path,
    }));
    return this.#spoilt({
      events: this.#events,
      ...(change === "no word of the split" ? {} : { split }),
      ...{ predictions: { labels, predictions }, files },
    }, recipe);
  }

  #split(): SplitManifest {
    const { training, validation } = this.#options.recipe.data.split;
    const made = splitImages(50_000, { training, validation }, this.#seed);
    if (this.#options.change === "validation images that are trained on") {
      return splitManifest({ ...made, validation: made.training.slice(0, 5_000) });
    }
    return splitManifest(made);
  }

  #start(split: SplitManifest): StartEvent {
    const { recipe, version, logEvery } = this.#options;
    const { name } = recipe.architecture;
    const { training, validation } = split;
    return {
      ...{ type: "start", time, version, run: "a run", recipe, seed: this.#seed },
      engine: { name: "wasm", reason: "asked for", device: { summary: "", details: {} } },
      ...{ versions: {}, revision: null, command: [] },
      parameters: TABLE_6[name.replace("plain", "resnet")].parameters,
      multiplyAdds: 1,
      data: {
        ...{ set: "cifar10", hashes: { ...datasetNamed("cifar10").hashes } },
        ...{ trainingImages: recipe.data.split.training, testImages: 10_000 },
        validationImages: recipe.data.split.validation,
        splitHashes: { training: training.sha256, validation: validation.sha256 },
        mean: {
          sha256: this.#draw.hash(),
          of: `per-pixel mean of ${recipe.data.split.training} training images`,
        },
      },
      classes: [...datasetNamed("cifar10").classNames],
      logEvery,
    };
  }

  #resume(iteration: number): void {
    this.#events.push({
      ...{ type: "resume", time, iteration, versions: {}, revision: null, command: [] },
      engine: {
        ...{ name: this.#draw.pick(["wasm", "webgpu"]), reason: "asked for" },
        device: { summary: "", details: {} },
      },
    });
  }

  #predictions() {
    const { change } = this.#options;
    const errors = change === "a test error of 2%"
      ? 200
      : change === "a test error of 60% of a residual net"
      ? 6_000
      : this.#draw.from(500, 1_500);
    const labels = [...TEST_LABELS];
    const wrong = new Set<number>();
    while (wrong.size < errors) wrong.add(this.#draw.below(10_000));
    const predictions = labels.map((label, i) => wrong.has(i) ? (label + 1 + i % 9) % 10 : label);
    return { labels, predictions, errors };
  }

  /** The change, where it is one of the finished log. */
  #spoilt(right: LogSubject, recipe: Recipe): LogSubject {
    const draw = this.#draw;
    const edit = <Type extends RunEvent["type"]>(
      type: Type,
      change: (event: Extract<RunEvent, { type: Type }>) => object,
      which: (event: Extract<RunEvent, { type: Type }>) => boolean = () => true,
    ): LogSubject => ({
      ...right,
      events: right.events!.map((event) =>
        event.type === type && which(event as Extract<RunEvent, { type: Type }>)
          ? { ...event, ...change(event as Extract<RunEvent, { type: Type }>) }
          : event
      ),
    });
    const start = (change: (start: StartEvent) => object) => edit("start", change);
    const data = (change: (data: StartEvent["data"]) => object) =>
      start(({ data }) => ({ data: { ...data, ...change(data) } }));
    const end = (change: (end: EndEvent) => object) => edit("end", change);
    const test = (change: (event: EvaluationEvent) => object) =>
      edit("evaluation", change, ({ set }) => set === "test");
    // Lines before the last stop may have been written again, and count no more.
    const last = right.events!.findLastIndex(({ type }) => type === "resume");
    const steps = right.events!.slice(last + 1).filter((event) => event.type === "step");
    const line = draw.pick(steps);
    const scored = (order: readonly number[]): LogSubject => {
      const { labels, predictions } = right.predictions!;
      return {
        ...right,
        predictions: {
          labels: order.map((i) => labels[i]),
          predictions: order.map((i) => predictions[i]),
        },
      };
    };
    switch (this.#options.change) {
      case "an image less in a line":
        return edit("step", ({ images }) => ({ images: images - 1 }), (one) => one === line);
      case "a line lost":
        return { ...right, events: right.events!.filter((one) => one !== line) };
      case "a line of one step more":
        return edit("step", ({ steps }) => ({ steps: steps + 1 }), (one) => one === line);
      case "an end at 50,000":
        return end(() => ({ iteration: 50_000 }));
      case "no end":
        return { ...right, events: right.events!.slice(0, -1) };
      case "a failure behind the end":
        return {
          ...right,
          events: [...right.events!, { type: "failure", time, iteration: END, reason: "a disk" }],
        };
      case "the test set looked at before": {
        const tested = right.events!.find((one) => one.type === "evaluation" && one.set === "test");
        const iteration = 1_000 * draw.from(1, 63);
        const events = [...right.events!];
        events.splice(-3, 0, { ...tested as EvaluationEvent, iteration });
        return { ...right, events };
      }
      case "the test set as validation":
        return edit(
          "evaluation",
          ({ error }) => ({ images: 10_000, errors: Math.round(10_000 * error) }),
          ({ set }) => set === "validation",
        );
      case "never tested":
        return {
          ...right,
          events: right.events!.filter((one) => one.type !== "evaluation" || one.set !== "test"),
        };
      case "9,984 images tested":
        return test(({ errors }) => ({ images: 9_984, error: errors / 9_984 }));
      case "a part tested again and again": {
        const part = draw.pick([100, 1_000, 5_000]);
        return scored(Array.from({ length: 10_000 }, (_, i) => i % part));
      }
      case "test images in another order":
        return scored(draw.shuffled([...Array(10_000).keys()]));
      case "one prediction more that is wrong": {
        const { labels, predictions } = right.predictions!;
        const at = labels.findIndex((label, i) => label === predictions[i]);
        return {
          ...right,
          predictions: { labels, predictions: predictions.with(at, (labels[at] + 1) % 10) },
        };
      }
      case "an error that is no quotient":
        return edit("evaluation", ({ error }) => ({ error: error * (1 - 1e-4) }));
      case "a result that is not the test's":
        return end(({ testError }) => ({ testError: testError - 0.0001 * draw.from(1, 100) }));
      case "a best validation that is not the best":
        return end(({ bestValidation }) => ({
          bestValidation: { ...bestValidation!, error: bestValidation!.error - 0.001 },
        }));
      case "another seed":
        return start(({ seed }) => ({ seed: (seed + 1) % 2 ** 32 }));
      case "another list than was logged":
        return data(({ splitHashes }) => ({
          splitHashes: { ...splitHashes, training: draw.hash() },
        }));
      case "another data file":
        return data(({ hashes }) => ({
          hashes: { ...hashes, [draw.pick(Object.keys(hashes))]: draw.hash() },
        }));
      case "a data file less": {
        return data(({ hashes }) => {
          const { [draw.pick(Object.keys(hashes))]: _, ...others } = hashes;
          return { hashes: others };
        });
      }
      case "a mean of all images":
        return data(({ mean }) => ({
          mean: { ...mean, of: "per-pixel mean of 50000 training images" },
        }));
      case "channel means in the log":
        return data(({ mean }) => ({
          mean: { ...mean, of: mean.of.replace("per-pixel", "per-channel") },
        }));
      case "given weights":
        return start(() => ({ startWeights: { path: "net.pth", sha256: draw.hash() } }));
      case "a departure, declared":
        return start(() => ({ recipe: departed(draw, recipe, "to see what it does") }));
      case "a departure, not declared":
        return start(() => ({ recipe: { ...departed(draw, recipe), departures: [] } }));
      case "a departure that is none":
        return start(({ recipe }) => ({
          recipe: {
            ...recipe,
            departures: [{ field: "batchSize", paper: "128", here: "64", reason: "memory" }],
          },
        }));
      case "parameters of option B":
        return start(({ parameters }) => ({ parameters: parameters + 2_752 }));
      case "100 classes":
        return start(() => ({ classes: Array.from({ length: 100 }, (_, i) => `${i}`) }));
      case "a loss that the errors forbid":
        return edit("step", ({ error }) => ({ loss: 0.6 * error }), (one) => one === line);
      case "a file that is missing": {
        // Without its weights a run can be published; whether they are the right ones is then open.
        const lost = draw.pick(right.files!.filter(({ path }) => path !== "weights.safetensors"));
        const files = right.files!.map((one) => one === lost ? { ...one, problem: MISSING } : one);
        return { ...right, files };
      }
      case "weights of another run":
        return end(() => ({ weightsSha256: draw.hash() }));
      default:
        return right;
    }
  }
}

/** The recipe with one departure of those that the paper has no reading for. */
export function departed(draw: Draw, recipe: Recipe, reason?: string): Recipe {
  return vary(recipe, DEPARTURES[draw.pick(Object.keys(DEPARTURES))], reason);
}
