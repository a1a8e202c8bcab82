/** What a training script saves beside the weights: optimiser, scheduler, epoch, arguments. */
import { InertObject, PickleGlobal } from "./_pickle.ts";
import { StoredTensor } from "./_stored_tensor.ts";
import { numpyScalar } from "./_torch_globals.ts";

/** A value that needs no class. */
export type Scalar = number | string | boolean | null;

/** One group of an optimiser's parameters, by PyTorch's names (`lr`, `momentum`, `weight_decay`). */
export interface ParameterGroup {
  /** Settings that are numbers, texts or switches; of a list its first two items as `name.0`. */
  readonly settings: Readonly<Record<string, Scalar>>;
  /** How many arrays belong to the group. */
  readonly parameters: number;
}

/** An optimiser's state. */
export interface OptimiserState {
  /** In the file's order. */
  readonly groups: readonly ParameterGroup[];
  /** Names of what it keeps for each array, for example `momentum_buffer` or `exp_avg`. */
  readonly slots: readonly string[];
}

/** A scheduler's state. */
export interface SchedulerState {
  /** By PyTorch's names (`gamma`, `last_epoch`, `step_size`, `T_max`). */
  readonly settings: Readonly<Record<string, Scalar>>;
  /** Where a multi-step scheduler lowers the rate, ascending; empty for others. */
  readonly milestones: readonly number[];
  /** The rates that it starts from, one a group. */
  readonly baseRates: readonly number[];
  /** The rates that it gave last, one a group. */
  readonly lastRates: readonly number[];
  /** What it runs, one after the other or all at once, where it is made of others. */
  readonly parts: readonly SchedulerPart[];
}

/** A scheduler that another one runs. It counts by itself, from its beginning. */
export interface SchedulerPart extends SchedulerState {
  /** The other one's count at which it begins. */
  readonly from: number;
}

/** What stands beside the weights. */
export interface SavedTraining {
  /** Optimisers, by the key that they stand under. */
  readonly optimisers: ReadonlyMap<string, OptimiserState>;
  /** Schedulers, by the key that they stand under. */
  readonly schedulers: ReadonlyMap<string, SchedulerState>;
  /** Other values, by their path (`epoch`, `args.lr`). */
  readonly values: ReadonlyMap<string, Scalar>;
}

/** More values than a script's arguments are a history. */
const MOST_VALUES = 500;
const DEEPEST = 4;
/** A scheduler that runs more of them is none. */
const MOST_SCHEDULERS = 64;

/**
 * Collects what stands beside the weights in an unpickled object.
 *
 * @param root What `torch.save` was given.
 * @returns Nothing where there is nothing but weights.
 */
export function savedTraining(root: unknown): SavedTraining | undefined {
  const optimisers = new Map<string, OptimiserState>();
  const schedulers = new Map<string, SchedulerState>();
  const values = new Map<string, Scalar>();
  const seen = new Set<unknown>();
  const visit = (value: unknown, path: string, depth: number) => {
    if (values.size >= MOST_VALUES) return;
    const scalar = scalarOf(value);
    if (scalar !== undefined) {
      if (path !== "") values.set(path, scalar);
      return;
    }
    if (depth > DEEPEST || seen.has(value)) return;
    seen.add(value);
    if (Array.isArray(value)) {
      // Lightning keeps its optimisers in lists; other lists are histories.
      if (value.length <= 8) value.forEach((item, i) => visit(item, `${path}.${i}`, depth + 1));
      return;
    }
    const entries = entriesOf(value);
    if (!entries || isModule(value)) return;
    const optimiser = optimiserOf(entries);
    if (optimiser) optimisers.set(path, optimiser);
    else if (isScheduler(entries)) schedulers.set(path, schedulerOf(entries));
    else {
      for (const [key, item] of entries) {
        if (typeof key === "string" && !(item instanceof StoredTensor)) {
          visit(item, path === "" ? key : `${path}.${key}`, depth + 1);
        }
      }
    }
  };
  visit(root, "", 0);
  return optimisers.size + schedulers.size + values.size > 0
    ? { optimisers, schedulers, values }
    : undefined;
}

/** The items of a dict, or the attributes of an object. */
export function entriesOf(value: unknown): ReadonlyMap<unknown, unknown> | undefined {
  if (value instanceof Map) return value;
  if (!(value instanceof InertObject)) return undefined;
  if (value.entries) return value.entries;
  // With slots, a state is (dict, dict of slots).
  const state = Array.isArray(value.state)
    ? value.state.find((part) => part instanceof Map)
    : value.state;
  return state instanceof Map ? state : undefined;
}

