/** Section 4.2 on loss, optimiser, rates and modes, as a recorder saw them. */
import { depthOf } from "../../resnet/mod.ts";
import {
  linesOf,
  type LossLine,
  type NetworkLine,
  type OptimizerLine,
  type RecordedStep,
  type RecordingLine,
  type RecordingLog,
  type SchedulerLine,
  type SchedulerStepLine,
} from "../../log/mod.ts";
import { BATCH_SIZE, ITERATIONS, paperRate } from "../../paper/mod.ts";
import { number, significant } from "../../text/mod.ts";
import { defineRules, type Finding, type KnownBad, type Rule } from "../rule.ts";
import { badKernels } from "../static/optimiser_rules.ts";
import { finding } from "../subject.ts";
import { badEvaluations, badLines, inProcesses } from "./_bad.ts";
import { observing, type RecordingSubject } from "./subject.ts";

const notObservable = (evidence: string): Finding => ({ outcome: "not-observable", evidence });

/** Steps that were taken; where an optimiser has the passes, none of another's beside it. */
function stepsOf({ lines }: RecordingLog): readonly RecordedStep[] {
  const taken = linesOf(lines, "step").filter(({ skipped }) => skipped !== true);
  const withPasses = taken.filter(({ passes }) => passes > 0);
  return withPasses.length > 0 ? withPasses : taken;
}

/**
 * The optimiser that stepped most, as it was last.
 *
 * @param log Every line.
 * @returns Undefined where none was seen.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { goodRecording } from "./_fixture.ts";
 * import { mainOptimizer } from "./training_rules.ts";
 *
 * assertEquals(mainOptimizer(goodRecording().log)?.class, "torch.optim.sgd.SGD");
 * ```
 */
export function mainOptimizer(log: RecordingLog): OptimizerLine | undefined {
  const counts = new Map<number, number>();
  for (const { optimizer, steps } of stepsOf(log)) {
    if (optimizer !== undefined) counts.set(optimizer, (counts.get(optimizer) ?? 0) + steps);
  }
  const [id] = [...counts].toSorted((a, b) => b[1] - a[1])[0] ?? [];
  return linesOf(log.lines, "optimizer").findLast((line) => line.id === id);
}

/**
 * The network that is trained most.
 *
 * @param log Every line.
 * @returns Undefined where no training batch was seen.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { goodRecording } from "./_fixture.ts";
 * import { mainNetwork } from "./training_rules.ts";
 *
 * assertEquals(mainNetwork(goodRecording().log)?.class, "resnet.ResNet");
 * ```
 */
export function mainNetwork({ lines }: Pick<RecordingLog, "lines">): NetworkLine | undefined {
  const counts = new Map<number, number>();
  for (const { phase, network } of linesOf(lines, "batch")) {
    if (phase === "training") counts.set(network, (counts.get(network) ?? 0) + 1);
  }
  const [main] = [...counts].toSorted((a, b) => b[1] - a[1])[0] ?? [];
  return linesOf(lines, "network").find(({ id }) => id === main);
}

const isSgd = ({ class: name }: OptimizerLine): boolean => /(^|\.)sgd$/i.test(name);
const setting = (settings: Readonly<Record<string, unknown>>, name: string): number | undefined =>
  typeof settings[name] === "number" ? settings[name] : undefined;

/** Logits go to the softmax of the loss as they are. */
const logits = observing(["log"], ({ log }) => {
  const losses = linesOf(log.lines, "loss");
  if (losses.length === 0) return notObservable("no loss was seen");
  const twice = losses.filter(({ softmaxBelow }) => softmaxBelow);
  const below = twice.find(({ chain }) => !repeatsLogSoftmax(chain));
  return finding(
    below
      ? [`a softmax stands below that of the loss: ${below.chain.slice(0, 6).join(" < ")}`]
      : [],
    twice.length > 0
      ? "a log-softmax stands below that of the loss, which changes no number"
      : `no softmax below that of the loss: ${losses[0].chain.slice(0, 4).join(" < ")}`,
  );
});

/** The log-softmax of a log-softmax is that log-softmax: its exponentials sum to 1 already. */
function repeatsLogSoftmax(chain: readonly string[]): boolean {
  const first = chain.findIndex((name) => /^LogSoftmax/.test(name));
  const last = chain.findLastIndex((name) => /Softmax/.test(name));
  return first >= 0 && first < last &&
    chain.slice(first, last + 1).every((name) => /^(LogSoftmax|ToCopy|View|Gather)/.test(name));
}

const CROSS_ENTROPY = new Set(["cross_entropy", "nll_loss"]);

/** The loss is the mean cross entropy of a step's images. */
const loss = observing(["log"], ({ log, photographs = false }) => {
  const lines = linesOf(log.lines, "loss");
  const steps = stepsOf(log);
  if (lines.length === 0 || steps.length === 0) return notObservable("no loss was seen");
  const problems: string[] = [];
  const negative = steps.find(({ loss = 0 }) => loss < 0);
  if (negative && lines.every(({ function: name = "" }) => CROSS_ENTROPY.has(name))) {
    problems.push(
      `step ${number(negative.iteration)} has a loss of ${
        significant(negative.loss!)
      }, and no cross entropy is below 0: ${
        lines[0].function === "nll_loss"
          ? "nll_loss takes the logarithms of probabilities (log_softmax), and was given other scores"
          : "its targets are no probabilities"
      }`,
    );
  }
  for (const line of lines) {
    const { function: name, reduction = "mean", scaled = 1, weight, labelSmoothing = 0 } = line;
    const passes = steps[0].passes;
    if (!photographs && name !== undefined && !CROSS_ENTROPY.has(name)) {
      problems.push(`it is ${name}`);
    }
    if (reduction === "sum") {
      problems.push(
        scaled < 0.1
          ? ""
          : `the losses of ${steps[0].images} images are summed: gradients are ${
            steps[0].images
          } times those of their mean`,
      );
    } else if (
      // A loss of 16 bits that overflows at first is infinitely many times its value.
      ["mean", "none"].includes(reduction) && scaled > Math.max(2, 2 * passes) &&
      Number.isFinite(scaled) &&
      !isTakenBack(scaled, log)
    ) {
      problems.push(`the mean loss is multiplied by ${scaled} before backward`);
    } else problems.push(timesTheMean(line, log) ?? "");
    // Section 3.4 says no more of its loss than softmax: what follows is a choice.
    if (photographs) continue;
    if (weight?.some((value) => value !== weight[0])) problems.push("the classes have weights");
    if (labelSmoothing > 0) problems.push(`labels are smoothed by ${labelSmoothing}`);
  }
  const [{ function: name, reduction = "mean" }] = lines;
  if (name === undefined && problems.length === 0) {
    return notObservable("the loss was computed by none of the framework's functions");
  }
  return finding(
    [...new Set(problems)].filter((problem) => problem !== ""),
    `${name}, reduction ${reduction}`,
  );
});

/** Most steps' passes and backward passes: the first and the last of an epoch may have others. */
function passesOfStep(log: RecordingLog): { readonly passes: number; readonly backwards: number } {
  const steps = stepsOf(log);
  const middle = (values: readonly number[]) =>
    values.toSorted((a, b) => a - b)[values.length >> 1];
  return {
    passes: middle(steps.map(({ passes, steps }) => passes / steps)) ?? 1,
    backwards: middle(steps.map(({ backwards }) => backwards)) ?? 1,
  };
}

/**
 * Where a step's gradients are another multiple of those of the mean over its images: parts of a
 * batch whose means are summed, or a mean that is divided by more parts than there are.
 */
