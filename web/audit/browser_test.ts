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
import { archiveOf, isThere } from "../../testing/files/mod.ts";
import { things } from "./_browser_fixtures.ts";
import { assertOneFile, canBundle, give, opened, serving } from "../_site_fixtures.ts";

Deno.test({
  name:
    "the audit's page holds nothing of Deno or Node, and has at most 1.5 MB (needs deno bundle)",
  ignore: !canBundle,
  fn: () => assertOneFile("audit", 1.5e6),
});

const ROOT = new URL("../../", import.meta.url);
/** `deno test ... -- times`: how long both take. */
const TIMES = Deno.args.includes("times");

/** What the command makes of a thing, and why it refuses where it does. */
async function expected(target: string): Promise<string> {
  try {
    return reportJson((await auditTarget(await findTarget(target))).json);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Waits until a target is judged or refused; what was saved as JSON, or why it was not. */
async function outcome(page: BrowserPage, target: string, patience = 1): Promise<string> {
  const article = `document.querySelector('article[aria-label=${
    JSON.stringify(`Audit of ${target}`)
  }]')`;
  const refused = `document.querySelector(".outcome .notice:not(.calm)")`;
  for (let left = patience; left > 0; left--) {
    try {
      await page.until(`${article} || ${refused}`);
      break;
    } catch (error) {
      if (left === 1) throw error;
    }
  }
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

for (const [name, hasIt, inBrowser] of BROWSERS) {
  Deno.test({
    name: `thirty things give in ${name} what the command gives, and nothing is requested ` +
      `(needs ${name.toLowerCase()})`,
    ignore: !hasIt || !canBundle,
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

const WEIGHTS = new URL("../../../shared/pretrained/resnet20-12fca82f.th", import.meta.url);
const DATA = new URL("../../../shared/cifar-10-batches-bin/", import.meta.url);

/** The report of the command on published weights and CIFAR-10, and the seconds that it took. */
async function commandReport(): Promise<{ readonly json: string; readonly seconds: number }> {
  const out = await Deno.makeTempFile();
  try {
    const begun = performance.now();
    const { code, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["task", "-q", "audit", WEIGHTS.pathname, "--data", DATA.pathname, "--json", out],
      ...{ cwd: ROOT, stdin: "null", stdout: "null", stderr: "piped" },
    }).output();
    const seconds = (performance.now() - begun) / 1000;
    assert(code !== 2, new TextDecoder().decode(stderr));
    return { json: await Deno.readTextFile(out), seconds };
  } finally {
    await Deno.remove(out);
  }
}

/** CIFAR-10 as it is published: its folder in an archive. */
async function withArchive(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    const name = "cifar-10-batches-bin";
    const files = [...Deno.readDirSync(DATA)].map((file) => file.name);
    const path = `${folder}/cifar-10-binary.tar.gz`;
    await Deno.writeFile(
      path,
      await archiveOf(files.map((file) => ({
        header: { name: `${name}/${file}` },
        body: Deno.readFileSync(new URL(file, DATA)),
      }))),
    );
    await work(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

for (const [name, hasIt, inBrowser] of BROWSERS) {
  Deno.test({
    name: `in ${name} CIFAR-10's archive is kept, found again and removed; with it published ` +
      `weights give the command's report (needs ${name.toLowerCase()}, ResNet-20's weights, CIFAR-10)`,
    ignore: !hasIt || !canBundle || !isThere(WEIGHTS) || !isThere(DATA),
    fn: () =>
      serving(true, (origin) =>
        withArchive((archive) =>
          inBrowser(async (page) => {
            const input = 'input[aria-label="Choose files"]';
            const line = `document.querySelector(".images-line").textContent`;
            const press = (label: string) =>
              page.evaluate(`[...document.querySelectorAll(".images-line button")]
                .find((button) => button.textContent === ${JSON.stringify(label)}).click()`);
            await opened(page, `${origin}/`);
            await page.choose(input, [archive]);
            await page.until(`${line}.includes("Keep it in this browser")`);
            await press("Keep it in this browser");
            await page.until(`${line}.includes("Remove it from this browser")`);
            await opened(page, `${origin}/?again`);
            await page.until(`${line}.includes("CIFAR-10 is here (1")`);

            const begun = performance.now();
            await page.choose(input, [WEIGHTS.pathname]);
            const target = WEIGHTS.pathname.split("/").at(-1)!;
            const there = await outcome(page, target, 30);
            const seconds = (performance.now() - begun) / 1000;
            const here = await commandReport();
            if (TIMES) console.log(name, seconds, "command", here.seconds);
            assertEquals(there, here.json.replaceAll(WEIGHTS.pathname, target));
            assert(there.includes('"errors": 827'), "827 of 10,000 are wrong");

            await press("Remove it from this browser");
            await opened(page, `${origin}/?removed`);
            await page.until(`${line}.includes("With CIFAR-10 at hand")`);
            assertEquals(page.errors, []);
          })
        )),
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
