/** The kinds of subject that are drawn; the order is that of their random numbers. */
import { LOGS } from "./logs.ts";
import { NETS } from "./nets.ts";
import { RECIPE_SUBJECTS } from "./recipes.ts";
import { SETS } from "./sets.ts";
import type { Kind } from "./trial.ts";

/** Every kind. */
// deno-lint-ignore no-explicit-any -- each kind judges its own subjects
export const KINDS: readonly Kind<any>[] = [NETS, LOGS, SETS, RECIPE_SUBJECTS];
