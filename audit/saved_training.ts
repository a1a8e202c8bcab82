/** What a checkpoint itself says of how it was trained, judged and compared. */
import type {
  OptimiserState,
  SavedTraining,
  Scalar,
  SchedulerPart,
  SchedulerState,
} from "../weights/mod.ts";
import { BATCH_SIZE, ITERATIONS, TRAINING_IMAGES } from "../paper/mod.ts";
import { number, percent } from "../text/mod.ts";
import type { Cause } from "./causes.ts";
import type { ClaimedError, RuleEvidence } from "./report.ts";

/** What a checkpoint says of its training. */
export interface TrainingEvidence {
  /** By rule. */
  readonly evidence: readonly RuleEvidence[];
  /** What does not go together in it. */
  readonly causes: readonly Cause[];
  /** The points that the paper leaves open and the file decides: ids of point and of reading. */
  readonly choices: ReadonlyMap<string, string>;
  /** Everything of use, in words. */
  readonly notes: readonly string[];
  /** The error that the file claims. */
  readonly claimed?: ClaimedError;
}

/** Section 4.2. */
const PAPER = {
  ...{ momentum: 0.9, weightDecay: 1e-4, rate: 0.1, gamma: 0.1 },
  boundaries: [32_000, 48_000],
} as const;
/** Training images: all, or those that are not held out. */
const EPOCHS_OF = [TRAINING_IMAGES, 45_000] as const;
/** The last word of a value's path. */
const RATE = /^(lr|learning_rate|init(ial)?_lr|base_lr)$/;
const BATCH = /^(batch_?size|train_batch_?size|bs)$/;
const EPOCHS = /^(epochs|max_epochs?|num_epochs?|n_epochs?|total_epochs?)$/;
const STEPS = /^(global_step|iterations?|num_updates|total_steps)$/;
const ACCURACY =
  /^(best_?)?((test|val|valid|eval)_?)?(acc(uracy)?(_?(1|top_?1))?|prec(_?1|ision)?|top_?1(_?acc(uracy)?)?)$/;
const ERROR = /^(best_?)?((test|val|valid|eval)_?)?(err(or)?(_?1)?)$/;

/** Whether floats are equal but for their rounding; 0.1 * 0.1 is not 0.01. */
const close = (a: number, b: number) => Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), 1e-12);

/**
 * Judges what the file states, compares its parts, and says nothing of what it does not state.
 *
 * @param training What stands beside the weights.
 */
export function evidenceOf(training: SavedTraining): TrainingEvidence {
  const [optimiser] = training.optimisers;
  const scheduler = leading(training);
  const evidence = [
    ...(optimiser ? optimiserEvidence(...optimiser) : valuesEvidence(training)),
    ...rateEvidence(training),
    ...lengthEvidence(training),
  ];
  const nesterov = optimiser?.[1].groups.some(({ settings }) => settings.nesterov === true);
  const claimed = claimedError(training);
  const said = [
    ...(optimiser ? [optimiserText(optimiser[1])] : []),
    ...(scheduler ? [schedulerText(scheduler)] : []),
    ...(claimed ? [claimed.what] : []),
    ...["epoch", "global_step", "args.epochs", "args.batch_size"].flatMap((path) => {
      const value = training.values.get(path);
      return typeof value === "number" ? [`${path} ${number(value)}`] : [];
    }),
  ];
  return {
    evidence,
    causes: contradictions(training),
    choices: new Map(nesterov ? [["momentum-form", "true/gradients"]] : []),
    notes: said.length > 0 ? [`the file says of its training: ${said.join("; ")}`] : [],
    ...(claimed ? { claimed } : {}),
  };
}

const judged = (rule: string, right: boolean, evidence: string): RuleEvidence => ({
  ...{ rule, outcome: right ? "pass" : "fail", evidence },
});

/** A list without repetitions, as a sentence has it. */
const listed = (values: readonly unknown[]) => [...new Set(values)].join(" and ");

