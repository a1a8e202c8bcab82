/** What axe-core finds on a page. */
import { createRequire } from "node:module";
import type { Page } from "./chromium.ts";

/** Not a literal where it is loaded: what a literal names is fetched by every task. */
const AXE = { name: "axe-core", version: "4.14.1" } as const;

/** Its program, which is for the page: here it would look for a browser. */
async function program(): Promise<string> {
  const { name, version } = AXE;
  await import(`npm:${name}@${version}/package.json`, { with: { type: "json" } });
  return await Deno.readTextFile(createRequire(import.meta.url).resolve(`${name}/axe.min.js`));
}

/**
 * Rules of axe-core that a page breaks and that keep somebody from using it.
 *
 * @param page With what is to be judged on it.
 * @returns A line for each rule and element.
 */
export async function seriousFaults(page: Page): Promise<readonly string[]> {
  if (!await page.evaluate<boolean>(`"axe" in window`)) {
    await page.evaluate(`${await program()}; true`);
  }
  return await page.evaluate<string[]>(`axe.run().then(({ violations }) => violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) =>
      id + " " + target.join(" ") + ": " + failureSummary)))`);
}
