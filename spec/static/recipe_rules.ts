/** What a recipe says of itself: where it leaves the paper. */
import { departuresOf, type Recipe } from "../../recipes/mod.ts";
import { badRecipe } from "./_bad.ts";
import { defineRules, type Finding, type Rule } from "../rule.ts";
import { finding, needing, type StaticSubject } from "../subject.ts";

/** The rules on what a recipe says of itself. */
export const RECIPE_RULES: readonly Rule<StaticSubject>[] = defineRules([
  {
    id: "declared",
    section: "all",
    requirement: "Where the recipe leaves the paper it says so, with a reason.",
    tier: "static",
    check: needing(["recipe"], ({ recipe }) => judgeDepartures(recipe)),
    rejects: [
      badRecipe("an undeclared batch size", "a command-line flag", () => ({ batchSize: 64 })),
      badRecipe("a field that no recipe has", "an option of a later version", () => ({
        labelSmoothing: 0.1,
      })),
      badRecipe("a departure without a reason", "it seemed to be a detail", (recipe) => {
        const changed = { ...recipe, batchSize: 64 };
        return { ...changed, departures: departuresOf(changed) };
      }),
      badRecipe("a departure that is none", "the recipe was changed back", () => ({
        departures: [{ field: "batchSize", paper: "128", here: "64", reason: "memory" }],
      })),
    ],
  },
]);

/** Whether a recipe says, with a reason, where it leaves the paper, and only there. */
export function judgeDepartures(recipe: Recipe): Finding {
  // Without the recipe's own words every reason is the one that stands for none.
  const bare = departuresOf({ ...recipe, departures: [] });
  const actual = bare.map((departure) => departure.field);
  const declared = recipe.departures.map((departure) => departure.field);
  const problems = [
    ...actual.filter((name) => !declared.includes(name))
      .map((name) => `${name} differs, which is not declared`),
    ...declared.filter((name) => !actual.includes(name))
      .map((name) => `${name} is declared to differ, and does not`),
    ...recipe.departures
      .filter(({ reason }) => bare.some((unstated) => unstated.reason === reason))
      .map((departure) => `${departure.field} differs without a reason`),
  ];
  return finding(problems, `${declared.length} departures: ${declared.join(", ") || "none"}`);
}