function timesTheMean(line: LossLine, log: RecordingLog): string | undefined {
  const { reduction = "mean", scaled = 1, calls, chain } = line;
  if (!["mean", "none"].includes(reduction) || calls !== 1) return undefined;
  const { passes, backwards } = passesOfStep(log);
  const summed = scaled * Math.min(passes, backwards);
  if (Math.min(passes, backwards) >= 2 && summed > 1.5 && !isTakenBack(summed, log)) {
    return `a step's gradients are the sum of ${number(backwards)} backward passes, each of the ` +
      `mean of its own images${
        Math.abs(scaled - 1) < 0.01 ? "" : ` times ${significant(scaled)}`
      }: ${significant(summed)} times those of the mean of all`;
  }
  // Several processes may share one mean among them.
  const divided = scaled * Math.max(passes, backwards);
  return divided < 0.67 && /^(Mul|Div)Backward/.test(chain[0] ?? "") &&
      (log.start.worldSize ?? 1) === 1 && !isTakenBack(divided, log)
    ? `the mean loss is multiplied by ${significant(scaled)} before backward, in steps of ${
      passes === 1 ? "one pass" : `${number(passes)} passes`
    }`
    : undefined;
}

/** Norms of gradients at the step, as shares of those when backward ended. */
const keptShares = (log: RecordingLog): readonly number[] =>
  stepsOf(log).flatMap(({ checked: { gradientNorm, backwardNorm } = {} }) =>
    gradientNorm === undefined || backwardNorm === undefined || !(backwardNorm > 0)
      ? []
      : [gradientNorm / backwardNorm]
  );

/** Whether gradients of a multiplied loss are divided by as much before the step, as in 16 bits. */
function isTakenBack(scaled: number, log: RecordingLog): boolean {
  const shares = keptShares(log);
  const back = shares.filter((share) => Math.abs(share * scaled - 1) < 0.01);
  return Math.abs(scaled - 1) > 0.01 && back.length > shares.length / 2;
}

/** SGD, whose steps are what its formula says. */
const optimiser = observing(["log"], ({ log }) => {
  const line = mainOptimizer(log);
  if (line === undefined) return notObservable("no optimiser was seen");
  const name = line.class.split(".").at(-1)!;
  if (
    /^(adam|adamw|nadam|radam|adamax|adagrad|adadelta|rmsprop|lamb|lion|adafactor|lars)$/i.test(
      name,
    )
  ) {
    return finding([`the optimiser is ${name}`], "");
  }
  if (!isSgd(line)) return notObservable(`${name} is a class of its own`);
  const off = offFormula(log);
  return otherSteps(log) ?? finding(
    [],
    `${name}${
      off === undefined ? "" : `; its steps are what the formula gives, to ${off.toExponential(0)}`
    }`,
  );
});

/** How far replayed steps are from their class's formula: the median, as a share of their size. */
function offFormula(log: RecordingLog): number | undefined {
  const off = stepsOf(log).flatMap(({ checked }) => checked?.replay ?? [])
    .flatMap(({ predicted = NaN }) => Number.isFinite(predicted) ? [predicted] : []);
  return off.toSorted((a, b) => a - b)[off.length >> 1];
}

/** Where steps are not what their class's name says, neither are its settings. */
function otherSteps(log: RecordingLog): Finding | undefined {
  const off = offFormula(log) ?? 0;
  return off <= 0.01 ? undefined : notObservable(
    `the steps are not what SGD's formula gives: off by ${significant(off)} of their size`,
  );
}

const momentum = observing(["log"], ({ log }) => {
  const line = mainOptimizer(log);
  if (line === undefined || !isSgd(line)) return notObservable("no SGD of the framework was seen");
  const found = [...new Set(line.groups.map(({ settings }) => setting(settings, "momentum")))];
  const right = found.every((value) => value === 0.9);
  const damping = line.groups.map(({ settings }) => setting(settings, "dampening") ?? 0)
    .find((value) => value !== 0);
  if (damping !== undefined) {
    return finding([
      `the dampening is ${damping}: ${significant(1 - damping)} of each gradient is added`,
    ], "");
  }
  const taken = stepsOf(log);
  const made = new Set(taken.map(({ optimizer }) => optimizer)).size;
  if (made >= 3 && made > taken.length / 2) {
    return finding([
      `${number(made)} optimisers made ${
        number(taken.length)
      } steps: each is new, and no momentum is kept from one step to the next`,
    ], "");
  }
  // A schedule of the momentum gives numbers with many digits.
  const words = found.map((value) => typeof value === "number" ? significant(value) : value);
  if (right) return otherSteps(log) ?? finding([], "the momentum is 0.9");
  return finding([`the momentum is ${words.join(" and ")}`], "");
});

/**
 * The decay of kernels that the steps show: the share of the weights in an update, over that of the
 * gradient.
 */
function decayOfSteps(log: RecordingLog): number | undefined {
  const found: number[] = [];
  const shapes = new Map(
    mainNetwork(log)?.parameters.map(({ name, shape }) => [name, shape.length]),
  );
  for (const { checked } of stepsOf(log)) {
    for (const { parameter, gram, elements } of checked?.replay ?? []) {
      // Norms and biases may have none. What is not in the network has no shape: by its name.
      const axes = shapes.get(parameter) ?? (/bn|norm|bias/i.test(parameter) ? 1 : 2);
      if (elements < 64 || axes < 2) continue;
      const solved = solve(gram);
      if (solved === undefined || !(solved.gradient < 0)) continue;
      // Weights of 16 bits are rounded by more than a decay takes off: they show none.
      const [uu, ug, um, uw, , , , , , ww] = gram;
      const { gradient, buffer, weights } = solved;
      const rounded = Math.max(0, uu - gradient * ug - buffer * um - weights * uw);
      const within = Math.sqrt(rounded / elements / ww) / -gradient;
      if (within <= 0.1 * DECAY) found.push(weights / gradient);
    }
  }
  return found.length < 3 ? undefined : found.toSorted((a, b) => a - b)[found.length >> 1];
}

/** Least squares u = a g + b m + c w from the inner products. */
function solve(
  gram: readonly number[],
): { gradient: number; buffer: number; weights: number } | undefined {
  const [, ug, um, uw, gg, gm, gw, mm, mw, ww] = gram;
  if (![ug, um, uw, gg, gm, gw, mm, mw, ww].every(Number.isFinite)) return undefined;
  if (!(gg > 0) || !(ww > 0)) return undefined;
  if (!(mm > 1e-12 * gg)) {
    const det = gg * ww - gw * gw;
    if (!(det > 1e-6 * gg * ww)) return undefined;
    return { gradient: (ug * ww - uw * gw) / det, buffer: 0, weights: (uw * gg - ug * gw) / det };
  }
  const det3 = (
    a: number,
    b: number,
    c: number,
    d: number,
    e: number,
    f: number,
    g: number,
    h: number,
    i: number,
  ) => a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
  const det = det3(gg, gm, gw, gm, mm, mw, gw, mw, ww);
  if (!(det > 1e-6 * gg * mm * ww)) return undefined;
  return {
    gradient: det3(ug, gm, gw, um, mm, mw, uw, mw, ww) / det,
    buffer: det3(gg, ug, gw, gm, um, mw, gw, uw, ww) / det,
    weights: det3(gg, gm, ug, gm, mm, um, gw, mw, uw) / det,
  };
}

const DECAY = 0.0001;

