/**
 * A recipe as a strict schema: an unknown field, or a value outside its range, is refused.
 *
 * @module
 */
import type { z } from "zod";
import { datasetNamed, PHOTOGRAPHS } from "../../data/mod.ts";
import { completed } from "../completed.ts";
import type { Recipe } from "../recipe.ts";
import { recipe as fields } from "./_recipe.ts";

export * from "./leaves.ts";

/**
 * The schema of {@link Recipe}: its fields, and what they must be to each other;
 * recipes of earlier versions come out as today's.
 */
export const recipe: z.ZodType<Recipe> = fields.refine(
  ({ data: { set, split } }) =>
    set === PHOTOGRAPHS ||
    split.training + split.validation <= datasetNamed(set).trainingImages,
  { path: ["data"], error: "expected no more images in the split than the set has" },
).refine(
  ({ data, batchSize }) => data.epochEnd !== "drop-partial" || batchSize <= data.split.training,
  "expected one whole batch in an epoch that drops its partial batch",
).transform(completed);

/**
 * The first thing that a schema has against a value, in words: where, what was
 * expected, and what was found.
 */
export function explain(error: z.ZodError, value: unknown): string {
  const [issue] = error.issues;
  let found = value;
  for (const key of issue.path) found = (found as Record<PropertyKey, unknown> | null)?.[key];
  const where = issue.path.length > 0 ? `${issue.path.join(".")}: ` : "";
  const shown = JSON.stringify(found) ?? "nothing";
  return `${where}${issue.message}; found ${
    shown.length > 80 ? `${shown.slice(0, 80)}...` : shown
  }`;
}
