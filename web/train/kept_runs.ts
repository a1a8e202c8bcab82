/** What runs the page has kept, each as its log tells it. */
import { EVENTS_FILE, parseRunLog, RunLogError } from "../../log/mod.ts";
import { PHOTOGRAPHS } from "../../data/mod.ts";
import { disk } from "../../files/mod.ts";
import type { KeptRun } from "./messages.ts";
import { RUNS, type Shelf } from "./shelf.ts";

/**
 * The runs, the newest first, and the names of those whose log can't be read, as after a change of
 * its form: they can't be gone on with, and what they take can be had back.
 *
 * @param shelf Where they are; a folder without a log is passed over.
 */
export async function keptRuns(
  shelf: Shelf,
): Promise<{ readonly runs: readonly KeptRun[]; readonly unreadable: readonly string[] }> {
  const found: (KeptRun & { readonly time: string })[] = [];
  const unreadable: string[] = [];
  for (const run of await shelf.names()) {
    let text: string;
    try {
      text = new TextDecoder().decode(await shelf.read(`${RUNS}/${run}/${EVENTS_FILE}`));
    } catch (error) {
      if (disk.isMissing(error)) continue;
      throw error;
    }
    // A line that a closed page left unfinished says nothing.
    const whole = text.slice(0, text.lastIndexOf("\n") + 1);
    if (whole === "") continue;
    try {
      const { start, events } = parseRunLog(whole);
      const { architecture, data, schedule } = start.recipe;
      // Read off a disk, which a page has not.
      if (data.set === PHOTOGRAPHS) continue;
      const saved = events.findLast(({ type }) => type === "checkpoint" || type === "end");
      const end = events.at(-1);
      found.push({
        ...{ run, architecture: architecture.name, set: data.set, time: start.time },
        iteration: saved?.type === "checkpoint" || saved?.type === "end" ? saved.iteration : 0,
        iterations: schedule.iterations,
        ...(end?.type === "end" ? { testError: end.testError } : {}),
      });
    } catch (error) {
      if (!(error instanceof RunLogError)) throw error;
      unreadable.push(run);
    }
  }
  const runs = found.sort((a, b) => a.time < b.time ? 1 : -1).map(({ time: _, ...run }) => run);
  return { runs, unreadable };
}
