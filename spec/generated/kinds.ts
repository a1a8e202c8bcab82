/** The kinds of subject that are drawn; the order is that of their random numbers. */
import { NETS } from "./nets.ts";
import type { Kind } from "./trial.ts";

/** Every kind. */
// deno-lint-ignore no-explicit-any -- each kind judges its own subjects
export const KINDS: readonly Kind<any>[] = [NETS];
