/** Folders as a legend or a column names them. */

/**
 * The shortest last parts of paths that tell each of them from all others: runs of two jobs are
 * called alike, and only what stands before their names tells them apart.
 *
 * @param paths With `/`, all different.
 * @returns A name a path, in their order.
 *
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { shortNames } from "./_names.ts";
 *
 * const paths = ["a/runs/seed0", "b/runs/seed0", "b/runs/seed1"];
 * assertEquals(shortNames(paths), ["a/runs/seed0", "b/runs/seed0", "seed1"]);
 * ```
 */
export function shortNames(paths: readonly string[]): string[] {
  const all = paths.map((path) => path.split("/"));
  const taken = new Map<string, number>();
  const tails = all.map((parts) => parts.map((_, i) => parts.slice(i).join("/")).reverse());
  for (const tail of tails.flat()) taken.set(tail, (taken.get(tail) ?? 0) + 1);
  return tails.map((own) => own.find((tail) => taken.get(tail) === 1) ?? own.at(-1)!);
}
