// The audit's page in real browsers: thirty things give there what the command gives.
import { assert, assertEquals, assertFalse, assertLess, assertMatch } from "@std/assert";
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
import { type Thing, things } from "./_browser_fixtures.ts";
import { bundle, canBundle } from "../_bundle_fixture.ts";
import { siteHandler, sitePages } from "../mod.ts";

const ROOT = new URL("../../", import.meta.url);
const bundled = (name: string) => Deno.readTextFile(new URL(`web/bundle/${name}`, ROOT));

async function gzipped(text: string): Promise<number> {
  const packed = new Blob([text]).stream().pipeThrough(new CompressionStream("gzip"));
  return (await new Response(packed).bytes()).length;
}

Deno.test({
  name:
    "the audit's page holds nothing of Deno or Node, and has at most 1.5 MB (needs deno bundle)",
  ignore: !canBundle,
  async fn() {
    await bundle();
    for (const name of ["audit.js", "audit_worker.js"]) {
      const program = await bundled(name);
      assertFalse(/\bDeno\.\w/.test(program), `${name} uses Deno`);
      assertFalse(/["']node:\w/.test(program), `${name} uses a module of Node's`);
      assertFalse(
        /(?<![.\w])import\(["'`]|\bimportScripts\(/.test(program),
        `${name} loads something`,
      );
    }
    const { html, policy } = (await sitePages()).get("index.html")!;
    assertMatch(policy, /^default-src 'none'; connect-src 'none'; script-src 'sha256-\S+ 'wasm-/);
    // But for what an image or a link names, nothing in the page is an address.
    assertFalse(/\b(src|href)="(?!data:)/.test(html), "the page names another file");
    assertLess(await gzipped(html), 1.5e6);
  },
});

/** What the command makes of a thing, and why it refuses where it does. */
async function expected(target: string): Promise<string> {
  try {
    return reportJson((await auditTarget(await findTarget(target))).json);
  } catch (error) {
    return (error as Error).message;
  }
}

/** Drops files on the page, folders as folders: by entries, as a browser gives them. */
const GIVE = `window.give = (files) => {
  const made = files.map(([path, bytes]) =>
    [path, new File([Uint8Array.fromBase64(bytes)], path.split("/").at(-1))]);
  const entryOf = (prefix, inside) => inside.length === 1 && inside[0][0] === prefix
    ? { isFile: true, fullPath: "/" + prefix, file: (take) => take(inside[0][1]) }
    : { isFile: false, fullPath: "/" + prefix, createReader: () => {
        const names = [...new Set(inside.map(([path]) =>
          prefix + "/" + path.slice(prefix.length + 1).split("/")[0]))];
        let left = names.map((name) => entryOf(name,
          inside.filter(([path]) => path === name || path.startsWith(name + "/"))));
        return { readEntries: (take) => { const some = left; left = []; take(some); } };
      } };
  const tops = [...new Set(made.map(([path]) => path.split("/")[0]))];
  const items = tops.map((top) => ({ webkitGetAsEntry: () => entryOf(top,
    made.filter(([path]) => path === top || path.startsWith(top + "/"))) }));
  const drop = new Event("drop", { bubbles: true, cancelable: true });
  Object.defineProperty(drop, "dataTransfer", { value: { items, files: [] } });
  document.body.dispatchEvent(drop);
}`;

/** What a button saves, in place of saving it. */
const CATCH = `HTMLAnchorElement.prototype.click = () => {};
  const made = URL.createObjectURL;
  URL.createObjectURL = (blob) => { window.saved = blob; return made.call(URL, blob); }`;

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

async function give(page: BrowserPage, { files }: Pick<Thing, "files">): Promise<void> {
  const given = [...files].map(([path, bytes]) => [path, bytes.toBase64()]);
  await page.evaluate(`give(${JSON.stringify(given)})`);
}

async function withSite(work: (origin: string) => Promise<void>): Promise<void> {
  await bundle();
  const hosts: string[] = [];
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    siteHandler(await sitePages(), hosts),
  );
  hosts.push(`127.0.0.1:${server.addr.port}`);
  try {
    await work(`http://127.0.0.1:${server.addr.port}`);
  } finally {
    await server.shutdown();
  }
}

async function opened(page: BrowserPage, url: string): Promise<void> {
  await page.open(url);
  await page.until(`document.querySelector("form button:enabled")`);
  await page.evaluate(`(() => { ${GIVE}; ${CATCH}; })()`);
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
        await withSite((origin) =>
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
              await give(page, { files });
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
          })
        );
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
    await withSite((origin) =>
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
        for (let i = 0; i < 5; i++) {
          await page.press("Tab");
          focused.push(
            await page.evaluate(`document.activeElement.id ||
            document.activeElement.textContent`),
          );
        }
        assertEquals(focused, [
          "Choose files",
          "Choose a folder",
          "named",
          "Judge it",
          "How do I know that nothing is uploaded?",
        ]);
        assertEquals(await seriousFaults(page), []);
        await page.evaluate(`document.querySelector("form button").click()`);
        await outcome(page, "resnet34");
        assertEquals(await page.evaluate("shifts"), 0);
        await assertEachLook(page);
        assertEquals(page.errors, []);
      })
    );
  },
});
