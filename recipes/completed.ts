/** Recipes of earlier versions, read as today's. */
import { shortcutsOf } from "../resnet/mod.ts";
import type { Recipe } from "./recipe.ts";
import { departuresOf } from "./recipes.ts";

/**
 * A recipe as it would be stated today: one of an earlier version says option A
 * of nets that have no shortcuts, or have projections by their name.
 *
 * @param recipe A recipe as a log or a file of weights has it.
 * @returns The same recipe where it says what its graph is; else one that does,
 *   with the departure that follows.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { completed } from "./completed.ts";
 * import { paper } from "./recipes.ts";
 *
 * const now = paper("plain20");
 * const then = { ...now, architecture: { ...now.architecture, shortcut: "A", zeroChannels: "append" } } as const;
 * assertEquals(completed(then), now);
 * ```
 */
export function completed(recipe: Recipe): Recipe {
  const { architecture, departures } = recipe;
  const has = { ...architecture, ...shortcutsOf(architecture.name, architecture) };
  if (has.shortcut === architecture.shortcut && has.zeroChannels === architecture.zeroChannels) {
    return recipe;
  }
  const changed = { ...recipe, architecture: has };
  const added = departuresOf(changed).filter(({ field }) =>
    field === "architecture.shortcut" && !departures.some((stated) => stated.field === field)
  );
  return { ...changed, departures: [...departures, ...added] };
}
