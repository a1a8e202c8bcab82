/** What axe-core finds on a page, and how it looks. */
import { assert, assertEquals } from "@std/assert";
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

/**
 * Holds a page to what every page here keeps, wide and narrow, light and dark: no rule
 * of axe-core is broken that matters, nothing goes sideways, and dark is not light.
 *
 * @param page With what is to be judged on it.
 */
export async function assertEachLook(page: Page): Promise<void> {
  const backgrounds = new Set<string>();
  for (const width of [1280, 390]) {
    for (const scheme of ["light", "dark"] as const) {
      await page.look(width, 900, scheme);
      assertEquals(await seriousFaults(page), [], `${width} ${scheme}`);
      const wide = await page.evaluate<number>("document.documentElement.scrollWidth");
      assert(wide <= width, `the page is ${wide} pixels wide in a window of ${width}`);
      backgrounds.add(
        await page.evaluate<string>("getComputedStyle(document.body).backgroundColor"),
      );
    }
  }
  assertEquals(backgrounds.size, 2, "light and dark look the same");
}
