/** File errors in words that say what to do. */
import { disk } from "./disk.ts";
import { FileError } from "./errors.ts";

/** Runs a file operation; what can be expected to fail becomes a {@linkcode FileError}. */
export async function attempt<T>(
  action: "read" | "write",
  path: string,
  operation: () => T | Promise<T>,
): Promise<T> {
  try {
    return await operation();
  } catch (error) {
    if (disk.isRefused(error)) {
      throw new FileError(
        `no permission to ${action} ${path}: run with --allow-${action}=${path}`,
        { cause: error },
      );
    }
    if (disk.isMissing(error)) {
      throw new FileError(`can't ${action} ${path}: it does not exist; check the path`, {
        cause: error,
      });
    }
    // What the operating system refuses (a full disk, its own rights, a folder in place of a file)
    // has its code; Deno's classes name only some of it.
    if (error instanceof Error && "code" in error) {
      throw new FileError(`can't ${action} ${path}: ${error.message}`, { cause: error });
    }
    throw error;
  }
}
