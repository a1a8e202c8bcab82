/**
 * Serves one local page of every run and recording under a folder.
 *
 * `deno task watch runs`
 */
import { watchHandler } from "../reports/watch/mod.ts";
import { printable, printableJson } from "../text/mod.ts";
import { CommandError, main, type Outcome } from "./_main.ts";
import { type FlagValues, integer, text, toggle } from "./_flags.ts";
import { servePage } from "./_serve.ts";

const LOCAL = "127.0.0.1";
/** What the task may listen on. */
const HOSTS = `${LOCAL}, localhost and 0.0.0.0`;

const FLAGS = {
  port: integer("the page's port; 8008 by default, 0 for any that is free", 0, 65535),
  host: text(
    "ADDRESS",
    `where the page can be reached; ${LOCAL} by default, this machine alone, or 0.0.0.0, all networks`,
  ),
  json: toggle("print one JSON object to standard output and nothing else there"),
  help: toggle("print this help"),
} as const;

const command = {
  usage: "deno task watch",
  summary:
    "Serves one page of every run and recording under folders (runs by default), running or\n" +
    "finished: curves as they grow, time left, several runs on one axis, what the checklist says,\n" +
    "what differs between their recipes. It only reads; Ctrl-C ends it.",
  positional: "[FOLDER]...",
  flags: FLAGS,
} as const;

async function watch(flags: FlagValues<typeof FLAGS>, ...named: string[]): Promise<Outcome> {
  const folders = named.length === 0 ? ["runs"] : named;
  for (const folder of folders) {
    const info = await Deno.stat(folder).catch(() => undefined);
    if (!info?.isDirectory) {
      throw new CommandError(
        `watching needs a folder of runs, and "${folder}" is none; give one, for example: deno task watch reports/reference`,
      );
    }
  }
  let handler: ReturnType<typeof watchHandler> | undefined;
  const { url, finished } = servePage(
    flags.host ?? LOCAL,
    flags.port ?? 8008,
    (hosts) => handler = watchHandler(folders, hosts),
    `Choose another --port, 0 for any that is free, or another --host, of ${HOSTS}`,
  );
  const line = flags.json
    ? printableJson({ url, folders })
    : printable(`${folders.join(", ")}: ${url} (Ctrl-C ends it)`);
  console.log(line);
  // Logs are read while the browser starts: what was read once is not read again. What can't be
  // read is said on the page.
  await handler?.(new Request(`${url}runs`)).catch(() => undefined);
  await finished;
  return { text: "", json: {} };
}

if (import.meta.main) await main(command, watch);