function optimiserEvidence(path: string, { groups }: OptimiserState): RuleEvidence[] {
  const values = (name: string) =>
    groups.flatMap(({ settings }) => typeof settings[name] === "number" ? [settings[name]] : []);
  const decays = values("weight_decay");
  const momenta = values("momentum");
  const kind = kindOf(groups);
  const nesterov = groups.some(({ settings }) => settings.nesterov === true);
  const says = `the optimiser's state ("${path}") says`;
  return [
    ...(decays.length > 0
      ? [judged(
        "weight-decay",
        // Without decay on some of the arrays is a reading that the paper leaves open.
        decays.some((value) => close(value, PAPER.weightDecay)) &&
          decays.every((value) => close(value, PAPER.weightDecay) || value === 0),
        `${says} a weight decay of ${listed(decays)}`,
      )]
      : []),
    ...(kind !== "SGD"
      ? [judged("momentum", false, `${says} ${kind}, not stochastic gradient descent`)]
      : momenta.length > 0
      ? [judged(
        "momentum",
        momenta.every((value) => close(value, PAPER.momentum)),
        `${says} a momentum of ${listed(momenta)}${nesterov ? ", in Nesterov's form" : ""}`,
      )]
      : []),
  ];
}

/** The optimiser by the settings that PyTorch's have. */
function kindOf(groups: OptimiserState["groups"]): string {
  const has = (name: string) => groups.some(({ settings }) => name in settings);
  return has("betas.0")
    ? "a method of Adam's kind, with betas in place of a momentum"
    : has("centered")
    ? "RMSprop"
    : has("lr_decay")
    ? "Adagrad"
    : has("rho")
    ? "Adadelta"
    : "SGD";
}

/** Arguments of a script, where no optimiser was saved. */
function valuesEvidence({ values }: SavedTraining): RuleEvidence[] {
  const found = (pattern: RegExp) => valueOf(values, pattern);
  const decay = found(/^(weight_decay|wd)$/);
  const momentum = found(/^momentum$/);
  return [
    ...(decay
      ? [judged(
        "weight-decay",
        close(decay.value, PAPER.weightDecay),
        `the file says ${decay.what}`,
      )]
      : []),
    ...(momentum
      ? [judged(
        "momentum",
        close(momentum.value, PAPER.momentum),
        `the file says ${momentum.what}`,
      )]
      : []),
  ];
}

/** A number of a script's own, by the last word of its path. */
function valueOf(
  values: SavedTraining["values"],
  pattern: RegExp,
): { readonly value: number; readonly what: string } | undefined {
  for (const [path, value] of values) {
    const name = path.split(".").at(-1)!;
    if (typeof value === "number" && Number.isFinite(value) && pattern.test(name.toLowerCase())) {
      return { value, what: `${path} of ${Number(value.toPrecision(6))}` };
    }
  }
}

/** The rate at the start and where it is lowered. */
function rateEvidence(training: SavedTraining): RuleEvidence[] {
  const { optimisers, values } = training;
  const groups = optimisers.values().next().value?.groups ?? [];
  const scheduler = leading(training);
  const settingOf = (name: string) =>
    groups.flatMap(({ settings }) => typeof settings[name] === "number" ? [settings[name]] : []);
  const stated = valueOf(values, RATE);
  const first = scheduler?.baseRates[0] ?? settingOf("initial_lr")[0] ?? stated?.value;
  const now = settingOf("lr")[0];
  const problems: string[] = [];
  const kept: string[] = [];
  if (first !== undefined) {
    (close(first, PAPER.rate) ? kept : problems).push(`the rate begins at ${first}`);
  } else if (now !== undefined && ![0.1, 0.01, 0.001].some((rate) => close(now, rate))) {
    problems.push(`the optimiser's rate is ${now}, which the paper's schedule never has`);
  }
  const schedule = scheduler && scheduleProblem(scheduler);
  if (schedule) problems.push(schedule);
  // What a warm-up does before its milestones is no part of a state.
  else if (scheduler && scheduler.milestones.length > 0 && scheduler.parts.length === 0) {
    kept.push(schedulerText(scheduler));
  }
  if (problems.length > 0) return [judged("learning-rate", false, problems.join("; "))];
  // A first rate alone says nothing of where it is lowered.
  return scheduler && kept.length === 2 ? [judged("learning-rate", true, kept.join("; "))] : [];
}

/** The scheduler to judge: one with milestones, or the first. */
function leading({ schedulers }: SavedTraining): SchedulerState | undefined {
  const all = [...schedulers.values()];
  return all.find((one) => lasting(one).milestones.length > 0) ?? all[0];
}

/** Of a scheduler that runs others the one that lowers the rate in the end, else itself. */
function lasting(scheduler: SchedulerState): SchedulerPart {
  const { parts } = scheduler;
  return parts.findLast(({ milestones }) => milestones.length > 0) ?? parts.at(-1) ??
    { ...scheduler, from: 0 };
}

