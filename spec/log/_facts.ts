/** What the log rules share. */
import type { LoggedRun, RunEvent, StartEvent } from "../../log/mod.ts";
import { number } from "../../text/mod.ts";
import type { Finding } from "../rule.ts";
import { finding } from "../subject.ts";

/** Classes of CIFAR-10. */
export const CLASSES = 10;

/** A share in percent, with two decimals at most. */
export const percent = (share: number): string => `${Number((100 * share).toFixed(2))}%`;
/** The name of the net that was trained. */
export const netOf = ({ recipe }: StartEvent): string => recipe.architecture.name;

/** Most steps of a line of version 1 for which the rate of its last step speaks. */
const WIDEST_LINE = 100;

/** A rate, and the steps that are known to have been taken at it. */
export interface Stretch {
  readonly rate: number;
  readonly from: number;
  readonly to: number;
}

/** What a log tells of the rates. */
export interface Rates {
  /** By iteration. Of a log that states each change they hold every step. */
  readonly stretches: readonly Stretch[];
  /** How well they are known, for evidence. */
  readonly known: string;
  /** Why the rates of some steps are not known; undefined where every step's is. */
  readonly unknown?: string;
}

/**
 * The rates at which steps were taken. A log of version 2 states each change. In
 * one of version 1 a line has the rate of its last step: within a line of more
 * than 100 steps anything may have happened.
 */
export function ratesOf({ start, steps, rates }: LoggedRun): Rates {
  const last = steps.at(-1)?.iteration ?? 0;
  if (start.version === 1) {
    const stretches = steps.map(({ iteration, learningRate }) => (
      { rate: learningRate, from: iteration, to: iteration }
    ));
    const widest = steps.reduce((most, { steps }) => Math.max(most, steps), 0);
    return {
      stretches,
      known: `to within one line of ${number(widest)} steps`,
      ...(widest > WIDEST_LINE
        ? {
          unknown: `a line stands for ${number(widest)} steps and has the rate of the last: ` +
            `what the others had is not logged`,
        }
        : {}),
    };
  }
  const stretches = rates.map(({ iteration, learningRate }, i) => (
    {
      rate: learningRate,
      from: iteration,
      to: Math.max(iteration, (rates[i + 1]?.iteration ?? last + 1) - 1),
    }
  ));
  return {
    stretches,
    known: "by the log's line on each change",
    ...(last > 0 && rates[0]?.iteration !== 1
      ? { unknown: "the log states no rate for its first step" }
      : {}),
  };
}

/** The rate of a step; undefined where the log does not tell. */
export function rateOf({ stretches }: Rates, iteration: number): number | undefined {
  // A log may state one for each of 64,000 steps, and each step asks.
  let [low, high] = [0, stretches.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (stretches[middle].to < iteration) low = middle + 1;
    else high = middle;
  }
  const found = stretches[low];
  return found && found.from <= iteration ? found.rate : undefined;
}

/**
 * Records that one process wrote twice, with different content: only a run that was gone on with
 * writes one again.
 */
export function writtenTwice<Type extends Repeated["type"]>(
  { events }: LoggedRun,
  type: Type,
): { readonly before: EventOf<Type>; readonly after: EventOf<Type> }[] {
  const twice: { readonly before: EventOf<Type>; readonly after: EventOf<Type> }[] = [];
  const written = new Map<string, Repeated>();
  for (const event of events) {
    if (event.type === "resume") written.clear();
    if (event.type !== type) continue;
    const after = event as Repeated;
    const key = `${"set" in after ? after.set : ""} ${after.iteration}`;
    const before = written.get(key);
    const content = ({ time: _, ...said }: Repeated) => JSON.stringify(said);
    if (before && content(before) !== content(after)) {
      twice.push({ before: before as EventOf<Type>, after: after as EventOf<Type> });
    }
    written.set(key, after);
  }
  return twice;
}

type Repeated = Extract<RunEvent, { type: "step" | "rate" | "evaluation" }>;
type EventOf<Type extends Repeated["type"]> = Extract<Repeated, { type: Type }>;

/** Passes only where the run is over; a fault is one also before its end. */
export function once(run: LoggedRun, problems: readonly string[], evidence: string): Finding {
  if (problems.length > 0 || run.end) return finding(problems, evidence);
  const last = run.steps.at(-1)?.iteration ?? 0;
  return {
    outcome: "not-observable",
    evidence: `the log breaks off after step ${number(last)}; so far: ${evidence}`,
  };
}