const weightDecay = observing(["log"], ({ log }) => {
  const line = mainOptimizer(log);
  if (line === undefined) return notObservable("no optimiser was seen");
  const network = mainNetwork(log);
  const kernels = new Set(
    network?.parameters.filter(({ shape }) => shape.length >= 2).map(({ name }) => name),
  );
  const seen = isSgd(line) || !/adam/i.test(line.class) ? decayOfSteps(log) : undefined;
  // A sum alone may be of two losses, or of one and its labels' smoothing.
  const added = linesOf(log.lines, "loss").some(({ chain, labelSmoothing = 0, penalty }) =>
    penalty ?? /^(Add|Sum)Backward/.test(chain[labelSmoothing > 0 ? 1 : 0] ?? "")
  );
  const problems: string[] = [];
  // What is not named may be a kernel.
  const judged = line.groups.filter(({ names }) =>
    names.length === 0 || names.some((name) => kernels.has(name))
  );
  if (judged.length === 0 && seen === undefined) {
    return notObservable("the optimiser holds no kernel of the network that is trained");
  }
  for (const { settings, names } of judged) {
    const of = names.filter((name) => kernels.has(name));
    const decay = setting(settings, "weight_decay");
    if (decay === undefined) continue;
    if (Math.abs(decay - DECAY) > 1e-9) {
      problems.push(
        decay === 0 && added
          ? ""
          : `weight_decay is ${decay} for ${of.length} of ${kernels.size} kernels`,
      );
    }
  }
  const declared = judged.map(({ settings }) => setting(settings, "weight_decay"))
    .find((value) => value !== undefined);
  const wanted = problems.filter((problem) => problem !== "");
  if (/adamw$/i.test(line.class)) {
    wanted.push(`AdamW's decay is decoupled: ${declared} times the rate is taken off the weights`);
  } else if (
    // What is added to the loss is in the gradients: the steps' own decay is none.
    wanted.length === 0 && problems.length === 0 && seen !== undefined &&
    Math.abs(seen - DECAY) > 0.2 * DECAY
  ) {
    // A step of a class of its own may do anything: it is what the step did that counts.
    wanted.push(
      `the steps show a decay of ${Number(seen.toPrecision(2))}, where ${
        declared ?? DECAY
      } is declared`,
    );
  }
  if (wanted.length === 0 && problems.length > 0) {
    return notObservable("something is added to the loss, perhaps the decay");
  }
  if (wanted.length === 0 && declared === undefined && seen === undefined) {
    return notObservable("neither declared nor seen in the steps");
  }
  return finding(
    [...new Set(wanted)],
    `0.0001${
      seen === undefined ? " as declared" : `; the steps show ${Number(seen.toPrecision(3))}`
    }`,
  );
});

interface Calls {
  readonly scheduler: SchedulerLine;
  /** In all. */
  readonly count: number;
  readonly steps: readonly SchedulerStepLine[];
  /** Training steps from one call to the next; undefined where it can't be told. */
  readonly every?: number;
}

/** Schedulers of the main optimiser, and how often they are called. */
function schedulersOf(log: RecordingLog): readonly Calls[] {
  const optimizer = mainOptimizer(log);
  const inner = new Set(
    linesOf(log.lines, "scheduler").flatMap(({ schedulers = [] }) => schedulers),
  );
  const totals = linesOf(log.lines, "parameters").at(-1)?.schedulerCalls ?? {};
  const ended = log.lines.find((line) => line.type === "end" || line.type === "failure");
  const cuts = new Set(
    linesOf(log.lines, "epoch").filter(({ cut }) => cut === true).map(({ iteration }) => iteration),
  );
  return linesOf(log.lines, "scheduler")
    .filter(({ id, optimizer: of }) => !inner.has(id) && (of === undefined || of === optimizer?.id))
    .map((scheduler) => {
      const steps = linesOf(log.lines, "scheduler-step")
        .filter((line) => line.scheduler === scheduler.id);
      const calls = ended?.type === "end" || ended?.type === "failure"
        ? ended.schedulerCalls
        : totals;
      // An epoch that the recorder cut short is no measure of an epoch.
      const whole = steps.filter(({ iteration }) => !cuts.has(iteration));
      const gaps = whole.slice(1).map(({ stepsSince }) => stepsSince).toSorted((a, b) => a - b);
      const every = callsOfStep(gaps, log) ?? gaps[gaps.length >> 1] ?? whole[0]?.stepsSince ??
        (steps.length > 0 ? stepsPerEpoch(log) : undefined);
      return {
        scheduler,
        steps,
        count: Math.max(steps.length, calls[scheduler.id] ?? 0),
        ...(every === undefined || every === 0 ? {} : { every }),
      };
    });
}

/** Of a scheduler that is called several times a step, as for each part of a batch: steps a call. */
function callsOfStep(gaps: readonly number[], log: RecordingLog): number | undefined {
  // A step that a gradient scaler left out is none, and the scheduler is called all the same.
  const left = linesOf(log.lines, "step").filter(({ skipped }) => skipped === true).length;
  const within = gaps.filter((gap) => gap === 0).length - left;
  const sum = gaps.reduce((sum, gap) => sum + gap, 0);
  return gaps.length >= 8 && gaps.at(-1)! <= 1 && within >= 0.4 * gaps.length && sum > 0
    ? 1 / Math.round(gaps.length / sum)
    : undefined;
}

/** Steps of the epochs of the loader that is trained on. */
function stepsPerEpoch(log: RecordingLog): number | undefined {
  const id = stepsOf(log).find(({ loader }) => loader !== undefined)?.loader;
  return linesOf(log.lines, "loader").find((line) => line.id === id)?.batches;
}

/** Whether a later epoch began: what is done once an epoch was done. */
function hasFinishedEpoch(log: RecordingLog): boolean {
  if (stepsOf(log).some(({ epoch }) => (epoch ?? 1) > 1)) return true;
  // Without a loader: an evaluation with steps before and behind it is the end of an epoch.
  const last = stepsOf(log).at(-1)?.iteration ?? 0;
  return linesOf(log.lines, "evaluation")
    .some(({ iteration }) => iteration > 0 && iteration < last);
}

const SHORT_CLASS = (name: string): string => name.split(".").at(-1)!;

/** 0.1, divided by 10 at 32,000 and 48,000 iterations: what was used, and what is scheduled. */
const learningRate = observing(["log"], ({ log, graph, photographs = false }) => {
  const steps = stepsOf(log);
  if (steps.length === 0) return notObservable("no step was seen");
  if (steps.every(({ learningRate }) => learningRate === 0)) {
    return notObservable("no optimiser names a rate: steps are made by hand");
  }
  if (photographs) return rateOnPhotographs(log);
  const line = mainOptimizer(log);
  const warmUp = graph !== undefined && depthOf(graph) === 110;
  const isAdaptive = line !== undefined && /adam|rms|lion|lamb/i.test(line.class);
  const problems: string[] = [];
  const schedulers = schedulersOf(log);
  for (const calls of schedulers) {
    const problem = problemOf(calls, log);
    if (problem !== undefined) problems.push(problem);
  }
  // Counted in epochs, a rate may fall an epoch early or late.
  const slack = 1.5 * Math.min(stepsPerEpoch(log) ?? LONGEST_EPOCH, LONGEST_EPOCH);
  const resumed = isResumed(log);
  const unlike = resumed
    ? unlikeAnyPart(steps, slack, warmUp)
    : unlikeThePaper(steps, slack, warmUp);
  if (unlike !== undefined && problems.length === 0 && !isAdaptive) problems.push(unlike);
  if (!isAdaptive) problems.push(...ratesOfGroups(log, line));
  if (problems.length > 0) return finding([...new Set(problems)], "");
  const last = steps.at(-1)!.iteration;
  const used = ratesInWords(steps);
  if (resumed && !isAdaptive) {
    return notObservable(`${used} in ${number(last)} steps, and ${RESUMED}`);
  }
  const planned = schedulers.find(({ scheduler, every }) =>
    every !== undefined && scheduler.schedulers === undefined &&
    Array.isArray(scheduler.settings.milestones)
  );
  if (planned) {
    const { milestones } = planned.scheduler.settings as { milestones: number[] };
    return finding(
      [],
      `${used} in ${number(last)} steps; ${SHORT_CLASS(planned.scheduler.class)} divides it after ${
        milestones.map((m) => number(m * planned.every!)).join(" and ")
      } steps`,
    );
  }
  if (last >= ITERATIONS) return finding([], `${used} in ${number(last)} steps`);
  return notObservable(
    isAdaptive
      ? "the rate is that of another optimiser"
      : `${used} in the ${number(last)} steps that were recorded; ${
        last > 48_000 + slack
          ? "what comes behind was not seen"
          : `whether it falls at ${last > 32_000 + slack ? "48,000" : "32,000"} was not seen`
      }`,
  );
});