/** Where the rate is lowered, by the whole scheduler's count. */
function milestonesOf(scheduler: SchedulerState): readonly number[] {
  const { milestones, from } = lasting(scheduler);
  return milestones.map((milestone) => milestone + from);
}

/** In what a scheduler is not the paper's; undefined where it is, or where that is not known. */
function scheduleProblem({ parts, ...scheduler }: SchedulerState): string | undefined {
  const all = parts.length > 0 ? parts : [{ ...scheduler, from: 0 }];
  const stepped = all.filter(({ milestones }) => milestones.length > 0);
  // A warm-up may stand before the paper's iterations or be among them.
  const counted = [true, false].map((fromStart) =>
    stepped.flatMap(({ milestones, from }) =>
      milestones.map((milestone) => milestone + (fromStart ? from : 0))
    ).sort((a, b) => a - b)
  );
  const [milestones] = counted;
  const text = `milestones ${milestones.join(", ")}`;
  const other = stepped.map(({ settings: { gamma } }) => gamma)
    .find((gamma) => typeof gamma === "number" && !close(gamma, PAPER.gamma));
  if (other !== undefined) return `the rate is multiplied by ${other} at ${text}, not by 0.1`;
  if (stepped.length > 0 && counted.every((milestones) => stepsOf(milestones) === undefined)) {
    return `${text} are neither 32,000 and 48,000 iterations nor their epochs (82 and 123 of 391 batches, 91 and 137 of 352)`;
  }
  return all.filter((one) => !stepped.includes(one)).map(otherSchedule).find(Boolean);
}

/** What a scheduler without milestones does, where it is known and not the paper's. */
function otherSchedule({ settings }: Pick<SchedulerState, "settings">): string | undefined {
  const { gamma } = settings;
  if ("T_max" in settings || "T_0" in settings) {
    return `the rate follows a cosine (period ${settings.T_max ?? settings.T_0})`;
  }
  if ("patience" in settings) return "the rate is lowered on a plateau (ReduceLROnPlateau)";
  if ("step_size" in settings) {
    return `the rate is multiplied by ${gamma} every ${settings.step_size}`;
  }
  if ("total_steps" in settings) return "the rate follows one cycle (OneCycleLR)";
  if ("max_lrs.0" in settings) return "the rate goes up and down (CyclicLR)";
  return typeof gamma === "number" ? `the rate is multiplied by ${gamma} each time` : undefined;
}

/** Iterations in the unit in which milestones are the paper's; undefined where none fits. */
function stepsOf(milestones: readonly number[]): number | undefined {
  const units = [
    1,
    ...EPOCHS_OF.flatMap((images) => [
      Math.ceil(images / BATCH_SIZE),
      Math.floor(images / BATCH_SIZE),
    ]),
  ];
  return units.find((steps) =>
    milestones.length === PAPER.boundaries.length &&
    // Counted in epochs, a milestone is off by less than one.
    milestones.every((milestone, i) =>
      Math.abs(milestone * steps - PAPER.boundaries[i]) < Math.max(steps, 2)
    )
  );
}

/** Batch size and length. */
function lengthEvidence({ values }: SavedTraining): RuleEvidence[] {
  const batch = valueOf(values, BATCH);
  const epochs = valueOf(values, EPOCHS);
  const steps = valueOf(values, STEPS);
  const size = batch?.value ?? BATCH_SIZE;
  const lengths = size > 0 && epochs
    ? EPOCHS_OF.map((images) => epochs.value * Math.ceil(images / size))
    : [];
  // The end is in an epoch that 64,000 iterations reach or leave.
  const fits = EPOCHS_OF.some((images, i) =>
    Math.abs(lengths[i] - ITERATIONS) <= Math.ceil(images / size)
  );
  return [
    ...(batch
      ? [judged("batch-size", batch.value === BATCH_SIZE, `the file says ${batch.what}`)]
      : []),
    ...(epochs && lengths.length > 0
      ? [judged(
        "iterations",
        fits,
        `the file says ${epochs.what}: ${number(lengths[0])} iterations of ${size} images${
          batch ? "" : ", if its batches are the paper's"
        }`,
      )]
      : steps && steps.value > ITERATIONS
      ? [judged("iterations", false, `the file says ${steps.what}: more than 64,000`)]
      : []),
  ];
}

