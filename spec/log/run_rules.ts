/** What makes a run one that can be believed: its files, its recipe, its start and its end. */
import { PAPER_DATASET } from "../../paper/mod.ts";
import { architecture, countParameters, initialise } from "../../resnet/mod.ts";
import {
  departuresOf,
  isOpen,
  OPTIMISERS,
  paper,
  type Recipe,
  vary,
  withIterations,
} from "../../recipes/mod.ts";
import {
  type FileEvent,
  finalTestOf,
  lastStepOf,
  type LogSubject,
  MISSING,
  type NamedFile,
} from "../../log/mod.ts";
import { faultyResume } from "./_loop_mutants.ts";
import {
  badEnd,
  badLines,
  badLog,
  badRun,
  goodLog,
  goodRun,
  SHORT_RUN,
  undeclared,
} from "./_bad.ts";
import { CLASSES, netOf, once, percent } from "./_facts.ts";
import { number } from "../../text/mod.ts";
import { defineRules, type Rule } from "../rule.ts";
import { finding, reading } from "../subject.ts";
import { judgeDepartures } from "../static/recipe_rules.ts";

/** A test error below it is better than any net of this form without other data reaches. */
const TOO_GOOD = 0.03;
/** A residual net of the paper that ends above it by the paper's recipe has not learnt. */
const TOO_BAD = 0.2;
/**
 * A net that is not trained yet errs nine times in ten; by the paper's recipe on CIFAR-10 it still
 * does so often up to these many steps. Another recipe may be faster: without augmentation and by
 * Adam training errors are below 20% after 1,000 steps.
 */
const EARLY: readonly Early[] = [{ steps: 1_000, error: 0.2 }, { steps: 5_000, error: 0.05 }];

/** Errors below it in no more than so many steps can't be. */
interface Early {
  readonly steps: number;
  readonly error: number;
}

const byAdam = (recipe: Recipe): Recipe => ({ ...recipe, optimiser: OPTIMISERS.adam.optimiser });