/** The first step whose rate is not the paper's, in words. */
function unlikeThePaper(
  steps: readonly RecordedStep[],
  slack: number,
  warmUp: boolean,
): string | undefined {
  const wrong = steps.find(({ learningRate, iteration, error = 0 }) =>
    ![0, -slack, slack].some((away) => isRate(learningRate, paperRate(iteration + away))) &&
    // The warm-up ends when less than 80% of the training images are wrong.
    !(warmUp && isRate(learningRate, 0.01) && (iteration <= LONGEST_WARM_UP || error >= 0.8))
  );
  return wrong &&
    `step ${number(wrong.iteration)} had the rate ${wrong.learningRate}, not ${
      paperRate(wrong.iteration)
    }${
      warmUp && isRate(wrong.learningRate, 0.01)
        ? ": the warm-up is to end when less than 80% of the training images are wrong, after about 400 steps"
        : ""
    }`;
}

/** What no part of the paper's training has, in words: where in it the steps begin is not known. */
function unlikeAnyPart(
  steps: readonly RecordedStep[],
  slack: number,
  warmUp: boolean,
): string | undefined {
  let [before] = steps, since = before.iteration;
  for (const step of steps) {
    const { learningRate: rate, iteration } = step;
    if (![0.1, 0.01, 0.001].some((one) => isRate(rate, one))) {
      return `step ${number(iteration)} had the rate ${rate}, not 0.1, 0.01 or 0.001`;
    }
    if (!isRate(rate, before.learningRate)) {
      const isWarm = warmUp && isRate(before.learningRate, 0.01) && isRate(rate, 0.1) &&
        (iteration <= LONGEST_WARM_UP || (before.error ?? 0) >= 0.8);
      if (!isWarm && !isRate(rate, before.learningRate / 10)) {
        return `at step ${number(iteration)} the rate goes from ${
          significant(before.learningRate)
        } to ${significant(rate)}, and is to be divided by 10`;
      }
      since = iteration;
    }
    const most = isRate(rate, 0.1) ? 32_000 : 16_000;
    if (iteration - since > most + slack) {
      return `the rate was ${significant(rate)} for more than ${number(most)} steps`;
    }
    before = step;
  }
}

/** Whether the training goes on from one that was not recorded, with its optimiser's state. */
function isResumed(log: RecordingLog): boolean {
  const first = stepsOf(log).find(({ optimizer }) => optimizer !== undefined)?.optimizer;
  return linesOf(log.lines, "optimizer").some(({ id, resumed }) => id === first && resumed);
}

const RESUMED = "the optimiser's state is that of earlier steps, which were not recorded";

/** Steps in an epoch of all 50,000 images. */
const LONGEST_EPOCH = 391;
/** The paper says about 400 steps: a factor of 2 is about. */
const LONGEST_WARM_UP = 800;

const isRate = (found: number, expected: number): boolean =>
  Math.abs(found - expected) <= 1e-6 * expected;

/** The rates in their order, each with the step from which on it was used. */
function ratesInWords(steps: readonly RecordedStep[]): string {
  const changes = steps.filter(({ learningRate }, i) =>
    i === 0 || !isRate(learningRate, steps[i - 1].learningRate)
  );
  return changes.slice(0, 6).map(({ learningRate, iteration, steps }, i) =>
    i === 0
      ? significant(learningRate)
      : `${significant(learningRate)} from step ${number(iteration - steps + 1)} on`
  ).join(", ");
}

/** The paper has one rate for all parameters. */
function ratesOfGroups(log: RecordingLog, line: OptimizerLine | undefined): string[] {
  const frozen = new Set(linesOf(log.lines, "parameters").at(-1)?.frozen);
  const held = line?.groups.map(({ names }) => names.filter((name) => !frozen.has(name)).length) ??
    [];
  for (const { rates, iteration, optimizer } of stepsOf(log)) {
    if (rates === undefined || optimizer !== line?.id || rates.length !== held.length) continue;
    const of = Map.groupBy(rates.keys().filter((i) => held[i] > 0), (i) => rates[i]);
    if (of.size < 2) continue;
    const words = [...of].map(([rate, groups]) =>
      `${significant(rate)} for ${number(groups.reduce((sum, i) => sum + held[i], 0))}`
    );
    return [`step ${number(iteration)} had several rates: ${words.join(", ")} of the arrays`];
  }
  return [];
}

const OTHER_RATES = /^(CosineAnnealing|Exponential|OneCycle|StepLR|Polynomial|Cyclic|Linear)/;
/** What may stand before the rates of the paper, as its deepest net has it. */
const WARM_UPS = /^(Linear|Constant)/;
const NOT_THE_PAPERS = "other rates than 0.1 divided by 10 at 32,000 and 48,000 iterations";

/** What is divided by 10 falls so, whenever it does: section 3.4 waits for a plateau. */
const FALLS_BY_STEPS = /^(StepLR|MultiStepLR|ReduceLROnPlateau)$/;

/** 0.1, divided by 10 when the error stops falling: section 3.4. */
function rateOnPhotographs(log: RecordingLog): Finding {
  const [first] = stepsOf(log);
  if (/adam|rms|lion|lamb/i.test(mainOptimizer(log)?.class ?? "")) {
    return notObservable("the rate is that of another optimiser");
  }
  const schedulers = schedulersOf(log);
  if (schedulers.some((calls) => misstepped(calls, log) !== undefined)) {
    return notObservable("what is scheduled is not what is used: see scheduler-stepped");
  }
  const starts = isResumed(log) ? [0.1, 0.01, 0.001, 0.0001] : [0.1];
  const problems = !starts.some((one) => isRate(first.learningRate, one))
    ? [`the rate is ${significant(first.learningRate)} at first, not 0.1`]
    : [];
  for (const { scheduler } of schedulers) {
    const name = SHORT_CLASS(scheduler.class);
    const { gamma, factor = gamma } = scheduler.settings;
    if (!FALLS_BY_STEPS.test(name)) {
      problems.push(`${name} gives other rates than those that are divided by 10 now and then`);
    } else if (typeof factor === "number" && Math.abs(factor - 0.1) > 1e-6) {
      problems.push(`${name} multiplies the rate by ${factor}, not by 0.1`);
    }
  }
  if (problems.length === 0 && schedulers.length === 0) {
    return notObservable(
      `${significant(first.learningRate)} in the steps that were recorded; ${
        isResumed(log) ? RESUMED : "whether it falls was not seen"
      }`,
    );
  }
  return finding(
    problems,
    `${significant(first.learningRate)} at first; ${
      SHORT_CLASS(schedulers[0]?.scheduler.class ?? "")
    } divides it by 10`,
  );
}

/** A larger milestone is counted in steps, of which a large set has as many in an epoch. */
const MOST_EPOCHS = 1_000;

/** How a scheduler is stepped otherwise than its settings mean. */
function misstepped({ scheduler, count, every }: Calls, log: RecordingLog): string | undefined {
  const name = SHORT_CLASS(scheduler.class);
  if (count === 0) {
    // One beside it may be stepped first: a warm-up, or what comes before an average of weights.
    return hasFinishedEpoch(log) && schedulersOf(log).every(({ count }) => count === 0)
      ? `${name} was made and not stepped in ${
        number(stepsOf(log).at(-1)?.iteration ?? 0)
      } steps, past the end of an epoch: the rate never changes`
      : undefined;
  }
  // Its milestones are where the next of its schedulers takes over.
  if (scheduler.schedulers !== undefined) return undefined;
  const { milestones, step_size: size, gamma } = scheduler.settings;
  if (typeof gamma === "number" && gamma > 0.5) return undefined; // lowered little and often
  const [at] = Array.isArray(milestones) ? milestones : [size];
  const epoch = stepsPerEpoch(log);
  return every !== undefined && every <= 1 && typeof at === "number" && epoch !== undefined &&
      epoch > 1 &&
      at <= Math.min(epoch, MOST_EPOCHS)
    ? `${name} is called in every step: the rate falls after ${
      number(at)
    } steps, within the first epoch of ${number(epoch)}`
    : undefined;
}

