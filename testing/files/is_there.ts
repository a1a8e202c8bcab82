/** What lies beside the project on some machines. */

/**
 * Whether a file or a folder is there and may be read: tests that need it are else
 * reported by name as not run.
 *
 * @param file Where it would lie.
 */
export function isThere(file: URL): boolean {
  // Asked beforehand, so that a test without permissions does not stop to prompt.
  if (Deno.permissions.querySync({ name: "read", path: file }).state !== "granted") return false;
  try {
    return Deno.statSync(file) !== undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
