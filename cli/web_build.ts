/**
 * Writes the pages that run in a browser into a folder that any server can serve.
 *
 * `deno task web:build --out site`
 */
import { attempt, writeWhole } from "../files/mod.ts";
import { sitePages } from "../web/mod.ts";
import { main, type Outcome } from "./_main.ts";
import { type FlagValues, text, toggle } from "./_flags.ts";

const FLAGS = {
  out: text("DIR", "where the pages are written; site by default"),
  json: toggle("print one JSON object to standard output and nothing else there"),
  help: toggle("print this help"),
} as const;

const command = {
  usage: "deno task web:build",
  summary:
    "Writes the pages of deno task web into a folder. Each is one file that works from any server,\n" +
    "or opened from the folder. With the headers Cross-Origin-Opener-Policy: same-origin and\n" +
    "Cross-Origin-Embedder-Policy: require-corp they use all cores, without them one.",
  flags: FLAGS,
} as const;

async function build(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { out = "site" } = flags;
  await attempt("write", out, () => Deno.mkdir(out, { recursive: true }));
  const files: { readonly path: string; readonly bytes: number }[] = [];
  for (const [name, { html }] of await sitePages()) {
    const path = `${out}/${name}`;
    await writeWhole(path, html);
    files.push({ path, bytes: new TextEncoder().encode(html).length });
  }
  const lines = files.map(({ path, bytes }) => `${path} (${(bytes / 1e6).toFixed(1)} MB)`);
  return { text: lines.join("\n"), json: { files } };
}

if (import.meta.main) await main(command, build);