const schedulerStepped = observing(["log"], ({ log }) => {
  const schedulers = schedulersOf(log);
  if (schedulers.length === 0) return notObservable("no scheduler was seen");
  const problems = schedulers.flatMap((calls) => misstepped(calls, log) ?? []);
  const still = schedulers.find(({ count }) => count === 0);
  if (problems.length === 0 && still !== undefined) {
    return notObservable(
      schedulers.every(({ count }) => count === 0)
        ? "no scheduler was stepped, and no epoch ended"
        : `${SHORT_CLASS(still.scheduler.class)} was not stepped yet; another was`,
    );
  }
  return finding(
    problems,
    schedulers.map(({ scheduler, count }) =>
      `${SHORT_CLASS(scheduler.class)} was stepped ${number(count)} times`
    ).join("; "),
  );
});

function problemOf(
  calls: Calls,
  log: RecordingLog,
): string | undefined {
  const { scheduler, count, steps, every } = calls;
  const name = SHORT_CLASS(scheduler.class);
  if (count === 0) return misstepped(calls, log);
  if (name === "ReduceLROnPlateau") {
    const fed = steps.find(({ argument }) => argument !== undefined);
    const before = fed && stepsOf(log).findLast(({ iteration }) => iteration <= fed.iteration);
    const what = fed?.argument === undefined ? "" : before?.loss !== undefined &&
        Math.abs(before.loss - fed.argument) < 1e-4 * Math.abs(fed.argument)
      ? `, fed with the loss of the last training batch (${fed.argument.toPrecision(4)})`
      : `, fed with ${fed.argument.toPrecision(4)}`;
    return `${name} (patience ${
      scheduler.settings.patience ?? "?"
    }) waits for a plateau${what}, where the paper divides at 32,000 and 48,000 iterations`;
  }
  if (every === undefined) return undefined;
  const epoch = stepsPerEpoch(log) ?? 352;
  const { milestones, gamma = 0.1 } = scheduler.settings;
  const how = every > 1
    ? `called once in ${number(every)} steps`
    : every < 1
    ? `called ${number(1 / every)} times in every step`
    : "called in every step";
  if (scheduler.schedulers !== undefined) {
    // Its milestones are where the next of its schedulers takes over: what these do decides.
    const parts = linesOf(log.lines, "scheduler")
      .filter(({ id }) => scheduler.schedulers!.includes(id)).map((one) => SHORT_CLASS(one.class));
    return parts.some((part) => OTHER_RATES.test(part) && !WARM_UPS.test(part))
      ? `${name} of ${parts.join(" and ")}, ${how}, gives ${NOT_THE_PAPERS}`
      : undefined;
  }
  if (Array.isArray(milestones) && milestones.every((m) => typeof m === "number")) {
    const at = milestones.map((m: number) => m * every);
    // Counted in epochs, a milestone is off by an epoch at most.
    const within = every > 1 ? 1.5 * epoch : 1;
    const right = at.length === 2 && Math.abs(at[0] - 32_000) <= within &&
      Math.abs(at[1] - 48_000) <= within && gamma === 0.1;
    return right
      ? undefined
      : `${name} with milestones [${milestones.slice(0, 6).join(", ")}] is ${how}: the rate is ${
        gamma === 0.1 ? "divided by 10" : `multiplied by ${gamma}`
      } after ${
        at.slice(0, 4).map((m: number) => number(m)).join(", ")
      } steps, not after 32,000 and 48,000`;
  }
  const { constants } = scheduler.settings;
  if (
    Array.isArray(constants) && every > 1 && constants.includes(32_000) &&
    constants.includes(48_000)
  ) {
    return `${name}'s function counts to 32,000 and 48,000, and is ${how}: the rate is divided after ${
      number(32_000 * every)
    } steps`;
  }
  if (OTHER_RATES.test(name)) return `${name}, ${how}, gives ${NOT_THE_PAPERS}`;
}

/** Steps that had no gradient, since it was cleared behind the last backward pass. */
function emptiedSteps(log: RecordingLog): { readonly emptied: number; readonly checked: number } {
  const looked = stepsOf(log).filter(({ checked, iteration }) =>
    checked !== undefined && iteration > 2
  );
  const emptied = looked.filter(({ backwards, passes, checked }) =>
    backwards === 0 && passes > 0 && !(checked?.gradientNorm ?? 0)
  );
  return { emptied: emptied.length, checked: looked.length };
}

const gradientsCleared = observing(["log"], ({ log }) => {
  const steps = stepsOf(log).filter(({ iteration }) => iteration > 2);
  if (steps.length < 3) return notObservable("too few steps were seen");
  const { emptied, checked } = emptiedSteps(log);
  if (emptied > checked / 2) {
    return finding([
      `gradients were cleared between backward and step, in ${number(emptied)} of ${
        number(checked)
      } steps that were looked at: these had none`,
    ], "");
  }
  const kept = steps.filter(({ backwards, passes, steps, cleared }) =>
    cleared === false && backwards > Math.max(1, passes / steps)
  );
  const last = steps.at(-1)!;
  return finding(
    kept.length > steps.length / 2
      ? [
        `gradients were not cleared in ${number(kept.length)} of ${
          number(steps.length)
        } steps: those of step ${number(last.iteration)} are the sum of ${
          number(last.backwards)
        } backward passes`,
      ]
      : [],
    `cleared in each step`,
  );
});

const gradientsClipped = observing(["log"], ({ log }) => {
  const steps = stepsOf(log);
  if (steps.length === 0) return notObservable("no step was seen");
  const { emptied, checked } = emptiedSteps(log);
  if (emptied > checked / 2) {
    return notObservable("the steps had no gradients: see gradients-cleared");
  }
  const shares = keptShares(log);
  const shrunk = shares.filter((share) => share < 0.99);
  // A scaler's factor, or a sum over parts of a batch that is divided by their number.
  const { passes, backwards } = passesOfStep(log);
  const isScaler = linesOf(log.lines, "loss").some(({ scaled = 1 }) =>
    [scaled, scaled * Math.min(passes, backwards)].some((factor) => isTakenBack(factor, log))
  );
  const clips = steps.flatMap(({ clips = [] }) => clips);
  const active = clips.filter(({ kind, max, norm }) =>
    kind === "norm" && norm !== undefined && norm > max
  );
  const problems: string[] = [];
  if (active.length > 0.1 * steps.length && active.length > 2) {
    problems.push(
      `clipped to norm ${
        active[0].max
      } in ${active.length} of ${steps.length} steps, where it was ${
        active[0].norm!.toPrecision(3)
      } at first`,
    );
  } else if (shrunk.length > shares.length / 2 && !isScaler) {
    const value = clips.find(({ kind }) => kind === "value");
    problems.push(
      `between backward and step gradients shrink to ${
        (100 * Math.min(...shrunk)).toFixed(0)
      }% of their norm${value ? `: clipped to values of ${value.max}` : ""}`,
    );
  }
  return finding(
    problems,
    clips.length > 0 ? "clipped, at a norm that was not reached" : "not clipped",
  );
});

