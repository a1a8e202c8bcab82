/**
 * Writes the report of a run, or of a set of runs.
 *
 * `deno task report runs/resnet20-cifar10-seed0`
 */
import { resolve } from "node:path";
import { printable } from "../text/mod.ts";
import { runsIn, writeRunReport, writeSetReport } from "../reports/mod.ts";
import { type FlagValues, text, toggle, UsageError } from "./_flags.ts";
import { main, type Outcome } from "./_main.ts";

const FLAGS = {
  out: text("DIR", "where the report of a set goes; without it, into the one folder that is given"),
  json: toggle("print one JSON object to standard output and nothing else there"),
  help: toggle("print this help"),
} as const;

const command = {
  usage: "deno task report",
  summary:
    "Writes the report of one run (a page, the result as JSON and the steps as CSV), or of a set (a\n" +
    "page, the same as Markdown and as JSON): of several runs, of a folder of runs, or of a job's\n" +
    "folder, which has its plan.json beside its runs.",
  positional: "FOLDER...",
  flags: FLAGS,
} as const;

async function report(flags: FlagValues<typeof FLAGS>, ...folders: string[]): Promise<Outcome> {
  const [folder] = folders;
  if (folder === undefined) {
    throw new UsageError(`${command.usage} needs a run's folder, for example runs/demo-seed0`);
  }
  if (folders.length === 1 && flags.out === undefined && await runsIn(folder) === undefined) {
    const paths = await writeRunReport(folder);
    return { text: `report: ${paths.html}`, json: paths };
  }
  if (folders.length > 1 && flags.out === undefined) {
    throw new UsageError(
      `${command.usage} needs --out DIR for the common report of several folders, found ${folders.length} folders and no --out`,
    );
  }
  const out = flags.out ?? folder;
  const paths = await writeSetReport(folders, out);
  const problems = paths.broken.map(({ folder, problem }) =>
    `error: ${folder} is left out: ${problem}`
  );
  // A job has folders of runs that have not begun; what the user named is to be a run.
  const named = new Set(folders.map((folder) => resolve(folder)));
  const isWrong = paths.broken.some(({ folder }) => named.has(resolve(out, folder)));
  if (flags.json !== true) problems.forEach((problem) => console.error(printable(problem)));
  return { text: `report: ${paths.html}`, json: paths, status: isWrong ? 1 : 0 };
}

/** Does what the command line says, and ends the process. */
export const start = (): Promise<never> => main(command, report);

if (import.meta.main) await start();
