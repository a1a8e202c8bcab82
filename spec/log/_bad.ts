/** Known-bad logs: lines that are changed, or a run of the real loop with a fault. */
import { paper, type Recipe, withIterations } from "../../recipes/mod.ts";
import {
  effectiveEvents,
  type LogSubject,
  type RunEvent,
  type StartEvent,
  type UntimedEvent,
} from "../../log/mod.ts";
import { type Fault, faultyEnd, faultyRun } from "./_loop_mutants.ts";
import type { KnownBad, KnownGood } from "../rule.ts";

/** A log whose lines are changed one by one, dropped or multiplied. */
export function badLog(
  name: string,
  why: string,
  edit: (event: RunEvent) => RunEvent | readonly RunEvent[],
): KnownBad<LogSubject> {
  return {
    name,
    why,
    kind: "log",
    spoil: (good) => ({ ...good, events: good.events.flatMap(edit) }),
  };
}

/** An unusual log that is right: its lines are others. */
export function goodLog(
  name: string,
  why: string,
  edit: (events: readonly RunEvent[], good: Required<LogSubject>) => readonly RunEvent[],
): KnownGood<LogSubject> {
  return { name, why, make: (good) => ({ ...good, events: edit(good.events, good) }) };
}

/** Another run of the real loop that is right. */
export function goodRun(name: string, why: string, options: Fault): KnownGood<LogSubject> {
  const make = () => {
    const run = goodRuns.get(options) ?? faultyRun(options);
    goodRuns.set(options, run);
    return run;
  };
  return { name, why, make };
}

/** Several rules look at the same run. */
const goodRuns = new WeakMap<Fault, Promise<LogSubject>>();

/** A run of ResNet-8 to the end of 20 steps. */
export const SHORT_RUN: Fault = { recipe: withIterations(paper("resnet8"), 20) };
/** One step with the largest seed. */
export const LARGEST_SEED: Fault = {
  recipe: paper("resnet8"),
  ...{ seed: 0xffffffff, stopAfter: 1 },
};

/** One line for as many steps, with their means. */
export const sparse = (every: number) => (events: readonly RunEvent[]): readonly RunEvent[] => {
  const sums = { steps: 0, images: 0, loss: 0, errors: 0 };
  return effectiveEvents(events).flatMap((event): RunEvent[] => {
    if (event.type !== "step") return [event];
    sums.steps += event.steps;
    sums.images += event.images;
    sums.loss += event.loss * event.images;
    sums.errors += event.error * event.images;
    if (event.iteration % every !== 0) return [];
    const { steps, images, loss, errors } = sums;
    Object.assign(sums, { steps: 0, images: 0, loss: 0, errors: 0 });
    return [{ ...event, steps, images, loss: loss / images, error: errors / images }];
  });
};

/** The log as earlier versions wrote it: without the lines on the rate. */
export const asVersion1 = (events: readonly RunEvent[]): readonly RunEvent[] =>
  events.flatMap((event): RunEvent[] =>
    event.type === "rate" ? [] : [event.type === "start" ? { ...event, version: 1 } : event]
  );

/** Lines of one type that are changed. */
export function badLines<Type extends RunEvent["type"]>(
  type: Type,
  name: string,
  why: string,
  change: (event: Extract<RunEvent, { type: Type }>) => object,
): KnownBad<LogSubject> {
  return badLog(
    name,
    why,
    (event) =>
      event.type === type
        ? { ...event, ...change(event as Extract<RunEvent, { type: Type }>) }
        : event,
  );
}

/** Known-bad records of the data. */
export const badData = (name: string, why: string, change: (data: StartEvent["data"]) => object) =>
  badLines("start", name, why, ({ data }) => ({ data: { ...data, ...change(data) } }));

/** A new run of the real loop with a fault. */
export function badRun(
  name: string,
  why: string,
  fault: Fault | (() => Fault),
): KnownBad<LogSubject> {
  const spoil = () => faultyRun(typeof fault === "function" ? fault() : fault);
  return { name, why, kind: "loop", spoil };
}

/** The real loop that goes on with the paper's run after step 32,000 or 63,900, with a fault. */
export function badEnd(
  name: string,
  why: string,
  from: 32_000 | 63_900,
  fault: Fault,
): KnownBad<LogSubject> {
  return { name, why, kind: "loop", spoil: () => faultyEnd(from, fault) };
}

/** A fault of the folder: events are changed on their way into the log. */
export const logging = (change: (event: UntimedEvent) => object): Fault => ({
  store: (right) => ({
    append: (event) => right.append({ ...event, ...change(event) } as UntimedEvent),
  }),
});

/** The recipe without a word of where it leaves the paper. */
export const undeclared = (recipe: Recipe): Recipe => ({ ...recipe, departures: [] });