/** The rules on the run as a whole. */
export const LOG_RUN_RULES: readonly Rule<LogSubject>[] = defineRules([
  {
    id: "files-named",
    section: "all",
    requirement: "The run's files are those that its log names: split, predictions and weights.",
    tier: "log",
    check: reading(["files"], (run, { files }) => {
      const named = (kind: FileEvent["kind"]) =>
        run.files.findLast((file) => file.kind === kind)?.file;
      // Who publishes a run leaves them out: they are images of a data set, and large.
      const leftOut = (kinds: readonly FileEvent["kind"][]) =>
        files.filter(({ path, problem }) =>
          problem === MISSING && kinds.some((kind) => named(kind)?.path === path)
        );
      const pictures = leftOut(["augmented-sample", "worst-mistakes"]);
      const weights = leftOut(["weights"]);
      const problems = files
        .filter((file) =>
          file.problem !== undefined && !pictures.includes(file) && !weights.includes(file)
        )
        .map(({ path, problem }) => `${path}: ${problem}`);
      if (!named("split")) problems.push("the log names no split");
      if (run.end) {
        if (!finalTestOf(run)?.predictions) problems.push("the log names no predictions");
        if (named("weights")?.sha256 !== run.end.weightsSha256) {
          problems.push("the weights of the result are not those that the log names");
        }
      }
      if (problems.length === 0 && weights.length > 0) {
        return { outcome: "not-observable", evidence: `${weights[0].path}: ${MISSING}` };
      }
      const kept = files.filter((file) => !pictures.includes(file));
      const names = (list: readonly NamedFile[]) => list.map(({ path }) => path).join(", ");
      return finding(
        problems,
        `${kept.length} files: ${names(kept)}${
          pictures.length > 0 ? `; left out: ${names(pictures)}` : ""
        }`,
      );
    }),
    rejects: [
      badEnd("weights that changed on the disk", "a later run writes over them", 63_900, {
        store: (right) => ({
          write: async (name, content) => {
            const file = await right.write(name, content);
            if (name === "weights.safetensors") await right.write(name, "other weights");
            return file;
          },
        }),
      }),
      badLines("end", "other weights", "the result is that of another file", () => ({
        weightsSha256: "0".repeat(64),
      })),
      {
        name: "other pictures",
        why: "the file of another run is kept",
        kind: "log",
        spoil: (good) => ({
          ...good,
          files: good.files.map((file): NamedFile =>
            file.path === "worst-mistakes.json" ? { ...file, problem: "its SHA-256 is 0" } : file
          ),
        }),
      },
      {
        name: "no predictions",
        why: "the folder was copied in part",
        kind: "log",
        spoil: (good) => ({
          ...good,
          files: good.files.map((file): NamedFile =>
            file.path === "predictions.csv" ? { ...file, problem: MISSING } : file
          ),
        }),
      },
    ],
    accepts: [
      goodRun("a run of 20 steps", "its files are named as those of a whole one", SHORT_RUN),
      {
        name: "pictures left out",
        why: "they are images of a data set, which is not ours to publish",
        make: (good) => ({
          ...good,
          files: good.files.map((file) =>
            /augmented-sample|worst-mistakes/.test(file.path) ? { ...file, problem: MISSING } : file
          ),
        }),
      },
    ],
  },
  {
    id: "departures-logged",
    section: "all",
    requirement: "Where the run's recipe leaves the paper its log says so, with a reason.",
    tier: "log",
    check: reading([], ({ start }) => judgeDepartures(start.recipe)),
    rejects: [
      badRun("an undeclared momentum", "a command-line flag", {
        stopAfter: 1,
        recipe: undeclared(paper("resnet20", { optimiser: { momentum: 0.95 } })),
      }),
      badLines(
        "start",
        "departures that are left out",
        "the report looks better",
        ({ recipe }) => ({
          recipe: undeclared(vary(recipe, { batchSize: 256 }, "memory")),
        }),
      ),
    ],
    accepts: [goodRun("a departure, declared with its reason", "that is another rule's", {
      stopAfter: 1,
      recipe: vary(paper("resnet8"), { batchSize: 64, batchNormImages: 64 }, "memory"),
    })],
  },
  {
    id: "recipe-of-paper",
    section: "4.2, 3.4",
    requirement: "The run's recipe is the paper's, declared or not: it differs only in what the " +
      "paper leaves open.",
    tier: "log",
    check: reading([], ({ start: { recipe } }) =>
      finding(
        departuresOf(recipe).filter(({ field }) => !isOpen(recipe, field))
          .map(({ field, paper, here }) => `${field} is ${here}, not ${paper}`),
        `${recipe.name} of ${recipe.architecture.name}, with no departure from the paper`,
      )),
    rejects: [
      badRun("another momentum, declared", "a reason makes no recipe the paper's", {
        stopAfter: 1,
        recipe: vary(paper("resnet20"), { optimiser: { momentum: 0.95 } }, "it was faster"),
      }),
      badLines("start", "no augmentation, declared", "the report says so", ({ recipe }) => ({
        recipe: vary(recipe, { data: { augmentation: "none" } }, "to see what it does"),
      })),
      badLines("start", "five times the decay, undeclared", "wide nets' value", ({ recipe }) => ({
        recipe: vary(recipe, { optimiser: { weightDecay: 5e-4 } }),
      })),
    ],
    accepts: [{
      name: "all 50,000 images",
      why: "the paper can be read so",
      make: (good) => ({
        ...good,
        events: good.events.map((event) =>
          event.type === "start"
            ? {
              ...event,
              recipe: vary(event.recipe, { data: { split: { training: 50_000, validation: 0 } } }),
            }
            : event
        ),
      }),
    }],
  },
  {
    id: "parameters-logged",
    section: "4.2, Table 6",
    requirement: "The run trained the paper's net: its parameters, without batch-norm statistics.",
    tier: "log",
    check: reading([], ({ start }) => {
      const { classes, parameters } = start;
      const problems = classes.length === CLASSES ? [] : [`the net has ${classes.length} classes`];
      const expected = expectedParameters(netOf(start));
      if (expected === undefined) problems.push(`${netOf(start)} is no net of the paper`);
      else if (parameters !== expected) {
        problems.push(`${number(parameters)} parameters, not ${number(expected)}`);
      }
      return finding(problems, `${netOf(start)} with ${number(parameters)} parameters`);
    }),
    rejects: [
      badRun("projection shortcuts", "option B is the library's default", {
        recipe: paper("resnet20", { architecture: { shortcut: "B" } }),
        stopAfter: 1,
      }),
      badLines("start", "batch-norm statistics counted", "all arrays are", ({ parameters }) => ({
        parameters: parameters + 2 * (7 * 16 + 6 * 32 + 6 * 64),
      })),
    ],
    accepts: [
      goodRun("a plain net", "it has as many parameters", {
        recipe: paper("plain20"),
        stopAfter: 1,
      }),
    ],
  },
  {
    id: "from-scratch",
    section: "4.2, 3.4",
    requirement: "Training began from the initialisation, not from given weights.",
    tier: "log",
    check: reading([], ({ start: { startWeights } }) =>
      finding(
        startWeights ? [`it began from ${startWeights.path}`] : [],
        "it began from the initialisation",
      )),
    rejects: [
      badRun("weights of another run", "a pretrained net is refined", () => ({
        stopAfter: 1,
        startWeights: {
          path: "pretrained.safetensors",
          sha256: "0".repeat(64),
          weights: initialise(architecture("resnet8"), 9, "in"),
        },
      })),
      badLines("start", "a file of weights in the log", "the net was trained before", () => ({
        startWeights: { path: "imagenet.safetensors", sha256: "0".repeat(64) },
      })),
    ],
    accepts: [
      goodLog(
        "gone on with from its own checkpoint",
        "these weights are its own",
        (events) => [...events, ...events.filter(({ type }) => type === "resume")],
      ),
    ],
  },
  {
    id: "run-finished",
    section: "all",
    requirement: "The run came to its end: it was not broken off, and nothing follows its result.",
    tier: "log",
    check: reading([], (run) => {
      const { events } = run;
      const last = events[events.length - 1];
      const warnings = events.filter((event) => event.type === "warning");
      if (last.type !== "end") {
        const how = "reason" in last ? `${last.type}: ${last.reason}` : "the log breaks off";
        return finding([how], "");
      }
      const due = lastStepOf(run);
      const problems = last.iteration === due
        ? []
        : [`it ended after ${number(last.iteration)} of ${number(due)} steps`];
      const warned = warnings.map(({ message }) => message).join("; ");
      return finding(
        problems,
        `it ended after step ${number(last.iteration)}; ${
          warned ? `warnings: ${warned}` : "no warnings"
        }`,
      );
    }),
    rejects: [
      badEnd("a loss that is not a number", "the run diverged", 63_900, {
        engine: (right) => ({
          metrics: async () =>
            (await right.metrics()).map((step) =>
              step.iteration === 63_950 ? { ...step, loss: NaN } : step
            ),
        }),
      }),
      badEnd("stopped before its last step", "the time was up", 63_900, { stopAfter: 63_999 }),
      badLog("no end", "the process was killed", (event) => event.type === "end" ? [] : event),
      badLines("end", "an end before its time", "early stopping", () => ({ iteration: 51_200 })),
    ],
    accepts: [goodLog("warnings on the way", "another engine took over", (events) => [
      ...events.slice(0, -1),
      {
        type: "warning",
        time: "2026-01-01T00:00:00Z",
        iteration: 63_999,
        message: "another engine",
      },
      events[events.length - 1],
    ])],
  },
  {
    id: "resumes",
    section: "all",
    requirement: "A run that was stopped went on from its own checkpoint, and no step was skipped.",
    tier: "log",
    check: reading([], ({ events, start: { logEvery } }) => {
      const problems: string[] = [];
      const from: number[] = [];
      events.forEach((event, index) => {
        if (event.type !== "resume" || event.iteration === 0) return;
        const { iteration } = event;
        from.push(iteration);
        // One that was on the disk but not yet in the log is logged right after.
        const known = events.slice(0, index + 2);
        const before = events.slice(0, index);
        if (!known.some((other) => other.type === "checkpoint" && other.iteration === iteration)) {
          problems.push(`no checkpoint of step ${number(iteration)}, from which it went on`);
        }
        const reached = before.reduce(
          (most, other) =>
            other.type === "step" || other.type === "stop" ? Math.max(most, other.iteration) : most,
          0,
        );
        if (reached + logEvery <= iteration) {
          problems.push(
            `it went on from step ${number(iteration)}, and had come to step ${number(reached)}`,
          );
        }
      });
      const after = from.map((value) => number(value)).join(" and ");
      return finding(problems, after ? `it went on after step ${after}` : "it was never stopped");
    }),
    rejects: [
      {
        name: "a checkpoint that lies about its step",
        why: "iterations are counted twice, on two devices",
        kind: "loop",
        spoil: () => faultyResume(),
      },
      badLines("resume", "from nowhere", "weights without momentum were loaded", () => ({
        iteration: 40_000,
      })),
      badLog(
        "no checkpoints",
        "the state came from somewhere else",
        (event) => event.type === "checkpoint" ? [] : event,
      ),
    ],
    accepts: [
      goodRun("never stopped", "it went through", SHORT_RUN),
    ],
  },
  {
    id: "plausible",
    section: "4.2, Table 6",
    requirement: "No figure is better, or worse, than it can be.",
    tier: "log",
    check: reading([], (run) => {
      const { start, steps, evaluations } = run;
      const problems: string[] = [];
      // A wrong image has at most half of the probability on its label.
      for (const { type, iteration, loss, error } of [...steps, ...evaluations]) {
        if (!(error >= 0 && error <= 1)) {
          problems.push(`${type} after step ${number(iteration)}: a share of ${error} is none`);
        }
        if (!(loss >= error * Math.LN2 * (1 - 1e-6) && Number.isFinite(loss))) {
          problems.push(
            `${type} after step ${number(iteration)}: with ${
              percent(error)
            } wrong the loss is at least ${(error * Math.LN2).toFixed(3)}, and is said to be ${
              loss.toFixed(3)
            }`,
          );
        }
      }
      const [first] = steps;
      const { set, trainingImages } = start.data;
      const isPapers = departuresOf(start.recipe).every(({ field }) => isOpen(start.recipe, field));
      // The bounds are CIFAR-10's: other images may be easier, as the built-in ones are.
      const isKnown = set === PAPER_DATASET;
      // Whatever the recipe, no net comes to a fifth before it has seen every image once.
      const epoch = {
        steps: Math.ceil(trainingImages / start.recipe.batchSize),
        error: EARLY[0].error,
      };
      const early = !isKnown || start.startWeights ? [] : isPapers ? EARLY : [epoch];
      for (const { steps: most, error: least } of early) {
        const low = steps.find(({ iteration, error }) => iteration <= most && error < least);
        if (!low) continue;
        problems.push(
          `the training error was ${percent(low.error)} at step ${number(low.iteration)} already`,
        );
      }
      const [atFirst, test] = [percent(first?.error ?? 1), finalTestOf(run)];
      if (!run.end || !test || !isKnown) {
        return once(
          run,
          problems,
          `training error ${atFirst} at first, losses as the errors allow`,
        );
      }
      if (test.error < TOO_GOOD) {
        problems.push(`a test error of ${percent(test.error)} is below ${percent(TOO_GOOD)}`);
      }
      // A shorter training, or one by another recipe, may well be worse.
      const isResidual = isPapers && !netOf(start).startsWith("plain");
      if (test.error > TOO_BAD && isResidual) {
        problems.push(`a test error of ${percent(test.error)} is above ${percent(TOO_BAD)}`);
      }
      return finding(
        problems,
        `training error ${atFirst} at first; test error ${percent(test.error)}, ${
          isResidual
            ? `between ${percent(TOO_GOOD)} and ${percent(TOO_BAD)}`
            : `not below ${percent(TOO_GOOD)}`
        }`,
      );
    }),
    rejects: [
      badRun("right from the start", "the label is among the inputs", {
        stopAfter: 200,
        engine: (right) => ({
          metrics: async () => (await right.metrics()).map((step) => ({ ...step, errors: 0 })),
        }),
      }),
      badLines(
        "step",
        "right after 2,000 steps",
        "training images come again and again",
        (step) => step.iteration > 2_000 && step.iteration < 5_000 ? { error: 0, loss: 0.001 } : {},
      ),
      badLines("step", "a loss without end", "a logarithm of zero", (step) => ({
        loss: step.iteration === 40_000 ? Infinity : step.loss,
      })),
      badLines("step", "an error below zero", "right images are counted twice", (step) => ({
        error: step.iteration === 40_000 ? -0.01 : step.error,
      })),
      badEnd("a test error of 1%", "test images are among the training images", 63_900, {
        engine: (right) => ({
          evaluate: async (set, indices) => {
            const evaluation = await right.evaluate(set, indices);
            return { ...evaluation, errors: evaluation.images / 100 };
          },
        }),
      }),
      badLines("evaluation", "a loss below what the errors allow", "a sum over logits", () => ({
        loss: 0,
      })),
      badLines("evaluation", "chance", "labels and images are out of step", ({ images }) => ({
        ...{ errors: 0.9 * images, error: 0.9, loss: 2.3 },
      })),
      badLog(
        "right within an epoch, by Adam",
        "the label is among the inputs",
        (event) =>
          event.type === "start"
            ? { ...event, recipe: byAdam(event.recipe) }
            : event.type === "step" && event.iteration > 100
            ? { ...event, error: 0.1, loss: 0.3 }
            : event,
      ),
    ],
    accepts: [
      goodLog(
        "soon right by Adam",
        "images that stay the same are learnt by heart",
        (events) =>
          events.map((event) =>
            event.type === "start"
              ? { ...event, recipe: byAdam(event.recipe) }
              : event.type === "step" && event.iteration > 900
              ? { ...event, error: 0.02, loss: 0.1 }
              : event
          ),
      ),
      goodLog(
        "soon right on built-in images",
        "they are easier than CIFAR-10's",
        (events) =>
          events.map((event) =>
            event.type === "start"
              ? { ...event, data: { ...event.data, set: "shapes10" } }
              : event.type === "step" && event.iteration > 200
              ? { ...event, error: 0.04, loss: 0.2 }
              : event
          ),
      ),
      goodLog(
        "a plain net with a test error of 30%",
        "deep plain nets learn badly",
        (events) =>
          events.map((event) =>
            event.type === "start"
              ? { ...event, recipe: paper("plain110") }
              : event.type === "evaluation" && event.set === "test"
              ? { ...event, errors: 3_000, error: 0.3, loss: 1 }
              : event
          ),
      ),
      goodLog(
        "a net of 352 steps with a test error of 50%",
        "it had no time to learn",
        (events) =>
          events.map((event) =>
            event.type === "start"
              ? { ...event, recipe: withIterations(event.recipe, 352) }
              : event.type === "evaluation" && event.set === "test"
              ? { ...event, errors: 5_000, error: 0.5, loss: 1.4 }
              : event
          ),
      ),
    ],
  },
]);

/** Trainable parameters of one of the paper's nets; undefined for other names. */
function expectedParameters(name: string): number | undefined {
  return paper(name).departures.length > 0 ? undefined : countParameters(architecture(name));
}
