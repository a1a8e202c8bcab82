/** What the paper's checklist says of a run: how many rules it keeps, and which it breaks. */
import type { LogSubject, Run } from "../../log/mod.ts";
import { isOfPhotographs, type Recipe } from "../../recipes/mod.ts";
import {
  CHECKLIST,
  type ChecklistVersion,
  concerning,
  judge,
  type Judgement,
  LOG_RULES,
  STATIC_RULES,
  subjectOf,
} from "../../spec/mod.ts";
import { canonicalJson } from "../../verdicts/mod.ts";

/** How many rules of the checklist a run keeps, and the ones that it breaks. */
export interface RunChecklist {
  /** Which rules judged it. */
  readonly version: ChecklistVersion;
  /** Rules that it keeps. */
  readonly pass: number;
  /** Rules on which its log holds too little. */
  readonly notObservable: number;
  /** Rules that it breaks, with the evidence; and rules that broke themselves. */
  readonly fails: readonly Judgement[];
}

/** What the rules say of recipes, which follows from the recipe and the seed alone. */
const ofRecipes = new Map<string, readonly Judgement[]>();

function judgeRecipe(recipe: Recipe, seed: number): readonly Judgement[] {
  const key = canonicalJson([recipe, seed]);
  const known = ofRecipes.get(key) ?? judge(STATIC_RULES, subjectOf(recipe, seed));
  ofRecipes.set(key, known);
  return known;
}

/** A run's recipe and log, judged. */
export function runChecklist({ start: { recipe, seed } }: Run, log: LogSubject): RunChecklist {
  const all = [...judgeRecipe(recipe, seed), ...judge(LOG_RULES, log)];
  const judgements = concerning(all, isOfPhotographs(recipe));
  const count = (outcome: Judgement["outcome"]) =>
    judgements.filter((judgement) => judgement.outcome === outcome).length;
  return {
    version: CHECKLIST,
    pass: count("pass"),
    notObservable: count("not-observable"),
    fails: judgements.filter(({ outcome }) => outcome === "fail" || outcome === "defect"),
  };
}