const parametersOptimised = observing(["log"], ({ log, photographs = false }) => {
  const lines = linesOf(log.lines, "parameters");
  const line = lines.at(-1);
  if (line === undefined) return notObservable("what changed was not seen");
  const network = mainNetwork(log);
  const kernels = new Set(
    network?.parameters.filter(({ shape }) => shape.length >= 2).map(({ name }) => name),
  );
  const some = (names: readonly string[]) =>
    names.slice(0, 3).join(", ") + (names.length > 3 ? `, … (${names.length})` : "");
  const problems: string[] = [];
  // An optimiser that is gone at the end, with the function that made it, held what it changed.
  const held = new Set(
    linesOf(log.lines, "optimizer").flatMap(({ groups }) => groups).flatMap(({ names }) => names),
  );
  // Steps by hand, or compiled ones, are no optimiser's, and change what none holds.
  const stepped = stepsOf(log).some(({ optimizer }) => optimizer !== undefined);
  const unheld = line.unheld.filter((name) =>
    stepped && (!held.has(name) || line.unchanged.includes(name))
  );
  if (unheld.length > 0) problems.push(`no optimiser holds ${some(unheld)}`);
  const head = photographs ? headAlone(log) : undefined;
  if (head !== undefined && problems.length === 0) {
    return finding([], `all but ${head} is frozen`);
  }
  if (line.frozen.length > 0) problems.push(`${some(line.frozen)} require no gradient`);
  const passes = linesOf(log.lines, "batch").filter(({ phase }) => phase === "training").length;
  const taken = stepped ? line.iteration : Math.max(passes, line.iteration);
  const still = taken < 2
    ? []
    : line.unchanged.filter((name) =>
      kernels.has(name) && !(stepped && line.unheld.includes(name))
    );
  const { emptied, checked } = emptiedSteps(log);
  if (still.length > 0 && emptied > checked / 2) {
    if (problems.length === 0) {
      return notObservable("the steps had no gradients: see gradients-cleared");
    }
  } else if (still.length > 0) {
    problems.push(
      stepped
        ? `${some(still)} did not change in ${number(taken)} steps`
        : `${some(still)} did not change in ${
          number(taken)
        } training passes, in which no optimiser's step() was seen`,
    );
  }
  const count = network?.parameters.length ?? "";
  return finding(problems, `all ${count} arrays ${stepped ? "are held and change" : "change"}`);
});

/** The last layer, where all but it is frozen: another training's features, and no mistake. */
function headAlone(log: RecordingLog): string | undefined {
  const frozen = new Set(linesOf(log.lines, "parameters").at(-1)?.frozen);
  const names = mainNetwork(log)?.parameters.map(({ name }) => name) ?? [];
  const head = names.slice(-2);
  return names.length > 2 && names.every((name) => frozen.has(name) !== head.includes(name))
    ? head.join(" and ")
    : undefined;
}

const inEvaluation = ({ norms, mode }: Pick<RecordedStep, "norms" | "mode">): boolean =>
  norms === undefined ? mode === "evaluation" : norms.evaluation > 0;

/** A network that is no module has neither batch norms nor a mode. */
const showsMode = ({ norms, mode }: Pick<RecordedStep, "norms" | "mode">): boolean =>
  norms !== undefined || mode !== undefined;

/**
 * Batch norms of a pass that go by other statistics than the network's mode says, and what is drawn
 * at random in evaluation mode: functions that were not told the mode.
 */
function againstMode(log: RecordingLog, mode: "training" | "evaluation"): string | undefined {
  for (const { phase, mode: of, nodes } of linesOf(log.lines, "graph")) {
    if (phase !== mode || of !== mode) continue;
    // Without running statistics a norm has but those of its batch: another rule names it.
    const norms = nodes.filter(({ kind, arguments: { training, running_mean: mean } }) =>
      kind === "batch-norm" && typeof mean === "object" && training === (mode === "evaluation")
    );
    if (norms.length > 0) {
      return `${
        norms.length === 1 ? "a batch norm goes" : `${number(norms.length)} batch norms go`
      } by ${
        mode === "evaluation" ? "the statistics of the batch" : "running statistics"
      } in a pass in ${mode} mode: a function (F.batch_norm) is told training=${
        mode === "evaluation" ? "True" : "False"
      }`;
    }
    const drawn = nodes.find(({ op, arguments: { train } }) =>
      /\b(bernoulli_?|native_dropout)\b/.test(op) && train !== false
    );
    if (mode === "evaluation" && drawn !== undefined) {
      return `${drawn.op} draws at random in a pass in evaluation mode: a function (F.dropout) is not told training=False`;
    }
  }
}

const trainingMode = observing(["log"], ({ log, photographs = false }) => {
  const steps = stepsOf(log);
  if (steps.length === 0) return notObservable("no step was seen");
  if (!steps.some(showsMode)) return notObservable("the mode of training was not seen");
  const wrong = steps.filter(inEvaluation);
  const against = againstMode(log, "training");
  if (against !== undefined) return finding([against], "");
  if (wrong.length === 0) {
    return finding([], `training mode in ${number(steps.at(-1)!.iteration)} steps`);
  }
  const head = photographs ? headAlone(log) : undefined;
  if (head !== undefined) {
    return finding([], `evaluation mode, where all but ${head} is frozen`);
  }
  const { norms, iteration } = wrong[0];
  return finding([
    `${
      norms
        ? `${norms.evaluation} of ${norms.training + norms.evaluation} batch norms are`
        : "the network is"
    } in evaluation mode from step ${number(iteration)} on, in ${number(wrong.length)} of ${
      number(steps.length)
    } steps`,
  ], "");
});

const evaluationMode = observing(["log", "evaluations"], ({ log, evaluations }) => {
  const trained = new Set(stepsOf(log).flatMap(({ loader }) => loader ?? []));
  // Passes over what is trained on may take the statistics anew: that is the strict average.
  const seen = evaluations.filter(({ line, part }) =>
    line !== undefined && part !== "trained" && !trained.has(line.loader ?? NaN) &&
    // Shapes are tried out on images of noise before the first step.
    (line.iteration > 0 || line.loader !== undefined)
  );
  if (seen.length === 0) return notObservable("no evaluation was seen");
  const against = againstMode(log, "evaluation");
  if (against !== undefined) return finding([against], "");
  const of = seen.filter(({ line }) => showsMode(line!));
  if (of.length === 0) return notObservable("the mode of evaluations was not seen");
  const wrong = of.filter(({ line }) =>
    line!.norms === undefined ? line!.mode === "training" : line!.norms.training > 0
  );
  return finding(
    wrong.length > 0
      ? [
        `${wrong[0].part ?? "an evaluation"} of ${number(wrong[0].line!.images)} images: ${
          wrong[0].line!.norms
            ? `${wrong[0].line!.norms.training} batch norms are`
            : "the network is"
        } in training mode, so that an image's output depends on the images beside it`,
      ]
      : [],
    `evaluation mode in ${of.length} evaluations`,
  );
});

const runningStatistics = observing(["log"], ({ log }) => {
  const norms = (mainNetwork(log)?.norms ?? [])
    .filter(({ class: name }) => /batch/i.test(name));
  if (norms.length === 0) return notObservable("no batch norm was seen");
  const problems = norms.flatMap(({ momentum, eps, tracked, names }) => [
    ...tracked ? [] : [`${names.length} batch norms keep no running statistics`],
    // The share of the newest batch; TensorFlow's sense of it is 1 less.
    ...typeof momentum === "number" && momentum > 0.3
      ? [
        `the momentum is ${momentum}: the statistics for tests are ${
          (100 * momentum).toFixed(0)
        }% those of the last batch`,
      ]
      : [],
    ...eps !== undefined && eps > 0.002 ? [`epsilon is ${eps}`] : [],
  ]);
  const still = linesOf(log.lines, "parameters").at(-1);
  const statistics = still?.buffersUnchanged.filter((name) => /running_(mean|var)$/.test(name)) ??
    [];
  if (
    still !== undefined && still.iteration > 1 && statistics.length > 0 &&
    !stepsOf(log).some(inEvaluation)
  ) {
    problems.push(`${statistics.length} running statistics did not change`);
  }
  const [{ momentum, eps = "not known" }] = norms;
  if (problems.length === 0 && momentum === undefined) {
    return notObservable("the norms are of a class of their own");
  }
  return finding([...new Set(problems)], `momentum ${momentum}, epsilon ${eps}`);
});

