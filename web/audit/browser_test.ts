// The audit's page in real browsers: thirty things give there what the command gives.
import { assert, assertEquals } from "@std/assert";
import {
  assertEachLook,
  type BrowserPage,
  hasChromium,
  hasFirefox,
  inChromium,
  inFirefox,
  seriousFaults,
} from "../../testing/browser/mod.ts";
import { auditTarget, findTarget, reportJson } from "../../reports/audit/mod.ts";
import { things } from "./_browser_fixtures.ts";
import { assertOneFile, canBundle, give, opened, serving } from "../_site_fixtures.ts";

Deno.test({
  name:
    "the audit's page holds nothing of Deno or Node, and has at most 1.5 MB (needs deno bundle)",
  ignore: !canBundle,
  fn: () => assertOneFile("audit", 1.5e6),
});

/** What the command makes of a thing, and why it refuses where it does. */
async function expected(target: string): Promise<string> {
  try {
    return reportJson((await auditTarget(await findTarget(target))).json);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Waits until a target is judged or refused; what was saved as JSON, or why it was not. */
async function outcome(page: BrowserPage, target: string): Promise<string> {
  const article = `document.querySelector('article[aria-label=${
    JSON.stringify(`Audit of ${target}`)
  }]')`;
  const refused = `document.querySelector(".outcome .notice:not(.calm)")`;
  await page.until(`${article} || ${refused}`);
  return await page.evaluate<string>(
    `${article} === null ? ${refused}.querySelector(".why").textContent : (
      [...document.querySelectorAll(".save button")]
        .find((button) => button.textContent.endsWith(".json")).click(), saved.text())`,
  );
}

const BROWSERS = [
  ["Chromium", await hasChromium(), inChromium],
  ["Firefox", await hasFirefox(), inFirefox],
] as const;

for (const [name, isThere, inBrowser] of BROWSERS) {
  Deno.test({
    name: `thirty things give in ${name} what the command gives, and nothing is requested ` +
      `(needs ${name.toLowerCase()})`,
    ignore: !isThere || !canBundle,
    async fn() {
      const all = await things();
      assertEquals(all.size, 30);
      const folder = await Deno.makeTempDir();
      const before = Deno.cwd();
      try {
        await serving(true, (origin) =>
          inBrowser(async (page) => {
            await opened(page, `${origin}/`);
            const requests = page.requests.length;
            const differing: string[] = [];
            let judged = 0;
            for (const [what, { target, files }] of all) {
              for (const [path, bytes] of files) {
                await Deno.mkdir(`${folder}/${path}/..`.replace(/[^/]+\/\.\.$/, ""), {
                  recursive: true,
                });
                await Deno.writeFile(`${folder}/${path}`, bytes);
              }
              Deno.chdir(folder);
              const here = await expected(target);
              Deno.chdir(before);
              await give(page, files);
              const there = await outcome(page, target);
              if (there.startsWith("{")) judged++;
              if (there !== here) {
                differing.push(`${what}:\n  ${there.slice(0, 300)}\n  ${here.slice(0, 300)}`);
              }
            }
            assertEquals(differing, []);
            assert(judged >= 20, `only ${judged} were judged`);

            // The page is alive, and nothing has left it or will.
            await page.evaluate(`document.querySelector("form button").click()`);
            assertEquals(await outcome(page, "resnet34"), await expected("resnet34"));
            const outside = page.requests.slice(requests)
              .filter((url) => !/^(blob|data):/.test(url));
            assertEquals([outside, page.errors], [[], []]);
            const sends = `fetch(${
              JSON.stringify(`${origin}/`)
            }).then(() => "sent", () => "refused")`;
            assertEquals(await page.evaluate(sends), "refused");
            const inWorker = JSON.stringify(`${sends}.then(postMessage)`);
            assertEquals(
              await page.evaluate(`new Promise((resolve) => new Worker(URL.createObjectURL(
                new Blob([${inWorker}]))).onmessage = ({ data }) => resolve(data))`),
              "refused",
            );
          }));
      } finally {
        Deno.chdir(before);
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

Deno.test({
  name: "the audit's page can be used by keyboard, on a phone and in the dark, and axe finds " +
    "nothing serious (needs chromium)",
  ignore: !await hasChromium() || !canBundle,
  async fn() {
    await serving(true, (origin) =>
      inChromium(async (page) => {
        await page.look(1280, 900, "light");
        await opened(page, `${origin}/`);
        // What moves while something is judged, or since.
        const shifts = `window.shifts = 0; new PerformanceObserver((list) => {
          for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) shifts += value;
        }).observe({ type: "layout-shift", buffered: true })`;
        await page.evaluate(`{ ${shifts} }`);
        // In the order of the page, from its top.
        const focused: string[] = [];
        for (let i = 0; i < 9; i++) {
          await page.press("Tab");
          focused.push(
            await page.evaluate(`document.activeElement.id ||
            document.activeElement.textContent`),
          );
        }
        assertEquals(focused, [
          "Audit a network",
          "Train one",
          "Predict a photograph",
          "Choose files",
          "Choose a folder",
          "named",
          "Judge it",
          "as",
          "How do I know that nothing is uploaded?",
        ]);
        assertEquals(await seriousFaults(page), []);
        await page.evaluate(`document.querySelector("form button").click()`);
        await outcome(page, "resnet34");
        assertEquals(await page.evaluate("shifts"), 0);
        await assertEachLook(page);
        assertEquals(page.errors, []);
      }));
  },
});
