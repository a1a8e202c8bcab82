/**
 * Serves the pages that run in a browser, on this machine.
 *
 * `deno task web`
 */
import { siteHandler, sitePages } from "../web/mod.ts";
import { main, type Outcome } from "./_main.ts";
import { type FlagValues, integer, toggle } from "./_flags.ts";

const FLAGS = {
  port: integer("the page's port; 8009 by default, 0 for any that is free", 0, 65535),
  json: toggle("print one JSON object to standard output and nothing else there"),
  help: toggle("print this help"),
} as const;

const command = {
  usage: "deno task web",
  summary:
    "Serves three pages that work in the browser alone: one judges files of networks and recordings\n" +
    "of trainings, as deno task audit does; train.html trains networks, as deno task train does;\n" +
    "predict.html says what a network takes photographs for, as deno task predict does.\n" +
    "Nothing is uploaded. Ctrl-C ends it.",
  flags: FLAGS,
} as const;

async function web(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const hosts: string[] = [];
  const hostname = "127.0.0.1";
  const server = Deno.serve(
    { hostname, port: flags.port ?? 8009, onListen() {} },
    siteHandler(await sitePages(), hosts),
  );
  const { port } = server.addr;
  hosts.push(`localhost:${port}`, `${hostname}:${port}`);
  const url = `http://${hostname}:${port}/`;
  console.log(
    flags.json
      ? JSON.stringify({ url })
      : `${url} audits; train.html beside it trains, predict.html predicts (Ctrl-C ends it)`,
  );
  await server.finished;
  return { text: "", json: {} };
}

if (import.meta.main) await main(command, web);