/** Section 3.4: "a mini-batch size of 256". */
const PHOTOGRAPHS_BATCH = 256;

const batchSize = observing(["log"], ({ log, photographs = false }) => {
  const steps = stepsOf(log);
  if (steps.length === 0) return notObservable("no step was seen");
  const sizes = steps.map(({ images, steps }) => images / steps).toSorted((a, b) => a - b);
  const each = sizes[sizes.length >> 1], { worldSize = 1 } = log.start;
  const size = each * worldSize;
  const found = worldSize === 1
    ? `${number(size)} images`
    : `${number(size)} images: ${number(each)} in each of ${worldSize} processes`;
  return finding(
    size === (photographs ? PHOTOGRAPHS_BATCH : BATCH_SIZE) ? [] : [`a step has ${found}`],
    found,
  );
});

const initialisation = observing(["graph", "initialWeights", "log"], (subject) => {
  const { graph, initialWeights, log } = subject;
  if (isResumed(log)) return notObservable(RESUMED);
  const wrong = (["in", "out"] as const).map((fan) =>
    badKernels(graph, initialWeights, fan, "either").problems
  );
  const [best] = wrong.toSorted((a, b) => a.length - b.length);
  return finding(best, `variance 2 / fan in every kernel`);
});

const fromScratch = observing(["graph", "initialWeights", "log"], (subject) => {
  const { graph, initialWeights, log } = subject;
  if (isResumed(log)) return notObservable(RESUMED);
  const means = graph.nodes.filter(({ kind }) => kind === "batch-norm")
    .flatMap(({ name }) => initialWeights.get(`${name}.running_mean`)?.data ?? []);
  if (means.length === 0) return notObservable("no running statistics were seen");
  const moved = means.filter((mean) => mean.some((value) => value !== 0));
  return finding(
    moved.length > 0
      ? [
        `${moved.length} batch norms have statistics before the first step: the network was trained before`,
      ]
      : [],
    "running statistics are those of a new network",
  );
});

const finite = observing(["log"], ({ log }) => {
  if (!stepsOf(log).some(({ loss, checked }) => loss !== undefined || checked !== undefined)) {
    return notObservable("no loss and no gradient was seen");
  }
  const wrong = stepsOf(log).find(({ loss, checked }) =>
    (loss !== undefined && !Number.isFinite(loss)) || (checked?.nonFinite ?? 0) > 0
  );
  return finding(
    wrong ? [`the loss or a gradient of step ${number(wrong.iteration)} is not finite`] : [],
    "losses and gradients are finite",
  );
});

/** Where a rule is stated, but for those of section 4.2 alone; `all`: it holds of any training. */
const SECTIONS: Readonly<Record<string, string>> = {
  "logits": "all",
  "loss": "all",
  "gradients-cleared": "all",
  "scheduler-stepped": "all",
  "parameters-optimised": "all",
  "training-mode": "all",
  "evaluation-mode": "all",
  "running-statistics": "all",
  "finite": "all",
  "optimiser": "4.2, 3.4",
  "momentum": "4.2, 3.4",
  "weight-decay": "4.2, 3.4",
  "learning-rate": "4.2, 3.4",
  "gradients-clipped": "4.2, 3.4",
  "batch-size": "4.2, 3.4",
  "from-scratch": "4.2, 3.4",
  "initialisation": "4.2, 3.4, [13]",
};

const rule = (
  id: string,
  requirement: string,
  check: Rule<RecordingSubject>["check"],
  rejects: Rule<RecordingSubject>["rejects"],
): Rule<RecordingSubject> => ({
  id,
  section: SECTIONS[id] ?? "4.2",
  requirement,
  tier: "recording",
  check,
  rejects,
});

const badOptimizer = (name: string, why: string, settings: object, change: object = {}) =>
  badLines(name, why, "optimizer", ({ groups }) => ({
    groups: groups.map((group) => ({ ...group, settings: { ...group.settings, ...settings } })),
    ...change,
  }));
const badScheduler = (name: string, why: string, milestones: readonly number[]) =>
  badLines(name, why, "scheduler", ({ settings }) => ({ settings: { ...settings, milestones } }));

const NEVER_STEPPED: KnownBad<RecordingSubject> = {
  name: "never called",
  why: "it is forgotten",
  kind: "recording",
  spoil: (good) => ({
    ...good,
    log: {
      ...good.log,
      lines: good.log.lines.filter(({ type }) => type !== "scheduler-step")
        .map((line): RecordingLine =>
          line.type === "end" || line.type === "failure" || line.type === "parameters"
            ? { ...line, schedulerCalls: { 1: 0 } } as RecordingLine
            : line
        ),
    },
  }),
};

