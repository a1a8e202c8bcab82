/** Where a page is to be written, looked at before anything is computed for it. */
import { attempt } from "../files/mod.ts";
import { CommandError } from "./_main.ts";

/**
 * Refuses to write over what is read, however its path is spelled: it would be lost.
 *
 * @param sources Files that are read.
 * @param targets What is written; undefined ones are passed over.
 */
export async function requireApart(
  sources: readonly string[],
  ...targets: readonly (string | undefined)[]
): Promise<void> {
  const real = (path: string) => Deno.realPath(path).catch(() => undefined);
  const read = await Promise.all(sources.map(real));
  for (const path of targets) {
    const target = path === undefined ? undefined : await real(path);
    if (target === undefined) continue;
    if (!read.includes(target)) continue;
    throw new CommandError(
      `"${path}" is what is read, and would be written over; choose another path`,
    );
  }
}

/**
 * Refuses paths that no file can have: what was computed would be lost.
 *
 * @param paths As flags have them; undefined ones are passed over.
 */
export async function requirePlaces(...paths: readonly (string | undefined)[]): Promise<void> {
  for (const path of paths) {
    if (path === undefined) continue;
    const folder = path.replace(/[^/\\]*$/, "") || ".";
    const { isDirectory } = await attempt("write", path, () => Deno.stat(folder));
    if (!isDirectory) throw new CommandError(`can't write ${path}: ${folder} is no folder`);
    const there = await Deno.stat(path).catch(() => undefined);
    if (there?.isDirectory) {
      throw new CommandError(`can't write ${path}: it is a folder; name a file in it`);
    }
  }
}
