/** The section on the paper's checklist: how many rules a run keeps, and which it breaks. */
import { isOfPhotographs, type Recipe } from "../../recipes/mod.ts";
import { checklistInWords } from "../../spec/mod.ts";
import { number } from "../../text/mod.ts";
import { type Block, heading, sentences, table } from "../page/blocks.ts";
import type { RunChecklist } from "./judged.ts";
import type { Subject } from "./subject.ts";

/** The counts with the checklist's version, which say whether two verdicts can be compared. */
export function checklistCounts(
  { pass, notObservable, fails, version }: RunChecklist,
  recipe: Recipe,
): string {
  const rules = (count: number) => `${number(count)} ${count === 1 ? "rule" : "rules"}`;
  const by = isOfPhotographs(recipe)
    ? `Photographs are the matter of the paper's section 3.4. By those rules of the checklist's ${
      checklistInWords(version)
    } that it states, or that hold of any run`
    : `By the checklist's ${checklistInWords(version)}`;
  return `${by}: the run keeps ${rules(pass)}, breaks ${number(fails.length)}, and of ${
    number(notObservable)
  } its log holds too little.`;
}

/** The section. */
export function checklist({ run, result }: Subject): Block[] {
  const { fails } = result.checklist;
  return [
    heading(2, "The paper's checklist"),
    { kind: "text", text: checklistCounts(result.checklist, run.start.recipe) },
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
