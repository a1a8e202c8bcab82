/**
 * Serves one local page of every run and recording under a folder.
 *
 * `deno task watch runs`
 */
import { watchHandler } from "../reports/watch/mod.ts";
import { CommandError, main, type Outcome } from "./_main.ts";
import { type FlagValues, integer, text, toggle } from "./_flags.ts";

const FLAGS = {
  port: integer("the page's port; 8008 by default, 0 for any that is free", 0, 65535),
  host: text("ADDRESS", "where the page can be reached; 127.0.0.1 by default, this machine alone"),
  json: toggle("print one JSON object to standard output and nothing else there"),
  help: toggle("print this help"),
} as const;

const command = {
  usage: "deno task watch",
  summary:
    "Serves one page of every run and recording under folders (runs by default), running or\n" +
    "finished: curves as they grow, time left, several runs on one axis, what the checklist says,\n" +
    "what differs between their recipes. It only reads; Ctrl-C ends it.",
  positional: "FOLDER...",
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
  const hostname = flags.host ?? "127.0.0.1";
  const hosts: string[] = [];
  const handler = watchHandler(folders, hosts);
  const server = Deno.serve({ hostname, port: flags.port ?? 8008, onListen() {} }, handler);
  const { port } = server.addr;
  const name = hostname.includes(":") ? `[${hostname}]` : hostname;
  hosts.push(`${name}:${port}`, `localhost:${port}`, `127.0.0.1:${port}`);
  const url = `http://${name}:${port}/`;
  const line = flags.json
    ? JSON.stringify({ url, folders })
    : `${folders.join(", ")}: ${url} (Ctrl-C ends it)`;
  console.log(line);
  // Logs are read while the browser starts: what was read once is not read again. What can't be
  // read is said on the page.
  await handler(new Request(`http://127.0.0.1:${port}/runs`)).catch(() => undefined);
  await server.finished;
  return { text: "", json: {} };
}

if (import.meta.main) await main(command, watch);
