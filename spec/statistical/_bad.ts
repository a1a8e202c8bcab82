/** Known-bad reproductions: another plan, other runs, or another claim; and unusual right ones. */
import {
  planHash,
  type Reference,
  type ReproductionPlan,
  sampleOf,
  type Verdict,
} from "../../verdicts/mod.ts";
import type { LogSubject, RunEvent } from "../../log/mod.ts";
import { splitImages, splitManifest } from "../../data/mod.ts";
import { RECIPES } from "../../recipes/mod.ts";
import { claimed, claimOf, type ReproductionSubject } from "./subject.ts";
import type { KnownBad, KnownGood } from "../rule.ts";

/** A claim whose verdicts are changed one by one. */
export function badClaim(
  name: string,
  why: string,
  change: (verdict: Verdict) => Partial<Verdict>,
): KnownBad<ReproductionSubject> {
  return {
    ...{ name, why, kind: "claim" },
    spoil: (good) => ({
      ...good,
      claim: {
        ...good.claim,
        verdicts: good.claim.verdicts.map((verdict) => ({ ...verdict, ...change(verdict) })),
      },
    }),
  };
}

/** Other things in the plan; `hidden` where its hash was made anew everywhere. */
export function badPlan(
  name: string,
  why: string,
  change: (plan: ReproductionPlan) => Partial<ReproductionPlan>,
  hidden = false,
): KnownBad<ReproductionSubject> {
  return {
    ...{ name, why, kind: "claim" },
    spoil: (good) => {
      const plan = { ...good.plan, ...change(good.plan) };
      if (!hidden) return { ...good, plan };
      const planSha256 = planHash(plan);
      return { ...good, plan, planSha256, claim: { ...good.claim, planSha256 } };
    },
  };
}

/** An unusual plan that is right. */
export function goodPlan(
  name: string,
  why: string,
  change: (plan: ReproductionPlan) => Partial<ReproductionPlan>,
): KnownGood<ReproductionSubject> {
  return { name, why, make: (good) => ({ ...good, plan: { ...good.plan, ...change(good.plan) } }) };
}

/** Unusual runs that are right, and what follows from them. */
export function goodRuns(
  name: string,
  why: string,
  make: (runs: readonly LogSubject[]) => readonly LogSubject[],
): KnownGood<ReproductionSubject> {
  return {
    ...{ name, why },
    make: (good) => {
      const runs = make(good.runs);
      const claim = claimOf(good.plan, good.planSha256, runs);
      return { ...good, runs, claim };
    },
  };
}

/** Other runs, of which the claim is made anew: what is wrong is in the runs alone. */
export function badRuns(
  name: string,
  why: string,
  spoil: (runs: readonly LogSubject[]) => readonly LogSubject[],
): KnownBad<ReproductionSubject> {
  return {
    ...{ name, why, kind: "log" },
    spoil: (good) => {
      const runs = spoil(good.runs);
      const verdicts = claimed(good.claim, runs).map(({ claim, ofClaim }): Verdict => {
        const errors = ofClaim.flatMap(({ testError }) => testError ?? []);
        return {
          ...claim,
          ...{ runs: ofClaim, finished: errors.length, summary: sampleOf(errors) },
        };
      });
      return { ...good, runs, claim: { ...good.claim, verdicts } };
    },
  };
}

/** References that are changed one by one in a plan that is otherwise in order. */
export function badReferences(
  name: string,
  why: string,
  change: (reference: Reference) => Partial<Reference>,
): KnownBad<ReproductionSubject> {
  return badPlan(
    name,
    why,
    ({ references }) => ({
      references: references.map((reference) => ({ ...reference, ...change(reference) })),
    }),
    true,
  );
}

/** A set of both readings in one plan, which is right; the claim is of the runs as they are. */
export const readBoth = (
  change?: (onAll: readonly LogSubject[]) => readonly LogSubject[],
): KnownGood<ReproductionSubject> => ({
  name: "two readings in one plan",
  why: "each net has two claims, which were fixed together",
  make: (good) => bothReadings(good, change),
});