/** Whether an object is a module of PyTorch or of TorchScript, whose attributes are its own. */
export function isModule(value: unknown): value is InertObject {
  if (!(value instanceof InertObject)) return false;
  return /^__torch__\./.test(value.name) || entriesOf(value)?.has("_modules") === true;
}

/** A plain value, or what NumPy or a path hold; undefined for whatever else. */
function scalarOf(value: unknown): Scalar | undefined {
  if (value === null || typeof value === "boolean" || typeof value === "string") return value;
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (value instanceof PickleGlobal) return value.name;
  if (value instanceof InertObject && /^pathlib\./.test(value.name)) {
    return value.parameters.filter((part) => typeof part === "string").join("/");
  }
  return numpyScalar(value);
}

function optimiserOf(entries: ReadonlyMap<unknown, unknown>): OptimiserState | undefined {
  const groups = entries.get("param_groups");
  if (!Array.isArray(groups) || !groups.every((group) => group instanceof Map)) return undefined;
  const state = entries.get("state");
  const slots = new Set<string>();
  if (state instanceof Map) {
    for (const kept of state.values()) {
      if (!(kept instanceof Map)) continue;
      for (const name of kept.keys()) if (typeof name === "string") slots.add(name);
      break; // Every array has the same.
    }
  }
  return {
    groups: groups.map((group: ReadonlyMap<unknown, unknown>) => {
      const parameters = group.get("params");
      return {
        settings: settingsOf(group),
        parameters: Array.isArray(parameters) ? parameters.length : 0,
      };
    }),
    slots: [...slots],
  };
}

function settingsOf(entries: ReadonlyMap<unknown, unknown>): Record<string, Scalar> {
  const settings: [string, Scalar][] = [];
  for (const [name, value] of entries) {
    if (typeof name !== "string" || settings.length >= MOST_VALUES) continue;
    const scalar = scalarOf(value);
    if (scalar !== undefined) settings.push([name, scalar]);
    else if (Array.isArray(value) && name !== "params") {
      value.slice(0, 2).forEach((item, i) => {
        const first = scalarOf(item);
        if (first !== undefined) settings.push([`${name}.${i}`, first]);
      });
    }
  }
  return Object.fromEntries(settings);
}

function isScheduler(entries: ReadonlyMap<unknown, unknown>): boolean {
  return entries.has("last_epoch") && (entries.has("_step_count") || entries.has("base_lrs")) ||
    (entries.has("num_bad_epochs") && entries.has("patience")) ||
    Array.isArray(entries.get("_schedulers"));
}

function numbersOf(value: unknown): number[] {
  return (Array.isArray(value) ? value : []).flatMap((item) => {
    const number = scalarOf(item);
    return typeof number === "number" ? [number] : [];
  });
}

/** What a scheduler holds, without those that it runs. */
function simpleScheduler(entries: ReadonlyMap<unknown, unknown>): SchedulerState {
  const milestones = entries.get("milestones");
  const listed = milestones instanceof Map ? [...milestones.keys()] : milestones;
  return {
    settings: settingsOf(entries),
    milestones: numbersOf(listed).sort((a, b) => a - b),
    baseRates: numbersOf(entries.get("base_lrs")),
    lastRates: numbersOf(entries.get("_last_lr")),
    parts: [],
  };
}

function schedulerOf(entries: ReadonlyMap<unknown, unknown>): SchedulerState {
  const own = simpleScheduler(entries);
  const parts = partsOf(entries);
  const counts = parts.map(({ settings }) => Number(settings.last_epoch ?? 0));
  const { last_epoch: count } = own.settings;
  // ChainedScheduler counts by its parts alone, and a warm-up no further once it is over.
  const counted = typeof count !== "number"
    ? Math.max(...counts)
    : count + (entries.has("after_scheduler") ? counts[0] : 0);
  return parts.length === 0
    ? own
    : { ...own, settings: { ...own.settings, last_epoch: counted }, parts };
}

/** SequentialLR's and ChainedScheduler's schedulers, and what a warm-up gives over to. */
function partsOf(entries: ReadonlyMap<unknown, unknown>): SchedulerPart[] {
  const part = (value: unknown, from: number): SchedulerPart[] => {
    const inner = entriesOf(value);
    // A pickle may hold itself, so no deeper.
    return inner && isScheduler(inner) ? [{ ...simpleScheduler(inner), from }] : [];
  };
  const schedulers = entries.get("_schedulers");
  if (!Array.isArray(schedulers)) {
    const [warmUp = 0] = numbersOf([entries.get("total_epoch")]);
    return part(entries.get("after_scheduler"), warmUp + 1);
  }
  const starts = [0, ...numbersOf(entries.get("_milestones"))];
  return schedulers.slice(0, MOST_SCHEDULERS).flatMap((one, i) => part(one, starts[i] ?? 0));
}
