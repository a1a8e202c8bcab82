/**
 * Writes the import map of what runs in a browser: the project's own, and for each `x.ts` that has
 * an `x.browser.ts` beside it, that one. The bundler reads it.
 *
 * `deno task web:bundle`
 */
import configuration from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);

/** Paths of all `x.browser.ts`, as addresses. */
async function* standIns(folder: URL): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    if (isDirectory && !/^(\.|node_modules$|runs$)/.test(name)) {
      yield* standIns(new URL(`${name}/`, folder));
    } else if (name.endsWith(".browser.ts")) yield new URL(name, folder).href;
  }
}

const imports: Record<string, string> = {};
for (const [name, target] of Object.entries(configuration.imports)) {
  imports[name] = target;
  // As in deno.json itself, where every package's own entries go with it.
  if (target.startsWith("npm:")) imports[`${name}/`] = `npm:/${target.slice("npm:".length)}/`;
}
for await (const path of standIns(ROOT)) imports[path.replace(/\.browser\.ts$/, ".ts")] = path;

const out = new URL("bundle/", import.meta.url);
await Deno.mkdir(out, { recursive: true });
// Of the project's configuration a page needs to know whose it is and no more.
const { name, version } = configuration;
const project = new URL("project.json", out);
await Deno.writeTextFile(project, JSON.stringify({ name, version }));
imports[new URL("deno.json", ROOT).href] = project.href;
await Deno.writeTextFile(new URL("imports.json", out), JSON.stringify({ imports }, null, 2));
