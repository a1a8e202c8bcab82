/**
 * Writes the report of a run.
 *
 * `deno task report runs/resnet20-cifar10-seed0`
 */
import { writeRunReport } from "../reports/mod.ts";
import { COMMON, UsageError } from "./_flags.ts";
import { main } from "./_main.ts";

const command = {
  usage: "deno task report",
  summary: "Writes a run's report: a page, the result as JSON and the steps as CSV.",
  positional: "FOLDER",
  flags: COMMON,
} as const;

if (import.meta.main) {
  await main(command, async (_flags, folder) => {
    if (folder === undefined) {
      throw new UsageError(`${command.usage} needs a run's folder, for example runs/demo-seed0`);
    }
    const paths = await writeRunReport(folder);
    return { text: `report: ${paths.html}`, json: paths };
  });
}