/** The rules on loss, optimiser, rates and modes. */
export const TRAINING_STEP_RULES: readonly Rule<RecordingSubject>[] = defineRules([
  rule("logits", "The last layer's outputs go to the loss's softmax as they are.", logits, [
    badLines("softmax twice", "the network ends with one", "loss", () => ({ softmaxBelow: true })),
    badLines("below a log-softmax", "of what is a softmax already", "loss", () => ({
      softmaxBelow: true,
      chain: ["NllLossBackward0", "LogSoftmaxBackward0", "SoftmaxBackward0"],
    })),
  ]),
  rule("loss", "The loss is the softmax cross entropy, averaged over a step's images.", loss, [
    badLines("a sum", "the reduction is another", "loss", () => ({ reduction: "sum" })),
    badLines("times the batch", "the mean is undone", "loss", () => ({ scaled: 128 })),
    badLines("summed by hand", "the reduction is none", "loss", () => ({
      ...{ reduction: "none", scaled: 128 },
    })),
    badLines("smoothed labels", "a later habit", "loss", () => ({ labelSmoothing: 0.1 })),
    {
      name: "the negative of a score",
      why: "nll_loss is given scores, or a softmax",
      kind: "recording",
      spoil: (good) => ({
        ...good,
        log: {
          ...good.log,
          lines: good.log.lines.map((line): RecordingLine =>
            line.type === "loss"
              ? { ...line, function: "nll_loss", chain: ["NllLossBackward0", "SoftmaxBackward0"] }
              : line.type === "step"
              ? { ...line, loss: -0.1 }
              : line
          ),
        },
      }),
    },
    badLines("four means, summed", "parts of a batch are not divided", "step", () => ({
      ...{ passes: 4, backwards: 4 },
    })),
    badLines("a quarter of the mean", "divided for parts that are not there", "loss", () => ({
      ...{ scaled: 0.25, chain: ["DivBackward0", "NllLossBackward0", "LogSoftmaxBackward0"] },
    })),
  ]),
  rule("optimiser", "Training is by stochastic gradient descent.", optimiser, [
    badOptimizer("Adam", "said to need no tuning", {}, { class: "torch.optim.adam.Adam" }),
    badOptimizer("AdamW", "a later habit", {}, { class: "torch.optim.adamw.AdamW" }),
  ]),
  rule("momentum", "The momentum is 0.9.", momentum, [
    badOptimizer("none", "the default is kept", { momentum: 0 }),
    badOptimizer("0.99", "a slip", { momentum: 0.99 }),
    badOptimizer("dampened", "Lua Torch's default", { dampening: 0.9 }),
    badLines("lost at each step", "the optimiser is made in the loop", "step", ({ iteration }) => ({
      optimizer: iteration,
    })),
  ]),
  rule("weight-decay", "The weight decay is 0.0001, added to the gradient.", weightDecay, [
    badOptimizer("none", "the default is kept", { weight_decay: 0 }),
    badOptimizer("five times as much", "wide nets' value", { weight_decay: 0.0005 }),
    badLines("one that the step ignores", "an optimiser of one's own", "step", ({ checked }) => ({
      checked: {
        ...checked,
        replay: checked?.replay?.map((one) => ({
          ...one,
          gram: [1e-6, -1e-5, 0, 0, 1e-4, 0, 0, 0, 0, 1],
        })),
      },
    })),
  ]),
  rule(
    "learning-rate",
    "The learning rate is 0.1, and is divided by 10 at 32,000 and at 48,000 iterations; on photographs when the error stops falling.",
    learningRate,
    [
      {
        name: "another factor, on photographs",
        why: "a habit of longer schedules",
        kind: "recording",
        spoil: (good) => ({
          ...good,
          photographs: true,
          log: {
            ...good.log,
            lines: good.log.lines.map((line) =>
              line.type === "scheduler"
                ? { ...line, settings: { ...line.settings, gamma: 0.2 } }
                : line
            ),
          },
        }),
      },
      badScheduler("epochs, called in every step", "the call stands in the inner loop", [82, 123]),
      badLines("iterations, called in every epoch", "units are mixed", "scheduler-step", () => ({
        stepsSince: 352,
        place: "epoch",
      })),
      badLines("another rate", "a habit of Adam", "step", () => ({ learningRate: 0.001 })),
      {
        name: "a tenth of the rate for the kernels",
        why: "from fine-tuning",
        kind: "recording",
        spoil: (good) => ({
          ...good,
          log: {
            ...good.log,
            lines: good.log.lines.map((line): RecordingLine => {
              if (line.type === "step") return { ...line, rates: [0.1, 0.01] };
              if (line.type !== "optimizer") return line;
              const [group] = line.groups;
              const part = (names: readonly string[]) => ({ ...group, names, count: names.length });
              const { names } = group;
              return { ...line, groups: [part(names.slice(0, 9)), part(names.slice(9))] };
            }),
          },
        }),
      },
      badLines(
        "twice in a step",
        "called for each half of a batch",
        "scheduler-step",
        ({ call }) => ({
          stepsSince: call % 2,
        }),
      ),
      NEVER_STEPPED,
    ],
  ),
  rule(
    "scheduler-stepped",
    "A scheduler that is made is stepped, in the unit in which it counts.",
    schedulerStepped,
    [
      badScheduler("epochs, called in every step", "the call stands in the inner loop", [82, 123]),
      NEVER_STEPPED,
    ],
  ),
  rule(
    "gradients-cleared",
    "Each step's gradients are those of its own images.",
    gradientsCleared,
    [
      badLines("never", "zero_grad is forgotten", "step", ({ iteration }) => ({
        cleared: false,
        backwards: iteration,
      })),
      badLines("behind backward", "zero_grad stands in the wrong line", "step", ({ checked }) => ({
        backwards: 0,
        ...(checked && { checked: { withoutGradient: 24, nonFinite: 0, backwardNorm: 1 } }),
      })),
      badLines("every second step", "accumulated by mistake", "step", ({ iteration }) => ({
        cleared: iteration % 4 === 0,
        backwards: 1 + iteration % 4,
      })),
    ],
  ),
  rule("gradients-clipped", "Gradients are not clipped.", gradientsClipped, [
    badLines("to a norm of 0.1", "copied from a recurrent net", "step", () => ({
      clips: [{ kind: "norm", max: 0.1, norm: 2 }],
    })),
    badLines("by hand", "they are scaled in place", "step", ({ checked }) => ({
      checked: { ...checked, gradientNorm: 0.1, backwardNorm: 2 },
    })),
  ]),
  rule(
    "parameters-optimised",
    "Every trainable array is held by the optimiser and changes.",
    parametersOptimised,
    [
      badLines("the head is not held", "it is replaced behind the optimiser", "parameters", () => ({
        unheld: ["linear.weight", "linear.bias"],
        unchanged: ["linear.weight", "linear.bias"],
      })),
      badLines(
        "a frozen stem",
        "from fine-tuning",
        "parameters",
        () => ({ frozen: ["conv1.weight"] }),
      ),
      badLines("a kernel that stays", "its branch is not used", "parameters", () => ({
        unchanged: ["conv1.weight"],
      })),
    ],
  ),
  rule("training-mode", "Batch normalisation is in training mode in training.", trainingMode, [
    badLines("evaluation mode", "it is never set back", "step", () => ({
      mode: "evaluation",
      norms: { training: 0, evaluation: 7 },
    })),
    badLines(
      "left on",
      "a validation in mid-epoch",
      "step",
      ({ iteration }) =>
        iteration > 100 ? { mode: "evaluation", norms: { training: 0, evaluation: 7 } } : {},
    ),
  ]),
  rule(
    "evaluation-mode",
    "At test time batch normalisation goes by the running statistics.",
    evaluationMode,
    [
      badEvaluations("training mode", "eval() is forgotten", ({ line }) => ({
        line: { ...line!, mode: "training", norms: { training: 7, evaluation: 0 } },
      })),
      badEvaluations("one norm", "a module is not registered", ({ line }) => ({
        line: { ...line!, mode: "mixed", norms: { training: 1, evaluation: 6 } },
      })),
    ],
  ),
  rule(
    "running-statistics",
    "The running statistics are an average over many batches.",
    runningStatistics,
    [
      badLines("momentum 0.9", "TensorFlow's sense of it", "network", ({ norms }) => ({
        norms: norms.map((norm) => ({ ...norm, momentum: 0.9 })),
      })),
      badLines("not tracked", "an option", "network", ({ norms }) => ({
        norms: norms.map((norm) => ({ ...norm, tracked: false })),
      })),
    ],
  ),
  rule("batch-size", "A batch has 128 images; on photographs 256.", batchSize, [
    {
      name: "128 photographs",
      why: "CIFAR-10's",
      kind: "recording",
      spoil: (good) => ({ ...good, photographs: true }),
    },
    {
      name: "128 in each of 4 processes",
      why: "the batch of one is taken for that of all",
      kind: "recording",
      spoil: (good) => ({ ...good, log: inProcesses(4, good.log) }),
    },
    badLines("64", "half of the memory", "step", () => ({ images: 64 })),
    badLines("256", "ImageNet's", "step", () => ({ images: 256 })),
  ]),
  rule(
    "initialisation",
    "Kernels start from a normal distribution with mean 0 and variance 2 / fan.",
    initialisation,
    [
      {
        name: "half of the variance",
        why: "Glorot's",
        kind: "recording",
        spoil: (good) => ({
          ...good,
          initialWeights: new Map(
            [...good.initialWeights].map((
              [name, { shape, data }],
            ) => [name, { shape, data: data.map((value) => value * Math.SQRT1_2) }]),
          ),
        }),
      },
      {
        name: "the library's default",
        why: "nothing was set",
        kind: "recording",
        spoil: (good) => ({
          ...good,
          initialWeights: new Map(
            [...good.initialWeights].map((
              [name, { shape, data }],
            ) => [name, { shape, data: data.map((value) => value / Math.sqrt(6)) }]),
          ),
        }),
      },
    ],
  ),
  rule(
    "from-scratch",
    "Training begins from the initialisation, not from given weights.",
    fromScratch,
    [
      {
        name: "statistics of another training",
        why: "a pretrained net",
        kind: "recording",
        spoil: (good) => ({
          ...good,
          initialWeights: new Map(
            [...good.initialWeights].map((
              [name, { shape, data }],
            ) => [name, {
              shape,
              data: name.endsWith("running_mean") ? data.map(() => 0.1) : data,
            }]),
          ),
        }),
      },
      {
        name: "one layer's",
        why: "a part is loaded",
        kind: "recording",
        spoil: (good) => ({
          ...good,
          initialWeights: new Map(
            [...good.initialWeights].map((
              [name, { shape, data }],
            ) => [name, { shape, data: name === "bn1.running_mean" ? data.map(() => 0.1) : data }]),
          ),
        }),
      },
    ],
  ),
  rule("finite", "Losses and gradients are finite.", finite, [
    badLines("a loss that is not a number", "it diverged", "step", () => ({ loss: NaN })),
    badLines("gradients", "16 bits overflow", "step", ({ checked }) => ({
      checked: { ...checked, nonFinite: 3 },
    })),
  ]),
]);
