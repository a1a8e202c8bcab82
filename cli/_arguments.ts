/**
 * What the task's shell hands over, so that a command needs no access to the
 * environment: an argument `--shell=...` in front of the user's own.
 */
import { cacheFolder } from "../files/mod.ts";

const HANDED = "--shell=";
/** In the order in which `deno.json` hands them over; the last is the folder of the user. */
const VARIABLES = ["RESNET_CACHE", "XDG_CACHE_HOME", "HOME", "LOCALAPPDATA"];

const handed = Deno.args[0]?.startsWith(HANDED)
  ? Deno.args[0].slice(HANDED.length).split(";")
  : undefined;

/** The arguments that the user gave. */
export const ARGUMENTS: readonly string[] = handed ? Deno.args.slice(1) : Deno.args;

/**
 * Goes to the folder that the user stands in: `deno task` starts every command
 * in the project's, and says in INIT_CWD where it was called.
 */
export function enterFolder(): void {
  // A folder's name may have the separator in it.
  const folder = handed?.slice(VARIABLES.length).join(";");
  if (!folder) return;
  try {
    Deno.chdir(folder);
  } catch (error) {
    // A folder that is gone holds nothing that a path could name.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/**
 * Where downloads are kept, by what the shell handed over.
 *
 * @returns An option for `loadDataset`; empty where nothing was handed over, and
 *   the environment is to be asked.
 * @throws {FileError} If nothing of it names a folder.
 */
export function cacheOption(): { readonly cache?: string } {
  if (!handed) return {};
  const get = (name: string) => handed[VARIABLES.indexOf(name)];
  return { cache: cacheFolder({ get, os: Deno.build.os }) };
}

/** The command as the user calls it: the task that may load native code has a name of its own. */
export function taskNamed(usage: string): string {
  const isNative = Deno.permissions.querySync({ name: "ffi" }).state === "granted";
  return isNative && /^deno task (train|evaluate|reproduce)$/.test(usage)
    ? `${usage}:tensorflow`
    : usage;
}
