/** What the page shows of a training: everything that the worker has told, folded together. */
import type { Filters, JudgedRule, KeptRun, SeenBatch, Told, Wanted } from "./messages.ts";
import type { RunEvent } from "../../log/mod.ts";

/** Places of a curve: [iteration, value]. */
export type Curve = readonly (readonly [iteration: number, value: number])[];

/** A training as it is shown. */
export interface Shown {
  /** Whether the worker listens; nothing can be asked before. */
  readonly ready: boolean;
  /** Whether runs survive the page. */
  readonly keeps: boolean;
  /** Whether threads can share memory. */
  readonly isolated: boolean;
  /** Runs of earlier visits and of this one. */
  readonly runs: readonly KeptRun[];
  /** Names of runs whose log can't be read. */
  readonly unreadable: readonly string[];
  /** What goes on. */
  readonly phase: "none" | "preparing" | "training" | "pausing" | "paused" | "finished" | "refused";
  /** The run's name. */
  readonly run?: string;
  /** What is being done, or why nothing is. */
  readonly line: string;
  readonly started?: Extract<Told, { type: "started" }>;
  readonly progress?: Extract<Told, { type: "progress" }>;
  readonly iterations: number;
  readonly loss: Curve;
  readonly training: Curve;
  readonly validation: Curve;
  readonly test: Curve;
  readonly rate: Curve;
  readonly batch?: SeenBatch;
  readonly filters?: Filters;
  readonly rules: readonly JudgedRule[];
  readonly warnings: readonly string[];
  readonly finished?: Extract<Told, { type: "finished" }>;
}

/** Nothing yet. */
export const NOTHING: Shown = {
  ...{ ready: false, keeps: false, isolated: false, runs: [], unreadable: [] },
  ...{ phase: "none", line: "" },
  ...{ iterations: 0, loss: [], training: [], validation: [], test: [], rate: [] },
  ...{ rules: [], warnings: [] },
};

/** What changes it: what the worker tells, and what the page has asked for. */
export type Change =
  | Exclude<Told, { type: "saved" | "failed" }>
  | { readonly type: "asked"; readonly run: string }
  | { readonly type: "pausing" };

/** The state after a change. */
export function changed(shown: Shown, change: Change): Shown {
  switch (change.type) {
    case "ready":
      return { ...shown, ready: true, keeps: change.keeps, isolated: change.isolated };
    case "runs":
      return { ...shown, runs: change.runs, unreadable: change.unreadable };
    case "asked": {
      const { ready, keeps, isolated, runs, unreadable } = shown;
      return {
        ...NOTHING,
        ...{ ready, keeps, isolated, runs, unreadable },
        ...{ phase: "preparing", run: change.run, line: "starting" },
      };
    }
    case "pausing":
      return { ...shown, phase: "pausing", line: "finishing the step and saving" };
    case "line":
      return { ...shown, line: change.text };
    case "started":
      return {
        ...shown,
        ...{ phase: "training", started: change, iterations: change.iterations, line: "" },
      };
    case "progress":
      return { ...shown, progress: change };
    case "events":
      return change.events.reduce(withEvent, shown);
    case "seen":
      return { ...shown, batch: change.batch, filters: change.filters };
    case "checklist":
      return { ...shown, rules: change.rules };
    case "warning":
      return { ...shown, warnings: [...shown.warnings, change.text] };
    case "stopped":
      return { ...shown, phase: "paused", line: "" };
    case "finished":
      return { ...shown, phase: "finished", finished: change, line: "" };
    case "refused":
      return { ...shown, phase: "refused", line: change.message };
  }
}

/** A name that no run has yet, whether it can be read or not. */
export function freeName(
  { architecture, set, seed }: Wanted,
  { runs, unreadable }: Pick<Shown, "runs" | "unreadable">,
): string {
  const name = `${architecture}-${set}-seed${seed}`;
  const taken = new Set([...runs.map(({ run }) => run), ...unreadable]);
  if (!taken.has(name)) return name;
  let next = 2;
  while (taken.has(`${name}-${next}`)) next++;
  return `${name}-${next}`;
}

function withEvent(shown: Shown, event: RunEvent): Shown {
  const { loss, training, validation, test, rate } = shown;
  switch (event.type) {
    case "start":
      return { ...shown, iterations: event.recipe.schedule.iterations };
    case "resume": {
      // Steps behind the checkpoint are taken again.
      const until = (curve: Curve) => curve.filter(([at]) => at <= event.iteration);
      return {
        ...shown,
        ...{ loss: until(loss), training: until(training), validation: until(validation) },
        rate: until(rate),
      };
    }
    case "step": {
      const at = event.iteration;
      return {
        ...shown,
        loss: [...loss, [at, event.loss]],
        training: [...training, [at, 100 * event.error]],
        rate: [...rate, [at, event.learningRate]],
      };
    }
    case "evaluation": {
      const point = [event.iteration, 100 * event.error] as const;
      return event.set === "test"
        ? { ...shown, test: [...test, point] }
        : { ...shown, validation: [...validation, point] };
    }
    default:
      return shown;
  }
}
