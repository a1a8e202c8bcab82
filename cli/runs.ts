/**
 * Lists the runs and recordings under a folder.
 *
 * `deno task runs`
 */
import { Logs, type Watched } from "../reports/watch/mod.ts";
import { duration, number, percent, printable } from "../text/mod.ts";
import { COMMON, type FlagValues } from "./_flags.ts";
import { CommandError, main, type Outcome } from "./_main.ts";

const FLAGS = { ...COMMON } as const;

const command = {
  usage: "deno task runs",
  summary:
    "Lists the runs and recordings under a folder (runs by default), the one that changed last\n" +
    "first: how far each is, and its errors.",
  positional: "[FOLDER]",
  flags: FLAGS,
} as const;

async function runs(_: FlagValues<typeof FLAGS>, folder = "runs"): Promise<Outcome> {
  const info = await Deno.stat(folder).catch(() => undefined);
  if (!info?.isDirectory) {
    throw new CommandError(`there is no folder "${folder}" with runs; give one`);
  }
  const all = await new Logs(folder).look();
  return { text: all.length === 0 ? `no run in ${folder}` : tableOf(all), json: all };
}

function tableOf(all: readonly Watched[]): string {
  const share = (value: number | undefined) => value === undefined ? "-" : percent(value);
  const rows = [
    ["run", "state", "network", "data", "iteration", "left", "validation", "test"],
    ...all.map((run) => [
      run.id,
      run.state,
      run.network,
      run.dataset,
      run.iterations > 0
        ? `${number(run.iteration)}/${number(run.iterations)}`
        : number(run.iteration),
      run.secondsLeft === undefined ? "-" : duration(run.secondsLeft),
      share(run.validation),
      share(run.test),
    ]),
    // A folder's name, or a network's in a log, may break the table's lines.
  ].map((row) => row.map((cell) => printable(cell).replaceAll("\n", "\\n")));
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)));
  return rows.map((row) => row.map((cell, i) => cell.padEnd(widths[i])).join("  ").trimEnd())
    .join("\n");
}

if (import.meta.main) await main(command, runs);
