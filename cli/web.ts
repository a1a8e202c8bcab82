/**
 * Serves the pages that run in a browser, on this machine.
 *
 * `deno task web`
 */
import { siteHandler, sitePages } from "../web/mod.ts";
import { main, type Outcome } from "./_main.ts";
import { type FlagValues, integer, toggle } from "./_flags.ts";
import { servePage } from "./_serve.ts";

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
  const pages = await sitePages();
  const { url, finished } = servePage(
    "127.0.0.1",
    flags.port ?? 8009,
    (hosts) => siteHandler(pages, hosts),
    "Choose another --port, 0 for any that is free",
  );
  console.log(
    flags.json
      ? JSON.stringify({ url })
      : `${url} audits; train.html beside it trains, predict.html predicts (Ctrl-C ends it)`,
  );
  await finished;
  return { text: "", json: {} };
}

if (import.meta.main) await main(command, web);
