/** Where downloads are kept. */
import { FileError } from "./errors.ts";

const NAME = "resnet-cifar";

/** What the choice of the cache folder depends on; the process's own unless a test says otherwise. */
export interface Environment {
  readonly get: (variable: string) => string | undefined;
  readonly os: typeof Deno.build.os;
}

/**
 * The folder for downloads: `RESNET_CACHE`, or this program's folder in the
 * user's cache folder as the system defines it.
 *
 * @throws {FileError} If the environment may not be read or names no such folder.
 */
export function cacheFolder(
  { get, os }: Environment = { get: Deno.env.get, os: Deno.build.os },
): string {
  const user = os === "windows" ? ["LOCALAPPDATA"] : ["HOME"];
  if (os === "linux") user.unshift("XDG_CACHE_HOME");
  const variables = ["RESNET_CACHE", ...user];
  let values: Record<string, string | undefined>;
  try {
    // The XDG specification: relative and empty values are to be ignored.
    values = Object.fromEntries(variables.map((name) => [name, get(name) || undefined]));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    throw new FileError(
      `choosing a folder for downloads needs the environment: run with ` +
        `--allow-env=${variables.join(",")}, or give the data with --data FOLDER`,
      { cause: error },
    );
  }
  const { RESNET_CACHE, LOCALAPPDATA, XDG_CACHE_HOME, HOME } = values;
  if (RESNET_CACHE !== undefined) return RESNET_CACHE;
  if (LOCALAPPDATA !== undefined) return `${LOCALAPPDATA}/${NAME}`;
  if (XDG_CACHE_HOME?.startsWith("/")) return `${XDG_CACHE_HOME}/${NAME}`;
  if (HOME !== undefined) return `${HOME}/${os === "darwin" ? "Library/Caches" : ".cache"}/${NAME}`;
  throw new FileError(
    `choosing a folder for downloads needs one of the variables ${variables.join(", ")}, ` +
      `none is set: set RESNET_CACHE to a folder, or give the data with --data FOLDER`,
  );
}