/** A set of both readings, with something wrong in the runs of the second. */
export const badReading = (
  name: string,
  why: string,
  change: (
    onAll: readonly LogSubject[],
    usual: readonly LogSubject[],
  ) => readonly LogSubject[],
): KnownBad<ReproductionSubject> => ({
  ...{ name, why, kind: "log" },
  spoil: (good) => bothReadings(good, (onAll) => change(onAll, good.runs)),
});

/** Runs with their lines of one type changed; `change` is given the run's position. */
export const edited = <Type extends RunEvent["type"]>(
  type: Type,
  change: (event: Extract<RunEvent, { type: Type }>, index: number) => object,
) =>
(runs: readonly LogSubject[]): readonly LogSubject[] =>
  runs.map(({ events = [], ...rest }, index) => ({
    ...rest,
    events: events.map((event) =>
      event.type === type
        ? { ...event, ...change(event as Extract<RunEvent, { type: Type }>, index) }
        : event
    ),
  }));

/** Runs with other test errors, in their tests as in their results. */
export const erring =
  (change: (testError: number, index: number) => number) => (runs: readonly LogSubject[]) =>
    edited("end", ({ testError }, index) => ({ testError: change(testError, index) }))(
      edited("evaluation", ({ error, images }, index) => {
        const changed = change(error, index);
        return { error: changed, errors: Math.round(changed * images) };
      })(runs),
    );

/** The first run broken off: its end is a failure. */
export const brokenOff = ([first, ...others]: readonly LogSubject[]): readonly LogSubject[] => [
  {
    ...first,
    events: first.events?.map(({ time, ...event }): RunEvent =>
      event.type === "end"
        ? { type: "failure", time, iteration: 20_000, reason: "the loss is NaN" }
        : { time, ...event } as RunEvent
    ),
  },
  ...others,
];

/** A set by a plan, which its runs were begun under, and the claim that follows from them. */
export function byPlan(
  plan: ReproductionPlan,
  runs: readonly LogSubject[],
): Required<ReproductionSubject> {
  const planSha256 = planHash(plan);
  const begun = edited("start", () => ({ plan: planSha256 }))(runs);
  return { plan, planSha256, runs: begun, claim: claimOf(plan, planSha256, begun) };
}

/** The same runs on all images, each with losses, predictions and weights of its own. */
export function onAllImages(runs: readonly LogSubject[]): readonly LogSubject[] {
  const other = (sha256: string) => sha256.replace(/^./, "5");
  const { training, validation } = splitManifest(
    splitImages(50_000, { training: 50_000, validation: 0 }, 0),
  );
  const started = edited("start", ({ recipe, data }) => ({
    recipe: RECIPES["paper-50k"](recipe.architecture.name),
    data: {
      ...{ ...data, trainingImages: 50_000, validationImages: 0 },
      splitHashes: { training: training.sha256, validation: validation.sha256 },
      mean: { ...data.mean, of: "per-pixel mean of 50000 training images" },
    },
  }))(runs);
  const stepped = edited("step", ({ loss }) => ({ loss: loss / 2 }))(started);
  const tested = edited("evaluation", ({ predictions }) => ({
    predictions: predictions && { ...predictions, sha256: other(predictions.sha256) },
  }))(stepped);
  return edited("end", ({ weightsSha256 }) => ({ weightsSha256: other(weightsSha256) }))(tested);
}

/** One plan with two claims on each net: on 45,000 images, and on all of them. */
export function bothReadings(
  { plan, runs }: Required<ReproductionSubject>,
  change: (onAll: readonly LogSubject[]) => readonly LogSubject[] = (runs) => runs,
): Required<ReproductionSubject> {
  const both = { ...plan, version: 2 as const, recipe: ["paper", "paper-50k"] };
  return byPlan(both, [...runs, ...change(onAllImages(runs))]);
}
