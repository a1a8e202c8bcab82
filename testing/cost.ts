/** What reading a file may cost. */

/** The longest that any file from a stranger may take. */
export const LONGEST_SECONDS = 5;
/** What reading may add to the process, beside the file's own size. */
export const MOST_BYTES = 512 * 1024 * 1024;

/**
 * Asserts that work stays within what reading a file may cost. Time is the
 * processor's: on a machine that others use, the clock says nothing of a reader.
 *
 * @param what For the message.
 * @param work What is done, to its end.
 * @returns What the work gives.
 * @throws {RangeError} If it took more time or memory.
 */
export async function withinBounds<T>(what: string, work: () => T | Promise<T>): Promise<T> {
  // Here, so that what only shares the door with it also runs in a browser.
  const { default: process } = await import("node:process");
  const before = { rss: Deno.memoryUsage().rss, cpu: process.cpuUsage() };
  const result = await work();
  const { user, system } = process.cpuUsage(before.cpu);
  const bytes = Deno.memoryUsage().rss - before.rss;
  const seconds = (user + system) / 1e6;
  if (seconds > LONGEST_SECONDS || bytes > MOST_BYTES) {
    throw new RangeError(
      `${what} took ${seconds.toFixed(1)} s and ${(bytes / 2 ** 20).toFixed(0)} MiB`,
    );
  }
  return result;
}
