/**
 * Puts the night's reports together as a site and says which verdicts changed.
 * A report that was not made tonight stays as it was last published.
 *
 * `deno run --allow-read --allow-write --allow-net deploy/github/publish.ts \
 *    --reports reports --places gpu,cpu --published URL --site site --changes changes.md`
 *
 * Reads `reports/PLACE/report.{html,md,json}`; writes `site/PLACE/` likewise,
 * `site/index.html`, `site/verdicts.json` for the next night, and `changes.md` where a
 * verdict changed.
 */
import { join } from "node:path";
import {
  COMMON,
  type FlagValues,
  list,
  main,
  type Outcome,
  text,
  UsageError,
} from "../../cli/mod.ts";
import { changes, describe, type LastVerdicts, parseLastVerdicts, verdictsOf } from "./verdicts.ts";

const FLAGS = {
  reports: text("FOLDER", "a folder a place, with what a set's report consists of"),
  places: list("A,B,...", "where nights may run"),
  published: text("URL", "the site as it stands; may be empty yet"),
  site: text("FOLDER", "where the new site goes"),
  changes: text("FILE", "written where a verdict changed, for an issue"),
  ...COMMON,
} as const;

const command = {
  usage: "deno run --allow-read --allow-write --allow-net deploy/github/publish.ts",
  summary: "Puts reports together as a site and says which verdicts changed.",
  flags: FLAGS,
} as const;

const FILES = ["report.html", "report.md", "report.json"];
const VERDICTS = "verdicts.json";

/**
 * @param published Gives a file of the site as it stands; undefined where there is none.
 * @returns The new site's files by path, and the verdicts that changed.
 */
export async function compose(
  places: readonly string[],
  tonight: (path: string) => Promise<string | undefined>,
  published: (path: string) => Promise<string | undefined>,
): Promise<{ files: Map<string, string>; before: LastVerdicts; after: LastVerdicts }> {
  const files = new Map<string, string>();
  const kept = await published(VERDICTS);
  const before = kept === undefined ? {} : parseLastVerdicts(JSON.parse(kept));
  let after = before;
  for (const place of places) {
    const isNew = await tonight(`${place}/${FILES[0]}`) !== undefined;
    for (const file of FILES) {
      const path = `${place}/${file}`;
      const content = await (isNew ? tonight : published)(path);
      if (content !== undefined) files.set(path, content);
    }
    const report = files.get(`${place}/report.json`);
    if (isNew && report !== undefined) {
      after = { ...after, ...verdictsOf(place, JSON.parse(report)) };
    }
  }
  files.set(VERDICTS, JSON.stringify(after, null, 2) + "\n");
  files.set("index.html", index(places.filter((place) => files.has(`${place}/${FILES[0]}`))));
  return { files, before, after };
}

function index(places: readonly string[]): string {
  const links = places.map((place) => `<li><a href="${place}/report.html">${place}</a></li>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>resnet-cifar, night by night</title>
<h1>Reproductions of Table 6</h1>
<ul>${links.join("")}</ul>
<p><a href="audit/">Which box is not truly ticked? Audit a network in your browser</a></p>
</html>
`;
}

async function publish(flags: FlagValues<typeof FLAGS>): Promise<Outcome> {
  const { reports, places, published, site, changes: changesFile } = flags;
  if (!reports || !places || !published || !site || !changesFile) {
    throw new UsageError("--reports, --places, --published, --site and --changes are needed");
  }
  const base = new URL(published.endsWith("/") ? published : `${published}/`);
  const { files, before, after } = await compose(
    places,
    (path) => readIfThere(join(reports, path)),
    (path) => fetchIfThere(new URL(path, base)),
  );
  for (const [path, content] of files) {
    const to = join(site, path);
    await Deno.mkdir(join(to, ".."), { recursive: true });
    await Deno.writeTextFile(to, content);
  }
  const changed = changes(before, after);
  if (changed.length > 0) await Deno.writeTextFile(changesFile, describe(changed, base.href));
  return {
    text: `changed=${changed.length > 0}`, // an output of the workflow's step
    json: { files: [...files.keys()], changed },
  };
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Only "not found" means that nothing is there: another failure must not forget verdicts. */
async function fetchIfThere(url: URL): Promise<string | undefined> {
  const response = await fetch(url);
  const body = await response.text();
  if (response.ok) return body;
  if (response.status === 404) return undefined;
  throw new Error(`fetching ${url}: expected the file or status 404, found ${response.status}`);
}

if (import.meta.main) await main(command, publish);
