/** What made a result: software versions and the working copy's revision. */
import { join } from "node:path";
import { readWholeText } from "../files/mod.ts";
import configuration from "../deno.json" with { type: "json" };

/** Versions by name, for the event log. */
export function versions(): Readonly<Record<string, string>> {
  return {
    [configuration.name]: configuration.version,
    deno: Deno.version.deno,
    v8: Deno.version.v8,
    typescript: Deno.version.typescript,
  };
}

/**
 * The commit that a working copy is at, read from git's files so that git need
 * not be run; null where there is no working copy or it can't be read.
 *
 * @param root The folder that holds `.git`.
 */
export async function revision(root: string | undefined): Promise<string | null> {
  if (root === undefined) return null;
  const head = await textOf(join(root, ".git", "HEAD"));
  const reference = /^ref: (.+)$/m.exec(head ?? "")?.[1].trim();
  if (reference === undefined) return commitIn(head);
  const loose = commitIn(await textOf(join(root, ".git", ...reference.split("/"))));
  if (loose) return loose;
  const packed = await textOf(join(root, ".git", "packed-refs"));
  const line = packed?.split("\n").find((line) => line.endsWith(` ${reference}`));
  return commitIn(line?.split(" ")[0]);
}

function commitIn(text: string | undefined): string | null {
  return /^[0-9a-f]{40,64}$/.exec(text?.trim() ?? "")?.[0] ?? null;
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readWholeText(path);
  } catch (error) {
    // No repository, a worktree's file, or no permission: the revision stays unknown.
    if (
      !(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotCapable ||
        error instanceof Deno.errors.NotADirectory)
    ) {
      throw error;
    }
    return undefined;
  }
}