/** Parts of the file that can't both be of one training. */
function contradictions(training: SavedTraining): Cause[] {
  const { optimisers, schedulers, values } = training;
  const scheduler = leading(training);
  const epoch = values.get("epoch");
  const rate = optimisers.values().next().value?.groups[0]?.settings.lr;
  const counts = schedulers.values()
    .flatMap(({ settings: { last_epoch } }) => typeof last_epoch === "number" ? [last_epoch] : []);
  // One of several is a warm-up's, which counts no further when that is over.
  const counted = Math.max(...counts);
  if (!scheduler || counted === -Infinity) return [];
  // Several schedulers of one optimiser give its rate together.
  const alone = schedulers.size <= optimisers.size;
  const now = scheduler.settings.last_epoch;
  const due = alone && typeof now === "number" ? rateAfter(scheduler, now) : undefined;
  const problems: string[] = [];
  // Saved before or behind the scheduler's step, an epoch is counted from 0 or from 1.
  if (typeof epoch === "number" && counted < epoch - 1) {
    const then = alone ? rateAfter(scheduler, epoch) : undefined;
    problems.push(
      `the file is of epoch ${number(epoch)}, and its scheduler counts ${number(counted)}${
        then !== undefined && typeof rate === "number" && !close(then, rate)
          ? `: by milestones ${milestonesOf(scheduler).join(", ")} the rate would be ${
            significant(then)
          }, and the optimiser's is ${significant(rate)}`
          : ""
      }`,
    );
  }
  if (problems.length === 0 && due !== undefined && typeof rate === "number" && !close(due, rate)) {
    problems.push(
      `by its scheduler the rate is ${significant(due)} at ${
        number(Number(now))
      }, and the optimiser's is ${significant(rate)}`,
    );
  }
  return problems.map((evidence) => ({ id: "schedule-not-followed", evidence }));
}

const significant = (value: number) => Number(value.toPrecision(6));

/** The rate that a multi-step scheduler gives at a count; undefined for others and in a warm-up. */
function rateAfter(scheduler: SchedulerState, count: number): number | undefined {
  const last = lasting(scheduler);
  const { milestones, settings: { gamma }, baseRates: [base], from } = last;
  if (milestones.length === 0 || typeof gamma !== "number" || base === undefined) return undefined;
  const inner = count - from;
  // Before it another one sets the rate; beside it another one changes it for so many steps.
  const alone = inner >= 0 && scheduler.parts.every((part) =>
    part === last || part.from < from ||
    (part.from === from && Number(part.settings.total_iters ?? Infinity) <= inner)
  );
  return alone
    ? base * gamma ** milestones.filter((milestone) => milestone <= inner).length
    : undefined;
}

/** The error that follows from an accuracy or an error beside the weights. */
function claimedError({ values }: SavedTraining): ClaimedError | undefined {
  const share = (value: number) => value > 1 ? value / 100 : value;
  const accuracy = valueOf(values, ACCURACY);
  const found = accuracy ?? valueOf(values, ERROR);
  if (!found || !(found.value > 0 && found.value <= 100)) return undefined;
  const error = accuracy ? 1 - share(found.value) : share(found.value);
  return { error, what: `${found.what}, an error of ${percent(error)}` };
}

function optimiserText({ groups }: OptimiserState): string {
  const names = ["lr", "initial_lr", "momentum", "weight_decay", "nesterov", "betas.0", "betas.1"];
  const settings = names.flatMap((name) => {
    const values = groups.flatMap(({ settings }): Scalar[] =>
      name in settings ? [settings[name]] : []
    );
    return values.length > 0 && values.some((value) => value !== false)
      ? [`${name} ${listed(values)}`]
      : [];
  });
  return `optimiser with ${settings.join(", ")}`;
}

function schedulerText(scheduler: SchedulerState): string {
  const milestones = milestonesOf(scheduler);
  const settings = { ...lasting(scheduler).settings, ...scheduler.settings };
  const kept = ["gamma", "last_epoch", "step_size", "T_max", "patience"].flatMap((name) =>
    name in settings ? [`${name} ${settings[name]}`] : []
  );
  return `scheduler with ${
    [...(milestones.length > 0 ? [`milestones ${milestones.join(", ")}`] : []), ...kept].join(", ")
  }`;
}
