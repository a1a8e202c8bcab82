/** What the paper's checklist says of a run: how many rules it keeps, and which it breaks. */
import type { LogSubject, Run } from "../../log/mod.ts";
import type { Recipe } from "../../recipes/mod.ts";
import {
  CHECKLIST,
  checklistInWords,
  type ChecklistVersion,
  judge,
  type Judgement,
  LOG_RULES,
  STATIC_RULES,
  subjectOf,
} from "../../spec/mod.ts";
import { number } from "../../text/mod.ts";
import { canonicalJson } from "../../verdicts/mod.ts";
import { type Block, heading, sentences, table } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";

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
  const judgements = [...judgeRecipe(recipe, seed), ...judge(LOG_RULES, log)];
  const count = (outcome: Judgement["outcome"]) =>
    judgements.filter((judgement) => judgement.outcome === outcome).length;
  return {
    version: CHECKLIST,
    pass: count("pass"),
    notObservable: count("not-observable"),
    fails: judgements.filter(({ outcome }) => outcome === "fail" || outcome === "defect"),
  };
}

/** The counts with the checklist's version, which say whether two verdicts can be compared. */
export function checklistCounts({ pass, notObservable, fails, version }: RunChecklist): string {
  const rules = (count: number) => `${number(count)} ${count === 1 ? "rule" : "rules"}`;
  return `By the checklist's ${checklistInWords(version)}: the run keeps ${rules(pass)}, breaks ${
    number(fails.length)
  }, and of ${number(notObservable)} its log holds too little.`;
}

/** The section. */
export function checklist({ result }: Subject): Block[] {
  const { fails } = result.checklist;
  return [
    heading(2, "The paper's checklist"),
    { kind: "text", text: checklistCounts(result.checklist) },
    ...(fails.length === 0 ? [] : [
      table(
        "checklist-fails",
        "Rules that are broken, with the evidence",
        ["Rule", sentences("What the paper says"), sentences("Evidence")],
        fails.map(({ id, requirement, evidence }) => [{ code: id }, requirement, evidence]),
        "wide-table",
      ),
    ]),
  ];
}
