/** By what a run was trained: departures, open points, and every field. */
import { bestInWords, choicesOf, recipeValue, scheduleInWords } from "../../recipes/mod.ts";
import { type Block, heading, sentences, table } from "../page/blocks.ts";
import type { Subject } from "./subject.ts";

/** The section. */
export function recipe({ run: { start }, result }: Subject): Block[] {
  const { name, architecture, departures: _, ...decided } = start.recipe;
  const { departures } = result.recipe;
  const departing = new Set(departures.map(({ field }) => field));
  return [
    heading(2, "Recipe"),
    {
      kind: "text",
      text: [scheduleInWords(start.recipe), bestInWords(start.recipe) ?? []].flat().join(" "),
    },
    heading(3, "Departures from the paper"),
    departures.length === 0 ? { kind: "text", text: "None." } : table(
      "departures",
      "Fields in which the recipe differs from the paper's",
      ["Field", "Paper", "Here", sentences("Reason")],
      departures.map(({ field, paper, here, reason, source }) => [
        { code: field },
        recipeValue(paper),
        recipeValue(here),
        source ? `${reason} (${source})` : reason,
      ]),
      "wide-table departures",
    ),
    heading(3, "What the paper leaves open"),
    table(
      "open-points",
      "Points that the paper does not decide, with this run's choices",
      [sentences("Point"), sentences("Choice")],
      choicesOf(start.recipe).map(({ question, choice }) => [question, choice]),
    ),
    {
      kind: "folded",
      summary: `All fields of the recipe “${name}”`,
      blocks: [{
        kind: "fields",
        fields: [...leaves({ architecture, ...decided })].map(([field, value]) => ({
          name: field,
          value,
          departs: departing.has(field),
        })),
      }],
    },
  ];
}

function* leaves(value: object, prefix = ""): Generator<[string, string]> {
  for (const [key, child] of Object.entries(value)) {
    if (typeof child === "object" && child !== null && !Array.isArray(child)) {
      yield* leaves(child, `${prefix}${key}.`);
    } else {
      yield [
        prefix + key,
        recipeValue(Array.isArray(child) ? JSON.stringify(child) : String(child)),
      ];
    }
  }
}
